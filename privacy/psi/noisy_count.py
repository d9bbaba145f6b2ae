"""A count with noise: how many clients two parties share, give or take what the follower's dummies add.

The lists of mode `count` (privacy.psi.ecdh), with dummies among the clients. There is a public pool of 2 n dummies. The
leader enters all of them; the follower draws a secret number z from 0 to 2 n, enters z of them, and 2 n - z random
points that nobody has. So z more points are found in both lists; the leader takes n off and has an estimate, that is
the number of shared clients plus noise from -n to n. The dummies are "IntersectMask" of DPCA-PSI (PrivacyGo, 2023) with
one side's noise; the distribution is that of Case, Honaker and Movahedi (2021), see `privacy.noise.counts`. Both lists
have 2 n points more than their owner has clients, whatever z is.

Dummies are hashed to the group under a domain tag of their own: no identifier, whatever its bytes, can be one.

Guarantee, for a leader that follows the protocol: all that it sees (and whoever it tells) is (epsilon, delta)-
differentially private, computationally (Mironov, Pandey, Reingold, Vadhan, CRYPTO 2009, under DDH with the hash as a
random oracle), where one of the follower's clients is replaced by another. Under DDH the leader's view follows from the
sizes and the number of points in both lists; that number is the noisy count. The set sizes are exact and no part of it.

* Whether the minimum is reached is decided by the estimate: nobody has the number itself. Nothing more is told by it.
* A leader that leaves the dummies out has the EXACT number, and its list looks the same: the noise binds software that
  is unchanged, like everything else that a leader of `count` could do (docs/matching.md, section 4).
* A follower that remembers its z and is told the estimate has the exact number. Its software forgets z at the end.

z comes from the session's seed: a session that is loaded again has the same, and no second number is drawn for a job.
"""

from privacy import canonical
from privacy.noise import CountNoise
from privacy.psi import elgamal, group
from privacy.psi.ecdh import CountFollower, CountLeader, Party
from privacy.psi.randomness import permutation
from privacy.psi.values import Rows
from privacy.psi.wire import Listing


class _WithDummies(Party):
    """What both sides share: lists with `dummies` points more."""

    @property
    def _noise(self) -> CountNoise:
        assert self.setup.noise is not None, "the factory makes these sessions for setups with noise"
        return self.setup.noise

    def _pool(self) -> list[bytes]:
        tag = group.domain(canonical.digest_bytes("ecohub/psi-dummies/1", self.setup.context))
        return group.hash_all([i.to_bytes(4, "big") for i in range(self._noise.dummies)], tag, self._map)

    def _points(self, phase: str, owner: str) -> Listing:
        count = self.setup.counts[owner] + self._noise.dummies
        return Listing(phase=phase, count=count, record_bytes=group.POINT_BYTES)

    def _order(self, peer: str) -> Rows:
        return permutation(len(self._ids) + self._noise.dummies, self._stream(f"order {peer}"))


class NoisyCountLeader(_WithDummies, CountLeader):
    """Learns an estimate. Its software withholds one below the minimum."""

    def _hashed(self) -> list[bytes]:
        return [*super()._hashed(), *self._pool()]

    def _figure(self, matches: int) -> int:
        return matches - self._noise.reach


class NoisyCountFollower(_WithDummies, CountFollower):
    """Draws the noise and learns nothing."""

    def _hashed(self) -> list[bytes]:
        """Pool and random points are made whole, whatever z is: the time it takes does not depend on it."""
        pool, others = self._pool(), elgamal.random_points(self._noise.dummies, self._stream("fillers"))
        entered = self._noise.draw(self._stream("noise"))
        return [*super()._hashed(), *pool[:entered], *others[entered:]]
