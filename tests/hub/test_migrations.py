"""The schema that the revisions build is the schema that the tables declare."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from hub import tables, triggers_settlement
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
    assert len(triggers_settlement.APPEND_ONLY) > 0
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
