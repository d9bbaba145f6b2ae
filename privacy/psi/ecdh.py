"""Diffie-Hellman matching over edwards25519: how many clients two parties share, or an order of the clients all share.

Hash each identifier to the group, H(x). A leader with key a and a follower with key b obtain H(x)^(ab) of both sides'
identifiers without either seeing the other's H(x): equal values are shared clients (Meadows 1986; Huberman, Franklin,
Hogg 1999). Secure under DDH and the random oracle against parties that follow the protocol. What it does not stop is in
docs/matching.md: sizes are seen, guessed identifiers can be entered, a leader that deviates in `count` can learn more.

count: leader → {H(x)^a} shuffled; follower → {H(y)^b} shuffled and the leader's points doubled, {H(x)^(ab)}, shuffled
again. The leader can count matches and cannot tell which. The follower learns nothing.

align: the leader does this with each follower under a key of its own for each, but gets its points back in order. It
so learns WHICH OF ITS CLIENTS EACH FOLLOWER HAS, that is all pairwise overlaps with itself, not only the common
clients. It draws a 16-byte token for each client that all have, sorts by token, and sends each follower the positions,
in that follower's own shuffled list, in this order. Followers learn only the common clients. Below the minimum nobody
gets rows. The message with the rows has the same length whatever the result.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from privacy.psi import group, row_list
from privacy.psi.errors import BadRows
from privacy.psi.randomness import permutation
from privacy.psi.session import Session
from privacy.psi.values import AlignResult, CountResult, Outcome, Outgoing, Role, Rows
from privacy.psi.wire import Listing

_POSITION_BYTES = 4


class Party(Session):
    """What leaders and followers share: keys and orders for each peer, lists of points."""

    def _key(self, peer: str) -> bytes:
        return group.draw_scalar(self._stream(f"key {peer}"))

    def _order(self, peer: str) -> Rows:
        """order[position in the list sent to this peer] = position of the identifier."""
        return permutation(len(self._ids), self._stream(f"order {peer}"))

    def _masked(self, peer: str, hashed: Sequence[bytes]) -> list[bytes]:
        shuffled = [hashed[i] for i in self._order(peer)]
        return group.multiply_all(self._key(peer), shuffled, self._map)

    def _points(self, phase: str, owner: str) -> Listing:
        return Listing(phase=phase, count=self.setup.counts[owner], record_bytes=group.POINT_BYTES)

    def _rows_listing(self) -> Listing:
        return row_list.listing(self.setup.counts, _POSITION_BYTES + row_list.TOKEN_BYTES)


class Leader(Party):
    """Takes both lists of each follower, and concludes when it has all."""

    @property
    def _peer_role(self) -> Role:
        return Role.FOLLOWER

    def _opening(self) -> list[Outgoing]:
        hashed = self._hashed()
        out: list[Outgoing] = []
        for peer in self.setup.peers:
            out += self._send(peer, self._points("leader-masked", self.setup.me), self._masked(peer, hashed))
        return out

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        return (self._points("follower-masked", peer), self._points("leader-doubled", self.setup.me))

    def _absorb(self, peer: str, listing: Listing, records: Sequence[bytes]) -> Sequence[bytes]:
        if listing.phase == "follower-masked":
            return group.multiply_all(self._key(peer), records, self._map)
        group.check_all(records, self._map)
        return records

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        self._distinct(peer, listing)
        if any(self._expected(other) for other in self.setup.peers):
            return []
        return self._conclude()

    def _both(self, peer: str) -> tuple[list[bytes], list[bytes]]:
        """(the follower's points, the leader's points), both under both keys."""
        theirs, own = self._listings(peer)
        return self._list(peer, theirs), self._list(peer, own)

    def _positions(self, peer: str) -> Rows:
        """For each own identifier its position in the follower's list, or -1, if what came back is in order."""
        theirs, own = self._both(peer)
        where = {point: position for position, point in enumerate(theirs)}
        found = np.full(len(own), -1, np.int64)
        found[self._order(peer)] = [where.get(point, -1) for point in own]
        return found

    @abstractmethod
    def _conclude(self) -> list[Outgoing]:
        """Every list of every follower is here: set the result, tell the followers."""


class Follower(Party):
    """Raises the leader's list to its own key, and sends its own."""

    @property
    def _peer_role(self) -> Role:
        return Role.LEADER

    def _opening(self) -> list[Outgoing]:
        return []

    def _absorb(self, peer: str, listing: Listing, records: Sequence[bytes]) -> Sequence[bytes]:
        if listing.phase == "leader-masked":
            return group.multiply_all(self._key(peer), records, self._map)
        return records

    def _answer(self, leader: str, doubled: Sequence[bytes]) -> list[Outgoing]:
        masked = self._masked(leader, self._hashed())
        return [
            *self._send(leader, self._points("follower-masked", self.setup.me), masked),
            *self._send(leader, self._points("leader-doubled", leader), doubled),
        ]


class CountLeader(Leader):
    """Learns how many clients are shared. Below the minimum its own software withholds the figure."""

    def _conclude(self) -> list[Outgoing]:
        theirs, own = self._both(self.setup.peers[0])
        count = self._figure(len(set(theirs) & set(own)))
        if count < self.setup.minimum:
            self.state.result = CountResult(outcome=Outcome.BELOW_MINIMUM, count=None)
        else:
            self.state.result = CountResult(outcome=Outcome.SHARED, count=count)
        return []

    def _figure(self, matches: int) -> int:
        """The number of shared clients, or what is shown for it, from the number of points in both lists."""
        return matches


class CountFollower(Follower):
    """Answers the leader and learns nothing."""

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        return (self._points("leader-masked", peer),)

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        self._distinct(peer, listing)
        doubled = self._list(peer, listing)
        shuffled = [doubled[i] for i in permutation(len(doubled), self._stream(f"doubled {peer}"))]
        out = self._answer(peer, shuffled)
        self.state.result = CountResult(outcome=Outcome.NOT_ENTITLED, count=None)
        return out


class AlignLeader(Leader):
    """Learns which of its clients each follower has (every pairwise overlap), and gives all the common order."""

    def _conclude(self) -> list[Outgoing]:
        peers = self.setup.peers
        positions = {peer: self._positions(peer) for peer in peers}
        common = np.flatnonzero(np.all([positions[peer] >= 0 for peer in peers], axis=0)).astype(np.int64)
        if len(common) < self.setup.minimum:
            self.state.result = row_list.below_minimum()
            return self._tell({peer: [] for peer in peers}, [], below=True)
        ranks, tokens = row_list.draw_tokens(self._stream("tokens"), len(common))
        rows = common[ranks]
        self.state.result = AlignResult(
            outcome=Outcome.SHARED, rows=rows, tokens=tuple(token.hex() for token in tokens)
        )
        places = {peer: positions[peer][rows].tolist() for peer in peers}
        known = {peer: [place.to_bytes(_POSITION_BYTES, "big") for place in each] for peer, each in places.items()}
        return self._tell(known, tokens)

    def _tell(self, known: dict[str, list[bytes]], tokens: Sequence[bytes], *, below: bool = False) -> list[Outgoing]:
        listing = self._rows_listing()
        rows = {peer: row_list.with_tokens(each, tokens) for peer, each in known.items()}
        lists = {peer: row_list.pack(listing, each, below=below) for peer, each in rows.items()}
        return [item for peer, records in lists.items() for item in self._send(peer, listing, records)]


class AlignFollower(Follower):
    """Learns which of its clients all parties share, and their common order."""

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        return (self._points("leader-masked", peer), self._rows_listing())

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        if listing.phase == "leader-masked":
            self._distinct(peer, listing)
            return self._answer(peer, self._list(peer, listing))
        self.state.result = self._read(peer, self._list(peer, listing))
        return []

    def _read(self, leader: str, records: Sequence[bytes]) -> AlignResult:
        rows = row_list.unpack(records, self.setup.minimum, leader)
        if rows is None:
            return row_list.below_minimum()
        positions = [int.from_bytes(row[:_POSITION_BYTES], "big") for row in rows]
        if any(place >= len(self._ids) for place in positions) or len(set(positions)) != len(rows):
            raise BadRows(sender=leader, why="a position is repeated or out of range")
        tokens = row_list.tokens_of(rows, leader)
        own = self._order(leader)[np.array(positions, np.int64)]
        return AlignResult(outcome=Outcome.SHARED, rows=own, tokens=tuple(token.hex() for token in tokens))
