"""The node's table of released models: for each name the newest step that the hub signed."""

from sqlalchemy.orm import Mapped, mapped_column

from partner_node.tables import Base


class ModelStepRow(Base):
    """What serves a name's clients now."""

    __tablename__ = "model_step"
    name: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[bytes]
