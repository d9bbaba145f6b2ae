"""Payments in the evidence bundle: each settled order with what its commitment stands for. No accounts, no names."""

from ecowire import evidence
from hub.payment_chain import of_order
from hub.store import Transaction
from hub.store_bank import BankStore, Entry
from hub.store_payments import PaymentOrder, PaymentStore
from privacy import canonical

NAME = "payments/payments.jsonl"


def entries(tx: Transaction) -> dict[str, bytes]:
    """The entry by name; none where nothing was settled yet."""
    orders = [order for order in PaymentStore(tx.session).orders() if order.payout_salt and order.settled_by]
    if not orders:
        return {}
    books = BankStore(tx.session)
    matched = {str(order.settled_by): books.entries(match=str(order.settled_by)) for order in orders}
    return {NAME: evidence.jsonl([_payment(order, matched[str(order.settled_by)]) for order in orders])}


def _payment(order: PaymentOrder, matched: tuple[Entry, ...]) -> canonical.Value:
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
        "payout": payout.to_value(),
        "commitment": order.payout,
        "entries": booked,
    }
