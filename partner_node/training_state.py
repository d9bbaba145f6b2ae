"""A vertical run between two requests: in the database, and beside it the session as it stands.

The database is what counts. The session of the run that was worked on last stays in memory too, so that a round need
not read its rows and prepare its columns anew. It is put here only after the transaction that stored the same step, and
is taken out by whoever works on it: a round that fails or does not commit leaves none, and the next one restores what
was committed. What is large and never changes is stored once, with the step that brought it.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlalchemy.orm import Session

from federation.plan import TrainingPlan
from federation.vertical import Dump, Role
from partner_node import round_keys, sessions
from partner_node.node import Node
from partner_node.sessions import JobSession
from privacy.ids import Digest

Holder: TypeAlias = Role
KIND = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A session in memory: the round it answered last (0 before the first), what its rows were read under, and the
    names of its pieces that are in the database.
    """

    plan: TrainingPlan
    round: int
    revision: int  # of the consent records
    holder: Holder
    stored: frozenset[str] = frozenset()

    def after(self, round_: int, dump: Dump) -> "Live":
        """What is true once `dump` of this round is committed."""
        return replace(self, round=round_, stored=self.stored | dump.pieces.keys())


class States:
    """The running vertical runs of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._live: Live | None = None

    def take(self, run: Digest, round_: int, revision: int) -> Live | None:
        """The session in memory that answered this round last, out of this store; None where it must be restored: after
        a restart, after what did not commit, or where a consent has changed.
        """
        live, self._live = self._live, None
        if live is None or (live.plan.digest, live.round, live.revision) != (run, round_, revision):
            return None
        return live

    def put(self, live: Live) -> None:
        """Only after the commit of the same round."""
        self._live = live

    def forget(self) -> None:
        self._live = None

    def round(self, run: Digest) -> int:
        """The round that was answered last, 0 where none was. Raises JobOver."""
        return self._node.database.read(lambda session: sessions.step(session, run)) or 0

    def load(self, run: Digest) -> Dump:
        """What is stored of a run that has begun here."""

        def read(session: Session) -> Dump:
            kept = sessions.load(session, run)
            assert kept is not None, "its round was just read"
            return Dump(state=kept.state, pieces=round_keys.all_of(session, run))

        return self._node.database.read(read)


def save(session: Session, run: Digest, round_: int, dump: Dump, now: str) -> None:
    """Store where a session stands after a round."""
    sessions.save(session, JobSession(job=run, kind=KIND, step=round_, state=dump.state), now)
    round_keys.keep_all(session, run, dump.pieces)
