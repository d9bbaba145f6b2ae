"""A common order of the clients that all of three or more parties share, in which nobody learns what two of them share.

A star of oblivious programmable pseudorandom functions with shares of zero: Kolesnikov, Matania, Pinkas, Rosulek,
Trieu, Practical multi-party private set intersection from symmetric-key techniques, CCS 2017 (unconditional shares).
The function of follower j is F_j(x) = BLAKE2b(H(x)^k_j, x) under its key k_j, evaluated blindly (2HashDH: Jarecki,
Kiayias, Krawczyk, Asiacrypt 2014; RFC 9497). It is programmed by a key-value store over GF(2) (`oprf.okvs`: Garimella,
Pinkas, Rosulek, Trieu, Yanai, Crypto 2021).

every pair         Diffie-Hellman with fresh keys: a key K_ij that only the two know. A party's share of zero at x is
                   s_i(x) = XOR over the others j of BLAKE2b(K_ij, x): at every x, the shares of all parties add up to 0
leader → follower  { H(x)^a }, shuffled, the same list to all
follower → leader  { H(x)^(a k_j) } in the order received; a store that gives s_j(y) ⊕ F_j(y) at each of its clients y
leader             takes a off and evaluates F_j(x); looks each of its clients up in all stores, adds its own share: the
                   sum is 0 (16 bytes) exactly for the clients that all have
leader → follower  for each common client a second output of F_j, by which the follower knows it, and its token; in the
                   order of the random tokens, padded to a fixed length

Who learns what: everybody the sizes of all sets; all, which of their clients everybody shares, and a common order.
Below the minimum only the leader's software has the rows, the followers learn that it is below. Nobody learns what
fewer than all parties share: at a client that follower j has, its store gives the leader a share which is masked by
the keys of followers with each other, and as good as random until the shares of all followers are there.

This holds for parties that follow the protocol (DDH, random oracle), one of them or any followers together looking at
what they saw. A leader that conspires with followers learns what its set shares with those of all others: their keys
give it their shares at every client. (The paper's augmented model: they could have entered the leader's set as theirs.)
Costs: a follower one hash to the group and multiplication a client of its own and one a client of the leader's; the
leader one hash and multiplication a client, and one more for each follower.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from nacl.bindings import crypto_core_ed25519_scalar_invert, crypto_scalarmult_ed25519_base_noclamp

from privacy import canonical
from privacy.psi import group, row_list
from privacy.psi.errors import BadRows, BadSetup
from privacy.psi.oprf import okvs
from privacy.psi.oprf.digests import digest_all
from privacy.psi.oprf.errors import StoreUnsolvable
from privacy.psi.oprf.okvs import Shape
from privacy.psi.oprf.parameters import ATTEMPTS, BUCKET_KEYS_MAX, CORE_ROWS_MAX, parameters
from privacy.psi.randomness import permutation
from privacy.psi.session import Session, split
from privacy.psi.values import ALIGN_ALL_IDENTIFIERS_MAX, AlignResult, Mode, Outcome, Outgoing, Role, Rows
from privacy.psi.wire import Listing

Words: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

SHARE_BYTES = 16  # a client of the leader's that not all have looks common with probability 2^-128
TAG_BYTES = 16


class _Party(Session):
    @property
    def _peer_role(self) -> Role:
        raise AssertionError("a follower has peers of both roles: `_role_of`")

    def _role_of(self, peer: str) -> Role:
        return Role.LEADER if peer == self._leader else Role.FOLLOWER

    @property
    def _leader(self) -> str:
        return self.setup.me if self.setup.role is Role.LEADER else self.setup.peers[0]

    def _opening(self) -> list[Outgoing]:
        public = crypto_scalarmult_ed25519_base_noclamp(self._pair_scalar)
        return [item for peer in self.setup.peers for item in self._send(peer, _PAIR_KEY, [public])]

    def _absorb(self, peer: str, listing: Listing, records: Sequence[bytes]) -> Sequence[bytes]:
        match listing.phase:
            case "pair-key":
                return group.multiply_all(self._pair_scalar, records, self._map)
            case "leader-masked" | "leader-doubled":
                return group.multiply_all(self._list_scalar, records, self._map)
        return records

    @property
    def _pair_scalar(self) -> bytes:
        return group.draw_scalar(self._stream("pair key"))

    @property
    @abstractmethod
    def _list_scalar(self) -> bytes:
        """What a received list of points is multiplied by."""

    def _masked_points(self, owner: str, phase: str) -> Listing:
        return Listing(phase=phase, count=self.setup.counts[owner], record_bytes=group.POINT_BYTES)

    def _store_listing(self, follower: str) -> Listing:
        return Listing(phase="store", count=store_slots(self.setup.counts[follower]), record_bytes=SHARE_BYTES)

    def _rows_listing(self) -> Listing:
        return row_list.listing(self.setup.counts, TAG_BYTES + row_list.TOKEN_BYTES)

    def _shares(self, ids: Sequence[bytes]) -> Words:
        """This party's share of zero at every identifier: n × 2 words."""
        total = np.zeros((len(ids), 2), np.uint64)
        for peer in self.setup.peers:
            (point,) = self._list(peer, _PAIR_KEY)
            pair: canonical.Value = [point.hex(), self._context, *sorted((self.setup.me, peer))]
            total ^= _keyed(canonical.digest("ecohub/psi-pair-key/1", pair), ids, SHARE_BYTES)
        return total

    def _outputs(self, points: Sequence[bytes], ids: Sequence[bytes]) -> Words:
        """F at every identifier, from H(x)^k: n × 4 words, two that mask a share and two that are the tag."""
        key = canonical.digest_bytes("ecohub/psi-allparty-function/1", self.setup.context)
        inputs = [point + item for point, item in zip(points, ids, strict=True)]
        return _keyed(key, inputs, SHARE_BYTES + TAG_BYTES)

    def _places(self, ids: Sequence[bytes], seed: bytes, shape: Shape) -> okvs.Keys:
        salt = canonical.digest_bytes("ecohub/psi-allparty-store/1", self.setup.context)
        return okvs.place(digest_all(ids, salt), seed, shape)


class AlignAllLeader(_Party):
    """Learns which of its clients all parties have, no pairwise overlap, and gives all the common order."""

    @property
    def _mask(self) -> bytes:
        return group.draw_scalar(self._stream("mask"))

    @property
    def _list_scalar(self) -> bytes:
        return bytes(crypto_core_ed25519_scalar_invert(self._mask))

    def _order(self) -> Rows:
        return permutation(len(self._ids), self._stream("order"))

    def _opening(self) -> list[Outgoing]:
        hashed = self._hashed()
        masked = group.multiply_all(self._mask, [hashed[i] for i in self._order()], self._map)
        listing = self._masked_points(self.setup.me, "leader-masked")
        return super()._opening() + [item for peer in self.setup.peers for item in self._send(peer, listing, masked)]

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        doubled = self._masked_points(self.setup.me, "leader-doubled")
        return (_PAIR_KEY, doubled, _STORE_SEED, self._store_listing(peer))

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        if listing.phase == "leader-doubled":
            self._distinct(peer, listing)
        if any(self._expected(other) for other in self.setup.peers):
            return []
        return self._conclude()

    def _conclude(self) -> list[Outgoing]:
        order = self._order()
        ids = [self._ids[i] for i in order]
        total = self._shares(ids)
        tags: dict[str, Words] = {}
        for peer in self.setup.peers:
            outputs = self._outputs(self._list(peer, self._masked_points(self.setup.me, "leader-doubled")), ids)
            total ^= self._looked_up(peer, ids) ^ outputs[:, :2]
            tags[peer] = outputs[:, 2:]
        common = np.flatnonzero(~total.any(axis=1))
        if len(common) < self.setup.minimum:
            self.state.result = row_list.below_minimum()
            return self._tell({peer: [] for peer in tags}, [], below=True)
        ranks, tokens = row_list.draw_tokens(self._stream("tokens"), len(common))
        common = common[ranks]
        self.state.result = AlignResult(
            outcome=Outcome.SHARED, rows=order[common], tokens=tuple(token.hex() for token in tokens)
        )
        return self._tell({peer: split(found[common].tobytes(), TAG_BYTES) for peer, found in tags.items()}, tokens)

    def _looked_up(self, peer: str, ids: Sequence[bytes]) -> Words:
        (seed,) = self._list(peer, _STORE_SEED)
        shape = _shape(self.setup.counts[peer])
        slots = np.frombuffer(b"".join(self.state.taken[peer, "store"]), np.uint8).reshape(shape.slots, SHARE_BYTES)
        found: Words = okvs.look_up(slots, self._places(ids, seed, shape), shape).view(np.uint64)
        return found

    def _tell(self, known: dict[str, list[bytes]], tokens: Sequence[bytes], *, below: bool = False) -> list[Outgoing]:
        listing = self._rows_listing()
        rows = {peer: row_list.with_tokens(each, tokens) for peer, each in known.items()}
        lists = {peer: row_list.pack(listing, each, below=below) for peer, each in rows.items()}
        return [item for peer, records in lists.items() for item in self._send(peer, listing, records)]


class AlignAllFollower(_Party):
    """Learns which of its clients all parties share, and their common order."""

    @property
    def _list_scalar(self) -> bytes:
        return group.draw_scalar(self._stream("function key"))

    def _listings(self, peer: str) -> tuple[Listing, ...]:
        if peer != self._leader:
            return (_PAIR_KEY,)
        return (_PAIR_KEY, self._masked_points(peer, "leader-masked"), self._rows_listing())

    def _advance(self, peer: str, listing: Listing) -> list[Outgoing]:
        if listing.phase == "rows":
            self.state.result = self._read()
            return []
        if listing.phase == "leader-masked":
            self._distinct(peer, listing)
        waiting = [self._expected(other) for other in self.setup.peers]
        if any(expected is not None and expected.phase != "rows" for expected in waiting):
            return []
        return self._answer()

    def _answer(self) -> list[Outgoing]:
        doubled = self._list(self._leader, self._masked_points(self._leader, "leader-masked"))
        outputs = self._outputs(group.multiply_all(self._list_scalar, self._hashed(), self._map), self._ids)
        seed, slots = self._store(self._shares(self._ids) ^ outputs[:, :2])
        # by its tag this side will know a common client again; kept, since making it anew takes as long as the list
        self.state.taken[self.setup.me, "tags"] = [outputs[:, 2:].tobytes()]
        return [
            *self._send(self._leader, self._masked_points(self._leader, "leader-doubled"), doubled),
            *self._send(self._leader, _STORE_SEED, [seed]),
            *self._send(self._leader, self._store_listing(self.setup.me), split(slots.tobytes(), SHARE_BYTES)),
        ]

    def _store(self, values: Words) -> tuple[bytes, Words]:
        """(public seed, slots) of a store of this side's clients. Raises StoreUnsolvable."""
        shape, read = _shape(len(values)), self._stream("store")
        for _ in range(ATTEMPTS):
            seed = read(okvs.SEED_BYTES)
            filler = np.frombuffer(read(SHARE_BYTES * shape.slots), "<u8").reshape(-1, 2)
            slots = okvs.solve(self._places(self._ids, seed, shape), values, shape, filler, CORE_ROWS_MAX)
            if slots is not None:
                return seed, slots
        raise StoreUnsolvable(bucket=0, attempts=ATTEMPTS)

    def _read(self) -> AlignResult:
        leader = self._leader
        rows = row_list.unpack(self._list(leader, self._rows_listing()), self.setup.minimum, leader)
        if rows is None:
            return row_list.below_minimum()
        own = {tag: row for row, tag in enumerate(split(self.state.taken[self.setup.me, "tags"][0], TAG_BYTES))}
        found = [own.get(row[:TAG_BYTES], -1) for row in rows]
        if -1 in found or len(set(found)) != len(rows):
            raise BadRows(sender=leader, why="it names a client of this side twice, or one that is none")
        tokens = row_list.tokens_of(rows, leader)
        return AlignResult(
            outcome=Outcome.SHARED, rows=np.array(found, np.int64), tokens=tuple(token.hex() for token in tokens)
        )


_PAIR_KEY = Listing(phase="pair-key", count=1, record_bytes=group.POINT_BYTES)
_STORE_SEED = Listing(phase="store-seed", count=1, record_bytes=okvs.SEED_BYTES)


def store_slots(count: int) -> int:
    """The slots of a follower's store, so the most identifiers one that cheats could enter: what a budget books.

    Raises BadSetup for a count that this mode does not take.
    """
    if not 0 <= count <= ALIGN_ALL_IDENTIFIERS_MAX:
        raise BadSetup(why=f"in mode {Mode.ALIGN_ALL} counts lie between 0 and {ALIGN_ALL_IDENTIFIERS_MAX}")
    return _shape(count).slots


def _shape(count: int) -> Shape:
    """The store of a party with this committed count: the OPRF engine's sizes and bounds for a bucket of so many."""
    sizes = parameters(count, count, BUCKET_KEYS_MAX)
    assert sizes.buckets == 1, "Setup bounds the counts of this mode"
    return Shape(column_slots=sizes.column_slots, dense_slots=sizes.dense_slots)


def _keyed(key: bytes, inputs: Sequence[bytes], size: int) -> Words:
    """BLAKE2b (RFC 7693) under a key of 32 bytes of every input: n × size / 8 words."""
    hashed = hashlib.blake2b
    joined = b"".join([hashed(item, key=key, digest_size=size).digest() for item in inputs])
    return np.frombuffer(joined, "<u8").reshape(-1, size // 8)
