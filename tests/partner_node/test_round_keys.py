"""The SQL key store of horizontal runs: a mapping that changes only with its transaction and forgets for good."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from partner_node import round_keys, sessions
from partner_node.database import Database
from partner_node.round_keys import RoundKeys
from privacy.ids import Digest

JOB, OTHER = Digest("aa" * 32), Digest("bb" * 32)
OWN, SHARE = "own/1.0", "share/1.0/bank"
NAMES = {"own": OWN, "share": SHARE}
NOW = "2026-10-01T08:00:00+00:00"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(path)
    yield opened
    opened.close()


def stored(database: Database, job: Digest = JOB) -> dict[str, bytes]:
    return dict(RoundKeys(database, job))


def put(database: Database, **values: bytes) -> None:
    """Store these values; "own" and "share" are names of secrets."""
    keys = RoundKeys(database, JOB)
    keys.update({NAMES.get(name, name): value for name, value in values.items()})
    database.write("test", keys.flush)


def files(path: Path) -> bytes:
    """The database file and what lies beside it: write-ahead log and its index."""
    return b"".join(item.read_bytes() for item in path.parent.iterdir() if item.name.startswith(path.name))


def test_it_is_a_mapping(database: Database) -> None:
    put(database, b=b"1", a=b"2")
    keys = RoundKeys(database, JOB)
    keys["c"] = b"3"
    del keys["b"]
    assert list(keys) == ["a", "c"]
    assert len(keys) == 2
    assert "b" not in keys
    assert keys.get("b") is None
    assert keys.pop("a") == b"2"
    with pytest.raises(KeyError):
        keys["a"]
    with pytest.raises(KeyError):
        del keys["a"]
    keys["a"] = b"again"
    assert dict(keys) == {"a": b"again", "c": b"3"}
    for name in keys:
        del keys[name]
    assert not keys


def test_nothing_is_stored_before_the_flush(database: Database) -> None:
    put(database, a=b"1")
    keys = RoundKeys(database, JOB)
    keys["b"] = b"2"
    del keys["a"]
    assert stored(database) == {"a": b"1"}
    keys.keep_only()
    assert dict(keys) == {"a": b"1"}
    database.write("test", keys.flush)
    assert stored(database) == {"a": b"1"}


def test_only_what_is_named_is_kept_of_the_changes(database: Database) -> None:
    put(database, latest=b"1", own=b"secret")
    keys = RoundKeys(database, JOB)
    keys["latest"], keys["given/2.0"], keys["uploaded/2.0"] = b"2", b"input", b"header"
    del keys[OWN]
    keys.keep_only(("given/", "latest"))
    database.write("test", keys.flush)
    assert stored(database) == {"latest": b"2", "given/2.0": b"input", OWN: b"secret"}


def traces(path: Path, room: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """Secrets of which a piece is left in the files after 60 rounds of storing and deleting."""
    monkeypatch.setattr(round_keys, "ROOM", room)
    database, draw = Database(path), random.Random(0)
    live: dict[str, bytes] = {}
    dead: list[bytes] = []
    for step in range(61):
        keys = RoundKeys(database, JOB)
        for number in range(draw.randint(1, 12)):
            name = f"share/{draw.randint(0, 30)}.0/{step}-{number}"
            keys[name] = live[name] = draw.randbytes(draw.choice([256, 384, 800, 2000, 3600, 5600]))
        for name in draw.sample(sorted(live), draw.randint(0, min(len(live), 10))):
            del keys[name]
            dead.append(live.pop(name))
        database.write("test", keys.flush)
    found = files(path)
    database.close()
    pieces = {secret[i : i + 12]: n for n, secret in enumerate(dead) for i in range(0, len(secret) - 12, 37)}
    places = (found[i : i + 12] for i in range(len(found) - 11))  # walked through once, not once for each piece
    return len({pieces[place] for place in places if place in pieces})


def test_many_secrets_leave_no_trace_and_would_without_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert traces(path.with_name("with.db"), round_keys.ROOM, monkeypatch) == 0
    assert traces(path.with_name("without.db"), b"", monkeypatch) > 0, "else the padding could go"


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    put(database, a=b"1")
    keys = RoundKeys(database, JOB)
    keys["b"] = b"2"
    del keys["a"]

    def broken(session: object) -> None:
        keys.flush(session)  # type: ignore[arg-type]
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        database.write("test", broken)
    assert stored(database) == {"a": b"1"}
    assert dict(keys) == {"b": b"2"}, "the same changes can be written once more"
    database.write("test", keys.flush)
    assert stored(database) == {"b": b"2"}


def test_jobs_do_not_see_each_other(database: Database) -> None:
    put(database, a=b"1")
    other = RoundKeys(database, OTHER)
    assert "a" not in other
    other["a"] = b"other"
    database.write("test", other.flush)
    assert stored(database) == {"a": b"1"}
    assert stored(database, OTHER) == {"a": b"other"}


@pytest.mark.parametrize("size", [32, 8_300, 100_000])
def test_what_was_deleted_is_neither_in_the_file_nor_in_its_log(path: Path, database: Database, size: int) -> None:
    secret, pieces = os.urandom(size), range(0, size - 16, 1000)
    put(database, share=secret, stays=b"kept for later")
    assert secret[:16] in files(path)
    keys = RoundKeys(database, JOB)
    del keys[SHARE]
    database.write("test", keys.flush)
    found = files(path)
    assert b"kept for later" in found
    assert not any(secret[i : i + 16] in found for i in pieces)


def test_what_was_replaced_is_gone_too(path: Path, database: Database) -> None:
    secret = os.urandom(8_300)
    put(database, own=secret)
    put(database, own=b"spent")
    assert secret[:16] not in files(path)
    assert stored(database) == {OWN: b"spent"}


def test_a_job_that_is_over_keeps_no_entry(path: Path, database: Database) -> None:
    secret = os.urandom(64)
    put(database, own=secret, used=b"")
    other = RoundKeys(database, OTHER)
    other[OWN] = b"of another job"
    database.write("test", other.flush)
    database.write("end", lambda session: sessions.end(session, JOB, NOW))
    assert stored(database) == {}
    assert secret[:16] not in files(path)
    assert stored(database, OTHER) == {OWN: b"of another job"}


def test_values_of_any_size_come_back(database: Database) -> None:
    values = {f"share/1.0/{size}": os.urandom(size) for size in (0, 1, 255, 256, 257, 4_096, 70_000)}
    values |= {"share/1.00": b"no sibling", "share/1": b"of nobody", "share/1.0": b"", "own/1.0": b"x" * 300}
    keys = RoundKeys(database, JOB)
    keys.update(values)
    database.write("test", keys.flush)
    assert stored(database) == values
    again = RoundKeys(database, JOB)
    assert again["share/1.0/70000"] == values["share/1.0/70000"]
    assert again["own/1.0"] == b"x" * 300


def test_a_repr_shows_no_secret(database: Database) -> None:
    put(database, own=b"\x07secret")
    assert "secret" not in repr(RoundKeys(database, JOB))
