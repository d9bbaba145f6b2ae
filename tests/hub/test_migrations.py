"""The schema that the revisions build is the schema that the tables declare."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from hub import tables, triggers_ledger, triggers_settlement
from hub.store import Store, _alembic, migrate


def test_the_revisions_build_exactly_the_declared_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    migrate(url)
    store = Store(url)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.Base.metadata) == []
    store.close()


def test_every_check_and_trigger_of_the_tables_is_in_the_migrated_database(tmp_path: Path) -> None:
    """Alembic compares neither checks nor triggers: here the two databases' own SQL is compared."""
    migrate(f"sqlite:///{tmp_path}/migrated.db")
    migrated, declared = Store(f"sqlite:///{tmp_path}/migrated.db"), Store(f"sqlite:///{tmp_path}/declared.db")
    with declared.engine.begin() as connection:
        tables.Base.metadata.create_all(connection)

    def constraints(store: Store) -> set[tuple[str, str, str]]:
        found = set()
        with store.engine.connect() as connection:
            inspector = inspect(connection)
            for table in tables.Base.metadata.tables:
                for check in inspector.get_check_constraints(table):
                    found.add((table, str(check["name"]), " ".join(check["sqltext"].split())))
            for name, sql in connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")):
                found.add(("trigger", name, " ".join(sql.split())))
        return found

    assert constraints(migrated) == constraints(declared)
    assert any(row[0] == "trigger" for row in constraints(migrated))
    names = {name for kind, name, _ in constraints(migrated) if kind == "trigger"}
    assert {f"{table}_no_replace" for table in (*triggers_settlement.GUARDED, *triggers_ledger.KEYS)} <= names
    migrated.close()
    declared.close()


def test_migrating_twice_changes_nothing_and_downgrading_leaves_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    migrate(url)
    migrate(url)
    store = Store(url)
    with store.engine.begin() as connection:
        command.downgrade(_alembic(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    store.close()


def standing_at(path: Path, revision: str) -> Store:
    """A database as the program of this revision left it."""
    store = Store(f"sqlite:///{path}")
    with store.engine.begin() as connection:
        command.upgrade(_alembic(connection), revision)
    return store


def test_entries_of_before_get_the_period_of_their_statement_and_the_account_of_the_chart(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = standing_at(path, "0006")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(
            "INSERT INTO statement (id, number, agreement, period, state, body, total_salt, anchor, created_at, "
            "changed_at) VALUES ('s', 1, 'a', '2026-10', 'FINAL', '{}', '', 'x', '2026-11-01', '2026-11-01')"
        )
        for number, (state, reverses) in enumerate((("POSTED", None), ("VOIDED", None), ("POSTED", "e0"))):
            raw.execute(
                "INSERT INTO journal_entry VALUES (?, ?, 's', 'm', 'PENDING', ?, '2026-11-01', NULL)",
                (f"e{number}", number + 1, reverses),
            )
            raw.execute(
                "INSERT INTO journal_transfer VALUES (?, 0, 'expense:revenue_share', 'liability:payable:p', 'CNY', 5)",
                (f"e{number}",),
            )
            raw.execute(
                "UPDATE journal_entry SET state = ?, decided_at = '2026-11-05' WHERE id = ?", (state, f"e{number}")
            )

    def rows() -> list[object]:
        with closing(sqlite3.connect(path)) as raw:
            return raw.execute("SELECT id, state, period FROM journal_entry ORDER BY number").fetchall()

    migrate(store.url)
    assert rows() == [("e0", "POSTED", "2026-10"), ("e1", "VOIDED", "2026-10"), ("e2", "POSTED", "2026-10")]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT DISTINCT debit, credit, asset, amount_minor FROM journal_transfer").fetchall() == [
            ("expense:partner_share", "liability:payable:p", "CNY", 5)
        ]
        assert raw.execute("SELECT name FROM account ORDER BY name").fetchall() == [
            ("expense:partner_share",),
            ("liability:payable:p",),
        ]
    with store.engine.begin() as connection:
        command.downgrade(_alembic(connection), "0006")
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM journal_transfer").fetchone() == (3,)
        assert raw.execute("SELECT state FROM journal_entry ORDER BY number").fetchall()[1] == ("VOIDED",)
    store.close()


def test_payments_of_before_are_the_first_orders_of_their_statements(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = standing_at(path, "0007")
    body = '{"currency":"HKD","referrer":"platform-a"}'
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO partner VALUES ('platform-a', 'A', '', '', '', '', 'ACTIVE', '2026-10-01')")
        raw.execute("INSERT INTO payment_file VALUES ('f', '2026-10', 1, x'00', '2026-11-05 08:00:00')")
        for number, state in enumerate(("FINAL", "PAID")):
            raw.execute(
                "INSERT INTO statement (id, number, agreement, period, state, body, total_salt, anchor, created_at, "
                f"changed_at) VALUES ('s{number}', {number}, 'a{number}', '2026-10', '{state}', '{body}', '', "
                f"'x{number}', '2026-11-01', '2026-11-01')"
            )
            raw.execute(f"INSERT INTO payment VALUES ('s{number}', 'f', 'e{number}', {number + 5})")
    with store.engine.begin() as connection:
        command.upgrade(_alembic(connection), "0008")
        rows = connection.execute(
            text(
                "SELECT end_to_end_id, statement, attempt, creditor, currency, amount_minor, due, state "
                "FROM payment_order"
            )
        ).all()
        files = connection.execute(text("SELECT digest, format FROM payment_file")).all()
    assert [tuple(row) for row in rows] == [
        ("e0", "s0", 1, "platform-a", "HKD", 5, "2026-11-05", "ORDERED"),
        ("e1", "s1", 1, "platform-a", "HKD", 6, "2026-11-05", "SETTLED"),
    ]
    assert [tuple(row) for row in files] == [("f", "csv")]
    with store.engine.begin() as connection:
        command.downgrade(_alembic(connection), "0007")
        assert connection.execute(text("SELECT count(*) FROM payment")).scalar() == 2
    store.close()


def test_a_state_that_no_command_leads_to_is_refused_by_databases_of_before_too(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = standing_at(path, "0009")
    insert = (
        "INSERT INTO statement (id, number, agreement, period, state, body, total_salt, anchor, created_at, "
        "changed_at) VALUES ('s{0}', {0}, 'a{0}', '2026-10', '{1}', '{{}}', '', 'x{0}', '2026-11-01', '2026-11-01')"
    )
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(insert.format(1, "FINAL"))
    migrate(store.url)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT id, state FROM statement").fetchall() == [("s1", "FINAL")]
        with pytest.raises(sqlite3.IntegrityError, match="ck_statement_state"):
            raw.execute(insert.format(2, "REVERSED"))
        with pytest.raises(sqlite3.IntegrityError, match="follows its states"):
            raw.execute("UPDATE statement SET state = 'VOID'")
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_bank_entries_of_before_keep_their_content_and_stand_in_no_suspense(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = standing_at(path, "0011")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO bank_file VALUES ('f', 1, 'csv', 'A', '{}', x'00', 'fei', '2026-11-12')")
        raw.execute(
            "INSERT INTO bank_match (id, number, kind, rule, state, body, proposed_by, proposed_at) "
            "VALUES ('m', 1, 'PAID', 'REFERENCE', 'APPROVED', '{}', 'fei', '2026-11-12')"
        )
        for number, match in ((1, "m"), (2, None)):
            raw.execute("INSERT INTO bank_entry VALUES (?, ?, 'f', ?, 'A', '{}', ?)", (f"e{number}", number, 1, match))
        raw.execute("INSERT INTO account VALUES ('liability:payable:p', 'CNY')")
        raw.execute("INSERT INTO account VALUES ('asset:bank:transfer', 'CNY')")
        entry = "('j', 1, 'm', 'm', '2026-11', 'PENDING', NULL, '2026-11-12', NULL)"
        raw.execute(
            "INSERT INTO journal_entry (id, number, subject, memo, period, state, reverses, created_at, decided_at) "
            f"VALUES {entry}"
        )
        raw.execute(
            "INSERT INTO journal_transfer VALUES ('j', 0, 'liability:payable:p', 'asset:bank:transfer', 'CNY', 5)"
        )
        raw.execute("UPDATE journal_entry SET state = 'POSTED', decided_at = '2026-11-12'")

    def rows(table: str, columns: str = "*") -> list[object]:
        with closing(sqlite3.connect(path)) as raw:
            return raw.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()

    before = {name: rows(name) for name in ("bank_entry", "account", "journal_transfer", "journal_entry")}
    migrate(store.url)
    kept = "id, number, file, row, account, body, settled_by"
    assert rows("bank_entry", kept) == before["bank_entry"]
    assert rows("bank_entry", "suspended_by, cleared_by") == [(None, None)] * 2
    with store.engine.begin() as connection:
        command.downgrade(_alembic(connection), "0011")
    assert {name: rows(name) for name in before} == before
    migrate(store.url)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE bank_entry SET suspended_by = 'j' WHERE id = 'e2'")
    with pytest.raises(AssertionError, match="stood in suspense"), store.engine.begin() as connection:
        command.downgrade(_alembic(connection), "0011")
    assert rows("bank_entry", "suspended_by") == [(None,), ("j",)]
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO account VALUES ('expense:bank_charges', 'CNY')")
    with pytest.raises(AssertionError, match="can't go back"), store.engine.begin() as connection:
        command.downgrade(_alembic(connection), "0011")
    assert len(rows("account")) == 3
    store.close()
