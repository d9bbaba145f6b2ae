"""When an agreement is over, to the second, and what its last statement pays of a balance below the minimum."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revenue_share import ending, ledger, periods, statement
from revenue_share.accounts import accrued, payable
from revenue_share.dispute import Adjustment
from revenue_share.drawing import Drawn, draw_up
from revenue_share.periods import parse_time
from revenue_share.position import Position
from revenue_share.statement import Place
from revenue_share.versions import LATEST, SECOND
from tests.support.revenue import REFERRER, Months, amended, event, referral, rule, salts, terms

DEC, JAN, FEB, MAR, APR = "2026-12", "2027-01", "2027-02", "2027-03", "2027-04"
TENTH = rule("percent_of_base", "commission", rate="1/10")  # 12 months from the referral
TRAFFIC = rule("fixed_per_event", "traffic", amount_minor=7, referred=False)
BACK = {"window_days": 10, "mode": "full"}
ENDS = {"valid_until": "2026-12-31", "exit": {"run_off_months": 0}, "minimum_payout_minor": 100}
LAST = "2026-12-31T15:59:59Z"  # 31 December 23:59:59 in Shanghai

# the name, rules, fields, and the first instant at which nothing counts or is taken back
CASES = {
    "no run-off": ([TENTH], {"exit": {"run_off_months": 0}}, "2026-12-31T16:00:00Z"),
    "two months of run-off": ([TENTH], {"exit": {"run_off_months": 2}}, "2027-02-28T16:00:00Z"),
    "the rule's window of the last referral": ([TENTH | {"months_from_referral": 1}], {}, "2027-01-31T15:59:59Z"),
    "the attribution window": ([TENTH], {"attribution_days": 20}, "2027-01-20T15:59:59Z"),
    "the run-off before the window": (
        [TENTH | {"months_from_referral": 3}],
        {"exit": {"run_off_months": 1}},
        "2027-01-31T16:00:00Z",
    ),
    "no client": ([TRAFFIC], {}, "2026-12-31T16:00:00Z"),
    "a clawback": ([TENTH | {"clawback": BACK}], {"exit": {"run_off_months": 0}}, "2027-01-10T15:59:59Z"),
    "the latest of several": ([TRAFFIC | {"clawback": BACK}, TENTH], {"attribution_days": 30}, "2027-01-30T15:59:59Z"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_end_is_the_first_instant_at_which_nothing_counts_or_is_taken_back(name):
    rules, fields, end = CASES[name]
    made = terms(*rules, **({"valid_until": "2026-12-31"} | fields))
    assert ending.end(made, MAR) == parse_time(end)


@pytest.mark.parametrize("name", CASES)
def test_the_last_second_counts_and_the_end_does_not(name):
    """An event, or the clawback of the last one that counts, a second before the end and at the end."""
    rules, fields, text = CASES[name]
    made = terms(*rules, **({"valid_until": "2026-12-31"} | fields))
    end = parse_time(text)
    seen = []
    for time in (end - timedelta(seconds=1), end):
        books = Months(made, [referral(1, LAST)])
        if "clawback" in name:
            books.close(DEC, event("paid", 1, 100, LAST))
        facts = {"reverses": "paid"} if "clawback" in name else {}
        moment = time.isoformat()[:19] + "Z"
        client, kind = (0, "traffic") if name == "no client" else (1, "commission")
        month = (time + timedelta(hours=8)).isoformat()[:7]
        seen.append(books.verdicts(month, event("e", client, 0 if facts else 100, moment, kind, **facts))["e"])
    assert seen[0] in ("COUNTED", "TAKEN_BACK") and seen[1] not in ("COUNTED", "TAKEN_BACK")


@settings(max_examples=150, deadline=None)
@given(
    window=st.tuples(st.integers(1, 120), st.integers(1, 6)),
    run_off=st.none() | st.integers(0, 4),
    back=st.none() | st.integers(1, 90),
    referred=st.tuples(st.integers(0, 60), st.integers(0, 86_399)),
    after=st.tuples(st.integers(0, 100), st.integers(0, 86_399)),
)
def test_nothing_counts_or_is_taken_back_from_the_end_on(window, run_off, back, referred, after):
    """Clients referred on any day until the last, events at any instant from the end on, in New York's clock."""
    days, months = window
    own = TENTH | {"months_from_referral": months}
    own |= {"clawback": {"window_days": back, "mode": "full"}} if back else {}
    exit_ = {} if run_off is None else {"exit": {"run_off_months": run_off}}
    made = terms(own, attribution_days=days, valid_until="2026-10-31", time_zone="America/New_York", **exit_)
    last = parse_time("2026-11-01T03:59:59Z")  # 31 October 23:59:59 in New York
    time = last - timedelta(days=referred[0], seconds=referred[1])
    end = ending.end(made, "2030-01")
    assert end is not None
    paid = event("paid", 1, 100, periods.time_text(time))
    moment = periods.time_text(end + timedelta(days=after[0], seconds=after[1]))
    period = (end + timedelta(days=after[0], seconds=after[1])).astimezone(made.zone).isoformat()[:7]
    books = Months(made, [referral(1, periods.time_text(time))])
    books.close(time.astimezone(made.zone).isoformat()[:7], paid)
    late = event("late", 1, 100, moment), event("back", 1, 0, moment, reverses="paid")
    assert not {"COUNTED", "TAKEN_BACK"} & set(books.verdicts(period, *late).values())


def test_an_open_agreement_is_never_over():
    assert ending.end(terms(TENTH), MAR) is None and not ending.over(terms(TENTH), "2099-12")


@pytest.mark.parametrize(("late", "first"), [(0, JAN), (1, FEB), (31, FEB), (32, MAR)])
def test_a_month_that_books_late_events_of_before_is_not_the_last(late, first):
    """Over at the end of December: January books nothing of before, but for its late days."""
    made = terms(TENTH, late_days=late, **ENDS)
    months = (DEC, JAN, FEB, MAR)
    assert [period for period in months if ending.over(made, period)] == list(months[months.index(first) :])


def test_a_later_version_ends_the_agreement_earlier_or_goes_on_with_it():
    made = amended(terms(TENTH), effective_from="2026-11-15", rules=[TENTH], **ENDS)
    assert ending.end(made, "2026-10") is None  # the version is not in force yet
    assert ending.end(made, "2026-11") == parse_time("2026-12-31T16:00:00Z")
    again = amended(made, effective_from="2027-02-15", rules=[TENTH], **ENDS | {"valid_until": "2027-03-31"})
    assert ending.over(again, JAN) and not ending.over(again, FEB)  # a replay of January stays what it was
    assert ending.end(again, FEB) == parse_time("2027-03-31T16:00:00Z")


def test_what_an_earlier_version_priced_can_be_taken_back_after_the_agreement_ended():
    """Ended on 31 October by a version of 1 November, without clawbacks; October's are open for 60 days."""
    before = terms(TENTH | {"clawback": {"window_days": 60, "mode": "full"}})
    made = amended(before, effective_from="2026-11-01", rules=[TENTH], **ENDS | {"valid_until": "2026-10-31"})
    assert ending.end(made, DEC) == parse_time("2026-12-30T15:59:59Z")  # 31 October 23:59:59 and 60 days


# --- the last balance


def drawn(made, periods, events, agreed=(), version=LATEST) -> list[Drawn]:
    """The months in turn, events by period; the last month has the adjustments."""
    found, position = [], Position.empty()
    for period in periods:
        own = agreed if period == periods[-1] else ()
        found.append(draw_up(made, [referral(1)], events.get(period, []), period, position, own, version))
        position = found[-1].closing
    return found


def adjustment(minor: int) -> Adjustment:
    return Adjustment(
        digest="ad" * 32,
        agreement=terms(TENTH).digest,
        statement="5a" * 32,
        line=0,
        token=referral(1).token,
        currency="CNY",
        amount_minor=minor,
        reason="left out",
    )


NINETY = {DEC: [event("e", 1, 900, "2026-12-05T06:00:00Z")]}  # 1/10 of 9.00: 0.90, below the minimum of 1.00


def test_the_last_balance_is_paid_below_the_minimum_and_a_line_says_so():
    december, january, february = drawn(terms(TENTH, **ENDS), (DEC, JAN, FEB), NINETY)
    assert [(m.step.gross_minor, m.step.carried_forward_minor) for m in (december, january, february)] == [
        (0, 90),
        (90, 0),
        (0, 0),
    ]
    line = january.lines[-1]
    assert (line.verdict.value, line.amount_minor, line.base_minor, line.asset) == ("LAST_BALANCE", 0, 90, "")
    assert line.reason_en == (
        "Events counted or were taken back before 2027-01-01 00:00:00 +08:00 only. Total and balance brought forward: "
        "0 + 90 = 90, below the minimum of 100; the agreement is over, nothing can be added to it: it is paid out."
    )
    assert line.reason_zh == (
        "仅 2027-01-01 00:00:00 +08:00 之前的事件可计入或追回。本期合计与上期结转：0 + 90 = 90，低于最低付款额 100；"
        "协议已结束，余额不会再增加，全部支付。"
    )
    assert [m.lines[-1].verdict.value for m in (december, february)] == ["COUNTED", "NO_EVENT"]
    assert january.closing.carried == {}


def test_the_last_payment_is_taxed_and_booked_like_any_other():
    """90 paid: VAT besides 90 x 3/50 = 5.4 -> 5, withheld 90 x 1/10 = 9: 86."""
    made = terms(TENTH, tax={"vat": "3/50", "withholding": "1/10"}, **ENDS)
    january = drawn(made, (DEC, JAN), NINETY)[1]
    own = salts(len(january.lines))
    place = Place(sequence=2, brought_forward_minor=90)
    booked = ledger.of_statement(statement.build(made.root, JAN, place, january.lines, own, january.step))
    assert {p.account: p.signed_minor for p in booked.postings} == {
        "tax:vat_in": 5,
        accrued(REFERRER): 90,
        "tax:withholding": -9,
        payable(REFERRER): -86,
    }
    assert (january.step.vat_minor, january.step.withheld_minor, january.step.paid_minor) == (5, 9, 86)


def test_a_debt_stays_carried_and_what_reaches_the_minimum_has_no_line():
    back = [event("e", 1, -900, "2026-12-05T06:00:00Z")]
    january = drawn(terms(TENTH, **ENDS), (DEC, JAN), {DEC: back})[1]
    assert (january.step.gross_minor, january.closing.carried) == (0, {"CNY": -90})
    assert [line.verdict.value for line in january.lines] == ["NO_EVENT"]
    enough = drawn(terms(TENTH, **ENDS), (DEC,), {DEC: [event("e", 1, 1000, "2026-12-05T06:00:00Z")]})[0]
    assert enough.step.gross_minor == 100 and len(enough.lines) == 1


def test_an_adjustment_is_counted_before_and_the_last_balance_is_the_last_line():
    january = drawn(terms(TENTH, **ENDS), (DEC, JAN), NINETY, [adjustment(-30)])[1]
    assert [line.verdict.value for line in january.lines] == ["NO_EVENT", "ADJUSTMENT", "LAST_BALANCE"]
    assert [line.index for line in january.lines] == [0, 1, 2]
    assert (january.step.gross_minor, january.closing.carried) == (60, {})
    reached = drawn(terms(TENTH, **ENDS), (DEC, JAN), NINETY, [adjustment(10)])[1]
    assert reached.step.gross_minor == 100 and reached.lines[-1].verdict.value == "ADJUSTMENT"


def test_a_month_without_anything_else_has_the_line_so_that_there_is_a_statement():
    """An agreement of no clients: 3 x 7 = 21 in December, then nothing is reported any more."""
    made = terms(TRAFFIC, **ENDS)
    traffic = [event(f"t{i}", 0, 0, "2026-12-05T06:00:00Z", "traffic", count=1) for i in range(3)]
    position, seen = Position.empty(), []
    for period, events in ((DEC, traffic), (JAN, []), (FEB, [])):
        month = draw_up(made, [], events, period, position)
        position = month.closing
        seen.append((len(month.lines), month.step.paid_minor))
    assert seen == [(3, 0), (1, 21), (0, 0)]


def test_statements_of_version_2_stay_what_they_were():
    """Drawn up again by their own version they carry the balance; the first one of version 3 pays it."""
    made = terms(TENTH, **ENDS)
    old = drawn(made, (DEC, JAN), NINETY, version=SECOND)
    assert [(m.step.gross_minor, m.step.carried_forward_minor, len(m.lines)) for m in old] == [(0, 90, 1), (0, 90, 1)]
    assert all(month.step.points is None for month in old)
    february = draw_up(made, [referral(1)], [], FEB, old[-1].closing)
    assert (february.step.gross_minor, february.closing.carried) == (90, {})
