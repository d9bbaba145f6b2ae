"""The books as people ask for them: balances as of an instant or a period, the entries behind them, and period locks.

With a period, what was booked in the periods before is its opening balance, what was booked in it are its debits and
credits. With an instant, everything is as it stood then: what was posted later is pending, what came later is absent.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from hub import settlement_terms as terms
from hub import times
from hub.identity import Caller
from hub.records import Head
from hub.services import HeadInvalid, Reply, Services, only, text
from hub.settlement_errors import PeriodNotOver
from hub.store import Transaction
from hub.store_ledger import LedgerStore, View
from privacy import canonical
from privacy.ids import Period, parse_period
from revenue_share import accounts, periods
from revenue_share.ledger import Balance, Dated, EntryState

ENTRIES_SHOWN_MAX = 1000  # the newest of a view; its balances count all


def ledger(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Balances of posted entries, of pending ones, and the newest entries of a view.

    Fields, all optional: `as_of` an instant, `period` a month, `account` an account or a class of the chart. Raises
    MalformedMessage, MalformedIdentifier, HeadInvalid.
    """
    only(head, "as_of", "period", "account")
    view = View(
        instant=times.parse(head["as_of"]) if head.get("as_of") else None,
        last=parse_period(head["period"]) if head.get("period") else None,
        account=_account(head),
    )
    books = LedgerStore(tx.session)
    shown = replace(view, first=view.last)
    found: Head = {
        "as_of": times.iso(view.instant) if view.instant else None,
        "period": view.last,
        "account": view.account,
        "locked": books.locked(),
        "balances": _balances(books, view),
        "pending": [_balance(item, 0) for item in books.balances(view, EntryState.PENDING)],
        "entries": [_entry(dated, view.instant) for dated in books.journal(shown, newest=ENTRIES_SHOWN_MAX)],
        "entries_in_all": books.count(shown),
    }
    return Reply(head=found)


def lock(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Lock the books up to and with a period: nothing is dated into it any more. There is no unlocking.

    Raises PeriodNotOver, PeriodLocked, PeriodPending.
    """
    only(head, "period")
    period = parse_period(head.get("period"))
    end = max(periods.period_bounds(period, zone)[1] for zone in _zones(tx))
    if now < end:
        raise PeriodNotOver(period=period, end=times.iso(end))
    LedgerStore(tx.session).lock(period, caller.name, now)
    balances = LedgerStore(tx.session).balances(View(last=period))
    facts: Head = {"person": caller.name, "certificate": caller.fingerprint, "accounts": len(balances)}
    services.log.append(tx, now, "period.lock", period, facts=facts)
    return Reply(head={"period": period, "locked": times.iso(now), "by": caller.name})


def _zones(tx: Transaction) -> Iterable[ZoneInfo]:
    """The zones whose clocks the agreements' months follow; UTC where there is no agreement."""
    return [agreement.zone for agreement in terms.all_active(tx)] or [ZoneInfo("UTC")]


def _account(head: Head) -> str | None:
    """The account, or the class of accounts, that is asked for. Raises HeadInvalid for one the chart does not have."""
    if not head.get("account"):
        return None
    name = text(head, "account", longest=80)
    if not accounts.known(name) and name not in {one.name for one in accounts.CHART}:
        classes = ", ".join(f"{one.name}:<{one.each}>" if one.each else one.name for one in accounts.CHART)
        raise HeadInvalid(field="account", why=f"the chart has {classes}")
    return name


def _balances(books: LedgerStore, view: View) -> list[canonical.Value]:
    """Of each account and asset: what was there before the period, what the period booked."""
    found = {(item.account, item.asset): item for item in books.balances(replace(view, first=view.last))}
    before: dict[tuple[str, str], int] = {}
    if view.last is not None:
        earlier = books.balances(replace(view, last=_before(view.last)))
        before = {(item.account, item.asset): item.net_minor for item in earlier}
    return [
        _balance(
            found.get(key) or Balance(account=key[0], asset=key[1], debit_minor=0, credit_minor=0), before.get(key, 0)
        )
        for key in sorted(found.keys() | before.keys())
    ]


def _balance(item: Balance, opening_minor: int) -> canonical.Value:
    return {
        "account": item.account,
        "asset": item.asset,
        "opening_minor": opening_minor,
        "debit_minor": item.debit_minor,
        "credit_minor": item.credit_minor,
        "closing_minor": opening_minor + item.net_minor,
    }


def _before(period: Period) -> Period:
    year, month = (int(part) for part in period.split("-"))
    return Period(f"{year - 1}-12" if month == 1 else f"{year}-{month - 1:02d}")


def _entry(dated: Dated, instant: datetime | None) -> canonical.Value:
    entry = dated.entry if instant is None else dated.at(instant)
    assert entry is not None, "the view holds what was recorded by then"
    decided = dated.decided_at if entry.state is not EntryState.PENDING else None
    return {
        **entry.to_value(),
        "recorded": times.iso(dated.recorded_at),
        "decided": times.iso(decided) if decided else None,
    }
