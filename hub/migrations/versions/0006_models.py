"""The model registry: `model` and every `model_step`."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WHOLE = "state = 'RELEASED' AND share_ppm = 1000000"
PART = "state = 'RELEASED' AND share_ppm < 1000000"


def upgrade() -> None:
    op.create_table(
        "model",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("share_ppm", sa.Integer(), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("label_holder", sa.String(length=32), nullable=False),
        sa.Column("registration", sa.String(length=64), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('REGISTERED', 'RELEASED', 'RETIRED')", name=op.f("ck_model_state")),
        sa.CheckConstraint("share_ppm >= 0 AND share_ppm <= 1000000", name=op.f("ck_model_share")),
        sa.CheckConstraint("(state = 'RELEASED') = (share_ppm > 0)", name=op.f("ck_model_serving")),
        sa.ForeignKeyConstraint(["job"], ["proposal.digest"], name=op.f("fk_model_job_proposal")),
        sa.ForeignKeyConstraint(["label_holder"], ["partner.id"], name=op.f("fk_model_label_holder_partner")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_model")),
        sa.UniqueConstraint("name", "number", name=op.f("uq_model_name_number")),
    )
    for name, where in (("uq_model_whole", WHOLE), ("uq_model_part", PART)):
        op.create_index(
            name, "model", ["name"], unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
    op.create_table(
        "model_step",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "action IN ('register', 'release', 'raise', 'rollback', 'retire', 'block')",
            name=op.f("ck_model_step_action"),
        ),
        sa.ForeignKeyConstraint(["job"], ["model.job"], name=op.f("fk_model_step_job_model")),
        sa.PrimaryKeyConstraint("name", "number", name=op.f("pk_model_step")),
    )
    op.create_index(op.f("ix_model_step_job"), "model_step", ["job"], unique=False)


def downgrade() -> None:
    op.drop_table("model_step")
    op.drop_table("model")
