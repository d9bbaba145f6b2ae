"""Every rule of Settlement.vy, one refusal each: wrong caller, wrong signature, wrong state, wrong time, replay."""

import os
from collections.abc import Callable

import pytest

from contracts import abi, artifacts, errors, settlement
from contracts.keys import ORDER, ZERO_ADDRESS, Address
from contracts.settlement import ZERO
from privacy import merkle
from tests.contracts.alliance import KEYS, PARTNERS, REASON, WINDOW, Alliance

PAYOUT = b"\x0e" * 32


@pytest.fixture
def alliance() -> Alliance:
    mutant = os.environ.get("ECOHUB_MUTANT")  # tests/contracts/mutants.py runs this file on altered contracts
    if mutant is None:
        return Alliance()
    from tests.contracts.mutants import artifact_of

    return Alliance(artifact_of(mutant))


def refused(alliance: Alliance, role: str, data: bytes, reason: str) -> None:
    with pytest.raises(errors.TransactionReverted) as caught:
        alliance.send(role, data)
    assert caught.value.facts["reason"] == reason
    assert type(caught.value) is errors.REASONS[reason]


# --- the whole life ---------------------------------------------------------------------------------------------------


def test_a_statement_goes_from_proposed_to_acknowledged(alliance: Alliance) -> None:
    anchor = alliance.anchor()
    statement = alliance.digest(anchor)
    (proposed,) = alliance.send("stranger", alliance.proposal(anchor)).events
    assert proposed.name == "Proposed"
    assert dict(proposed.values) == {
        "digest": statement,
        "partner": anchor.partner,
        "sequence": 1,
        "root": anchor.root,
        "lines": anchor.lines,
        "total": anchor.total,
        "terms": anchor.terms,
        "closes": alliance.time + WINDOW,
    }
    assert alliance.state(statement) == "PROPOSED"
    alliance.wait_until(alliance.closes(statement))
    assert [e.name for e in alliance.send("stranger", settlement.finalise_data(statement)).events] == ["Finalised"]
    assert alliance.state(statement) == "FINAL"
    (paid,) = alliance.send("broker", settlement.mark_paid_data(statement, PAYOUT)).events
    assert (paid.name, paid["payout"]) == ("Paid", PAYOUT)
    assert alliance.state(statement) == "PAID"
    (acknowledged,) = alliance.send("referrer", settlement.acknowledge_paid_data(statement)).events
    assert (acknowledged.name, acknowledged["digest"]) == ("Acknowledged", statement)
    assert alliance.state(statement) == "ACKED"
    assert alliance.read(abi.selector("last(bytes32)") + anchor.partner) == statement


# --- who may do what --------------------------------------------------------------------------------------------------

CALLERS: list[tuple[str, Callable[[Alliance], bytes], tuple[str, ...], str]] = [
    (
        "setSigner",
        lambda a: settlement.set_signer_data(b"\x09" * 32, KEYS["stranger"].address),
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
    ("ackPaid", lambda a: settlement.acknowledge_paid_data(_paid(a)), ("referrer",), "not the partner"),
]


def _paid(alliance: Alliance) -> bytes:
    statement = alliance.final()
    alliance.send("broker", settlement.mark_paid_data(statement, PAYOUT))
    return statement


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
    ("governor", "broker", "arbiter", "window", "reason"),
    [
        (ZERO_ADDRESS, B, A, WINDOW, "governor"),
        (G, ZERO_ADDRESS, A, WINDOW, "broker"),
        (G, B, ZERO_ADDRESS, WINDOW, "arbiter"),
        (G, B, B, WINDOW, "arbiter is a party"),
        (G, B, A, 0, "window"),
        (G, B, A, settlement.WINDOW_SECONDS_MAX + 1, "window"),
    ],
)
def test_a_contract_with_wrong_roles_cannot_be_deployed(
    alliance: Alliance, governor: Address, broker: Address, arbiter: Address, window: int, reason: str
) -> None:
    with pytest.raises(errors.TransactionReverted) as caught:
        alliance.deploy(settlement.constructor_data(governor, broker, arbiter, window))
    assert caught.value.facts["reason"] == reason


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


@pytest.mark.parametrize("where", ["chain", "contract"])
def test_signatures_for_another_chain_or_contract_are_refused(alliance: Alliance, where: str) -> None:
    anchor = alliance.anchor()
    chain_id, contract = (1, alliance.contract) if where == "chain" else (20261, KEYS["stranger"].address)
    signatures = [settlement.sign(anchor, chain_id, contract, KEYS[r].secret) for r in ("broker", "referrer")]
    refused(alliance, "stranger", settlement.propose_data(anchor, *signatures), "broker signature")


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


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_dispute_is_possible_until_the_last_second(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement) - 1)
    alliance.send("referrer", settlement.dispute_data(statement, REASON))
    assert alliance.state(statement) == "DISPUTED"


def test_at_the_end_a_dispute_is_too_late(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement))
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("stranger", settlement.finalise_data(statement))


def test_a_second_before_the_end_finalising_is_too_early(alliance: Alliance) -> None:
    statement = alliance.propose()
    assert alliance.closes(statement) == alliance.time + WINDOW
    alliance.wait_until(alliance.closes(statement) - 1)
    refused(alliance, "stranger", settlement.finalise_data(statement), "window open")
    alliance.send("stranger", settlement.finalise_data(statement))  # sealed one second later: exactly the end
    assert alliance.state(statement) == "FINAL"


# --- pause ------------------------------------------------------------------------------------------------------------


def test_a_pause_stops_entering_finalising_and_paying_but_not_objecting(alliance: Alliance) -> None:
    final, open_one = alliance.final("other_partner"), alliance.propose()
    alliance.send("governor", settlement.pause_data())
    refused(alliance, "stranger", alliance.proposal(alliance.anchor()), "paused")
    refused(alliance, "stranger", settlement.finalise_data(open_one), "paused")
    refused(alliance, "broker", settlement.mark_paid_data(final, PAYOUT), "paused")
    refused(alliance, "governor", settlement.pause_data(), "paused")
    alliance.send("referrer", settlement.dispute_data(open_one, REASON))


def test_what_is_not_paused_cannot_be_released(alliance: Alliance) -> None:
    refused(alliance, "governor", settlement.unpause_data(), "not paused")


def test_a_pause_extends_an_open_window_by_its_length(alliance: Alliance) -> None:
    statement = alliance.propose()
    end = alliance.closes(statement)
    alliance.wait_until(end - 400)
    alliance.send("governor", settlement.pause_data())  # 400 seconds are left
    alliance.wait_until(end + 5_000)
    alliance.send("governor", settlement.unpause_data())
    assert alliance.closes(statement) == end + 5_400
    alliance.wait_until(end + 5_399)
    refused(alliance, "stranger", settlement.finalise_data(statement), "window open")
    alliance.send("stranger", settlement.finalise_data(statement))


def test_during_a_pause_the_window_stays_as_far_away(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement) - 1)
    alliance.send("governor", settlement.pause_data())
    for later in (10, 10_000):
        alliance.ledger.seal((), alliance.time + later)
        assert alliance.closes(statement) == alliance.time + 1
    alliance.send("broker", settlement.dispute_data(statement, REASON))


def test_pauses_add_up(alliance: Alliance) -> None:
    statement = alliance.propose()
    end = alliance.closes(statement)
    total = 0
    for length in (50, 70):
        alliance.send("governor", settlement.pause_data())
        alliance.wait_until(alliance.time + length)
        alliance.send("governor", settlement.unpause_data())
        total += length
    assert alliance.closes(statement) == end + total


def test_a_pause_before_a_statement_does_not_extend_its_window(alliance: Alliance) -> None:
    alliance.send("governor", settlement.pause_data())
    alliance.wait_until(alliance.time + 500)
    alliance.send("governor", settlement.unpause_data())
    statement = alliance.propose()
    assert alliance.closes(statement) == alliance.time + WINDOW


def test_a_window_that_is_over_does_not_open_again_by_a_pause(alliance: Alliance) -> None:
    statement = alliance.propose()
    alliance.wait_until(alliance.closes(statement) + 10)
    alliance.send("governor", settlement.pause_data())
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.wait_until(alliance.time + 5_000)
    alliance.send("governor", settlement.unpause_data())
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("stranger", settlement.finalise_data(statement))


# --- dispute, decision, replacement -----------------------------------------------------------------------------------


def test_a_disputed_statement_is_neither_finalised_nor_disputed_again(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.wait_until(alliance.closes(statement) + 1)
    refused(alliance, "stranger", settlement.finalise_data(statement), "not proposed")
    refused(alliance, "broker", settlement.dispute_data(statement, REASON), "not proposed")


def test_a_dismissed_dispute_leaves_nothing_but_to_finalise(alliance: Alliance) -> None:
    statement = alliance.disputed()
    (resolved,) = alliance.send("arbiter", settlement.resolve_data(statement, False, REASON)).events
    assert (resolved["upheld"], resolved["reason"]) == (False, REASON)
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("stranger", settlement.finalise_data(statement))


def test_a_dispute_dismissed_during_a_pause_is_finalised_right_after_it(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.send("governor", settlement.pause_data())
    alliance.wait_until(alliance.time + 300)
    alliance.send("arbiter", settlement.resolve_data(statement, False, REASON))
    alliance.wait_until(alliance.time + 300)
    refused(alliance, "referrer", settlement.dispute_data(statement, REASON), "window closed")
    alliance.send("governor", settlement.unpause_data())
    alliance.send("stranger", settlement.finalise_data(statement))


@pytest.mark.parametrize("upheld", [True, False])
def test_what_is_not_disputed_cannot_be_decided(alliance: Alliance, upheld: bool) -> None:
    statement = alliance.propose()
    refused(alliance, "arbiter", settlement.resolve_data(statement, upheld, REASON), "not disputed")


def test_an_upheld_dispute_makes_void_and_the_replacement_names_it(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.send("arbiter", settlement.resolve_data(statement, True, REASON))
    assert alliance.state(statement) == "VOID"
    anchor = alliance.anchor(replaces=statement)
    assert anchor.previous == statement
    events = alliance.send("stranger", alliance.proposal(anchor)).events
    assert [event.name for event in events] == ["Replaced", "Proposed"]
    assert (events[0]["digest"], events[0]["replacement"]) == (statement, alliance.digest(anchor))
    assert alliance.read(abi.selector("replacement(bytes32)") + statement) == alliance.digest(anchor)


def test_the_parties_may_replace_a_disputed_statement_without_the_arbiter(alliance: Alliance) -> None:
    statement = alliance.disputed()
    replacement = alliance.propose(replaces=statement)
    assert (alliance.state(statement), alliance.state(replacement)) == ("VOID", "PROPOSED")
    refused(alliance, "arbiter", settlement.resolve_data(statement, False, REASON), "not disputed")


def test_a_statement_is_replaced_once(alliance: Alliance) -> None:
    statement = alliance.disputed()
    alliance.propose(replaces=statement)
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=statement)), "replaced before")


@pytest.mark.parametrize("state", ["PROPOSED", "FINAL", "PAID"])
def test_only_a_disputed_or_void_statement_can_be_replaced(alliance: Alliance, state: str) -> None:
    statement = {"PROPOSED": alliance.propose, "FINAL": alliance.final, "PAID": lambda: _paid(alliance)}[state]()
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=statement)), "replaces state")


def test_another_partners_or_an_unknown_statement_cannot_be_replaced(alliance: Alliance) -> None:
    foreign = alliance.disputed("other_partner")
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=foreign)), "replaces")
    refused(alliance, "stranger", alliance.proposal(alliance.anchor(replaces=b"\x44" * 32)), "replaces")


# --- payment ----------------------------------------------------------------------------------------------------------


def test_only_a_final_statement_is_paid(alliance: Alliance) -> None:
    refused(alliance, "broker", settlement.mark_paid_data(alliance.propose(), PAYOUT), "not final")
    refused(alliance, "broker", settlement.mark_paid_data(b"\x44" * 32, PAYOUT), "not final")


def test_a_statement_is_paid_once(alliance: Alliance) -> None:
    statement = _paid(alliance)
    refused(alliance, "broker", settlement.mark_paid_data(statement, b"\x0f" * 32), "not final")


def test_one_payment_pays_one_statement(alliance: Alliance) -> None:
    _paid(alliance)
    other = alliance.final("other_partner")
    refused(alliance, "broker", settlement.mark_paid_data(other, PAYOUT), "payout used")
    alliance.send("broker", settlement.mark_paid_data(other, b"\x0f" * 32))


def test_a_payment_has_a_reference(alliance: Alliance) -> None:
    refused(alliance, "broker", settlement.mark_paid_data(alliance.final(), ZERO), "payout")


def test_only_a_paid_statement_is_acknowledged_and_once(alliance: Alliance) -> None:
    statement = alliance.final()
    refused(alliance, "referrer", settlement.acknowledge_paid_data(statement), "not paid")
    alliance.send("broker", settlement.mark_paid_data(statement, PAYOUT))
    alliance.send("referrer", settlement.acknowledge_paid_data(statement))
    refused(alliance, "referrer", settlement.acknowledge_paid_data(statement), "not paid")


def test_no_function_takes_value(alliance: Alliance) -> None:
    for entry in artifacts.load("Settlement").abi:
        if entry["type"] in ("function", "constructor"):
            assert entry["stateMutability"] in ("view", "nonpayable")


# --- lines ------------------------------------------------------------------------------------------------------------


def proves(alliance: Alliance, statement: bytes, leaf: bytes, index: int, lines: int, path: list[bytes]) -> bool:
    data = abi.selector("proveLine(bytes32,bytes32,uint256,uint256,bytes32[])")
    return abi.boolean(alliance.read(data + abi.encode([statement, leaf, index, lines], [abi.array(path)])))


@pytest.mark.parametrize("lines", [1, 2, 3, 5, 8, 13])
def test_each_line_proves_itself_and_nothing_else_does(alliance: Alliance, lines: int) -> None:
    leaves = [merkle.leaf_hash(b"salt" + bytes([i])) for i in range(lines)]
    statement = alliance.propose(root=merkle.root(leaves), lines=lines)
    for index, leaf in enumerate(leaves):
        path = merkle.inclusion_proof(leaves, index)
        assert proves(alliance, statement, leaf, index, lines, path)
        assert not proves(alliance, statement, merkle.leaf_hash(b"forged"), index, lines, path)
        assert not proves(alliance, statement, leaf, index, lines, [*path, leaf])
        assert not proves(alliance, statement, leaf, index, lines + 1, path)
        assert not proves(alliance, b"\x44" * 32, leaf, index, lines, path)
        if path:
            assert not proves(alliance, statement, leaf, index, lines, path[:-1])
        # also leaf 2 of 3, whose path of one hash looks like the first step from leaf 1
        elsewhere = [other for other in range(lines) if other != index]
        assert not any(proves(alliance, statement, leaf, other, lines, path) for other in elsewhere)


def test_a_line_beyond_the_statement_is_refused(alliance: Alliance) -> None:
    statement = alliance.propose()
    for index, lines in ((3, 3), (0, 0)):
        with pytest.raises(errors.TransactionReverted) as caught:
            proves(alliance, statement, b"\x01" * 32, index, lines, [])
        assert caught.value.facts["reason"] == "index"
