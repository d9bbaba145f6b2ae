"""Versions of an agreement: which one prices an event, also where it is late or is taken back later."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue_share.allocation import replay
from revenue_share.errors import AmendmentInvalid
from revenue_share.position import Position
from revenue_share.terms import Terms, check_amendment
from tests.support.revenue import (
    Months,
    agreement,
    agreement_body,
    amended,
    event,
    instant,
    referral,
    rule,
    terms,
)

TENTH, FIFTH = rule("percent_of_base", "commission", rate="1/10"), rule("percent_of_base", "commission", rate="1/5")
MID_OCTOBER = amended(terms(TENTH), rules=[FIFTH], effective_from="2026-10-15", late_days=20)
CLIENTS = [referral(number, "2026-09-01T01:00:00Z") for number in range(1, 5)]


def test_the_version_in_force_at_the_event_prices_it():
    """The 15th of October begins at 2026-10-14T16:00Z: 1/10 x 100 before, 1/5 x 100 from then on."""
    before, after = event("a", 1, 100, "2026-10-14T15:59:59Z"), event("b", 1, 100, "2026-10-14T16:00:00Z")
    lines = Months(MID_OCTOBER, CLIENTS[:1]).close("2026-10", before, after)
    assert [(line.amount_minor, line.rule_version) for line in lines] == [(10, 1), (20, 2)]
    assert "Priced by version 2 of the terms, in force from 2026-10-15." in lines[1].reason_en
    assert "version" not in lines[0].reason_en and "第 2 版" in lines[1].reason_zh


def test_a_late_correction_is_booked_in_the_open_month_by_the_rule_of_its_event():
    """An event of 14 October, reported with November: 1/10. late_days 20: from 12 October on, not earlier."""
    books = Months(MID_OCTOBER, CLIENTS)
    books.close("2026-10", event("a", 1, 100))
    late = event("late", 1, 100, "2026-10-14T06:00:00Z")
    too_late = event("too-late", 1, 100, "2026-10-11T15:59:59Z")
    lines = {line.event: line for line in books.close("2026-11", late, too_late) if line.event}
    assert (lines["late"].amount_minor, lines["late"].rule_version) == (10, 1)
    assert "reported late and is booked in 2026-11" in lines["late"].reason_en
    assert lines["too-late"].verdict.value == "OUTSIDE_PERIOD"


def test_a_late_event_counts_in_one_month_only():
    books = Months(MID_OCTOBER, CLIENTS)
    happening = event("a", 1, 100, "2026-10-25T06:00:00Z")
    assert books.amounts("2026-10", happening) == {"a": 20}
    assert books.verdicts("2026-11", happening) == {"a": "DUPLICATE_EVENT"}
    books.close("2026-12")
    assert not books.position.seen


@pytest.mark.parametrize("time", ["2026-09-30T16:00:00Z", "2026-10-20T06:00:00Z"])
def test_an_event_is_remembered_as_long_as_it_could_come_again(time):
    """60 days: an event from the first instant of October on can still come in November, the later one in December."""
    books = Months(terms(TENTH, late_days=60), CLIENTS)
    happening = event("a", 1, 100, time)
    assert books.amounts("2026-10", happening) == {"a": 10}
    books.close("2026-11")
    late = books.verdicts("2026-12", happening)["a"]
    assert late == ("DUPLICATE_EVENT" if time > "2026-10-02T16:00:00Z" else "OUTSIDE_PERIOD")


def test_an_event_of_the_first_late_instant_is_remembered():
    books = Months(terms(TENTH, late_days=31), CLIENTS)
    first = event("a", 1, 100, "2026-09-30T16:00:00Z")  # 1 October 00:00 +08:00, 31 days before 1 November
    assert books.amounts("2026-10", first) == {"a": 10}
    assert books.verdicts("2026-11", first) == {"a": "DUPLICATE_EVENT"}


def test_a_clawback_follows_the_version_that_paid():
    full, never = {"window_days": 90, "mode": "full"}, FIFTH
    books = Months(amended(terms(TENTH | {"clawback": full}), rules=[never], effective_from="2026-11-01"), CLIENTS)
    books.close("2026-10", event("a", 1, 1000))
    line = books.close("2026-11", event("r", 1, 0, "2026-11-20T06:00:00Z", reverses="a"))[0]
    assert (line.amount_minor, line.rule_version, line.verdict.value) == (-100, 1, "TAKEN_BACK")


def test_a_mark_goes_on_where_a_rule_of_the_same_id_stood():
    one = rule("share_of_increment", "aum", rate="1/100", start="zero")
    books = Months(amended(terms(one), rules=[one | {"rate": "1/50"}], effective_from="2026-11-01"), CLIENTS)
    assert books.amounts("2026-10", event("a", 1, 0, kind="aum", level_minor=10_000)) == {"a": 100}
    assert books.amounts("2026-11", event("b", 1, 0, "2026-11-05T06:00:00Z", "aum", level_minor=11_000)) == {"b": 20}


def test_versions_are_found_by_instant_and_digest_and_read_in_any_order():
    root, second = MID_OCTOBER.versions
    assert MID_OCTOBER.at(instant("2000-01-01T00:00:00Z")) == root and MID_OCTOBER.latest == second
    assert MID_OCTOBER.closing("2026-10") == second and MID_OCTOBER.closing("2026-09") == root
    assert MID_OCTOBER.version(second.digest) == second and MID_OCTOBER.version("00" * 32) is None
    assert MID_OCTOBER.digest == root.digest


def test_a_version_that_begins_with_a_month_does_not_close_the_one_before():
    books = amended(terms(TENTH), rules=[FIFTH], effective_from="2026-11-01")
    assert books.closing("2026-10") == books.root and books.closing("2026-11") == books.latest


ROOT = agreement()
NEXT = {"amends": ROOT.digest, "effective_from": "2026-10-15", "version": 2}
OTHER = {"chain_id": 9, "contract": "0x" + "33" * 20, "window_seconds": 259200}


@pytest.mark.parametrize(
    "changes",
    [
        NEXT | {"amends": "00" * 32},
        NEXT | {"version": 1},
        NEXT | {"effective_from": "2026-01-01"},
        NEXT | {"currency": "HKD"},
        NEXT | {"time_zone": "Europe/Zurich"},
        NEXT | {"nonce": "cd" * 32},
        NEXT | {"settlement": OTHER},
        NEXT | {"valid_from": "2026-01-02"},
        NEXT | {"rules": [rule("fixed_per_event", "commission", amount_minor=1, id="first-month-commission")]},
    ],
    ids=["amends", "version", "date", "currency", "zone", "nonce", "chain", "valid_from", "kind"],
)
def test_a_version_that_does_not_follow_is_refused(changes):
    with pytest.raises(AmendmentInvalid):
        check_amendment(Terms.of(ROOT), agreement(**changes))
    assert check_amendment(Terms.of(ROOT), agreement(**NEXT)).latest.version == 2


def test_documents_that_form_no_single_chain_are_refused():
    second = agreement_body(**NEXT)
    assert len(Terms.from_bodies([second, agreement_body()]).versions) == 2
    for bodies in ([second], [agreement_body(), agreement_body(nonce="cd" * 32)], []):
        with pytest.raises(AmendmentInvalid):
            Terms.from_bodies(bodies)
    with pytest.raises(AmendmentInvalid):
        Terms.from_bodies([agreement_body(), second, second | {"effective_from": "2026-12-01"}])
    with pytest.raises(AmendmentInvalid):
        Terms.of(agreement(**NEXT))


RULES = [
    TENTH | {"rate": "1/7", "clawback": {"window_days": 45, "mode": "pro_rata"}, "cap": {"client": 4_000}},
    rule("share_of_increment", "aum", rate="1/11", start="first"),
    rule("points", "friend", points=10, redeem_event="redeem", expires_months=1),
    rule("percent_on_milestone", "course", rate="3/10"),
]
YEAR = amended(
    terms(*RULES),
    rules=[RULES[0] | {"rate": "1/5"}, *RULES[1:]],
    effective_from="2026-11-10",
    late_days=10,
    minimum_payout_minor=500,
)


@st.composite
def happenings(draw):
    """(id, client, kind, base, day, facts) of three months, some of which reverse others."""
    rows = []
    for place in range(draw(st.integers(0, 20))):
        kind = draw(st.sampled_from(["commission", "commission", "aum", "friend", "redeem", "course"]))
        day, client = draw(st.integers(1, 28)), draw(st.integers(1, 4))
        month, base = draw(st.integers(10, 12)), draw(st.integers(0, 50_000))
        facts = {
            "aum": {"level_minor": base},
            "redeem": {"points": 1 + base % 15},
            "course": {"completion_ppm": base * 20},
        }.get(kind, {})
        if kind == "commission" and rows and draw(st.booleans()):
            facts = {"reverses": draw(st.sampled_from(rows)).id}
        sign = -1 if "reverses" in facts else 1
        shown = 0 if kind in ("aum", "friend", "redeem") else sign * base
        rows.append(event(f"e{place}", client, shown, f"2026-{month}-{day:02}T06:00:00Z", kind, **facts))
    return rows


def by_month(rows):
    return [(f"2026-{month}", [row for row in rows if row.time.month == month]) for month in (10, 11, 12)]


@given(happenings(), st.randoms(use_true_random=False))
def test_replay_equals_step_by_step_in_any_order(rows, random):
    books = Months(YEAR, CLIENTS)
    steps = [books.close(period, *events) for period, events in by_month(rows)]
    random.shuffle(rows)
    shuffled = [(period, CLIENTS[::-1], events) for period, events in by_month(rows)]
    again = list(replay(YEAR, shuffled))
    assert [tuple(made.lines) for _, made in again] == steps
    assert (again[-1][1].closing if again else Position.empty()) == books.position


@given(happenings())
def test_points_and_money_balance_over_the_months(rows):
    """Points earned = redeemed + expired + held; every balance that is not paid is carried."""
    books = Months(YEAR, CLIENTS)
    points = paid = total = 0
    for period, events in by_month(rows):
        lines = books.close(period, *events)
        points += sum(line.amount_minor for line in lines if line.asset == "POINTS")
        total += sum(line.amount_minor for line in lines if not line.asset)
        paid += books.payout.gross_minor
    held = sum(lot.left for lots in books.position.points.values() for lot in lots)
    assert points == held
    assert total == paid + books.position.carried.get("CNY", 0)
