"""The retail year settled: claims become events, each month is closed in the hub's books and priced once more apart.

The agreement: 5 % of each order of a referred customer; what is cancelled within 60 days takes its part back. An
event's base is in pence; where a price has a third decimal it is in thousandths, by the fact `scale`, so no worth is
rounded on the way in. Pence are rounded in two places, both on the line that says so: once over the month's commission
(largest remainder), and where a part of an order is taken back (half to even). `rounding` of a month is what was paid
less 5 % of what was counted, in 1/200 of a penny: a whole number.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from hub.records import Head
from hub.services import Entropy
from privacy.errors import Failure, Kind
from privacy.ids import ClientToken, Digest, Period
from revenue_share import accounts, facts, periods
from revenue_share.allocation import allocate
from revenue_share.position import Position
from revenue_share.referral import Referral, RevenueEvent, Verdict
from revenue_share.terms import Terms
from sandbox.retail_hub import REFERRER, RetailHub, retail_hub
from sandbox.retail_lines import PRICED, ZONE, Claim, Sorted

BEGIN = datetime(2009, 12, 1, 9, tzinfo=UTC)
SHARES_A_THOUSANDTH = 200  # 5 % of a thousandth of a pound is 1/200 of a penny
TERMS: Head = {
    "title": "5 % of referred customers' orders, cancelled parts taken back",
    "currency": "GBP",
    "time_zone": "Europe/London",
    "valid_from": "2009-12-01",
    "attribution_days": 400,
    "expires": "2009-12-31T00:00:00Z",
    "rules": [
        {
            "id": "order-commission",
            "event": "order",
            "rate": "1/20",
            "months_from_referral": 14,
            "clawback": {"window_days": 60, "mode": "pro_rata"},
        }
    ],
}
COUNTED = (Verdict.COUNTED, Verdict.TAKEN_BACK)


class RetailUnreconciled(Failure):
    code = "RETAIL_UNRECONCILED"
    kind = Kind.INTEGRITY
    en = "the year is not accounted for: {what} is {found}, {expected} is expected"
    zh = "年度数据未能核对一致：{what} 为 {found}，应为 {expected}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One closed month. `worth`: thousandths of a pound by verdict; `lines`: of the statement, by verdict."""

    period: Period
    statement: Digest
    events: int
    lines: Mapping[str, int]
    worth: Mapping[str, int]
    total_minor: int
    payable_minor: int
    carried_minor: int

    @property
    def counted(self) -> int:
        """Thousandths that earn commission: orders less what was taken back."""
        return sum(self.worth.get(verdict.value, 0) for verdict in COUNTED)

    @property
    def rounding(self) -> int:
        """What the total has more than the exact commission, in 1/200 of a penny."""
        return self.total_minor * SHARES_A_THOUSANDTH - self.counted


@dataclass(slots=True)
class Year:
    """The months in order, what was delivered twice, and the trial balance after the last one."""

    months: list[Month] = field(default_factory=list)
    delivered_again: int = 0
    balances: dict[str, int] = field(default_factory=dict)


def settle(data: Sorted, folder: Path, entropy: Entropy) -> Year:
    """Settle all months in a new hub in an empty folder. Raises RetailUnreconciled where anything is left over."""
    made, position = Year(), Position.empty()
    referrals: list[Referral] = []
    with retail_hub(folder, BEGIN, entropy) as hub:
        terms = Terms.of(hub.agree(TERMS))
        for period, claims in sorted(data.claims.items()):
            new = list(_new_customers(claims, {referral.token for referral in referrals}))
            referrals += new
            events = [_event(claim) for claim in claims]
            hub.clock.now = periods.period_bounds(period, ZONE)[1] + timedelta(hours=9)
            for _ in range(2):  # a node that got no answer sends again: the same documents count once
                hub.report_referrals(new)
                hub.report_events(period, events)
            made.delivered_again += len(events)
            month = _close(hub, period, claims)
            again = allocate(terms, referrals, events, period, position)
            position = again.closing
            expect(f"the total of {period} priced apart", again.lines.total("GBP"), month.total_minor)
            made.months.append(month)
        made.balances = {str(line["account"]): int(str(line["closing_minor"])) for line in hub.trial_balance()}
    reconcile(data, made)
    return made


def reconcile(data: Sorted, made: Year) -> None:
    """Check that every priced line stands in one month under one verdict, and the books hold what statements say.

    Raises RetailUnreconciled.
    """
    priced = sum(data.classes[one].worth for one in PRICED)
    expect("the worth of all statement lines", sum(sum(month.worth.values()) for month in made.months), priced)
    expect("the number of events", sum(month.events for month in made.months), sum(map(len, data.claims.values())))
    share, total = made.balances.get(accounts.PARTNER_SHARE, 0), sum(month.total_minor for month in made.months)
    expect("the expense in the books", share, total)
    payable = -made.balances.get(accounts.payable(REFERRER), 0)
    expect("the payable in the books", payable, sum(month.payable_minor for month in made.months))
    carried = -made.balances.get(accounts.accrued(REFERRER), 0)
    expect("the balance carried forward", carried, made.months[-1].carried_minor if made.months else 0)
    expect("the trial balance", sum(made.balances.values()), 0)


def _close(hub: RetailHub, period: Period, claims: Sequence[Claim]) -> Month:
    """Close a month and read its lines back from the database."""
    record = hub.post(hub.close(period))
    hub.lock(period)
    worth: dict[str, int] = {claim.id: claim.worth for claim in claims}
    lines: Counter[str] = Counter()
    by_verdict: dict[str, int] = defaultdict(int)
    total = 0
    for line in hub.lines(record):
        verdict, event = str(line["verdict"]), str(line["event"])
        lines[verdict] += 1
        by_verdict[verdict] += worth.pop(event) if event else 0
        total += int(str(line["amount_minor"]))
    expect(f"events of {period} without a line", len(worth), 0)
    expect(f"the sum of the lines of {period}", total, int(str(record.body["total_minor"])))
    return Month(
        period=period,
        statement=record.id,
        events=len(claims),
        lines=dict(lines),
        worth={verdict: found for verdict, found in by_verdict.items() if found or verdict != Verdict.NO_EVENT.value},
        total_minor=total,
        payable_minor=int(str(record.body["payable_minor"])),
        carried_minor=int(str(record.body["carried_forward_minor"])),
    )


def expect(what: str, found: int, expected: int) -> None:
    """Raises RetailUnreconciled unless a figure is the expected one."""
    if found != expected:
        raise RetailUnreconciled(what=what, found=found, expected=expected)


def _new_customers(claims: Sequence[Claim], known: set[ClientToken]) -> Iterator[Referral]:
    """Customers whose first order this is: referred at the beginning of that day."""
    for claim in claims:
        token = _token(claim.customer)
        if token not in known:
            known.add(token)
            day = claim.time.astimezone(ZONE).replace(hour=0, minute=0, second=0)
            yield Referral(token=token, time=day.astimezone(UTC))


def _event(claim: Claim) -> RevenueEvent:
    named: dict[str, facts.Fact] = {"reverses": claim.reverses, "reason": "cancelled"} if claim.reverses else {}
    if claim.exact and not claim.reverses:
        named["scale"] = 1
    return RevenueEvent(
        id=claim.id,
        token=_token(claim.customer),
        kind="order",
        time=claim.time,
        base_minor=claim.worth if claim.exact else claim.worth // 10,
        facts=facts.of(named),
    )


def _token(customer: int) -> ClientToken:
    """A name of 32 hex digits, as a match would give one."""
    return ClientToken(sha256(b"retail-customer/%d" % customer).hexdigest()[:32])
