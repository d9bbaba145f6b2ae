"""A common order of the union of two parties' clients, in which neither learns which of its clients the other has.

Private-ID of Buddhavarapu, Knox, Mohassel, Sengupta, Taubeneck, Vlaskin, Private matching for compute, eprint 2020/599.
Both parties get the same sorted list of tokens, one for each client that either has (the spine), and each learns which
tokens are its own clients'. Either can then fill a row for every token, made up where it has no client, and compute on
shares or ciphertexts of all rows without anybody learning whose rows are real on both sides.

The leader has the keys a and r, the follower b and t, all fresh. Written for a client x the leader has, y the follower.

leader → follower   { H(x)^a }, shuffled
follower → leader   { H(y)^b }, shuffled; { H(x)^abt } in the order received; { H(x)^ab }, sorted
leader → follower   { H(y)^abr } in the order received; the sizes; of what only the follower has { H(y)^ab } and of
                    what only it has itself { H(x)^abr }, both sorted and padded to the committed counts
follower → leader   { H(y)^abt } of what only the follower has, in the order received and padded; a digest of the spine
leader → follower   its own digest of the spine: unless both agree, neither has a result

A client's token is a digest of H(x)^abrt. Both sides compute it for their own clients from what came back in order,
and for those of the other alone from the other two lists; shared clients are in both sides' own lists.

Who learns what: both the sizes of the sets and of the union, so how many clients are shared, and the tokens of their
own clients. Below the minimum the follower learns only that it is below, the leader's software knows the figure. This
holds for parties that follow the protocol (DDH, random oracle): each holds lists under two keys of the other's, (b, bt)
or (a, ar), whose points look independent, and what ties a list's order to clients was shuffled or sorted by its owner.
A party that deviates can have points raised to the other's key under a pretext, and link them: docs/matching.md.
Five multiplications and a hash to the group a client and side; eight points travel for a client of each side.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from privacy import canonical
from privacy.psi import group
from privacy.psi.errors import BadRows
from privacy.psi.randomness import permutation
from privacy.psi.session import Session
from privacy.psi.values import Outcome, Outgoing, Role, Rows, SpineResult
from privacy.psi.wire import Listing

TOKEN_BYTES = 16
_DIGEST_BYTES = 32
_SIZES_BYTES = 12  # outcome, how many clients only the follower has, how many only the leader has
_SHARED, _BELOW_MINIMUM = 0, 1
_PADDING = bytes(group.POINT_BYTES)  # as a point it would have order 4: `group` refuses it everywhere


class _Party(Session):
    """What both sides share. A phase's name begins with the party whose clients the points are of."""

    _phases: ClassVar[tuple[str, ...]]  # what is expected, in order
    _keys: ClassVar[Mapping[str, str]]  # which own key a received list is multiplied by
    _padded: ClassVar[frozenset[str]] = frozenset({"follower-only", "leader-only", "follower-only-tripled"})

    @property
    def _peer(self) -> str:
        return self.setup.peers[0]

    def _listing(self, phase: str) -> Listing:
        if phase in ("sizes", "spine"):
            return Listing(phase=phase, count=1, record_bytes=_SIZES_BYTES if phase == "sizes" else _DIGEST_BYTES)
        own = phase.startswith("leader") is (self.setup.role is Role.LEADER)
        owner = self.setup.me if own else self._peer
        return Listing(phase=phase, count=self.setup.counts[owner], record_bytes=group.POINT_BYTES)

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        return tuple(self._listing(phase) for phase in self._phases)

    def _taken(self, phase: str) -> list[bytes]:
        return self._list(self._peer, self._listing(phase))

    def _give(self, phase: str, records: Sequence[bytes]) -> list[Outgoing]:
        listing = self._listing(phase)
        padding = [_PADDING] * (listing.count - len(records) if phase in self._padded else 0)
        return self._send(self._peer, listing, [*records, *padding])

    def _times(self, key: str, points: Sequence[bytes]) -> list[bytes]:
        return group.multiply_all(group.draw_scalar(self._stream(f"key {key}")), points, self._map)

    def _order(self) -> Rows:
        """order[position in the masked list] = position of the identifier."""
        return permutation(len(self._ids), self._stream("order"))

    def _masked(self) -> list[bytes]:
        hashed = self._hashed()
        return self._times("mask", [hashed[i] for i in self._order()])

    def _absorb(self, peer: str, listing: Listing, records: Sequence[bytes]) -> Sequence[bytes]:
        key = self._keys.get(listing.phase)
        if key is None:
            if listing.phase == "leader-doubled":
                group.check_all(records, self._map)
            return records
        if listing.phase not in self._padded:
            return self._times(key, records)
        points = iter(self._times(key, [point for point in records if point != _PADDING]))
        return [point if point == _PADDING else next(points) for point in records]

    def _only(self, phase: str, count: int) -> list[bytes]:
        """The points of a padded list. Raises BadRows unless it has `count` different ones and then padding."""
        records = self._taken(phase)
        points, padding = records[:count], records[count:]
        if _PADDING in points or len(set(points)) != count or any(item != _PADDING for item in padding):
            raise BadRows(sender=self._peer, why=f"{phase} does not hold the {count} clients it should")
        return points

    def _spine(self, own: Sequence[bytes], others: Sequence[bytes]) -> SpineResult:
        """own: the tokens' points of this side's clients, in the masked list's order. Raises BadRows."""
        tokens = [_token(point) for point in own]
        spine = sorted({*tokens, *map(_token, others)})
        if len(spine) != len(own) + len(others):
            raise BadRows(sender=self._peer, why="a client of one side alone is in both sides' lists")
        place = {token: i for i, token in enumerate(spine)}
        rows = np.empty(len(own), np.int64)
        rows[self._order()] = [place[token] for token in tokens]
        return SpineResult(outcome=Outcome.SHARED, rows=rows, tokens=tuple(token.hex() for token in spine))

    def _agree(self, result: SpineResult) -> None:
        """Raises BadRows unless the peer's digest of the spine is this side's."""
        if self._taken("spine") != [_digest(result)]:
            raise BadRows(sender=self._peer, why="its digest of the union's tokens is another one")


class AlignHiddenLeader(_Party):
    """Finds what only one side has, from points nobody can trace back to clients."""

    _phases = ("follower-masked", "leader-tripled", "leader-doubled", "follower-only-tripled", "spine")
    _keys: ClassVar[Mapping[str, str]] = {
        "follower-masked": "mask",
        "leader-tripled": "spine",
        "follower-only-tripled": "spine",
    }

    @property
    def _peer_role(self) -> Role:
        return Role.FOLLOWER

    def _opening(self) -> list[Outgoing]:
        return self._give("leader-masked", self._masked())

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        if listing.phase == "leader-doubled":
            self._distinct(peer, listing)
            return self._sort_out()
        if listing.phase == "follower-only-tripled":
            self._finished()  # a wrong list is refused while the right one can still come
            return []
        if listing.phase != "spine":
            self._distinct(peer, listing)
            return []
        result = self._finished()
        self._agree(result)
        self.state.result = result
        return self._give("spine", [_digest(result)])

    def _differences(self) -> tuple[list[bytes], list[bytes]] | None:
        """(of what only the follower has, of what only the leader has), sorted; None below the minimum."""
        theirs, own = set(self._taken("follower-masked")), set(self._taken("leader-doubled"))
        if len(theirs & own) < self.setup.minimum:
            return None
        return sorted(theirs - own), sorted(own - theirs)

    def _sort_out(self) -> list[Outgoing]:
        found = self._differences()
        only_follower, only_leader = found or ([], [])
        sizes = (_BELOW_MINIMUM if found is None else _SHARED, len(only_follower), len(only_leader))
        return [
            *self._give("follower-tripled", self._times("spine", self._taken("follower-masked"))),
            *self._give("sizes", [b"".join(size.to_bytes(4, "big") for size in sizes)]),
            *self._give("follower-only", only_follower),
            *self._give("leader-only", sorted(self._times("spine", only_leader))),
        ]

    def _finished(self) -> SpineResult:
        found = self._differences()
        others = self._only("follower-only-tripled", len(found[0]) if found else 0)
        return self._spine(self._taken("leader-tripled"), others) if found else _below_minimum()


class AlignHiddenFollower(_Party):
    """Answers the leader, and lends its keys to what the leader sorted out."""

    _phases = ("leader-masked", "follower-tripled", "sizes", "follower-only", "leader-only", "spine")
    _keys: ClassVar[Mapping[str, str]] = {
        "leader-masked": "mask",
        "follower-tripled": "spine",
        "follower-only": "spine",
        "leader-only": "spine",
    }

    @property
    def _peer_role(self) -> Role:
        return Role.LEADER

    def _opening(self) -> list[Outgoing]:
        return []

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        match listing.phase:
            case "leader-masked":
                self._distinct(peer, listing)
                return self._answer()
            case "follower-tripled":
                self._distinct(peer, listing)
            case "sizes":
                self._sizes()
            case "follower-only":
                self._only(listing.phase, self._sizes()[1])
            case "leader-only":
                digest = _digest(self._finished())
                tripled = self._only("follower-only", self._sizes()[1])
                return [*self._give("follower-only-tripled", tripled), *self._give("spine", [digest])]
            case _:
                result = self._finished()
                self._agree(result)
                self.state.result = result
        return []

    def _answer(self) -> list[Outgoing]:
        doubled = self._taken("leader-masked")
        return [
            *self._give("follower-masked", self._masked()),
            *self._give("leader-tripled", self._times("spine", doubled)),
            *self._give("leader-doubled", sorted(doubled)),
        ]

    def _sizes(self) -> tuple[int, int, int]:
        """(outcome, clients only this side has, clients only the leader has). Raises BadRows."""
        (record,) = self._taken("sizes")
        status, own, other = (int.from_bytes(record[i : i + 4], "big") for i in (0, 4, 8))
        shared = self.setup.counts[self.setup.me] - own
        if status not in (_SHARED, _BELOW_MINIMUM) or (status == _BELOW_MINIMUM and (own or other)):
            raise BadRows(sender=self._peer, why="its sizes are malformed")
        if status == _SHARED and (shared < 0 or shared != self.setup.counts[self._peer] - other):
            raise BadRows(sender=self._peer, why="its sizes do not fit the committed counts")
        if status == _SHARED and shared < self.setup.minimum:
            raise BadRows(sender=self._peer, why="fewer clients are shared than the agreed minimum")
        return status, own, other

    def _finished(self) -> SpineResult:
        status, _, other = self._sizes()
        others = self._only("leader-only", other)
        return self._spine(self._taken("follower-tripled"), others) if status == _SHARED else _below_minimum()


def _below_minimum() -> SpineResult:
    return SpineResult(outcome=Outcome.BELOW_MINIMUM, rows=np.empty(0, np.int64), tokens=())


def _token(point: bytes) -> bytes:
    return hashlib.sha256(b"ecohub/psi-spine-token/1\x00" + point).digest()[:TOKEN_BYTES]


def _digest(result: SpineResult) -> bytes:
    return canonical.digest_bytes("ecohub/psi-spine/1", "".join(result.tokens).encode())
