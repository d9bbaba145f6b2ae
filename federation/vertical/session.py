"""The engine of a vertical run's parties: a session driven by messages, without I/O, clock or global randomness.

A session is a table of steps. Each step names the messages it needs and the steps it follows, and fires once when both
are there; so messages of different senders may arrive in any order, and nothing is computed before everything it
depends on has been checked. `dump` holds all that is needed to go on after a crash; the node stores it in the
transaction that stores the answer. After a Failure the session is over.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from federation.errors import SessionUnreadable, StepUnexpected
from federation.vertical import messages
from federation.vertical.messages import Content, Outgoing, Reader
from privacy import packing
from privacy.packing import Packed

DUMP_VERSION = 2
Needed = tuple[str, str]  # (kind, sender)
Taken = dict[Needed, Reader]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing a party does once: when the needed messages are in and the named steps have fired."""

    name: str
    phase: str
    needs: tuple[Needed, ...] = ()
    after: tuple[str, ...] = ()
    act: Callable[[Taken], list[Outgoing]]


def needs(kind: str, senders: Sequence[str]) -> tuple[Needed, ...]:
    """One message of `kind` from each sender."""
    return tuple((kind, sender) for sender in senders)


def only(taken: Taken) -> tuple[str, str, Reader]:
    """(kind, sender, reader) of a step that needs one message."""
    (((kind, sender), reader),) = taken.items()
    return kind, sender, reader


class Session:
    """Fires the steps of a subclass and keeps what is needed to do so again elsewhere.

    A subclass lists in `_STATE` the attributes that `dump` keeps; each holds a value that `privacy.packing` takes.
    """

    _STATE: ClassVar[tuple[str, ...]] = ()

    def __init__(self, run: str, me: str, order: str, table_digest: str) -> None:
        """run: the plan's digest; order: the digest of the aligned clients; table_digest: of the own rows as used."""
        self._run, self._me, self._order, self._table_digest = run, me, order, table_digest
        self._inbox: dict[Needed, Content] = {}
        self._seen: set[Needed] = set()
        self._fired: list[str] = []
        self._steps = self._table_of_steps()
        self._expected = {needed for step in self._steps for needed in step.needs}

    def start(self) -> list[Outgoing]:
        """The first messages. Once."""
        assert not self._fired, "a session starts once"
        return self._advance()

    def receive(self, sender: str, message: bytes) -> list[Outgoing]:
        """Take one message and give what follows from it. Before `start` it is only kept.

        Raises StepMalformed, StepUnexpected for a message that is not due from this sender or came before, and whatever
        the steps it completes raise. The session is then over.
        """
        kind, content = messages.decode(sender, self._run, message)
        key = (kind, sender)
        if key not in self._expected or key in self._seen:
            raise StepUnexpected(partner=sender, step=kind)
        self._seen.add(key)
        self._inbox[key] = content
        return self._advance() if self._fired else []

    @property
    def done(self) -> bool:
        return len(self._fired) == len(self._steps)

    @property
    def phase(self) -> str:
        """What the session works on or waits for, in one word or two."""
        return next((step.phase for step in self._steps if step.name not in self._fired), "done")

    def dump(self) -> bytes:
        """Everything but the table that is needed to go on. Secret: it stays in this party's own store."""
        inbox: list[Packed] = [[kind, sender, content] for (kind, sender), content in self._inbox.items()]
        seen: list[Packed] = [[kind, sender] for kind, sender in sorted(self._seen)]
        state: dict[str, Packed] = {name: getattr(self, name) for name in self._STATE}
        return packing.pack(
            {
                "version": DUMP_VERSION,
                "run": self._run,
                "me": self._me,
                "order": self._order,
                "table": self._table_digest,
                "fired": [*self._fired],
                "seen": seen,
                "inbox": inbox,
                "state": state,
                "parts": self._dump_parts(),
            }
        )

    def restore(self, data: bytes) -> Self:
        """Put a fresh session where `dump` was taken. Raises SessionUnreadable for another run, party or table."""
        assert not self._fired, "only a fresh session is restored"
        try:
            value: Any = packing.unpack(data)
        except packing.NotPacked as failure:
            raise SessionUnreadable(why=failure.message()) from None
        if not isinstance(value, dict) or value.get("version") != DUMP_VERSION:
            raise SessionUnreadable(why="another version")
        if (value["run"], value["me"], value["order"]) != (self._run, self._me, self._order):
            raise SessionUnreadable(why="it belongs to another run, party or order of clients")
        if value["table"] != self._table_digest:
            raise SessionUnreadable(why="the table's rows are others than when the session began")
        for name in self._STATE:
            setattr(self, name, value["state"][name])
        self._fired = list(value["fired"])
        self._seen = {(kind, sender) for kind, sender in value["seen"]}
        self._inbox = {(kind, sender): content for kind, sender, content in value["inbox"]}
        self._restore_parts(value["parts"])
        return self

    def _table_of_steps(self) -> list[Step]:
        raise NotImplementedError

    def _dump_parts(self) -> dict[str, Packed]:
        """What the subclass keeps beyond plain attributes."""
        return {}

    def _restore_parts(self, parts: dict[str, Any]) -> None:
        assert not parts, "a subclass that dumps parts restores them"

    def _skip(self, names: Collection[str]) -> None:
        """Steps that will not happen, because a run ended its rounds early. What they would wait for is refused now."""
        gone = [step for step in self._steps if step.name in names and step.name not in self._fired]
        assert len(gone) == len(names), "only steps that have not fired are skipped"
        self._fired += [step.name for step in gone]
        self._seen |= {needed for step in gone for needed in step.needs}

    def _advance(self) -> list[Outgoing]:
        """Fire every step that can fire, in the table's order, until none can."""
        out: list[Outgoing] = []
        while (step := self._next()) is not None:
            taken = {needed: Reader(needed[1], self._inbox.pop(needed)) for needed in step.needs}
            out += step.act(taken)
            self._fired.append(step.name)
        return out

    def _next(self) -> Step | None:
        fired = set(self._fired)
        for step in self._steps:
            if step.name not in fired and fired >= set(step.after) and all(need in self._inbox for need in step.needs):
                return step
        return None

    def _send(self, kind: str, recipients: Sequence[str], content: Content) -> list[Outgoing]:
        data = messages.encode(self._run, kind, content)
        return [Outgoing(recipient=recipient, message=data) for recipient in recipients]
