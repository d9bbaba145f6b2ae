"""Double-entry journal: balanced entries, their states and periods, reversal, trial balance, as-of queries.

Amounts are positive integers in minor units of one asset (a currency, or POINTS), each on the debit or credit side of
an account of the chart (`accounts`). An entry belongs to one period (month), is immutable and balances per asset by
construction; it is PENDING until it is POSTED or VOIDED, once. A mistake in a posted entry is corrected by a reversing
entry that names it, dated into a period that is still open. A locked period takes no entry any more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from privacy import canonical
from privacy.ids import PartnerId, Period
from revenue_share import accounts
from revenue_share.errors import EntryTransition
from revenue_share.money import AMOUNT_FEN_MAX
from revenue_share.points_book import Moves
from revenue_share.statement import Statement


class Side(Enum):
    DEBIT = "DEBIT"
    CREDIT = "CREDIT"

    @property
    def other(self) -> "Side":
        return Side.CREDIT if self is Side.DEBIT else Side.DEBIT


class EntryState(Enum):
    PENDING = "PENDING"
    POSTED = "POSTED"
    VOIDED = "VOIDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One side of an entry: account of the chart, asset, positive amount in minor units."""

    account: str
    asset: str
    side: Side
    amount_minor: int

    def __post_init__(self) -> None:
        assert accounts.holds(self.account, self.asset), f"the chart has no account {self.account} for {self.asset}"
        assert 0 < self.amount_minor <= AMOUNT_FEN_MAX, "a posting's amount is positive and within the limit"

    @property
    def signed_minor(self) -> int:
        """Debits positive, credits negative."""
        return self.amount_minor if self.side is Side.DEBIT else -self.amount_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A balanced entry. `id` is unique and derived from what caused it; `reverses` names the entry it takes back."""

    id: str
    subject: str  # digest of what caused it: a statement, a payment, a bank entry
    memo: str
    period: Period
    postings: tuple[Posting, ...]
    state: EntryState = EntryState.PENDING
    reverses: str = ""

    def __post_init__(self) -> None:
        assert len(self.postings) >= 2, "an entry has at least two postings"
        balance: dict[str, int] = {}
        for posting in self.postings:
            balance[posting.asset] = balance.get(posting.asset, 0) + posting.signed_minor
        assert not any(balance.values()), f"entry {self.id} does not balance"

    def to_value(self) -> dict[str, canonical.Value]:
        """The entry as a canonical value: of views and of the evidence bundle."""
        return {
            "id": self.id,
            "subject": self.subject,
            "memo": self.memo,
            "period": self.period,
            "state": self.state.value,
            "reverses": self.reverses,
            "postings": [
                {"account": p.account, "asset": p.asset, "side": p.side.value, "amount_minor": p.amount_minor}
                for p in self.postings
            ],
        }

    def become(self, target: EntryState) -> "JournalEntry":
        """PENDING to POSTED or VOIDED. Raises EntryTransition for anything else."""
        if self.state is not EntryState.PENDING or target is EntryState.PENDING:
            raise EntryTransition(entry=self.id, state=self.state.value, target=target.value)
        return replace(self, state=target)

    def reversing(self, entry_id: str, memo: str, period: Period) -> "JournalEntry":
        """A new PENDING entry of an open period with every side swapped.

        Raises EntryTransition unless this one is posted: a pending entry is voided.
        """
        if self.state is not EntryState.POSTED:
            raise EntryTransition(entry=self.id, state=self.state.value, target="REVERSED")
        postings = (replace(posting, side=posting.side.other) for posting in self.postings)
        return replace(entry(entry_id, self.subject, memo, period, postings), reverses=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One amount from a credited to a debited account: balanced by its form, so a table of transfers always is."""

    debit: str
    credit: str
    asset: str
    amount_minor: int


def transfers(entry: JournalEntry) -> tuple[Transfer, ...]:
    """The entry as transfers: debits are met by credits of the same asset in their order. Balances stay the same."""
    found: list[Transfer] = []
    credits = [(p.account, p.asset, p.amount_minor) for p in entry.postings if p.side is Side.CREDIT]
    for debit in (p for p in entry.postings if p.side is Side.DEBIT):
        left = debit.amount_minor
        while left:
            index = next(i for i, credit in enumerate(credits) if credit[1] == debit.asset and credit[2])
            account, asset, open_minor = credits[index]
            minor = min(left, open_minor)
            credits[index] = (account, asset, open_minor - minor)
            left -= minor
            found.append(Transfer(debit=debit.account, credit=account, asset=asset, amount_minor=minor))
    return tuple(found)


def from_transfers(moves: Iterable[Transfer]) -> tuple[Posting, ...]:
    """The postings of transfers, one for each account, side and asset: debits, then credits, as they come.

    An entry that names each account once, debits before credits, is the one its transfers give back.
    """
    sides: dict[Side, dict[tuple[str, str], int]] = {Side.DEBIT: {}, Side.CREDIT: {}}
    for move in moves:
        for side, account in ((Side.DEBIT, move.debit), (Side.CREDIT, move.credit)):
            key = (account, move.asset)
            sides[side][key] = sides[side].get(key, 0) + move.amount_minor
    return tuple(
        Posting(account=account, asset=asset, side=side, amount_minor=minor)
        for side, sums in sides.items()
        for (account, asset), minor in sums.items()
    )


def _postings(asset: str, signed: Iterable[tuple[str, int]]) -> Iterator[Posting]:
    """Postings of signed amounts by account, debits positive; zeros are left out."""
    for account, minor in signed:
        if minor:
            side = Side.DEBIT if minor > 0 else Side.CREDIT
            yield Posting(account=account, asset=asset, side=side, amount_minor=abs(minor))


def entry(entry_id: str, subject: str, memo: str, period: Period, postings: Iterable[Posting]) -> JournalEntry:
    """The PENDING entry of postings, debits first. They must balance in each asset."""
    ordered = sorted(postings, key=lambda posting: posting.side is Side.CREDIT)
    return JournalEntry(id=entry_id, subject=subject, memo=memo, period=period, postings=tuple(ordered))


def transfer(
    entry_id: str, subject: str, memo: str, period: Period, debit: str, credit: str, asset: str, minor: int
) -> JournalEntry:
    """The entry that debits one account and credits another; a negative amount swaps the sides."""
    return entry(entry_id, subject, memo, period, _postings(asset, ((debit, minor), (credit, -minor))))


def accrual(
    statement: str,
    period: Period,
    partner: PartnerId,
    asset: str,
    total_minor: int,
    *,
    gross_minor: int | None = None,
    vat_minor: int = 0,
    withheld_minor: int = 0,
    paid_minor: int | None = None,
    points: Moves | None = None,
) -> JournalEntry | None:
    """The one entry of a statement, PENDING: its shares are an expense, what is paid is payable, the rest is carried.

    `total_minor`: the shares of the period; `gross_minor`: what of the balance is paid out (all of it where not given);
    `paid_minor`: what the bank pays after taxes. VAT is an expense of nobody: where it is contained in the gross amount
    the expense is less by it, where it is paid besides it comes on top. What is not paid out moves the balance carried
    forward (liability:accrued), up or down. `points` move by themselves, neither taxed nor carried (`of_points`). None
    where nothing moves.
    """
    gross = total_minor if gross_minor is None else gross_minor
    paid = gross - withheld_minor if paid_minor is None else paid_minor
    besides = paid + withheld_minor - gross
    assert besides in (0, vat_minor), "VAT is contained in the amount or paid besides"
    signed = (
        (accounts.PARTNER_SHARE, total_minor - vat_minor + besides),
        (accounts.VAT_IN, vat_minor),
        (accounts.WITHHOLDING, -withheld_minor),
        (accounts.payable(partner), -paid),
        (accounts.accrued(partner), gross - total_minor),
    )
    postings = [*_postings(asset, signed), *(of_points(points) if points is not None else ())]
    if not postings:
        return None
    memo = f"revenue share {period}"
    if points is not None and points.opened:
        memo += f"; {points.opened} points open from earlier months are booked with it"
    return entry(f"accrual-{statement}", statement, memo, period, postings)


def of_points(points: Moves) -> Iterator[Posting]:
    """What a period's points book: granted ones are owed to clients, until redeemed, taken back or expired.

    What was open of statements that booked no points is granted with the first one that does.
    """
    granted = points.opened + points.earned
    gone = points.redeemed + points.taken_back + points.expired
    yield from _postings(
        accounts.POINTS,
        (
            (accounts.POINTS_ISSUED, granted),
            (accounts.POINTS_LIABILITY, gone),
            (accounts.POINTS_LIABILITY, -granted),
            (accounts.POINTS_ISSUED, -points.taken_back),
            (accounts.POINTS_REDEEMED, -points.redeemed),
            (accounts.POINTS_EXPIRED, -points.expired),
        ),
    )


def of_statement(made: Statement) -> JournalEntry | None:
    """The entry that a statement gives, from its body alone: whoever has the statement can check the books."""
    step = made.step
    return accrual(
        made.id,
        made.period,
        made.referrer,
        made.currency,
        made.total_minor,
        gross_minor=made.payable_minor if step is None else step.gross_minor,
        vat_minor=0 if step is None else step.vat_minor,
        withheld_minor=0 if step is None else step.withheld_minor,
        paid_minor=made.payable_minor,
        points=None if step is None else step.points,
    )


def points_owed(entries: Iterable[JournalEntry]) -> int:
    """The points that these entries, taken as posted, leave owed to clients."""
    postings = (posting for entry in entries for posting in entry.postings)
    return -sum(posting.signed_minor for posting in postings if posting.account == accounts.POINTS_LIABILITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """An entry with the instants at which it was recorded and, once it was, posted or voided."""

    entry: JournalEntry
    recorded_at: datetime
    decided_at: datetime | None = None

    def at(self, instant: datetime) -> JournalEntry | None:
        """The entry as it stood at an instant, that instant included; None before it was recorded."""
        if instant < self.recorded_at:
            return None
        if self.decided_at is None or instant < self.decided_at:
            return replace(self.entry, state=EntryState.PENDING)
        return self.entry


def as_of(journal: Iterable[Dated], instant: datetime | None, period: Period | None = None) -> tuple[JournalEntry, ...]:
    """The journal as it stood at an instant (now where none), of periods up to and with `period` where one is given."""
    found = [dated.entry if instant is None else dated.at(instant) for dated in journal]
    return tuple(one for one in found if one is not None and (period is None or one.period <= period))


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One account's sums in one asset, minor units."""

    account: str
    asset: str
    debit_minor: int
    credit_minor: int

    @property
    def net_minor(self) -> int:
        return self.debit_minor - self.credit_minor


def trial_balance(
    entries: Iterable[JournalEntry], states: frozenset[EntryState] = frozenset({EntryState.POSTED})
) -> tuple[Balance, ...]:
    """Balances by (account, asset) over entries of the given states. Asserts that debits equal credits per asset."""
    sums: dict[tuple[str, str], list[int]] = {}
    for entry in entries:
        if entry.state in states:
            for posting in entry.postings:
                pair = sums.setdefault((posting.account, posting.asset), [0, 0])
                pair[0 if posting.side is Side.DEBIT else 1] += posting.amount_minor
    for asset in {asset for _, asset in sums}:
        net = sum(debit - credit for (_, a), (debit, credit) in sums.items() if a == asset)
        assert net == 0, f"the trial balance of {asset} is off by {net}"
    return tuple(
        Balance(account=account, asset=asset, debit_minor=debit, credit_minor=credit)
        for (account, asset), (debit, credit) in sorted(sums.items())
    )
