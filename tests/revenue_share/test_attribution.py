"""Several claims on one client, referrals of oneself, and the end of an agreement."""

import pytest

from revenue_share import attribution
from revenue_share.errors import ReportInvalid
from revenue_share.referral import EventReport
from tests.support.revenue import Months, event, instant, referral, rule, terms

OCT = "2026-10"
TENTH = rule("percent_of_base", "commission", rate="1/10")
BEFORE, AFTER, SAME = "2026-09-20T00:00:00Z", "2026-10-03T00:00:00Z", "2026-10-01T01:00:00Z"


def due(credit, rivals, priority=0, days=366):
    """What the referral of 2026-10-01 has of 1/10 x 900 = 90 for the event of 2026-10-05."""
    given = {"attribution": {"credit": credit, "priority": priority}, "attribution_days": days}
    books = Months(terms(TENTH, **given), [referral(1)])
    line = books.close(OCT, event("a", 1, 900, rivals=rivals))[0]
    return line.amount_minor, line.verdict.value


@pytest.mark.parametrize(
    ("credit", "rivals", "expected"),
    [
        ("first", AFTER, (90, "COUNTED")),
        ("first", BEFORE, (0, "OTHER_REFERRER")),
        ("first", SAME, (45, "COUNTED")),
        ("last", AFTER, (0, "OTHER_REFERRER")),
        ("last", BEFORE, (90, "COUNTED")),
        ("last", SAME, (45, "COUNTED")),
        ("shared", BEFORE, (45, "COUNTED")),
        ("shared", f"{BEFORE} {AFTER}", (30, "COUNTED")),
        ("last", "2026-10-05T06:00:01Z", (90, "COUNTED")),  # a claim made after the event
        ("last", "2026-10-05T06:00:00Z", (0, "OTHER_REFERRER")),  # a claim at its very instant
        ("first", f"{BEFORE}/3", (90, "COUNTED")),  # a lower priority
        ("shared", f"{BEFORE}/1 {AFTER}", (45, "COUNTED")),
    ],
)
def test_who_has_the_credit(credit, rivals, expected):
    assert due(credit, rivals) == expected


def test_priority_goes_before_time():
    assert due("first", BEFORE, priority=1) == (0, "OTHER_REFERRER")
    assert due("first", f"{AFTER}/1", priority=1) == (90, "COUNTED")
    assert due("first", AFTER, priority=1) == (0, "OTHER_REFERRER")


def test_a_claim_whose_attribution_days_are_over_no_longer_stands():
    """Of 20 September 08:00 +08:00 ten days end on 30 September; sixteen end after the event of 5 October 14:00."""
    assert due("first", BEFORE, days=10) == (90, "COUNTED")
    assert due("first", BEFORE, days=16) == (0, "OTHER_REFERRER")


def test_the_parts_of_all_sharers_are_the_whole():
    """The same event seen from three referrers' agreements: 1/3 x 90 each."""
    claims = [SAME, BEFORE, AFTER]
    total = 0
    for own in claims:
        books = Months(terms(TENTH, attribution={"credit": "shared"}), [referral(1, own)])
        others = attribution.rivals((instant(time), 0) for time in claims if time != own)
        total += books.close(OCT, event("a", 1, 900, rivals=others))[0].share.fraction
    assert total == 90


def test_the_payer_names_claims_without_names():
    claims = [(instant(BEFORE), 0), (instant(AFTER), 2)]
    text = attribution.rivals(claims)
    assert text == f"{AFTER}/2 {BEFORE}"
    assert sorted(attribution.claims(text)) == sorted(claims)


def test_a_shared_line_says_its_part():
    books = Months(terms(TENTH, attribution={"credit": "shared"}), [referral(1)])
    line = books.close(OCT, event("a", 1, 900, rivals=BEFORE))[0]
    assert "1/10 x 900 fen = 90 fen; shared with other referrers: x 1/2 = 45 fen, which is 45 fen" in line.reason_en
    assert "与其他转介方共享：× 1/2 = 45 分" in line.reason_zh


def test_a_client_that_refers_itself_earns_nothing():
    points = rule("points", "friend", points=100, redeem_event="redeem", expires_months=12)
    books = Months(terms(points), [referral(1), referral(2)])
    own, other = f"{1:032x}", f"{2:032x}"
    assert books.verdicts(OCT, event("a", 1, 0, kind="friend", friend=own)) == {"a": "SELF_REFERRAL"}
    assert books.position.points == {}
    later = "2026-11-05T06:00:00Z"
    once, twice = (event(name, 1, 0, later, "friend", friend=other) for name in "bc")
    assert books.amounts("2026-11", once, twice) == {"b": 100, "c": 0}


@pytest.mark.parametrize(
    ("time", "verdict"),
    [
        ("2026-11-30T15:59:59Z", "COUNTED"),
        ("2026-11-30T16:00:00Z", "AFTER_RUN_OFF"),  # 1 December 00:00 +08:00: one month after 31 October is over
    ],
)
def test_after_the_end_events_count_until_the_run_off_is_over(time, verdict):
    ends = {"valid_until": "2026-10-31", "exit": {"run_off_months": 1}}
    books = Months(terms(TENTH, **ends), [referral(1), referral(2, "2026-11-01T00:00:00Z")])
    period = "2026-11" if verdict == "COUNTED" else "2026-12"
    assert books.verdicts(period, event("a", 1, 100, time)) == {"a": verdict}
    assert books.verdicts("2027-01", event("b", 2, 100, "2026-12-31T16:00:00Z"))["b"] == "OUTSIDE_VALIDITY"


def test_no_run_off_freezes_at_once():
    books = Months(terms(TENTH, valid_until="2026-10-04", exit={"run_off_months": 0}), [referral(1)])
    last, next_ = event("a", 1, 100, "2026-10-04T15:59:59Z"), event("b", 1, 100, "2026-10-04T16:00:00Z")
    assert books.verdicts(OCT, last, next_) == {"a": "COUNTED", "b": "AFTER_RUN_OFF"}


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"mood": 1},
        {"count": 0},
        {"count": True},
        {"count": "5"},
        {"level_minor": -1},
        {"level_minor": 10**15 + 1},
        {"weight_ppm": 1_000_001},
        {"currency": "XAU"},
        {"receipt": "ab"},
        {"rivals": "2026-02-30T00:00:00Z"},
        {"rivals": "2026-10-05T06:00:00Z/0"},
        {"rivals": " ".join([BEFORE] * 17)},
        {"rivals": ""},
        {"reverses": "a b"},
        {"scale": 7},
        {"score_ppm": 1.5},
    ],
    ids=str,
)
def test_a_fact_that_is_none_is_refused_with_its_report(facts):
    row = event("a", 1, 5).to_value() | {"facts": facts}
    body = {"agreement": "ab" * 32, "period": OCT, "currency": "CNY", "events": [row]}
    with pytest.raises(ReportInvalid) as caught:
        EventReport.from_body(body)
    assert "facts" in caught.value.message() and "events[0]" in caught.value.message("zh")


def test_facts_come_back_in_their_order():
    happening = event("a", 1, 5, scale=2, count=3, currency="USD")
    body = {"agreement": "ab" * 32, "period": OCT, "currency": "CNY", "events": [happening.to_value()]}
    assert EventReport.from_body(body).events == (happening,)
    assert EventReport.from_body(body).to_body() == body


@pytest.mark.parametrize(
    ("kind", "fields", "facts", "faults"),
    [
        ("percent_of_base", {"rate": "1/2"}, {"count": 1}, "+count"),
        ("share_of_increment", {"rate": "1/2", "start": "zero"}, {}, "-level_minor"),
        ("share_of_increment", {"rate": "1/2", "start": "zero"}, {"level_minor": 1, "scale": 1}, "+scale"),
        ("percent_on_milestone", {"rate": "1/2"}, {"item": "x"}, "-completion_ppm"),
        ("points", {"points": 1, "redeem_event": "y", "expires_months": 1}, {"rivals": BEFORE}, "+rivals"),
        ("fixed_per_event", {"amount_minor": 1, "referred": False}, {"rivals": BEFORE, "count": 1}, "+rivals"),
    ],
)
def test_facts_that_a_rule_does_not_ask_for_or_lacks_are_named(kind, fields, facts, faults):
    line = Months(terms(rule(kind, "x", **fields)), [referral(1)]).close(OCT, event("a", 1, 5, kind="x", **facts))[0]
    assert (line.verdict.value, line.amount_minor) == ("FACTS_WRONG", 0)
    assert line.reason_en.endswith(f"{faults}.")


def test_an_event_of_no_client_has_no_referral_even_under_a_clients_token():
    visits = rule("fixed_per_event", "visits", amount_minor=5, referred=False)
    (line,) = Months(terms(visits), [referral(1, "2026-10-20T00:00:00Z")]).close(OCT, event("a", 1, 0, kind="visits"))
    assert (line.verdict.value, line.amount_minor, line.referred) == ("COUNTED", 5, "")


def test_a_negative_base_is_refused_where_it_mirrors_nothing():
    books = Months(terms(rule("percent_on_milestone", "x", rate="1/2")), [referral(1)])
    assert books.verdicts(OCT, event("a", 1, -5, kind="x", completion_ppm=5)) == {"a": "BASE_SIGN"}
