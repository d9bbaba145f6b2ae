"""The triggers that keep payment details, orders, bank files, entries and matches: SQL for SQLite and PostgreSQL.

Nothing is removed or replaced. A row's content stays; its state goes along its arrows only; what is set once (the match
of an order or an entry, the commitment of a payment) is never set anew. That two people stand behind a decision is a
constraint of the tables.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from hub.triggers_settlement import append_only


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """`keys`: columns that name a row; `kept`: never change; `once`: set once; `arrows`: of the column state."""

    keys: tuple[tuple[str, ...], ...]
    kept: tuple[str, ...]
    once: tuple[str, ...] = ()
    arrows: tuple[tuple[str, str], ...] = ()


GUARDS: dict[str, Guard] = {
    "payment_details": Guard(
        keys=(("digest",), ("number",)),
        kept=("digest", "number", "partner", "currency", "body", "proposed_by", "proposed_at"),
        once=("decided_by", "decided_at"),
        arrows=(("PROPOSED", "ACTIVE"), ("PROPOSED", "REFUSED"), ("ACTIVE", "REPLACED")),
    ),
    "payment_order": Guard(
        keys=(("end_to_end_id",), ("statement", "attempt")),
        kept=(
            *("end_to_end_id", "statement", "attempt", "file", "creditor", "currency", "amount_minor", "due"),
            *("account", "counterparty", "name", "details"),
        ),
        once=("settled_by", "ended_by", "payout", "payout_salt"),
        arrows=(("ORDERED", "SETTLED"), ("ORDERED", "RELEASED"), ("SETTLED", "RETURNED")),
    ),
    "payment_file": Guard(
        keys=(("digest",), ("period", "number")), kept=("digest", "period", "number", "data", "created_at", "format")
    ),
    "bank_file": Guard(
        keys=(("digest",), ("number",)),
        kept=("digest", "number", "format", "account", "summary", "data", "imported_by", "imported_at"),
    ),
    "bank_entry": Guard(
        keys=(("id",), ("number",), ("suspended_by",), ("cleared_by",)),
        kept=("id", "number", "file", "row", "account", "body"),
        once=("settled_by", "suspended_by", "cleared_by"),
    ),
    "bank_match": Guard(
        keys=(("id",), ("number",)),
        kept=("id", "number", "kind", "rule", "body", "proposed_by", "proposed_at"),
        once=("decided_by", "decided_at"),
        arrows=(("PROPOSED", "APPROVED"), ("PROPOSED", "REFUSED")),
    ),
}


def triggers(dialect: str, table: str, rules: Guard) -> tuple[str, ...]:
    """The statements that guard one table by its rules. dialect: "sqlite", "postgresql"."""
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    changed = [f"NEW.{name} {differs} OLD.{name}" for name in rules.kept]
    changed += [f"(OLD.{name} IS NOT NULL AND NEW.{name} {differs} OLD.{name})" for name in rules.once]
    if rules.arrows:
        legal = ", ".join(f"'{old}>{new}'" for old, new in rules.arrows)
        changed.append(f"(NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN ({legal}))")
    condition, message = " OR ".join(changed), f"{table} keeps its content and follows its states"
    if dialect == "sqlite":
        update = f"CREATE TRIGGER {table}_content BEFORE UPDATE ON {table} WHEN {condition} "
        update += f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        return (*append_only(dialect, table, rules.keys, verbs="DELETE"), update)
    function = (
        f"CREATE OR REPLACE FUNCTION ecohub_{table}_content() RETURNS trigger AS $$ BEGIN IF {condition} THEN "
        f"RAISE EXCEPTION '{message}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
    )
    update = f"CREATE TRIGGER {table}_content BEFORE UPDATE ON {table} "
    update += f"FOR EACH ROW EXECUTE FUNCTION ecohub_{table}_content()"
    return (*append_only(dialect, table, rules.keys, verbs="DELETE"), function, update)


def guard(table: Table, connection: Any, **_: Any) -> None:
    """The listener that guards a table as it is created."""
    for statement in triggers(connection.dialect.name, table.name, GUARDS[table.name]):
        connection.exec_driver_sql(statement)
