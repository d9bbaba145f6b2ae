"""The ledger's SQLite file: the EVM's key-value data and an index of blocks, transactions and logs.

One block is one SQL transaction (write-ahead log, synchronous=FULL): after a crash, or on a full disk, either all of it
is there or nothing. One connection behind one lock; nothing here knows the EVM.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.chain import rows
from sandbox.chain.errors import LedgerBroken, LedgerFull, LedgerLocked
from sandbox.chain.logs import IndexedLogs, Logs
from sandbox.chain.rows import BlockRow, LogRow, TxRow
from sandbox.chain.states import Nodes, Values

_SCHEMA = """
create table if not exists meta(key text primary key, value text not null) strict, without rowid;
create table if not exists block(
    number integer primary key, hash blob not null unique, timestamp integer not null, header blob not null) strict;
create table if not exists tx(
    hash blob not null unique, number integer not null references block(number), position integer not null,
    sender blob not null, recipient blob, status integer not null, gas_used integer not null, contract blob,
    raw blob not null, receipt blob not null, unique(number, position)) strict;
"""
FORM_WHOLE, FORM_ONCE, FORM = "1", "2", "3"
"""What a ledger's file holds of the EVM's data: all that it writes; without what the tx table has already; and in the
present form without what block and receipts have, trie nodes as differences. A ledger stays in the form it began in."""
_FORMS: Mapping[str, tuple[type[Values], type[Logs]]] = {
    FORM_WHOLE: (Values, Logs),
    FORM_ONCE: (Values, Logs),
    FORM: (Nodes, IndexedLogs),
}
_FORM = "form"
_DATA = ("kv", "node", "place", "log")
_CACHE_ENTRIES_MAX = 200_000
_LOCK_SECONDS = 5.0
TABLES = ("block", "tx", "log")
_COUNTS = {table: f"select count(*) from {table}" for table in TABLES}  # noqa: S608 - names of our own
_BLOCK = "select number, hash, timestamp, header from block "
_TX = "select hash, number, position, sender, recipient, status, gas_used, contract, raw, receipt from tx "


class Store:
    """An open ledger file; `path` None keeps everything in memory (tests).

    durable False: a power cut may lose it (re-execution). read_only: another process may write the file meanwhile.
    Writing raises LedgerFull and LedgerLocked, and then has written nothing; so does opening.
    """

    def __init__(self, path: Path | None, *, durable: bool = True, read_only: bool = False) -> None:
        self.lock = threading.RLock()
        self._parts: tuple[Values, Logs] | None = None
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

    @property
    def form(self) -> str:
        """The ledger's form; one that began before there were several does not say."""
        return self.meta(_FORM) or FORM_WHOLE

    def begin(self, form: str) -> None:
        """Make the tables of a new ledger's form, in place of the empty ones of a start that was interrupted.

        Raises LedgerBroken where there is data without a block.
        """
        assert self.head() is None, "a ledger stays in its form"
        with self.lock, self._writing() as run:
            for (table,) in run.execute("select name from sqlite_master where type = 'table'").fetchall():
                if table in _DATA:
                    if run.execute(f"select exists(select * from {table})").fetchone()[0]:  # noqa: S608 - our own name
                        raise LedgerBroken(why=f"table {table} has rows and there is no block")
                    run.execute(f"drop table {table}")
            for part in _FORMS[form]:
                for statement in part.schema:
                    run.execute(statement)
            run.execute("insert or replace into meta values(?,?)", (_FORM, form))
        self._parts = None

    def get(self, key: bytes) -> bytes | None:
        """A value of the EVM's key-value data."""
        if (value := self._cache.get(key)) is not None:
            return value
        if (value := self.on_disk(key)) is not None:
            self._remember(key, value)
        return value

    def commit(
        self,
        entries: Mapping[bytes, bytes | None],
        older: Mapping[bytes, bytes],
        block: BlockRow,
        txs: Sequence[TxRow],
        logs: Sequence[LogRow],
    ) -> None:
        """Everything a block changes, in one SQL transaction.

        An entry of None deletes its key. older: for written nodes the keys of those before them, see `nodes.older`.
        """
        values, indexed = self._kept()
        with self.lock:
            with self._writing() as run:
                values.write(entries, older)
                run.execute("insert into block values(?,?,?,?)", rows.values(block))
                run.executemany("insert into tx values(?,?,?,?,?,?,?,?,?,?)", map(rows.packed_values, txs))
                indexed.write(logs)
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
        return None if row is None else rows.unpacked_tx(row)

    def txs(self, number: int) -> list[TxRow]:
        """A block's transactions in order."""
        with self.lock:
            found = self._connection.execute(_TX + "where number=? order by position", (number,))
            return [rows.unpacked_tx(row) for row in found]

    def tx_logs(self, tx_hash: bytes) -> list[LogRow]:
        return self._kept()[1].of_tx(tx_hash)

    def block_logs(self, number: int) -> list[LogRow]:
        return self._kept()[1].of_block(number)

    def log_rows(self, number: int) -> list[tuple[object, ...]]:
        """A block's rows of table log, as this ledger's form has them."""
        return self._kept()[1].stored(number)

    def logs(
        self, first: int, last: int, addresses: Sequence[bytes], topics0: Sequence[bytes], limit: int
    ) -> list[LogRow]:
        """Logs of blocks first..last, of these addresses and first topics (empty: any), at most `limit`."""
        return self._kept()[1].found(first, last, addresses, topics0, limit)

    def on_disk(self, key: bytes) -> bytes | None:
        """A value as the file holds it now, past the cache."""
        return self._kept()[0].find(key)

    def data_rows(self) -> Iterator[tuple[object, ...]]:
        """Every row of the key-value data as it is stored, its table before it, a page at a time."""
        return self._kept()[0].rows()

    def count(self, table: str) -> int:
        """Number of rows of one of TABLES."""
        with self.lock:
            return int(self._connection.execute(_COUNTS[table]).fetchone()[0])

    def unsound(self) -> str:
        """What SQLite finds wrong in the file's pages and indexes first; empty where nothing is."""
        with self.lock:
            found = str(self._connection.execute("pragma integrity_check(1)").fetchone()[0])
        return "" if found == "ok" else found

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

    def _kept(self) -> tuple[Values, Logs]:
        """The tables of the ledger's form. Raises LedgerBroken for a form of a later version."""
        if self._parts is None:
            if (form := self.form) not in _FORMS:
                raise LedgerBroken(why=f"form {form[:16]} is not known")
            values, logs = _FORMS[form]
            self._parts = values(self._connection, self.lock), logs(self._connection, self.lock)
        return self._parts

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
