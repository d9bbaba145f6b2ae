"""Identities, jobs, requests, evidence."""

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


def downgrade() -> None:
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
    op.drop_table("partner")
    op.drop_table("leaf")
    op.drop_index(op.f("ix_document_job"), table_name="document")
    op.drop_table("document")
    op.drop_table("command")
    op.drop_table("checkpoint")
    op.drop_index(op.f("ix_certificate_name"), table_name="certificate")
    op.drop_table("certificate")
    op.drop_table("block")
