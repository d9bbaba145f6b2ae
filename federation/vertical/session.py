"""The engine of a vertical run's parties: a session driven by messages, without I/O, clock or global randomness.

A session is a table of steps. Each step names the messages it needs and the steps it follows, and fires once when both
are there; so messages of different senders may arrive in any order, and nothing is computed before everything it
depends on has been checked. `dump` holds all that is needed to go on after a crash; the node stores it in the
transaction that stores the answer. After a Failure the session is over.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from federation.errors import SessionUnreadable, StepUnexpected
from federation.vertical import messages
from federation.vertical.messages import Content, Outgoing, Reader
from federation.vertical.steps import Agenda, Needed, Step
from privacy import packing
from privacy.packing import Packed

DUMP_VERSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """Everything but the table that is needed to go on. Secret: it stays in this party's own store.

    state: small, another after every step. pieces: large; what stands under a name never changes, so each is stored
    once.
    """

    state: bytes = field(repr=False)
    pieces: Mapping[str, bytes] = field(repr=False)


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
        self._agenda = Agenda(self._table_of_steps())

    def start(self) -> list[Outgoing]:
        """The first messages. Once."""
        assert not self._agenda.begun, "a session starts once"
        return self._advance()

    def receive(self, sender: str, message: bytes) -> list[Outgoing]:
        """Take one message and give what follows from it. Before `start` it is only kept.

        Raises StepMalformed, StepUnexpected for a message that is not due from this sender or came before, and whatever
        the steps it completes raise. The session is then over.
        """
        kind, content = messages.decode(sender, self._run, message)
        key = (kind, sender)
        if key not in self._agenda.expected or key in self._seen:
            raise StepUnexpected(partner=sender, step=kind)
        self._seen.add(key)
        self._inbox[key] = content
        self._agenda.came(key)
        return self._advance() if self._agenda.begun else []

    @property
    def done(self) -> bool:
        return self._agenda.done

    @property
    def phase(self) -> str:
        """What the session works on or waits for, in one word or two."""
        return self._agenda.phase

    def dump(self, stored: Collection[str] = ()) -> Dump:
        """Where the session stands, with the pieces that are not `stored` already."""
        pieces = self._pieces()
        inbox: list[Packed] = [[kind, sender, content] for (kind, sender), content in self._inbox.items()]
        attributes: dict[str, Packed] = {name: getattr(self, name) for name in self._STATE}
        state = packing.pack(
            {
                "version": DUMP_VERSION,
                "run": self._run,
                "me": self._me,
                "order": self._order,
                "table": self._table_digest,
                "fired": self._agenda.dump(),
                "inbox": inbox,
                "state": attributes,
                "parts": self._dump_parts(),
                "pieces": [*sorted(pieces)],
            }
        )
        return Dump(state=state, pieces={name: make() for name, make in pieces.items() if name not in stored})

    def restore(self, dump: Dump) -> Self:
        """Put a fresh session where `dump` was taken, with all of its pieces.

        Raises SessionUnreadable for another run, party, order or table, and where a piece is missing.
        """
        assert not self._agenda.begun, "only a fresh session is restored"
        value = self._readable(dump)
        for name in self._STATE:
            setattr(self, name, value["state"][name])
        self._inbox = {(kind, sender): content for kind, sender, content in value["inbox"]}
        self._agenda.restore(value["fired"], self._inbox)
        self._seen = {*self._inbox, *self._agenda.used()}
        self._restore_parts(value["parts"], dump.pieces)
        return self

    def _readable(self, dump: Dump) -> dict[str, Any]:
        """A dump's state, which must be one of this session. Raises SessionUnreadable."""
        try:
            value: Any = packing.unpack(dump.state)
        except packing.NotPacked as failure:
            raise SessionUnreadable(why=failure.message()) from None
        if not isinstance(value, dict) or value.get("version") != DUMP_VERSION:
            raise SessionUnreadable(why="another version")
        if (value["run"], value["me"], value["order"]) != (self._run, self._me, self._order):
            raise SessionUnreadable(why="it belongs to another run, party or order of clients")
        if value["table"] != self._table_digest:
            raise SessionUnreadable(why="the table's rows are others than when the session began")
        if not dump.pieces.keys() >= set(value["pieces"]):
            raise SessionUnreadable(why="a piece of it is missing")
        return value

    def _table_of_steps(self) -> list[Step]:
        raise NotImplementedError

    def _dump_parts(self) -> dict[str, Packed]:
        """What the subclass keeps beyond plain attributes, without its pieces."""
        return {}

    def _pieces(self) -> dict[str, Callable[[], bytes]]:
        """What is large and never changes under its name, packed when asked for."""
        return {}

    def _restore_parts(self, parts: dict[str, Any], pieces: Mapping[str, bytes]) -> None:
        assert not parts, "a subclass that dumps parts restores them"

    def _skip(self, names: Collection[str]) -> None:
        """Steps that will not happen, because a run ended its rounds early. What they would wait for is refused now."""
        for name in names:
            self._agenda.fire(name)
            for needed in self._agenda.step(name).needs:
                self._seen.add(needed)
                self._inbox.pop(needed, None)

    def _advance(self) -> list[Outgoing]:
        """Fire every step that can fire, in the table's order, until none can."""
        out: list[Outgoing] = []
        while (step := self._agenda.next()) is not None:
            taken = {needed: Reader(needed[1], self._inbox.pop(needed)) for needed in step.needs}
            out += step.act(taken)
            self._agenda.fire(step.name)
        return out

    def _send(self, kind: str, recipients: Sequence[str], content: Content) -> list[Outgoing]:
        data = messages.encode(self._run, kind, content)
        return [Outgoing(recipient=recipient, message=data) for recipient in recipients]
