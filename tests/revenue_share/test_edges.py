"""The edges of money and time that break revenue shares: rounding, decimals, months, zones, versions, clawbacks."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue_share import money, periods
from revenue_share.errors import ReportInvalid
from revenue_share.referral import EventReport
from tests.support.revenue import Months, amended, event, instant, referral, rule, terms

WHOLE, THIRD = rule("percent_of_base", "commission", rate="1/1"), rule("percent_of_base", "commission", rate="1/3")


def test_50_a_fen_in_three_parts_never_drifts():
    """100,000 cents, each split in three: every group sums to one, and the tie goes to no one always."""
    won = {"a": 0, "b": 0, "c": 0}
    one = money.Money(currency="CNY", minor=1)
    for number in range(100_000):
        parts = money.split(one, {"a": 1, "b": 1, "c": 1}, number.to_bytes(4, "big"))
        assert sum(part.minor for part in parts.values()) == 1
        for name, part in parts.items():
            won[name] += part.minor
    assert sum(won.values()) == 100_000
    assert max(won.values()) - min(won.values()) < 1_500  # five standard deviations of a fair draw are 1,055


def test_50_a_tie_is_broken_alike_each_time():
    shares = {name: Fraction(1, 2) for name in "abcdef"}
    first = money.round_shares(shares, b"key")
    assert first == money.round_shares(dict(reversed(shares.items())), b"key")
    assert sum(first.values()) == 3


@given(st.lists(st.fractions(min_value=-(10**15), max_value=10**15, max_denominator=10**9), max_size=12))
def test_50_a_given_total_next_to_the_exact_sum_can_always_be_reached(values):
    exact = sum(values, Fraction(0))
    assert money.exact_sum(values) == exact
    for total in {exact.__floor__(), exact.__ceil__()}:
        parts = money.apportion(values, total, "n{}".format, b"key")
        assert sum(parts) == total
        assert all(abs(part - share) < 1 for part, share in zip(parts, values, strict=True))


@pytest.mark.parametrize("base", [0.1, 1e15, "100", "1,234.50", None, True, 10**15 + 1, -(10**15) - 1])
def test_51_a_base_is_a_whole_number_within_the_limit(base):
    row = event("a", 1, 5).to_value() | {"base_minor": base}
    body = {"agreement": "ab" * 32, "period": "2026-10", "currency": "CNY", "events": [row]}
    with pytest.raises(ReportInvalid):
        EventReport.from_body(body)


def test_51_the_largest_base_of_both_signs_is_exact():
    books = Months(terms(WHOLE), [referral(1)])
    assert books.amounts("2026-10", event("a", 1, 10**15), event("b", 1, -(10**15))) == {"a": 10**15, "b": -(10**15)}


@pytest.mark.parametrize(
    ("kind", "fields", "base", "facts"),
    [
        ("fixed_per_event", {"amount_minor": 10**15}, 0, {"count": 2}),
        ("score_multiplier", {"rate": "1/1", "steps": [{"from_ppm": 0, "times": "10/1"}]}, 10**15, {"score_ppm": 1}),
        ("percent_of_base", {"rate": "1/1"}, -(10**15), {"currency": "USD"}),
        ("points", {"points": 10**9, "redeem_event": "y", "expires_months": 1}, 0, {"count": 10**9}),
    ],
)
def test_51_a_share_that_no_line_can_hold_does_not_count_and_blocks_nothing(kind, fields, base, facts):
    fx = [{"currency": "USD", "from": "2026-01-01", "rate": "7/1"}]
    books = Months(terms(rule(kind, "x", **fields), WHOLE, fx=fx), [referral(1)])
    lines = books.close("2026-10", event("a", 1, base, kind="x", **facts), event("b", 1, 5))
    found = {line.event: (line.verdict.value, line.amount_minor) for line in lines}
    assert found == {"a": ("SHARE_TOO_LARGE", 0), "b": ("COUNTED", 5)}
    assert str(10**15) in lines[0].reason_en and books.payout.total_minor == 5


@pytest.mark.parametrize(
    ("time", "period"),
    [
        ("2026-02-28T15:59:59Z", "2026-02"),
        ("2026-02-28T16:00:00Z", "2026-03"),  # 1 March 00:00 +08:00
        ("2028-02-28T16:00:00Z", "2028-02"),  # 29 February of a leap year
        ("2028-02-29T16:00:00Z", "2028-03"),
        ("2026-12-31T16:00:00Z", "2027-01"),
    ],
)
def test_52_an_event_belongs_to_the_month_of_the_agreements_clock(time, period):
    year, month = int(period[:4]), int(period[5:])
    others = [f"{year}-{month - 1:02}" if month > 1 else f"{year - 1}-12", f"{year}-{month + 1:02}"]
    referred = [referral(1, f"{year - 1}-11-30T00:00:00Z")]
    long = terms(WHOLE, valid_from="2024-01-01")
    assert Months(long, referred).verdicts(period, event("a", 1, 100, time)) == {"a": "COUNTED"}
    for other in others:
        assert Months(long, referred).verdicts(other, event("a", 1, 100, time)) == {"a": "OUTSIDE_PERIOD"}


def test_52_a_zone_with_summer_time_has_a_short_and_a_long_month():
    """Zurich: March 2026 begins at +01:00 and ends at +02:00, October the other way round."""
    zone = terms(WHOLE, time_zone="Europe/Zurich").zone
    hours = {}
    for period in ("2026-03", "2026-10"):
        start, end = periods.period_bounds(period, zone)
        hours[period] = (end - start).total_seconds() / 3600
    assert hours == {"2026-03": 31 * 24 - 1, "2026-10": 31 * 24 + 1}


def test_52_a_leap_second_is_refused():
    for text in ("2026-12-31T23:59:60Z", "2026-02-29T00:00:00Z", "2026-10-05T24:00:00Z"):
        with pytest.raises(ValueError, match=r"."):
            periods.parse_time(text)


def test_52_a_clawback_window_keeps_the_wall_clock():
    """Zurich, 24 October 12:00 +02:00 + 2 days = 26 October 12:00 +01:00."""
    back = {"window_days": 2, "mode": "full"}
    books = Months(terms(WHOLE | {"clawback": back}, time_zone="Europe/Zurich"), [referral(1)])
    books.close("2026-10", event("a", 1, 100, "2026-10-24T10:00:00Z"))
    assert books.position.open == {}
    again = Months(terms(WHOLE | {"clawback": back}, time_zone="Europe/Zurich"), [referral(1)])
    paid = event("a", 1, 100, "2026-10-24T10:00:00Z")
    late = event("r", 1, 0, "2026-10-26T11:00:00Z", reverses="a")
    good = event("s", 1, 0, "2026-10-26T10:59:59Z", reverses="a")
    assert again.verdicts("2026-10", paid, late, good) == {"a": "COUNTED", "r": "TAKEN_BACK_LATE", "s": "TAKEN_BACK"}


def test_53_a_rate_that_changes_on_the_15th():
    """1/3 of 300 before, all of it from the 15th on; a late event of the 10th has 1/3 as well."""
    books = Months(amended(terms(THIRD), rules=[WHOLE], effective_from="2026-10-15", late_days=31), [referral(1)])
    before, after = event("a", 1, 300, "2026-10-10T06:00:00Z"), event("b", 1, 300, "2026-10-15T06:00:00Z")
    assert books.amounts("2026-10", before, after) == {"a": 100, "b": 300}
    assert books.amounts("2026-11", event("late", 1, 300, "2026-10-10T07:00:00Z")) == {"late": 100}


def test_54_a_clawback_after_the_payout_is_carried_never_lost():
    back = {"window_days": 60, "mode": "full"}
    books = Months(terms(WHOLE | {"clawback": back}), [referral(1)])
    books.close("2026-10", event("a", 1, 500))
    assert books.payout.paid_minor == 500
    books.close(
        "2026-11", event("r", 1, 0, "2026-11-05T06:00:00Z", reverses="a"), event("b", 1, 200, "2026-11-06T06:00:00Z")
    )
    assert (books.payout.paid_minor, books.payout.carried_forward_minor) == (0, -300)
    assert books.position.carried == {"CNY": -300}


def test_54_a_clawback_reaches_past_the_end_of_the_agreement():
    back = {"window_days": 90, "mode": "full"}
    ends = {"valid_until": "2026-10-31", "exit": {"run_off_months": 0}}
    books = Months(terms(WHOLE | {"clawback": back}, **ends), [referral(1)])
    books.close("2026-10", event("a", 1, 500))
    late = event("b", 1, 900, "2026-11-05T06:00:00Z")
    again = event("r", 1, 0, "2026-11-05T06:00:00Z", reverses="a")
    assert books.amounts("2026-11", late, again) == {"b": 0, "r": -500}


@given(st.lists(st.integers(-(10**9), 10**9), min_size=12, max_size=12))
def test_50_twelve_months_stray_no_further_than_half_a_unit_each(bases):
    books = Months(terms(THIRD), [referral(1)])
    year = [f"2026-{month:02}" for month in range(10, 13)] + [f"2027-{month:02}" for month in range(1, 10)]
    total = 0
    for period, base in zip(year, bases, strict=True):
        total += sum(books.amounts(period, event(period, 1, base, f"{period}-05T06:00:00Z")).values())
    assert abs(total - Fraction(sum(bases), 3)) <= 6


@pytest.mark.parametrize("weight", [0, 1, 999_999, 1_000_000])
def test_weights_at_their_edges(weight):
    pool = rule("pool_by_weights", "pool", share="1/1", referred=False)
    happening = event("p", 0, 10**15, kind="pool", weight_ppm=weight, receipt="ab" * 32)
    assert Months(terms(pool), []).amounts("2026-10", happening) == {"p": 10**9 * weight}


def test_an_instant_of_the_agreements_first_day_counts():
    first = terms(WHOLE, valid_from="2026-10-01")
    books = Months(first, [referral(1, "2026-09-30T16:00:00Z"), referral(2, "2026-09-30T15:59:59Z")])
    events = [event("a", 1, 100), event("b", 2, 100)]
    assert books.verdicts("2026-10", *events) == {"a": "COUNTED", "b": "OUTSIDE_VALIDITY"}
    assert first.root.covers(instant("2026-09-30T16:00:00Z"))
