"""Runs that pause and go on: the state PAUSED; a horizontal run's newest checkpoint, decisions and finished rounds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = "digest, kind, body, proposer, state, reason, progress, created_at, expires_at, started_at, ended_at"
STATES = ("PROPOSED", "APPROVED", "RUNNING", "COMPLETED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED")
STATES_NOW = ("PROPOSED", "APPROVED", "RUNNING", "PAUSED", "COMPLETED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED")


def upgrade() -> None:
    _states(STATES_NOW)
    op.create_table(
        "run_checkpoint",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["proposal.digest"], name=op.f("fk_run_checkpoint_job_proposal")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_run_checkpoint")),
    )
    op.create_table(
        "run_decision",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["proposal.digest"], name=op.f("fk_run_decision_job_proposal")),
        sa.PrimaryKeyConstraint("job", "name", name=op.f("pk_run_decision")),
    )
    op.create_table(
        "run_round",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["proposal.digest"], name=op.f("fk_run_round_job_proposal")),
        sa.PrimaryKeyConstraint("job", "round", name=op.f("pk_run_round")),
    )


def downgrade() -> None:
    op.drop_table("run_round")
    op.drop_table("run_decision")
    op.drop_table("run_checkpoint")
    # a schema without pauses has no way to go on with one
    op.execute("UPDATE proposal SET state = 'FAILED' WHERE state = 'PAUSED'")
    _states(STATES)


def _states(allowed: tuple[str, ...]) -> None:
    """Another set of states. SQLite changes no check in place: the table is made again around its rows."""
    check = "state IN (" + ", ".join(f"'{state}'" for state in allowed) + ")"
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_proposal_state"), "proposal", type_="check")
        op.create_check_constraint(op.f("ck_proposal_state"), "proposal", check)
        return
    # rows of other tables name these rows: what is missing in between is only looked at when the revision commits
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TEMPORARY TABLE proposal_kept AS SELECT {COLUMNS} FROM proposal")  # noqa: S608
    op.drop_index(op.f("ix_proposal_state"), table_name="proposal")
    op.drop_table("proposal")
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
        sa.CheckConstraint(check, name=op.f("ck_proposal_state")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_proposal")),
    )
    op.execute(f"INSERT INTO proposal ({COLUMNS}) SELECT {COLUMNS} FROM proposal_kept")  # noqa: S608
    op.execute("DROP TABLE proposal_kept")
    op.create_index(op.f("ix_proposal_state"), "proposal", ["state"], unique=False)
