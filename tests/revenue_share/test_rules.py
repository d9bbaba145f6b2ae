"""Every rule kind against sums done by hand; each docstring or comment holds the arithmetic."""

import pytest

from revenue_share.errors import AgreementInvalid
from tests.support.revenue import Months, agreement, event, referral, rule, terms, token

MILLION = 100 * 10**6  # fen of a million CNY
OCT, NOV, DEC = "2026-10", "2026-11", "2026-12"
N_TIME, D_TIME = "2026-11-05T06:00:00Z", "2026-12-05T06:00:00Z"
RECEIPT = "ab" * 32


def months(*rules, **changes):
    return Months(terms(*rules, **changes), [referral(number) for number in range(1, 5)])


def test_a_milestone_pays_its_part_once():
    """30 % of 99,900 fen = 29,970. At 50 % half: 14,985; at 80 % nothing more; at 100 % the rest: 14,985."""
    steps = [{"at_ppm": 500_000, "pays_ppm": 500_000}, {"at_ppm": 1_000_000, "pays_ppm": 1_000_000}]
    books = months(rule("percent_on_milestone", "course", rate="3/10", milestones=steps))
    assert books.amounts(OCT, event("a", 1, 99_900, kind="course", completion_ppm=500_000)) == {"a": 14_985}
    assert books.amounts(NOV, event("b", 1, 99_900, N_TIME, "course", completion_ppm=800_000)) == {"b": 0}
    assert books.amounts(DEC, event("c", 1, 99_900, D_TIME, "course", completion_ppm=1_000_000)) == {"c": 14_985}


def test_without_milestones_the_part_completed_is_earned_and_items_count_apart():
    """3/10 x 10,000 x 25 % = 750; then up to 60 %: 3,000 x 35 % = 1,050; the other course 3/10 x 10,000 = 3,000."""
    books = months(rule("percent_on_milestone", "course", rate="3/10"))
    first = event("a", 1, 10_000, kind="course", completion_ppm=250_000, item="maths")
    assert books.amounts(OCT, first) == {"a": 750}
    more = event("b", 1, 10_000, N_TIME, "course", completion_ppm=600_000, item="maths")
    other = event("c", 1, 10_000, N_TIME, "course", completion_ppm=1_000_000, item="law")
    assert books.amounts(NOV, more, other) == {"b": 1_050, "c": 3_000}


def test_a_part_that_was_paid_is_not_paid_again_after_a_fall():
    """1/2 x 1,000 x 50 % = 250; then 30 %: 0; again 50 %: 0."""
    books = months(rule("percent_on_milestone", "course", rate="1/2"))
    seen = [books.amounts(OCT, event("a", 1, 1_000, kind="course", completion_ppm=500_000))]
    seen.append(books.amounts(NOV, event("b", 1, 1_000, N_TIME, "course", completion_ppm=300_000)))
    seen.append(books.amounts(DEC, event("c", 1, 1_000, D_TIME, "course", completion_ppm=500_000)))
    assert seen == [{"a": 250}, {"b": 0}, {"c": 0}]


def test_a_fixed_amount_counts_what_the_event_stands_for():
    """120 visits x 50 fen = 6,000 fen, of no single client."""
    books = months(rule("fixed_per_event", "visits", amount_minor=50, referred=False))
    line = books.close(OCT, event("v", 0, 0, kind="visits", count=120))[0]
    assert (line.token, line.amount_minor, line.verdict.value) == (token(0), 6_000, "COUNTED")
    assert "120 x 50 fen = 6000 fen" in line.reason_en and "120 × 50 分 = 6000 分" in line.reason_zh


def test_a_high_water_mark_pays_no_rise_twice():
    """First level 1,000,000: 0. 1,500,000: 1/100 x 500,000 = 5,000. Down to 200,000 and back to 1,400,000: 0.
    1,500,001: 1/100 x 1 fen = 1/100, rounded 0. 2,500,001: 1/100 x 1,000,000 = 10,000."""
    books = months(rule("share_of_increment", "aum", rate="1/100", start="first"))
    levels = [(OCT, "10-05", 1_000_000, 0), (OCT, "10-06", 1_500_000, 5_000), (NOV, "11-05", 200_000, 0)]
    levels += [(NOV, "11-06", 1_400_000, 0), (DEC, "12-05", 1_500_001, 0), (DEC, "12-06", 2_500_001, 10_000)]
    for place, (period, day, level, due) in enumerate(levels):
        happening = event(f"e{place}", 1, 0, f"2026-{day}T06:00:00Z", "aum", level_minor=level)
        assert books.amounts(period, happening) == {f"e{place}": due}


def test_a_mark_may_begin_at_zero():
    books = months(rule("share_of_increment", "aum", rate="1/100", start="zero"))
    assert books.amounts(OCT, event("e", 1, 0, kind="aum", level_minor=70_000)) == {"e": 700}


FAMILY = [
    {"from_minor": 0, "rate": "1/50"},
    {"from_minor": 100 * MILLION, "rate": "3/200"},
    {"from_minor": 200 * MILLION, "rate": "1/100"},
]


@pytest.mark.parametrize(
    ("mode", "base", "due"),
    [
        # slab: all at the rate of the step reached, the step's own amount included
        ("slab", 100 * MILLION - 1, 200_000_000),  # 2 % x 9,999,999,999 = 199,999,999.98
        ("slab", 100 * MILLION, 150_000_000),  # 1.5 % x 10,000,000,000
        ("slab", 100 * MILLION + 1, 150_000_000),  # 150,000,000.015
        # marginal: 2 % of the first 100 million, 1.5 % of the next, 1 % above
        ("marginal", 100 * MILLION - 1, 200_000_000),
        ("marginal", 100 * MILLION, 200_000_000),
        ("marginal", 100 * MILLION + 1, 200_000_000),  # 200,000,000.015
        ("marginal", 250 * MILLION, 400_000_000),  # 200,000,000 + 150,000,000 + 1 % x 5,000,000,000 = 50,000,000
        ("marginal", -250 * MILLION, -400_000_000),
        ("slab", -100 * MILLION, -150_000_000),
        ("slab", 0, 0),
        ("marginal", 0, 0),
    ],
)
def test_a_tier_begins_at_its_own_amount(mode, base, due):
    books = months(rule("tiered_rate", "fee", tiers=FAMILY, mode=mode, measure="base"))
    assert books.amounts(OCT, event("f", 1, base, kind="fee")) == {"f": due}


def test_a_level_gives_the_rate_of_the_base():
    """150 million: slab 1.5 % of a fee of 1,000,000 = 15,000. marginal (2 % x 100 + 1.5 % x 50)/150 = 11/600:
    11/600 x 1,000,000 = 18,333.33 -> 18,333."""
    for mode, due in (("slab", 15_000), ("marginal", 18_333)):
        books = months(rule("tiered_rate", "fee", tiers=FAMILY, mode=mode, measure="level"))
        assert books.amounts(OCT, event("f", 1, 1_000_000, kind="fee", level_minor=150 * MILLION)) == {"f": due}
        assert books.amounts(NOV, event("g", 1, 1_000_000, N_TIME, "fee", level_minor=0)) == {"g": 20_000}


def test_a_pool_is_divided_by_the_receipts_weight_once():
    """1/2 of 1,000,000 x 333,333 ppm = 166,666.5 -> 166,666 (half to even); the receipt again: 0; weight zero: 0."""
    books = months(rule("pool_by_weights", "pool", share="1/2", referred=False))
    first = event("p", 0, 1_000_000, kind="pool", weight_ppm=333_333, receipt=RECEIPT)
    assert books.amounts(OCT, first) == {"p": 166_666}
    again = event("q", 0, 1_000_000, N_TIME, "pool", weight_ppm=333_333, receipt=RECEIPT)
    nothing = event("r", 0, 1_000_000, N_TIME, "pool", weight_ppm=0, receipt="cd" * 32)
    assert books.amounts(NOV, again, nothing) == {"q": 0, "r": 0}


def test_the_partners_of_a_pool_have_no_more_than_the_pool():
    """Three partners, weights 333,334 + 333,333 + 333,333 ppm of 100,000: 33,333.4 + 33,333.3 + 33,333.3."""
    parts = []
    for weight in (333_334, 333_333, 333_333):
        books = months(rule("pool_by_weights", "pool", share="1/1", referred=False))
        parts += [
            line.share.fraction
            for line in books.close(OCT, event("p", 0, 100_000, kind="pool", weight_ppm=weight, receipt=RECEIPT))
            if line.event
        ]
    assert sum(parts) == 100_000


@pytest.mark.parametrize(("score", "due"), [(599_999, 0), (600_000, 4_000), (800_000, 5_000), (950_000, 6_000)])
def test_a_score_multiplies(score, due):
    """1/10 x 50,000 = 5,000, times 0, 4/5, 1 and 6/5."""
    steps = [{"from_ppm": at, "times": times} for at, times in ((600_000, "4/5"), (800_000, "1/1"), (950_000, "6/5"))]
    books = months(rule("score_multiplier", "service", rate="1/10", steps=steps))
    assert books.amounts(OCT, event("s", 1, 50_000, kind="service", score_ppm=score)) == {"s": due}


LIMITED = rule("percent_of_base", "fee", rate="1/2")
BAD = {
    "cap of nothing": (LIMITED | {"cap": {}}, "rules[0].cap"),
    "cap of another scope": (LIMITED | {"cap": {"week": 1}}, "rules[0].cap"),
    "floor over cap": (LIMITED | {"cap": {"event": 1}, "floor": {"event": 2}}, "rules[0].floor.event"),
    "clawback mode": (LIMITED | {"clawback": {"window_days": 3, "mode": "half"}}, "rules[0].clawback.mode"),
    "no base to take a part of": (
        rule("fixed_per_event", "x", amount_minor=1, clawback={"window_days": 3, "mode": "pro_rata"}),
        "rules[0].clawback.mode",
    ),
    "tiers from one": (
        rule("tiered_rate", "x", tiers=[{"from_minor": 1, "rate": "1/2"}], mode="slab", measure="base"),
        "rules[0].tiers",
    ),
    "tiers falling": (
        rule("tiered_rate", "x", tiers=[FAMILY[0], FAMILY[2], FAMILY[1]], mode="slab", measure="base"),
        "rules[0].tiers",
    ),
    "milestones falling": (
        rule(
            "percent_on_milestone",
            "x",
            rate="1/2",
            milestones=[{"at_ppm": 5, "pays_ppm": 5}, {"at_ppm": 4, "pays_ppm": 6}],
        ),
        "rules[0].milestones",
    ),
    "steps falling": (
        rule(
            "score_multiplier",
            "x",
            rate="1/2",
            steps=[{"from_ppm": 2, "times": "1/1"}, {"from_ppm": 1, "times": "1/1"}],
        ),
        "rules[0].steps",
    ),
    "a pool of clients": (rule("pool_by_weights", "x", share="1/2"), "rules[0].referred"),
    "months without referral": (LIMITED | {"referred": False}, "rules[0].months_from_referral"),
    "points with a cap": (
        rule("points", "x", points=1, redeem_event="y", expires_months=1, cap={"event": 1}),
        "rules[0]",
    ),
    "points redeemed by what earns": (
        rule("points", "x", points=1, redeem_event="x", expires_months=1),
        "rules[0].redeem_event",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_rule_is_refused_by_the_name_of_its_field(name):
    body, field = BAD[name]
    with pytest.raises(AgreementInvalid) as caught:
        agreement(rules=[body])
    assert caught.value.facts["field"] == field


def test_an_event_that_redeems_belongs_to_one_rule():
    points = rule("points", "x", points=1, redeem_event="fee", expires_months=1)
    with pytest.raises(AgreementInvalid) as caught:
        agreement(rules=[LIMITED, points])
    assert caught.value.facts["field"] == "rules.event"
