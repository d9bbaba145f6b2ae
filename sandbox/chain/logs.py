"""The tables of logs, in the ledger's older forms and in its present one.

They take part in the SQL transaction that their user has begun.
"""

import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

from sandbox.chain import lists, rows
from sandbox.chain.errors import LedgerAltered
from sandbox.chain.rows import LogRow

_ORDER = "order by number, log_index"


class Logs:
    """Ledgers of forms 1 and 2: a row holds the whole log."""

    schema: ClassVar[tuple[str, ...]] = (
        """create table log(
        number integer not null references block(number), log_index integer not null, position integer not null,
        address blob not null, topic0 blob, topics blob not null, data blob not null, tx blob not null,
        primary key(number, log_index)) strict, without rowid""",
        "create index log_by_address on log(address, topic0, number)",
        "create index log_by_tx on log(tx)",
    )
    _read_sql: ClassVar[str] = "select number, log_index, position, address, topic0, topics, data, tx from log"
    _topic: ClassVar[str] = "topic0"
    _tx: ClassVar[str] = "tx"

    def __init__(self, run: sqlite3.Connection, lock: threading.RLock) -> None:
        self._run, self._lock = run, lock

    def write(self, logs: Sequence[LogRow]) -> None:
        """Keep a block's logs, in order."""
        self._run.executemany("insert into log values(?,?,?,?,?,?,?,?)", map(rows.values, logs))

    def stored(self, number: int) -> list[tuple[object, ...]]:
        """A block's rows as they are stored."""
        with self._lock:
            return self._run.execute("select * from log where number=? order by log_index", (number,)).fetchall()

    def of_block(self, number: int) -> list[LogRow]:
        return self._all(f"where number=? {_ORDER}", number)

    def of_tx(self, tx_hash: bytes) -> list[LogRow]:
        return self._all(f"where {self._tx}=? {_ORDER}", tx_hash)

    def found(
        self, first: int, last: int, addresses: Sequence[bytes], topics0: Sequence[bytes], limit: int
    ) -> list[LogRow]:
        """Logs of blocks first..last, of these addresses and first topics (empty: any), at most `limit`."""
        clauses = ["number between ? and ?"]
        wanted: list[object] = [first, last]
        for column, values in (("address", addresses), (self._topic, topics0)):
            if values:
                clauses.append(f"{column} in ({','.join('?' * len(values))})")
                wanted += map(self._key, values)
        with self._lock:
            each = self._rows(f"where {' and '.join(clauses)} {_ORDER}", wanted)
            fitting = (
                row
                for row in each
                if (not addresses or row.address in addresses) and (not topics0 or row.topic0 in topics0)
            )
            return list(islice(fitting, limit))

    @staticmethod
    def _key(value: bytes) -> bytes | int:
        """An address or topic as its column holds it."""
        return value

    def _all(self, clause: str, *values: object) -> list[LogRow]:
        with self._lock:
            return list(self._rows(clause, values))

    def _rows(self, clause: str, values: Sequence[object]) -> Iterator[LogRow]:
        for row in self._run.execute(f"{self._read_sql} {clause}", values):
            yield LogRow(**dict(zip(LogRow.__slots__, row, strict=True)))


class IndexedLogs(Logs):
    """Present ledgers: a row is an index of a log that stands in its transaction's receipt, at `place` there.

    Of address and first topic it has a checksum; who asks for them gets only those that are the same in the receipt.
    """

    schema = (
        """create table log(
        number integer not null references block(number), log_index integer not null, position integer not null,
        place integer not null, address integer not null, topic integer,
        primary key(number, log_index)) strict, without rowid""",
        "create index log_by_address on log(address, topic, number)",
    )
    _read_sql = "select number, log_index, position, place, hash, receipt from log join tx using (number, position)"
    _topic = "topic"
    _tx = "hash"

    def write(self, logs: Sequence[LogRow]) -> None:
        first: dict[int, int] = {}
        for log in logs:
            place = log.log_index - first.setdefault(log.position, log.log_index)
            topic = None if log.topic0 is None else self._key(log.topic0)
            row = (log.number, log.log_index, log.position, place, self._key(log.address), topic)
            self._run.execute("insert into log values(?,?,?,?,?,?)", row)

    @staticmethod
    def _key(value: bytes) -> int:
        return zlib.crc32(value) - (1 << 31)  # SQLite keeps it in 4 bytes

    def _rows(self, clause: str, values: Sequence[object]) -> Iterator[LogRow]:
        """Raises LedgerAltered where a receipt has no such log."""
        at, logs = None, list[tuple[bytes, bytes, bytes]]()
        for number, log_index, position, place, tx_hash, receipt in self._run.execute(
            f"{self._read_sql} {clause}", values
        ):
            try:
                if at != (number, position):
                    at, logs = (number, position), _logs(rows.unpacked(receipt))
                address, topics, data = logs[place]
            except (ValueError, IndexError):
                raise LedgerAltered(what="logs", number=number) from None
            yield LogRow(
                number=number, log_index=log_index, position=position, address=address,
                topic0=topics[:32] or None, topics=topics, data=data, tx=tx_hash,
            )  # fmt: skip


def _logs(receipt: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(address, topics, data) of each log of a receipt. Raises ValueError for what is no receipt."""
    _, _, _, logs = lists.items(receipt)
    found = []
    for log in lists.items(logs):
        address, topics, data = lists.items(log)
        found.append((lists.content(address), b"".join(map(lists.content, lists.items(topics))), lists.content(data)))
    return found
