"""Key epochs of mode cached in the node's database: the open ones with their secrets, the ended ones as a record.

An epoch belongs to a line: the same parties with the same assets, kind of id and purpose. Numbers of a line only rise.
What is written here stands in the transaction that commits a job's answer, so that evaluations are booked before any
point leaves, and a receiver's masks are stored with the state of the session that took them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from partner_node import sessions
from partner_node.database import PAGE_BYTES, forget
from partner_node.errors import JobOver
from partner_node.tables_matching import EpochMasksRow, EpochRow
from privacy import canonical
from privacy.psi.cached import ReceiverEpoch, SenderEpoch, Terms

SENDER, RECEIVER = "sender", "receiver"
EXPIRED, SPENT, PERSON, DEPARTED, REPLACED = "expired", "spent", "person", "departed", "replaced"
WHYS = {  # why an epoch ended -> (English, Chinese)
    EXPIRED: ("its time was over", "已到期"),
    SPENT: ("its evaluations were used up", "查询次数已用尽"),
    PERSON: ("a person ended it", "由人员终止"),
    DEPARTED: ("clients withdrew consent or left", "有客户撤回同意或离开"),
    REPLACED: ("a later epoch began", "后续一期已开始"),
}
ROOM = bytes(PAGE_BYTES)  # more than a page keeps of a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an epoch stands, and what people know it by."""

    line: str
    number: int
    side: str
    peer: str
    asset: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """An epoch as it is listed, without its secret."""

    place: Place
    terms: Terms
    spent: int
    size: int
    job: str
    since: str
    ended: str | None
    why: str | None
    person: str | None


def find(session: Session, line: str, number: int) -> Epoch | None:
    row = session.get(EpochRow, (line, number))
    return None if row is None else _epoch(row)


def last(session: Session, line: str) -> Epoch | None:
    """The epoch of a line with the highest number."""
    row = session.scalars(select(EpochRow).where(EpochRow.line == line).order_by(EpochRow.number.desc())).first()
    return None if row is None else _epoch(row)


def listed(session: Session) -> list[Epoch]:
    """Every epoch that ever began here, by peer, asset and number."""
    order = (EpochRow.peer, EpochRow.asset, EpochRow.line, EpochRow.number)
    return [_epoch(row) for row in session.scalars(select(EpochRow).order_by(*order))]


def sender(session: Session, line: str, number: int) -> SenderEpoch:
    """The epoch of a sender's place that `find` found open."""
    return SenderEpoch.load(session.get_one(EpochRow, (line, number)).secret)


def receiver(session: Session, line: str, number: int) -> ReceiverEpoch:
    """The epoch of a receiver's place that `find` found open, with its masks."""
    row = session.get_one(EpochRow, (line, number))
    query = select(EpochMasksRow.masks).where(EpochMasksRow.line == line, EpochMasksRow.number == number)
    return ReceiverEpoch.load(row.secret, session.scalars(query.order_by(EpochMasksRow.place)).all())


def held(session: Session, line: str, number: int) -> int:
    """Messages of masks that are stored."""
    query = select(func.count()).where(EpochMasksRow.line == line, EpochMasksRow.number == number)
    return session.scalar(query) or 0


def keep(session: Session, place: Place, epoch: SenderEpoch | ReceiverEpoch, job: str, now: str) -> None:
    """Store an epoch as it is. Where it is new, the earlier ones of its line end; one that has ended stays so."""
    row = session.get(EpochRow, (place.line, place.number))
    if row is None:
        for earlier in _open(session, place.line):
            end(session, earlier.place, REPLACED, now)
        row = EpochRow(line=place.line, number=place.number, side=place.side, peer=place.peer, asset=place.asset)
        row.purpose, row.terms, row.since = place.purpose, canonical.encode(epoch.terms.to_body()), now
        row.room = ROOM
        session.add(row)
    if row.ended is not None:
        return
    row.job = job
    if isinstance(epoch, SenderEpoch):
        row.spent, row.size, row.secret = epoch.spent, epoch.size, epoch.dump()
    else:
        row.spent, row.secret = epoch.asked, epoch.head()
        row.size = sum(epoch.terms.place(i)[2] - epoch.terms.place(i)[1] for i in range(len(epoch.messages)))
        _keep_masks(session, place, epoch.messages)


def end(session: Session, place: Place, why: str, now: str, person: str | None = None) -> None:
    """Delete key or masks, and the job that runs in the epoch; the row stays as the record of it."""
    row = session.get_one(EpochRow, (place.line, place.number))
    if row.ended is not None:
        return
    row.ended, row.why, row.person, row.room, row.secret = now, why, person, b"", b""
    masks = EpochMasksRow
    session.execute(delete(masks).where(masks.line == place.line, masks.number == place.number))
    forget(session)
    sessions.end_if_running(session, row.job, now)


def end_due(session: Session, now: str) -> int:
    """End every epoch whose time is over, and every one that is used up and has no job running; how many."""
    due = [(epoch, _due(session, epoch, now)) for epoch in listed(session) if epoch.ended is None]
    for epoch, why in due:
        if why is not None:
            end(session, epoch.place, why, now)
    return sum(why is not None for _, why in due)


def runs(session: Session, job: str) -> bool:
    """Whether a job has begun here and is not over."""
    try:
        return sessions.step(session, job) is not None
    except JobOver:
        return False


def _due(session: Session, epoch: Epoch, now: str) -> str | None:
    if epoch.terms.ends.isoformat(timespec="seconds") <= now:
        return EXPIRED
    used_up = epoch.spent >= epoch.terms.points_max and not runs(session, epoch.job)
    return SPENT if used_up else None


def _open(session: Session, line: str) -> Sequence[Epoch]:
    rows = session.scalars(select(EpochRow).where(EpochRow.line == line, EpochRow.ended.is_(None)))
    return [_epoch(row) for row in rows]


def _keep_masks(session: Session, place: Place, messages: Sequence[bytes]) -> None:
    for number in range(held(session, place.line, place.number), len(messages)):
        key = {"line": place.line, "number": place.number, "place": number}
        session.add(EpochMasksRow(**key, room=ROOM, masks=messages[number]))


def _epoch(row: EpochRow) -> Epoch:
    body = canonical.decode(row.terms)
    assert isinstance(body, dict), "terms are stored as an object"
    place = Place(line=row.line, number=row.number, side=row.side, peer=row.peer, asset=row.asset, purpose=row.purpose)
    return Epoch(
        place=place,
        terms=Terms.from_body(body),
        spent=row.spent,
        size=row.size,
        job=row.job,
        since=row.since,
        ended=row.ended,
        why=row.why,
        person=row.person,
    )
