"""Reports, statements, the journal, chain intents, payment files; with the triggers that keep them."""

import sqlalchemy as sa
from alembic import op

from hub import triggers_settlement

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# the journal's tables are made anew, with their triggers, in 0007
GUARDED = (
    *("report", "referred", "reported_event", "statement_line", "confirmation", "dispute"),
    *("payment_file", "payment", "statement"),
)


def upgrade() -> None:
    op.create_table(
        "journal_entry",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reverses", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('PENDING', 'POSTED', 'VOIDED')", name=op.f("ck_journal_entry_state")),
        sa.ForeignKeyConstraint(
            ["reverses"], ["journal_entry.id"], name=op.f("fk_journal_entry_reverses_journal_entry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
        sa.UniqueConstraint("number", name=op.f("uq_journal_entry_number")),
        sa.UniqueConstraint("reverses", name=op.f("uq_journal_entry_reverses")),
    )
    op.create_index(op.f("ix_journal_entry_subject"), "journal_entry", ["subject"], unique=False)
    op.create_table(
        "payment_file",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_payment_file")),
        sa.UniqueConstraint("period", "number", name=op.f("uq_payment_file_period_number")),
    )
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
    )
    op.create_table(
        "report",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("agreement", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('referrals', 'events')", name=op.f("ck_report_kind")),
        sa.ForeignKeyConstraint(["agreement"], ["proposal.digest"], name=op.f("fk_report_agreement_proposal")),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_report_partner_partner")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_report")),
        sa.UniqueConstraint("number", name=op.f("uq_report_number")),
    )
    op.create_index(op.f("ix_report_agreement"), "report", ["agreement"], unique=False)
    op.create_table(
        "statement",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("agreement", sa.String(length=64), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("total_salt", sa.String(length=64), nullable=False),
        sa.Column("anchor", sa.String(length=64), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('DRAFT', 'PROPOSED', 'DISPUTED', 'FINAL', 'PAID', 'ACKED', 'VOID', 'REVERSED')",
            name=op.f("ck_statement_state"),
        ),
        sa.ForeignKeyConstraint(["agreement"], ["proposal.digest"], name=op.f("fk_statement_agreement_proposal")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement")),
        sa.UniqueConstraint("anchor", name=op.f("uq_statement_anchor")),
        sa.UniqueConstraint("number", name=op.f("uq_statement_number")),
    )
    op.create_index(op.f("ix_statement_period"), "statement", ["period"], unique=False)
    op.create_index(
        "uq_statement_living",
        "statement",
        ["agreement", "period"],
        unique=True,
        sqlite_where=sa.text("NOT (state IN ('VOID', 'REVERSED'))"),
        postgresql_where=sa.text("NOT (state IN ('VOID', 'REVERSED'))"),
    )
    op.create_table(
        "chain_intent",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("transaction", sa.String(length=66), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('propose', 'finalise', 'dispute')", name=op.f("ck_chain_intent_kind")),
        sa.CheckConstraint("state IN ('OPEN', 'DONE', 'FAILED')", name=op.f("ck_chain_intent_state")),
        sa.ForeignKeyConstraint(["statement"], ["statement.id"], name=op.f("fk_chain_intent_statement_statement")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_chain_intent")),
        sa.UniqueConstraint("transaction", name=op.f("uq_chain_intent_transaction")),
    )
    op.create_index(
        "uq_chain_intent_nonce",
        "chain_intent",
        ["sender", "nonce"],
        unique=True,
        sqlite_where=sa.text("state <> 'FAILED'"),
        postgresql_where=sa.text("state <> 'FAILED'"),
    )
    op.create_index(
        "uq_chain_intent_step",
        "chain_intent",
        ["statement", "kind"],
        unique=True,
        sqlite_where=sa.text("state <> 'FAILED'"),
        postgresql_where=sa.text("state <> 'FAILED'"),
    )
    op.create_table(
        "confirmation",
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("signature", sa.String(length=132), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_confirmation_partner_partner")),
        sa.ForeignKeyConstraint(["statement"], ["statement.id"], name=op.f("fk_confirmation_statement_statement")),
        sa.PrimaryKeyConstraint("statement", "partner", name=op.f("pk_confirmation")),
    )
    op.create_table(
        "dispute",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_dispute_partner_partner")),
        sa.ForeignKeyConstraint(["statement"], ["statement.id"], name=op.f("fk_dispute_statement_statement")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_dispute")),
    )
    op.create_index(op.f("ix_dispute_statement"), "dispute", ["statement"], unique=False)
    op.create_table(
        "payment",
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.Column("end_to_end_id", sa.String(length=35), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file"], ["payment_file.digest"], name=op.f("fk_payment_file_payment_file")),
        sa.ForeignKeyConstraint(["statement"], ["statement.id"], name=op.f("fk_payment_statement_statement")),
        sa.PrimaryKeyConstraint("statement", name=op.f("pk_payment")),
        sa.UniqueConstraint("end_to_end_id", name=op.f("uq_payment_end_to_end_id")),
    )
    op.create_table(
        "referred",
        sa.Column("agreement", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("report", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["agreement"], ["proposal.digest"], name=op.f("fk_referred_agreement_proposal")),
        sa.ForeignKeyConstraint(["report"], ["report.digest"], name=op.f("fk_referred_report_report")),
        sa.PrimaryKeyConstraint("agreement", "token", name=op.f("pk_referred")),
    )
    op.create_table(
        "reported_event",
        sa.Column("agreement", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("report", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["agreement"], ["proposal.digest"], name=op.f("fk_reported_event_agreement_proposal")),
        sa.ForeignKeyConstraint(["report"], ["report.digest"], name=op.f("fk_reported_event_report_report")),
        sa.PrimaryKeyConstraint("agreement", "event", name=op.f("pk_reported_event")),
    )
    op.create_table(
        "statement_line",
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("line_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["statement"], ["statement.id"], name=op.f("fk_statement_line_statement_statement")),
        sa.PrimaryKeyConstraint("statement", "line_index", name=op.f("pk_statement_line")),
    )

    dialect = op.get_bind().dialect.name
    for table in GUARDED:
        for statement in triggers_settlement.triggers(dialect, table):
            op.execute(sa.text(statement.replace(":", r"\:")))


def downgrade() -> None:
    op.drop_table("statement_line")
    op.drop_table("reported_event")
    op.drop_table("referred")
    op.drop_table("payment")
    op.drop_index(op.f("ix_dispute_statement"), table_name="dispute")
    op.drop_table("dispute")
    op.drop_table("confirmation")
    op.drop_index(
        "uq_chain_intent_step",
        table_name="chain_intent",
        sqlite_where=sa.text("state <> 'FAILED'"),
        postgresql_where=sa.text("state <> 'FAILED'"),
    )
    op.drop_index(
        "uq_chain_intent_nonce",
        table_name="chain_intent",
        sqlite_where=sa.text("state <> 'FAILED'"),
        postgresql_where=sa.text("state <> 'FAILED'"),
    )
    op.drop_table("chain_intent")
    op.drop_index(
        "uq_statement_living",
        table_name="statement",
        sqlite_where=sa.text("NOT (state IN ('VOID', 'REVERSED'))"),
        postgresql_where=sa.text("NOT (state IN ('VOID', 'REVERSED'))"),
    )
    op.drop_index(op.f("ix_statement_period"), table_name="statement")
    op.drop_table("statement")
    op.drop_index(op.f("ix_report_agreement"), table_name="report")
    op.drop_table("report")
    op.drop_table("journal_transfer")
    op.drop_table("payment_file")
    op.drop_index(op.f("ix_journal_entry_subject"), table_name="journal_entry")
    op.drop_table("journal_entry")
