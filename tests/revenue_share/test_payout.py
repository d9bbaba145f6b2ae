"""From the balance to what is paid: minimum, carry-forward, VAT, withholding; currencies and their rates."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue_share.errors import AgreementInvalid, AmountTooLarge
from revenue_share.payout import payout
from tests.support.revenue import Months, agreement, event, referral, rule, terms

TENTH = rule("percent_of_base", "commission", rate="1/10")
OCT, NOV, DEC = "2026-10", "2026-11", "2026-12"


def test_less_than_the_minimum_is_carried_and_paid_when_it_is_reached():
    """90 + 0 < 100: carried. 90 + 5 = 95: carried. 95 + 5 = 100: paid."""
    books = Months(terms(TENTH, minimum_payout_minor=100), [referral(1)])
    seen = []
    for period, base, month in ((OCT, 900, 10), (NOV, 50, 11), (DEC, 50, 12)):
        books.close(period, event(f"e{month}", 1, base, f"2026-{month}-05T06:00:00Z"))
        seen.append((books.payout.paid_minor, books.payout.carried_forward_minor))
    assert seen == [(0, 90), (0, 95), (100, 0)]
    assert books.position.carried == {}


def test_taxes_are_amounts_of_their_own():
    """10,600 with 6 % VAT contained: 10,600 x 3/50 / (1 + 3/50) = 600; withheld 1/10 of 10,000 = 1,000; paid 9,600."""
    tax = {"withholding": "1/10", "vat": "3/50", "vat_included": True}
    made = payout(agreement(tax=tax), 10_600, 0)
    assert (made.vat.to_text(), made.vat_minor) == ("600/1", 600)
    assert (made.withholding.to_text(), made.withheld_minor, made.paid_minor) == ("1000/1", 1_000, 9_600)
    assert made.sentences[1][0] == "VAT contained in it: 10600 x 3/50 / (1 + 3/50) = 600/1, rounded 600."
    assert made.sentences[2][1] == "代扣税（不含增值税金额）：10000 × 1/10 = 1000/1，舍入为 1000。"
    assert made.sentences[3][0] == "Paid: 10000 + 600 - 1000 = 9600 (CNY 96.00)."


def test_vat_besides_is_added_and_each_tax_is_rounded_by_itself():
    """33 x 3/50 = 1.98 -> 2; 33 x 1/10 = 3.3 -> 3; 33 + 2 - 3 = 32."""
    made = payout(agreement(tax={"withholding": "1/10", "vat": "3/50"}), 30, 3)
    assert (made.gross_minor, made.vat_minor, made.withheld_minor, made.paid_minor) == (33, 2, 3, 32)
    assert made.vat.to_text() == "99/50" and made.withholding.to_text() == "33/10"


@pytest.mark.parametrize("total", [0, -5])
def test_nothing_and_a_debt_pay_no_tax(total):
    made = payout(agreement(tax={"withholding": "1/10", "vat": "3/50"}), total, 0)
    assert (made.paid_minor, made.vat_minor, made.withheld_minor, made.carried_forward_minor) == (0, 0, 0, total)
    assert len(made.sentences) == 1


@given(st.integers(-(10**14), 10**14), st.integers(-(10**14), 10**14), st.integers(0, 10**6), st.booleans())
def test_nothing_of_a_balance_is_lost(total, brought, minimum, included):
    tax = {"withholding": "1/7", "vat": "3/50", "vat_included": included}
    made = payout(agreement(tax=tax, minimum_payout_minor=minimum), total, brought)
    assert made.gross_minor + made.carried_forward_minor == total + brought
    assert made.gross_minor == 0 or made.gross_minor >= max(1, minimum)
    besides = 0 if included else made.vat_minor
    assert made.paid_minor + made.withheld_minor == made.gross_minor + besides
    assert abs(made.vat_minor - made.vat.fraction) <= Fraction(1, 2)


def test_a_balance_over_the_limit_is_refused():
    with pytest.raises(AmountTooLarge):
        payout(agreement(), 10**15, 1)


# --- currencies

FX = [
    {"currency": "USD", "from": "2026-10-01", "rate": "71234/10000"},
    {"currency": "USD", "from": "2026-10-06", "rate": "72/10"},
    {"currency": "JPY", "from": "2026-10-01", "rate": "1/20"},
]
FX = [one | {"rate": {"71234/10000": "35617/5000", "72/10": "36/5"}.get(one["rate"], one["rate"])} for one in FX]


@pytest.mark.parametrize(
    ("base", "time", "currency", "due"),
    [
        (10_000, "2026-10-05T15:59:59Z", "USD", 7_123),  # 1/10 x 10,000 cents x 7.1234 = 7,123.4
        (10_000, "2026-10-05T16:00:00Z", "USD", 7_200),  # from 6 October 00:00 +08:00
        (1_000, "2026-10-05T06:00:00Z", "JPY", 500),  # 1,000 yen x 1/20 = CNY 50.00 = 5,000 fen
    ],
)
def test_a_foreign_base_takes_the_rate_of_its_date(base, time, currency, due):
    books = Months(terms(TENTH, fx=FX), [referral(1)])
    line = books.close(OCT, event("a", 1, base, time, currency=currency))[0]
    assert (line.amount_minor, line.base_minor) == (due, base)
    assert f"({currency}) x" in line.reason_en and "基数" in line.reason_zh


def test_a_base_without_a_rate_does_not_count_and_says_so():
    books = Months(terms(TENTH, fx=FX), [referral(1, "2026-09-01T00:00:00Z")])
    before = event("b", 1, 100, "2026-09-30T15:59:59Z", currency="USD")
    assert books.verdicts("2026-09", before) == {"b": "RATE_MISSING"}
    assert books.verdicts(OCT, event("a", 1, 100, currency="HKD")) == {"a": "RATE_MISSING"}


def test_thousandths_are_exact():
    """Three prices of GBP 0.415, 0.415 and 0.42 in tenths of a penny: 1/1 x 41.5 + 41.5 + 42 = 125 pence."""
    whole = rule("percent_of_base", "order", rate="1/1")
    books = Months(terms(whole, currency="GBP"), [referral(1)])
    events = [event(name, 1, base, kind="order", scale=1) for name, base in (("a", 415), ("b", 415), ("c", 420))]
    lines = books.close(OCT, *events)
    assert sum(line.amount_minor for line in lines) == 125
    assert [line.share.to_text() for line in lines] == ["83/2", "83/2", "42/1"]
    assert "base 415 x 1/10 = 83/2 minor units" in lines[0].reason_en and "GBP" in lines[0].reason_en


@pytest.mark.parametrize(
    ("fx", "field"),
    [
        ([FX[0], FX[0] | {"rate": "1/2"}], "fx[1].from"),
        ([FX[0] | {"currency": "CNY"}], "fx[0].currency"),
        ([FX[0] | {"currency": "XAU"}], "fx[0].currency"),
        ([FX[0] | {"rate": "0/1"}], "fx[0].rate"),
        ([FX[0] | {"rate": "7.1"}], "fx[0].rate"),
        ([], "fx"),
    ],
)
def test_wrong_rates_are_refused_by_their_field(fx, field):
    with pytest.raises(AgreementInvalid) as caught:
        agreement(fx=fx)
    assert caught.value.facts["field"] == field
