"""Random months with points beside money: lines, statements, the position and the journal say one and the same.

The first months may be drawn up by version 2, which booked no points: the first statement of version 3 opens them.
"""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from revenue_share import accounts, ledger, statement
from revenue_share.drawing import Drawn, draw_up
from revenue_share.ledger import EntryState, JournalEntry
from revenue_share.periods import parse_time
from revenue_share.points_book import held
from revenue_share.position import Position
from revenue_share.referral import RevenueEvent, Verdict
from revenue_share.statement import Place, Statement
from revenue_share.versions import LATEST, SECOND
from tests.support.revenue import event, referral, rule, salts, terms

PERIODS = ("2026-08", "2026-09", "2026-10", "2026-11")
REFERRALS = [referral(number, "2026-07-31T16:00:00Z") for number in range(3)]
BACK = {"window_days": 50, "mode": "full"}
TERMS = terms(
    rule("points", "friend", points=100, redeem_event="redeem", expires_months=2, clawback=BACK),
    rule("points", "visit", points=7, redeem_event="swap", expires_months=1),
    rule("percent_of_base", "commission", rate="1/10"),
    late_days=40,
    minimum_payout_minor=5_000,
)
KINDS = ("friend", "visit", "redeem", "swap", "back", "commission")
SPECS = st.tuples(
    st.integers(0, 3),  # client; the last was never referred
    st.integers(0, 29),  # day of the month
    st.sampled_from(KINDS),
    st.integers(1, 150),  # points redeemed, or the base
    st.booleans(),  # late: of the month before
    st.integers(0, 10),  # which earlier event it takes back
)
MONTHS = st.lists(st.lists(SPECS, max_size=14), min_size=4, max_size=4)
Spec = tuple[int, int, str, int, bool, int]


def events_of(months: list[list[Spec]]) -> list[list[RevenueEvent]]:
    found: list[list[RevenueEvent]] = []
    earned: list[RevenueEvent] = []
    for place, specs in enumerate(months):
        begin, made = parse_time(f"{PERIODS[place]}-01T00:00:00Z"), []
        for number, (client, day, kind, count, late, back) in enumerate(specs):
            moment = begin + timedelta(days=day - (30 if late and place else 0), seconds=number)
            time, name = moment.isoformat()[:19] + "Z", f"e{place}-{number}"
            if kind in ("redeem", "swap"):
                made.append(event(name, client, 0, time, kind, points=count))
            elif kind != "back":
                made.append(event(name, client, count * 1000, time, kind))
            elif back < len(earned):
                original = earned[back]
                made.append(event(name, int(original.token, 16), 0, time, "friend", reverses=original.id))
        earned += [one for one in made if one.kind == "friend" and not one.facts]
        found.append(made)
    return found


def settle(months: list[list[RevenueEvent]], booked_from: int) -> list[tuple[Drawn, Statement, JournalEntry | None]]:
    """The months in turn; those before `booked_from` by version 2."""
    opening, found = Position.empty(), []
    for place, (period, events) in enumerate(zip(PERIODS, months, strict=True)):
        version = SECOND if place < booked_from else LATEST
        drawn = draw_up(TERMS, REFERRALS, events, period, opening, version=version)
        stands = Place(sequence=place + 1, brought_forward_minor=opening.carried.get("CNY", 0))
        own = salts(len(drawn.lines), period.encode())
        made = statement.build(TERMS.root, period, stands, drawn.lines, own, drawn.step)
        assert statement.from_body(made.body) == made and made.version == version
        found.append((drawn, made, ledger.of_statement(made)))
        opening = Position.from_value(drawn.closing.to_value())
    return found


def of_lines(drawn: Drawn, verdict: Verdict) -> int:
    return abs(sum(line.amount_minor for line in drawn.lines if line.asset and line.verdict is verdict))


@settings(max_examples=80, deadline=None)
@given(months=MONTHS, booked_from=st.integers(0, 3))
def test_points_of_lines_statements_positions_and_journal_are_the_same(
    months: list[list[Spec]], booked_from: int
) -> None:
    posted: list[JournalEntry] = []
    for place, (drawn, made, entry) in enumerate(settle(events_of(months), booked_from)):
        posted += [entry.become(EntryState.POSTED)] if entry else []
        books = {(one.account, one.asset): one.net_minor for one in ledger.trial_balance(posted)}
        for asset in ("CNY", "POINTS"):
            assert sum(net for (_, held_in), net in books.items() if held_in == asset) == 0
        assert all((asset == "POINTS") == account.startswith("points:") for account, asset in books)
        open_ = held(drawn.closing.points)
        points = made.step.points if made.step else None
        if points is None:
            assert place < booked_from and ledger.points_owed(posted) == 0
            continue
        assert ledger.points_owed(posted) == -books.get((accounts.POINTS_LIABILITY, "POINTS"), 0) == open_
        assert points.carried_forward == open_ == drawn.closing.carried.get("POINTS", 0)
        assert points.earned == of_lines(drawn, Verdict.COUNTED)
        assert points.redeemed == of_lines(drawn, Verdict.REDEEMED)
        assert points.taken_back == of_lines(drawn, Verdict.TAKEN_BACK)
        assert points.expired == of_lines(drawn, Verdict.POINTS_EXPIRED)
        assert (points.opened == 0) or place == booked_from
        assert ("open from earlier months" in entry.memo if entry else False) == (points.opened > 0)


@settings(max_examples=30, deadline=None)
@given(months=MONTHS, booked_from=st.integers(0, 3))
def test_the_change_of_version_moves_no_money_and_ends_with_the_same_points(
    months: list[list[Spec]], booked_from: int
) -> None:
    events = events_of(months)
    for (changed, one, _), (always, other, _) in zip(settle(events, booked_from), settle(events, 0), strict=True):
        assert [line.to_value() for line in changed.lines] == [line.to_value() for line in always.lines]
        assert (one.total_minor, one.payable_minor) == (other.total_minor, other.payable_minor)
        assert changed.closing.points == always.closing.points
