"""The privacy budget: what noisy releases have told about the rows of an asset, over the asset's whole lifetime.

Each upload of a training that carries noise is a release, booked in the transaction that commits it, before it leaves;
a retry is one more. So is each match whose count carries noise that this side drew, once a job: a restart draws no
other. The total is epsilon at the asset's own delta (`privacy.noise.total`). Nothing is ever taken off the ledger:
whether a release was opened, and by whom, this node can't know.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node.horizontal_errors import BudgetExhausted, BudgetNotSet
from partner_node.settings import Asset
from partner_node.tables import CountReleaseRow, ReleaseRow
from privacy import noise
from privacy.aggregation import Slot
from privacy.ids import Digest
from privacy.noise import CountNoise

INFINITE = "∞"  # the counts' deltas are all that there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One noisy upload of one slot."""

    slot: Slot
    asset: str
    multiplier_milli: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One match whose count carries noise of this side."""

    job: Digest
    asset: str
    noise: CountNoise


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


def counts(session: Session, asset: str | None = None) -> list[Count]:
    """The ledger's counts, oldest first; of one asset where it is named."""
    query = select(CountReleaseRow).order_by(CountReleaseRow.time, CountReleaseRow.job)
    rows = session.scalars(query if asset is None else query.where(CountReleaseRow.asset == asset))
    return [
        Count(
            job=Digest(row.job),
            asset=row.asset,
            noise=CountNoise(epsilon_milli=row.epsilon_milli, delta_log10=row.delta_log10),
        )
        for row in rows
    ]


def book_count(session: Session, count: Count, now: str) -> None:
    """Enter a count; one job has one."""
    if session.get(CountReleaseRow, count.job) is None:
        terms = {"epsilon_milli": count.noise.epsilon_milli, "delta_log10": count.noise.delta_log10}
        session.add(CountReleaseRow(job=count.job, asset=count.asset, time=now, **terms))


def epsilon(
    known: Sequence[Booking],
    delta_log10: int,
    *,
    more: tuple[int, int] | None = None,
    counted: Sequence[CountNoise] = (),
) -> float:
    """The total of these bookings and counts, and of `more` = (multiplier_milli, count) to come; 0.0 of none.

    Infinite where the counts leave nothing of delta. Raises AccountantMissing where the extra that adds updates up is
    not installed.
    """
    updates = Counter(booking.multiplier_milli for booking in known)
    if more is not None:
        updates[more[0]] += more[1]
    releases = [noise.Release(noise_multiplier_milli=milli, count=n) for milli, n in sorted(updates.items()) if n]
    return noise.total(releases, counted, delta_log10)


def check(session: Session, asset: Asset, multiplier_milli: int, rounds: int) -> None:
    """Raises BudgetExhausted where `rounds` more releases of this noise would overspend the asset's budget."""
    limit = asset.privacy_budget
    assert limit is not None, "the review refuses a noisy plan over an asset without a budget"
    known, counted = bookings(session, asset.name), [count.noise for count in counts(session, asset.name)]
    needed = epsilon(known, limit.delta_log10, more=(multiplier_milli, rounds), counted=counted)
    if _beyond(needed, limit.epsilon):
        raise _exhausted(asset, epsilon(known, limit.delta_log10, counted=counted), rounds, needed)


def check_count(session: Session, asset: Asset, job: str, more: CountNoise) -> None:
    """Raises BudgetExhausted where the noisy count of a job would overspend the asset's budget, BudgetNotSet without
    one. A job that is booked costs nothing again.
    """
    limit = asset.privacy_budget
    if limit is None:
        raise BudgetNotSet(asset=asset.name)
    listed = counts(session, asset.name)
    if any(count.job == job for count in listed):
        return
    known, counted = bookings(session, asset.name), [count.noise for count in listed]
    needed = epsilon(known, limit.delta_log10, counted=[*counted, more])
    if _beyond(needed, limit.epsilon):
        raise _exhausted(asset, epsilon(known, limit.delta_log10, counted=counted), 1, needed)


def _beyond(needed: float, limit: Decimal) -> bool:
    return math.isinf(needed) or _decimal(needed) > limit


def _decimal(value: float) -> Decimal:
    """A sum of thousandths as what it is: the float nearest to 0.1 is a little more."""
    return Decimal(value).quantize(Decimal("1e-12"))


def _exhausted(asset: Asset, spent: float, rounds: int, needed: float) -> BudgetExhausted:
    limit = asset.privacy_budget
    assert limit is not None, "it was compared with one"
    return BudgetExhausted(
        asset=asset.name,
        limit=str(limit.epsilon),
        delta=limit.delta_log10,
        spent=to_text(spent),
        rounds=rounds,
        needed=to_text(needed),
    )


def report(asset: Asset, known: Sequence[Booking], counted: Sequence[Count] = ()) -> Body:
    """One asset's budget for its own people: limit, spent, how many noisy updates each run took, and noisy counts."""
    limit, noises = asset.privacy_budget, [count.noise for count in counted]
    runs = Counter((booking.slot.job, booking.multiplier_milli) for booking in known)
    return {
        "asset": asset.name,
        "epsilon": str(limit.epsilon) if limit else None,
        "delta_log10": limit.delta_log10 if limit else None,
        "spent": to_text(epsilon(known, limit.delta_log10, counted=noises)) if limit else None,
        "runs": [{"run": run, "multiplier_milli": milli, "updates": count} for (run, milli), count in runs.items()],
        "counts": [
            {"job": count.job, "epsilon_milli": count.noise.epsilon_milli, "delta_log10": count.noise.delta_log10}
            for count in counted
        ],
    }


def to_text(value: float) -> str:
    """Three decimals, rounded up: what is shown as spent is never less than what is counted."""
    if math.isinf(value):
        return INFINITE
    return str(_decimal(value).quantize(Decimal("0.001"), rounding=ROUND_CEILING))
