"""Matches by hand: what no rule may decide, one person of finance proposes and another approves.

    PAID       open orders were paid by these entries; debits less credits are their sum, to the minor unit
    RETURNED   a settled payment came back by these credits; their sum, and the charge that the bank kept, is its amount
    RELEASED   open orders that the bank did not and will not carry out: they may be ordered again
    EXPLAINED  entries of no payment of ours: bank charges, interest, or money that went to or came from outside

Neither person can make unequal sums equal; both names and the reason stay on record.
"""

from datetime import datetime

from hub import payment_matching, payment_suspense
from hub.identity import Caller
from hub.payment_details import by, require_another
from hub.payment_errors import MatchInvalid, MatchUnknown, ReviewOver
from hub.payment_suspense import PLACES
from hub.records import Head
from hub.services import Reply, Services, only, text
from hub.store import Transaction
from hub.store_bank import (
    APPROVED,
    EXPLAINED,
    MANUAL,
    PAID,
    PROPOSED,
    REFUSED,
    RELEASED,
    RETURNED,
    BankStore,
    Entry,
    MatchRecord,
)
from hub.store_payments import ORDERED, SETTLED, PaymentOrder, PaymentStore
from revenue_share.money import Money

KINDS = (PAID, RETURNED, RELEASED, EXPLAINED)
NAMED_MAX = 100
REASON_MAX = 500


def propose(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """The first person's word. Raises MatchInvalid where it could not be carried out."""
    only(head, "kind", "orders", "entries", "reason", "to", "charge")
    kind, reason = text(head, "kind", longest=20), text(head, "reason", longest=REASON_MAX)
    if kind not in KINDS:
        raise MatchInvalid(why=f"one of {', '.join(KINDS)} is expected")
    orders, entries = _orders(tx, head), _entries(tx, head)
    names = tuple(order.end_to_end_id for order in orders)
    ids = tuple(entry.id for entry in entries)
    for other in BankStore(tx.session).matches(states=(PROPOSED,)):
        if set(other.orders) & set(names) or set(other.entries) & set(ids):
            raise MatchInvalid(why=f"the match {other.id[:16]} of the same waits for its decision")
    account, charge = _account(kind, head.get("to")), _charge(kind, orders, head.get("charge"))
    _check(kind, orders, entries, charge)
    if kind == RELEASED:
        _require_unbooked(tx, orders)
    made = payment_matching.record_of(tx, kind, MANUAL, names, ids, caller, now, reason, account, charge)
    facts: Head = {"kind": kind, "orders": [*names], "entries": [*ids], "state": PROPOSED}
    services.log.append(tx, now, "bank.match", made.id, facts=facts)
    return Reply(head=payment_matching.value(made))


def decide(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Another person's word: approved, the match is carried out here. Raises MatchUnknown, ReviewOver, FourEyes."""
    only(head, "match", "decision")
    books, name = BankStore(tx.session), text(head, "match", longest=64)
    decision = text(head, "decision", longest=10)
    made = books.match(name)
    if made is None:
        raise MatchUnknown(match=name)
    if made.state != PROPOSED:
        raise ReviewOver(what=made.id[:16], state=made.state)
    require_another(caller, made.proposed_by, made.certificate)
    if decision not in ("approve", "refuse"):
        raise MatchInvalid(why="approve or refuse is expected")
    state = APPROVED if decision == "approve" else REFUSED
    books.decide_match(made, state, caller.name, now)
    services.log.append(tx, now, "bank.match", made.id, facts={"kind": made.kind, "state": state, **by(caller)})
    if state == APPROVED:
        _carry_out(services, tx, made, now)
    decided = books.match(made.id)
    assert decided is not None, "a match that was decided is there"
    return Reply(head=payment_matching.value(decided))


def show(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """All matches, by rule and by hand, with who proposed and decided them."""
    only(head)
    return Reply(head={"matches": [payment_matching.value(one) for one in BankStore(tx.session).matches()]})


def _carry_out(services: Services, tx: Transaction, made: MatchRecord, now: datetime) -> None:
    orders = [_order(tx, name) for name in made.orders]
    entries = [_entry(tx, name) for name in made.entries]
    _check(made.kind, orders, entries, made.charge)  # as it is now: time has passed since it was proposed
    if made.kind == PAID:
        payment_matching.settle(services, tx, made, orders, entries, now)
    elif made.kind == RETURNED:
        payment_matching.take_back(services, tx, made, orders[0], entries, now)
    elif made.kind == RELEASED:
        _require_unbooked(tx, orders)
        for order in orders:
            PaymentStore(tx.session).end_order(order, RELEASED, made.id)
    else:
        payment_suspense.explain(tx, made, entries, now)


def _account(kind: str, place: object) -> str:
    """The account of the place that explained money goes to; empty for the other kinds."""
    if kind == EXPLAINED and isinstance(place, str) and place in PLACES:
        return PLACES[place]
    if kind == EXPLAINED or place is not None:
        raise MatchInvalid(why=f"EXPLAINED, and no other kind, says where the money belongs: {', '.join(PLACES)}")
    return ""


def _charge(kind: str, orders: list[PaymentOrder], given: object) -> Money | None:
    """What the bank kept of a return, in the order's currency. Raises MatchInvalid, AmountMalformed, AmountTooLarge."""
    if given is None:
        return None
    if kind != RETURNED or not orders or not isinstance(given, str):
        raise MatchInvalid(why="RETURNED, and no other kind, may name a charge that the bank kept, such as 5.00")
    charge = Money.from_text(given, orders[0].currency)
    if charge.minor <= 0:
        raise MatchInvalid(why="a charge is an amount above zero: what the bank kept of the return")
    return charge


def _check(kind: str, orders: list[PaymentOrder], entries: list[Entry], charge: Money | None) -> None:
    wanted = {PAID: (True, True), RETURNED: (True, True), RELEASED: (True, False), EXPLAINED: (False, True)}[kind]
    if (bool(orders), bool(entries)) != wanted:
        told = {(True, True): "orders and entries", (True, False): "orders alone", (False, True): "entries alone"}
        raise MatchInvalid(why=f"{kind} takes {told[wanted]}")
    state = SETTLED if kind == RETURNED else ORDERED
    for order in orders:
        if order.state != state:
            raise MatchInvalid(why=f"the order {order.end_to_end_id} is {order.state}, not {state}")
    for entry in entries:
        if entry.settled_by is not None:
            raise MatchInvalid(why=f"the entry {entry.id[:16]} is settled by {entry.settled_by[:16]}")
    if kind in (PAID, RETURNED):
        _check_sums(kind, orders, entries, charge.minor if charge else 0)
    if kind == RETURNED and (len(orders) != 1 or any(entry.value["debit"] for entry in entries)):
        raise MatchInvalid(why="a return takes one order and credits")


def _require_unbooked(tx: Transaction, orders: list[PaymentOrder]) -> None:
    """An order that an open debit names may have been paid: released, it would be ordered and paid again."""
    names = {order.end_to_end_id for order in orders}
    for entry in BankStore(tx.session).entries(unsettled=True):
        references = entry.value["references"]
        assert isinstance(references, list), "an entry has its references"
        if entry.value["debit"] and names & set(references):
            raise MatchInvalid(why=f"the bank's debit {entry.id[:16]} names an order of these: settle or explain it")


def _check_sums(kind: str, orders: list[PaymentOrder], entries: list[Entry], kept: int) -> None:
    currencies = {order.currency for order in orders} | {str(entry.value["currency"]) for entry in entries}
    if len(currencies) != 1:
        raise MatchInvalid(why=f"they are of several currencies: {', '.join(sorted(currencies))}")
    owed = sum(order.amount_minor for order in orders)
    moved = sum(map(payment_suspense.signed, entries))
    if moved != (-owed if kind == PAID else owed - kept):
        charged = f" and the charge to {kept}" if kept else ""
        raise MatchInvalid(why=f"the orders sum to {owed} minor units, the entries to {moved}{charged}")


def _orders(tx: Transaction, head: Head) -> list[PaymentOrder]:
    found = [_order(tx, name) for name in _names(head, "orders")]
    if len({order.end_to_end_id for order in found}) != len(found):
        raise MatchInvalid(why="orders: one stands there twice")
    return found


def _entries(tx: Transaction, head: Head) -> list[Entry]:
    found = [_entry(tx, name) for name in _names(head, "entries")]
    if len({entry.id for entry in found}) != len(found):
        raise MatchInvalid(why="entries: one stands there twice")
    return found


def _order(tx: Transaction, name: str) -> PaymentOrder:
    found = PaymentStore(tx.session).order(name)
    if found is None:
        raise MatchInvalid(why=f"there is no order {name[:40]}, or several begin so")
    return found


def _entry(tx: Transaction, name: str) -> Entry:
    found = BankStore(tx.session).entry(name)
    if found is None:
        raise MatchInvalid(why=f"there is no entry {name[:64]}, or several begin so")
    return found


def _names(head: Head, field: str) -> list[str]:
    given = head.get(field) or []
    if not isinstance(given, list) or len(given) > NAMED_MAX or not all(isinstance(name, str) for name in given):
        raise MatchInvalid(why=f"{field}: a list of at most {NAMED_MAX} names is expected")
    return [str(name) for name in given]
