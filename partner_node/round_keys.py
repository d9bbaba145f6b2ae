"""The key store of one horizontal run at this node: what `federation.horizontal` keeps between two requests.

A mapping of names to bytes over the table `round_key`. It reads the committed state and buffers what is changed;
`flush` writes the changes in the transaction that commits the request's answer. So a request that failed or crashed
before the commit has changed nothing, and nothing that depends on its changes has left the house. What is deleted or
replaced was secret: its pages are overwritten, and the write-ahead log is emptied with that transaction (`database`).
"""

from collections.abc import Iterator, Mapping, MutableMapping

from sqlalchemy.orm import Session

from partner_node.database import PAGE_BYTES, Database, forget, raw
from privacy.ids import Digest

SECRET = ("own/", "share/")  # names of federation.horizontal.keys whose values are secret
SMALL_BYTES = 256
ROOM = bytes(PAGE_BYTES)  # more than a page keeps of a row

# A round asks for each of them several times: they go to the driver.
KEEP = (
    "INSERT INTO round_key (job, name, room, value) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (job, name) DO UPDATE SET value = excluded.value"
)
DROP = "DELETE FROM round_key WHERE job = ? AND name = ?"
# what is remembered for the whole job grows with its rounds; it is looked up by its name, and not iterated over
REMEMBERED = ("answered/", "lanes/", "round/", "used/")
OVERVIEW = "SELECT name, CASE WHEN length(value) <= ? THEN value END FROM round_key WHERE job = ?"
OVERVIEW += " AND name NOT GLOB ?" * len(REMEMBERED)
ONE = "SELECT value FROM round_key WHERE job = ? AND name = ?"
BESIDE = "SELECT name, value FROM round_key WHERE job = ? AND name >= ? AND name < ?"
ALL = "SELECT name, value FROM round_key WHERE job = ?"


class RoundKeys(MutableMapping[str, bytes]):
    """One job's entries during one request. One request at a time: the node's worker is one thread.

    Iteration gives the names of slots alone, and not what is REMEMBERED.
    """

    def __init__(self, database: Database, job: Digest, known: dict[str, bytes | None] | None = None) -> None:
        """known: an `overview` just read."""
        self._database = database
        self._job = job
        self._stored = database.read(lambda session: overview(session, job)) if known is None else known
        self._changed: dict[str, bytes | None] = {}  # None: deleted
        self._absent: set[str] = set()  # REMEMBERED names that were looked up in vain

    def __getitem__(self, name: str) -> bytes:
        self._recall(name)
        value = self._changed[name] if name in self._changed else self._stored.get(name)
        if value is None and name in self:
            self._stored |= self._database.read(lambda session: self._siblings(session, name))
            value = self._stored[name]
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: bytes) -> None:
        assert isinstance(value, bytes), "the store holds bytes"
        self._recall(name)  # whether it replaces something
        self._changed[name] = value

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._changed[name] = None

    def __contains__(self, name: object) -> bool:
        self._recall(name)
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
            (self._job, name, ROOM if name.startswith(SECRET) else b"", value)
            for name, value in self._changed.items()
            if value is not None
        ]
        replaced = self._stored.keys() & self._changed.keys()
        driver = raw(session)
        driver.executemany(KEEP, kept)
        driver.executemany(DROP, [(self._job, name) for name in sorted(replaced) if self._changed[name] is None])
        if any(name.startswith(SECRET) for name in replaced):
            forget(session)

    def _recall(self, name: object) -> None:
        """Look a REMEMBERED name up, once."""
        if not isinstance(name, str) or not name.startswith(REMEMBERED):
            return
        if name in self._changed or name in self._stored or name in self._absent:
            return
        found = self._database.read(lambda session: raw(session).execute(ONE, (self._job, name)).fetchone())
        if found is None:
            self._absent.add(name)
        else:
            self._stored[name] = found[0]

    def _siblings(self, session: Session, name: str) -> dict[str, bytes]:
        """The value of a name with those beside it: the shares of one slot are read together."""
        folder = name.rpartition("/")[0] + "/"
        return dict(raw(session).execute(BESIDE, (self._job, folder, folder[:-1] + "0")))


def overview(session: Session, job: str) -> dict[str, bytes | None]:
    """The names of a job's slots, with the values that are small; None for one that is loaded when it is asked for."""
    return dict(raw(session).execute(OVERVIEW, (SMALL_BYTES, job, *(f"{prefix}*" for prefix in REMEMBERED))))


def keep_all(session: Session, job: str, values: Mapping[str, bytes]) -> None:
    """Store secret values, each under a name that the job has not used, until the job is over."""
    raw(session).executemany(KEEP, [(job, name, ROOM, value) for name, value in values.items()])


def all_of(session: Session, job: str) -> dict[str, bytes]:
    """Every value of a job."""
    return dict(raw(session).execute(ALL, (job,)))
