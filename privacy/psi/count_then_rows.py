"""Mode `count-then-rows`: both sides see how many clients are shared; then, if both agree, the leader sees which.

After the count (`privacy.psi.counted`) each session waits for its own people, phase "decision": the node shows
`counted()` and calls `agree()` or `refuse()`.

leader → follower   its decision and the number it counted
follower → leader   its decision, the number, and, if both agreed, the key of its shuffle

With the key the leader knows which of its points stands where in the follower's last list, so which of its clients are
shared. The key fits the opening it got with that list, so the follower decided on it before it knew the count, and
gives one order or none. Nobody gives anything below the minimum: both then send, at once, the same two messages without
a key. All messages have one length whatever was counted and decided.

Who learns what: both the number; if both agree, the leader which of its clients the follower has, and the follower that
the leader now knows. Sides that follow the protocol are assumed: the follower could have shuffled otherwise than by its
key, so that the leader's rows are of other clients; nothing proves the multiplication by its key either.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from privacy.psi.counted import Counting, CountingFollower, CountingLeader, opening_of, order_of
from privacy.psi.errors import BadDecision, NotFinished, WrongPhase
from privacy.psi.values import CountedRowsResult, Outcome, Outgoing, Role, Rows
from privacy.psi.wire import Listing

DECISION = "decision"  # the phase in which a session waits for its own people
AGREED, REFUSED, BELOW = "agreed", "refused", "below the minimum"
_STATUSES = ("", AGREED, REFUSED, BELOW)
_KEY_BYTES = 32
_NO_KEY = bytes(_KEY_BYTES)
_NO_ROWS: Rows = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    status: str
    count: int  # 0 below the minimum
    key: bytes  # zeros unless the follower gives it

    def pack(self) -> bytes:
        return _STATUSES.index(self.status).to_bytes(4, "big") + self.count.to_bytes(4, "big") + self.key


class CountThenRows(Counting):
    """What both sides share: the decision of their people, and what they hear of the other's."""

    def counted(self) -> int | None:
        """The number of shared clients; None below the minimum. Raises NotFinished before it is known."""
        if isinstance(self.state.result, CountedRowsResult):
            return self.state.result.count
        if not self._count_over():
            raise NotFinished(phase=self.phase)
        return self._counted()

    def agree(self) -> list[Outgoing]:
        """This side's people agree that the leader gets rows. Raises WrongPhase unless `phase` is "decision"."""
        return self._decide(AGREED)

    def refuse(self) -> list[Outgoing]:
        """This side's people do not: no rows. Raises WrongPhase unless `phase` is "decision"."""
        return self._decide(REFUSED)

    @property
    def phase(self) -> str:
        return DECISION if self._undecided() else super().phase

    def _count_over(self) -> bool:
        return self._expected(self._peer) in (None, self._decision_of(self._peer))

    def _undecided(self) -> bool:
        return not self.done and not self.state.decision and self._count_over() and self._counted() is not None

    def _decision_of(self, party: str) -> Listing:
        return Listing(phase=self._name(party, "decision"), count=1, record_bytes=8 + _KEY_BYTES)

    def _later(self) -> tuple[Listing, ...]:
        return (self._decision_of(self._peer),)

    def _decide(self, decision: str) -> list[Outgoing]:
        if not self._undecided():
            raise WrongPhase(expected=self.phase, got=decision)
        self.state.decision = decision
        out = self._decided()
        self._record(out)
        if self.done:
            self._forget()
        return out

    @abstractmethod
    def _decided(self) -> list[Outgoing]:
        """What follows from this side's decision."""

    def _say(self, status: str, key: bytes = _NO_KEY) -> list[Outgoing]:
        decision = _Decision(status=status, count=self._counted() or 0, key=key)
        return self._give(self._decision_of(self.setup.me), [decision.pack()])

    def _heard(self) -> _Decision:
        """The peer's decision. Raises BadDecision unless it counted the same; a key comes with agreement alone."""
        (record,) = self._taken(self._decision_of(self._peer))
        status, count = int.from_bytes(record[:4], "big"), int.from_bytes(record[4:8], "big")
        if not 1 <= status < len(_STATUSES):
            raise BadDecision(sender=self._peer, why="it is none of those there are")
        heard, own = _Decision(status=_STATUSES[status], count=count, key=record[8:]), self._counted()
        if (heard.status == BELOW) is not (own is None) or count != (own or 0):
            raise BadDecision(sender=self._peer, why="it counted otherwise")
        if heard.key != _NO_KEY and (heard.status != AGREED or self._peer_role is Role.LEADER):
            raise BadDecision(sender=self._peer, why="it gives a key where none is due")
        return heard

    def _finish(self, outcome: Outcome, rows: Rows = _NO_ROWS) -> None:
        self.state.result = CountedRowsResult(outcome=outcome, count=self._counted(), rows=np.sort(rows))


class CountThenRowsLeader(CountThenRows, CountingLeader):
    """Learns which of its clients the follower has, once both agreed."""

    def _after_count(self) -> list[Outgoing]:
        return self._say(BELOW) if self._counted() is None else []

    def _decided(self) -> list[Outgoing]:
        return self._say(self.state.decision)

    def _proceed(self, listing: Listing) -> list[Outgoing]:
        heard = self._heard()
        if self._undecided():
            raise WrongPhase(expected=DECISION, got=listing.phase)
        if heard.status != AGREED:
            self._finish(Outcome.BELOW_MINIMUM if heard.status == BELOW else Outcome.REFUSED)
        elif self.state.decision != AGREED:
            raise BadDecision(sender=self._peer, why="it agrees to rows that this side refused")
        else:
            self._finish(Outcome.SHARED, self._rows(heard.key))
        return []

    def _rows(self, shuffle_key: bytes) -> Rows:
        (opening,) = self._taken(Listing(phase="follower-opening", count=1, record_bytes=_KEY_BYTES))
        if opening_of(shuffle_key) != opening:
            raise BadDecision(sender=self._peer, why="its key is not the one it was bound to")
        points, theirs = self._taken(self._doubled_of(self.setup.me)), set(self._both_keys())
        shared = [place for place, point in enumerate(points) if point in theirs]
        sent: Rows = order_of(shuffle_key, len(points))[shared]
        return self._order(self._peer)[sent]


class CountThenRowsFollower(CountThenRows, CountingFollower):
    """Lets the leader see which clients are shared, once both agreed; sees the number only."""

    def _after_count(self) -> list[Outgoing]:
        return []

    def _decided(self) -> list[Outgoing]:
        return [] if self._expected(self._peer) else self._reply()

    def _proceed(self, listing: Listing) -> list[Outgoing]:
        return self._reply() if self._heard().status != AGREED or self.state.decision else []

    def _reply(self) -> list[Outgoing]:
        """The leader has decided, and so has this side where there is something to decide."""
        heard = self._heard()
        if heard.status == BELOW:
            out = self._say(BELOW)
            self._finish(Outcome.BELOW_MINIMUM)
        elif heard.status == self.state.decision == AGREED:
            out = self._say(AGREED, self._shuffle_key())
            self._finish(Outcome.GAVE_ROWS)
        else:
            out = self._say(REFUSED)
            self._finish(Outcome.REFUSED)
        return out
