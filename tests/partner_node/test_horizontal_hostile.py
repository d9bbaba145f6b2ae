"""A hub that asks for more than the plan, crashes at the worst moment, consent and budgets that end."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from ecowire.stream import FAILURE, Message
from federation import grid, records
from federation.horizontal import flower
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.trainer import Trainer
from partner_node import budget, store
from partner_node.round_keys import RoundKeys
from privacy import seal
from privacy.aggregation import Slot
from privacy.ids import Digest
from tests.partner_node import alliance, horizontal
from tests.partner_node.alliance import TestNode
from tests.partner_node.horizontal import BANKS, Run

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows


class Cut(Exception):
    """The test has what it wanted of a run."""


class Crash(Exception):
    """The node dies."""


@pytest.fixture
def banks(tmp_path: Path) -> list[TestNode]:
    return horizontal.make_banks(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model of a run in which nothing happened."""
    nodes = horizontal.make_banks(tmp_path_factory.mktemp("undisturbed"))
    return Run(nodes, horizontal.plan_body(nodes)).lead().model.encode()


def until(run: Run, round_: int, phase: str) -> Run:
    """Lead a run up to a phase of a round, which is not asked."""

    def stop(event: Event) -> None:
        if (event.round, event.phase) == (round_, phase):
            raise Cut

    run.before = stop
    with pytest.raises(Cut):
        run.lead()
    return run


def last(run: Run, name: str, phase: str) -> Message:
    return [m for n, m in run.channel.requests if n == name and m.head["phase"] == phase][-1]


def altered(request: Message, change: Callable[[Any], None], identifier: str = "another id") -> Message:
    """The same request under another id, its Flower content changed."""
    message = grid.decode(request.body)
    change(message.content)
    return Message(id=identifier, kind=request.kind, head=request.head, body=records.encode(message))


def told(reply: Message) -> str:
    """The code a node answers with: a refusal's, or that of a Flower error reply; "" for neither."""
    if reply.kind == FAILURE:
        return str(reply.head["code"])
    message = grid.decode(reply.body)
    return grid.read_failure(message)["code"] if message.has_error() else ""


def kept(node: TestNode, job: str) -> dict[str, bytes]:
    return dict(RoundKeys(node.parts.node.database, Digest(job)))


def refusals(run: Run) -> set[str]:
    """What the nodes say to the first request of a run that does not get beyond it."""
    run.events.clear()
    with pytest.raises(QuorumMissing):
        run.lead()
    return set(run.events[-1].states.values())


def to_slot(name: str) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        content[flower.SLOT]["slot"] = name

    return change


# --- no more than the plan


def test_training_in_a_round_that_the_plan_has_not_is_refused(banks: list[TestNode]) -> None:
    run = until(Run(banks, horizontal.plan_body(banks)), 3, "finish")
    request = last(run, "bank-a", "train")
    for slot in ("3.5", "4.0", "77.0"):
        node = run.node("bank-a")
        reply = node.ask(altered(request, to_slot(slot), slot))
        assert told(reply) == "ROUND_NOT_IN_PLAN", slot
        assert f"uploaded/{slot}" not in kept(node, run.job)


def test_one_round_is_one_set_of_weights(banks: list[TestNode]) -> None:
    run = until(Run(banks, horizontal.plan_body(banks)), 1, "answer")
    request, node = last(run, "bank-a", "train"), run.node("bank-a")

    def other_weights(content: Any) -> None:
        to_slot("1.1")(content)
        arrays = content["arrays"]
        first = next(iter(arrays))
        arrays[first] = type(arrays[first])(arrays[first].numpy() + 1.0)

    assert told(node.ask(altered(request, other_weights))) == "ROUND_GIVEN_BEFORE"
    assert told(node.reopened().ask(altered(request, other_weights, "after a restart"))) == "ROUND_GIVEN_BEFORE"


def test_a_second_upload_or_answer_for_a_slot_is_refused_after_a_restart_too(banks: list[TestNode]) -> None:
    run = until(Run(banks, horizontal.plan_body(banks)), 2, "train")
    node = run.node("bank-c").reopened()
    answer, train = last(run, "bank-c", "answer"), last(run, "bank-c", "train")
    before = kept(node, run.job)
    assert told(node.ask(altered(answer, lambda _: None, "answer again"))) in ("KEY_SPENT", "SLOT_STALE")
    assert told(node.ask(altered(train, lambda _: None, "train again"))) in ("KEY_SPENT", "SLOT_STALE")
    assert kept(node, run.job) == before


def test_a_request_without_a_slot_is_not_answered_in_clear(banks: list[TestNode]) -> None:
    run = until(Run(banks, horizontal.plan_body(banks)), 1, "answer")
    request = altered(last(run, "bank-a", "train"), lambda content: content.pop(flower.SLOT))
    assert told(run.node("bank-a").ask(request)) == "CLEAR_REPLY_REFUSED"


# --- who may ask


def test_a_run_begins_with_everybodys_approval_only(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    approvals = run.channel.approvals
    for given, code in ((approvals[:3], "NOT_APPROVED"), (None, "MALFORMED_MESSAGE"), ([], "NOT_APPROVED")):
        run.channel.approvals = given  # type: ignore[assignment]
        assert refusals(run) == {code}
        run.decided.clear()
        run.channel.by_name = {name: node.reopened() for name, node in run.channel.by_name.items()}
        assert all(kept(node, run.job) == {} for node in run.channel.by_name.values())
        for node in run.channel.by_name.values():  # the same ids would be answered from the store
            node.parts.node.database.write(
                "forget replies", lambda s: s.connection().exec_driver_sql("DELETE FROM inbox")
            )


def test_an_expired_plan_is_not_trained(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    banks[0].clock.now += timedelta(days=30)
    assert refusals(run) == {"JOB_EXPIRED"}


# --- a crash between compute and commit


@pytest.mark.parametrize("phase", ["deal", "hold", "statistics", "train", "answer", "finish"])
def test_a_crash_before_the_commit_leaves_nothing_and_the_run_ends_alike(
    banks: list[TestNode], phase: str, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    ask, crashed = run.channel._ask, []
    keep_reply = store.keep_reply

    def crash(session: Session, request: Message, reply: Message, now: str) -> None:
        keep_reply(session, request, reply, now)
        raise Crash

    def asked(request: Any) -> None:
        if request.node == "bank-b" and request.head["phase"] == phase and not crashed:
            before = kept(run.node("bank-b"), run.job)
            crashed.append(phase)
            with monkeypatch.context() as patch:
                patch.setattr(store, "keep_reply", crash)
                with pytest.raises(Crash):
                    ask(request)
            run.channel.by_name["bank-b"] = run.node("bank-b").reopened()
            assert kept(run.node("bank-b"), run.job) == before
        ask(request)

    monkeypatch.setattr(run.channel, "_ask", asked)
    found = run.lead()
    assert crashed and set(found.told) == set(BANKS)
    assert found.model.encode() == undisturbed


# --- consent


def test_consent_withdrawn_between_rounds_takes_the_client_out(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))

    def withdraw(event: Event) -> None:
        if (event.round, event.phase) == (1, "answer"):
            run.node("bank-a").command("consent.withdraw", client_id=alliance.resident_id(5))

    run.before = withdraw
    found = run.lead()
    record: Any = found.told["bank-a"]["body"]["record"]
    assert record["rows_train"] + record["rows_validation"] + record["rows_test"] == horizontal.CLIENTS - 1
    first, second = found.state.history
    assert second.examples <= first.examples
    folder = run.node("bank-a").parts.node.settings.results
    assert alliance.resident_id(5).encode() not in b"".join(path.read_bytes() for path in folder.iterdir())


def test_consent_that_ends_by_its_date_is_noticed_without_any_change(banks: list[TestNode]) -> None:
    alliance.consent(banks[0], [7], until="2026-10-03")
    run = Run(banks, horizontal.plan_body(banks))

    def later(event: Event) -> None:
        if (event.round, event.phase) == (1, "answer"):
            banks[0].clock.now = alliance.START + timedelta(days=3)

    run.before = later
    record: Any = run.lead().told["bank-a"]["body"]["record"]
    assert record["rows_train"] + record["rows_validation"] + record["rows_test"] == horizontal.CLIENTS - 1


def test_without_enough_consent_a_node_drops_out_and_the_others_go_on(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))

    def withdraw(event: Event) -> None:
        if (event.round, event.phase) == (1, "answer"):
            for number in list(horizontal.clients(3))[:60]:
                run.node("bank-d").command("consent.withdraw", client_id=alliance.resident_id(number))

    run.before = withdraw
    found = run.lead()
    assert set(found.told) == set(BANKS) - {"bank-d"}
    assert [len(facts.cohort) for facts in found.state.history] == [4, 3]
    codes = {event.states.get("bank-d") for event in run.events if event.phase in ("train", "finish")}
    assert "TOO_FEW_ROWS" in codes


# --- budget


@pytest.fixture
def guarded(tmp_path: Path) -> list[TestNode]:
    return horizontal.make_banks(tmp_path, budget=True)


def booked(node: TestNode) -> list[Slot]:
    return [booking.slot for booking in node.parts.node.database.read(budget.bookings)]


def test_every_noisy_upload_is_booked_and_nothing_else(guarded: list[TestNode]) -> None:
    run = Run(guarded, horizontal.noisy(guarded))
    found = run.lead()
    assert len(found.state.history) == 2
    for name in BANKS:
        assert [(slot.round, slot.attempt) for slot in booked(run.node(name))] == [(1, 0), (2, 0)]
        run.node(name).ask(last(run, name, "train"))
        assert len(booked(run.node(name).reopened())) == 2, "a repeated reply is the same release"


def test_a_budget_for_exactly_these_rounds_is_enough_for_the_end_too(banks: list[TestNode]) -> None:
    exactly = 'privacy_budget = {epsilon = "3.55", delta_log10 = -6}'
    nodes = [horizontal.with_budget(node, exactly) for node in banks]
    found = Run(nodes, horizontal.noisy(nodes)).lead()
    assert set(found.told) == set(BANKS)
    (line,) = nodes[0].command("budget")["assets"]
    assert (line["epsilon"], line["spent"]) == ("3.55", "3.543")


def test_a_budget_taken_away_after_the_approval_keeps_the_node_out(guarded: list[TestNode]) -> None:
    run = Run(guarded, horizontal.noisy(guarded))
    run.channel.by_name["bank-a"] = horizontal.with_budget(run.node("bank-a"), "")
    found = run.lead()
    assert "bank-a" not in found.state.history[0].cohort
    assert booked(run.node("bank-a")) == []


def test_a_budget_spent_meanwhile_keeps_the_node_out(guarded: list[TestNode]) -> None:
    run = Run(guarded, horizontal.noisy(guarded))

    def spend(event: Event) -> None:
        if (event.round, event.phase) == (1, "answer"):
            database = run.node("bank-a").parts.node.database
            for round_ in range(1, 9):
                slot = Slot(job=Digest("cd" * 32), round=round_, attempt=0)
                line = budget.Booking(slot=slot, asset="clients", multiplier_milli=2_000)
                database.write("book", lambda session, line=line: budget.book(session, line, "2026-10-01"))

    run.before = spend
    found = run.lead()
    assert [len(facts.cohort) for facts in found.state.history] == [4, 3]
    assert [slot.round for slot in booked(run.node("bank-a")) if slot.job == run.job] == [1]
    states = [event.states.get("bank-a") for event in run.events if (event.round, event.phase) == (2, "train")]
    assert "BUDGET_EXHAUSTED" in states


def test_a_booking_is_committed_with_the_upload_or_not_at_all(
    guarded: list[TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = until(Run(guarded, horizontal.noisy(guarded)), 2, "train")
    node = run.node("bank-a")
    keep_reply = store.keep_reply

    def crash(session: Session, request: Message, reply: Message, now: str) -> None:
        keep_reply(session, request, reply, now)
        raise Crash

    request = altered(last(run, "bank-a", "train"), to_slot("2.0"))
    monkeypatch.setattr(store, "keep_reply", crash)
    with pytest.raises(Crash):
        node.ask(request)
    assert [slot.round for slot in booked(node.reopened())] == [1]


@pytest.mark.parametrize("noise", [True, False])
def test_a_defect_over_noisy_rows_is_booked_and_told_like_a_refusal(
    tmp_path: Path, noise: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = horizontal.make_banks(tmp_path, budget=noise)
    run = Run(nodes, horizontal.noisy(nodes) if noise else horizontal.plan_body(nodes))
    fit, partner = Trainer.fit, "bank-a"

    def broken(trainer: Trainer, round_: int, *arguments: Any) -> Any:
        if trainer._me == partner and round_ == 1:
            raise ZeroDivisionError("a row nobody thought of")
        return fit(trainer, round_, *arguments)

    monkeypatch.setattr(Trainer, "fit", broken)
    found = run.lead()
    states = [event.states.get(partner) for event in run.events if (event.round, event.phase) == (1, "train")]
    assert partner not in found.state.history[0].cohort and partner in found.state.history[1].cohort
    assert ("NOT_TOLD_WITH_NOISE" if noise else "INTERNAL") in states
    assert [slot.round for slot in booked(run.node(partner))] == ([1, 2] if noise else [])
    assert "ZeroDivisionError: a row nobody thought of" in caplog.text, "this side's people find the defect in the log"


# --- the gate outwards


def test_the_tap_sees_every_share_and_no_value_of_a_row(banks: list[TestNode], monkeypatch: pytest.MonkeyPatch) -> None:
    plains: list[bytes] = []
    sealing = seal.seal

    def watched(plain: bytes, *arguments: Any) -> bytes:
        plains.append(plain)
        return sealing(plain, *arguments)

    monkeypatch.setattr(seal, "seal", watched)
    run = Run(banks, horizontal.plan_body(banks))
    run.lead()
    seen = [plain for node in banks for kind, plain in node.seen if kind == "envelope/share"]
    assert plains and sorted(plains) == sorted(seen), "what is sealed went through the gate"
    leaving = [reply for reply in run.channel.answers.values() if isinstance(reply, bytes)] + plains
    for bank, node in enumerate(banks):
        for line in (node.folder / "clients.csv").read_text().splitlines()[1:]:
            client, *values = line.split(",")
            forms = [client, *(value for value in values if len(value) > 5)]
            assert not any(form.encode() in content for content in leaving for form in forms), bank
