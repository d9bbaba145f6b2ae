"""Who made and who released a statement, answers to disputes, adjustments, positions; the triggers that keep them."""

import sqlalchemy as sa
from alembic import op

from hub import triggers_settlement

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# the columns that name a row
KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "statement_maker": (("statement",),),
    "statement_check": (("statement",),),
    "dispute_answer": (("dispute",),),
    "adjustment": (
        ("digest",),
        ("number",),
    ),
    "adjustment_decision": (("adjustment",),),
    "statement_adjustment": (("statement", "adjustment"),),
    "statement_position": (("statement",),),
}


def _digest(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=64), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _state(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=16), nullable=False)


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _refers(table: str, column: str, other: str, key: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.{key}"], name=op.f(f"fk_{table}_{column}_{other}"))


def upgrade() -> None:
    op.create_table(
        "statement_maker",
        *(_digest("statement"), _text("person"), _digest("certificate"), _time("made_at")),
        _refers("statement_maker", "statement", "statement", "id"),
        sa.PrimaryKeyConstraint("statement", name=op.f("pk_statement_maker")),
    )
    op.create_table(
        "statement_check",
        *(_digest("statement"), _state("decision"), _text("maker"), _text("person"), _digest("certificate")),
        *(_text("reason"), _time("checked_at")),
        sa.CheckConstraint("decision IN ('released', 'rejected')", name=op.f("ck_statement_check_decision")),
        sa.CheckConstraint("decision <> 'released' OR person <> maker", name=op.f("ck_statement_check_four_eyes")),
        _refers("statement_check", "statement", "statement_maker", "statement"),
        sa.PrimaryKeyConstraint("statement", name=op.f("pk_statement_check")),
    )
    op.create_table(
        "dispute_answer",
        *(_digest("dispute"), sa.Column("partner", sa.String(length=32), nullable=False)),
        *(_text("document"), _text("receipt"), _time("received_at")),
        _refers("dispute_answer", "dispute", "dispute", "digest"),
        _refers("dispute_answer", "partner", "partner", "id"),
        sa.PrimaryKeyConstraint("dispute", name=op.f("pk_dispute_answer")),
    )
    op.create_table(
        "adjustment",
        *(_digest("digest"), sa.Column("number", sa.Integer(), nullable=False), _digest("agreement")),
        *(_text("document"), _text("receipt"), _time("received_at")),
        _refers("adjustment", "agreement", "proposal", "digest"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_adjustment")),
        sa.UniqueConstraint("number", name=op.f("uq_adjustment_number")),
    )
    op.create_index(op.f("ix_adjustment_agreement"), "adjustment", ["agreement"], unique=False)
    op.create_table(
        "adjustment_decision",
        *(_digest("adjustment"), _state("decision"), _text("document"), _text("receipt"), _time("received_at")),
        sa.CheckConstraint("decision IN ('approve', 'refuse')", name=op.f("ck_adjustment_decision_decision")),
        _refers("adjustment_decision", "adjustment", "adjustment", "digest"),
        sa.PrimaryKeyConstraint("adjustment", name=op.f("pk_adjustment_decision")),
    )
    op.create_table(
        "statement_adjustment",
        *(_digest("statement"), _digest("adjustment")),
        _refers("statement_adjustment", "statement", "statement", "id"),
        _refers("statement_adjustment", "adjustment", "adjustment", "digest"),
        sa.PrimaryKeyConstraint("statement", "adjustment", name=op.f("pk_statement_adjustment")),
    )
    op.create_table(
        "statement_position",
        *(_digest("statement"), _digest("digest"), _text("value")),
        _refers("statement_position", "statement", "statement", "id"),
        sa.PrimaryKeyConstraint("statement", name=op.f("pk_statement_position")),
    )
    dialect = op.get_bind().dialect.name
    for table, keys in KEYS.items():
        for statement in triggers_settlement.append_only(dialect, table, keys):
            op.execute(sa.text(statement.replace(":", r"\:")))


def downgrade() -> None:
    op.drop_table("statement_position")
    op.drop_table("statement_adjustment")
    op.drop_table("adjustment_decision")
    op.drop_index(op.f("ix_adjustment_agreement"), table_name="adjustment")
    op.drop_table("adjustment")
    op.drop_table("dispute_answer")
    op.drop_table("statement_check")
    op.drop_table("statement_maker")
