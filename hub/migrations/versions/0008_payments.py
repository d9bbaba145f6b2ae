"""Payment details, orders, bank files and entries, matches; who may be paid how often is now the orders' to say.

A payment of before is the first order of its statement: paid from and to accounts that its CSV file did not name.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TWO_PEOPLE = "decided_by IS NULL OR decided_by <> proposed_by"
LIVING = "state IN ('ORDERED', 'SETTLED')"
KINDS = ("propose", "finalise", "dispute", "pay", "acknowledge")
OLD_KINDS = ("propose", "finalise", "dispute")
PAYMENT_FILE = ("digest", "period", "number", "data", "created_at")


def _digest(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=64), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _short(name: str, length: int = 16) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _refers(table: str, column: str, other: str, key: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.{key}"], name=op.f(f"fk_{table}_{column}_{other}"))


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    return _check(table, column, f"{column} IN ({', '.join(repr(value) for value in values)})")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _payment_file(*more: Any) -> None:
    op.create_table(
        "payment_file",
        *(_digest("digest"), _short("period", 7), _whole("number")),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _time("created_at"),
        *more,
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_payment_file")),
        sa.UniqueConstraint("period", "number", name=op.f("uq_payment_file_period_number")),
    )


def _details() -> None:
    op.create_table(
        "payment_details",
        *(_digest("digest"), _whole("number"), _short("partner", 32), _short("currency", 3), _text("body")),
        *(_short("state"), _text("proposed_by"), _time("proposed_at")),
        *(_text("decided_by", nullable=True), _time("decided_at", nullable=True)),
        _one_of("payment_details", "state", "PROPOSED", "ACTIVE", "REPLACED", "REFUSED"),
        _check("payment_details", "four_eyes", TWO_PEOPLE),
        _check("payment_details", "decided", "(state = 'PROPOSED') = (decided_by IS NULL)"),
        _refers("payment_details", "partner", "partner", "id"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_payment_details")),
        sa.UniqueConstraint("number", name=op.f("uq_payment_details_number")),
    )
    _partial("uq_payment_details_active", "payment_details", ["partner", "currency"], "state = 'ACTIVE'")


def _bank() -> None:
    op.create_table(
        "bank_file",
        *(_digest("digest"), _whole("number"), _short("format"), _short("account", 35), _text("summary")),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        *(_text("imported_by"), _time("imported_at")),
        _one_of("bank_file", "format", "camt.053", "csv"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_bank_file")),
        sa.UniqueConstraint("number", name=op.f("uq_bank_file_number")),
    )
    op.create_table(
        "bank_match",
        *(_digest("id"), _whole("number"), _short("kind"), _short("rule"), _short("state"), _text("body")),
        *(_text("proposed_by"), _time("proposed_at")),
        *(_text("decided_by", nullable=True), _time("decided_at", nullable=True)),
        _one_of("bank_match", "kind", "PAID", "RETURNED", "RELEASED", "EXPLAINED"),
        _one_of("bank_match", "rule", "REFERENCE", "PARTS", "AMOUNT", "SUM", "MANUAL"),
        _one_of("bank_match", "state", "PROPOSED", "APPROVED", "REFUSED"),
        _check("bank_match", "four_eyes", TWO_PEOPLE),
        _check("bank_match", "decided", "rule <> 'MANUAL' OR (state = 'PROPOSED') = (decided_by IS NULL)"),
        _check("bank_match", "by_rule", "rule = 'MANUAL' OR kind IN ('PAID', 'RETURNED')"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_match")),
        sa.UniqueConstraint("number", name=op.f("uq_bank_match_number")),
    )
    op.create_table(
        "bank_entry",
        *(_digest("id"), _whole("number"), _digest("file"), _whole("row"), _short("account", 35), _text("body")),
        _digest("settled_by", nullable=True),
        _refers("bank_entry", "file", "bank_file", "digest"),
        _refers("bank_entry", "settled_by", "bank_match", "id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_entry")),
        sa.UniqueConstraint("number", name=op.f("uq_bank_entry_number")),
    )
    op.create_index(op.f("ix_bank_entry_file"), "bank_entry", ["file"], unique=False)
    op.create_index(op.f("ix_bank_entry_settled_by"), "bank_entry", ["settled_by"], unique=False)


def _orders() -> None:
    op.create_table(
        "payment_order",
        *(_short("end_to_end_id", 35), _digest("statement"), _whole("attempt"), _digest("file")),
        *(_short("creditor", 32), _short("currency", 3)),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        *(_short("due", 10), _short("account", 35), _short("counterparty", 35), _text("name")),
        *(_digest("details", nullable=True), _short("state")),
        *(_digest(name, nullable=True) for name in ("settled_by", "ended_by", "payout", "payout_salt")),
        _one_of("payment_order", "state", "ORDERED", "SETTLED", "RETURNED", "RELEASED"),
        _check("payment_order", "amount", "amount_minor > 0"),
        _check("payment_order", "payout", "(payout IS NULL) = (payout_salt IS NULL)"),
        _check("payment_order", "ended", "(state IN ('RETURNED', 'RELEASED')) = (ended_by IS NOT NULL)"),
        _refers("payment_order", "statement", "statement", "id"),
        _refers("payment_order", "file", "payment_file", "digest"),
        _refers("payment_order", "creditor", "partner", "id"),
        _refers("payment_order", "details", "payment_details", "digest"),
        _refers("payment_order", "settled_by", "bank_match", "id"),
        _refers("payment_order", "ended_by", "bank_match", "id"),
        sa.PrimaryKeyConstraint("end_to_end_id", name=op.f("pk_payment_order")),
        sa.UniqueConstraint("statement", "attempt", name=op.f("uq_payment_order_statement_attempt")),
        sa.UniqueConstraint("payout", name=op.f("uq_payment_order_payout")),
    )
    _partial("uq_payment_order_living", "payment_order", ["statement"], LIVING)


def upgrade() -> None:
    bind = op.get_bind()
    orders = [_order(row._mapping) for row in bind.execute(sa.text(_PAYMENTS))]
    op.drop_table("payment")
    _set_aside("payment_file")
    _payment_file(_short("format"), _one_of("payment_file", "format", "csv", "pain.001"))
    columns = ", ".join(PAYMENT_FILE)
    op.execute(f"INSERT INTO payment_file ({columns}, format) SELECT {columns}, 'csv' FROM before_payment_file")  # noqa: S608
    op.drop_table("before_payment_file")
    _details()
    _bank()
    _orders()
    for order in orders:
        names = ", ".join(order)
        marks = ", ".join(f":{name}" for name in order)
        bind.execute(sa.text(f"INSERT INTO payment_order ({names}) VALUES ({marks})"), order)  # noqa: S608
    _guard(bind)
    _intents(KINDS)


_PAYMENTS = """
SELECT p.end_to_end_id, p.statement, p.file, p.amount_minor, s.body, s.state, f.created_at AS created
FROM payment p JOIN statement s ON s.id = p.statement JOIN payment_file f ON f.digest = p.file ORDER BY s.number
"""


def _order(row: Any) -> dict[str, Any]:
    body = json.loads(row["body"])
    return {
        "end_to_end_id": row["end_to_end_id"],
        "statement": row["statement"],
        "attempt": 1,
        "file": row["file"],
        "creditor": body["referrer"],
        "currency": body["currency"],
        "amount_minor": row["amount_minor"],
        "due": str(row["created"])[:10],
        "account": "",
        "counterparty": "",
        "name": body["referrer"],
        "state": "SETTLED" if row["state"] in ("PAID", "ACKED") else "ORDERED",
    }


def _guard(bind: Any) -> None:
    from hub import triggers_payments  # with the tables that it names now there

    entry = triggers_payments.Guard(
        keys=(("id",), ("number",)), kept=("id", "number", "file", "row", "account", "body"), once=("settled_by",)
    )
    for table, rules in {**triggers_payments.GUARDS, "bank_entry": entry}.items():
        for statement in triggers_payments.triggers(bind.dialect.name, table, rules):
            bind.exec_driver_sql(statement)


def _set_aside(table: str) -> None:
    op.execute(f"CREATE TABLE before_{table} AS SELECT * FROM {table}")  # noqa: S608
    op.drop_table(table)


def _intents(kinds: tuple[str, ...]) -> None:
    """The same table with other kinds of intents: SQLite does not change a constraint in place."""
    _set_aside("chain_intent")
    op.create_table(
        "chain_intent",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *(_short("kind"), _digest("statement"), _short("sender", 42)),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        *(_short("transaction", 66), _short("state"), _text("error")),
        sa.Column("block", sa.BigInteger(), nullable=True),
        *(_time("created_at"), _time("ended_at", nullable=True)),
        _one_of("chain_intent", "kind", *kinds),
        _one_of("chain_intent", "state", "OPEN", "DONE", "FAILED"),
        _refers("chain_intent", "statement", "statement", "id"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_chain_intent")),
        sa.UniqueConstraint("transaction", name=op.f("uq_chain_intent_transaction")),
    )
    op.execute("INSERT INTO chain_intent SELECT * FROM before_chain_intent")
    op.drop_table("before_chain_intent")
    _partial("uq_chain_intent_step", "chain_intent", ["statement", "kind"], "state <> 'FAILED'")
    _partial("uq_chain_intent_nonce", "chain_intent", ["sender", "nonce"], "state <> 'FAILED'")


def downgrade() -> None:
    """Only the first order of a statement has a place in the schema before."""
    _intents(OLD_KINDS)
    op.execute("CREATE TABLE before_payment AS SELECT * FROM payment_order WHERE attempt = 1")
    for table in ("payment_order", "bank_entry", "bank_match", "bank_file", "payment_details"):
        op.drop_table(table)
    _set_aside("payment_file")
    _payment_file()
    columns = ", ".join(PAYMENT_FILE)
    op.execute(f"INSERT INTO payment_file SELECT {columns} FROM before_payment_file")  # noqa: S608
    op.drop_table("before_payment_file")
    op.create_table(
        "payment",
        *(_digest("statement"), _digest("file"), _short("end_to_end_id", 35)),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        _refers("payment", "file", "payment_file", "digest"),
        _refers("payment", "statement", "statement", "id"),
        sa.PrimaryKeyConstraint("statement", name=op.f("pk_payment")),
        sa.UniqueConstraint("end_to_end_id", name=op.f("uq_payment_end_to_end_id")),
    )
    op.execute(
        "INSERT INTO payment (statement, file, end_to_end_id, amount_minor) "
        "SELECT statement, file, end_to_end_id, amount_minor FROM before_payment"
    )
    op.drop_table("before_payment")
