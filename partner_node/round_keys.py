"""The key store of one horizontal run at this node: what `federation.horizontal` keeps between two requests.

A mapping of names to bytes over the table `round_key`. It reads the committed state and buffers what is changed;
`flush` writes the changes in the transaction that commits the request's answer. So a request that failed or crashed
before the commit has changed nothing, and nothing that depends on its changes has left the house. What is deleted or
replaced was secret: its pages are overwritten, and the write-ahead log is emptied with that transaction (`database`).
"""

from collections.abc import Iterator, MutableMapping
from typing import cast

from sqlalchemy import Table, bindparam, case, delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from partner_node.database import PAGE_BYTES, Database, forget
from partner_node.tables import RoundKeyRow
from privacy.ids import Digest

SECRET = ("own/", "share/")  # names of federation.horizontal.keys whose values are secret
SMALL_BYTES = 256
ROOM = bytes(PAGE_BYTES)  # more than a page keeps of a row

# Made once, and past the ORM: a round asks for each of them several times.
_rows = cast("Table", RoundKeyRow.__table__)
_c = _rows.c
KEEP = insert(_rows)
KEEP = KEEP.on_conflict_do_update(index_elements=[_c.job, _c.name], set_={"value": KEEP.excluded.value})
DROP = delete(_rows).where(_c.job == bindparam("of"), _c.name.in_(bindparam("names", expanding=True)))
OVERVIEW = select(_c.name, case((func.length(_c.value) <= SMALL_BYTES, _c.value))).where(_c.job == bindparam("of"))
BESIDE = select(_c.name, _c.value).where(
    _c.job == bindparam("of"), _c.name >= bindparam("first"), _c.name < bindparam("last")
)


class RoundKeys(MutableMapping[str, bytes]):
    """One job's entries during one request. One request at a time: the node's worker is one thread."""

    def __init__(self, database: Database, job: Digest, known: dict[str, bytes | None] | None = None) -> None:
        """known: an `overview` just read."""
        self._database = database
        self._job = job
        self._stored = database.read(lambda session: overview(session, job)) if known is None else known
        self._changed: dict[str, bytes | None] = {}  # None: deleted

    def __getitem__(self, name: str) -> bytes:
        value = self._changed[name] if name in self._changed else self._stored.get(name)
        if value is None and name in self:
            self._stored |= self._database.read(lambda session: self._siblings(session, name))
            value = self._stored[name]
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: bytes) -> None:
        assert isinstance(value, bytes), "the store holds bytes"
        self._changed[name] = value

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._changed[name] = None

    def __contains__(self, name: object) -> bool:
        return self._changed[name] is not None if name in self._changed else name in self._stored

    def __iter__(self) -> Iterator[str]:
        """The names in order; a copy, so entries may be deleted on the way."""
        return iter(sorted(name for name in self._stored.keys() | self._changed.keys() if name in self))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"RoundKeys({self._job[:16]}, {len(self)} entries)"  # a mapping's own repr would print secrets

    def keep_only(self, prefixes: tuple[str, ...] = ()) -> None:
        """Let go of every change but to names that begin so."""
        self._changed = {name: value for name, value in self._changed.items() if name.startswith(prefixes)}

    def flush(self, session: Session) -> None:
        """Write the changes in this transaction. They stay in the buffer: the transaction may yet fail."""
        kept = [
            {"job": self._job, "name": name, "room": ROOM if name.startswith(SECRET) else b"", "value": value}
            for name, value in self._changed.items()
            if value is not None
        ]
        replaced = self._stored.keys() & self._changed.keys()
        gone = [name for name in replaced if self._changed[name] is None]
        connection = session.connection()
        if kept:
            connection.execute(KEEP, kept)
        if gone:
            connection.execute(DROP, {"of": self._job, "names": gone})
        if any(name.startswith(SECRET) for name in replaced):
            forget(session)

    def _siblings(self, session: Session, name: str) -> dict[str, bytes]:
        """The value of a name with those beside it: the shares of one slot are read together."""
        folder = name.rpartition("/")[0] + "/"
        found = session.connection().execute(BESIDE, {"of": self._job, "first": folder, "last": folder[:-1] + "0"})
        return {row[0]: row[1] for row in found}


def overview(session: Session, job: str) -> dict[str, bytes | None]:
    """All names of a job, with the values that are small; None for one that is to be loaded when it is asked for."""
    return {row[0]: row[1] for row in session.connection().execute(OVERVIEW, {"of": job})}
