"""The node's tables of labels: who opted out, what was delivered under which signature, what was refused, and where to.

Rows of opt-outs, deliveries and refusals are only ever added.
"""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_node.tables import Base


class OptOutRow(Base):
    """A client wants no labels ("add"), or wants them again ("remove"); the last row of a client counts.

    `client` is HMAC-SHA256(local key, normalised id), as consent is kept: no id is stored.
    """

    __tablename__ = "opt_out"
    __table_args__ = (CheckConstraint("action IN ('add','remove')", name="action"),)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    client: Mapped[bytes] = mapped_column(index=True)
    action: Mapped[str]
    time: Mapped[str]


class LabelDeliveryRow(Base):
    """A delivery of labels as this node signed it. Each document names the one before."""

    __tablename__ = "label_delivery"
    number: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str]
    document: Mapped[bytes]


class LabelRefusalRow(Base):
    """A label that a delivery refused to a client; label "": all labels. `client` as in OptOutRow."""

    __tablename__ = "label_refusal"
    delivery: Mapped[int] = mapped_column(primary_key=True)
    client: Mapped[bytes] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    risk_level: Mapped[int | None]
    risk_class: Mapped[int | None]


class LabelFileRow(Base):
    """A file for people outside the node, and the delivery it holds; placed: null until the file stands there."""

    __tablename__ = "label_file"
    path: Mapped[str] = mapped_column(primary_key=True)
    format: Mapped[str]
    delivery: Mapped[int]
    placed: Mapped[str | None]
