"""A count that both sides make for themselves, and that the follower takes back below the minimum. No result of its
own: `count-then-rows` and `sum` begin with it.

leader → follower   { H(x)^a }, shuffled
follower → leader   { H(y)^b }, shuffled, and a commitment to the list it will send last
leader → follower   { H(y)^ab }, shuffled again: the follower counts, and cannot tell which of its clients
follower → leader   { H(x)^ab }, shuffled again, with the opening of the commitment: now the leader counts;
                    below the minimum as many random points, and random bytes for an opening

The Diffie-Hellman count (Huberman, Franklin, Hogg 1999; with shuffles De Cristofaro, Gasti, Tsudik, CANS 2012) run in
both directions over the same four lists: no more multiplications than for one side's count. What that buys:

* The minimum is kept by the follower's software, not only by the leader's. Below it the leader holds H(y)^b, H(y)^ab
  and random points: under DDH nothing that depends on whom both have.
* Neither can be told of clients that are not shared. A match counts where a list raised to the own secret key meets
  what the peer raised to its key of the own list. The leader sends its list before it can see any H(x)^ab; the follower
  is bound to H(x)^ab by its commitment before it sees any H(y)^ab, which it could have copied. Who knows s shared
  clients can enter them under many exponents each, but a point it returns counts only if it is of the one point in the
  other's shuffled list that is that client's. It returns as many points as the list has, and under DDH cannot tell
  which is which: whatever it returns, the expected count is at most s, so it reaches k with probability s/k at most.

The commitment is SHA-256(context ‖ opening ‖ points) with opening = SHA-256(shuffle key): binding by collision
resistance, hiding because the key has 256 bits of entropy. The order of the last list is a function of the shuffle key;
who is given the key can tell which of its clients are shared, and that it is the key follows from the opening.
Who learns what up to here: both the number of shared clients; below the minimum the follower's software knows the
figure, the leader learns only that it is below.
"""

from abc import abstractmethod
from collections.abc import Sequence

from privacy import canonical
from privacy.psi import elgamal, group
from privacy.psi.ecdh import Party
from privacy.psi.group import POINT_BYTES
from privacy.psi.randomness import keyed_stream, permutation
from privacy.psi.session import split
from privacy.psi.values import Outgoing, Role, Rows
from privacy.psi.wire import Listing

_HASH_BYTES = 32
_COMMITMENT, _OPENING = "follower-commitment", "follower-opening"


class Counting(Party):
    """What both sides share. A list's name begins with the party whose clients its points are of."""

    _found: tuple[int | None, ...] = ()  # the count, kept for as long as the session is in memory

    @property
    def _peer(self) -> str:
        return self.setup.peers[0]

    @property
    def _peer_role(self) -> Role:
        return Role.FOLLOWER if self.setup.role is Role.LEADER else Role.LEADER

    def _masked_by(self, owner: str) -> Listing:
        """A list under its owner's key; the value side's points carry ciphertexts of their values."""
        width = POINT_BYTES + (elgamal.CIPHERTEXT_BYTES if owner == self.setup.value_side else 0)
        return Listing(phase=self._name(owner, "masked"), count=self.setup.counts[owner], record_bytes=width)

    def _doubled_of(self, owner: str) -> Listing:
        return self._points(self._name(owner, "doubled"), owner)

    def _name(self, owner: str, what: str) -> str:
        return f"{self.setup.role if owner == self.setup.me else self._peer_role}-{what}"

    def _entry(self) -> list[Outgoing]:
        """This side's own list."""
        return self._give(self._masked_by(self.setup.me), self._masked(self._peer, self._hashed()))

    def _entry_lists(self) -> tuple[Listing, ...]:
        """What the peer's entry consists of."""
        return (self._masked_by(self._peer),)

    def _give(self, listing: Listing, records: Sequence[bytes]) -> list[Outgoing]:
        return self._send(self._peer, listing, records)

    def _taken(self, listing: Listing) -> list[bytes]:
        return self._list(self._peer, listing)

    def _absorb(self, peer: str, listing: Listing, records: Sequence[bytes]) -> Sequence[bytes]:
        if listing == self._masked_by(peer):
            points = [record[:POINT_BYTES] for record in records]
            carried = [record[POINT_BYTES:] for record in records]
            group.check_all([point for item in carried for point in split(item, POINT_BYTES)], self._map)
            raised = group.multiply_all(self._key(peer), points, self._map)
            return [point + item for point, item in zip(raised, carried, strict=True)]
        if listing == self._doubled_of(self.setup.me):
            group.check_all(records, self._map)
        return records

    def _both_keys(self) -> list[bytes]:
        """The peer's points under both keys, in the order received."""
        return [record[:POINT_BYTES] for record in self._taken(self._masked_by(self._peer))]

    def _shuffled(self, points: Sequence[bytes]) -> list[bytes]:
        return [points[i] for i in order_of(self._shuffle_key(), len(points))]

    def _shuffle_key(self) -> bytes:
        return self._stream(f"shuffle {self._peer}")(_HASH_BYTES)

    def _matches(self) -> list[int]:
        """Positions in the peer's list of the clients that both have; the peer alone knows whose they are."""
        own = set(self._taken(self._doubled_of(self.setup.me)))
        return [i for i, point in enumerate(self._both_keys()) if point in own]

    def _counted(self) -> int | None:
        """How many clients are shared; None below the minimum. Asked for once this side has all lists of the count."""
        if not self._found:
            self._found = (self._count(),)
        return self._found[0]

    def _count(self) -> int | None:
        count = len(self._matches())
        return count if count >= self.setup.minimum else None

    # -- what follows the count

    @abstractmethod
    def _later(self) -> tuple[Listing, ...]:
        """The lists expected of the peer after the count."""

    @abstractmethod
    def _after_count(self) -> list[Outgoing]:
        """This side has counted: what it says then."""

    @abstractmethod
    def _proceed(self, listing: Listing) -> list[Outgoing]:
        """A later list is here."""


class CountingLeader(Counting):
    """Counts last, and only if the follower opens its commitment."""

    def _opening(self) -> list[Outgoing]:
        return self._entry()

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        return (
            *self._entry_lists(),
            _hash(_COMMITMENT),
            self._doubled_of(self.setup.me),
            _hash(_OPENING),
            *self._later(),
        )

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        if listing in (self._masked_by(peer), self._doubled_of(self.setup.me)):
            self._distinct(peer, listing)
            return []
        if listing == _hash(_COMMITMENT):
            return self._give(self._doubled_of(peer), self._shuffled(self._both_keys()))
        if listing == _hash(_OPENING):
            return self._after_count()
        return [] if listing in self._entry_lists() else self._proceed(listing)

    def _count(self) -> int | None:
        points = self._taken(self._doubled_of(self.setup.me))
        (committed,), (opening,) = self._taken(_hash(_COMMITMENT)), self._taken(_hash(_OPENING))
        return super()._count() if commitment(self.setup.context, opening, points) == committed else None


class CountingFollower(Counting):
    """Counts first, and lets the leader count if there are enough."""

    def _opening(self) -> list[Outgoing]:
        return []

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        return (*self._entry_lists(), self._doubled_of(self.setup.me), *self._later())

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        if listing == self._masked_by(peer):
            self._distinct(peer, listing)
            committed = commitment(
                self.setup.context, opening_of(self._shuffle_key()), self._shuffled(self._both_keys())
            )
            return [*self._entry(), *self._give(_hash(_COMMITMENT), [committed])]
        if listing == self._doubled_of(self.setup.me):
            self._distinct(peer, listing)
            return [*self._answer(), *self._after_count()]
        return [] if listing in self._entry_lists() else self._proceed(listing)

    def _answer(self) -> list[Outgoing]:
        if self._counted() is None:
            withheld = self._stream("withheld")
            points, opening = elgamal.random_points(self.setup.counts[self._peer], withheld), withheld(_HASH_BYTES)
        else:
            points, opening = self._shuffled(self._both_keys()), opening_of(self._shuffle_key())
        return [*self._give(self._doubled_of(self._peer), points), *self._give(_hash(_OPENING), [opening])]


def order_of(shuffle_key: bytes, count: int) -> Rows:
    """order[position in the shuffled list] = position in the list received."""
    return permutation(count, keyed_stream(shuffle_key, "shuffled"))


def opening_of(shuffle_key: bytes) -> bytes:
    return canonical.digest_bytes("ecohub/psi-shuffle/1", shuffle_key)


def commitment(context: bytes, opening: bytes, points: Sequence[bytes]) -> bytes:
    """32 bytes that bind the follower to a list of points, and to the key of its order."""
    assert len(opening) == _HASH_BYTES, "the parts of a commitment have fixed lengths, but for the last"
    listed = canonical.digest_bytes("ecohub/psi-committed-points/1", b"".join(points))
    job = canonical.digest_bytes("ecohub/psi-committed-job/1", context)
    return canonical.digest_bytes("ecohub/psi-commitment/1", job + opening + listed)


def _hash(phase: str) -> Listing:
    return Listing(phase=phase, count=1, record_bytes=_HASH_BYTES)
