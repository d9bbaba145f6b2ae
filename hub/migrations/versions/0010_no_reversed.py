"""No statement is REVERSED: what is wrong in a final one is an adjustment in the next, so no command ever led there."""

import sqlalchemy as sa
from alembic import op

from hub import triggers_settlement

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATES = ("DRAFT", "PROPOSED", "DISPUTED", "FINAL", "PAID", "ACKED", "VOID")
CHECK, INDEX = "ck_statement_state", "uq_statement_living"
# the triggers of the table, all made anew: their states are the program's
TRIGGERS = {
    "sqlite": ("statement_no_delete", "statement_keep", "statement_living_once", "statement_no_replace"),
    "postgresql": ("statement_keep", "statement_whole", "statement_once"),
}


def upgrade() -> None:
    _states(STATES, "state = 'VOID'")


def downgrade() -> None:
    _states((*STATES, "REVERSED"), "state IN ('VOID', 'REVERSED')")


def _states(states: tuple[str, ...], ended: str) -> None:
    """The same table with another check of its states, another index over those that live, and its triggers."""
    bind = op.get_bind()
    dialect, allowed = bind.dialect.name, f"state IN ({', '.join(map(repr, states))})"
    for name in TRIGGERS[dialect]:
        op.execute(f"DROP TRIGGER {name}" + (" ON statement" if dialect == "postgresql" else ""))
    op.drop_index(INDEX, table_name="statement")
    if dialect == "sqlite":
        _check_in_place(bind, allowed)
    else:
        op.drop_constraint(op.f(CHECK), "statement", type_="check")
        op.create_check_constraint(op.f(CHECK), "statement", allowed)
    living = sa.text(f"NOT ({ended})")
    columns = ["agreement", "period"]
    op.create_index(INDEX, "statement", columns, unique=True, sqlite_where=living, postgresql_where=living)
    for trigger in triggers_settlement.triggers(dialect, "statement"):
        bind.exec_driver_sql(trigger)


def _check_in_place(bind: sa.Connection, allowed: str) -> None:
    """SQLite changes no constraint, and the table can't be made anew while others refer to its rows.

    No row's bytes depend on a check, so its text may be replaced where the schema stands (SQLite, "ALTER TABLE",
    section 7). A row that the new one refuses ends the migration.
    """
    refused = bind.exec_driver_sql(f"SELECT count(*) FROM statement WHERE NOT ({allowed})").scalar()  # noqa: S608
    assert refused == 0, f"{refused} statements have a state that no command leads to"
    old = bind.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'statement'").scalar()
    before, found, rest = str(old).partition(f"CONSTRAINT {CHECK} CHECK (")
    assert found, "the table has the check that revision 0002 gave it"
    made = before + found + allowed + rest[rest.index("))") + 1 :]
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    bind.exec_driver_sql("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = 'statement'", (made,))
    bind.exec_driver_sql("PRAGMA writable_schema = RESET")
