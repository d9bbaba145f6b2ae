"""Double-entry journal: accounts, balanced entries, their states, reversal, trial balance.

Amounts are positive integers in minor units of one asset ("CNY"; later "POINTS"), each on the debit or credit side.
An entry is immutable and balances per asset by construction; it is PENDING until it is POSTED or VOIDED, once. A
mistake in a posted entry is corrected by a reversing entry that names it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from privacy import canonical
from privacy.ids import PartnerId
from revenue_share.errors import EntryTransition
from revenue_share.money import AMOUNT_FEN_MAX

_ACCOUNT = re.compile(
    r"(asset:receivable|liability:payable):[a-z][a-z0-9-]{1,31}"
    r"|income:referral|expense:revenue_share|clearing:settlement|equity:opening|points:issued|points:redeemed"
)


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


def payable(partner: PartnerId) -> str:
    """The account of what the payer owes a partner."""
    return f"liability:payable:{partner}"


REVENUE_SHARE = "expense:revenue_share"
CLEARING = "clearing:settlement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One side of an entry: account of the chart, asset, positive amount in minor units."""

    account: str
    asset: str
    side: Side
    amount_minor: int

    def __post_init__(self) -> None:
        assert _ACCOUNT.fullmatch(self.account), f"no account {self.account} in the chart"
        assert 0 < self.amount_minor <= AMOUNT_FEN_MAX, "a posting's amount is positive and within the limit"

    @property
    def signed_minor(self) -> int:
        """Debits positive, credits negative."""
        return self.amount_minor if self.side is Side.DEBIT else -self.amount_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A balanced entry. `id` is unique and derived from what caused it; `reverses` names the entry it takes back."""

    id: str
    subject: str  # id of the statement that caused it
    memo: str
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

    def reversing(self, entry_id: str, memo: str) -> "JournalEntry":
        """A new PENDING entry with every side swapped. Only a posted entry is reversed; a pending one is voided."""
        if self.state is not EntryState.POSTED:
            raise EntryTransition(entry=self.id, state=self.state.value, target="REVERSED")
        postings = tuple(replace(posting, side=posting.side.other) for posting in self.postings)
        return JournalEntry(id=entry_id, subject=self.subject, memo=memo, postings=postings, reverses=self.id)


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
    """The postings of transfers, two each."""
    pairs = [((m.debit, Side.DEBIT), (m.credit, Side.CREDIT), m.asset, m.amount_minor) for m in moves]
    return tuple(
        Posting(account=account, asset=asset, side=side, amount_minor=minor)
        for debit, credit, asset, minor in pairs
        for account, side in (debit, credit)
    )


def transfer(entry_id: str, subject: str, memo: str, debit: str, credit: str, asset: str, minor: int) -> JournalEntry:
    """The entry that debits one account and credits another; a negative amount swaps the sides. Zero has no entry."""
    if minor < 0:
        debit, credit, minor = credit, debit, -minor
    postings = (
        Posting(account=debit, asset=asset, side=Side.DEBIT, amount_minor=minor),
        Posting(account=credit, asset=asset, side=Side.CREDIT, amount_minor=minor),
    )
    return JournalEntry(id=entry_id, subject=subject, memo=memo, postings=postings)


def accrual(statement: str, period: str, referrer: PartnerId, currency: str, total_minor: int) -> JournalEntry | None:
    """The one entry of a statement, PENDING: what the payer owes the referrer for it. None where it owes nothing."""
    if not total_minor:
        return None
    memo, account = f"revenue share {period}", payable(referrer)
    return transfer(f"accrual-{statement}", statement, memo, REVENUE_SHARE, account, currency, total_minor)


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
