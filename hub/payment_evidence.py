"""Payments in the evidence bundle: each settled order with what its commitment stands for, and what the bank booked.

No accounts of the bank's, no names.
"""

from ecowire import evidence
from hub import payment_suspense
from hub.payment_chain import of_order
from hub.store import Transaction
from hub.store_bank import EXPLAINED, BankStore, Entry, MatchRecord
from hub.store_payments import PaymentOrder, PaymentStore
from privacy import canonical
from revenue_share.money import Money

NAME = "payments/payments.jsonl"
BANK = "payments/bank.jsonl"


def entries(tx: Transaction) -> dict[str, bytes]:
    """The bundle's entries by name; none where nothing was settled, or booked, yet."""
    return _payments(tx) | _bank(tx)


def _payments(tx: Transaction) -> dict[str, bytes]:
    orders = [order for order in PaymentStore(tx.session).orders() if order.payout_salt and order.settled_by]
    if not orders:
        return {}
    books = BankStore(tx.session)
    charges = {match.id: match.charge for match in books.matches()}
    matched = {str(order.settled_by): books.entries(match=str(order.settled_by)) for order in orders}
    return {
        NAME: evidence.jsonl(
            [_payment(order, matched[str(order.settled_by)], charges.get(order.ended_by or "")) for order in orders]
        )
    }


def _bank(tx: Transaction) -> dict[str, bytes]:
    books = BankStore(tx.session)
    matches = {match.id: match for match in books.matches()}
    found = [_booked(entry, matches.get(entry.settled_by or "")) for entry in books.entries()]
    return {BANK: evidence.jsonl(found)} if found else {}


def _booked(entry: Entry, match: MatchRecord | None) -> canonical.Value:
    explained = match is not None and match.kind == EXPLAINED
    return {
        "entry": entry.id,
        "currency": entry.value["currency"],
        "amount_minor": entry.value["amount_minor"],
        "debit": entry.value["debit"],
        "suspended": entry.suspended_by is not None,
        "match": match.id if match else None,
        "kind": match.kind if match else None,
        "account": payment_suspense.account_of(match) if match and explained else None,
    }


def _payment(order: PaymentOrder, matched: tuple[Entry, ...], charge: Money | None) -> canonical.Value:
    payout = of_order(order, str(order.payout_salt), matched)
    booked: list[canonical.Value] = [
        {
            "entry": entry.id,
            "currency": entry.value["currency"],
            "amount_minor": entry.value["amount_minor"],
            "debit": entry.value["debit"],
        }
        for entry in matched
    ]
    return {
        "statement": order.statement,
        "attempt": order.attempt,
        "state": order.state,
        "match": order.settled_by,
        "returned_by": order.ended_by,
        "charge_minor": charge.minor if charge else 0,
        "payout": payout.to_value(),
        "commitment": order.payout,
        "entries": booked,
    }
