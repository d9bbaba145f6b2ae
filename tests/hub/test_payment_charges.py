"""Money that came back less a charge: the charge is an expense, the order is payable again, all of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.payment_errors import MatchInvalid
from hub.store_bank import BankStore
from revenue_share import accounts
from revenue_share.errors import AmountMalformed
from tests.hub.paying import IBAN, OCTOBER, PAYABLE, Paying, booked, paying
from tests.hub.settling import CAI


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Paying]:
    with paying(tmp_path) as made:
        yield made


def newest(books: Paying) -> str:
    """The bank's newest entry."""
    return str(books.read(lambda tx: BankStore(tx.session).entries())[-1].id)


def paid_and_back(books: Paying, minor: int, **changes: Any) -> Any:
    """An order that was paid, and what came back of it."""
    order = books.ordered()
    books.bank(booked(order))
    books.do("reconcile")
    told = {"side": "CRDT", "return_reason": "AC04", "bank_reference": "BANKREF-9", "minor": minor}
    books.bank(booked(order, **told | changes), opening=2_000_000)
    return order


def assert_owed_again_less_the_charge(books: Paying, order: Any, kept: int) -> None:
    assert (books.owed(), books.balance(accounts.BANK_CHARGES)) == (PAYABLE, kept)
    assert (books.at_bank(), books.in_suspense()) == (-kept, 0) == (books.booked_by_bank(), 0)
    assert books.do("pay", period=OCTOBER, format="pain.001")["new"] is True
    second = books.order(books.month.record(order.statement))
    assert (second.attempt, second.amount_minor) == (2, PAYABLE)


def test_a_charge_that_the_bank_states_is_kept_by_rule_and_the_order_owed_in_full(books: Paying) -> None:
    order = paid_and_back(books, PAYABLE - 500, charge=500)
    (match,) = books.do("reconcile")["matched"]  # type: ignore[misc]
    assert (match["kind"], match["charge"]) == ("RETURNED", {"currency": "CNY", "minor": 500})  # type: ignore[call-overload, index]
    assert_owed_again_less_the_charge(books, order, 500)


@pytest.mark.parametrize("reconciled", [False, True], ids=["never-in-suspense", "in-suspense"])
def test_a_charge_that_the_bank_does_not_state_is_named_by_two_people(books: Paying, reconciled: bool) -> None:
    order = paid_and_back(books, PAYABLE - 500)
    if reconciled:
        books.do("reconcile")
        assert (books.kinds(), books.in_suspense(), books.owed()) == (["AMOUNT_DIFFERS"], PAYABLE - 500, 0)
    named = {"kind": "RETURNED", "orders": [order.end_to_end_id], "entries": [newest(books)], "reason": "fee"}
    for wrong in ("4.99", "5.01", "0", "-5.00"):
        with pytest.raises(MatchInvalid):
            books.do("match.propose", **named, charge=wrong)
    with pytest.raises(AmountMalformed):
        books.do("match.propose", **named, charge="5.001")
    with pytest.raises(MatchInvalid):
        books.do("match.propose", **named)
    made = books.do("match.propose", **named, charge="5.00")
    assert books.owed() == 0  # one person alone takes nothing back
    books.run(CAI, "match.decide", match=made["match"], decision="approve")
    assert_owed_again_less_the_charge(books, order, 500)


def test_a_payment_names_no_charge(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, account=IBAN))
    with pytest.raises(MatchInvalid, match="no other kind"):
        books.do(
            "match.propose",
            kind="PAID",
            orders=[order.end_to_end_id],
            entries=[newest(books)],
            reason="x",
            charge="1.00",
        )
