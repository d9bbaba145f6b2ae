from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import Failure
from revenue_share.errors import (
    AmountMalformed,
    AmountTooLarge,
    CurrencyMismatch,
    CurrencyUnknown,
    RatioMalformed,
    WeightsInvalid,
)
from revenue_share.money import AMOUNT_FEN_MAX, Money, Ratio, round_shares, split

AMOUNTS = st.integers(-AMOUNT_FEN_MAX, AMOUNT_FEN_MAX)
NAMES = st.text("abcdefgh", min_size=1, max_size=4)
WEIGHTS = st.dictionaries(NAMES, st.integers(0, 10**6), min_size=1, max_size=12).filter(lambda w: sum(w.values()) > 0)
SHARES = st.dictionaries(NAMES, st.fractions(-(10**9), 10**9, max_denominator=10**6), max_size=12)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("0", "CNY", 0),
        ("1234.57", "CNY", 123457),
        ("1234.5", "CNY", 123450),
        ("-0.01", "CNY", -1),
        ("0007.00", "CNY", 700),
        ("1500", "JPY", 1500),
        ("10000000000000.00", "CNY", AMOUNT_FEN_MAX),
    ],
)
def test_decimal_text_is_read_exactly(text, currency, minor):
    assert Money.from_text(text, currency) == Money(currency=currency, minor=minor)


@pytest.mark.parametrize(
    "text",
    ["", "1,234.57", "1e3", "+1", "--1", " 1", "1.", ".5", "1.234", "１２", "NaN", "1/2", "0x10", "1_000", "1\n"],
)
def test_other_forms_of_text_are_refused(text):
    with pytest.raises(AmountMalformed):
        Money.from_text(text, "CNY")


def test_a_yen_amount_has_no_decimals():
    with pytest.raises(AmountMalformed):
        Money.from_text("1.5", "JPY")


def test_an_amount_is_never_a_float_or_a_boolean():
    for minor in (1.0, True, "1"):
        with pytest.raises(AmountMalformed):
            Money(currency="CNY", minor=minor)


def test_one_fen_over_the_limit_is_refused():
    assert Money(currency="CNY", minor=AMOUNT_FEN_MAX).minor == 10**15
    with pytest.raises(AmountTooLarge):
        Money(currency="CNY", minor=AMOUNT_FEN_MAX + 1)
    with pytest.raises(AmountTooLarge):
        Money.from_text("10000000000000.01", "CNY")
    with pytest.raises(AmountTooLarge):
        Money(currency="CNY", minor=AMOUNT_FEN_MAX) + Money(currency="CNY", minor=1)


def test_currencies_do_not_mix():
    with pytest.raises(CurrencyMismatch):
        Money(currency="CNY", minor=1) + Money(currency="HKD", minor=1)
    with pytest.raises(CurrencyUnknown):
        Money(currency="XXX", minor=1)


@given(AMOUNTS, st.sampled_from(["CNY", "JPY", "USD"]))
def test_text_round_trips(minor, currency):
    money = Money(currency=currency, minor=minor)
    assert Money.from_text(money.to_text(), currency) == money


def test_ratio_text():
    assert Ratio.from_text("1/20").fraction == Fraction(1, 20)
    assert Ratio.from_text("1/20").to_text() == "1/20"
    for text in ("2/40", "1/0", "0.05", "-1/20", "1/-20", "5%", "01/20", "1/20 ", 1):
        with pytest.raises(RatioMalformed):
            Ratio.from_text(text)


@given(AMOUNTS, WEIGHTS, st.binary(max_size=8))
def test_parts_sum_to_the_whole_within_one_unit_and_mirror(total, weights, tie_key):
    money = Money(currency="CNY", minor=total)
    parts = split(money, weights, tie_key)
    whole = sum(weights.values())
    assert sum(part.minor for part in parts.values()) == total
    for name, weight in weights.items():
        assert abs(parts[name].minor - Fraction(total * weight, whole)) < 1
        assert weight or parts[name].minor == 0
    assert split(-money, weights, tie_key) == {name: -part for name, part in parts.items()}
    assert split(money, dict(reversed(list(weights.items()))), tie_key) == parts


@given(SHARES, st.binary(max_size=8))
def test_rounded_shares_of_both_signs(shares, tie_key):
    parts = round_shares(shares, tie_key)
    assert sum(parts.values()) == round(sum(shares.values(), Fraction(0)))
    assert all(abs(parts[name] - share) < 1 for name, share in shares.items())
    assert round_shares({name: -share for name, share in shares.items()}, tie_key) == {n: -p for n, p in parts.items()}


def test_a_tie_is_broken_by_the_key_and_not_by_the_name():
    one_fen = Money(currency="CNY", minor=1)
    winners = {
        next(name for name, part in split(one_fen, {"a": 1, "b": 1}, bytes([key])).items() if part.minor)
        for key in range(16)
    }
    assert winners == {"a", "b"}


def test_half_a_unit_goes_to_even():
    half = Fraction(1, 2)
    assert round_shares({"a": half}, b"") == {"a": 0}
    assert round_shares({"a": 1 + half}, b"") == {"a": 2}
    assert round_shares({"a": -half}, b"") == {"a": 0}
    assert round_shares({}, b"") == {}


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": -1, "b": 2}, {"a": 0.5}, {"a": True}])
def test_impossible_weights(weights):
    with pytest.raises(WeightsInvalid):
        split(Money(currency="CNY", minor=1), weights, b"")


def test_failures_carry_both_languages():
    with pytest.raises(Failure) as caught:
        Money.from_text("1,0", "CNY")
    assert "1,0" in caught.value.message("en") and "1,0" in caught.value.message("zh")
