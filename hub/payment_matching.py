"""Reconciliation in the books: orders against bank entries by the pure rules, and what a match does.

A match marks its orders settled and its entries taken, posts debit payable, credit bank for each order, and commits to
the bank's reference; a statement whose payment is settled can be marked paid on the chain. A return reverses the entry:
the amount is payable again, under a new EndToEndId. All of it in one transaction.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from hub import bank_import, payment_chain, payment_suspense, times
from hub.identity import Caller
from hub.payment_errors import JournalEntryMissing
from hub.payment_suspense import booked, signed, today
from hub.records import Head
from hub.services import Reply, Services, only
from hub.store import Transaction
from hub.store_bank import APPROVED, MANUAL, PAID, PROPOSED, BankStore, Entry, MatchRecord
from hub.store_bank import RETURNED as MONEY_BACK
from hub.store_ledger import LedgerStore
from hub.store_payments import ORDERED, RELEASED, RETURNED, SETTLED, PaymentOrder, PaymentStore
from privacy import canonical
from privacy.ids import Period
from revenue_share import accounts, ledger, reconcile
from revenue_share.ledger import JournalEntry, Side
from revenue_share.money import Money
from revenue_share.movements import ExceptionItem, Movement, Order, OrderState, Reconciliation
from revenue_share.suspense import RAIL

MATCH_LABEL = "ecohub/bank-match/v1"
PARTS = ("exceptions", "entries", "matched", "returned")  # of a currency's totals
# a released order stays known: money that moves for it after all is told, and never taken for the next attempt
STATES = {
    ORDERED: OrderState.OPEN,
    SETTLED: OrderState.SETTLED,
    RETURNED: OrderState.RETURNED,
    RELEASED: OrderState.RETURNED,
}


def run(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Match what the rules can decide, as of today, and say what they can't. Again, it changes nothing more."""
    only(head)
    found, entries = compute(tx, now)
    by_id = {entry.id: entry for entry in entries}
    orders = {order.end_to_end_id: order for order in PaymentStore(tx.session).orders()}
    made = []
    for match in found.matches:
        record = record_of(tx, PAID, match.rule.value, match.orders, match.movements, caller, now)
        settle(services, tx, record, [orders[o] for o in match.orders], [by_id[m] for m in match.movements], now)
        made.append(record)
    for back in found.returns:
        paid = PaymentStore(tx.session).order(back.order)  # as it is now: this run may have settled it
        assert paid is not None, "an order that came back is there"
        charge = Money(currency=paid.currency, minor=back.charge_minor) if back.charge_minor else None
        named = ((back.order,), (back.movement,))
        record = record_of(tx, MONEY_BACK, "REFERENCE", *named, caller, now, charge=charge)
        take_back(services, tx, record, paid, [by_id[back.movement]], now)
        made.append(record)
    payment_suspense.suspend(tx, now)
    return Reply(head={"matched": [value(one) for one in made], **told(tx, found, entries)})


def exceptions(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """What is open as of today: exceptions with class and age, orders that wait, matches that wait for approval."""
    only(head)
    found, entries = compute(tx, now)
    return Reply(head=told(tx, found, entries))


def compute(tx: Transaction, now: datetime) -> tuple[Reconciliation, tuple[Entry, ...]]:
    """The pure rules over what no match settled, with the entries they were given.

    What two people have before them they decide: such entries are left out, such orders are held.
    """
    books = BankStore(tx.session)
    pending = books.matches(states=(PROPOSED,))
    held = {name for match in pending for name in (*match.orders, *match.entries)}
    entries = tuple(entry for entry in books.entries(unsettled=True) if entry.id not in held)
    orders = [_order(one) for one in PaymentStore(tx.session).orders()]
    orders = [
        replace(one, state=OrderState.HELD) if one.id in held and one.state is OrderState.OPEN else one
        for one in orders
    ]
    return reconcile.reconcile(orders, [_movement(entry) for entry in entries], today(now)), entries


def told(tx: Transaction, found: Reconciliation, entries: Iterable[Entry]) -> Head:
    """Exceptions, what waits or stands in suspense, totals by currency: entries = matched + returned + exceptions."""
    by_id = {entry.id: entry for entry in entries}
    orders = {order.end_to_end_id: order for order in PaymentStore(tx.session).orders()}
    pending = BankStore(tx.session).matches(states=(PROPOSED,))
    return {
        "exceptions": [_exception(item, by_id, orders) for item in found.exceptions],
        "waiting": [{"order": name, "due": orders[name].due.isoformat()} for name in found.waiting],
        "proposed": [value(match) for match in pending],
        "totals": totals(found, by_id),
        "suspense": payment_suspense.open_minor(tx),
    }


def totals(found: Reconciliation, by_id: dict[str, Entry]) -> Head:
    """Signed minor units by currency of the open entries, of those matched and returned now, and of the exceptions."""
    sums: dict[str, dict[str, int]] = {}
    matched = {name for match in found.matches for name in match.movements}
    returned = {back.movement for back in found.returns}
    for name, entry in by_id.items():
        part = "matched" if name in matched else "returned" if name in returned else "exceptions"
        row = sums.setdefault(str(entry.value["currency"]), dict.fromkeys(PARTS, 0))
        row[part] += signed(entry)
        row["entries"] += signed(entry)
    told: Head = {currency: {**row} for currency, row in sorted(sums.items())}
    return told


def record_of(
    tx: Transaction,
    kind: str,
    rule: str,
    orders: tuple[str, ...],
    entries: tuple[str, ...],
    caller: Caller,
    now: datetime,
    reason: str = "",
    account: str = "",
    charge: Money | None = None,
) -> MatchRecord:
    """A new match, kept: by a rule it is decided at once, by hand it waits for another person."""
    books = BankStore(tx.session)
    content: list[canonical.Value] = [
        books.next_match(),
        kind,
        rule,
        [*orders],
        [*entries],
        caller.name,
        times.iso(now),
        reason,
    ]
    content += [account] if account else []
    content += [charge.currency, charge.minor] if charge else []
    made = MatchRecord(
        id=canonical.digest(MATCH_LABEL, content).hex(),
        kind=kind,
        rule=rule,
        state=PROPOSED if rule == MANUAL else APPROVED,
        orders=orders,
        entries=entries,
        reason=reason,
        proposed_by=caller.name,
        proposed_at=now,
        certificate=caller.fingerprint,
        account=account,
        charge=charge,
    )
    books.add_match(made)
    return made


def settle(
    services: Services,
    tx: Transaction,
    match: MatchRecord,
    orders: list[PaymentOrder],
    entries: list[Entry],
    now: datetime,
) -> None:
    """The orders are paid by the entries: journal, states, commitments, a leaf for each."""
    month = payment_suspense.month_of(tx, max(map(booked, entries)), now)
    payment_suspense.settle(tx, match, entries, month, now)
    for order in orders:
        salt = services.entropy(32).hex()
        commitment = payment_chain.of_order(order, salt, entries).commitment
        PaymentStore(tx.session).settle_order(order, match.id, commitment, salt)
        LedgerStore(tx.session).post(_entry(match, order, month), now)
        facts: Head = {"order": order.end_to_end_id, "match": match.id, "payout": commitment, "rule": match.rule}
        services.log.append(tx, now, "payment.settled", order.statement, facts=facts)


def take_back(
    services: Services, tx: Transaction, match: MatchRecord, order: PaymentOrder, entries: list[Entry], now: datetime
) -> None:
    """The bank gave a payment back: the entry is reversed, the order ended, the statement owed again, all of it.

    What the bank kept of it is its charge, an expense of the payer's.
    """
    month = payment_suspense.month_of(tx, max(map(booked, entries)), now)
    payment_suspense.settle(tx, match, entries, month, now)
    PaymentStore(tx.session).end_order(order, RETURNED, match.id)
    books = LedgerStore(tx.session)
    paid = [one for one in books.entries(order.settled_by or order.statement) if one.id == _entry_id(order)]
    if len(paid) != 1:
        raise JournalEntryMissing(order=order.end_to_end_id)
    reason = str(entries[0].value["reason"])
    memo = f"returned by the bank {reason}".strip()
    books.post(paid[0].reversing(f"return-{order.end_to_end_id}", memo, month), now)
    if match.charge is not None:
        books.post(_charge(match, match.charge, order, month), now)
    facts: Head = {"order": order.end_to_end_id, "match": match.id, "reason": reason}
    facts |= {"charge_minor": match.charge.minor} if match.charge else {}
    services.log.append(tx, now, "payment.returned", order.statement, facts=facts)


def value(match: MatchRecord) -> Head:
    """A match as it is shown."""
    return {
        "match": match.id,
        "kind": match.kind,
        "rule": match.rule,
        "state": match.state,
        "orders": [*match.orders],
        "entries": [*match.entries],
        "reason": match.reason,
        "account": match.account or None,
        "charge": {"currency": match.charge.currency, "minor": match.charge.minor} if match.charge else None,
        "proposed_by": match.proposed_by,
        "decided_by": match.decided_by,
    }


def _exception(item: ExceptionItem, by_id: dict[str, Entry], orders: dict[str, PaymentOrder]) -> canonical.Value:
    entry = by_id.get(item.movement)
    concerned: list[canonical.Value] = [
        {
            "order": name,
            "statement": orders[name].statement,
            "creditor": orders[name].creditor,
            "currency": orders[name].currency,
            "amount_minor": orders[name].amount_minor,
            "state": orders[name].state,
        }
        for name in item.orders
    ]
    return {
        "class": item.kind.value,
        "since": item.since.isoformat(),
        "age_days": item.age_days,
        "entry": bank_import.entry_value(entry) if entry else None,
        "orders": concerned,
    }


def _order(order: PaymentOrder) -> Order:
    return Order(
        id=order.end_to_end_id,
        currency=order.currency,
        amount_minor=order.amount_minor,
        due=order.due,
        account=order.account,
        counterparty=order.counterparty,
        name=order.name,
        state=STATES[order.state],
    )


def _movement(entry: Entry) -> Movement:
    told: Any = entry.value
    return Movement(
        id=entry.id,
        account=entry.account,
        currency=told["currency"],
        amount_minor=told["amount_minor"],
        side=Side.DEBIT if told["debit"] else Side.CREDIT,
        booked=date.fromisoformat(told["booked"]),
        references=frozenset(told["references"]),
        counterparty=told["counterparty"],
        name=told["name"],
        count=told["count"],
        returned=told["returned"],
        charge_minor=told.get("charge_minor", 0),
    )


def _entry(match: MatchRecord, order: PaymentOrder, month: Period) -> JournalEntry:
    return ledger.transfer(
        _entry_id(order),
        match.id,
        f"paid to {order.creditor}",
        month,
        accounts.payable(order.creditor),
        accounts.bank(RAIL),
        order.currency,
        order.amount_minor,
    )


def _charge(match: MatchRecord, charge: Money, order: PaymentOrder, month: Period) -> JournalEntry:
    return ledger.transfer(
        f"charge-{order.end_to_end_id}",
        match.id,
        "kept by the bank of a return",
        month,
        accounts.BANK_CHARGES,
        accounts.bank(RAIL),
        charge.currency,
        charge.minor,
    )


def _entry_id(order: PaymentOrder) -> str:
    return f"payment-{order.end_to_end_id}"
