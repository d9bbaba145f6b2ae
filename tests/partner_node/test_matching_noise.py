"""Counts with noise at the nodes: what is told, what is booked on the privacy budget and when, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from ecowire.stream import FAILURE
from partner_node import budget, disclosure, match_book, match_slots
from partner_node.budget import Booking, Count
from privacy.aggregation import Slot
from privacy.errors import Failure
from privacy.ids import Digest
from privacy.noise import CountNoise
from privacy.psi.job import MatchJob, TermsInvalid
from tests.partner_node import alliance, horizontal
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

SETS = {"broker": range(120), "bank": range(40, 160)}
SHARED = len([n for n in range(40, 120) if n % 10])
TERMS = {"epsilon_milli": 500, "delta_log10": -9}
NOISE = CountNoise(epsilon_milli=500, delta_log10=-9)
BUDGET = 'privacy_budget = {{epsilon = "{}", delta_log10 = -6}}'


@pytest.fixture
def nodes(tmp_path: Path) -> dict[str, TestNode]:
    """Broker and bank; consent of all clients but multiples of ten; the bank's clients have a budget of one."""
    clock, authority = MovableClock(), TestAuthority()
    made = {}
    for name, numbers in SETS.items():
        node = alliance.make_node(
            tmp_path, name, alliance.clients_csv(numbers), columns={"SPEND": "C2"}, clock=clock, authority=authority
        )
        alliance.consent(node, [n for n in numbers if n % 10])
        made[name] = node
    made["bank"] = horizontal.with_budget(made["bank"], BUDGET.format(1))
    alliance.pin_all([*made.values()])
    return made


def proposed(nodes: dict[str, TestNode], **changes: Any) -> str:
    chosen = [*nodes.values()]
    given = {"version": 2, "minimum": 20, "noise": TERMS, **changes}
    return alliance.propose(chosen, "match", alliance.match_body(chosen, mode="count", **given))


def started(nodes: dict[str, TestNode], *, restart: bool = False, **changes: Any) -> MatchRelay:
    job, chosen = proposed(nodes, **changes), [*nodes.values()]
    return MatchRelay(chosen, job, alliance.approve(chosen, job), restart=restart)


def booked(node: TestNode) -> list[Count]:
    return node.parts.node.database.read(budget.counts)


@pytest.mark.parametrize("restart", [False, True])
def test_the_leader_gets_an_estimate_with_its_statement_and_the_follower_pays_once(
    nodes: dict[str, TestNode], restart: bool
) -> None:
    relay = started(nodes, restart=restart)
    results = {name: result["body"] for name, result in relay.run().items()}
    assert results["broker"]["outcome"] == "shared"
    assert abs(results["broker"]["count"] - SHARED) <= NOISE.reach
    assert (results["bank"]["outcome"], results["bank"]["count"]) == ("not entitled", None)
    assert all(body["noise"] == NOISE.statement() for body in results.values())
    shown = relay.nodes["broker"].command("match.result", job=relay.job)
    assert (shown["count"], shown["noise"]) == (results["broker"]["count"], NOISE.statement())
    assert booked(relay.nodes["bank"]) == [Count(job=Digest(relay.job), asset="clients", noise=NOISE)]
    assert booked(relay.nodes["broker"]) == []
    (line,) = relay.nodes["bank"].command("budget")["assets"]
    assert (line["epsilon"], line["spent"]) == ("1", "0.500")
    assert line["counts"] == [{"job": relay.job, **TERMS}]


def test_noise_is_booked_with_the_list_not_before_and_not_again(nodes: dict[str, TestNode]) -> None:
    relay = started(nodes)
    relay.step("broker")
    assert booked(nodes["bank"]) == [], "the leader's list has not even arrived"
    request = relay.request("bank", list(relay.boxes["bank"]))
    first = nodes["bank"].ask(request)
    assert first.body and len(booked(nodes["bank"])) == 1
    again = nodes["bank"].reopened()
    assert again.ask(request).body == first.body, "the hub asks once more: the same list, no other noise"
    assert len(booked(again)) == 1


def test_a_list_that_does_not_commit_is_not_booked(nodes: dict[str, TestNode], monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction: booking and list stand or fall together."""
    relay = started(nodes)
    relay.step("broker")
    bank = nodes["bank"]

    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("partner_node.match_result.keep", broken)
        with pytest.raises(OSError, match="full"):
            bank.ask(relay.request("bank", list(relay.boxes["bank"])))
    assert booked(bank) == []
    assert relay.step("bank").kind != FAILURE
    assert len(booked(bank)) == 1


def test_without_a_budget_the_follower_refuses_and_the_leader_needs_none(nodes: dict[str, TestNode]) -> None:
    nodes["bank"] = horizontal.with_budget(nodes["bank"], "")
    job = proposed(nodes)
    with pytest.raises(Failure) as refused:
        nodes["bank"].command("approve", job=job, person="privacy officer")
    assert refused.value.code == "BUDGET_NOT_SET"
    nodes["broker"].command("approve", job=job, person="privacy officer")


def test_more_than_the_budget_is_refused_before_the_approval(nodes: dict[str, TestNode]) -> None:
    job = proposed(nodes, noise={"epsilon_milli": 1001, "delta_log10": -9})
    with pytest.raises(Failure) as refused:
        nodes["bank"].command("approve", job=job, person="privacy officer")
    assert refused.value.code == "BUDGET_EXHAUSTED"
    assert refused.value.facts["needed"] == "1.001"


def test_counts_fill_the_budget_and_then_no_more(nodes: dict[str, TestNode]) -> None:
    for nonce in ("01", "02"):
        started(nodes, nonce=nonce * 16).run()
    job = proposed(nodes, nonce="03" * 16, noise={"epsilon_milli": 10, "delta_log10": -9})
    with pytest.raises(Failure) as refused:
        nodes["bank"].command("approve", job=job, person="privacy officer")
    assert (refused.value.code, refused.value.facts["spent"]) == ("BUDGET_EXHAUSTED", "1.000")


def test_a_budget_spent_between_approval_and_list_lets_nothing_leave(nodes: dict[str, TestNode]) -> None:
    relay = started(nodes)
    relay.step("broker")
    bank = nodes["bank"]
    other = Count(job=Digest("ab" * 32), asset="clients", noise=CountNoise(epsilon_milli=900, delta_log10=-9))
    bank.parts.node.database.write("book", lambda session: budget.book_count(session, other, "2026-10-01"))
    reply = relay.step("bank")
    assert (reply.kind, reply.head["code"], reply.body) == (FAILURE, "BUDGET_EXHAUSTED", b"")
    assert booked(bank) == [other]


def test_a_budget_of_exactly_a_counts_epsilon_is_enough(nodes: dict[str, TestNode]) -> None:
    nodes["bank"] = horizontal.with_budget(nodes["bank"], BUDGET.format("0.1"))
    relay = started(nodes, noise={"epsilon_milli": 100, "delta_log10": -9})
    relay.run()
    (line,) = nodes["bank"].command("budget")["assets"]
    assert line["spent"] == "0.100"


def test_deltas_add_up_too(nodes: dict[str, TestNode]) -> None:
    """Two counts of delta 10^-6 are more than an asset's delta of 10^-6, whatever their epsilon."""
    started(nodes, noise={"epsilon_milli": 10, "delta_log10": -6}).run()
    job = proposed(nodes, nonce="02" * 16, noise={"epsilon_milli": 10, "delta_log10": -6})
    with pytest.raises(Failure) as refused:
        nodes["bank"].command("approve", job=job, person="privacy officer")
    assert (refused.value.facts["spent"], refused.value.facts["needed"]) == ("0.010", budget.INFINITE)


def test_training_and_counts_share_a_budget(nodes: dict[str, TestNode]) -> None:
    pytest.importorskip("dp_accounting")
    bank = horizontal.with_budget(nodes["bank"], BUDGET.format(8))
    asset = bank.parts.node.settings.asset("clients")
    update = Booking(slot=Slot(job=Digest("cd" * 32), round=1, attempt=1), asset="clients", multiplier_milli=2_000)
    count = Count(job=Digest("ab" * 32), asset="clients", noise=NOISE)

    def book(session: Any) -> None:
        budget.book(session, update, "2026-10-01")
        budget.book_count(session, count, "2026-10-01")

    database = bank.parts.node.database
    database.write("book", book)
    (line,) = bank.command("budget")["assets"]
    alone = budget.epsilon([update], -6)
    assert alone + 0.5 < float(line["spent"]) < alone + 0.51
    with pytest.raises(Failure) as refused:
        database.read(lambda session: budget.check(session, asset, 500, 4))
    assert refused.value.facts["spent"] == line["spent"]


def test_the_dummies_places_are_booked_as_ids_the_leader_could_test(nodes: dict[str, TestNode]) -> None:
    relay = started(nodes)
    relay.run()
    (entry,) = nodes["bank"].parts.node.database.read(match_book.entries)
    assert entry["slots"] == int(str(entry["peer"])) + NOISE.dummies
    body: Any = {"mode": "count", "engine": "ecdh", "parties": [{"partner": "bank", "role": "leader"}]}
    assert match_slots.testable(body, {"bank": 7}, "me") == {"bank": 7}


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "count-then-rows"},
        {"mode": "align"},
        {"mode": "rows", "engine": "oprf"},
        {"mode": "sum", "sum": {"partner": "bank", "column": "SPEND", "bits": 20}},
        {"version": 1},
        {"noise": {}},
        {"noise": None},
        {"noise": {"epsilon_milli": 500}},
        {"noise": {**TERMS, "more": 1}},
        {"noise": {**TERMS, "epsilon_milli": 0}},
        {"noise": {**TERMS, "epsilon_milli": True}},
        {"noise": {**TERMS, "delta_log10": -3}},
    ],
)
def test_noise_that_no_session_has_is_refused(nodes: dict[str, TestNode], changes: dict[str, Any]) -> None:
    body = alliance.match_body([*nodes.values()], **{"mode": "count", "version": 2, "noise": TERMS, **changes})
    with pytest.raises(TermsInvalid, match="noise"):
        MatchJob.from_body(body)


def test_people_read_that_it_is_an_estimate_and_who_pays(nodes: dict[str, TestNode]) -> None:
    body = alliance.match_body([*nodes.values()], mode="count", version=2, noise=TERMS)
    said = disclosure.sentences("match", body, "bank")
    english, chinese = " ".join(en for en, _ in said), "".join(zh for _, zh in said)
    for part in ("ABOUT how many", "95 of 100", f"by {NOISE.reach} at the very most", "epsilon 0.5", "privacy budget"):
        assert part in english
    for part in ("估计值", "95%", f"最大误差 {NOISE.reach}", "ε=0.5", "隐私预算"):
        assert part in chinese
