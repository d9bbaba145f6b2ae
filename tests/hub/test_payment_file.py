"""The payment file's bytes: deterministic, exact, harmless in a spreadsheet."""

import csv
import io
from dataclasses import replace
from datetime import date

import pytest

from hub import payment_file
from hub.payment_file import Payment
from hub.store_payments import PaymentOrder
from privacy.ids import PartnerId
from revenue_share import statement
from revenue_share.statement import Place, Statement
from tests.support.revenue import OCTOBER, agreement, allocate, event, referral, salts

TERMS = agreement()


def made(base: int, seed: bytes = b"salts") -> Statement:
    lines = allocate(TERMS, [referral(1)], [event("e1", 1, base)], OCTOBER)
    return statement.build(TERMS, OCTOBER, Place(), lines, salts(1, seed))


def due(*several: Statement, name: str = "") -> list[Payment]:
    return [
        Payment(
            made=made,
            order=PaymentOrder(
                end_to_end_id=payment_file.end_to_end_id(made.id),
                statement=made.id,
                attempt=1,
                file="",
                creditor=made.referrer,
                currency=made.currency,
                amount_minor=made.payable_minor,
                due=date(2026, 11, 10),
                name=name,
            ),
        )
        for made in several
    ]


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def test_the_same_statements_give_the_same_bytes_in_any_order() -> None:
    several = [made(2000, bytes([seed])) for seed in range(5)]
    data = payment_file.write(due(*several), {})
    assert payment_file.write(due(*reversed(several)), {}) == data
    assert data.startswith(b"end_to_end_id,") and data.endswith(b"\r\n")
    assert [row["statement"] for row in rows(data)] == sorted(item.id for item in several)


def test_amounts_are_decimal_text_and_minor_units() -> None:
    (row,) = rows(payment_file.write(due(made(123456789)), {}))
    assert (row["amount"], row["amount_minor"], row["currency"]) == ("61728.39", "6172839", "CNY")


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@cmd", "\t=1", "\r\n=1", " =1"])
def test_a_name_that_a_spreadsheet_would_run_is_shown_as_text(name: str) -> None:
    (row,) = rows(payment_file.write(due(made(2000)), {PartnerId("platform-a"): name}))
    assert row["creditor_name"].startswith("'")
    assert "\n" not in row["creditor_name"]


def test_a_chinese_name_and_a_comma_survive() -> None:
    (row,) = rows(payment_file.write(due(made(2000)), {PartnerId("platform-a"): '平台,"甲"'}))
    assert row["creditor_name"] == '平台,"甲"'


def test_the_end_to_end_id_fits_iso_20022() -> None:
    found = payment_file.end_to_end_id(made(2000).id)
    assert len(found) == 32 <= 35
    assert made(2000).id.startswith(found)


def test_a_further_attempt_has_a_name_of_its_own() -> None:
    names = {payment_file.end_to_end_id(made(2000).id, attempt) for attempt in range(1, payment_file.ATTEMPTS_MAX + 1)}
    assert len(names) == payment_file.ATTEMPTS_MAX and max(map(len, names)) <= 35
    with pytest.raises(AssertionError):
        payment_file.end_to_end_id(made(2000).id, payment_file.ATTEMPTS_MAX + 1)


def test_the_name_of_the_account_stands_before_the_partners() -> None:
    (row,) = rows(payment_file.write(due(made(2000), name="Account Holder"), {PartnerId("platform-a"): "Partner"}))
    assert row["creditor_name"] == "Account Holder"


def test_a_partner_without_a_name_is_named_by_its_id() -> None:
    (row,) = rows(payment_file.write(due(replace(made(2000), referrer=PartnerId("bank-b"))), {}))
    assert row["creditor_name"] == "bank-b"
