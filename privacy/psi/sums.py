"""Mode `sum`: both sides count; the leader learns the sum of one side's values over the shared clients, nobody else.

Private intersection-sum with cardinality (Ion, Kreuter, Nergiz, Patel, Raykova, Saxena, Seth, Shanahan, Yung, On
deploying secure computing, IEEE EuroS&P 2020, eprint 2019/723, the protocol from DDH), after the count that the
follower takes back below the minimum (`privacy.psi.counted`). The value side draws an ElGamal key, sends its public
half, and a ciphertext of its value with each point of its shuffled list. The other side, the adder, learns by the count
which ciphertexts belong to shared clients (not whose), adds them up and makes the sum a fresh ciphertext. Then

the leader holds the values:  follower → leader   the sum, which the leader decrypts
the follower holds them:      leader → follower   the sum, plus a uniformly random group element R
                              follower → leader   what it decrypts to; the leader takes R off

so that the leader alone learns the sum; the follower sees random elements. The figure is a small discrete logarithm.
Below the minimum random elements travel in the place of both messages; the lengths are the same.

Who learns what: both the number of shared clients, the leader the sum. Sides that follow the protocol are assumed.
NOT covered: a value side that encrypts other values than it should (any sum, or values so far apart that the sum tells
whose they are: a leader that adds up its own values could do that), an adder that adds other ciphertexts than the
shared clients' (a leader that adds a single one learns that value). Nothing proves either. A sum over few clients, or
two sums over sets that differ in one client, tell single values whatever the protocol: docs/matching.md.
"""

import hashlib
from collections.abc import Sequence

from privacy.psi import elgamal, group
from privacy.psi.counted import Counting, CountingFollower, CountingLeader
from privacy.psi.discrete_log import BOUND_MAX, discrete_log
from privacy.psi.elgamal import CIPHERTEXT_BYTES
from privacy.psi.errors import BadTotal
from privacy.psi.group import POINT_BYTES, Entropy
from privacy.psi.session import split
from privacy.psi.values import Outcome, Outgoing, SumResult
from privacy.psi.wire import Listing

_TOTAL = Listing(phase="total", count=1, record_bytes=CIPHERTEXT_BYTES)
_OPENED = Listing(phase="opened-total", count=1, record_bytes=POINT_BYTES)


class _Sum(Counting):
    """What all four kinds of party share."""

    def _key_of(self, party: str) -> Listing:
        return Listing(phase=self._name(party, "value-key"), count=1, record_bytes=POINT_BYTES)

    def _absorb(self, peer: str, listing: Listing, records: Sequence[bytes]) -> Sequence[bytes]:
        if listing in (_TOTAL, _OPENED, self._key_of(peer)):
            group.check_all([point for record in records for point in split(record, POINT_BYTES)], self._map)
            return records
        return super()._absorb(peer, listing, records)

    def _bound_stream(self, label: str) -> Entropy:
        """Randomness for what is said about the lists received: other lists, other randomness, even after a restart
        from an older dump.
        """
        digest = hashlib.sha256()
        for (_, phase), chunks in sorted(self.state.taken.items()):
            if phase not in (_TOTAL.phase, _OPENED.phase):
                digest.update(b"".join(chunks))
        return self._stream(f"{label} {digest.hexdigest()}")

    def _learn(self, point: bytes) -> None:
        """The sum, of which this is the multiple of the base. Raises BadTotal if it is out of its bounds."""
        count, bits = self._counted(), self.setup.bits
        assert count is not None, "below the minimum there is no sum"
        total = discrete_log(point, min(BOUND_MAX - 1, count * ((1 << bits) - 1)), self._map)
        if total is None:
            raise BadTotal(sender=self._peer, count=count, bits=bits)
        self.state.result = SumResult(outcome=Outcome.SHARED, count=count, total=total)

    def _end(self) -> None:
        """The end of a side that gets no sum, or of both below the minimum."""
        count = self._counted()
        outcome = Outcome.BELOW_MINIMUM if count is None else Outcome.NOT_ENTITLED
        self.state.result = SumResult(outcome=outcome, count=count, total=None)


class _Holder(_Sum):
    """Holds the values, and the key they are encrypted under."""

    def _value_key(self) -> elgamal.Key:
        return elgamal.draw_key(self._stream("value key"))

    def _entry(self) -> list[Outgoing]:
        key, order = self._value_key(), self._order(self._peer)
        points = self._masked(self._peer, self._hashed())
        values = [self._values[i] for i in order]
        ciphertexts = elgamal.encrypt_all(key, values, self._stream("value encryption"))
        entries = [point + item for point, item in zip(points, ciphertexts, strict=True)]
        return [
            *self._give(self._key_of(self.setup.me), [key.public]),
            *self._give(self._masked_by(self.setup.me), entries),
        ]

    def _decrypted(self) -> bytes:
        return elgamal.decrypt(self._value_key(), self._taken(_TOTAL)[0])


class _Adder(_Sum):
    """Adds up what belongs to shared clients, without seeing values or clients."""

    def _entry_lists(self) -> tuple[Listing, ...]:
        return (self._key_of(self._peer), self._masked_by(self._peer))

    def _total(self) -> bytes:
        """A fresh ciphertext of the sum; below the minimum a random one."""
        entropy = self._bound_stream("total")
        if self._counted() is None:
            return b"".join(elgamal.random_points(2, entropy))
        entries = self._taken(self._masked_by(self._peer))
        total = elgamal.total([entries[i][POINT_BYTES:] for i in self._matches()], self._map)
        return elgamal.rerandomise(self._taken(self._key_of(self._peer))[0], total, entropy)


class SumLeaderHolding(_Holder, CountingLeader):
    """Has the values, learns their sum."""

    def _later(self) -> tuple[Listing, ...]:
        return (_TOTAL,)

    def _after_count(self) -> list[Outgoing]:
        return []

    def _proceed(self, listing: Listing) -> list[Outgoing]:
        if self._counted() is None:
            self._end()
        else:
            self._learn(self._decrypted())
        return []


class SumFollowerAdding(_Adder, CountingFollower):
    """Adds up the leader's values."""

    def _later(self) -> tuple[Listing, ...]:
        return ()

    def _after_count(self) -> list[Outgoing]:
        out = self._give(_TOTAL, [self._total()])
        self._end()
        return out

    def _proceed(self, listing: Listing) -> list[Outgoing]:
        raise AssertionError("nothing more is expected")


class SumLeaderAdding(_Adder, CountingLeader):
    """Adds up the follower's values, learns the sum."""

    def _later(self) -> tuple[Listing, ...]:
        return (_OPENED,)

    def _after_count(self) -> list[Outgoing]:
        blinded, _ = self._blinded()
        return self._give(_TOTAL, [blinded])

    def _proceed(self, listing: Listing) -> list[Outgoing]:
        if self._counted() is None:
            self._end()
        else:
            _, mask = self._blinded()
            self._learn(elgamal.subtract(self._taken(_OPENED)[0], mask))
        return []

    def _blinded(self) -> tuple[bytes, bytes]:
        return elgamal.blind(self._total(), self._bound_stream("blinding"))


class SumFollowerHolding(_Holder, CountingFollower):
    """Has the values, opens a sum that it cannot see."""

    def _later(self) -> tuple[Listing, ...]:
        return (_TOTAL,)

    def _after_count(self) -> list[Outgoing]:
        return []

    def _proceed(self, listing: Listing) -> list[Outgoing]:
        if self._counted() is None:
            (opened,) = elgamal.random_points(1, self._stream("withheld total"))
        else:
            opened = self._decrypted()
        self._end()
        return self._give(_OPENED, [opened])
