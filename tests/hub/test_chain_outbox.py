"""Chain transactions survive a crash at every line: nothing is sent twice, nothing is booked twice, nothing is lost."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from contracts.errors import ChainRefused, ChainUnavailable, ReceiptTimeout, TransactionReverted
from hub import settlement, settlement_chain
from hub.services import Services
from hub.settlement_errors import StatementNotOpen
from hub.store_ledger import DONE, FAILED, OPEN, Intent, LedgerStore
from revenue_share.ledger import EntryState
from tests.hub.settling import Settling, settling
from tests.support.sandbox_chain import KEYS, OUTSIDER


class PowerCut(BaseException):
    """The process ends here; no handler of expected errors sees it."""


class Cut:
    """Stands before a store or chain; cuts the power before or after the call of one name."""

    def __init__(self, behind: Any, name: str, when: str) -> None:
        self._behind, self._name, self._when = behind, name, when

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._behind, attribute)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            here = self._name == attribute or (attribute in ("run", "read") and arguments[0] == self._name)
            if here and self._when == "before":
                raise PowerCut
            result = found(*arguments, **named)
            if here:
                raise PowerCut
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


def test_a_transaction_that_the_contract_reverts_after_the_rehearsal(month: Settling) -> None:
    """Between rehearsal and sealing somebody else submits the same statement: ours is reverted and closed as failed."""
    record = month.confirmed()
    behind = month.chain.chain
    case = month.hub.store.read("test", lambda tx: settlement_chain._case(tx, month.record(record.id)))
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
