"""The triggers that keep the tables of settlement: SQL for SQLite and PostgreSQL, below all of our code.

What only grows is neither changed, removed nor replaced; a journal entry is posted or voided once and takes no transfer
after; a statement keeps its content and follows its table of states.
"""

from typing import Any

from sqlalchemy import Table

from revenue_share.statement import TRANSITIONS, State

APPEND_ONLY = (
    *("report", "referred", "reported_event", "statement_line", "confirmation", "dispute"),
    *("journal_transfer", "payment_file", "payment"),
)
GUARDED = (*APPEND_ONLY, "journal_entry", "statement")
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
    "journal_transfer": (("entry", "transfer_index"),),
    "payment_file": (
        ("digest",),
        ("period", "number"),
    ),
    "payment": (
        ("end_to_end_id",),
        ("statement",),
    ),
    "journal_entry": (
        ("id",),
        ("number",),
        ("reverses",),
    ),
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
# INSERT OR REPLACE removes the old row without firing a DELETE trigger
_SQLITE_REPLACE = """
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})
BEGIN SELECT RAISE(ABORT, 'UNIQUE: {table} keeps its rows'); END
"""
_SQLITE_ENTRY = (
    """
CREATE TRIGGER journal_entry_no_delete BEFORE DELETE ON journal_entry
BEGIN SELECT RAISE(ABORT, 'journal_entry is append-only'); END
""",
    """
CREATE TRIGGER journal_entry_once BEFORE UPDATE ON journal_entry
WHEN OLD.state <> 'PENDING' OR NEW.id <> OLD.id OR NEW.subject <> OLD.subject OR NEW.memo <> OLD.memo
  OR NEW.number <> OLD.number OR NEW.reverses IS NOT OLD.reverses OR NEW.created_at <> OLD.created_at
BEGIN SELECT RAISE(ABORT, 'a journal entry is posted or voided once'); END
""",
)
_SQLITE_TRANSFER = """
CREATE TRIGGER journal_transfer_pending BEFORE INSERT ON journal_transfer
WHEN EXISTS (SELECT 1 FROM journal_entry WHERE id = NEW.entry AND state <> 'PENDING')
BEGIN SELECT RAISE(ABORT, 'a journal entry is posted or voided once'); END
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
CREATE TRIGGER statement_living_once BEFORE INSERT ON statement WHEN NEW.state NOT IN ('VOID', 'REVERSED') AND EXISTS
  (SELECT 1 FROM statement
   WHERE agreement = NEW.agreement AND period = NEW.period AND state NOT IN ('VOID', 'REVERSED'))
BEGIN SELECT RAISE(ABORT, 'UNIQUE: a period keeps its living statement'); END
""",
)
_POSTGRES_FUNCTIONS = (
    """
CREATE OR REPLACE FUNCTION ecohub_append_only() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$ LANGUAGE plpgsql
""",
    """
CREATE OR REPLACE FUNCTION ecohub_entry_once() RETURNS trigger AS $$
BEGIN
  IF OLD.state <> 'PENDING' OR (NEW.id, NEW.subject, NEW.memo, NEW.number, NEW.reverses, NEW.created_at)
     IS DISTINCT FROM (OLD.id, OLD.subject, OLD.memo, OLD.number, OLD.reverses, OLD.created_at) THEN
    RAISE EXCEPTION 'a journal entry is posted or voided once';
  END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql
""",
)
_POSTGRES_TRANSFER = (
    """
CREATE OR REPLACE FUNCTION ecohub_entry_open() RETURNS trigger AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM journal_entry WHERE id = NEW.entry AND state <> 'PENDING') THEN
    RAISE EXCEPTION 'a journal entry is posted or voided once';
  END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql
""",
    "CREATE TRIGGER journal_transfer_pending BEFORE INSERT ON journal_transfer "
    "FOR EACH ROW EXECUTE FUNCTION ecohub_entry_open()",
)
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
    "CREATE TRIGGER statement_keep BEFORE DELETE ON statement FOR EACH ROW EXECUTE FUNCTION ecohub_append_only()",
)


def triggers(dialect: str, table: str) -> tuple[str, ...]:
    """The statements that guard one table, for its creation here and in migrations. dialect: "sqlite", "postgresql"."""
    if table not in GUARDED:
        return ()
    if dialect == "sqlite":
        own = {"journal_entry": _SQLITE_ENTRY, "statement": _SQLITE_STATEMENT}.get(table)
        if own is None:
            own = tuple(_SQLITE_KEEP.format(table=table, verb=verb) for verb in ("UPDATE", "DELETE"))
        pending = (_SQLITE_TRANSFER,) if table == "journal_transfer" else ()
        return (*own, *pending, _SQLITE_REPLACE.format(table=table, same=_same(table)))
    if table == "statement":
        return (_POSTGRES_FUNCTIONS[0], *_POSTGRES_STATEMENT)
    if table == "journal_entry":
        return (
            *_POSTGRES_FUNCTIONS,
            f"CREATE TRIGGER {table}_keep BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION ecohub_append_only()",
            f"CREATE TRIGGER {table}_once BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION ecohub_entry_once()",
        )
    return (
        _POSTGRES_FUNCTIONS[0],
        f"CREATE TRIGGER {table}_keep BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION ecohub_append_only()",
        *(_POSTGRES_TRANSFER if table == "journal_transfer" else ()),
    )


def _same(table: str) -> str:
    """SQL: whether a row of the table has one of NEW's keys."""
    return " OR ".join("(" + " AND ".join(f"{name} = NEW.{name}" for name in key) + ")" for key in KEYS[table])


def guard(table: Table, connection: Any, **_: Any) -> None:
    """The listener that guards a table as it is created."""
    for statement in triggers(connection.dialect.name, table.name):
        connection.exec_driver_sql(statement)
