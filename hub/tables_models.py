"""The tables of the model registry: what is registered, what serves now, and every step that led there.

A name is served by at most one release that reaches all clients and one above it that reaches a share of them; both are
also constraints. Steps are only added.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.tables import DIGEST, PARTNER, STATE, Base, one_of

STATES = ("REGISTERED", "RELEASED", "RETIRED")
ACTIONS = ("register", "release", "raise", "rollback", "retire", "block")
WHOLE = "state = 'RELEASED' AND share_ppm = 1000000"
PART = "state = 'RELEASED' AND share_ppm < 1000000"


class ModelRow(Base):
    """A completed vertical run's model. Its parts stay with their owners; here are digests."""

    __tablename__ = "model"
    job: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    name: Mapped[str]
    number: Mapped[int]  # of the name's models, from 1
    state: Mapped[str] = mapped_column(STATE)
    share_ppm: Mapped[int]  # of clients that it serves; 0 unless RELEASED
    salt: Mapped[str] = mapped_column(String(32))  # of its release; empty before the first
    digest: Mapped[str] = mapped_column(DIGEST)  # the model's
    label_holder: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"))
    registration: Mapped[str] = mapped_column(DIGEST)  # the signed document
    valid_until: Mapped[datetime]
    registered_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    __table_args__ = (
        one_of("state", *STATES),
        CheckConstraint("share_ppm >= 0 AND share_ppm <= 1000000", name="share"),
        CheckConstraint("(state = 'RELEASED') = (share_ppm > 0)", name="serving"),
        UniqueConstraint("name", "number"),
        Index("uq_model_whole", "name", unique=True, sqlite_where=text(WHOLE), postgresql_where=text(WHOLE)),
        Index("uq_model_part", "name", unique=True, sqlite_where=text(PART), postgresql_where=text(PART)),
    )


class ModelStepRow(Base):
    """One change of a name: who, why, and what serves since, in the document that the hub signed."""

    __tablename__ = "model_step"
    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    job: Mapped[str] = mapped_column(DIGEST, ForeignKey("model.job"), index=True)
    action: Mapped[str] = mapped_column(STATE)
    document: Mapped[str]
    taken_at: Mapped[datetime]
    __table_args__ = (one_of("action", *ACTIONS),)
