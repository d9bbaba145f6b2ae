"""The triggers that keep the tables of settlement: SQL for SQLite and PostgreSQL, below all of our code.

What only grows is neither changed, removed nor replaced; a statement keeps its content and follows its table of states.
The journal has its own (`hub.triggers_ledger`).
"""

from typing import Any

from sqlalchemy import Table

from revenue_share.statement import TRANSITIONS, State

APPEND_ONLY = ("report", "referred", "reported_event", "statement_line", "confirmation", "dispute")
GUARDED = (*APPEND_ONLY, "statement")
# the columns that name a row; whoever inserts such a row again would replace it
KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "report": (
        ("digest",),
        ("number",),
    ),
    "referred": (("agreement", "token"),),
    "reported_event": (("agreement", "event"),),
    "statement_line": (("statement", "line_index"),),
    "confirmation": (("statement", "partner"),),
    "dispute": (("digest",),),
    "statement": (
        ("anchor",),
        ("id",),
        ("number",),
    ),
}

_SQLITE_KEEP = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
_SQLITE_REPLACE = """
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})
BEGIN SELECT RAISE(ABORT, 'UNIQUE: {table} keeps its rows'); END
"""
_KEPT = ("id", "number", "agreement", "period", "body", "total_salt", "anchor", "created_at")
_ARROWS = ", ".join(f"'{old.value}>{new.value}'" for old in State for new in State if new in {old, *TRANSITIONS[old]})
_SQLITE_STATEMENT = (
    """
CREATE TRIGGER statement_no_delete BEFORE DELETE ON statement
BEGIN SELECT RAISE(ABORT, 'a statement keeps its content'); END
""",
    f"""
CREATE TRIGGER statement_keep BEFORE UPDATE ON statement
WHEN {" OR ".join(f"NEW.{name} <> OLD.{name}" for name in _KEPT)} OR OLD.state || '>' || NEW.state NOT IN ({_ARROWS})
BEGIN SELECT RAISE(ABORT, 'a statement keeps its content and follows its states'); END
""",
    """
CREATE TRIGGER statement_living_once BEFORE INSERT ON statement WHEN NEW.state <> 'VOID' AND EXISTS
  (SELECT 1 FROM statement
   WHERE agreement = NEW.agreement AND period = NEW.period AND state <> 'VOID')
BEGIN SELECT RAISE(ABORT, 'UNIQUE: a period keeps its living statement'); END
""",
)
_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION ecohub_append_only() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$ LANGUAGE plpgsql
"""
_POSTGRES_STATEMENT = (
    f"""
CREATE OR REPLACE FUNCTION ecohub_statement_keep() RETURNS trigger AS $$
BEGIN
  IF ({", ".join(f"NEW.{name}" for name in _KEPT)}) IS DISTINCT FROM ({", ".join(f"OLD.{name}" for name in _KEPT)})
     OR OLD.state || '>' || NEW.state NOT IN ({_ARROWS}) THEN
    RAISE EXCEPTION 'a statement keeps its content and follows its states';
  END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql
""",
    "CREATE TRIGGER statement_once BEFORE UPDATE ON statement FOR EACH ROW EXECUTE FUNCTION ecohub_statement_keep()",
)


def triggers(dialect: str, table: str) -> tuple[str, ...]:
    """The statements that guard one table, for its creation here and in migrations. dialect: "sqlite", "postgresql"."""
    if table not in GUARDED:
        return ()
    if table != "statement":
        return append_only(dialect, table, KEYS[table])
    if dialect == "sqlite":
        return (*_SQLITE_STATEMENT, no_replace(table, KEYS[table]))
    return (*append_only(dialect, table, KEYS[table], verbs="DELETE"), *_POSTGRES_STATEMENT)


def append_only(
    dialect: str, table: str, keys: tuple[tuple[str, ...], ...], verbs: str = "UPDATE OR DELETE"
) -> tuple[str, ...]:
    """The statements that let a table only grow. keys: the columns that name a row."""
    if dialect == "sqlite":
        kept = tuple(_SQLITE_KEEP.format(table=table, verb=verb) for verb in verbs.split(" OR "))
        return (*kept, no_replace(table, keys))
    return (
        _POSTGRES_FUNCTION,
        f"CREATE TRIGGER {table}_keep BEFORE {verbs} ON {table} FOR EACH ROW EXECUTE FUNCTION ecohub_append_only()",
        f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} EXECUTE FUNCTION ecohub_append_only()",
    )


def no_replace(table: str, keys: tuple[tuple[str, ...], ...]) -> str:
    """SQLite: INSERT OR REPLACE removes the old row without firing a DELETE trigger; here it is refused."""
    return _SQLITE_REPLACE.format(table=table, same=_same(keys))


def _same(keys: tuple[tuple[str, ...], ...]) -> str:
    """SQL: whether a row of the table has one of NEW's keys."""
    return " OR ".join("(" + " AND ".join(f"{name} = NEW.{name}" for name in key) + ")" for key in keys)


def guard(table: Table, connection: Any, **_: Any) -> None:
    """The listener that guards a table as it is created."""
    for statement in triggers(connection.dialect.name, table.name):
        connection.exec_driver_sql(statement)
