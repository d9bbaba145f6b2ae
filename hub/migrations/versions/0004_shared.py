"""What a run asks all its nodes is kept once: `run_content`, named by the tasks that carry it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_content",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", "sha256", name=op.f("pk_run_content")),
    )
    op.add_column("task", sa.Column("content", sa.String(length=64), nullable=True))


def downgrade() -> None:
    # an open request would lose what it asks
    op.execute(
        "UPDATE task SET body = (SELECT body FROM run_content WHERE job = task.job AND sha256 = task.content) "
        "WHERE content IS NOT NULL AND state = 'OPEN'"
    )
    op.drop_column("task", "content")
    op.drop_table("run_content")
