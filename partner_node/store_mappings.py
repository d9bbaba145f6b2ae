"""Repository of mappings: which columns of an asset are which standard features."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node.tables import MappingRow
from privacy import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An asset's mapping. `columns`: column -> what Entry.to_value gave."""

    asset: str
    catalogue: int
    digest: str
    columns: dict[str, Any]
    time: str


def keep(session: Session, stored: Stored) -> None:
    """Put it in place of the asset's earlier one; without columns the asset has none any more."""
    session.execute(delete(MappingRow).where(MappingRow.asset == stored.asset))
    if stored.columns:
        body: Body = {"catalogue": stored.catalogue, "digest": stored.digest, "columns": stored.columns}
        session.add(MappingRow(asset=stored.asset, document=canonical.encode(body), time=stored.time))


def find(session: Session, asset: str) -> Stored | None:
    row = session.get(MappingRow, asset)
    return _stored(row) if row else None


def every(session: Session) -> list[Stored]:
    return [_stored(row) for row in session.scalars(select(MappingRow).order_by(MappingRow.asset))]


def _stored(row: MappingRow) -> Stored:
    body: Any = canonical.decode(row.document)
    return Stored(asset=row.asset, time=row.time, **body)
