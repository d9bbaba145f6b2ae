"""Points: earned, redeemed the oldest first, expired on their day, never money."""

from tests.support.revenue import Months, event, referral, rule, terms, token

OCT, NOV, DEC = "2026-10", "2026-11", "2026-12"
POINTS = rule("points", "friend", points=100, redeem_event="redeem", expires_months=1)


def months(**fields):
    return Months(terms(POINTS | fields), [referral(1), referral(2)])


def test_points_are_an_asset_of_their_own():
    books = months()
    line = books.close(OCT, event("a", 1, 0, kind="friend"))[0]
    assert (line.amount_minor, line.asset, line.to_value()["asset"]) == (100, "POINTS", "POINTS")
    assert books.payout.total_minor == 0 and books.position.carried == {"POINTS": 100}  # money and points apart
    assert "1 x 100 points = 100 points" in line.reason_en and "CNY" not in line.reason_en


def test_the_oldest_are_redeemed_first_and_no_more_than_there_are():
    """Two lots of 100: 150 take the first and half of the second; 51 more are too many, 50 are not."""
    books = months()
    earned = event("a", 1, 0, "2026-10-05T06:00:00Z", "friend"), event("b", 1, 0, "2026-10-06T06:00:00Z", "friend")
    redeemed = event("r", 1, 0, "2026-10-07T06:00:00Z", "redeem", points=150)
    assert books.amounts(OCT, *earned, redeemed) == {"a": 100, "b": 100, "r": -150}
    (lots,) = books.position.points.values()
    assert [(lot.event, lot.left) for lot in lots] == [("b", 50)]
    more = event("s", 1, 0, "2026-11-01T06:00:00Z", "redeem", points=51)
    rest = event("t", 1, 0, "2026-11-02T06:00:00Z", "redeem", points=50)
    assert books.verdicts(NOV, more, rest) == {"s": "POINTS_SHORT", "t": "REDEEMED"}


def test_points_expire_at_their_instant():
    """Earned on 5 October 14:00 +08:00, gone on 5 November 14:00 +08:00."""
    books = months()
    books.close(OCT, event("a", 1, 0, kind="friend"), event("b", 2, 0, kind="friend"))
    inside = event("r", 1, 0, "2026-11-05T05:59:59Z", "redeem", points=30)
    outside = event("s", 2, 0, "2026-11-05T06:00:00Z", "redeem", points=30)
    lines = books.close(NOV, inside, outside)
    assert [(line.token, line.event, line.verdict.value, line.amount_minor) for line in lines] == [
        (token(1), "r", "REDEEMED", -30),
        (token(1), "", "POINTS_EXPIRED", -70),
        (token(2), "s", "POINTS_SHORT", 0),
        (token(2), "", "POINTS_EXPIRED", -100),
    ]
    assert "70 points of the client expired on 2026-11-05 14:00:00 +08:00" in lines[1].reason_en
    assert books.position.points == {}


def test_points_that_were_reported_late_are_redeemed_by_their_own_age():
    """Earned on 25 November and reported in December, after points of 28 November: 100 + 20 taken in that order."""
    books = Months(terms(POINTS | {"expires_months": 3}, late_days=10), [referral(1)])
    books.close(NOV, event("new", 1, 0, "2026-11-28T06:00:00Z", "friend"))
    redeemed = event("r", 1, 0, "2026-12-06T06:00:00Z", "redeem", points=120)
    books.close(DEC, event("old", 1, 0, "2026-11-25T06:00:00Z", "friend"), redeemed)
    (lots,) = books.position.points.values()
    assert [(lot.event, lot.left) for lot in lots] == [("new", 80)]


def test_points_that_expire_with_the_first_instant_of_a_month_are_held_till_then():
    books = Months(terms(POINTS), [referral(1, "2026-09-01T00:00:00Z")])
    books.close(OCT, event("a", 1, 0, "2026-09-30T16:00:00Z", "friend"))  # 1 October 00:00 +08:00
    assert books.position.points
    assert [line.verdict.value for line in books.close(NOV)] == ["POINTS_EXPIRED"]


def test_a_clawback_takes_what_is_left_of_its_own_lot():
    books = months(clawback={"window_days": 90, "mode": "full"}, expires_months=12)
    earned = [event(name, 1, 0, f"2026-10-0{day}T06:00:00Z", "friend") for name, day in (("a", 5), ("b", 6))]
    books.close(OCT, *earned, event("r", 1, 0, "2026-10-07T06:00:00Z", "redeem", points=60))
    backs = [event(f"x{name}", 1, 0, "2026-11-05T06:00:00Z", "friend", reverses=name) for name in "ab"]
    assert books.amounts(NOV, *backs) == {"xa": -40, "xb": -100}
    assert books.position.points == {}


def test_points_taken_back_before_are_not_redeemed():
    """Earned on the 5th, taken back on the 6th: on the 7th there is nothing to redeem. The other way round there is."""
    fields = {"clawback": {"window_days": 90, "mode": "full"}, "expires_months": 12}
    earned = event("a", 1, 0, "2026-10-05T06:00:00Z", "friend")
    back = [event("x", 1, 0, f"2026-10-0{day}T06:00:00Z", "friend", reverses="a") for day in (6, 8)]
    redeemed = event("r", 1, 0, "2026-10-07T06:00:00Z", "redeem", points=100)
    before, after = months(**fields), months(**fields)
    assert before.amounts(OCT, earned, back[0], redeemed) == {"a": 100, "x": -100, "r": 0}
    assert after.amounts(OCT, earned, back[1], redeemed) == {"a": 100, "x": 0, "r": -100}
    assert before.position.points == after.position.points == {}


def test_points_that_expired_before_are_not_taken_back():
    """Earned on 5 October for a month: gone on 5 November 14:00 +08:00, a minute before they are taken back."""
    books = months(clawback={"window_days": 90, "mode": "full"})
    books.close(OCT, event("a", 1, 0, kind="friend"))
    lines = books.close(NOV, event("x", 1, 0, "2026-11-05T06:01:00Z", "friend", reverses="a"))
    told = {line.verdict.value: line.amount_minor for line in lines if line.token == token(1)}
    assert told == {"POINTS_EXPIRED": -100, "TAKEN_BACK": 0}
