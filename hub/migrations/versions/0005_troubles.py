"""What went wrong at each partner of a horizontal run: `run_trouble`, the newest of each round."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_trouble",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partner", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=64), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["proposal.digest"], name=op.f("fk_run_trouble_job_proposal")),
        sa.PrimaryKeyConstraint("job", "round", "partner", name=op.f("pk_run_trouble")),
    )


def downgrade() -> None:
    op.drop_table("run_trouble")
