"""PartnerRegistry.vy: who registers, suspends and rotates, when, and that the settlement contract follows at once."""

from collections.abc import Callable

import pytest

from contracts import abi, registry, settlement
from contracts.keys import ZERO_ADDRESS
from contracts.registry import Partner
from contracts.settlement import PERIOD_MAX, ZERO
from tests.contracts.alliance import PAYOUT, REASON, refused
from tests.contracts.registered import DELAY, OTHER, PARTNER, TERMS, Registered
from tests.contracts.rig import ACCOUNTS, KEYS, fresh, not_deployed, writing


@pytest.fixture
def one() -> Registered:
    return fresh(Registered)


def began(one: Registered, by: str = "referrer") -> None:
    one.tell(by, registry.rotate_data(PARTNER, ACCOUNTS["new_signer"]))


def ripe(one: Registered, by: str = "referrer") -> None:
    """A rotation that may be accepted by the next transaction."""
    began(one, by)
    one.wait(DELAY)


# --- who may do what --------------------------------------------------------------------------------------------------


def attachable(one: Registered) -> bytes:
    return registry.attach_data(one.settlement())


def suspended(one: Registered) -> bytes:
    one.tell("governor", registry.suspend_data(PARTNER))
    return registry.resume_data(PARTNER)


def acceptable(one: Registered) -> bytes:
    ripe(one)
    return registry.accept_rotation_data(PARTNER)


def cancellable(one: Registered) -> bytes:
    began(one, "governor")
    return registry.cancel_rotation_data(PARTNER)


CALLERS: list[tuple[str, Callable[[Registered], bytes], tuple[str, ...], str]] = [
    ("attach", attachable, ("governor",), "not the governor"),
    ("detach", lambda a: registry.detach_data(a.contract), ("governor",), "not the governor"),
    (
        "register",
        lambda a: registry.register_data(OTHER, ACCOUNTS["stranger"], TERMS),
        ("governor",),
        "not the governor",
    ),
    ("setTerms", lambda a: registry.set_terms_data(PARTNER, ZERO), ("governor",), "not the governor"),
    ("suspend", lambda a: registry.suspend_data(PARTNER), ("governor", "referrer"), "not the governor or signer"),
    ("resume", suspended, ("governor",), "not the governor"),
    ("exit", lambda a: registry.exit_data(PARTNER, 202612), ("governor",), "not the governor"),
    (
        "rotate",
        lambda a: registry.rotate_data(PARTNER, ACCOUNTS["new_signer"]),
        ("governor", "referrer"),
        "not the governor or signer",
    ),
    ("cancelRotation", cancellable, ("governor",), "not who began it"),
    ("acceptRotation", acceptable, ("new_signer",), "not the new signer"),
]


@pytest.mark.parametrize(
    ("prepare", "entitled", "reason"), [row[1:] for row in CALLERS], ids=[row[0] for row in CALLERS]
)
def test_only_the_entitled_role_may_call(
    one: Registered, prepare: Callable[[Registered], bytes], entitled: tuple[str, ...], reason: str
) -> None:
    data = prepare(one)
    for role in KEYS:
        if role not in entitled:
            one.tell_refused(role, data, reason)
    one.tell(entitled[0], data)


def test_the_table_names_every_function_that_not_everybody_may_call() -> None:
    assert {row[0] for row in CALLERS} | {"publish"} == writing("PartnerRegistry")


@pytest.mark.parametrize("role", ["governor", "referrer"])
def test_a_partner_may_suspend_itself_but_not_resume(one: Registered, role: str) -> None:
    (told,) = one.tell(role, registry.suspend_data(PARTNER)).events
    assert (told.name, dict(told.values)) == ("Suspended", {"partner": PARTNER, "by": ACCOUNTS[role]})
    one.tell_refused("referrer", registry.resume_data(PARTNER), "not the governor")


# --- entries and what the settlement contract holds -------------------------------------------------------------------


def test_a_registered_partner_settles_at_once(one: Registered) -> None:
    assert one.entry() == Partner(status="ACTIVE", signer=ACCOUNTS["referrer"], terms=TERMS, until=0)
    assert one.held() == (ACCOUNTS["referrer"], PERIOD_MAX)
    one.settles(period=999912)


def test_registering_is_told_and_happens_once(one: Registered) -> None:
    data = registry.register_data(OTHER, ACCOUNTS["other_partner"], TERMS)
    (told,) = one.tell("governor", data).events
    expected = {"partner": OTHER, "signer": ACCOUNTS["other_partner"], "terms": TERMS}
    assert (told.name, dict(told.values)) == ("Registered", expected)
    one.tell_refused("governor", data, "partner known")


@pytest.mark.parametrize(
    ("partner", "signer", "reason"),
    [
        (ZERO, "stranger", "partner"),
        (OTHER, "", "signer"),
        (OTHER, "broker", "signer is the broker"),
        (OTHER, "arbiter", "arbiter is a party"),
    ],
)
def test_an_entry_that_cannot_settle_is_not_made(one: Registered, partner: bytes, signer: str, reason: str) -> None:
    account = ACCOUNTS[signer] if signer else ZERO_ADDRESS
    one.tell_refused("governor", registry.register_data(partner, account, TERMS), reason)
    assert one.entry(partner).status == "UNKNOWN"


def test_without_a_settlement_contract_an_entry_has_a_name_too(one: Registered) -> None:
    one.tell("governor", registry.detach_data(one.contract))
    one.tell_refused("governor", registry.register_data(ZERO, ACCOUNTS["stranger"], TERMS), "partner")


def test_only_the_registry_speaks_for_partners(one: Registered) -> None:
    data = settlement.set_signer_data(PARTNER, ACCOUNTS["stranger"])
    for role in KEYS:
        refused(one, role, data, "not the registrar")


def test_a_suspended_partner_enters_nothing_but_keeps_its_voice(one: Registered) -> None:
    paid, open_one = one.paid(), one.propose()
    one.tell("governor", registry.suspend_data(PARTNER))
    assert (one.entry().status, one.held()) == ("SUSPENDED", (ACCOUNTS["referrer"], 0))
    refused(one, "stranger", one.proposal(one.anchor()), "partner period")
    one.send("referrer", settlement.acknowledge_paid_data(paid))
    one.send("referrer", settlement.dispute_data(open_one, REASON))
    (told,) = one.tell("governor", registry.resume_data(PARTNER)).events
    assert (told.name, told["partner"]) == ("Resumed", PARTNER)
    assert (one.entry().status, one.held()) == ("ACTIVE", (ACCOUNTS["referrer"], PERIOD_MAX))
    one.settles()


def test_an_exited_partner_is_only_adjusted(one: Registered) -> None:
    (told,) = one.tell("governor", registry.exit_data(PARTNER, 202612)).events
    assert (told.name, dict(told.values)) == ("Exited", {"partner": PARTNER, "until": 202612})
    assert one.entry() == Partner(status="EXITED", signer=ACCOUNTS["referrer"], terms=TERMS, until=202612)
    refused(one, "stranger", one.proposal(one.anchor(period=202701)), "partner period")
    adjusted = one.digest(one.settles(period=202612))
    one.send("referrer", settlement.dispute_data(adjusted, REASON))
    one.settles(period=202612, replaces=adjusted)
    one.settles(period=202610)


def test_an_exit_is_for_good(one: Registered) -> None:
    one.tell("governor", registry.exit_data(PARTNER, 202612))
    for data in (
        registry.resume_data(PARTNER),
        registry.suspend_data(PARTNER),
        registry.exit_data(PARTNER, 202701),
        registry.set_terms_data(PARTNER, ZERO),
    ):
        one.tell_refused("governor", data, "partner status")
    one.tell_refused("governor", registry.register_data(PARTNER, ACCOUNTS["stranger"], TERMS), "partner known")


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        (0, "period"),
        (200000, "period"),
        (199912, "period"),
        (999913, "period"),
        (2026_00, "period month"),
        (2026_13, "period month"),
        (200001, None),
        (999912, None),
    ],
)
def test_an_exit_names_a_month(one: Registered, until: int, reason: str | None) -> None:
    data = registry.exit_data(PARTNER, until)
    if reason:
        one.tell_refused("governor", data, reason)
    else:
        one.tell("governor", data)
        assert one.held() == (ACCOUNTS["referrer"], until)


def test_a_suspended_partner_may_exit(one: Registered) -> None:
    one.tell("referrer", registry.suspend_data(PARTNER))
    one.tell("governor", registry.exit_data(PARTNER, 202612))
    assert one.held() == (ACCOUNTS["referrer"], 202612)
    one.settles(period=202612)


def test_what_does_not_fit_the_status_is_refused(one: Registered) -> None:
    one.tell_refused("governor", registry.resume_data(PARTNER), "partner status")
    one.tell("governor", registry.suspend_data(PARTNER))
    one.tell_refused("governor", registry.suspend_data(PARTNER), "partner status")
    for data in (registry.suspend_data(OTHER), registry.resume_data(OTHER), registry.exit_data(OTHER, 202612)):
        one.tell_refused("governor", data, "partner status")


@pytest.mark.parametrize("status", ["ACTIVE", "SUSPENDED"])
def test_the_terms_in_force_are_recorded(one: Registered, status: str) -> None:
    if status == "SUSPENDED":
        one.tell("governor", registry.suspend_data(PARTNER))
    (told,) = one.tell("governor", registry.set_terms_data(PARTNER, b"\x44" * 32)).events
    assert (told.name, dict(told.values)) == ("TermsSet", {"partner": PARTNER, "terms": b"\x44" * 32})
    assert (one.entry().terms, one.entry().status) == (b"\x44" * 32, status)
    one.tell_refused("governor", registry.set_terms_data(OTHER, TERMS), "partner status")


# --- rotation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["governor", "referrer"])
def test_a_signer_is_replaced_in_two_steps_after_the_delay(one: Registered, by: str) -> None:
    signed_before = one.proposal(one.anchor())
    (told,) = one.tell(by, registry.rotate_data(PARTNER, ACCOUNTS["new_signer"])).events
    named = {"partner": PARTNER, "signer": ACCOUNTS["new_signer"], "by": ACCOUNTS[by], "effective": one.time + DELAY}
    assert (told.name, dict(told.values)) == ("RotationBegun", named)
    assert one.held() == (ACCOUNTS["referrer"], PERIOD_MAX)
    effective = one.time + DELAY
    one.wait_until(effective - 1)
    one.tell_refused("new_signer", registry.accept_rotation_data(PARTNER), "delay running")
    (told,) = one.tell("new_signer", registry.accept_rotation_data(PARTNER)).events
    assert one.time == effective
    assert (told.name, dict(told.values)) == ("Rotated", {"partner": PARTNER, "signer": ACCOUNTS["new_signer"]})
    assert (one.entry().signer, one.held()) == (ACCOUNTS["new_signer"], (ACCOUNTS["new_signer"], PERIOD_MAX))
    refused(one, "stranger", signed_before, "partner signature")
    one.settles("new_signer")
    one.tell_refused("new_signer", registry.accept_rotation_data(PARTNER), "no rotation")


def test_until_it_is_accepted_the_old_key_signs(one: Registered) -> None:
    ripe(one)
    one.settles("referrer")
    refused(one, "stranger", one.proposal(one.anchor(), "new_signer"), "partner signature")


def test_a_rotated_key_has_no_voice_left(one: Registered) -> None:
    statement = one.propose()
    final = one.final()
    one.send("broker", settlement.mark_paid_data(final, PAYOUT))
    began(one)
    one.wait_until(max(one.time + DELAY, one.time + 1))
    one.tell("new_signer", registry.accept_rotation_data(PARTNER))
    refused(one, "referrer", settlement.acknowledge_paid_data(final), "not the partner")
    one.send("new_signer", settlement.acknowledge_paid_data(final))
    assert one.state(statement) == "PROPOSED"
    for data in (registry.suspend_data(PARTNER), registry.rotate_data(PARTNER, ACCOUNTS["stranger"])):
        one.tell_refused("referrer", data, "not the governor or signer")


def test_one_rotation_at_a_time(one: Registered) -> None:
    began(one)
    for role in ("governor", "referrer"):
        one.tell_refused(role, registry.rotate_data(PARTNER, ACCOUNTS["stranger"]), "rotation open")
    one.tell("governor", registry.cancel_rotation_data(PARTNER))
    one.tell("governor", registry.rotate_data(PARTNER, ACCOUNTS["stranger"]))


@pytest.mark.parametrize("by", ["governor", "referrer"])
def test_who_began_a_rotation_takes_it_back(one: Registered, by: str) -> None:
    ripe(one, by)
    (told,) = one.tell(by, registry.cancel_rotation_data(PARTNER)).events
    assert (told.name, dict(told.values)) == (
        "RotationCancelled",
        {"partner": PARTNER, "signer": ACCOUNTS["new_signer"]},
    )
    one.tell_refused("new_signer", registry.accept_rotation_data(PARTNER), "no rotation")
    one.tell_refused(by, registry.cancel_rotation_data(PARTNER), "no rotation")


def test_a_stolen_key_neither_keeps_its_place_nor_stops_the_governor(one: Registered) -> None:
    one.tell("referrer", registry.rotate_data(PARTNER, ACCOUNTS["stranger"]))  # the thief's
    one.tell("governor", registry.cancel_rotation_data(PARTNER))
    began(one, "governor")
    one.tell_refused("referrer", registry.cancel_rotation_data(PARTNER), "not who began it")
    one.tell_refused("referrer", registry.rotate_data(PARTNER, ACCOUNTS["stranger"]), "rotation open")
    one.wait(DELAY)
    one.tell("new_signer", registry.accept_rotation_data(PARTNER))
    assert one.held() == (ACCOUNTS["new_signer"], PERIOD_MAX)


def test_the_governor_cancels_what_a_signer_began(one: Registered) -> None:
    began(one, "referrer")
    one.tell("governor", registry.cancel_rotation_data(PARTNER))
    assert one.entry().signer == ACCOUNTS["referrer"]


@pytest.mark.parametrize(
    ("partner", "signer", "reason"),
    [
        (OTHER, ACCOUNTS["new_signer"], "partner unknown"),
        (PARTNER, ZERO_ADDRESS, "signer"),
        (PARTNER, ACCOUNTS["referrer"], "signer is the same"),
    ],
)
def test_a_rotation_names_a_partner_and_another_account(
    one: Registered, partner: bytes, signer: str, reason: str
) -> None:
    one.tell_refused("governor", registry.rotate_data(partner, signer), reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(("role", "reason"), [("broker", "signer is the broker"), ("arbiter", "arbiter is a party")])
def test_broker_and_arbiter_cannot_rotate_in(one: Registered, role: str, reason: str) -> None:
    one.tell("governor", registry.rotate_data(PARTNER, ACCOUNTS[role]))
    one.wait(DELAY)
    one.tell_refused(role, registry.accept_rotation_data(PARTNER), reason)
    assert one.held() == (ACCOUNTS["referrer"], PERIOD_MAX)
    assert one.entry().signer == ACCOUNTS["referrer"]


@pytest.mark.parametrize("status", ["SUSPENDED", "EXITED"])
def test_a_rotation_leaves_the_status(one: Registered, status: str) -> None:
    data = registry.suspend_data(PARTNER) if status == "SUSPENDED" else registry.exit_data(PARTNER, 202612)
    one.tell("governor", data)
    ripe(one, "governor")
    one.tell("new_signer", registry.accept_rotation_data(PARTNER))
    assert one.entry().status == status
    assert one.held() == (ACCOUNTS["new_signer"], 0 if status == "SUSPENDED" else 202612)


# --- attached settlement contracts ------------------------------------------------------------------------------------


def test_a_contract_attached_later_takes_over_what_anybody_publishes(one: Registered) -> None:
    heir = one.settlement()
    (told,) = one.tell("governor", registry.attach_data(heir)).events
    assert (told.name, told["settlement"]) == ("Attached", heir)
    assert one.held(contract=heir) == (ZERO_ADDRESS, 0)
    one.tell("stranger", registry.publish_data(PARTNER))
    assert one.held(contract=heir) == one.held() == (ACCOUNTS["referrer"], PERIOD_MAX)
    one.tell("governor", registry.suspend_data(PARTNER))
    assert one.held(contract=heir) == one.held() == (ACCOUNTS["referrer"], 0)
    one.tell_refused("stranger", registry.publish_data(OTHER), "partner unknown")


def test_a_detached_contract_hears_nothing_more(one: Registered) -> None:
    old, heir, third = one.contract, one.settlement(), one.settlement()
    for contract in (heir, third):
        one.tell("governor", registry.attach_data(contract))
    (told,) = one.tell("governor", registry.detach_data(heir)).events
    assert (told.name, told["settlement"]) == ("Detached", heir)
    one.tell("governor", registry.suspend_data(PARTNER))
    assert [one.held(contract=contract)[1] for contract in (old, third)] == [0, 0]
    assert one.held(contract=heir) == (ZERO_ADDRESS, 0)
    one.tell_refused("governor", registry.detach_data(heir), "not attached")
    one.tell("governor", registry.attach_data(heir))


def test_a_contract_is_attached_once_and_at_most_four(one: Registered) -> None:
    one.tell_refused("governor", registry.attach_data(one.contract), "attached")
    one.tell_refused("governor", registry.attach_data(ACCOUNTS["stranger"]), "settlement")
    for _ in range(3):
        one.tell("governor", registry.attach_data(one.settlement()))
    one.tell_refused("governor", registry.attach_data(one.settlement()), "too many settlements")


def test_an_attached_contract_that_refuses_undoes_the_change(one: Registered) -> None:
    accounts = [ACCOUNTS[role] for role in ("governor", "broker", "arbiter")]
    foreign = one.deploy(settlement.constructor_data(*accounts, 1000, ACCOUNTS["stranger"]))
    one.tell("governor", registry.attach_data(foreign))
    one.tell_refused("governor", registry.suspend_data(PARTNER), "not the registrar")
    assert (one.entry().status, one.held()) == ("ACTIVE", (ACCOUNTS["referrer"], PERIOD_MAX))


# --- deployment -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("governor", "delay", "reason"),
    [
        (ZERO_ADDRESS, DELAY, "governor"),
        (ACCOUNTS["governor"], registry.DELAY_SECONDS_MIN - 1, "delay"),
        (ACCOUNTS["governor"], registry.DELAY_SECONDS_MAX + 1, "delay"),
    ],
)
def test_a_registry_with_a_wrong_delay_or_no_governor_is_not_deployed(
    one: Registered, governor: str, delay: int, reason: str
) -> None:
    not_deployed(one, "PartnerRegistry", registry.constructor_data(governor, delay), reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [registry.DELAY_SECONDS_MIN, registry.DELAY_SECONDS_MAX])
def test_the_shortest_and_the_longest_delay_are_deployed(one: Registered, delay: int) -> None:
    made = one.create("PartnerRegistry", registry.constructor_data(ACCOUNTS["governor"], delay))
    assert one.ask(made, abi.calldata("DELAY()")) == abi.word(delay)
