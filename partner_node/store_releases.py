"""Repository of released models: the newest step of each name."""

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Signed
from partner_node.tables_releases import ModelStepRow

KIND = "model-step"


def newest(session: Session, name: str) -> Signed | None:
    """The step kept last, as the hub signed it."""
    row = session.get(ModelStepRow, name)
    return documents.decode(row.document, kind=KIND) if row else None


def keep(session: Session, step: Signed) -> None:
    """Take the place of the name's step before."""
    session.merge(ModelStepRow(name=str(step.body["name"]), document=step.encode()))
