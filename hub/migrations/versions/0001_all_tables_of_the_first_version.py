"""All tables of the first version

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "block",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_block")),
    )
    op.create_table(
        "certificate",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "role IN ('node', 'operator', 'data', 'finance', 'regulator')", name=op.f("ck_certificate_role")
        ),
        sa.CheckConstraint("state IN ('ACTIVE', 'REVOKED')", name=op.f("ck_certificate_state")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_certificate")),
        sa.UniqueConstraint("serial", name=op.f("uq_certificate_serial")),
    )
    op.create_index(op.f("ix_certificate_name"), "certificate", ["name"], unique=False)
    op.create_table(
        "checkpoint",
        sa.Column("log", sa.String(length=16), nullable=False),
        sa.Column("size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("log IN ('audit', 'chain')", name=op.f("ck_checkpoint_log")),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "command",
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("reply_kind", sa.String(length=64), nullable=False),
        sa.Column("reply_head", sa.Text(), nullable=False),
        sa.Column("reply_body", sa.LargeBinary(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_command")),
    )
    op.create_table(
        "document",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("signer", sa.String(length=32), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", "signer", name=op.f("pk_document")),
    )
    op.create_index(op.f("ix_document_job"), "document", ["job"], unique=False)
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
        "leaf",
        sa.Column("leaf_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_leaf")),
    )
    op.create_table(
        "partner",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("signing", sa.String(length=64), nullable=False),
        sa.Column("sealing", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.String(length=42), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('ACTIVE', 'REVOKED')", name=op.f("ck_partner_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
    )
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
        "proposal",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("proposer", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('match', 'train', 'agreement')", name=op.f("ck_proposal_kind")),
        sa.CheckConstraint(
            "state IN ('PROPOSED', 'APPROVED', 'RUNNING', 'COMPLETED', 'REFUSED', 'EXPIRED', 'FAILED', 'CANCELLED')",
            name=op.f("ck_proposal_state"),
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_proposal")),
    )
    op.create_index(op.f("ix_proposal_state"), "proposal", ["state"], unique=False)
    op.create_table(
        "task",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.String(length=64), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("handled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bytes_down", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reply_head", sa.Text(), nullable=True),
        sa.Column("reply_body", sa.LargeBinary(), nullable=True),
        sa.Column("reply_digest", sa.String(length=64), nullable=True),
        sa.Column("bytes_up", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('OPEN', 'ANSWERED', 'FAILED', 'WITHDRAWN')", name=op.f("ck_task_state")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_task")),
        sa.UniqueConstraint("id", name=op.f("uq_task_id")),
    )
    op.create_index(op.f("ix_task_job"), "task", ["job"], unique=False)
    op.create_index(op.f("ix_task_node_state_number"), "task", ["node", "state", "number"], unique=False)
    op.create_table(
        "approval",
        sa.Column("proposal", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decision IN ('approve', 'refuse')", name=op.f("ck_approval_decision")),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_approval_partner_partner")),
        sa.ForeignKeyConstraint(["proposal"], ["proposal.digest"], name=op.f("fk_approval_proposal_proposal")),
        sa.PrimaryKeyConstraint("proposal", "partner", name=op.f("pk_approval")),
    )
    op.create_table(
        "asset",
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_asset_partner_partner")),
        sa.PrimaryKeyConstraint("partner", name=op.f("pk_asset")),
    )
    op.create_table(
        "cosignature",
        sa.Column("log", sa.String(length=16), nullable=False),
        sa.Column("size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partner.id"], name=op.f("fk_cosignature_partner_partner")),
        sa.PrimaryKeyConstraint("log", "size", "partner", name=op.f("pk_cosignature")),
    )
    op.create_table(
        "envelope",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("arrival", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["proposal.digest"], name=op.f("fk_envelope_job_proposal")),
        sa.PrimaryKeyConstraint("job", "sender", "recipient", "sequence", name=op.f("pk_envelope")),
    )
    op.create_table(
        "invite",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_key", sa.String(length=64), nullable=True),
        sa.Column("certificate", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["certificate"], ["certificate.fingerprint"], name=op.f("fk_invite_certificate_certificate")
        ),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_invite")),
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
    op.drop_table("invite")
    op.drop_table("envelope")
    op.drop_table("cosignature")
    op.drop_table("asset")
    op.drop_table("approval")
    op.drop_index(op.f("ix_task_node_state_number"), table_name="task")
    op.drop_index(op.f("ix_task_job"), table_name="task")
    op.drop_table("task")
    op.drop_index(op.f("ix_proposal_state"), table_name="proposal")
    op.drop_table("proposal")
    op.drop_table("payment_file")
    op.drop_table("partner")
    op.drop_table("leaf")
    op.drop_index(op.f("ix_journal_entry_subject"), table_name="journal_entry")
    op.drop_table("journal_entry")
    op.drop_index(op.f("ix_document_job"), table_name="document")
    op.drop_table("document")
    op.drop_table("command")
    op.drop_table("checkpoint")
    op.drop_index(op.f("ix_certificate_name"), table_name="certificate")
    op.drop_table("certificate")
    op.drop_table("block")
