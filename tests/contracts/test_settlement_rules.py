"""Who may do what with Settlement.vy, whose signatures count, and in which order: one refusal for each rule."""

from collections.abc import Callable

import pytest

from contracts import abi, settlement
from contracts.keys import ORDER, ZERO_ADDRESS, Address
from contracts.settlement import ZERO
from tests.contracts.alliance import CHAIN_ID, KEYS, PARTNERS, PAYOUT, REASON, WINDOW, Alliance, refused
from tests.contracts.rig import not_deployed, writing

# --- who may do what --------------------------------------------------------------------------------------------------

CALLERS: list[tuple[str, Callable[[Alliance], bytes], tuple[str, ...], str]] = [
    (
        "setPartner",
        lambda a: settlement.set_signer_data(b"\x09" * 32, KEYS["stranger"].address),
        ("governor",),
        "not the registrar",
    ),
    (
        "setSuccessor",
        lambda a: settlement.set_successor_data(a.deploy(a.arguments)),
        ("governor",),
        "not the governor",
    ),
    ("pause", lambda a: settlement.pause_data(), ("governor",), "not the governor"),
    (
        "unpause",
        lambda a: a.send("governor", settlement.pause_data()) and settlement.unpause_data(),
        ("governor",),
        "not the governor",
    ),
    ("dispute", lambda a: settlement.dispute_data(a.propose(), REASON), ("broker", "referrer"), "not a party"),
    ("resolve", lambda a: settlement.resolve_data(a.disputed(), True, REASON), ("arbiter",), "not the arbiter"),
    ("markPaid", lambda a: settlement.mark_paid_data(a.final(), PAYOUT), ("broker",), "not the broker"),
    ("ackPaid", lambda a: settlement.acknowledge_paid_data(a.paid()), ("referrer",), "not the partner"),
]


@pytest.mark.parametrize(
    ("prepare", "entitled", "reason"), [row[1:] for row in CALLERS], ids=[row[0] for row in CALLERS]
)
def test_only_the_entitled_role_may_call(
    alliance: Alliance, prepare: Callable[[Alliance], bytes], entitled: tuple[str, ...], reason: str
) -> None:
    data = prepare(alliance)
    for role in KEYS:
        if role not in entitled:
            refused(alliance, role, data, reason)
    alliance.send(entitled[0], data)


def test_the_table_names_every_function_that_not_everybody_may_call() -> None:
    assert {row[0] for row in CALLERS} | {"propose", "finalise"} == writing("Settlement")


@pytest.mark.parametrize("party", ["broker", "referrer"])
def test_either_party_may_dispute(alliance: Alliance, party: str) -> None:
    statement = alliance.propose()
    (disputed,) = alliance.send(party, settlement.dispute_data(statement, REASON)).events
    assert (disputed["party"], disputed["reason"]) == (KEYS[party].address, REASON)
    assert alliance.state(statement) == "DISPUTED"


@pytest.mark.parametrize("anyone", list(KEYS))
def test_anybody_may_submit_and_finalise_what_both_signed(alliance: Alliance, anyone: str) -> None:
    anchor = alliance.anchor()
    alliance.send(anyone, alliance.proposal(anchor))
    alliance.wait_until(alliance.closes(alliance.digest(anchor)))
    alliance.send(anyone, settlement.finalise_data(alliance.digest(anchor)))


def test_a_partner_without_signer_can_neither_settle_nor_object(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.send("governor", settlement.set_signer_data(PARTNERS["referrer"], ZERO_ADDRESS))
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "not a party")
    refused(alliance, "stranger", alliance.proposal(alliance.anchor()), "partner inactive")


def test_a_partner_settles_no_period_after_its_last_one_and_keeps_its_voice(alliance: Alliance) -> None:
    open_one, paid = alliance.propose(period=202609), alliance.paid()
    alliance.send("governor", settlement.set_signer_data(PARTNERS["referrer"], KEYS["referrer"].address, 202610))
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(period=202611)), "partner period")
    alliance.propose(period=202610)
    alliance.propose(period=202609)
    alliance.send("governor", settlement.set_signer_data(PARTNERS["referrer"], KEYS["referrer"].address, 0))
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(period=202609)), "partner period")
    alliance.send("referrer", settlement.acknowledge_paid_data(paid))
    last = alliance.read(abi.selector("last(bytes32)") + PARTNERS["referrer"])
    alliance.send("referrer", settlement.dispute_data(last, REASON))
    alliance.wait_until(alliance.time + WINDOW)
    assert alliance.state(open_one) == "PROPOSED"
    alliance.send("stranger", settlement.finalise_data(open_one))


@pytest.mark.parametrize("until", [0, settlement.PERIOD_MAX])
@pytest.mark.parametrize("period", [0, 1, 200000])
def test_what_is_no_month_is_no_way_around_a_suspension(alliance: Alliance, until: int, period: int) -> None:
    words = alliance.anchor().words()
    words[2] = period
    alliance.send("governor", settlement.set_signer_data(PARTNERS["referrer"], KEYS["referrer"].address, until))
    refused(alliance, "stranger", _signed(alliance, words), "partner period")


def test_the_first_month_there_is_can_be_settled(alliance: Alliance) -> None:
    alliance.propose(period=200001)


def test_what_the_registrar_says_is_told_by_an_event(alliance: Alliance) -> None:
    data = settlement.set_signer_data(PARTNERS["referrer"], KEYS["new_signer"].address, 202612)
    (told,) = alliance.send("governor", data).events
    expected = {"partner": PARTNERS["referrer"], "signer": KEYS["new_signer"].address, "until": 202612}
    assert (told.name, dict(told.values)) == ("PartnerSet", expected)


def test_the_registrar_need_not_be_the_governor_and_then_alone_names_signers(alliance: Alliance) -> None:
    accounts = [KEYS[role].address for role in ("governor", "broker", "arbiter")]
    registrar = KEYS["submitter"].address
    alliance.contract = alliance.deploy(settlement.constructor_data(*accounts, WINDOW, registrar))
    data = settlement.set_signer_data(PARTNERS["referrer"], KEYS["referrer"].address)
    refused(alliance, "governor", data, "not the registrar")
    alliance.send("submitter", data)
    refused(alliance, "submitter", settlement.pause_data(), "not the governor")
    alliance.propose()


def test_the_signature_of_a_replaced_signer_no_longer_counts(alliance: Alliance) -> None:
    data = alliance.proposal(alliance.anchor())
    alliance.send("governor", settlement.set_signer_data(PARTNERS["referrer"], KEYS["stranger"].address))
    refused(alliance, "referrer", data, "partner signature")
    anchor = alliance.anchor()
    alliance.send("broker", alliance.proposal(anchor, "stranger"))


@pytest.mark.parametrize(
    ("partner", "signer", "reason"),
    [
        (PARTNERS["referrer"], KEYS["broker"].address, "signer is the broker"),
        (PARTNERS["referrer"], KEYS["arbiter"].address, "arbiter is a party"),
        (ZERO, KEYS["stranger"].address, "partner"),
    ],
)
def test_broker_and_arbiter_cannot_become_a_partners_signer(
    alliance: Alliance, partner: bytes, signer: Address, reason: str
) -> None:
    refused(alliance, "governor", settlement.set_signer_data(partner, signer), reason)


G, B, A = (KEYS[role].address for role in ("governor", "broker", "arbiter"))


@pytest.mark.parametrize(
    ("governor", "broker", "arbiter", "window", "registrar", "reason"),
    [
        (ZERO_ADDRESS, B, A, WINDOW, G, "governor"),
        (G, B, A, WINDOW, ZERO_ADDRESS, "registrar"),
        (G, ZERO_ADDRESS, A, WINDOW, G, "broker"),
        (G, B, ZERO_ADDRESS, WINDOW, G, "arbiter"),
        (B, B, A, WINDOW, G, "governor is the broker"),
        (G, B, A, WINDOW, B, "registrar is the broker"),
        (G, B, B, WINDOW, G, "arbiter is a party"),
        (G, B, A, 0, G, "window"),
        (G, B, A, settlement.WINDOW_SECONDS_MAX + 1, G, "window"),
    ],
)
def test_a_contract_with_wrong_roles_cannot_be_deployed(
    alliance: Alliance,
    governor: Address,
    broker: Address,
    arbiter: Address,
    window: int,
    registrar: Address,
    reason: str,
) -> None:
    arguments = settlement.constructor_data(governor, broker, arbiter, window, registrar)
    not_deployed(alliance, "Settlement", arguments, reason)


def test_the_longest_window_can_be_deployed(alliance: Alliance) -> None:
    alliance.deploy(settlement.constructor_data(G, B, A, settlement.WINDOW_SECONDS_MAX))


# --- signatures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signer", [role for role in KEYS if role != "broker"])
def test_nobody_signs_for_the_broker(alliance: Alliance, signer: str) -> None:
    anchor = alliance.anchor()
    data = settlement.propose_data(anchor, alliance.sign(anchor, signer), alliance.sign(anchor, "referrer"))
    refused(alliance, "stranger", data, "broker signature")


@pytest.mark.parametrize("signer", [role for role in KEYS if role != "referrer"])
def test_nobody_signs_for_the_partner(alliance: Alliance, signer: str) -> None:
    anchor = alliance.anchor()
    data = settlement.propose_data(anchor, alliance.sign(anchor, "broker"), alliance.sign(anchor, signer))
    refused(alliance, "stranger", data, "partner signature")


def test_signatures_in_each_others_place_are_refused(alliance: Alliance) -> None:
    anchor = alliance.anchor()
    data = settlement.propose_data(anchor, alliance.sign(anchor, "referrer"), alliance.sign(anchor, "broker"))
    refused(alliance, "stranger", data, "broker signature")


@pytest.mark.parametrize("change", ["period", "root", "lines", "total", "terms", "replaces"])
def test_signatures_over_another_statement_are_refused(alliance: Alliance, change: str) -> None:
    anchor = alliance.anchor()
    other = alliance.anchor(**{change: 202611 if change == "period" else 9 if change == "lines" else b"\x77" * 32})
    data = settlement.propose_data(anchor, alliance.sign(other, "broker"), alliance.sign(other, "referrer"))
    refused(alliance, "stranger", data, "broker signature")


@pytest.mark.parametrize("whose", ["broker", "referrer"])
@pytest.mark.parametrize("where", ["chain", "contract", "version", "name"])
def test_signatures_for_another_domain_are_refused(
    alliance: Alliance, where: str, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchor = alliance.anchor()
    chain_id = 1 if where == "chain" else CHAIN_ID
    contract = KEYS["stranger"].address if where == "contract" else alliance.contract
    signatures = {role: alliance.sign(anchor, role) for role in ("broker", "referrer")}
    with monkeypatch.context() as patched:
        patched.setattr(settlement, "VERSION", "2" if where == "version" else settlement.VERSION)
        patched.setattr(settlement, "NAME", "Settlement" if where == "name" else settlement.NAME)
        signatures[whose] = settlement.sign(anchor, chain_id, contract, KEYS[whose].secret)
    reason = f"{'broker' if whose == 'broker' else 'partner'} signature"
    refused(alliance, "stranger", settlement.propose_data(anchor, *signatures.values()), reason)


def _high_s(signature: bytes) -> bytes:
    """The second signature of the same message by the same key: s' = n - s, other parity."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


MALFORMED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("empty", lambda s: b"", "signature length"),
    ("64 bytes", lambda s: s[:64], "signature length"),
    ("66 bytes", lambda s: s + b"\x00", "signature length"),
    ("high s", _high_s, "signature s"),
    ("v 0 or 1", lambda s: s[:64] + bytes([s[64] - 27]), "signature v"),
    ("v 29", lambda s: s[:64] + b"\x1d", "signature v"),
    ("r zero", lambda s: bytes(32) + s[32:], "signature"),
    ("s zero", lambda s: s[:32] + bytes(32) + s[64:], "signature"),
    ("r over the order", lambda s: ORDER.to_bytes(32, "big") + s[32:], "signature"),
]


@pytest.mark.parametrize(("alter", "reason"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
@pytest.mark.parametrize("whose", ["broker", "referrer"])
def test_only_the_strict_form_of_a_signature_counts(
    alliance: Alliance, whose: str, alter: Callable[[bytes], bytes], reason: str
) -> None:
    anchor = alliance.anchor()
    signatures = {role: alliance.sign(anchor, role) for role in ("broker", "referrer")}
    signatures[whose] = alter(signatures[whose])
    refused(alliance, "stranger", settlement.propose_data(anchor, *signatures.values()), reason)


def test_an_unknown_partner_is_not_the_account_that_no_signature_recovers_to(alliance: Alliance) -> None:
    anchor = alliance.anchor(partner=b"\x66" * 32)
    nothing = bytes(32) + bytes(31) + b"\x01" + b"\x1b"  # ecrecover gives the zero address
    refused(
        alliance,
        "stranger",
        settlement.propose_data(anchor, alliance.sign(anchor, "broker"), nothing),
        "partner inactive",
    )


# --- order ------------------------------------------------------------------------------------------------------------


def test_a_statement_cannot_be_entered_twice(alliance: Alliance) -> None:
    data = alliance.proposal(alliance.anchor())
    alliance.send("stranger", data)
    refused(alliance, "stranger", data, "sequence")


@pytest.mark.parametrize("sequence", [1, 3])
def test_sequence_has_no_gaps_and_no_repeats(alliance: Alliance, sequence: int) -> None:
    first = alliance.propose()
    anchor = alliance.anchor(sequence=2)
    words = anchor.words()
    words[1] = sequence
    assert words[3] == first
    refused(alliance, "stranger", _signed(alliance, words), "sequence")


def _signed(alliance: Alliance, words: list[abi.Word]) -> bytes:
    """The calldata of a struct that `Anchor` would refuse to be, properly signed."""
    tuple_type = "(bytes32,uint256,uint256,bytes32,bytes32,uint256,bytes32,bytes32,bytes32)"
    digest = alliance.read(abi.selector(f"digestOf({tuple_type})") + abi.encode(words))
    signatures = [abi.byte_string(KEYS[role].sign_digest(digest)) for role in ("broker", "referrer")]
    return abi.selector(f"propose({tuple_type},bytes,bytes)") + abi.encode(words, signatures)


def test_a_statement_names_the_one_before(alliance: Alliance) -> None:
    alliance.propose()
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(previous=b"\x55" * 32)), "previous")


def test_the_first_statement_has_none_before(alliance: Alliance) -> None:
    words = alliance.anchor().words()
    words[3] = b"\x55" * 32
    refused(alliance, "stranger", _signed(alliance, words), "previous")


def test_partners_count_separately(alliance: Alliance) -> None:
    alliance.propose("referrer")
    alliance.propose("other_partner")
    alliance.propose("referrer")
    refused(
        alliance,
        "stranger",
        alliance.proposal(alliance.anchor("other_partner", sequence=3), "other_partner"),
        "sequence",
    )


def test_a_statement_without_lines_is_refused(alliance: Alliance) -> None:
    words = alliance.anchor().words()
    words[5] = 0
    refused(alliance, "stranger", _signed(alliance, words), "no lines")
