"""Reconciliation: each rule, each class of exception, and that totals always tie."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue_share.ledger import Side
from revenue_share.movements import ExceptionClass, Movement, Order, OrderState, Reconciliation, Rule
from revenue_share.reconcile import PARTS_MAX, POOL_MAX, reconcile

DUE = date(2026, 11, 10)
SOON = DUE + timedelta(days=2)
LATE = DUE + timedelta(days=30)


def order(name: str, minor: int = 6673, /, **changes) -> Order:
    return replace(
        Order(id=name, currency="CNY", amount_minor=minor, due=DUE, account="OURS", counterparty="THEIRS", name="平台"),
        **changes,
    )


def movement(name: str, minor: int = 6673, /, *references: str, **changes) -> Movement:
    made = Movement(
        id=name,
        account="OURS",
        currency="CNY",
        amount_minor=minor,
        side=Side.DEBIT,
        booked=DUE,
        references=frozenset(references),
        counterparty="THEIRS",
    )
    return replace(made, **changes)


def back(name: str, minor: int, /, *references: str, **changes) -> Movement:
    return movement(name, minor, *references, side=Side.CREDIT, **{"returned": True, **changes})


def rules(found: Reconciliation) -> list[tuple[Rule, tuple[str, ...], tuple[str, ...]]]:
    return [(match.rule, match.orders, match.movements) for match in found.matches]


def kinds(found: Reconciliation) -> list[tuple[str, str, tuple[str, ...]]]:
    return sorted((item.kind.value, item.movement, item.orders) for item in found.exceptions)


# --- rules


def test_a_debit_that_names_its_order_pays_it() -> None:
    found = reconcile([order("a"), order("b")], [movement("m", 6673, "a", "noise")], SOON)
    assert rules(found) == [(Rule.REFERENCE, ("a",), ("m",))]
    assert (found.exceptions, found.waiting) == ((), ("b",))


def test_one_entry_that_names_several_orders_is_their_sum() -> None:
    batch = movement("m", 300, "a", "b", counterparty="", count=2)
    found = reconcile([order("a", 100), order("b", 200)], [batch], SOON)
    assert rules(found) == [(Rule.REFERENCE, ("a", "b"), ("m",))]


def test_several_debits_of_one_order_are_its_parts() -> None:
    found = reconcile([order("a", 100)], [movement("m", 60, "a"), movement("n", 40, "a")], SOON)
    assert rules(found) == [(Rule.PARTS, ("a",), ("m", "n"))]


def test_a_debit_without_reference_is_told_by_amount_creditor_and_day() -> None:
    found = reconcile([order("a"), order("b", 6674)], [movement("m")], SOON)
    assert rules(found) == [(Rule.AMOUNT, ("a",), ("m",))]


def test_a_creditor_is_told_by_name_where_the_bank_gives_no_account() -> None:
    found = reconcile([order("a")], [movement("m", counterparty="", name="平台")], SOON)
    assert rules(found) == [(Rule.AMOUNT, ("a",), ("m",))]


def test_an_entry_without_reference_may_be_the_sum_of_one_set() -> None:
    orders = [order("a", 100), order("b", 200), order("c", 450)]
    assert rules(reconcile(orders, [movement("m", 300)], SOON)) == [(Rule.SUM, ("a", "b"), ("m",))]


def test_a_batch_without_references_is_told_by_the_number_of_its_payments() -> None:
    orders = [order("a", 100), order("b", 200, counterparty="OTHERS"), order("c", 300)]
    batch = movement("m", 300, counterparty="", count=2)
    assert rules(reconcile(orders, [batch], SOON)) == [(Rule.SUM, ("a", "b"), ("m",))]


def test_a_creditor_without_an_approved_account_is_told_by_name() -> None:
    found = reconcile([order("a", counterparty="")], [movement("m", name="平台")], SOON)
    assert rules(found) == [(Rule.AMOUNT, ("a",), ("m",))]


def test_a_return_takes_back_the_payment_it_names_also_of_the_same_day() -> None:
    found = reconcile([order("a")], [movement("m", 6673, "a"), back("r", 6673, "a")], SOON)
    assert [(item.order, item.movement) for item in found.returns] == [("a", "r")]
    later = reconcile([order("a", state=OrderState.SETTLED)], [back("r", 6673, "a")], SOON)
    assert [(item.order, item.movement) for item in later.returns] == [("a", "r")]


def test_a_return_less_the_charge_that_the_bank_states_takes_back_the_payment() -> None:
    paid = order("a", state=OrderState.SETTLED)
    (item,) = reconcile([paid], [back("r", 6173, "a", charge_minor=500)], SOON).returns
    assert (item.order, item.movement, item.charge_minor) == ("a", "r", 500)
    (item,) = reconcile([paid], [back("r", 6673, "a", charge_minor=500)], SOON).returns
    assert item.charge_minor == 0  # booked by itself: the whole amount came back


@pytest.mark.parametrize(
    ("minor", "changes", "kind"),
    [
        pytest.param(6173, {}, "AMOUNT_DIFFERS", id="nothing-stated"),
        pytest.param(6173, {"charge_minor": 499}, "AMOUNT_DIFFERS", id="less-stated"),
        pytest.param(6173, {"charge_minor": 501}, "AMOUNT_DIFFERS", id="more-stated"),
        pytest.param(6174, {"charge_minor": 500}, "AMOUNT_DIFFERS", id="another-credit"),
        pytest.param(6173, {"charge_minor": 500, "returned": False}, "RETURNED", id="not-said-to-be-a-return"),
        pytest.param(6173, {"charge_minor": 500, "currency": "HKD"}, "CURRENCY_DIFFERS", id="currency"),
    ],
)
def test_less_came_back_than_the_bank_accounts_for(minor: int, changes: dict, kind: str) -> None:
    found = reconcile([order("a", state=OrderState.SETTLED)], [back("r", minor, "a", **changes)], SOON)
    assert (kinds(found), found.returns) == ([(kind, "r", ("a",))], ())


# --- exceptions


@pytest.mark.parametrize(
    ("movements", "kind"),
    [
        pytest.param([movement("m", 6672, "a")], "AMOUNT_DIFFERS", id="partial-by-a-fen"),
        pytest.param([movement("m", 6674, "a")], "AMOUNT_DIFFERS", id="overpaid-by-a-fen"),
        pytest.param([movement("m", 6672)], "AMOUNT_DIFFERS", id="no-reference-but-the-creditor"),
        pytest.param([movement("m", 6673, "a", currency="HKD")], "CURRENCY_DIFFERS", id="currency"),
        pytest.param([movement("m", 6673, currency="HKD")], "CURRENCY_DIFFERS", id="currency-without-reference"),
        pytest.param([movement("m", 6673, "a", counterparty="THIEF")], "ACCOUNT_DIFFERS", id="creditors-account"),
        pytest.param([movement("m", 6673, "a", account="OTHER")], "ACCOUNT_DIFFERS", id="our-account"),
        pytest.param([back("r", 6673, "a")], "RETURNED", id="return-of-what-was-not-paid"),
    ],
)
def test_what_differs_is_named_and_pays_nothing(movements: list[Movement], kind: str) -> None:
    found = reconcile([order("a")], movements, LATE)
    assert kinds(found) == [(kind, movements[0].id, ("a",))]
    assert not found.matches and not found.returns and not found.waiting


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(movement("m", counterparty="STRANGER"), id="stranger"),
        pytest.param(movement("m", counterparty=""), id="nobody"),
        pytest.param(movement("m", 6673, "unknown", counterparty="STRANGER"), id="unknown-reference"),
        pytest.param(movement("m", booked=DUE - timedelta(days=2)), id="early"),
        pytest.param(movement("m", booked=DUE + timedelta(days=6)), id="late"),
        pytest.param(back("m", 6673, returned=False), id="credit"),
        pytest.param(movement("m", 13346, counterparty="STRANGER"), id="sum-to-a-stranger"),
        pytest.param(movement("m", 20019, counterparty="", count=2), id="sum-of-three-counted-as-two"),
    ],
)
def test_what_nobody_ordered_is_extra(stray: Movement) -> None:
    orders = [order("a"), order("b"), order("c")] if stray.amount_minor > 6673 else [order("a")]
    assert kinds(reconcile(orders, [stray], SOON)) == [("EXTRA", "m", ())]


def test_a_batch_of_another_sum_pays_none() -> None:
    orders = [order("a", 100), order("b", 200)]
    for minor in (299, 301):
        found = reconcile(orders, [movement("m", minor, "a", "b", counterparty="", count=2)], SOON)
        assert kinds(found) == [("AMOUNT_DIFFERS", "m", ("a", "b"))] and not found.matches


def test_an_order_in_more_parts_than_the_limit_is_left_to_people() -> None:
    parts = [movement(f"m{i}", 10, "a") for i in range(PARTS_MAX + 1)]
    found = reconcile([order("a", 10 * len(parts))], parts, SOON)
    assert {item.kind for item in found.exceptions} == {ExceptionClass.AMOUNT_DIFFERS} and not found.matches
    fewer = parts[:-1]
    assert rules(reconcile([order("a", 10 * len(fewer))], fewer, SOON))[0][0] is Rule.PARTS


def test_a_payment_made_twice_is_taken_once() -> None:
    found = reconcile([order("a")], [movement("m", 6673, "a"), movement("n", 6673, "a")], SOON)
    assert rules(found) == [(Rule.REFERENCE, ("a",), ("m",))]
    assert kinds(found) == [("DUPLICATED", "n", ("a",))]


@pytest.mark.parametrize("state", [OrderState.SETTLED, OrderState.RETURNED])
def test_an_order_that_was_decided_takes_no_other_debit(state: OrderState) -> None:
    found = reconcile([order("a", state=state)], [movement("m", 6673, "a")], SOON)
    assert kinds(found) == [("DUPLICATED", "m", ("a",))]


def test_a_batch_with_a_paid_order_pays_none() -> None:
    orders = [order("a", 100, state=OrderState.SETTLED), order("b", 200)]
    found = reconcile(orders, [movement("m", 300, "a", "b", counterparty="")], SOON)
    assert kinds(found) == [("DUPLICATED", "m", ("a", "b"))] and not found.matches


@pytest.mark.parametrize(
    ("credit", "kind"),
    [
        (back("r", 6672, "a"), "AMOUNT_DIFFERS"),
        (back("r", 6673, "a", currency="HKD"), "CURRENCY_DIFFERS"),
        (back("r", 6673, "a", account="OTHER"), "ACCOUNT_DIFFERS"),
        (back("r", 6673, "a", returned=False), "RETURNED"),
        (back("r", 13346, "a", "b"), "RETURNED"),
        (back("r", 6673), "RETURNED"),
    ],
)
def test_a_return_that_does_not_say_exactly_what_it_takes_back_is_left_to_people(credit: Movement, kind: str) -> None:
    paid = [order("a", state=OrderState.SETTLED), order("b", state=OrderState.SETTLED)]
    found = reconcile(paid, [credit], SOON)
    assert [item.kind.value for item in found.exceptions] == [kind] and not found.returns


def test_a_payment_is_returned_once() -> None:
    found = reconcile([order("a", state=OrderState.SETTLED)], [back("r", 6673, "a"), back("s", 6673, "a")], SOON)
    assert len(found.returns) == 1
    assert kinds(found) == [("DUPLICATED", "s", ("a",))]


@pytest.mark.parametrize(
    ("orders", "movements"),
    [
        pytest.param([order("a"), order("b")], [movement("m")], id="two-orders"),
        pytest.param([order("a")], [movement("m"), movement("n")], id="two-debits"),
        pytest.param(
            [order("a", 100), order("b", 200), order("c", 300), order("d", 500)],
            [movement("m", 600)],
            id="two-sums",
        ),
        pytest.param([order("a", 100), order("b", 200)], [movement("m", 300), movement("n", 300)], id="one-sum-twice"),
        pytest.param([order(f"o{i:02}", 100 + i) for i in range(POOL_MAX + 1)], [movement("m", 303)], id="too-many"),
    ],
)
def test_what_could_be_two_things_is_left_to_people(orders: list[Order], movements: list[Movement]) -> None:
    found = reconcile(orders, movements, SOON)
    assert {item.kind for item in found.exceptions} == {ExceptionClass.AMBIGUOUS} and not found.matches
    assert len(found.exceptions) == len(movements)


def test_an_order_that_an_exception_concerns_is_not_paid_by_another_debit() -> None:
    found = reconcile([order("a", 100)], [movement("m", 40, "a"), movement("n", 100)], SOON)
    assert kinds(found) == [("AMOUNT_DIFFERS", "m", ("a",)), ("EXTRA", "n", ())]


def test_a_missing_payment_has_an_age() -> None:
    within = reconcile([order("a")], [], DUE + timedelta(days=5))
    assert (within.waiting, within.exceptions) == (("a",), ())
    (item,) = reconcile([order("a")], [], DUE + timedelta(days=6)).exceptions
    assert (item.kind, item.orders, item.since, item.age_days) == (ExceptionClass.MISSING, ("a",), DUE, 6)


# --- properties

AMOUNTS = st.integers(1, 6).map(lambda n: n * 100)
DAYS = st.integers(-3, 9).map(lambda n: DUE + timedelta(days=n))
NAMES = [f"o{i}" for i in range(6)]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Order], list[Movement]]:
    orders = [
        order(
            name,
            draw(AMOUNTS),
            currency=draw(st.sampled_from(["CNY", "HKD"])),
            counterparty=draw(st.sampled_from(["THEIRS", "OTHERS", ""])),
            state=draw(st.sampled_from([OrderState.OPEN, OrderState.OPEN, OrderState.SETTLED, OrderState.RETURNED])),
        )
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True))
    ]
    movements = [
        movement(
            f"m{i}",
            draw(AMOUNTS),
            *draw(st.lists(st.sampled_from([*NAMES, "x"]), max_size=3)),
            side=draw(st.sampled_from([Side.DEBIT, Side.DEBIT, Side.CREDIT])),
            currency=draw(st.sampled_from(["CNY", "HKD"])),
            booked=draw(DAYS),
            counterparty=draw(st.sampled_from(["THEIRS", "OTHERS", ""])),
            count=draw(st.integers(1, 3)),
            returned=draw(st.booleans()),
        )
        for i in range(draw(st.integers(0, 7)))
    ]
    return orders, movements


@given(worlds(), st.randoms(use_true_random=False))
def test_totals_always_tie_and_the_order_of_the_input_does_not_matter(world, random) -> None:
    orders, movements = world
    found = reconcile(orders, movements, LATE)
    shuffled, again = list(movements), list(orders)
    random.shuffle(shuffled)
    random.shuffle(again)
    assert reconcile(again, shuffled, LATE) == found

    by_id = {m.id: m for m in movements}
    owed = {o.id: o for o in orders}
    in_file: Counter[tuple[str, Side]] = Counter()
    for m in movements:
        in_file[m.currency, m.side] += m.amount_minor
    told: Counter[tuple[str, Side]] = Counter()
    for name in [
        *(name for match in found.matches for name in match.movements),
        *(item.movement for item in found.returns),
        *(item.movement for item in found.exceptions if item.movement),
    ]:
        told[by_id[name].currency, by_id[name].side] += by_id[name].amount_minor
    assert told == in_file  # the file = matched + returned + exceptions
    for match in found.matches:
        assert sum(owed[o].amount_minor for o in match.orders) == sum(by_id[m].amount_minor for m in match.movements)
        assert {owed[o].currency for o in match.orders} == {by_id[m].currency for m in match.movements}
        assert all(owed[o].state is OrderState.OPEN for o in match.orders)
    paid = [o for match in found.matches for o in match.orders]
    assert len(paid) == len(set(paid))  # nothing is paid twice


def test_a_debit_that_names_an_order_two_people_have_pays_no_other_one():
    """The same amount to the same creditor: by its amount it would be the other order's."""
    held, other = order("held", state=OrderState.HELD), order("other")
    found = reconcile([held, other], [movement("m", 6673, "held")], SOON)
    assert (rules(found), kinds(found), found.waiting) == ([], [("AMBIGUOUS", "m", ("held",))], ("other",))
