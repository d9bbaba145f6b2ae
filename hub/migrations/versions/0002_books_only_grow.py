"""Triggers: what was reported, confirmed and booked can't be changed or removed

Revision ID: 0002
Revises: 0001
"""

from alembic import op

from hub.tables_settlement import APPEND_ONLY, triggers

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GUARDED = (*APPEND_ONLY, "journal_entry")


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    for table in GUARDED:
        for statement in triggers(dialect, table):
            op.execute(statement)


def downgrade() -> None:
    dialect = op.get_bind().dialect.name
    for table in GUARDED:
        for name in ("no_update", "no_delete", "once", "keep"):
            op.execute(f"DROP TRIGGER IF EXISTS {table}_{name}" + ("" if dialect == "sqlite" else f" ON {table}"))
    if dialect == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS ecohub_append_only()")
        op.execute("DROP FUNCTION IF EXISTS ecohub_entry_once()")
