"""Bank entries stand in suspense until their match; the chart has what the bank charges, interest, and the outside."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from hub import triggers_ledger, triggers_payments
from hub.triggers_payments import Guard

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OLD_CHART = (
    *("revenue:gross", "expense:partner_share", "liability:accrued:", "liability:payable:"),
    *("liability:clawback_reserve", "asset:bank:", "tax:vat_in", "tax:withholding", "suspense:recon"),
    *("points:issued", "points:liability", "points:redeemed", "points:expired"),
)
CHART = (
    *("revenue:gross", "revenue:interest", "expense:partner_share", "expense:bank_charges", "liability:accrued:"),
    *("liability:payable:", "liability:clawback_reserve", "asset:bank:", "asset:other", "tax:vat_in"),
    *("tax:withholding", "suspense:recon", "points:issued", "points:liability", "points:redeemed", "points:expired"),
)
NEW = ("'expense:bank_charges'", "'revenue:interest'", "'asset:other'")
OLD_GUARD = Guard(
    keys=(("id",), ("number",)), kept=("id", "number", "file", "row", "account", "body"), once=("settled_by",)
)
GUARD = Guard(
    keys=(("id",), ("number",), ("suspended_by",), ("cleared_by",)),
    kept=("id", "number", "file", "row", "account", "body"),
    once=("settled_by", "suspended_by", "cleared_by"),
)
COLUMNS = "id, number, file, row, account, body, settled_by"
REBUILT = ("bank_entry", "journal_transfer", "account")  # each before what it refers to


def _in_chart(name: str) -> str:
    if not name.endswith(":"):
        return f"name = '{name}'"
    return f"(substr(name, 1, {len(name)}) = '{name}' AND length(name) > {len(name)})"


def _digest(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=64), nullable=nullable)


def _whole(name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, **more)


def _refers(table: str, column: str, other: str, key: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.{key}"], name=op.f(f"fk_{table}_{column}_{other}"))


def _account(chart: tuple[str, ...]) -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.CheckConstraint(" OR ".join(map(_in_chart, chart)), name=op.f("ck_account_chart")),
        sa.CheckConstraint("(substr(name, 1, 7) = 'points:') = (asset = 'POINTS')", name=op.f("ck_account_asset")),
        sa.PrimaryKeyConstraint("name", "asset", name=op.f("pk_account")),
    )


def _transfer() -> None:
    op.create_table(
        "journal_transfer",
        sa.Column("entry", sa.String(length=100), nullable=False),
        _whole("transfer_index", autoincrement=False),
        sa.Column("debit", sa.String(length=80), nullable=False),
        sa.Column("credit", sa.String(length=80), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "amount_minor > 0 AND amount_minor <= 1000000000000000", name=op.f("ck_journal_transfer_amount")
        ),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_journal_transfer_accounts")),
        sa.ForeignKeyConstraint(["debit", "asset"], ["account.name", "account.asset"], name="fk_transfer_debit"),
        sa.ForeignKeyConstraint(["credit", "asset"], ["account.name", "account.asset"], name="fk_transfer_credit"),
        _refers("journal_transfer", "entry", "journal_entry", "id"),
        sa.PrimaryKeyConstraint("entry", "transfer_index", name=op.f("pk_journal_transfer")),
    )


def _entry(*more: Any) -> None:
    op.create_table(
        "bank_entry",
        *(_digest("id"), _whole("number"), _digest("file"), _whole("row")),
        sa.Column("account", sa.String(length=35), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _digest("settled_by", nullable=True),
        *more,
        _refers("bank_entry", "file", "bank_file", "digest"),
        _refers("bank_entry", "settled_by", "bank_match", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_entry")),
        sa.UniqueConstraint("number", name=op.f("uq_bank_entry_number")),
    )
    op.create_index(op.f("ix_bank_entry_file"), "bank_entry", ["file"], unique=False)
    op.create_index(op.f("ix_bank_entry_settled_by"), "bank_entry", ["settled_by"], unique=False)


def _suspense() -> list[Any]:
    named = ("suspended_by", "cleared_by")
    return [
        *(sa.Column(name, sa.String(length=100), nullable=True) for name in named),
        sa.CheckConstraint(
            "(cleared_by IS NOT NULL) = (suspended_by IS NOT NULL AND settled_by IS NOT NULL)",
            name=op.f("ck_bank_entry_cleared"),
        ),
        *(_refers("bank_entry", name, "journal_entry", "id") for name in named),
        *(sa.UniqueConstraint(name, name=op.f(f"uq_bank_entry_{name}")) for name in named),
    ]


def _rebuild(chart: tuple[str, ...], rules: Guard, *more: Any) -> None:
    """The three tables anew with what they hold: SQLite does not change a constraint in place."""
    for table in REBUILT:
        op.execute(f"CREATE TABLE before_{table} AS SELECT * FROM {table}")  # noqa: S608
        op.drop_table(table)
    _account(chart)
    _transfer()
    _entry(*more)
    for table in reversed(REBUILT):
        columns = COLUMNS if table == "bank_entry" else "*"
        into = f"{table} ({COLUMNS})" if table == "bank_entry" else table
        op.execute(f"INSERT INTO {into} SELECT {columns} FROM before_{table}")  # noqa: S608
        op.drop_table(f"before_{table}")
    bind = op.get_bind()
    for table in ("account", "journal_transfer"):
        for statement in triggers_ledger.triggers(bind.dialect.name, table):
            bind.exec_driver_sql(statement)
    for statement in triggers_payments.triggers(bind.dialect.name, "bank_entry", rules):
        bind.exec_driver_sql(statement)


def upgrade() -> None:
    _rebuild(CHART, GUARD, *_suspense())


def downgrade() -> None:
    """What was booked has no place before: accounts of the chart, or who is in suspense. Then it is refused."""
    named = ", ".join(NEW)
    for what, query in (
        (f"entries on {named}", f"SELECT count(*) FROM account WHERE name IN ({named})"),  # noqa: S608
        ("bank entries that stood in suspense", "SELECT count(*) FROM bank_entry WHERE suspended_by IS NOT NULL"),
    ):
        assert not op.get_bind().execute(sa.text(query)).scalar(), f"the books have {what}: they can't go back"
    _rebuild(OLD_CHART, OLD_GUARD)
