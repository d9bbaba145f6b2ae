"""The store: one transaction a use case, retried, all or nothing. The same tests on SQLite and PostgreSQL."""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.records import Invite
from hub.store import PAGE_BYTES, Store, StoreBusy, StoreDamaged, StoreFull, StoreOutdated, Transaction, migrate
from privacy.ids import PartnerId
from tests.hub.ledgers import DIALECTS, database

NOW = datetime(2026, 10, 1, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=DIALECTS)  # without a server there is nothing to run on
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with database(request.param, tmp_path) as made:
        yield made


def invite(name: str) -> Invite:
    return Invite(
        code_hash=name.ljust(64, "0"), partner=PartnerId("bank"), created_at=NOW, expires_at=NOW + timedelta(days=1)
    )


def test_what_is_written_is_read_back_as_the_same_value(store: Store) -> None:
    store.run("add", lambda tx: tx.members.add_invite(invite("a")))
    found = store.read("get", lambda tx: tx.members.invite("a".ljust(64, "0")))
    assert found == invite("a")
    assert found is not None and found.created_at.tzinfo is UTC


def test_a_body_that_raises_leaves_nothing(store: Store) -> None:
    def body(tx: Transaction) -> None:
        tx.members.add_invite(invite("a"))
        raise ValueError("the rule said no")

    with pytest.raises(ValueError, match="the rule said no"):
        store.run("add", body)
    assert store.read("get", lambda tx: tx.members.invite("a".ljust(64, "0"))) is None


def test_signals_reach_the_listeners_only_after_the_commit_and_once(store: Store) -> None:
    seen: list[tuple[str, str]] = []
    store.subscribe(seen.append)

    def body(tx: Transaction) -> None:
        tx.signal("node", "bank")
        tx.signal("node", "bank")
        assert seen == []

    store.run("signal", body)
    assert seen == [("node", "bank")]

    def failing(tx: Transaction) -> None:
        tx.signal("node", "broker")
        raise ValueError("after the signal")

    with pytest.raises(ValueError, match="after the signal"):
        store.run("signal", failing)
    assert seen == [("node", "bank")]


def test_a_dry_run_does_the_real_transaction_and_leaves_nothing(store: Store) -> None:
    def body(tx: Transaction) -> bool:
        tx.members.add_invite(invite("a"))
        return tx.members.invite("a".ljust(64, "0")) is not None

    assert store.dry_run("add", body)
    assert store.read("get", lambda tx: tx.members.invite("a".ljust(64, "0"))) is None


def test_writers_at_once_lose_no_update(store: Store) -> None:
    """Sixteen threads each read the size of the log and append at it: no index is given twice."""
    from hub.audit import Log
    from privacy import seal

    log = Log("test", seal.SigningKey(b"\x01" * 32))
    busy = []

    def work(name: int) -> None:
        for i in range(4):
            done = False
            while not done:
                try:
                    store.run("append", lambda tx, i=i: log.append(tx, NOW, "test", f"{name}/{i}"))
                    done = True
                except StoreBusy:  # three attempts were not enough: the caller's own retry
                    busy.append(name)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leaves = store.read("leaves", lambda tx: tx.evidence.leaves())
    assert [leaf.index for leaf in leaves] == list(range(32))
    assert len({leaf.subject for leaf in leaves}) == 32


def test_a_body_is_tried_three_times_and_then_the_store_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    migrate(url)
    monkeypatch.setattr("hub.store.BUSY_MILLISECONDS", 10)
    store = Store(url)
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    calls = []
    with pytest.raises(StoreBusy):
        store.run("add", lambda tx: calls.append(1))
    assert calls == []  # the lock is taken before the body runs
    other.execute("COMMIT")
    store.run("add", lambda tx: tx.members.add_invite(invite("a")))
    other.close()
    store.close()


def test_a_short_lock_is_waited_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    migrate(url)
    store = Store(url)
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    timer.start()
    store.run("add", lambda tx: tx.members.add_invite(invite("a")))
    timer.join()
    other.close()
    store.close()


def test_readers_are_not_held_up_by_a_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    migrate(url)
    store = Store(url)
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.read("size", lambda tx: tx.evidence.size()) == 0
    other.execute("ROLLBACK")
    other.close()
    store.close()


def test_sqlite_is_configured_to_survive_power_loss(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/hub.db")
    store = Store(f"sqlite:///{tmp_path}/hub.db")
    with store.engine.connect() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")}
        keys = connection.execute(text("PRAGMA foreign_keys")).scalar()
    assert (found, keys) == ({"journal_mode": "wal", "synchronous": 2}, 1)
    store.close()


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/hub.db")
    store = Store(f"sqlite:///{tmp_path}/hub.db")

    def fill(tx: Transaction) -> None:
        # the pragma is the connection's own; the body runs on one
        connection = tx.session.connection()
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.execute(text(f"PRAGMA max_page_count={pages}"))
        for i in range(2000):
            tx.members.add_invite(invite(f"{i:060d}"))

    with pytest.raises(StoreFull):
        store.run("fill", fill)
    assert store.read("get", lambda tx: tx.members.invite("0" * 64)) is None
    store.close()


def test_a_damaged_page_fails_closed_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    migrate(f"sqlite:///{path}")
    with path.open("r+b") as file:
        file.seek(PAGE_BYTES * 3)
        file.write(b"\xff" * 600)
    store = Store(f"sqlite:///{path}")
    with pytest.raises(StoreDamaged):
        store.read("check", lambda tx: store.check())
    store.close()


def test_a_database_of_another_schema_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    migrate(f"sqlite:///{path}")
    store = Store(f"sqlite:///{path}")
    store.check()
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(StoreOutdated, match="ecohub hub migrate"):
        store.check()
    store.close()
