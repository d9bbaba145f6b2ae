"""The privacy budget: what noisy training has told about the rows of an asset, over the asset's whole lifetime.

Each upload that carries noise is a release, booked in the transaction that commits it, before it leaves; a retry is
one more. The total is epsilon at the asset's own delta (privacy.noise, composed in Renyi form). Nothing is ever taken
off the ledger: whether a release was opened, and by whom, this node can't know.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node.horizontal_errors import BudgetExhausted
from partner_node.settings import Asset
from partner_node.tables import ReleaseRow
from privacy import noise
from privacy.aggregation import Slot
from privacy.ids import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One noisy upload of one slot."""

    slot: Slot
    asset: str
    multiplier_milli: int


def bookings(session: Session, asset: str | None = None) -> list[Booking]:
    """The ledger, oldest first; of one asset where it is named."""
    query = select(ReleaseRow).order_by(ReleaseRow.time, ReleaseRow.job, ReleaseRow.round, ReleaseRow.attempt)
    rows = session.scalars(query if asset is None else query.where(ReleaseRow.asset == asset))
    return [
        Booking(
            slot=Slot(job=Digest(row.job), round=row.round, attempt=row.attempt),
            asset=row.asset,
            multiplier_milli=row.multiplier_milli,
        )
        for row in rows
    ]


def book(session: Session, booking: Booking, now: str) -> None:
    """Enter a release; one slot has one."""
    slot = booking.slot
    if session.get(ReleaseRow, (slot.job, slot.round, slot.attempt)) is None:
        row = ReleaseRow(
            job=slot.job,
            round=slot.round,
            attempt=slot.attempt,
            asset=booking.asset,
            multiplier_milli=booking.multiplier_milli,
            time=now,
        )
        session.add(row)


def epsilon(known: Sequence[Booking], delta_log10: int, *, more: tuple[int, int] | None = None) -> float:
    """The total of these bookings and of `more` = (multiplier_milli, count) to come; 0.0 of none.

    Raises AccountantMissing where the extra that computes it is not installed.
    """
    counts = Counter(booking.multiplier_milli for booking in known)
    if more is not None:
        counts[more[0]] += more[1]
    releases = [noise.Release(noise_multiplier_milli=milli, count=n) for milli, n in sorted(counts.items()) if n]
    return noise.epsilon(releases, delta_log10) if releases else 0.0


def check(session: Session, asset: Asset, multiplier_milli: int, rounds: int) -> None:
    """Raises BudgetExhausted where `rounds` more releases of this noise would overspend the asset's budget."""
    limit = asset.privacy_budget
    assert limit is not None, "the review refuses a noisy plan over an asset without a budget"
    known = bookings(session, asset.name)
    needed = epsilon(known, limit.delta_log10, more=(multiplier_milli, rounds))
    if needed > limit.epsilon:
        raise BudgetExhausted(
            asset=asset.name,
            limit=str(limit.epsilon),
            delta=limit.delta_log10,
            spent=to_text(epsilon(known, limit.delta_log10)),
            rounds=rounds,
            needed=to_text(needed),
        )


def report(asset: Asset, known: Sequence[Booking]) -> Body:
    """One asset's budget for its own people: limit, spent, and how many noisy updates each run took."""
    limit = asset.privacy_budget
    runs = Counter((booking.slot.job, booking.multiplier_milli) for booking in known)
    return {
        "asset": asset.name,
        "epsilon": str(limit.epsilon) if limit else None,
        "delta_log10": limit.delta_log10 if limit else None,
        "spent": to_text(epsilon(known, limit.delta_log10)) if limit else None,
        "runs": [{"run": run, "multiplier_milli": milli, "updates": count} for (run, milli), count in runs.items()],
    }


def to_text(value: float) -> str:
    """Three decimals, rounded up: what is shown as spent is never less than what is counted."""
    return str(Decimal(value).quantize(Decimal("0.001"), rounding=ROUND_CEILING))
