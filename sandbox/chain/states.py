"""The tables of the EVM's key-value data, in the ledger's older forms and in its present one.

They take part in the SQL transaction that their user has begun.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from typing import ClassVar

from eth_hash.auto import keccak

from sandbox.chain import nodes

_PAGE = 1_000
_HASH_BYTES = 32


class Values:
    """Ledgers of forms 1 and 2: each value under its key."""

    schema: ClassVar[tuple[str, ...]] = (
        "create table kv(key blob primary key, value blob not null) strict, without rowid",
    )
    tables: ClassVar[Mapping[str, tuple[str, str]]] = {"kv": ("key", "?")}

    def __init__(self, run: sqlite3.Connection, lock: threading.RLock) -> None:
        self._run, self._lock = run, lock

    def find(self, key: bytes) -> bytes | None:
        """The value of a key as the file holds it now."""
        with self._lock:
            row = self._run.execute("select value from kv where key=?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def write(self, entries: Mapping[bytes, bytes | None], older: Mapping[bytes, bytes]) -> None:
        """Keep entries; one of None deletes its key. older: see `nodes.older`."""
        kept = [(key, value) for key, value in entries.items() if value is not None]
        self._run.executemany("insert or replace into kv values(?,?)", kept)
        self._run.executemany("delete from kv where key=?", [(k,) for k, v in entries.items() if v is None])

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Every row as it is stored, its table before it, a page at a time."""
        for table, (key, marks) in self.tables.items():
            width = marks.count("?")
            every = f"select {key}, * from {table} {{}} order by {key} limit {_PAGE}"  # noqa: S608 - names of our own
            sql, last = every.format(""), ()
            while True:
                with self._lock:
                    page = self._run.execute(sql, last).fetchall()
                if not page:
                    break
                yield from ((table, *row[width:]) for row in page)
                sql, last = every.format(f"where ({key}) > ({marks})"), page[-1][:width]


class Nodes(Values):
    """Present ledgers: what its own hash names stands in rows in the order of writing, see `nodes`; the rest as before.

    A row is found by the first 4 bytes of its hash; where several have them alike, its own hash tells. None is ever
    deleted: every state is kept.
    """

    schema = (
        *Values.schema,
        "create table node(id integer primary key, stored blob not null) strict",
        "create table place(prefix integer not null, id integer not null, primary key(prefix, id))"
        " strict, without rowid",
    )
    tables: ClassVar[Mapping[str, tuple[str, str]]] = {
        **Values.tables,
        "node": ("id", "?"),
        "place": ("prefix, id", "?,?"),
    }

    def find(self, key: bytes) -> bytes | None:
        with self._lock:
            found = self._located(key)
        return super().find(key) if found is None else found[1]

    def write(self, entries: Mapping[bytes, bytes | None], older: Mapping[bytes, bytes]) -> None:
        named = dict(entries)
        content = [(k, v) for k, v in sorted(entries.items()) if v is not None and _names(k, v)]
        row = int(self._run.execute("select coalesce(max(id), 0) from node").fetchone()[0])
        for key, value in content:
            del named[key]
            if self._located(key) is not None:
                continue
            row += 1
            stood = self._located(older[key]) if key in older else None
            stored = nodes.encode(value, None if stood is None else self._older(stood, row))
            self._run.execute("insert into node values(?,?)", (row, stored))
            self._run.execute("insert into place values(?,?)", (_prefix(key), row))
        super().write(named, older)

    def _located(self, key: bytes) -> tuple[int, bytes] | None:
        """(row, value) of what this hash names."""
        if len(key) != _HASH_BYTES:
            return None
        for (row,) in self._run.execute("select id from place where prefix=?", (_prefix(key),)).fetchall():
            try:
                value = nodes.decode(row, self._stored)
            except nodes.Undecodable:
                continue
            if _names(key, value):
                return row, value
        return None

    def _older(self, stood: tuple[int, bytes], row: int) -> nodes.Older:
        stored = self._stored(stood[0])
        assert stored, "it was just read"
        return nodes.Older(value=stood[1], steps=stored[0], back=row - stood[0])

    def _stored(self, row: int) -> bytes | None:
        found = self._run.execute("select stored from node where id=?", (row,)).fetchone()
        return None if found is None else bytes(found[0])


def _names(key: bytes, value: bytes) -> bool:
    return len(key) == _HASH_BYTES and keccak(value) == key


def _prefix(key: bytes) -> int:
    return int.from_bytes(key[:4], "big", signed=True)  # SQLite keeps it in 4 bytes
