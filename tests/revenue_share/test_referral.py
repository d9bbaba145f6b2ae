import pytest

from privacy import canonical
from revenue_share import periods
from revenue_share.errors import ReportInvalid
from revenue_share.qualification import Windows, qualify
from revenue_share.referral import (
    REPORT_ROWS_MAX,
    EventReport,
    ReferralReport,
    Verdict,
    first_referrals,
)
from tests.support.revenue import OCTOBER, agreement, event, referral, token

TERMS = agreement()
BOUNDS = periods.period_bounds(OCTOBER, TERMS.zone)
AGREEMENT = "cd" * 32
ALIGNMENT = "ef" * 32


def verdict(referred, happened, *, base=100, kind="commission", terms=TERMS, period=OCTOBER):
    bounds = periods.period_bounds(period, terms.zone)
    happening = event("e1", 1, base, happened, kind)
    return qualify(terms, terms.rule_for(kind), referral(1, referred), happening, bounds, Windows())


def test_an_event_inside_both_windows_counts():
    assert verdict("2026-10-01T01:00:00Z", "2026-10-05T06:00:00Z") is Verdict.COUNTED


def test_the_instant_of_the_referral_counts_and_the_instant_of_the_end_does_not():
    assert verdict("2026-10-01T01:00:00Z", "2026-10-01T01:00:00Z") is Verdict.COUNTED
    assert verdict("2026-09-15T01:00:00Z", "2026-10-15T00:59:59Z") is Verdict.COUNTED
    assert verdict("2026-09-15T01:00:00Z", "2026-10-15T01:00:00Z") is Verdict.AFTER_WINDOW


def test_one_second_before_the_referral():
    assert verdict("2026-10-05T06:00:00Z", "2026-10-05T05:59:59Z") is Verdict.BEFORE_REFERRAL


def test_the_month_end_is_clamped():
    january, february = "2026-01-31T02:00:00Z", "2026-02"
    assert verdict(january, "2026-02-28T01:59:59Z", period=february) is Verdict.COUNTED
    assert verdict(january, "2026-02-28T02:00:00Z", period=february) is Verdict.AFTER_WINDOW


def test_the_period_is_the_month_of_the_agreements_zone():
    referred, midnight = "2026-02-20T00:00:00Z", "2026-02-28T16:00:00Z"  # 1 March 00:00 +08:00
    assert verdict(referred, midnight, period="2026-02") is Verdict.OUTSIDE_PERIOD
    assert verdict(referred, midnight, period="2026-03") is Verdict.COUNTED
    assert verdict(referred, "2026-02-28T15:59:59Z", period="2026-02") is Verdict.COUNTED


def test_december_ends_with_the_year():
    start, end = periods.period_bounds("2026-12", TERMS.zone)
    assert (periods.time_text(start), periods.time_text(end)) == ("2026-11-30T16:00:00Z", "2026-12-31T16:00:00Z")


def test_other_reasons():
    assert qualify(TERMS, TERMS.rules[0], None, event("e1", 1, 100), BOUNDS, Windows()) is Verdict.UNKNOWN_TOKEN
    assert verdict("2026-10-01T01:00:00Z", "2026-10-05T06:00:00Z", kind="interest") is Verdict.WRONG_KIND
    late = agreement(valid_from="2026-10-02")
    assert verdict("2026-10-01T01:00:00Z", "2026-10-05T06:00:00Z", terms=late) is Verdict.OUTSIDE_VALIDITY


def test_a_negative_base_is_a_reversal_under_the_same_window():
    assert verdict("2026-10-01T01:00:00Z", "2026-10-05T06:00:00Z", base=-1) is Verdict.COUNTED_REVERSAL
    assert verdict("2026-09-01T01:00:00Z", "2026-10-05T06:00:00Z", base=-1) is Verdict.AFTER_WINDOW


def test_referring_again_does_not_lengthen_the_window():
    again = [referral(1, "2026-10-20T00:00:00Z"), referral(1, "2026-10-01T00:00:00Z"), referral(2)]
    assert first_referrals(again)[token(1)] == again[1]
    assert len(first_referrals(again)) == 2


def test_reports_round_trip():
    referrals = ReferralReport(agreement=AGREEMENT, alignment=ALIGNMENT, referrals=(referral(1), referral(2)))
    events = EventReport(agreement=AGREEMENT, period=OCTOBER, currency="CNY", events=(event("e-1", 1, -5),))
    assert ReferralReport.from_body(canonical.decode(canonical.encode(referrals.to_body()))) == referrals
    assert EventReport.from_body(canonical.decode(canonical.encode(events.to_body()))) == events


REFERRALS = {"agreement": AGREEMENT, "alignment": ALIGNMENT, "referrals": [referral(1).to_value()]}
EVENT = event("e1", 1, 100).to_value()
EVENTS = {"agreement": AGREEMENT, "period": "2026-10", "currency": "CNY", "events": [EVENT]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"agreement": "x"}, "agreement"),
        ({"alignment": None}, "alignment"),
        ({"referrals": []}, "referrals"),
        ({"referrals": ["t"]}, "referrals"),
        ({"referrals": REFERRALS["referrals"] * 2}, "referrals"),
        ({"referrals": [{"token": "x", "time": "2026-10-01T01:00:00Z"}]}, "referrals[0].token"),
        ({"referrals": [{"token": "0" * 32, "time": "2026-10-01 01:00"}]}, "referrals[0].time"),
        ({"referrals": [{"token": "0" * 32, "time": "2026-10-32T01:00:00Z"}]}, "referrals[0].time"),
        ({"referrals": [{"token": "0" * 32}]}, "referrals[0]"),
        ({"note": "hello"}, "report"),
        ({"referrals": [referral(i).to_value() for i in range(REPORT_ROWS_MAX + 1)]}, "referrals"),
    ],
)
def test_a_wrong_referral_report(change, field):
    with pytest.raises(ReportInvalid) as caught:
        ReferralReport.from_body(REFERRALS | change)
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"period": "2026-13"}, "period"),
        ({"currency": 156}, "currency"),
        ({"events": [EVENT, EVENT]}, "events"),
        ({"events": [EVENT | {"base_minor": 10**15 + 1}]}, "events[0].base_minor"),
        ({"events": [EVENT | {"base_minor": "100"}]}, "events[0].base_minor"),
        ({"events": [EVENT | {"base_minor": True}]}, "events[0].base_minor"),
        ({"events": [EVENT | {"id": "=cmd()"}]}, "events[0].id"),
        ({"events": [EVENT | {"kind": "Commission"}]}, "events[0].kind"),
        ({"events": [EVENT | {"client": "secret"}]}, "events[0]"),
    ],
)
def test_a_wrong_event_report(change, field):
    with pytest.raises(ReportInvalid) as caught:
        EventReport.from_body(EVENTS | change)
    assert caught.value.facts["field"] == field
