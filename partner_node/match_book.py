"""The books of matching's guards: entries towards each partner, alarms, refusals.

An own id is kept as the first 8 bytes of its `Gate.row_keys`, HMAC-SHA256 under this node's own key: two of ten million
collide with probability 2^-18, and a collision only makes one id look entered before. Each set is kept as bits over all
ids ever entered towards a partner from an asset, so sets are compared exactly at an eighth of a byte for each such id.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from partner_node.tables_matching import MatchAlarmRow, MatchEntryRow, MatchRefusalRow
from privacy.errors import Failure

DIGEST_BYTES = 8
Digests: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.uint64]]"
Bits: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.uint8]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One match towards one partner, to be booked; fields as in MatchEntryRow."""

    job: str
    partner: str
    asset: str
    among: str
    month: str
    own: int
    peer: int
    slots: int
    time: str
    added: bytes
    members: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was booked towards one partner, other jobs than one left out."""

    jobs: int  # this month
    slots: int  # this month
    ever: int  # slots of all months


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    job: str
    partner: str
    kind: str
    percent: int | None
    time: str
    cleared: str | None
    person: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An own set among all ids ever entered towards a partner from an asset."""

    added: Digests  # ids never entered before, ascending: their order tells nothing of the source's
    members: Bits  # one byte 0 or 1 for each id ever entered, `added` at the end
    known: int  # ids ever entered before


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """An earlier match's set, over the same ids as `Placed.members`."""

    job: str
    among: str
    named: bool
    members: Bits


def digests(row_keys: Sequence[bytes]) -> Digests:
    """The kept digests of one client or more by their row keys (32 bytes each), ascending, each once."""
    keys = np.frombuffer(b"".join(row_keys), dtype=np.uint8).reshape(len(row_keys), -1)
    ascending = np.sort(np.ascontiguousarray(keys[:, :DIGEST_BYTES]).view(np.uint64).ravel())
    once: Digests = ascending[np.append(True, ascending[1:] != ascending[:-1])]
    return once


def place(session: Session, partner: str, asset: str, own: Digests) -> Placed:
    """`own` (as `digests` gives it) among what was entered towards a partner from an asset before."""
    query = select(MatchEntryRow.added).where(MatchEntryRow.partner == partner, MatchEntryRow.asset == asset)
    ever = np.frombuffer(b"".join(session.scalars(query.order_by(MatchEntryRow.number))), dtype=np.uint64)
    order = np.argsort(ever)
    found = np.searchsorted(ever, own, sorter=order)
    places = order[np.minimum(found, len(ever) - 1)] if len(ever) else np.zeros(len(own), dtype=np.int64)
    hits = ever[places] == own if len(ever) else np.zeros(len(own), dtype=bool)
    members = np.zeros(len(ever) + int((~hits).sum()), dtype=np.uint8)
    members[places[hits]] = 1
    members[len(ever) :] = 1
    return Placed(added=own[~hits], members=members, known=len(ever))


def earlier(session: Session, partner: str, asset: str, length: int) -> Iterator[Before]:
    """Every match towards a partner from an asset, its members over `length` ids, newest first."""
    row = MatchEntryRow
    query = select(row.job, row.among, row.named, row.members).where(row.partner == partner, row.asset == asset)
    for job, among, named, members in session.execute(query.order_by(row.number.desc())):
        bits = np.zeros(length, dtype=np.uint8)
        kept = np.unpackbits(np.frombuffer(members, dtype=np.uint8))[:length]
        bits[: len(kept)] = kept
        yield Before(job=job, among=among, named=named, members=bits)


def elsewhere(session: Session, partner: str, asset: str) -> Iterator[tuple[str, bool, Digests]]:
    """(job, named, digests ascending) of every match towards a partner from this node's other assets."""
    query = select(MatchEntryRow).where(MatchEntryRow.partner == partner, MatchEntryRow.asset != asset)
    ever: dict[str, Digests] = {}
    for row in session.scalars(query.order_by(MatchEntryRow.number)):
        added = np.frombuffer(row.added, dtype=np.uint64)
        known = np.append(ever.get(row.asset, added[:0]), added)
        ever[row.asset] = known
        members = np.unpackbits(np.frombuffer(row.members, dtype=np.uint8))[: len(known)]
        yield row.job, row.named, np.sort(known[members == 1])


def named_sets(session: Session, partner: str, asset: str, length: int) -> frozenset[tuple[str, bytes]]:
    """Among whom, and the digest, of sets whose common clients were named. One set at a time is in memory."""
    sets = earlier(session, partner, asset, length)
    return frozenset((one.among, digest(one.members)) for one in sets if one.named)


def digest(bits: Bits) -> bytes:
    return hashlib.sha256(pack(bits)).digest()


def pack(bits: Bits) -> bytes:
    return np.packbits(bits).tobytes()


def largest(session: Session, partner: str, asset: str) -> int:
    """Ids of the largest set of one job towards a partner from an asset; 0 without one."""
    query = select(func.max(MatchEntryRow.own)).where(MatchEntryRow.partner == partner, MatchEntryRow.asset == asset)
    return session.scalar(query) or 0


def book(session: Session, entry: Entry) -> None:
    session.add(MatchEntryRow(**{name: getattr(entry, name) for name in Entry.__slots__}))


def name(session: Session, job: str) -> None:
    """Note that a job's result said who the common clients are."""
    session.execute(update(MatchEntryRow).where(MatchEntryRow.job == job).values(named=True))


def usage(session: Session, partner: str, month: str, *, other_than: str = "") -> Usage:
    """What jobs other than this one booked towards a partner in a month, and ever."""
    rows = session.execute(
        select(MatchEntryRow.month, MatchEntryRow.slots).where(
            MatchEntryRow.partner == partner, MatchEntryRow.job != other_than
        )
    ).all()
    now = [slots for booked, slots in rows if booked == month]
    return Usage(jobs=len(now), slots=sum(now), ever=sum(slots for _, slots in rows))


def distinct(session: Session, partner: str) -> dict[str, tuple[int, int]]:
    """asset -> (distinct own ids ever entered towards a partner, ids of the largest set of one job)."""
    query = (
        select(MatchEntryRow.asset, func.sum(func.length(MatchEntryRow.added)), func.max(MatchEntryRow.own))
        .where(MatchEntryRow.partner == partner)
        .group_by(MatchEntryRow.asset)
        .order_by(MatchEntryRow.asset)
    )
    return {asset: (size // DIGEST_BYTES, most) for asset, size, most in session.execute(query)}


def sizes(session: Session, job: str) -> dict[str, tuple[int, int]]:
    """partner -> (own ids, its ids) that a job entered, as both sides committed."""
    query = select(MatchEntryRow.partner, MatchEntryRow.own, MatchEntryRow.peer).where(MatchEntryRow.job == job)
    return {partner: (own, peer) for partner, own, peer in session.execute(query)}


def entries(session: Session) -> list[dict[str, str | int | bool]]:
    """Every booking without its set, oldest first."""
    columns = [column for column in MatchEntryRow.__table__.columns if column.name not in ("added", "members")]
    return [dict(row) for row in session.execute(select(*columns).order_by(MatchEntryRow.number)).mappings()]


def partners(session: Session) -> list[str]:
    return [*session.scalars(select(MatchEntryRow.partner).distinct().order_by(MatchEntryRow.partner))]


def raise_alarm(session: Session, alarm: Alarm) -> None:
    session.add(MatchAlarmRow(**{name: getattr(alarm, name) for name in Alarm.__slots__}))


def alarms(session: Session) -> list[Alarm]:
    """Every alarm, oldest first, cleared ones too."""
    rows = session.scalars(select(MatchAlarmRow).order_by(MatchAlarmRow.number))
    return [Alarm(**{name: getattr(row, name) for name in Alarm.__slots__}) for row in rows]


def standing(session: Session, partner: str) -> str | None:
    """The job whose alarm stands against a partner, the oldest one."""
    query = select(MatchAlarmRow.job).where(MatchAlarmRow.partner == partner, MatchAlarmRow.cleared.is_(None))
    return session.scalars(query.order_by(MatchAlarmRow.number)).first()


def clear(session: Session, partner: str, *, person: str, reason: str, now: str) -> int:
    """Clear all alarms that stand against a partner; how many."""
    change = update(MatchAlarmRow).where(MatchAlarmRow.partner == partner, MatchAlarmRow.cleared.is_(None))
    done: Any = session.execute(change.values(cleared=now, person=person, reason=reason))
    return int(done.rowcount)


def refuse(session: Session, job: str, partners: Sequence[str], failure: Failure, now: str) -> None:
    """Note why a match ended or did not begin here."""
    row = session.get(MatchRefusalRow, (job, failure.code))
    if row is not None:
        row.last, row.times = now, row.times + 1
        return
    said = {"en": failure.message("en"), "zh": failure.message("zh")}
    row = MatchRefusalRow(
        job=job, code=failure.code, partners=", ".join(partners), first=now, last=now, times=1, **said
    )
    session.add(row)


def refusals(session: Session) -> list[dict[str, str | int]]:
    """Every refusal, oldest first."""
    names = [column.name for column in MatchRefusalRow.__table__.columns]
    rows = session.scalars(select(MatchRefusalRow).order_by(MatchRefusalRow.first, MatchRefusalRow.job))
    return [{name: getattr(row, name) for name in names} for row in rows]
