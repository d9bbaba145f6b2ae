"""The books as people ask for them: as of an instant, of a period, of an account; and the lock of a period."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecowire.status import MalformedMessage
from hub import settlement
from hub.ledger_errors import PeriodLocked, PeriodPending
from hub.services import FINANCE, HeadInvalid
from hub.settlement_errors import PeriodNotOver
from privacy.ids import MalformedIdentifier, Period
from tests.hub.settling import NOVEMBER, OCTOBER, Settling, settling

SHARE, PAYABLE = "expense:partner_share", "liability:payable:platform-a"


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Settling]:
    with settling(tmp_path) as made:
        made.report_october()
        yield made


def ledger(month: Settling, **asked: Any) -> dict[str, Any]:
    return dict(month.command("ledger", **asked).head)


def amounts(found: dict[str, Any], name: str = "balances") -> dict[str, tuple[int, ...]]:
    columns = ("opening_minor", "debit_minor", "credit_minor", "closing_minor")
    return {line["account"]: tuple(line[column] for column in columns) for line in found[name]}


def final(month: Settling) -> None:
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    assert month.settle(record) == "FINAL"


def test_what_was_posted_later_is_pending_as_of_an_earlier_instant(month: Settling) -> None:
    before = month.hub.now() - timedelta(seconds=1)
    record = month.confirmed()
    closed = month.hub.now()
    month.settle(record)
    month.pass_window()
    month.hub.clock.now += timedelta(days=4)
    assert month.settle(record) == "FINAL"
    posted = {SHARE: (0, 6673, 0, 6673), PAYABLE: (0, 0, 6673, -6673)}
    now = ledger(month)
    assert (amounts(now), amounts(now, "pending"), len(now["entries"])) == (posted, {}, 1)
    then = ledger(month, as_of=closed.isoformat())
    assert (amounts(then), amounts(then, "pending")) == ({}, posted)
    assert [(entry["state"], entry["decided"]) for entry in then["entries"]] == [("PENDING", None)]
    earlier = ledger(month, as_of=before.isoformat())
    assert (earlier["balances"], earlier["pending"], earlier["entries"]) == ([], [], [])


def test_a_period_opens_with_what_was_booked_before_it(month: Settling) -> None:
    final(month)
    assert amounts(ledger(month, period=OCTOBER))[PAYABLE] == (0, 0, 6673, -6673)
    november = ledger(month, period=NOVEMBER)
    assert amounts(november)[PAYABLE] == (-6673, 0, 0, -6673)
    assert (november["entries"], november["entries_in_all"]) == ([], 0)
    assert amounts(ledger(month, period="2026-09")) == {}


@pytest.mark.parametrize("account", [PAYABLE, "liability:payable"], ids=["account", "class"])
def test_one_account_or_a_class_of_the_chart(month: Settling, account: str) -> None:
    final(month)
    assert amounts(ledger(month, account=account)) == {PAYABLE: (0, 0, 6673, -6673)}
    assert ledger(month, account="liability:accrued")["entries_in_all"] == 0


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"account": "expense:lunch"}, HeadInvalid),
        ({"account": "liability:payable:"}, HeadInvalid),
        ({"account": 5}, HeadInvalid),
        ({"as_of": "2026-11-05"}, MalformedMessage),
        ({"period": "2026-13"}, MalformedIdentifier),
        ({"since": "2026-10"}, HeadInvalid),
    ],
    ids=["unknown", "of-nobody", "no-text", "no-offset", "no-month", "unknown-field"],
)
def test_what_is_not_understood_is_refused(month: Settling, asked: dict[str, Any], refused: type[Exception]) -> None:
    with pytest.raises(refused):
        ledger(month, **asked)


def test_a_period_is_locked_once_it_is_over_and_nothing_in_it_is_pending(month: Settling) -> None:
    with pytest.raises(PeriodNotOver):
        month.command("lock", period=OCTOBER)
    record = month.confirmed()
    with pytest.raises(PeriodPending):
        month.command("lock", period=OCTOBER)
    month.settle(record)
    month.pass_window()
    month.settle(record)
    month.command("lock", period=OCTOBER)
    assert ledger(month)["locked"] == OCTOBER
    for period in (OCTOBER, Period("2026-09")):
        with pytest.raises(PeriodLocked):
            month.command("lock", period=period)
    kinds = [kind for kind, subject in month.hub.leaves() if subject == OCTOBER]
    assert kinds == ["period.lock"]


def test_a_month_is_not_closed_into_locked_books(month: Settling) -> None:
    month.hub.clock.now += timedelta(days=60)
    month.command("lock", period=OCTOBER)
    with pytest.raises(PeriodLocked):
        month.close()
    assert month.entries() == ()


def test_only_finance_locks() -> None:
    assert settlement.COMMANDS["lock"].roles == (FINANCE,)
