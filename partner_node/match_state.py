"""The state of a running match between two requests: in the database, and beside it the session as it stands.

The database is what counts. The session of the job that was worked on last stays in memory too, so that a step need not
read its ids and hash them anew. It is put here only after the transaction that stored the same state, and is taken out
by whoever works on it: a step that fails or does not commit leaves none, and the next one loads what was committed.
"""

from dataclasses import dataclass, replace
from typing import Any

from partner_node import sessions
from partner_node.errors import StepOutOfPlace
from partner_node.match_session import Session
from partner_node.node import Node
from partner_node.readings import Identifiers
from partner_node.sessions import JobSession
from partner_node.store import Proposal
from privacy import packing


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is kept of a running match. `psi` is the session's dump, empty until the first step."""

    salt: bytes
    root: bytes
    step: int  # sequence number of the next request
    psi: bytes

    def pack(self) -> bytes:
        return packing.pack({"salt": self.salt, "root": self.root, "step": self.step, "psi": self.psi})

    def after(self, session: Session) -> "State":
        """One step on."""
        return replace(self, step=self.step + 1, psi=session.dump())


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A session in memory, its state as committed (without the dump), and what its ids were read under."""

    job: str
    revision: int  # of the consent records
    found: Identifiers  # the ids entered
    state: State
    session: Session


class States:
    """The running matches of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._live: Live | None = None

    def take(self, job: str, revision: int, now: str) -> Live | None:
        """The session in memory of this job, out of this store; None where another must be loaded: a consent to what
        it holds has changed or ended.
        """
        live, self._live = self._live, None
        if live is None or (live.job, live.revision) != (job, revision) or now >= live.found.until:
            return None
        return live

    def put(self, live: Live) -> None:
        """Only after the commit of the same state. Its dump is in the database and need not stay here."""
        self._live = replace(live, state=replace(live.state, psi=b""))

    def check(self, proposal: Proposal, sequence: object) -> None:
        """Raises StepOutOfPlace unless the job runs here and waits for this request, JobOver where it is over."""
        step = self._node.database.read(lambda session: sessions.step(session, proposal.digest))
        if step is None or sequence != step:
            expected = "none" if step is None else step
            raise StepOutOfPlace(job=proposal.digest[:16], expected=expected, found=str(sequence)[:20])

    def load(self, proposal: Proposal) -> State:
        """The state of a job that `check` found."""
        kept = self._node.database.read(lambda session: sessions.load(session, proposal.digest))
        assert kept is not None, "checked"
        value: Any = packing.unpack(kept.state)
        return State(salt=value["salt"], root=value["root"], step=value["step"], psi=value["psi"])

    def keeper(self, proposal: Proposal, state: State, now: str) -> Any:
        """The write that stores a state."""
        kept = JobSession(job=proposal.digest, kind="match", step=state.step, state=state.pack())
        return lambda session: sessions.save(session, kept, now)
