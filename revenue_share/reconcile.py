"""Reconciliation: what was ordered to be paid, told against what the bank booked.

Rules, in this order; what one rule takes no later one sees:

    REFERENCE  a debit names the EndToEndId of one order, or of several whose sum it is; amount and currency agree
    PARTS      several debits name one order and together are its amount
    AMOUNT     a debit without a known reference: one order of the same amount and creditor within the window, and no
               other debit could be it
    SUM        such a debit is the sum of exactly one set of orders: all of its creditor, or as many as the bank counted

Whatever could be two things is AMBIGUOUS and left to two people: nothing is ever guessed, and the order of the input
does not matter. Every movement ends in exactly one match, return or exception; every open order in one match, in an
exception, or waiting for the bank. So totals tie by construction, and `reconcile` asserts it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import combinations

from revenue_share.ledger import Side
from revenue_share.movements import (
    ExceptionClass,
    ExceptionItem,
    Match,
    Movement,
    Order,
    OrderState,
    Reconciliation,
    Return,
    Rule,
)

EARLY_DAYS = 1  # a bank in another time zone books a day before
WINDOW_DAYS = 5  # a payment is missing after this many calendar days; a weekend and a holiday fit in
PARTS_MAX = 8  # debits of one order
POOL_MAX = 12  # orders among which a sum is sought: at most 2^12 sets


def reconcile(orders: Iterable[Order], movements: Iterable[Movement], as_of: date) -> Reconciliation:
    """Match movements with orders as of a day. Ids must be unique on each side; settled orders are for repeats."""
    work = _Work({o.id: o for o in sorted(orders, key=lambda o: o.id)}, as_of)
    given = sorted(movements, key=lambda m: (m.booked, m.id))
    assert len({m.id for m in given}) == len(given), "a movement twice"
    debits = [m for m in given if m.side is Side.DEBIT]
    unnamed = _by_reference(work, debits)
    for movement in given:
        if movement.side is Side.CREDIT:
            _credit(work, movement)
    _by_sum(work, _by_amount(work, unnamed))
    found = work.result()
    _check_complete(found, work.orders.values(), given)
    return found


@dataclass
class _Work:
    orders: dict[str, Order]
    as_of: date
    matches: list[Match] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)
    exceptions: list[ExceptionItem] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)

    def is_open(self, order: Order) -> bool:
        return order.state is OrderState.OPEN and order.id not in self.settled

    def match(self, rule: Rule, orders: Sequence[Order], movements: Sequence[Movement]) -> None:
        assert sum(o.amount_minor for o in orders) == sum(m.amount_minor for m in movements), "a match of unequal sums"
        self.settled.update(order.id for order in orders)
        ids = tuple(sorted(order.id for order in orders))
        self.matches.append(Match(rule=rule, orders=ids, movements=tuple(m.id for m in movements)))

    def leave(self, kind: ExceptionClass, movement: Movement, orders: Iterable[Order] = ()) -> None:
        concerned = tuple(sorted(order.id for order in orders))
        self._add(kind, movement.id, concerned, movement.booked)

    def _add(self, kind: ExceptionClass, movement: str, orders: tuple[str, ...], since: date) -> None:
        age = max(0, (self.as_of - since).days)
        self.exceptions.append(ExceptionItem(kind=kind, movement=movement, orders=orders, since=since, age_days=age))

    def named(self, movement: Movement) -> list[Order]:
        """The orders that a movement names."""
        return [self.orders[reference] for reference in sorted(movement.references) if reference in self.orders]

    def free(self) -> list[Order]:
        """Open orders that no exception concerns: another debit may be theirs already."""
        held = {order for item in self.exceptions for order in item.orders}
        return [order for order in self.orders.values() if self.is_open(order) and order.id not in held]

    def near(self, movement: Movement, among: Iterable[Order]) -> list[Order]:
        """Those that this debit could pay by account and day, whatever the amount."""
        early, late = timedelta(days=EARLY_DAYS), timedelta(days=WINDOW_DAYS)
        return [
            order
            for order in among
            if order.account in ("", movement.account) and order.due - early <= movement.booked <= order.due + late
        ]

    def result(self) -> Reconciliation:
        named = {order for item in self.exceptions for order in item.orders}
        waiting = []
        for order in self.orders.values():
            if not self.is_open(order) or order.id in named:
                continue
            if order.due + timedelta(days=WINDOW_DAYS) < self.as_of:
                self._add(ExceptionClass.MISSING, "", (order.id,), order.due)
            else:
                waiting.append(order.id)
        return Reconciliation(
            matches=tuple(sorted(self.matches, key=lambda m: m.orders)),
            returns=tuple(sorted(self.returns, key=lambda r: r.order)),
            exceptions=tuple(sorted(self.exceptions, key=lambda e: (e.since, e.kind.value, e.movement, e.orders))),
            waiting=tuple(waiting),
        )


def _by_reference(work: _Work, debits: Sequence[Movement]) -> list[Movement]:
    """Debits that name orders are decided; gives the others."""
    unnamed: list[Movement] = []
    single: dict[str, list[Movement]] = {}
    for movement in debits:
        named = work.named(movement)
        if not named:
            unnamed.append(movement)
        elif len(named) == 1:
            single.setdefault(named[0].id, []).append(movement)
        else:
            _batch(work, movement, named)
    for name in sorted(single):
        _single(work, work.orders[name], single[name])
    return unnamed


def _batch(work: _Work, movement: Movement, named: Sequence[Order]) -> None:
    """A debit that names several orders."""
    if not all(work.is_open(order) for order in named):
        work.leave(_closed(named), movement, named)
    elif any(order.currency != movement.currency for order in named):
        work.leave(ExceptionClass.CURRENCY_DIFFERS, movement, named)
    elif any(_elsewhere(order, movement) for order in named):
        work.leave(ExceptionClass.ACCOUNT_DIFFERS, movement, named)
    elif sum(order.amount_minor for order in named) != movement.amount_minor:
        work.leave(ExceptionClass.AMOUNT_DIFFERS, movement, named)
    else:
        work.match(Rule.REFERENCE, named, [movement])


def _single(work: _Work, order: Order, movements: Sequence[Movement]) -> None:
    """The debits that name one order and no other. The first of the right amount pays it; a second one is twice."""
    if not work.is_open(order):
        for movement in movements:
            work.leave(_closed([order]), movement, [order])
        return
    right = []
    for movement in movements:
        if movement.currency != order.currency:
            work.leave(ExceptionClass.CURRENCY_DIFFERS, movement, [order])
        elif _elsewhere(order, movement):
            work.leave(ExceptionClass.ACCOUNT_DIFFERS, movement, [order])
        else:
            right.append(movement)
    whole = [movement for movement in right if movement.amount_minor == order.amount_minor]
    if whole:
        work.match(Rule.REFERENCE, [order], whole[:1])
        for movement in right:
            if movement is not whole[0]:
                work.leave(ExceptionClass.DUPLICATED, movement, [order])
    elif 1 < len(right) <= PARTS_MAX and sum(m.amount_minor for m in right) == order.amount_minor:
        work.match(Rule.PARTS, [order], right)
    else:
        for movement in right:
            work.leave(ExceptionClass.AMOUNT_DIFFERS, movement, [order])


def _closed(named: Sequence[Order]) -> ExceptionClass:
    """Of a debit that names orders of which one is not open: paid before, or for two people to say."""
    held = any(order.state is OrderState.HELD for order in named)
    return ExceptionClass.AMBIGUOUS if held else ExceptionClass.DUPLICATED


def _credit(work: _Work, movement: Movement) -> None:
    """Money that came in: the return of one paid order where the bank says exactly that, else an exception.

    Less than the order's amount came in where the bank itself says that it kept the difference as its charge.
    """
    named = work.named(movement)
    if not named:
        work.leave(ExceptionClass.RETURNED if movement.returned else ExceptionClass.EXTRA, movement)
        return
    order = named[0]
    back = order.state is OrderState.RETURNED or any(known.order == order.id for known in work.returns)
    paid = order.state is OrderState.SETTLED or order.id in work.settled
    if len(named) > 1 or not (paid or back):
        work.leave(ExceptionClass.RETURNED, movement, named)
    elif back:
        work.leave(ExceptionClass.DUPLICATED, movement, named)
    elif movement.currency != order.currency:
        work.leave(ExceptionClass.CURRENCY_DIFFERS, movement, named)
    elif order.account not in ("", movement.account):
        work.leave(ExceptionClass.ACCOUNT_DIFFERS, movement, named)
    elif order.amount_minor - movement.amount_minor not in (0, movement.charge_minor):
        work.leave(ExceptionClass.AMOUNT_DIFFERS, movement, named)
    elif not movement.returned:
        work.leave(ExceptionClass.RETURNED, movement, named)
    else:
        kept = order.amount_minor - movement.amount_minor
        work.returns.append(Return(order=order.id, movement=movement.id, charge_minor=kept))


def _by_amount(work: _Work, movements: Sequence[Movement]) -> list[Movement]:
    """Debits without a known reference that are one order's amount; gives those that are nobody's."""
    free = work.free()
    fits: dict[str, list[Order]] = {}
    claims: Counter[str] = Counter()
    for movement in movements:
        fits[movement.id] = [
            order
            for order in work.near(movement, free)
            if (order.currency, order.amount_minor) == (movement.currency, movement.amount_minor)
            and _same_creditor(order, movement)
        ]
        claims.update(order.id for order in fits[movement.id])
    rest = []
    for movement in movements:
        found = fits[movement.id]
        if not found:
            rest.append(movement)
        elif len(found) == 1 and claims[found[0].id] == 1:
            work.match(Rule.AMOUNT, found, [movement])
        else:
            work.leave(ExceptionClass.AMBIGUOUS, movement, found)
    return rest


def _by_sum(work: _Work, movements: Sequence[Movement]) -> None:
    """Debits that are the sum of one set of orders; the others are exceptions of a class."""
    free = work.free()
    sums: dict[str, list[tuple[Order, ...]]] = {}
    claims: Counter[str] = Counter()
    for movement in movements:
        pool = [
            order
            for order in work.near(movement, free)
            if order.currency == movement.currency and order.amount_minor < movement.amount_minor
            if movement.count > 1 or _same_creditor(order, movement)
        ]
        if len(pool) > POOL_MAX:
            work.leave(ExceptionClass.AMBIGUOUS, movement, pool)
            continue
        sums[movement.id] = _sets(pool, movement)
        claims.update({order.id for chosen in sums[movement.id] for order in chosen})
    nobodys = []
    for movement in movements:
        found = sums.get(movement.id)
        if found is None:
            continue
        if len(found) == 1 and all(claims[order.id] == 1 for order in found[0]):
            work.match(Rule.SUM, found[0], [movement])
        elif found:
            work.leave(ExceptionClass.AMBIGUOUS, movement, {o.id: o for chosen in found for o in chosen}.values())
        else:
            nobodys.append(movement)
    free = work.free()
    for movement in nobodys:
        _near(work, movement, free)


def _sets(pool: Sequence[Order], movement: Movement) -> list[tuple[Order, ...]]:
    """Up to two sets of at least two orders whose sum is the movement's amount."""
    sizes = [movement.count] if movement.count > 1 else range(2, len(pool) + 1)
    found: list[tuple[Order, ...]] = []
    for size in sizes:
        for chosen in combinations(pool, size):
            if sum(order.amount_minor for order in chosen) == movement.amount_minor:
                found.append(chosen)
                if len(found) == 2:
                    return found
    return found


def _near(work: _Work, movement: Movement, free: Sequence[Order]) -> None:
    """A debit that is nobody's amount: of one order's creditor it says what differs, else it is extra."""
    found = [order for order in work.near(movement, free) if _same_creditor(order, movement)]
    if len(found) != 1:
        work.leave(ExceptionClass.EXTRA, movement)
    elif found[0].currency != movement.currency:
        work.leave(ExceptionClass.CURRENCY_DIFFERS, movement, found)
    else:
        work.leave(ExceptionClass.AMOUNT_DIFFERS, movement, found)


def _same_creditor(order: Order, movement: Movement) -> bool:
    """Whether the bank names the order's creditor: by account where both have one, else by the exact name."""
    if order.counterparty and movement.counterparty:
        return order.counterparty == movement.counterparty
    return bool(order.name) and order.name == movement.name


def _elsewhere(order: Order, movement: Movement) -> bool:
    """Whether a debit with the right reference left another account, or went to another one."""
    to = movement.counterparty
    return order.account not in ("", movement.account) or (bool(to) and order.counterparty not in ("", to))


def _check_complete(found: Reconciliation, orders: Iterable[Order], movements: Sequence[Movement]) -> None:
    """Every movement has one place; every open order has one."""
    placed = [name for match in found.matches for name in match.movements]
    placed += [back.movement for back in found.returns] + [e.movement for e in found.exceptions if e.movement]
    assert sorted(placed) == sorted(m.id for m in movements), "a movement without a place, or with two"
    settled = [name for match in found.matches for name in match.orders]
    assert len(set(settled)) == len(settled), "an order was paid twice"
    rest = {order.id for order in orders if order.state is OrderState.OPEN} - set(settled)
    held = {name for item in found.exceptions for name in item.orders}
    assert rest == (rest & held) | set(found.waiting), "an open order without a place"
