"""Matching sessions as state machines without I/O: one `Session` per party and job; bytes in, bytes out.

A session is made by `factory.create`, driven by `start` and `receive`, and asked for `result`. It never reads a
clock, a file or the network; its only randomness is 32 bytes drawn when it is made. Keys, shuffles and tokens are
derived from that seed, so a session that is loaded from `dump` after a crash gives byte for byte the messages it would
have given. That is also why going on with the same key is harmless: for the same job and the same identifiers (`load`
checks them) a repeated step shows the peer nothing that the first one did not.

`dump` is secret: with the seed, a peer's masked list can be tested against guessed identifiers. Keep it in the node's
own database, let it go when the job ends. A finished session dumps its result only.
"""

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from privacy import canonical
from privacy.psi import group, values, wire
from privacy.psi.errors import ForeignMessage, NotFinished, RepeatedPoint, WrongPhase
from privacy.psi.identifiers import check_identifiers, check_values
from privacy.psi.randomness import keyed_stream
from privacy.psi.values import VALUE_BITS_MAX, Outgoing, Result, Role, Setup, State
from privacy.psi.wire import Link, Listing

SEED_BYTES = 32


class Session(ABC):
    """One party's side of one matching job. Subclasses say what is expected of each peer and what follows from it."""

    def __init__(
        self,
        setup: Setup,
        seed: bytes,
        ids: Sequence[bytes],
        state: State,
        map: group.Map,
        values: Sequence[int] = (),
    ) -> None:
        if state.result is None:
            check_identifiers(ids, setup.counts[setup.me])
            check_values(values, len(ids) if setup.me == setup.value_side else 0, setup.bits)
        self.setup = setup
        self.state = state
        self._seed = seed
        self._ids = ids
        self._values = values
        self._map = map
        self._context = canonical.digest_bytes("ecohub/psi-session/1", setup.context).hex()

    # -- the interface

    def start(self) -> list[Outgoing]:
        """The leader's first messages; a follower has none. Raises WrongPhase after anything was received."""
        if self.state.result or self.state.taken:
            raise WrongPhase(expected=self.phase, got="start")
        out = self._opening()
        if not self.state.started:
            self._record(out)
            self.state.started = True
        return out

    def receive(self, sender: str, message: bytes) -> list[Outgoing]:
        """Take one message of an authenticated sender; give the messages that follow from it.

        Raises the failures of `wire.decode`, BadPoint, RepeatedPoint, BadRows. A refused message changes nothing.
        """
        if sender not in self.setup.peers:
            raise ForeignMessage(sender=sender[:40], field="sender")
        listing = self._expected(sender)
        earlier = self.state.taken.get((sender, listing.phase), []) if listing else []
        link = Link(
            mode=self.setup.mode,
            context=self._context,
            sender=sender,
            role=self._role_of(sender),
            recipient=self.setup.me,
        )
        records = wire.decode(message, link, listing, len(earlier), self.setup.points_per_message)
        assert listing is not None, "decode refuses a message that nothing waits for"
        if not self.state.started:
            raise WrongPhase(expected="start", got=listing.phase)
        absorbed = b"".join(self._absorb(sender, listing, split(records, listing.record_bytes)))
        before = dict(self.state.taken)
        self.state.taken[sender, listing.phase] = [*earlier, absorbed]
        try:
            out = self._advance(sender, listing) if len(earlier) + 1 == self._chunks(listing) else []
        except Exception:
            self.state.taken = before
            raise
        self._chain(sender, "received", message)
        self._record(out)
        if self.done:
            self._forget()
        return out

    @property
    def done(self) -> bool:
        return self.state.result is not None

    @property
    def phase(self) -> str:
        """What this side waits for: "start", a phase, or "done"."""
        if self.done or not self.state.started:
            return "done" if self.done else "start"
        return next(listing.phase for peer in self.setup.peers if (listing := self._expected(peer)))

    @property
    def ready(self) -> bool:
        """There is something for `work`: never here, `receive` does it all."""
        return False

    def work(self) -> list[Outgoing]:
        """One step of what is `ready`; its messages."""
        return []

    @property
    def progress(self) -> tuple[int, int]:
        """(messages taken, all messages to be taken)."""
        expected = sum(self._chunks(listing) for peer in self.setup.peers for listing in self._listings(peer))
        taken = sum(len(chunks) for chunks in self.state.taken.values())
        return (expected if self.done else taken), expected

    def result(self) -> Result:
        """The result. Raises NotFinished."""
        if self.state.result is None:
            raise NotFinished(phase=self.phase)
        return self.state.result

    def transcript(self, peer: str) -> bytes:
        """32 bytes over all messages with a peer in their order, the leader's (of two followers, that of the lower
        name) first: equal at both ends.
        """
        sent, received = self._chained(peer, "sent"), self._chained(peer, "received")
        followers = self.setup.role is self._role_of(peer)
        first = self.setup.me < peer if followers else self.setup.role is Role.LEADER
        pair = sent + received if first else received + sent
        return canonical.digest_bytes("ecohub/psi-transcript/1", pair)

    def dump(self) -> bytes:
        """The whole state, to be kept secret. A finished session's holds the result, no key and no lists."""
        return values.pack(self.setup, self.state, self._seed, self.identifiers_digest())

    def identifiers_digest(self) -> bytes:
        """32 bytes, keyed by the seed: what `load` compares the identifiers (and their values) with."""
        mac = hmac.new(self._seed, b"identifiers", hashlib.sha256)
        for item in self._ids:
            mac.update(len(item).to_bytes(2, "big") + item)
        for value in self._values:
            mac.update(value.to_bytes(VALUE_BITS_MAX // 8, "big"))
        return mac.digest()

    # -- what a protocol says

    @property
    @abstractmethod
    def _peer_role(self) -> Role: ...

    def _role_of(self, peer: str) -> Role:
        """As whom a peer speaks; sessions in which followers talk to one another say it for each."""
        return self._peer_role

    @abstractmethod
    def _opening(self) -> list[Outgoing]: ...

    @abstractmethod
    def _listings(self, peer: str) -> tuple[Listing, ...]:
        """The lists expected of a peer, in order."""

    @abstractmethod
    def _absorb(self, peer: str, listing: Listing, records: Sequence[bytes]) -> Sequence[bytes]:
        """Check a chunk's records and turn them into what is kept of them, one for one."""

    @abstractmethod
    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        """A whole list is here: answer, or set the result."""

    # -- helpers

    def _expected(self, peer: str) -> Listing | None:
        if self.done:
            return None
        for listing in self._listings(peer):
            if len(self.state.taken.get((peer, listing.phase), [])) < self._chunks(listing):
                return listing
        return None

    def _chunks(self, listing: Listing) -> int:
        return listing.chunks(self.setup.points_per_message)

    def _list(self, peer: str, listing: Listing) -> list[bytes]:
        """The whole absorbed list of a peer."""
        return split(b"".join(self.state.taken[peer, listing.phase]), listing.record_bytes)

    def _distinct(self, peer: str, listing: Listing) -> None:
        """Raises RepeatedPoint. The point stands first in a record."""
        points = {record[: group.POINT_BYTES] for record in self._list(peer, listing)}
        if len(points) != listing.count:
            raise RepeatedPoint(sender=peer, phase=listing.phase)

    def _send(self, peer: str, listing: Listing, records: Sequence[bytes]) -> list[Outgoing]:
        link = Link(
            mode=self.setup.mode, context=self._context, sender=self.setup.me, role=self.setup.role, recipient=peer
        )
        messages = wire.encode(link, listing, b"".join(records), self.setup.points_per_message)
        return [Outgoing(recipient=peer, message=message) for message in messages]

    def _hashed(self) -> list[bytes]:
        return group.hash_all(self._ids, group.domain(self.setup.context), self._map)

    def _stream(self, label: str) -> Callable[[int], bytes]:
        return keyed_stream(self._seed, label)

    def _record(self, out: Sequence[Outgoing]) -> None:
        for item in out:
            self._chain(item.recipient, "sent", item.message)

    def _chain(self, peer: str, direction: str, message: bytes) -> None:
        before = self._chained(peer, direction)
        self.state.chains[peer, direction] = hashlib.sha256(before + hashlib.sha256(message).digest()).digest()

    def _chained(self, peer: str, direction: str) -> bytes:
        return self.state.chains.get((peer, direction), bytes(32))

    def _forget(self) -> None:
        """The job is over: keys, lists, identifiers and values go."""
        self._seed = b""
        self._ids = ()
        self._values = ()
        self.state.taken = {}


def split(data: bytes, width: int) -> list[bytes]:
    return [data[i : i + width] for i in range(0, len(data), width)]
