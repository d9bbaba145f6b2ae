"""Clawback: what an event that names its original takes back, and when it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revenue_share.errors import PositionInvalid
from tests.support.revenue import Months, event, referral, rule, terms

OCT, NOV, DEC = "2026-10", "2026-11", "2026-12"
N_TIME, D_TIME = "2026-11-05T06:00:00Z", "2026-12-05T06:00:00Z"


def months(mode, days=60, rate="1/3", **fields):
    clawback = {"window_days": days, "mode": mode, **fields}
    books = terms(rule("percent_of_base", "commission", rate=rate, clawback=clawback))
    return Months(books, [referral(number, "2026-09-01T00:00:00Z") for number in range(1, 5)])


def back(name, original, base=0, time=N_TIME, number=1, **facts):
    return event(name, number, base, time, reverses=original, **facts)


def test_a_whole_one_mirrors_the_amount_paid_in_a_later_month():
    """1/3 x 1,000 = 333.33 -> 333 with 1/3 x 1,001 = 333.67 -> 334, sum 667; each goes back as it was paid."""
    books = months("full")
    assert books.amounts(OCT, event("a", 1, 1_000), event("b", 1, 1_001)) == {"a": 333, "b": 334}
    assert books.amounts(NOV, back("ra", "a"), back("rb", "b")) == {"ra": -333, "rb": -334}
    assert books.verdicts(DEC, back("again", "a", time=D_TIME)) == {"again": "TAKEN_BACK_LATE"}


def test_a_whole_one_mirrors_within_its_month():
    books = months("full")
    paid = [event(f"e{i}", 1, 1_000 + i) for i in range(3)]
    amounts = books.amounts(OCT, *paid, back("r", "e1", time="2026-10-20T06:00:00Z"))
    assert amounts["r"] == -amounts["e1"]


def test_parts_take_back_in_proportion_and_the_last_one_what_is_left():
    """Paid 333 for 1,000. A half: 166.5 -> 166 (half to even); of 167 for 500 two fifths: 66.8 -> 67; the rest: 100."""
    books = months("pro_rata")
    assert books.amounts(OCT, event("a", 1, 1_000)) == {"a": 333}
    parts = [
        back("p", "a", -500),
        back("q", "a", -200, "2026-11-06T06:00:00Z"),
        back("r", "a", -900, "2026-11-07T06:00:00Z"),
    ]
    assert books.amounts(NOV, *parts) == {"p": -166, "q": -67, "r": -100}


def test_when_nothing_is_taken_back():
    books = months("full", days=10, reasons=["left"])
    books.close(OCT, event("a", 1, 900, "2026-10-28T06:00:00Z"), event("b", 1, 900, "2026-10-28T06:00:00Z"))
    inside, outside = "2026-11-07T05:59:59Z", "2026-11-07T06:00:00Z"
    assert books.verdicts(
        NOV,
        back("late", "a", 0, outside, reason="left"),
        back("reason", "a", 0, inside, reason="mood"),
        back("no-reason", "a", 0, inside),
        back("sign", "a", 900, inside, reason="left"),
        back("unknown", "z", 0, inside, reason="left"),
        back("other-client", "a", 0, inside, 2, reason="left"),
        back("good", "b", 0, inside, reason="left"),
        back("spent", "b", 0, "2026-11-07T05:59:59Z", reason="left"),
        back("facts", "a", 0, inside, reason="left", count=2),
    ) == {
        "late": "TAKEN_BACK_LATE",
        "reason": "REASON_NOT_AGREED",
        "no-reason": "REASON_NOT_AGREED",
        "sign": "BASE_SIGN",
        "unknown": "ORIGINAL_UNKNOWN",
        "other-client": "ORIGINAL_UNKNOWN",
        "good": "TAKEN_BACK",
        "spent": "ORIGINAL_SPENT",
        "facts": "FACTS_WRONG",
    }


def test_nothing_is_taken_back_before_it_was_paid():
    books = months("full")
    early = back("r", "a", time="2026-10-05T05:59:59Z")
    assert books.verdicts(OCT, event("a", 1, 900), early) == {"a": "COUNTED", "r": "ORIGINAL_UNKNOWN"}


def test_a_position_of_other_terms_is_refused():
    books, others = months("full"), months("full", rate="1/4")
    books.close(OCT, event("a", 1, 900))
    others.position = books.position
    with pytest.raises(PositionInvalid):
        others.close(NOV, back("r", "a"))
    points = Months(terms(rule("points", "friend", points=5, redeem_event="redeem", expires_months=9)), [referral(1)])
    points.close(OCT, event("p", 1, 0, kind="friend"))
    others.position = points.position
    with pytest.raises(PositionInvalid):
        others.close(NOV)


def test_a_rule_without_clawback_gives_nothing_back():
    books = Months(terms(rule("percent_of_base", "commission", rate="1/3")), [referral(1)])
    books.close(OCT, event("a", 1, 900))
    assert books.verdicts(NOV, back("r", "a")) == {"r": "ORIGINAL_UNKNOWN"}


def test_what_is_owed_after_a_clawback_is_carried_until_it_is_earned():
    """Paid 300. November takes 300 back and earns 1/3 x 300 = 100: -200 carried. December earns 300: 100 are paid."""
    books = months("full")
    books.close(OCT, event("a", 1, 900))
    assert (books.payout.paid_minor, books.payout.carried_forward_minor) == (300, 0)
    books.close(NOV, back("r", "a"), event("b", 1, 300, N_TIME))
    assert (books.payout.paid_minor, books.payout.carried_forward_minor) == (0, -200)
    books.close(DEC, event("c", 1, 900, D_TIME))
    assert (books.payout.paid_minor, books.payout.carried_forward_minor) == (100, 0)
    assert not books.position.carried


def test_what_no_window_needs_is_forgotten():
    books = months("full", days=40)
    books.close(OCT, event("a", 1, 900), event("b", 1, 900, "2026-10-30T06:00:00Z"))
    assert set(books.position.open) == {"a", "b"}
    books.close(NOV)
    assert set(books.position.open) == {"b"}
    last = months("full", days=31)  # its window ends with the month: no instant of the next one is inside
    last.close(OCT, event("c", 1, 900, "2026-09-30T16:00:00Z"))
    assert not last.position.open
    books.close(DEC)
    assert not books.position.open


def test_the_sentence_says_original_window_and_sum():
    books = months("pro_rata")
    books.close(OCT, event("a", 1, 900))
    line = books.close(NOV, back("r", "a", -300, reason="cancelled"))[0]
    assert line.reason_en == (
        "The commission of 2026-11-05 14:00:00 +08:00 takes back the event a (reason: cancelled), before 2026-12-04 "
        "14:00:00 +08:00: of 300 left of what rule commission-rule of version 1 paid, for a base of 900, 100 for a "
        "base of -300: -100."
    )
    assert "追回事件 a（原因：cancelled）" in line.reason_zh and "100：-100" in line.reason_zh


BASES = st.lists(st.integers(1, 10**12), min_size=1, max_size=8)


@given(BASES, st.booleans())
def test_every_clawback_mirrors_to_the_unit(bases, same_month):
    books = months("full", rate="1/7")
    paid = [event(f"e{i}", 1, base) for i, base in enumerate(bases)]
    time = "2026-10-20T06:00:00Z" if same_month else N_TIME
    reversing = [back(f"r{i}", f"e{i}", time=time) for i in range(len(bases))]
    first = books.amounts(OCT, *paid, *(reversing if same_month else []))
    taken = first if same_month else books.amounts(NOV, *reversing)
    assert all(taken[f"r{i}"] == -first[f"e{i}"] for i in range(len(bases)))


@given(st.integers(1, 10**9), st.lists(st.integers(1, 1000), min_size=1, max_size=6))
def test_parts_that_make_the_whole_give_back_the_whole(base, weights):
    whole = sum(weights)
    books = months("pro_rata", rate="1/7")
    paid = books.amounts(OCT, event("a", 1, base * whole))["a"]
    parts = [back(f"p{i}", "a", -base * weight, f"2026-11-05T06:00:{i:02}Z") for i, weight in enumerate(weights)]
    assert sum(books.amounts(NOV, *parts).values()) == -paid
