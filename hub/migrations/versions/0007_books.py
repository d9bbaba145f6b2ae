"""The journal's chart, periods and locks: `account`, `period_lock`, entries with a period, transfers between accounts.

Entries of before belong to the period of their statement, and what their shares cost is expense:partner_share.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from hub import triggers_ledger

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CHART = (
    *("revenue:gross", "expense:partner_share", "liability:accrued:", "liability:payable:"),
    *("liability:clawback_reserve", "asset:bank:", "tax:vat_in", "tax:withholding", "suspense:recon"),
    *("points:issued", "points:liability", "points:redeemed", "points:expired"),
)
GUARDED = ("account", "period_lock", "journal_entry", "journal_transfer")
# tables of 0002 that TRUNCATE could empty
WHOLE = (
    *("report", "referred", "reported_event", "statement_line", "confirmation", "dispute"),
    *("payment_file", "payment", "statement"),
)
OLD_TABLES = ("journal_transfer", "journal_entry")


def _in_chart(name: str) -> str:
    if not name.endswith(":"):
        return f"name = '{name}'"
    return f"(substr(name, 1, {len(name)}) = '{name}' AND length(name) > {len(name)})"


def _set_aside() -> None:
    for table in OLD_TABLES:
        op.execute(f"CREATE TABLE before_{table} AS SELECT * FROM {table}")  # noqa: S608
        op.drop_table(table)


def _drop_set_aside() -> None:
    for table in OLD_TABLES:
        op.drop_table(f"before_{table}")


def _entry_columns(*more: sa.Column[str]) -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        *more,
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reverses", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
    ]


def _entry_constraints() -> list[sa.Constraint]:
    return [
        sa.CheckConstraint("state IN ('PENDING', 'POSTED', 'VOIDED')", name=op.f("ck_journal_entry_state")),
        sa.ForeignKeyConstraint(
            ["reverses"], ["journal_entry.id"], name=op.f("fk_journal_entry_reverses_journal_entry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
        sa.UniqueConstraint("number", name=op.f("uq_journal_entry_number")),
        sa.UniqueConstraint("reverses", name=op.f("uq_journal_entry_reverses")),
    ]


def _transfer(*more: sa.Constraint) -> None:
    op.create_table(
        "journal_transfer",
        sa.Column("entry", sa.String(length=100), nullable=False),
        sa.Column("transfer_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("debit", sa.String(length=80), nullable=False),
        sa.Column("credit", sa.String(length=80), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "amount_minor > 0 AND amount_minor <= 1000000000000000", name=op.f("ck_journal_transfer_amount")
        ),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_journal_transfer_accounts")),
        sa.ForeignKeyConstraint(["entry"], ["journal_entry.id"], name=op.f("fk_journal_transfer_entry_journal_entry")),
        sa.PrimaryKeyConstraint("entry", "transfer_index", name=op.f("pk_journal_transfer")),
        *more,
    )


def upgrade() -> None:
    _set_aside()
    op.create_table(
        "account",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.CheckConstraint(" OR ".join(map(_in_chart, CHART)), name=op.f("ck_account_chart")),
        sa.CheckConstraint("(substr(name, 1, 7) = 'points:') = (asset = 'POINTS')", name=op.f("ck_account_asset")),
        sa.PrimaryKeyConstraint("name", "asset", name=op.f("pk_account")),
    )
    op.create_table(
        "period_lock",
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_period_lock")),
    )
    op.create_table(
        "journal_entry",
        *_entry_columns(sa.Column("period", sa.String(length=7), nullable=False)),
        *_entry_constraints(),
        sa.CheckConstraint("(state = 'PENDING') = (decided_at IS NULL)", name=op.f("ck_journal_entry_decided")),
    )
    op.create_index(op.f("ix_journal_entry_subject"), "journal_entry", ["subject"], unique=False)
    op.create_index("ix_journal_entry_period", "journal_entry", ["period", "state"], unique=False)
    _transfer(
        sa.ForeignKeyConstraint(["debit", "asset"], ["account.name", "account.asset"], name="fk_transfer_debit"),
        sa.ForeignKeyConstraint(["credit", "asset"], ["account.name", "account.asset"], name="fk_transfer_credit"),
    )
    _bring_back()
    _guard()


def _bring_back() -> None:
    op.execute(
        "UPDATE before_journal_transfer SET debit = 'expense:partner_share' WHERE debit = 'expense:revenue_share'"
    )
    op.execute(
        "UPDATE before_journal_transfer SET credit = 'expense:partner_share' WHERE credit = 'expense:revenue_share'"
    )
    op.execute(
        "INSERT INTO account (name, asset) SELECT debit, asset FROM before_journal_transfer "
        "UNION SELECT credit, asset FROM before_journal_transfer"
    )
    op.execute(
        "INSERT INTO journal_entry (id, number, subject, memo, state, reverses, created_at, decided_at, period) "
        "SELECT one.id, one.number, one.subject, one.memo, one.state, one.reverses, one.created_at, one.decided_at, "
        "statement.period FROM before_journal_entry one JOIN statement ON statement.id = one.subject "
        "ORDER BY one.number"
    )
    op.execute("INSERT INTO journal_transfer SELECT * FROM before_journal_transfer")
    _drop_set_aside()


def _guard() -> None:
    dialect = op.get_bind().dialect.name
    for table in GUARDED:
        for statement in triggers_ledger.triggers(dialect, table):
            op.get_bind().exec_driver_sql(statement)
    if dialect == "postgresql":
        for table in WHOLE:
            op.execute(f"DROP TRIGGER IF EXISTS {table}_whole ON {table}")
            op.execute(f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} EXECUTE FUNCTION ecohub_append_only()")


def downgrade() -> None:
    _set_aside()
    op.create_table("journal_entry", *_entry_columns(), *_entry_constraints())
    op.create_index(op.f("ix_journal_entry_subject"), "journal_entry", ["subject"], unique=False)
    _transfer()
    op.execute(
        "INSERT INTO journal_entry (id, number, subject, memo, state, reverses, created_at, decided_at) "
        "SELECT id, number, subject, memo, state, reverses, created_at, decided_at "
        "FROM before_journal_entry ORDER BY number"
    )
    op.execute("INSERT INTO journal_transfer SELECT * FROM before_journal_transfer")
    _drop_set_aside()
    op.drop_table("period_lock")
    op.drop_table("account")
