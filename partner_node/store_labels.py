"""Repository of labels: opt-outs, signed deliveries with their refusals, and the files that hold them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Signed
from federation.labels import Reason, Refused
from partner_node.tables_labels import LabelDeliveryRow, LabelFileRow, LabelRefusalRow, OptOutRow

KIND = "label-delivery"
ADD, REMOVE = "add", "remove"
ALL_LABELS = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """A file and the number of the delivery it holds. placed: None where the node died before the file stood there."""

    path: str
    format: str
    delivery: int
    placed: str | None


def change_opt_outs(session: Session, clients: Iterable[bytes], action: str, now: str) -> int:
    """Note that these clients opted out (ADD) or want labels again (REMOVE); for how many that was new."""
    closed = opted_out(session)
    fresh = [client for client in dict.fromkeys(clients) if (client in closed) == (action == REMOVE)]
    if fresh:
        session.execute(insert(OptOutRow), [{"client": client, "action": action, "time": now} for client in fresh])
    return len(fresh)


def opted_out(session: Session) -> frozenset[bytes]:
    """The clients who want no labels now."""
    last = select(func.max(OptOutRow.number)).group_by(OptOutRow.client)
    query = select(OptOutRow.client).where(OptOutRow.number.in_(last), OptOutRow.action == ADD)
    return frozenset(session.scalars(query))


def opt_outs_of(session: Session, client: bytes) -> list[tuple[str, str]]:
    """(action, time) of one client, oldest first."""
    query = select(OptOutRow.action, OptOutRow.time).where(OptOutRow.client == client).order_by(OptOutRow.number)
    return [(action, time) for action, time in session.execute(query)]


def opts_out(session: Session, client: bytes) -> bool:
    """Whether this client wants no labels now."""
    changes = opt_outs_of(session, client)
    return bool(changes) and changes[-1][0] == ADD


def opt_out_changes(session: Session) -> list[tuple[str, str, int]]:
    """(time, action, clients) of every change, oldest first."""
    first = func.min(OptOutRow.number)
    query = select(OptOutRow.time, OptOutRow.action, func.count()).group_by(OptOutRow.time, OptOutRow.action)
    return [(time, action, count) for time, action, count in session.execute(query.order_by(first))]


def deliveries(session: Session) -> list[Signed]:
    """Every delivery, oldest first."""
    rows = session.scalars(select(LabelDeliveryRow.document).order_by(LabelDeliveryRow.number))
    return [documents.decode(data, kind=KIND) for data in rows]


def keep_delivery(session: Session, number: int, document: Signed, refused: Sequence[Refused]) -> None:
    session.add(LabelDeliveryRow(number=number, run=str(document.body["run"]), document=document.encode()))
    session.flush()
    if refused:
        session.execute(insert(LabelRefusalRow), [_refusal(number, row) for row in refused])


def refusals_of(session: Session, number: int, client: bytes) -> list[Refused]:
    """What a delivery refused to one client."""
    query = select(LabelRefusalRow).where(LabelRefusalRow.delivery == number, LabelRefusalRow.client == client)
    return [
        Refused(
            key=row.client.hex(),
            reason=Reason(row.reason),
            label=row.label or None,
            risk_level=row.risk_level,
            risk_class=row.risk_class,
        )
        for row in session.scalars(query.order_by(LabelRefusalRow.label))
    ]


def begin_file(session: Session, file: LabelFile) -> None:
    """Note where a delivery is going to, before the file is written."""
    session.merge(LabelFileRow(path=file.path, format=file.format, delivery=file.delivery, placed=file.placed))


def place_file(session: Session, path: str, now: str) -> None:
    """The file stands there."""
    session.get_one(LabelFileRow, path).placed = now


def files(session: Session) -> list[LabelFile]:
    rows = session.scalars(select(LabelFileRow).order_by(LabelFileRow.path))
    return [LabelFile(path=row.path, format=row.format, delivery=row.delivery, placed=row.placed) for row in rows]


def _refusal(number: int, row: Refused) -> dict[str, object]:
    return {
        "delivery": number,
        "client": bytes.fromhex(row.key),
        "label": row.label or ALL_LABELS,
        "reason": row.reason.value,
        "risk_level": row.risk_level,
        "risk_class": row.risk_class,
    }
