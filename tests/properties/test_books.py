"""Random months of one agreement: what lines, statements, books and chain commitments say is one and the same.

Each month opens with the position that the month before handed on. Events may be late, taken back in part or whole,
above and below zero; a later version with another rate comes into force between two of the months.
"""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ecowire import codec_settlement
from privacy import merkle
from revenue_share import accounts, ledger, statement
from revenue_share.agreement import Agreement
from revenue_share.allocation import Allocation, allocate, replay
from revenue_share.drawing import draw_up
from revenue_share.ledger import EntryState, JournalEntry
from revenue_share.money import Money
from revenue_share.periods import parse_time
from revenue_share.position import Position
from revenue_share.referral import RevenueEvent, Verdict
from revenue_share.statement import Place, Salts, Statement
from revenue_share.terms import Terms
from tests.support.revenue import REFERRER, agreement, agreement_body, referral, salts, token

PERIODS = ("2026-08", "2026-09", "2026-10")
CHANGE = parse_time("2026-08-31T16:00:00Z")  # 1 September in Shanghai: from here on 1/10 instead of 1/20
REFERRALS = [referral(number, "2026-07-31T16:00:00Z") for number in range(6)]
RULE = {
    "id": "commission",
    "kind": "percent_of_base",
    "event": "commission",
    "months_from_referral": 6,
    "clawback": {"window_days": 60, "mode": "pro_rata"},
}


def terms_of(minimum: int, tax: str) -> Terms:
    """Two versions; tax: "", or VAT contained or paid besides, with withholding."""
    taxes = {"vat": "3/50", "withholding": "1/10", "vat_included": tax == "contained"}
    optional = {"minimum_payout_minor": minimum, "late_days": 40, **({"tax": taxes} if tax else {})}
    root = agreement(attribution_days=300, valid_until=None, rules=[{**RULE, "rate": "1/20"}], **optional)
    later = {"version": 2, "amends": root.digest, "effective_from": "2026-09-01", "rules": [{**RULE, "rate": "1/10"}]}
    body = agreement_body(attribution_days=300, valid_until=None, **optional) | later
    return Terms.of(root, Agreement.from_body(body))


SPECS = st.tuples(
    st.integers(0, 6),  # client; the last was never referred
    st.integers(0, 29),  # day of the month
    st.integers(-(10**7), 10**7),
    st.booleans(),  # late: of the month before
    st.integers(0, 20),  # which earlier event it takes back; none for most
)
MONTHS = st.lists(st.lists(SPECS, max_size=12), min_size=3, max_size=3)
TERMS = st.builds(terms_of, st.sampled_from([0, 5_000]), st.sampled_from(["", "contained", "besides"]))


def events_of(months: list[list[tuple[int, int, int, bool, int]]]) -> list[list[RevenueEvent]]:
    found: list[list[RevenueEvent]] = []
    earlier: list[RevenueEvent] = []
    for place, specs in enumerate(months):
        begin = parse_time(f"{PERIODS[place]}-01T00:00:00Z")
        made = []
        for number, (client, day, base, late, back) in enumerate(specs):
            time = begin + timedelta(days=day - (30 if late and place else 0), seconds=number)
            original = earlier[back] if back < len(earlier) else None
            facts = (("reverses", original.id),) if original else ()
            name = original.token if original else token(client)
            minor = -min(abs(base), abs(original.base_minor)) if original and original.base_minor > 0 else base
            event = RevenueEvent(
                id=f"e{place}-{number}", token=name, kind="commission", time=time, base_minor=minor, facts=facts
            )
            made.append(event)
        earlier += [event for event in made if not event.facts]
        found.append(made)
    return found


@dataclass(frozen=True)
class Month:
    """A settled month."""

    allocation: Allocation
    made: Statement
    salts: Salts
    entry: JournalEntry | None


def settle(terms: Terms, months: list[list[RevenueEvent]]) -> list[Month]:
    opening = Position.empty()
    found: list[Month] = []
    for period, events in zip(PERIODS, months, strict=True):
        allocation = allocate(terms, REFERRALS, events, period, opening)
        drawn = draw_up(terms, REFERRALS, events, period, opening)
        own = salts(len(drawn.lines), period.encode())
        previous = found[-1].made.id if found else statement.NO_DIGEST  # stands for its digest on the chain
        brought = opening.carried.get("CNY", 0)
        place = Place(sequence=len(found) + 1, previous=previous, brought_forward_minor=brought)
        made = statement.build(terms.root, period, place, drawn.lines, own, drawn.step)
        found.append(Month(allocation=allocation, made=made, salts=own, entry=ledger.of_statement(made)))
        opening = drawn.closing
    return found


def balances(months: list[Month]) -> dict[str, int]:
    posted = [month.entry.become(EntryState.POSTED) for month in months if month.entry]
    return {item.account: item.net_minor for item in ledger.trial_balance(posted)}


random_months = settings(max_examples=60, deadline=None)


@random_months
@given(terms=TERMS, months=MONTHS)
def test_lines_statement_journal_and_chain_commitment_say_the_same(
    terms: Terms, months: list[list[tuple[int, int, int, bool, int]]]
) -> None:
    found = settle(terms, events_of(months))
    for month in found:
        made, lines = month.made, list(month.allocation.lines)
        assert made.total_minor == sum(line.amount_minor for line in lines)
        assert made.step is not None
        assert made.total_minor + made.place.brought_forward_minor == made.step.gross_minor + made.carried_forward_minor
        anchor = codec_settlement.anchor(made)
        total = Money(currency="CNY", minor=made.total_minor)
        assert anchor.total.hex() == statement.total_commitment(total, month.salts.total)
        assert anchor.root == merkle.root(statement.leaf_hashes(lines, month.salts))
        assert anchor.lines == len(lines)
    books = balances(found)
    assert sum(books.values()) == 0
    cost = books.get(accounts.PARTNER_SHARE, 0) + books.get(accounts.VAT_IN, 0)
    besides = sum(m.made.payable_minor + _step(m).withheld_minor - _step(m).gross_minor for m in found)
    assert cost == sum(month.made.total_minor for month in found) + besides
    assert -books.get(accounts.payable(REFERRER), 0) == sum(month.made.payable_minor for month in found)
    assert -books.get(accounts.WITHHOLDING, 0) == sum(_step(month).withheld_minor for month in found)
    assert -books.get(accounts.accrued(REFERRER), 0) == found[-1].made.carried_forward_minor


@random_months
@given(terms=TERMS, months=MONTHS)
def test_replaying_all_months_gives_the_same_books(
    terms: Terms, months: list[list[tuple[int, int, int, bool, int]]]
) -> None:
    events = events_of(months)
    found = settle(terms, events)
    given = [(period, REFERRALS, reversed(month)) for period, month in zip(PERIODS, events, strict=True)]
    for month, (_, again) in zip(found, replay(terms, given), strict=True):
        assert list(again.lines) == list(month.allocation.lines)
        assert again.closing.digest == _step(month).closing
    assert balances(settle(terms, events)) == balances(found)


@random_months
@given(terms=TERMS, months=MONTHS)
def test_every_event_is_priced_by_the_version_in_force_when_it_happened(
    terms: Terms, months: list[list[tuple[int, int, int, bool, int]]]
) -> None:
    events = events_of(months)
    by_id = {event.id: event for month in events for event in month}
    for month in settle(terms, events):
        for line in month.allocation.lines:
            if line.verdict in (Verdict.COUNTED, Verdict.COUNTED_REVERSAL):
                late = by_id[line.event].time < CHANGE
                assert (line.rule_version, line.rate) == ((1, "1/20") if late else (2, "1/10"))


def _step(month: Month) -> statement.Step:
    assert month.made.step is not None
    return month.made.step
