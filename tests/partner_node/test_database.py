"""The node's database: a file of the first schema is brought to this one, a newer one is left alone."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import inspect

from partner_node import store, wiring
from partner_node.database import Database
from partner_node.errors import StoreOtherVersion
from partner_node.tables import SCHEMA_VERSION, Base

SCHEMA_1 = Path(__file__).parent / "data" / "schema_1.sql"  # as the first release created it


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A database of schema 1 with a checkpoint that this node co-signed and a consent."""
    path = tmp_path / "node.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA_1.read_text())
        connection.execute("INSERT INTO schema VALUES (1, 1)")
        connection.execute("INSERT INTO peer VALUES ('bank', x'7b7d', '2026-10-01T08:00:00+00:00')")
        connection.execute("INSERT INTO consent VALUES (x'01', 'profile', '2027-01-01T00:00:00+00:00', NULL)")
    connection.close()
    return path


def described(path: Path) -> dict[str, object]:
    """Every table with its columns and constraints, and the schema's version."""
    connection = sqlite3.connect(path)
    tables = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    (version,) = connection.execute("SELECT version FROM schema").fetchone()
    connection.close()
    return {"version": version, **tables}


def test_a_database_of_the_first_release_gets_the_new_tables_and_keeps_its_rows(first: Path, tmp_path: Path) -> None:
    database = Database(first)
    assert database.read(store.peers) == ["bank"]
    database.close()
    Database(tmp_path / "new.db").close()
    assert described(first) == described(tmp_path / "new.db")
    connection = sqlite3.connect(first)
    assert connection.execute("SELECT purpose FROM consent").fetchall() == [("profile",)]
    connection.close()


def test_opening_again_changes_nothing(first: Path) -> None:
    Database(first).close()
    before = described(first)
    Database(first).close()
    assert described(first) == before
    assert before["version"] == SCHEMA_VERSION


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
def test_an_unknown_schema_is_left_alone(first: Path, version: int) -> None:
    with sqlite3.connect(first) as connection:
        connection.execute("UPDATE schema SET version = ?", (version,))
    connection.close()
    before = described(first)
    with pytest.raises(StoreOtherVersion):
        Database(first)
    assert described(first) == before


def test_a_step_that_fails_leaves_the_first_schema(first: Path) -> None:
    with sqlite3.connect(first) as connection:
        connection.execute("CREATE TABLE privacy_release (other TEXT)")
    connection.close()
    before = described(first)
    with pytest.raises(Exception, match="privacy_release"):
        Database(first)
    assert described(first) == before


def test_a_new_database_has_every_table(tmp_path: Path) -> None:
    assert wiring.Settlement, "the settlement's tables are declared"
    database = Database(tmp_path / "node.db")
    found = database.read(lambda session: set(inspect(session.connection()).get_table_names()))
    database.close()
    assert found == set(Base.metadata.tables)
