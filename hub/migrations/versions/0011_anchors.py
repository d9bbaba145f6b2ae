"""Chain transactions that hand in a checkpoint of a log: `chain_intent` is of a statement or of a checkpoint."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

OLD_KINDS = ("propose", "finalise", "dispute", "pay", "acknowledge")
KINDS = (*OLD_KINDS, "anchor")
OF_ONE = (
    "(kind = 'anchor') = (statement IS NULL) AND (kind = 'anchor') = (log IS NOT NULL) "
    "AND (log IS NULL) = (size IS NULL)"
)
KEPT = (
    *("number", "kind", "statement", "sender", "nonce", "raw", '"transaction"', "state", "error", "block"),
    *("created_at", "ended_at"),
)


def _short(name: str, length: int = 16, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(repr(value) for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_chain_intent_{column}"))


def _unique(name: str, *columns: str) -> None:
    living = sa.text("state <> 'FAILED'")
    op.create_index(name, "chain_intent", columns, unique=True, sqlite_where=living, postgresql_where=living)


def _again(kinds: tuple[str, ...], *, anchors: bool) -> None:
    """The table anew, as SQLite changes no constraint in place; without `anchors` rows of checkpoints are left out."""
    op.execute("CREATE TABLE before_chain_intent AS SELECT * FROM chain_intent")
    op.drop_table("chain_intent")
    checkpoint: tuple[Any, ...] = (
        _short("log", nullable=True),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.CheckConstraint(OF_ONE, name=op.f("ck_chain_intent_subject")),
        sa.ForeignKeyConstraint(
            ["log", "size"], ["checkpoint.log", "checkpoint.size"], name=op.f("fk_chain_intent_log_size_checkpoint")
        ),
    )
    op.create_table(
        "chain_intent",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *(_short("kind"), _short("statement", 64, nullable=anchors), *(checkpoint if anchors else ())),
        *(_short("sender", 42), sa.Column("nonce", sa.BigInteger(), nullable=False)),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        *(_short("transaction", 66), _short("state"), sa.Column("error", sa.Text(), nullable=False)),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        _one_of("kind", *kinds),
        _one_of("state", "OPEN", "DONE", "FAILED"),
        sa.ForeignKeyConstraint(["statement"], ["statement.id"], name=op.f("fk_chain_intent_statement_statement")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_chain_intent")),
        sa.UniqueConstraint("transaction", name=op.f("uq_chain_intent_transaction")),
    )
    names = ", ".join(KEPT)
    op.execute(
        f"INSERT INTO chain_intent ({names}) SELECT {names} FROM before_chain_intent "  # noqa: S608
        "WHERE statement IS NOT NULL"
    )
    op.drop_table("before_chain_intent")
    _unique("uq_chain_intent_step", "statement", "kind")
    _unique("uq_chain_intent_nonce", "sender", "nonce")


def upgrade() -> None:
    _again(KINDS, anchors=True)


def downgrade() -> None:
    """A checkpoint's transaction has no place in the schema before."""
    _again(OLD_KINDS, anchors=False)
