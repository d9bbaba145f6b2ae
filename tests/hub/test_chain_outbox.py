"""Chain transactions survive a crash at every line: nothing is sent twice, nothing is booked twice, nothing is lost."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from contracts.errors import ChainRefused, ChainUnavailable, CodeDiffers, ReceiptTimeout, TransactionReverted
from hub import settlement, settlement_case, settlement_chain
from hub.chain_errors import ChainNonceStuck, ChainNonceTaken, ChainSetBack
from hub.services import Services
from hub.settlement_errors import StatementNotOpen
from hub.store import Store
from hub.store_ledger import DONE, FAILED, OPEN, Intent, LedgerStore
from revenue_share.ledger import EntryState
from sandbox.chain.verify import seal_again
from tests.hub.settling import Settling, settling
from tests.support.sandbox_chain import CHAIN_ID, KEYS, OUTSIDER, Local, local


class PowerCut(BaseException):
    """The process ends here; no handler of expected errors sees it."""


def power_cut() -> None:
    raise PowerCut


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Cut:
    """Stands before a store or chain; the end comes before or after the call of one name."""

    def __init__(self, behind: Any, name: str, when: str, end: Callable[[], None] = power_cut) -> None:
        self._behind, self._name, self._when, self._end = behind, name, when, end

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._behind, attribute)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            here = self._name == attribute or (attribute in ("run", "read") and arguments[0] == self._name)
            if here and self._when == "before":
                self._end()
            result = found(*arguments, **named)
            if here:
                self._end()
            return result

        return call


POINTS = ("call", "nonce", "sign", "chain.intent", "send", "receipt", "chain.outcome")


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Settling]:
    with settling(tmp_path) as made:
        made.report_october()
        yield made


def cut(month: Settling, name: str, when: str) -> Services:
    """The hub's services as a process sees them that loses its power at one place."""
    chain = Cut(month.chain.chain, name, when)
    return replace(month.services, store=Cut(month.services.store, name, when), chain=lambda: chain)  # type: ignore[arg-type]


def intents(month: Settling) -> tuple[Intent, ...]:
    found: tuple[Intent, ...] = month.hub.store.read("test", lambda tx: LedgerStore(tx.session).intents())
    return found


def chain_events(month: Settling) -> list[str]:
    chain: Chain = month.chain.chain
    logs = chain.logs(month.contract, 0, chain.head())
    names = [event.name for event in chain_settlement.events(logs, month.contract)]
    return [name for name in names if name in ("Proposed", "Finalised")]


def crash(month: Settling, record: Any, name: str, when: str) -> None:
    broken = cut(month, name, when)
    with pytest.raises(PowerCut):
        settlement_chain.settle(broken, None, month.hub.now(), {"statement": record.id})  # type: ignore[arg-type]


def check_done_once(month: Settling, record: Any) -> None:
    assert chain_events(month) == ["Proposed", "Finalised"]
    assert [(i.kind, i.state) for i in intents(month)] == [("propose", DONE), ("finalise", DONE)]
    kinds = [kind for kind, subject in month.hub.leaves() if subject == record.id]
    assert (kinds.count("statement.proposed"), kinds.count("statement.final")) == (1, 1)
    assert [entry.state for entry in month.entries()] == [EntryState.POSTED]
    assert month.record(record.id).state == "FINAL"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", POINTS)
def test_a_crash_while_proposing(month: Settling, name: str, when: str) -> None:
    record = month.confirmed()
    crash(month, record, name, when)
    assert month.record(record.id).state == ("PROPOSED" if (name, when) == ("chain.outcome", "after") else "DRAFT")
    settlement.resume_at_start(month.services)
    if month.record(record.id).state == "DRAFT":
        assert month.settle(record) == "PROPOSED"
    month.pass_window()
    assert month.settle(record) == "FINAL"
    check_done_once(month, record)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", POINTS)
def test_a_crash_between_chain_and_journal_while_finalising(month: Settling, name: str, when: str) -> None:
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    crash(month, record, name, when)
    if month.record(record.id).state != "FINAL":
        assert [entry.state for entry in month.entries()] == [EntryState.PENDING]
        assert month.settle(record) == "FINAL"  # the same command again, without a restart's resume
    check_done_once(month, record)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["chain.intent", "send", "receipt", "chain.outcome"])
def test_a_process_killed_while_proposing_settles_once(month: Settling, name: str, when: str) -> None:
    """SIGKILL in a process of its own, on the same database file and over a real socket; then this one goes on."""
    record = month.confirmed()
    child = os.fork()
    if not child:
        try:
            store = Cut(Store(month.services.store.url), name, when, killed)
            chain = Cut(Chain(month.chain.server.endpoint, CHAIN_ID), name, when, killed)
            services = replace(month.services, store=store, chain=lambda: chain)  # type: ignore[arg-type]
            settlement_chain.settle(services, None, month.hub.now(), {"statement": record.id})  # type: ignore[arg-type]
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    settlement.resume_at_start(month.services)
    if month.record(record.id).state == "DRAFT":
        assert (name, when) == ("chain.intent", "before"), "a decided step is finished by the restart alone"
        assert month.settle(record) == "PROPOSED"
    month.pass_window()
    assert month.settle(record) == "FINAL"
    check_done_once(month, record)


def test_a_crash_inside_the_outcomes_transaction_leaves_nothing_of_it(
    month: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = month.confirmed()
    month.settle(record)
    month.pass_window()

    def fails(*_: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(settlement_chain.terms, "announce", fails)  # the last line of the outcome
        with pytest.raises(PowerCut):
            month.settle(record)
    assert month.record(record.id).state == "PROPOSED"
    assert [entry.state for entry in month.entries()] == [EntryState.PENDING]
    assert [i.state for i in intents(month)] == [DONE, OPEN]
    assert settlement_chain.resume(month.services) == 1
    check_done_once(month, record)


def test_the_same_bytes_are_sent_after_a_restart(month: Settling) -> None:
    record = month.confirmed()
    crash(month, record, "send", "after")
    (before,) = intents(month)
    sent: list[bytes] = []

    class Recording:
        def __getattr__(self, name: str) -> Any:
            if name == "send":
                return lambda raw: (sent.append(raw), month.chain.chain.send(raw))[1]
            return getattr(month.chain.chain, name)

    settlement_chain.resume(replace(month.services, chain=Recording))
    assert sent == [before.raw]
    assert [(i.raw, i.state) for i in intents(month)] == [(before.raw, DONE)]


def failing(month: Settling, name: str, failure: Exception, *, after: bool = False) -> Services:
    """Services whose chain fails at one method, before or after it has done its work."""
    behind = month.chain.chain

    class Failing:
        def __getattr__(self, attribute: str) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                if after:
                    getattr(behind, attribute)(*arguments, **named)
                raise failure

            return call if attribute == name else getattr(behind, attribute)

    return replace(month.services, chain=Failing)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("name", "failure"),
    [("send", ChainUnavailable(endpoint="x", why="gone")), ("receipt", ReceiptTimeout(transaction="0x", seconds=60))],
)
def test_an_unreachable_chain_leaves_the_step_open(month: Settling, name: str, failure: Exception, after: bool) -> None:
    record = month.confirmed()
    services = failing(month, name, failure, after=after)
    with pytest.raises(type(failure)):
        settlement_chain.settle(services, None, month.hub.now(), {"statement": record.id})  # type: ignore[arg-type]
    assert [i.state for i in intents(month)] == [OPEN]
    assert month.settle(record) == "PROPOSED"
    month.pass_window()
    month.settle(record)
    check_done_once(month, record)


def test_a_dispute_does_not_reach_a_statement_on_its_way_to_the_chain(month: Settling) -> None:
    record = month.confirmed()
    crash(month, record, "chain.intent", "after")
    with pytest.raises(StatementNotOpen):
        month.dispute(record, "platform-a")
    assert month.settle(record) == "PROPOSED"


def test_a_draft_disputed_while_the_chain_was_asked_is_not_sent(month: Settling) -> None:
    record = month.confirmed()
    behind = month.chain.chain

    class Disputing:
        def __getattr__(self, name: str) -> Any:
            if name == "nonce":
                return lambda address: (month.dispute(record, "platform-a"), behind.nonce(address))[1]
            return getattr(behind, name)

    with pytest.raises(StatementNotOpen):
        settlement_chain.settle(
            replace(month.services, chain=Disputing),
            None,
            month.hub.now(),
            {"statement": record.id},  # type: ignore[arg-type]
        )
    assert intents(month) == ()
    assert chain_events(month) == []


def test_a_sender_the_chain_does_not_admit_can_be_replaced(month: Settling) -> None:
    record = month.confirmed()
    outside = replace(month.services, submitter=lambda: OUTSIDER)
    with pytest.raises(ChainRefused):
        settlement_chain.settle(outside, None, month.hub.now(), {"statement": record.id})  # type: ignore[arg-type]
    assert [(i.state, i.nonce) for i in intents(month)] == [(FAILED, 0)]
    assert month.settle(record) == "PROPOSED"
    assert [i.state for i in intents(month)] == [FAILED, DONE]


def test_what_the_chain_did_not_admit_is_sent_again_as_the_same_transaction(month: Settling) -> None:
    """The account had no fee, or the endpoint no place: later the same call is the very same bytes."""
    record = month.confirmed()
    refused = failing(month, "send", ChainRefused(why="insufficient funds for gas * price + value"))
    for _ in range(2):
        with pytest.raises(ChainRefused):
            settlement_chain.settle(refused, None, month.hub.now(), {"statement": record.id})  # type: ignore[arg-type]
        assert [(i.state, i.nonce) for i in intents(month)] == [(FAILED, 0)]
    assert month.settle(record) == "PROPOSED"
    assert [i.state for i in intents(month)] == [DONE]
    month.pass_window()
    assert month.settle(record) == "FINAL"
    check_done_once(month, record)


def test_a_transaction_that_the_contract_reverts_after_the_rehearsal(month: Settling) -> None:
    """Between rehearsal and sealing somebody else submits the same statement: ours is reverted and closed as failed."""
    record = month.confirmed()
    behind = month.chain.chain
    case = month.hub.store.read("test", lambda tx: settlement_case.of(tx, month.record(record.id)))
    anchor = settlement_chain.codec_settlement.anchor(case.made)
    data = chain_settlement.propose_data(anchor, case.signatures["broker"], case.signatures["platform-a"])

    class Racing:
        def __getattr__(self, name: str) -> Any:
            if name == "sign":
                behind.execute(month.contract, data, KEYS["broker"].secret)
            return getattr(behind, name)

    with pytest.raises(TransactionReverted):
        settlement_chain.settle(
            replace(month.services, chain=Racing),
            None,
            month.hub.now(),
            {"statement": record.id},  # type: ignore[arg-type]
        )
    assert [i.state for i in intents(month)] == [FAILED]
    assert chain_events(month) == ["Proposed"]


# --- a chain that is not the one the books know -----------------------------------------------------------------------


def copy_of(chain: Local, blocks: int) -> Local:
    """A chain put back from a copy that holds the first so many blocks after block 0."""
    made = Local()
    for number in range(1, blocks + 1):
        row = chain.ledger.store.block(number)
        assert row is not None
        seal_again(made.ledger, [tx.raw for tx in chain.ledger.store.txs(number)], number, row.timestamp)
        assert made.ledger.head().hash == row.hash
    made.now = chain.now
    return made


@contextmanager
def put_back(month: Settling, older: Local) -> Iterator[None]:
    """The hub's endpoint answers from another chain for a while."""
    newest = month.chain.chain
    month.chain.chain = older.chain
    try:
        yield
    finally:
        month.chain.chain = newest
        older.close()


def test_a_ledger_put_back_from_an_older_copy_is_noticed_before_anything_is_sent(month: Settling) -> None:
    record = month.confirmed()
    before = month.chain.chain.head()
    month.settle(record)
    month.pass_window()
    older = copy_of(month.chain, before)
    with put_back(month, older):
        for _ in range(2):
            with pytest.raises(ChainSetBack) as caught:
                month.settle(record)
        assert older.chain.head() == before
    facts = caught.value.facts
    (done,) = intents(month)
    assert (facts["nonce"], facts["block"], facts["sender"]) == (0, str(done.block), KEYS["submitter"].address)
    for sentence in (caught.value.message("en"), caught.value.message("zh")):
        assert "[chain] endpoint" in sentence
        assert "ecohub sandbox chain import" in sentence
    assert month.settle(record) == "FINAL"
    check_done_once(month, record)


def test_an_open_step_waits_for_the_newest_copy_and_then_sends_the_same_bytes(month: Settling) -> None:
    record = month.confirmed()
    before = month.chain.chain.head()
    month.settle(record)
    month.pass_window()
    crash(month, record, "chain.intent", "after")
    stored = intents(month)
    with put_back(month, copy_of(month.chain, before)), pytest.raises(ChainSetBack):
        settlement_chain.resume(month.services)
    assert intents(month) == stored
    assert settlement_chain.resume(month.services) == 1
    assert [i.raw for i in intents(month)] == [i.raw for i in stored]
    check_done_once(month, record)


def test_a_number_ahead_of_a_chain_that_was_set_back_stays_open(month: Settling) -> None:
    """Nothing of ours is sealed by the books, yet the stored number is past the chain's: something was there before."""
    record = month.confirmed()
    submitter, chain = KEYS["submitter"], month.chain.chain
    chain.send(chain.sign(submitter.address, b"", 0, submitter.secret)[0])
    crash(month, record, "chain.intent", "after")
    with put_back(month, copy_of(month.chain, chain.head() - 1)), pytest.raises(ChainSetBack):
        settlement_chain.resume(month.services)
    assert [(i.nonce, i.state) for i in intents(month)] == [(1, OPEN)]
    assert settlement_chain.resume(month.services) == 1
    assert [(i.nonce, i.state) for i in intents(month)] == [(1, DONE)]


def test_another_chain_of_the_same_number_is_noticed(month: Settling) -> None:
    record = month.confirmed()
    with local() as other:
        newest, month.chain.chain = month.chain.chain, other.chain
        with pytest.raises(CodeDiffers):  # nothing was sent yet: the contract is what tells
            month.settle(record)
        month.chain.chain = newest
        month.settle(record)
        month.chain.chain = other.chain
        with pytest.raises(ChainSetBack):
            month.settle(record)
        assert other.chain.head() == 0
        month.chain.chain = newest


def test_a_number_that_somebody_else_used_is_told_and_the_step_can_be_done_again(month: Settling) -> None:
    record = month.confirmed()
    crash(month, record, "chain.intent", "after")
    submitter, chain = KEYS["submitter"], month.chain.chain
    chain.send(chain.sign(submitter.address, b"foreign", 0, submitter.secret)[0])
    with pytest.raises(ChainNonceTaken, match="second hub"):
        settlement_chain.resume(month.services)
    assert [(i.nonce, i.state) for i in intents(month)] == [(0, FAILED)]
    assert month.settle(record) == "PROPOSED"
    assert [(i.nonce, i.state) for i in intents(month)] == [(0, FAILED), (1, DONE)]
    assert chain_events(month) == ["Proposed"]


def test_a_step_behind_a_stuck_transaction_waits_and_is_sealed_with_the_same_bytes(month: Settling) -> None:
    """An endpoint with a pool: somebody's transaction of our account lies in it, unsealed, and ours queues behind."""
    record = month.confirmed()
    submitter, behind = KEYS["submitter"], month.chain.chain
    foreign = behind.sign(submitter.address, b"", 0, submitter.secret)[0]
    pool: list[bytes] = []

    class Pooled:
        def __getattr__(self, name: str) -> Any:
            return getattr(behind, name)

        def nonce(self, address: Any, tag: str = "pending") -> int:
            return behind.nonce(address) + (tag == "pending")

        def send(self, raw: bytes) -> str:
            pool.append(raw)
            return "0x"

        def receipt(self, transaction: str) -> Any:
            raise ReceiptTimeout(transaction=transaction, seconds=1)

    services = replace(month.services, chain=Pooled)
    for _ in range(2):
        with pytest.raises(ChainNonceStuck, match="behind number 0"):
            settlement_chain.settle(services, None, month.hub.now(), {"statement": record.id})  # type: ignore[arg-type]
    (waiting,) = intents(month)
    assert (waiting.nonce, waiting.state) == (1, OPEN)
    assert pool == [waiting.raw, waiting.raw]
    behind.send(foreign)
    assert month.settle(record) == "PROPOSED"
    assert [(i.raw, i.state) for i in intents(month)] == [(waiting.raw, DONE)]
