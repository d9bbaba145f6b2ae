"""The ledger's SQLite file: the EVM's key-value data and an index of blocks, transactions and logs.

One block is one SQL transaction (write-ahead log, synchronous=FULL): after a crash, or on a full disk, either all of it
is there or nothing. One connection behind one lock; nothing here knows the EVM.
"""

import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.chain.errors import LedgerFull, LedgerLocked

_SCHEMA = """
create table if not exists meta(key text primary key, value text not null) strict, without rowid;
create table if not exists kv(key blob primary key, value blob not null) strict, without rowid;
create table if not exists block(
    number integer primary key, hash blob not null unique, timestamp integer not null, header blob not null) strict;
create table if not exists tx(
    hash blob not null unique, number integer not null references block(number), position integer not null,
    sender blob not null, recipient blob, status integer not null, gas_used integer not null, contract blob,
    raw blob not null, receipt blob not null, unique(number, position)) strict;
create table if not exists log(
    number integer not null references block(number), log_index integer not null, position integer not null,
    address blob not null, topic0 blob, topics blob not null, data blob not null, tx blob not null,
    primary key(number, log_index)) strict, without rowid;
create index if not exists log_by_address on log(address, topic0, number);
create index if not exists log_by_tx on log(tx);
"""
_CACHE_ENTRIES_MAX = 200_000
_LOCK_SECONDS = 5.0
_PAGE = 1_000
_ZLIB = b"\x78"
_UNPACKED_BYTES_MAX = 64 << 20
TABLES = ("block", "tx", "log")
_COUNTS = {table: f"select count(*) from {table}" for table in TABLES}  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """A sealed block: `header` is its RLP."""

    number: int
    hash: bytes
    timestamp: int
    header: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TxRow:
    """A sealed transaction: `raw` as it was sent, `receipt` its RLP."""

    hash: bytes
    number: int
    position: int
    sender: bytes
    recipient: bytes | None
    status: int
    gas_used: int
    contract: bytes | None
    raw: bytes
    receipt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One log; log_index counts within the block. `topics` are 32 bytes each, joined."""

    number: int
    log_index: int
    position: int
    address: bytes
    topic0: bytes | None
    topics: bytes
    data: bytes
    tx: bytes


_BLOCK = "select number, hash, timestamp, header from block "
_TX = "select hash, number, position, sender, recipient, status, gas_used, contract, raw, receipt from tx "
_LOG = "select number, log_index, position, address, topic0, topics, data, tx from log "


class Store:
    """An open ledger file; `path` None keeps everything in memory (tests).

    durable False: a power cut may lose it (re-execution). read_only: another process may write the file meanwhile.
    Writing raises LedgerFull and LedgerLocked, and then has written nothing; so does opening.
    """

    def __init__(self, path: Path | None, *, durable: bool = True, read_only: bool = False) -> None:
        self.lock = threading.RLock()
        self._cache: dict[bytes, bytes] = {}
        name = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        with _named():
            self._connection = sqlite3.connect(
                name, uri=path is not None, isolation_level=None, check_same_thread=False, timeout=_LOCK_SECONDS
            )
            if not read_only:
                for pragma in ("journal_mode=WAL", f"synchronous={'FULL' if durable else 'OFF'}", "foreign_keys=ON"):
                    self._connection.execute(f"pragma {pragma}")
                self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        with self.lock:
            self._connection.close()

    def get(self, key: bytes) -> bytes | None:
        """A value of the EVM's key-value data."""
        if (value := self._cache.get(key)) is not None:
            return value
        if (value := self.on_disk(key)) is not None:
            self._remember(key, value)
        return value

    def commit(
        self, entries: Mapping[bytes, bytes | None], block: BlockRow, txs: Sequence[TxRow], logs: Sequence[LogRow]
    ) -> None:
        """Everything a block changes, in one SQL transaction. An entry of None deletes its key."""
        with self.lock:
            with self._writing() as run:
                kept = [(key, value) for key, value in entries.items() if value is not None]
                run.executemany("insert or replace into kv values(?,?)", kept)
                run.executemany("delete from kv where key=?", [(k,) for k, v in entries.items() if v is None])
                run.execute("insert into block values(?,?,?,?)", _values(block))
                run.executemany("insert into tx values(?,?,?,?,?,?,?,?,?,?)", map(_packed_values, txs))
                run.executemany("insert into log values(?,?,?,?,?,?,?,?)", map(_values, logs))
            for key, value in entries.items():
                self._cache.pop(key, None)
                if value is not None:
                    self._remember(key, value)

    def meta(self, key: str) -> str | None:
        """A setting of the ledger itself: its genesis, its clock's offset."""
        with self.lock:
            row = self._connection.execute("select value from meta where key=?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str | None) -> None:
        """Change a setting; None takes it away."""
        with self.lock, self._writing() as run:
            if value is None:
                run.execute("delete from meta where key=?", (key,))
            else:
                run.execute("insert or replace into meta values(?,?)", (key, value))

    def head(self) -> BlockRow | None:
        """The newest block; None before genesis."""
        return self._block("order by number desc limit 1", ())

    def block(self, number: int) -> BlockRow | None:
        return self._block("where number=?", (number,))

    def block_by_hash(self, block_hash: bytes) -> BlockRow | None:
        return self._block("where hash=?", (block_hash,))

    def block_hashes(self, first: int, end: int) -> list[bytes]:
        """Hashes of the blocks first … end-1 in order."""
        with self.lock:
            sql = "select hash from block where number>=? and number<? order by number"
            return [bytes(row[0]) for row in self._connection.execute(sql, (first, end))]

    def tx(self, tx_hash: bytes) -> TxRow | None:
        with self.lock:
            row = self._connection.execute(_TX + "where hash=?", (tx_hash,)).fetchone()
        return None if row is None else _tx(row)

    def txs(self, number: int) -> list[TxRow]:
        """A block's transactions in order."""
        with self.lock:
            return [_tx(row) for row in self._connection.execute(_TX + "where number=? order by position", (number,))]

    def tx_logs(self, tx_hash: bytes) -> list[LogRow]:
        return self._logs("where tx=? order by log_index", (tx_hash,))

    def block_logs(self, number: int) -> list[LogRow]:
        return self._logs("where number=? order by log_index", (number,))

    def logs(
        self, first: int, last: int, addresses: Sequence[bytes], topics0: Sequence[bytes], limit: int
    ) -> list[LogRow]:
        """Logs of blocks first..last, of these addresses and first topics (empty: any), at most `limit`."""
        clauses, values = ["number between ? and ?"], [first, last]
        for column, wanted in (("address", addresses), ("topic0", topics0)):
            if wanted:
                clauses.append(f"{column} in ({','.join('?' * len(wanted))})")
                values += list(wanted)  # type: ignore[arg-type]
        return self._logs(f"where {' and '.join(clauses)} order by number, log_index limit ?", (*values, limit))

    def on_disk(self, key: bytes) -> bytes | None:
        """A value as the file holds it now, past the cache."""
        with self.lock:
            row = self._connection.execute("select value from kv where key=?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All of the key-value data in the order of its keys, a page at a time."""
        page: list[tuple[bytes, bytes]] = [(b"", b"")]
        sql = "select key, value from kv where key>? order by key limit ?"
        while page:
            with self.lock:
                page = self._connection.execute(sql, (page[-1][0], _PAGE)).fetchall()
            yield from page

    def count(self, table: str) -> int:
        """Number of rows of one of TABLES."""
        with self.lock:
            return int(self._connection.execute(_COUNTS[table]).fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One SQL transaction: all of it or nothing."""
        run = self._connection
        with _named():
            run.execute("begin immediate")
            try:
                yield run
                run.execute("commit")
            except BaseException:
                if run.in_transaction:  # SQLite has taken it back itself where the disk is full
                    run.execute("rollback")
                raise

    def _block(self, clause: str, values: tuple[object, ...]) -> BlockRow | None:
        with self.lock:
            row = self._connection.execute(_BLOCK + clause, values).fetchone()
        return None if row is None else BlockRow(number=row[0], hash=row[1], timestamp=row[2], header=row[3])

    def _logs(self, clause: str, values: tuple[object, ...]) -> list[LogRow]:
        with self.lock:
            names = LogRow.__slots__
            found = self._connection.execute(_LOG + clause, values).fetchall()
            return [LogRow(**dict(zip(names, row, strict=True))) for row in found]

    def _remember(self, key: bytes, value: bytes) -> None:
        if len(self._cache) >= _CACHE_ENTRIES_MAX:
            self._cache.clear()
        self._cache[key] = value


@contextmanager
def _named() -> Iterator[None]:
    """Turn what an operator can mend into failures that say how; everything else stays SQLite's own error."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise LedgerFull from None
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LedgerLocked from None
        raise


def _values(row: BlockRow | TxRow | LogRow) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in row.__slots__)


def _packed_values(row: TxRow) -> tuple[object, ...]:
    return (*_values(row)[:-2], _packed(row.raw), _packed(row.receipt))


def _tx(row: tuple[object, ...]) -> TxRow:
    found = dict(zip(TxRow.__slots__, row, strict=True))
    unpacked = {name: _unpacked(found[name]) for name in ("raw", "receipt")}
    return TxRow(**{**found, **unpacked})


def _packed(data: bytes) -> bytes:
    """A list in RLP, compressed where that is shorter: a receipt's bloom is mostly zeros."""
    shorter = zlib.compress(data)
    return shorter if len(shorter) < len(data) else data


def _unpacked(data: Any) -> Any:
    """What `_packed` was given. The first byte tells: a list in RLP begins at 0xc0, zlib's form with 0x78."""
    if not isinstance(data, bytes) or data[:1] != _ZLIB:
        return data
    try:
        return zlib.decompressobj().decompress(data, _UNPACKED_BYTES_MAX)
    except zlib.error:
        return data  # altered by hand: it equals nothing that is expected
