"""The node's tables of released moments: of which values of its own columns each run took moments.

Rows are only ever added, in the transaction that lets out the first message that tells of a run's rows.
"""

from sqlalchemy.orm import Mapped, mapped_column

from partner_node.tables import Base


class MomentValuesRow(Base):
    """A column's values over the clients of an alignment: keyed tags of 4 bytes each, in the order of the alignment.

    digest: SHA-256 of the tags. Two tags are the same where the values are; a value can't be read from its tag without
    this node's key.
    """

    __tablename__ = "moment_values"
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    tags: Mapped[bytes]


class MomentColumnRow(Base):
    """One own column of one run whose moments other parties were shown."""

    __tablename__ = "moment_column"
    run: Mapped[str] = mapped_column(primary_key=True)
    column: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    time: Mapped[str]
