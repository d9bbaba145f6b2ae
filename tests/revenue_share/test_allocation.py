from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import canonical
from revenue_share import allocation
from revenue_share.position import Position
from revenue_share.referral import RevenueEvent, Verdict
from revenue_share.terms import Terms
from tests.support.revenue import OCTOBER, Months, agreement, allocate, event, instant, referral, rule, terms, token

TERMS = agreement()
TIMES = ["2026-09-30T15:59:59Z", "2026-10-01T00:59:59Z", "2026-10-05T06:00:00Z", "2026-10-31T16:00:00Z"]
EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from([f"e{i}" for i in range(12)]),
        st.integers(0, 5),
        st.integers(-(10**7), 10**9),
        st.sampled_from(TIMES),
        st.sampled_from(["commission", "commission", "interest"]),
    ),
    max_size=15,
)
FIRST_VERDICTS = {  # those of a first month under percentages alone; the others are in test_verdicts
    *(Verdict.COUNTED, Verdict.COUNTED_REVERSAL, Verdict.NO_EVENT, Verdict.UNKNOWN_TOKEN, Verdict.DUPLICATE_EVENT),
    *(Verdict.WRONG_KIND, Verdict.OUTSIDE_PERIOD, Verdict.OUTSIDE_VALIDITY, Verdict.BEFORE_REFERRAL),
    Verdict.AFTER_WINDOW,
}
REFERRALS = st.lists(
    st.builds(referral, st.integers(0, 4), st.sampled_from(["2026-10-01T01:00:00Z", "2026-09-10T01:00:00Z"])),
    max_size=8,
)


def test_a_worked_example_to_the_fen():
    """5 % by hand, in fen.

    e1  1/20 x 123457 = 6172.85      e2  1/20 x 10010 = 500.5
    e3  1/20 x 7      = 0.35         e4  1/20 x -2000 = -100
    exact sum 6573.70 -> 6574. Truncated: 6172 + 500 + 0 - 100 = 6572, so two units go to the
    remainders 0.85 (e1) and 0.5 (e2): 6173 + 501 + 0 - 100 = 6574.
    """
    referrals = [referral(1), referral(2), referral(3)]
    events = [event("e1", 1, 123457), event("e2", 2, 10010), event("e3", 2, 7), event("e4", 1, -2000)]
    lines = allocate(TERMS, referrals, events, OCTOBER)
    assert [(line.event, line.amount_minor) for line in lines] == [
        ("e1", 6173),
        ("e4", -100),
        ("e2", 501),
        ("e3", 0),
        ("", 0),
    ]
    assert [line.verdict.value for line in lines] == [
        "COUNTED",
        "COUNTED_REVERSAL",
        "COUNTED",
        "COUNTED",
        "NO_EVENT",
    ]
    assert [line.share.to_text() for line in lines] == ["123457/20", "-100/1", "1001/2", "7/20", "0/1"]
    assert sum(line.amount_minor for line in lines) == 6574
    assert [line.index for line in lines] == [0, 1, 2, 3, 4]


def test_the_sentence_can_be_checked_by_hand():
    line = allocate(TERMS, [referral(1)], [event("e1", 1, 123457)], OCTOBER)[0]
    assert line.reason_en == (
        "The commission of 2026-10-05 14:00:00 +08:00 lies between the referral of 2026-10-01 09:00:00 +08:00 and the "
        "window's end of 2026-11-01 09:00:00 +08:00 (excluded): 1/20 x 123457 fen = 123457/20 fen, which is 6173 fen "
        "(CNY 61.73) after rounding over the whole statement."
    )
    assert "1/20 × 123457 分 = 123457/20 分" in line.reason_zh
    assert "CNY 61.73" in line.reason_zh


def test_every_verdict_has_a_complete_sentence_in_both_languages():
    referrals = [referral(1), referral(2, "2025-12-31T00:00:00Z"), referral(3), referral(4, "2026-09-01T00:00:00Z")]
    events = [
        event("counted", 1, 100),
        event("reversal", 1, -100),
        event("counted", 1, 100, "2026-10-06T00:00:00Z"),
        event("kind", 1, 100, kind="interest"),
        event("period", 1, 100, "2026-10-31T16:00:00Z"),
        event("before", 1, 100, "2026-10-01T00:00:00Z"),
        event("after", 4, 100),
        event("validity", 2, 100),
        event("unknown", 9, 100),
    ]
    lines = allocate(TERMS, referrals, events, OCTOBER)
    assert {line.verdict for line in lines} == FIRST_VERDICTS
    for line in lines:
        assert not set("{}") & set(line.reason_en + line.reason_zh)
        assert any("一" <= letter <= "鿿" for letter in line.reason_zh)
        assert line.amount_minor == 0 or line.verdict.counts


def test_a_duplicate_counts_once_also_under_another_base():
    events = [event("e1", 1, 2000), event("e1", 1, 9000, "2026-10-06T00:00:00Z")]
    lines = allocate(TERMS, [referral(1)], events, OCTOBER)
    assert [(line.verdict, line.amount_minor) for line in lines] == [
        (Verdict.COUNTED, 100),
        (Verdict.DUPLICATE_EVENT, 0),
    ]


def test_nothing_in_nothing_out():
    assert allocate(TERMS, [], [], OCTOBER) == ()


def test_the_largest_base_is_exact():
    line = allocate(TERMS, [referral(1)], [event("e1", 1, 10**15)], OCTOBER)[0]
    assert line.amount_minor == 5 * 10**13
    canonical.encode(line.to_value())


def test_an_empty_month_answers_every_token():
    lines = allocate(TERMS, [referral(i) for i in range(5)], [], OCTOBER)
    assert [(line.token, line.verdict) for line in lines] == [(token(i), Verdict.NO_EVENT) for i in range(5)]


@given(REFERRALS, EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_does_not_matter(referrals, events, random):
    lines = allocate(TERMS, referrals, events, OCTOBER)
    random.shuffle(referrals)
    random.shuffle(events)
    assert allocate(TERMS, referrals, events, OCTOBER) == lines
    assert list(lines) == sorted(lines, key=lambda line: (line.token, line.time, line.event))


@given(REFERRALS, EVENTS)
def test_everything_is_answered_and_the_total_is_the_exact_sum_rounded_once(referrals, events):
    lines = allocate(TERMS, referrals, events, OCTOBER)
    assert {line.token for line in lines} == {item.token for item in (*referrals, *events)}
    assert sorted(line.event for line in lines if line.event) == sorted(e.id for e in events)
    exact = sum((line.share.fraction for line in lines), Fraction(0))
    assert sum(line.amount_minor for line in lines) == round(exact)
    assert all(abs(line.amount_minor - line.share.fraction) < 1 for line in lines)
    for line in lines:
        canonical.decode(canonical.encode(line.to_value()))


@given(REFERRALS, EVENTS)
def test_allocate_equals_a_slow_and_obvious_version(referrals, events):
    counted = {
        line.event: line.share.fraction for line in allocate(TERMS, referrals, events, OCTOBER) if line.share.numerator
    }
    assert counted == {name: share for name, share in obvious_shares(referrals, events).items() if share}


def obvious_shares(referrals, events):
    """The rule in plain words: 5 % of a commission of October +08:00 in the month after the token's first referral."""
    shares, seen = {}, set()
    for item in sorted(events, key=lambda e: (e.token, e.time, e.id, e.kind, e.base_minor)):
        if item.id in seen:
            continue
        seen.add(item.id)
        times = [r.time for r in referrals if r.token == item.token]
        if not times or item.kind != "commission":
            continue
        start = min(times)
        end = start.replace(month=start.month + 1)  # days up to the 10th only, and no summer time in Shanghai
        if instant("2026-09-30T16:00:00Z") <= item.time < instant("2026-10-31T16:00:00Z") and start <= item.time < end:
            shares[item.id] = Fraction(item.base_minor, 20)
    return shares


@given(REFERRALS, EVENTS)
def test_a_month_of_reversals_mirrors_the_month(referrals, events):
    unique = {item.id: item for item in events}.values()
    negated = [RevenueEvent(id=e.id, token=e.token, kind=e.kind, time=e.time, base_minor=-e.base_minor) for e in unique]
    lines = allocate(TERMS, referrals, unique, OCTOBER)
    mirror = allocate(TERMS, referrals, negated, OCTOBER)
    assert [line.amount_minor for line in mirror] == [-line.amount_minor for line in lines]


def test_the_inputs_digest_binds_what_a_line_took_from_the_month_before():
    level = event("e1", 1, 0, "2026-11-05T06:00:00Z", "aum", level_minor=900)
    made = []
    for before in (100, 200):
        books = Months(terms(rule("share_of_increment", "aum", rate="1/100", start="zero")), [referral(1)])
        books.close(OCTOBER, event("e0", 1, 0, kind="aum", level_minor=before))
        (line,) = books.close("2026-11", level)
        made.append(line.inputs)
    assert made[0] != made[1]


def test_lines_are_a_sequence_of_the_same_lines_each_time():
    made = allocation.allocate(Terms.of(TERMS), [referral(1)], [event("e1", 1, 100)], OCTOBER, Position.empty())
    assert made.lines[0] == next(iter(made.lines)) == made.lines[-1] == made.lines[0:1][0]
    assert made.lines.total("CNY") == 5 and len(made.lines) == 1
    with pytest.raises(IndexError):
        made.lines[1]


def test_the_inputs_digest_binds_agreement_period_referral_and_event():
    def inputs(terms=TERMS, referred="2026-10-01T01:00:00Z", base=100, period=OCTOBER):
        return allocate(terms, [referral(1, referred)], [event("e1", 1, base)], period)[0].inputs

    variants = [
        inputs(),
        inputs(terms=agreement(nonce="cd" * 32)),
        inputs(referred="2026-10-01T01:00:01Z"),
        inputs(base=101),
        inputs(period="2026-11"),
    ]
    assert len(set(variants)) == len(variants)
