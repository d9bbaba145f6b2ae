"""kill -9 between any two steps of a close, a payment's mark, its acknowledgement and a dispute, and two hubs at once:
exactly one of each, books and chain agree.

A hub's commands run in processes of their own on one database and one chain. The places are named functions: just
before or after a commit, after a transaction was sent. Nobody asks a second time where the step was decided: a hub
that starts goes on by itself.
"""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts import settlement as chain_settlement
from contracts import transactions
from ecowire.stream import Message
from hub import payment_chain, settlement_acknowledge, settlement_chain, settlement_dispute_chain, tasks
from hub.records import Head
from hub.store_ledger import LedgerStore
from hub.store_payments import PaymentStore
from hub.store_settlement import StatementRecord
from hub.store_tasks import OPEN
from revenue_share.ledger import EntryState
from tests.hub.ledgers import POSTGRES, empty
from tests.hub.paying import Paying, booked
from tests.hub.settling import AFTER_OCTOBER, OCTOBER, PAYER, REFERRER, Settling, settling
from tests.support import hub_process
from tests.support.hub_process import RESUME, Call, Running
from tests.support.launch import Fault
from tests.support.sandbox_chain import CHAIN_ID, KEYS

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
COMMIT, SEND = "hub.store:Store.run", "contracts.chain:Chain.send"

BOTH = ["", pytest.param(POSTGRES, marks=pytest.mark.skipif(not POSTGRES, reason="ECOHUB_TEST_POSTGRES names none"))]


@pytest.fixture
def month(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settling]:
    """A reported October; on SQLite, or in the server's emptied database where a test asks for that."""
    url = getattr(request, "param", "")
    if url:
        empty(url)
    with settling(tmp_path, **({"database": url} if url else {})) as made:
        made.report_october()
        made.hub.clock.now = AFTER_OCTOBER
        yield made


class Hubs:
    """Starts hubs over one month's database; each draws other random bytes."""

    def __init__(self, month: Settling) -> None:
        self.month, self._count = month, 0

    def call(self, command: str, *, person: str = "fei", faults: tuple[Fault, ...] = (), **head: Any) -> Call:
        self._count += 1
        return Call(
            settings=str(self.month.hub.settings.file),
            endpoint=self.month.chain.server.endpoint,
            contract=self.month.contract,
            now=self.month.hub.now().isoformat(),
            seed=f"hub {self._count}",
            command=command,
            person=person,
            head=head,
            faults=faults,
        )

    def done(self, command: str, **named: Any) -> dict[str, Any]:
        code, answer = hub_process.run(self.call(command, **named))
        assert code == 0 and "head" in answer, answer
        return dict(answer["head"])

    def dies(self, command: str, at: str, first: str | None, when: str, **named: Any) -> None:
        fault = Fault(at=at, first=first, when=when)
        code, answer = hub_process.run(self.call(command, faults=(fault,), **named))
        assert code == -signal.SIGKILL, f"it did not die {when} {at} {first}: {answer}"

    def race(self, *calls: Call) -> list[dict[str, Any]]:
        """Let hubs go at one moment; what each answers."""
        started = [Running(call) for call in calls]
        for one in started:
            one.go()
        ends = [one.answer() for one in started]
        assert [code for code, _ in ends] == [0] * len(calls)
        return [answer for _, answer in ends]


def only(month: Settling) -> StatementRecord:
    (line,) = month.command("statements").head["statements"]
    return month.record(line["statement"])


def intents(month: Settling) -> list[tuple[str, str]]:
    found = month.hub.store.read("test", lambda tx: LedgerStore(tx.session).intents())
    return [(intent.kind, intent.state) for intent in found]


def on_chain(month: Settling) -> Counter[str]:
    chain = month.chain.chain
    logs = chain.logs(month.contract, 0, chain.head())
    names = [event.name for event in chain_settlement.events(logs, month.contract)]
    return Counter(name for name in names if name != "PartnerSet")


def assert_settled_once(month: Settling) -> None:
    """One final statement, one posted entry, one transaction of each kind; books and chain say the same."""
    record = only(month)
    assert record.state == "FINAL" and record.body["total_minor"] == 6673
    (entry,) = month.entries()
    assert (entry.subject, entry.state) == (record.id, EntryState.POSTED)
    assert intents(month) == [("propose", "DONE"), ("finalise", "DONE")]
    assert on_chain(month) == {"Proposed": 1, "Finalised": 1}
    found = chain_settlement.state(month.chain.chain, month.contract, bytes.fromhex(record.anchor))
    assert found.state == "FINAL"
    leaves = [kind for kind, subject in month.hub.leaves() if subject == record.id]
    assert max(Counter(kind for kind in leaves if kind != "confirmation").values()) == 1
    assert not settlement_chain.unfinished(month.services)


def test_a_close_over_sixteen_deaths_settles_once(month: Settling) -> None:
    hubs = Hubs(month)
    hubs.dies("close", COMMIT, "close", "before", period=OCTOBER)
    assert month.command("statements").head["statements"] == [] and month.entries() == ()
    hubs.dies("close", COMMIT, "close", "after", period=OCTOBER)
    record = only(month)
    assert hub_process.run(hubs.call("close", period=OCTOBER))[1] == {"code": "PERIOD_CLOSED"}

    for when, sent in (("before", 0), ("after", 1)):
        hubs.dies("release", COMMIT, "release", when, person="cai", statement=record.id)
        for name in (PAYER, REFERRER):
            assert [task.kind for task in month.hub.open_tasks(name)].count("settlement.statement") == sent
    for name in (PAYER, REFERRER):
        month.confirm(record, name)
    for state, kind in (("PROPOSED", "propose"), ("FINAL", "finalise")):
        before = only(month).state
        hubs.dies("settle", COMMIT, "chain.intent", "before", statement=record.id)
        assert kind not in dict(intents(month)), "nothing was decided"
        hubs.dies("settle", COMMIT, "chain.intent", "after", statement=record.id)
        assert dict(intents(month))[kind] == "OPEN"
        hubs.dies(RESUME, SEND, None, "before")
        hubs.dies(RESUME, SEND, None, "after")
        hubs.dies(RESUME, COMMIT, "chain.outcome", "before")
        assert only(month).state == before and dict(intents(month))[kind] == "OPEN"
        hubs.dies(RESUME, COMMIT, "chain.outcome", "after")
        assert only(month).state == state and dict(intents(month))[kind] == "DONE"
        hubs.done(RESUME)
        month.pass_window()
    assert_settled_once(month)


KEY_OF = {PAYER: KEYS["broker"], REFERRER: KEYS["referrer"]}


def sign_for(month: Settling, name: str, kind: str, data: bytes) -> None:
    """A party's node answers what it was asked for: the call, signed with the number that the hub named."""
    (task,) = [task for task in month.hub.open_tasks(name) if (task.kind, task.state) == (kind, OPEN)]
    asked = {field: int(str(task.head[field])) for field in ("nonce", "gas", "gas_price")}
    raw, _ = transactions.sign(to=month.contract, data=data, chain_id=CHAIN_ID, key=KEY_OF[name], **asked)
    reply = Message(id=f"{task.id}.r", kind="ok", head={"raw": raw.hex()}, reply_to=task.id)
    month.hub.store.run("tasks.answer", lambda tx: tasks.answer(tx, month.hub.now(), name, reply))


def dies_at_every_step(
    hubs: Hubs, record: StatementRecord, name: str, task: str, kind: str, data: bytes, *, ask: str = "settle"
) -> None:
    """A call that a party's node signs: the hub dies before and after it asked, decided, sent and noted the outcome."""
    month, given = hubs.month, {} if ask == RESUME else {"statement": record.id}
    before, key = only(month).state, KEY_OF[name]
    for when, asked in (("before", 0), ("after", 1)):
        hubs.dies(ask, COMMIT, f"{task}.ask", when, **given)
        assert [item.kind for item in month.hub.open_tasks(name)].count(task) == asked
    sign_for(month, name, task, data)
    hubs.dies(ask, COMMIT, "chain.intent", "before", **given)
    assert kind not in dict(intents(month)), "nothing was decided"
    hubs.dies(ask, COMMIT, "chain.intent", "after", **given)
    assert dict(intents(month))[kind] == "OPEN"
    hubs.dies(RESUME, SEND, None, "before")
    assert month.chain.chain.nonce(key.address) == 0, "nothing was sent"
    hubs.dies(RESUME, SEND, None, "after")
    hubs.dies(RESUME, COMMIT, "chain.outcome", "before")
    assert only(month).state == before and dict(intents(month))[kind] == "OPEN"
    hubs.dies(RESUME, COMMIT, "chain.outcome", "after")
    assert dict(intents(month))[kind] == "DONE"
    hubs.done(RESUME)
    assert month.chain.chain.nonce(key.address) == 1, "the account sent one transaction"


def assert_agreed(month: Settling, state: str, *events: str) -> chain_settlement.Record:
    """Books and chain hold the statement in this state, and each of these happened once and nothing else did."""
    record = only(month)
    found = chain_settlement.state(month.chain.chain, month.contract, bytes.fromhex(record.anchor))
    assert (record.state, found.state) == (state, state)
    assert on_chain(month) == Counter(events)
    moves = [kind for kind, subject in month.hub.leaves() if subject == record.id and kind.startswith("statement.")]
    assert max(Counter(moves).values()) == 1
    assert not settlement_chain.unfinished(month.services)
    return found


@pytest.mark.parametrize("month", BOTH, ids=["sqlite", "postgresql"], indirect=True)
def test_a_payment_is_marked_and_acknowledged_once_over_every_death_between(month: Settling) -> None:
    hubs, books = Hubs(month), Paying(month=month)
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    month.settle(record)
    books.approve_details()
    books.do("pay", period=OCTOBER, format="pain.001")
    books.bank(booked(books.order(record)))
    books.do("reconcile")
    anchor, (order,) = bytes.fromhex(record.anchor), books.read(lambda tx: PaymentStore(tx.session).orders())
    data = chain_settlement.mark_paid_data(anchor, bytes.fromhex(order.payout))
    dies_at_every_step(hubs, record, PAYER, payment_chain.TASK, payment_chain.PAY, data)
    found = assert_agreed(month, "PAID", "Proposed", "Finalised", "Paid")
    assert found.payout.hex() == order.payout

    body: Head = {"statement": record.id, "person": "somebody", "time": "2026-11-12T08:00:00+00:00"}
    word = month.hub.parties[REFERRER].sign(settlement_acknowledge.KIND, body)
    month.bring("statement.acknowledge", REFERRER, {"acknowledgement": word.to_value()})
    data = chain_settlement.acknowledge_paid_data(anchor)
    dies_at_every_step(hubs, record, REFERRER, settlement_acknowledge.TASK, settlement_acknowledge.ACKNOWLEDGE, data)
    assert_agreed(month, "ACKED", "Proposed", "Finalised", "Paid", "Acknowledged")
    steps = [("propose", "DONE"), ("finalise", "DONE"), ("pay", "DONE"), ("acknowledge", "DONE")]
    assert intents(month) == steps
    assert books.owed() == 0


@pytest.mark.parametrize("month", BOTH, ids=["sqlite", "postgresql"], indirect=True)
def test_a_dispute_reaches_the_contract_once_over_every_death_and_nobody_settles(month: Settling) -> None:
    hubs, record = Hubs(month), month.confirmed()
    month.settle(record)
    month.dispute(record, REFERRER)
    (said,) = month.command("statement", statement=record.id).head["disputes"]
    data = chain_settlement.dispute_data(bytes.fromhex(record.anchor), bytes.fromhex(said["dispute"]))
    task, kind = settlement_dispute_chain.TASK, settlement_dispute_chain.DISPUTE
    dies_at_every_step(hubs, record, REFERRER, task, kind, data, ask=RESUME)
    assert_agreed(month, "DISPUTED", "Proposed", "Disputed")
    held = chain_settlement.dispute(month.chain.chain, month.contract, bytes.fromhex(record.anchor))
    assert held == chain_settlement.Dispute(party=KEYS["referrer"].address, reason=bytes.fromhex(said["dispute"]))
    assert intents(month) == [("propose", "DONE"), ("dispute", "DONE")]


@pytest.mark.parametrize("month", BOTH, ids=["sqlite", "postgresql"], indirect=True)
def test_of_two_hubs_that_close_one_wins_and_the_other_is_told(month: Settling) -> None:
    hubs = Hubs(month)
    answers = hubs.race(*(hubs.call("close", period=OCTOBER) for _ in range(2)))
    assert sorted(answer.get("code", "closed") for answer in answers) == ["PERIOD_CLOSED", "closed"]
    record = only(month)
    (winner,) = [answer["head"]["statements"][0]["statement"] for answer in answers if "head" in answer]
    assert (record.id, len(month.entries())) == (winner, 1)

    answers = hubs.race(*(hubs.call("release", person=name, statement=record.id) for name in ("cai", "dai")))
    assert sorted(answer.get("code", "released") for answer in answers) == ["STATEMENT_RELEASED", "released"]
    for name in (PAYER, REFERRER):
        month.confirm(record, name)
    for state in ("PROPOSED", "FINAL"):
        answers = hubs.race(*(hubs.call("settle", statement=record.id) for _ in range(2)))
        won = [answer["head"]["state"] for answer in answers if "head" in answer]
        told = {answer["code"] for answer in answers if "code" in answer}
        assert set(won) == {state} and told <= {
            "CHAIN_STEP_UNDER_WAY",
            "STATEMENT_NOT_OPEN",
            "WINDOW_OPEN",
            "NOTHING_TO_SETTLE",
        }, answers
        assert only(month).state == state
        month.pass_window()
    assert_settled_once(month)
