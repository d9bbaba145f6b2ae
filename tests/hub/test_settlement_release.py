"""Maker and checker: nobody releases what they closed, and until somebody else does nobody outside sees a draft."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from ecowire import codec_settlement
from hub import settlement_release
from hub.settlement_errors import (
    MakerIsChecker,
    NotInThisRole,
    StatementNotOpen,
    StatementNotReleased,
    StatementRejected,
    StatementReleased,
    StatementVoid,
)
from hub.store_statements import RELEASED, Hand, StatementLife
from revenue_share.ledger import EntryState
from tests.hub.settling import CAI, FEI, PAYER, REFERRER, Settling, settling
from tests.support.revenue import event, referral


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Settling]:
    with settling(tmp_path) as made:
        made.report_october()
        yield made


def sent(month: Settling) -> set[str]:
    """The nodes that were sent a statement."""
    return {
        name for name in (PAYER, REFERRER) for task in month.hub.open_tasks(name) if "settlement.statement" in task.kind
    }


def test_the_maker_is_named_and_does_not_release(month: Settling) -> None:
    record = month.draft()
    with pytest.raises(MakerIsChecker, match="fei made"):
        month.command("release", statement=record.id)
    renewed = replace(FEI, fingerprint="f2" * 32)  # the same person with a new certificate
    with pytest.raises(MakerIsChecker):
        month.command("release", by=renewed, statement=record.id)
    with pytest.raises(MakerIsChecker):  # another name on the same certificate
        month.command("release", by=replace(CAI, fingerprint=FEI.fingerprint), statement=record.id)
    assert not sent(month)


def test_before_release_nothing_leaves_the_house_and_nothing_is_settled(month: Settling) -> None:
    record = month.draft()
    assert not sent(month)
    for step in (
        lambda: month.confirm(record, REFERRER),
        lambda: month.dispute(record, REFERRER),
        lambda: month.settle(record),
    ):
        with pytest.raises(StatementNotReleased, match="made by fei"):
            step()
    assert [entry.state for entry in month.entries()] == [EntryState.PENDING]


def test_another_person_releases_once(month: Settling) -> None:
    record = month.draft()
    told = month.command("release", by=CAI, statement=record.id[:12]).head
    assert (told["made_by"], told["checked_by"], told["check"]) == ("fei", "cai", "released")
    assert sent(month) == {PAYER, REFERRER}
    assert ("statement.released", record.id) in month.hub.leaves()
    for command, head in (("release", {}), ("reject", {"reason": "late"})):
        with pytest.raises(StatementReleased, match="cai"):
            month.command(command, by=CAI, statement=record.id, **head)
    assert month.command("statement", statement=record.id).head["hands"] == told
    assert month.confirm(record, REFERRER).head["receipt"]


def test_what_came_in_between_close_and_release_is_not_disclosed_with_it(month: Settling) -> None:
    record = month.draft()
    month.report_referrals([referral(9)])
    month.command("release", by=CAI, statement=record.id)
    task = month.hub.store.read("test", lambda tx: tx.tasks.get(settlement_release.task_id(record, PAYER)))
    opened = codec_settlement.open_disclosure(task.body, record.id, PAYER, month.hub.parties[PAYER].sealing)
    assert (len(opened.referrals), len(opened.events)) == (1, 1)


@pytest.mark.parametrize("who", [FEI, CAI], ids=["maker", "checker"])
def test_a_rejected_draft_is_void_and_its_period_open_again(month: Settling, who: object) -> None:
    record = month.draft()
    told = month.command("reject", by=who, statement=record.id, reason="the March file is missing").head
    assert (told["check"], told["check_reason"]) == ("rejected", "the March file is missing")
    assert month.record(record.id).state == "VOID"
    assert [entry.state for entry in month.entries()] == [EntryState.VOIDED]
    with pytest.raises(StatementRejected):
        month.command("release", by=CAI, statement=record.id)
    with pytest.raises(StatementVoid):
        month.settle(record)
    month.report_events([event("e3", 3, 2000)])
    again = month.close()
    assert (again.body["sequence"], again.body["total_minor"]) == (1, 6773)


def test_the_database_too_wants_two_persons(month: Settling) -> None:
    record = month.draft()
    alone = Hand(person="fei", certificate="f1" * 32, at=month.hub.now(), decision=RELEASED)
    with pytest.raises(IntegrityError, match="four_eyes"):
        month.hub.store.run("test", lambda tx: StatementLife(tx.session).add_check(record.id, alone, alone))


def test_what_was_disputed_is_not_released_again(month: Settling) -> None:
    record = month.close()
    month.dispute(record, REFERRER)
    with pytest.raises(StatementReleased):
        month.command("release", by=CAI, statement=record.id)
    with pytest.raises(StatementNotOpen):
        month.confirm(record, REFERRER)
    with pytest.raises(NotInThisRole):
        month.dispute(record, "bank")
