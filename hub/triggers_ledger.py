"""The triggers that keep the journal: SQL for SQLite and PostgreSQL.

An entry begins pending in a period that is not locked, is posted or voided once, keeps everything else, and takes no
transfer after. What is posted has a transfer; a reversal takes back exactly what was posted. Periods are locked in
their order, once nothing in them is pending, and never opened again. Nothing is removed or replaced.
"""

from typing import Any

from sqlalchemy import Table

from hub.triggers_settlement import append_only

# the columns that name a row; whoever inserts such a row again would replace it
KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "account": (("name", "asset"),),
    "period_lock": (("period",),),
    "journal_entry": (("id",), ("number",), ("reverses",)),
    "journal_transfer": (("entry", "transfer_index"),),
}
_KEPT = ("id", "number", "subject", "memo", "period", "created_at")

_LOCKED = "EXISTS (SELECT 1 FROM period_lock WHERE period >= NEW.period)"
_PENDING = "EXISTS (SELECT 1 FROM journal_entry WHERE state = 'PENDING' AND period <= NEW.period)"
_DECIDED = "EXISTS (SELECT 1 FROM journal_entry WHERE id = NEW.entry AND state <> 'PENDING')"
_EMPTY = "NOT EXISTS (SELECT 1 FROM journal_transfer WHERE entry = NEW.id)"
# the reversed entry is posted, and the two have the same number of transfers, each with its sides swapped
_NOT_MIRRORED = """NEW.reverses IS NOT NULL AND (
  NOT EXISTS (SELECT 1 FROM journal_entry WHERE id = NEW.reverses AND state = 'POSTED')
  OR (SELECT count(*) FROM journal_transfer WHERE entry = NEW.reverses)
     <> (SELECT count(*) FROM journal_transfer WHERE entry = NEW.id)
  OR EXISTS (
    SELECT 1 FROM journal_transfer one WHERE one.entry = NEW.reverses AND NOT EXISTS (
      SELECT 1 FROM journal_transfer other WHERE other.entry = NEW.id AND other.transfer_index = one.transfer_index
        AND other.debit = one.credit AND other.credit = one.debit AND other.asset = one.asset
        AND other.amount_minor = one.amount_minor)))"""

ONCE = "a journal entry is posted or voided once"
LOCKED = "the period is locked"
# what refuses an inserted or updated row: (condition on NEW, message)
_NEW_ENTRY = (("NEW.state <> 'PENDING'", "a journal entry begins pending"), (_LOCKED, LOCKED))
_POSTED_ENTRY = (
    (_LOCKED, LOCKED),
    (_EMPTY, "an entry without a transfer is not posted"),
    (_NOT_MIRRORED, "a reversal takes back exactly what was posted"),
)
_NEW_LOCK = (
    (_LOCKED, "periods are locked in their order"),
    (_PENDING, "a period with pending entries is not locked"),
)


def _sqlite_refuse(table: str, name: str, when: str, condition: str, message: str) -> str:
    return (
        f"CREATE TRIGGER {table}_{name} BEFORE {when} ON {table} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _sqlite(table: str) -> tuple[str, ...]:
    if table == "journal_entry":
        made = list(append_only("sqlite", table, KEYS[table], verbs="DELETE"))
        changed = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _KEPT)
        twice = f"OLD.state <> 'PENDING' OR NEW.reverses IS NOT OLD.reverses OR {changed}"
        made.append(_sqlite_refuse(table, "once", "UPDATE", twice, ONCE))
        for number, (condition, message) in enumerate(_NEW_ENTRY):
            made.append(_sqlite_refuse(table, f"begins_{number}", "INSERT", condition, message))
        for number, (condition, message) in enumerate(_POSTED_ENTRY):
            posting = f"NEW.state = 'POSTED' AND {condition}"
            made.append(_sqlite_refuse(table, f"posted_{number}", "UPDATE", posting, message))
        return tuple(made)
    made = list(append_only("sqlite", table, KEYS[table]))
    if table == "journal_transfer":
        made.append(_sqlite_refuse(table, "pending", "INSERT", _DECIDED, ONCE))
    if table == "period_lock":
        for number, (condition, message) in enumerate(_NEW_LOCK):
            made.append(_sqlite_refuse(table, f"order_{number}", "INSERT", condition, message))
    return tuple(made)


def _raise(condition: str, message: str) -> str:
    return f"IF {condition} THEN RAISE EXCEPTION '{message}'; END IF;"


def _postgres_guard(table: str, name: str, when: str, body: str) -> tuple[str, str]:
    """A function and the trigger that calls it for each row."""
    return (
        f"CREATE OR REPLACE FUNCTION ecohub_{table}_{name}() RETURNS trigger AS $$ "
        f"BEGIN {body} RETURN NEW; END $$ LANGUAGE plpgsql",
        f"CREATE TRIGGER {table}_{name} BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION ecohub_{table}_{name}()",
    )


def _postgres(table: str) -> tuple[str, ...]:
    if table == "journal_entry":
        old, new = (", ".join(f"{row}.{name}" for name in (*_KEPT, "reverses")) for row in ("OLD", "NEW"))
        twice = _raise(f"OLD.state <> 'PENDING' OR ({new}) IS DISTINCT FROM ({old})", ONCE)
        posted = " ".join(_raise(f"NEW.state = 'POSTED' AND {condition}", why) for condition, why in _POSTED_ENTRY)
        begins = " ".join(_raise(condition, message) for condition, message in _NEW_ENTRY)
        return (
            *append_only("postgresql", table, KEYS[table], verbs="DELETE"),
            *_postgres_guard(table, "once", "UPDATE", f"{twice} {posted}"),
            *_postgres_guard(table, "begins", "INSERT", begins),
        )
    made = append_only("postgresql", table, KEYS[table])
    if table == "journal_transfer":
        return (*made, *_postgres_guard(table, "pending", "INSERT", _raise(_DECIDED, ONCE)))
    if table == "period_lock":
        body = " ".join(_raise(condition, message) for condition, message in _NEW_LOCK)
        return (*made, *_postgres_guard(table, "order", "INSERT", body))
    return made


def triggers(dialect: str, table: str) -> tuple[str, ...]:
    """The statements that guard one table of the journal. dialect: "sqlite", "postgresql"."""
    return _sqlite(table) if dialect == "sqlite" else _postgres(table)


def guard(table: Table, connection: Any, **_: Any) -> None:
    """The listener that guards a table as it is created."""
    for statement in triggers(connection.dialect.name, table.name):
        connection.exec_driver_sql(statement)
