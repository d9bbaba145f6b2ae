"""Keys, and their verifiable Shamir shares without a dealer's trust.

A key is a polynomial s of 2,048 small coefficients. Its dealer shares every coefficient with an own random polynomial
f_k of fewer than t terms, f_k(0) = s_k, and five random masks g_r in the same way. It commits to every holder's
vector of shares by a salted hash, draws weights rho from the commitments (Fiat-Shamir) and publishes the polynomials
h_r = g_r + sum_k rho_rk f_k. Holder j checks its commitment and h_r(j) against its own shares.

The test is the random linear combination of a batch of Reed-Solomon words (Ames et al., "Ligero", CCS 2017, section
4.1), which SCRAPE (Cascudo and David, ACNS 2017) applies to shares in its dual form; the masks make h_r uniform. That
it is joined with hash commitments here is our own combination; docs/aggregation.md has the argument.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from privacy import canonical
from privacy.aggregation import Dealing, Entropy, Roster, ShareWrong
from privacy.ring import SEED_BYTES, Ints, Stream
from privacy.threshold import field
from privacy.threshold.field import Elements
from privacy.threshold.lattice import binomial
from privacy.threshold.parameters import ParameterSet
from privacy.threshold.wire import HEADER_BYTES, Codec, Form, Header, Malformed, bit

SALT_BYTES = 32
DIGEST_BYTES = 32


def secret_polynomial(parameters: ParameterSet, seed: bytes) -> Ints:
    """The key (N,) of a 32-byte seed: centred binomial."""
    counts = binomial(Stream(seed, "threshold key"), parameters, 1)[0]
    key: Ints = counts.astype(np.int64) - parameters.binomial
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealer:
    """Deals and checks shares for one roster, seed and parameter set."""

    roster: Roster
    parameters: ParameterSet
    codec: Codec

    @property
    def _width(self) -> int:
        return self.parameters.degree + self.parameters.masks

    @property
    def public_bytes(self) -> int:
        return HEADER_BYTES + self.roster.size * DIGEST_BYTES + 4 * self.parameters.masks * self.roster.threshold

    @property
    def share_bytes(self) -> int:
        return HEADER_BYTES + 4 * self._width + SALT_BYTES

    def deal(self, me: str, entropy: Entropy) -> Dealing:
        """A fresh key of `me`. Entropy is drawn directly, without a stream, for the polynomials that hide the key."""
        place, p = self.roster.place(me), self.parameters
        seed = entropy(SEED_BYTES)
        terms = field.uniform(entropy, self.roster.threshold * self._width).reshape(-1, self._width)
        terms[0, : p.degree] = (secret_polynomial(p, seed) % p.prime).astype(np.uint64)
        shares = field.evaluate(terms, range(1, self.roster.size + 1)).astype("<u4")
        salts = [entropy(SALT_BYTES) for _ in self.roster.partners]
        bodies = [row.tobytes() + salt for row, salt in zip(shares, salts, strict=True)]
        commitments = b"".join(self._commitment(place, holder, body) for holder, body in enumerate(bodies, start=1))
        weights = self._weights(place, commitments)
        answers = field.combine(weights, np.ascontiguousarray(terms[:, : p.degree].T))
        answers = field.reduce(answers + terms[:, p.degree :].T)
        headed = {
            partner: self._header(Form.SHARE, place, self.roster.place(partner)) + body
            for partner, body in zip(self.roster.partners, bodies, strict=True)
        }
        return Dealing(
            secret=self._header(Form.SECRET, place) + seed,
            public=self._header(Form.PUBLIC, place) + commitments + answers.astype("<u4").tobytes(),
            shares=headed,
        )

    def accept(self, dealer: str, holder: str, public: bytes, share: bytes) -> None:
        """Check a dealt share against the dealing's public part. Raises ShareWrong, which names the dealer."""
        place, at = self.roster.place(dealer), self.roster.place(holder)
        wrong = ShareWrong(dealer=dealer, holder=holder)
        try:
            commitments, answers = self._public(place, public)
            header, values = self.read_share(share)
        except Malformed:
            raise wrong from None
        if header != Header(form=Form.SHARE, members=bit(place), holder=at):
            raise wrong
        committed = commitments[(at - 1) * DIGEST_BYTES : at * DIGEST_BYTES]
        if self._commitment(place, at, share[HEADER_BYTES:]) != committed:
            raise wrong
        n = self.parameters.degree
        mine = field.combine(self._weights(place, commitments), values[:n, None])[:, 0]
        if (field.reduce(mine + values[n:]) != field.evaluate(answers, [at])[0]).any():
            raise wrong

    def read_share(self, share: bytes) -> tuple[Header, Elements]:
        """Header and field elements (N + masks,) of a share. Raises Malformed."""
        header = self.codec.read(share, Form.SHARE, self.share_bytes - HEADER_BYTES)
        return header, _elements(share, HEADER_BYTES, self._width)

    def read_secret(self, key: bytes) -> tuple[int, bytes]:
        """The dealer as a bit mask, and the seed of an own key. AssertionError for anything else: it never left."""
        try:
            header = self.codec.read(key, Form.SECRET, SEED_BYTES)
        except Malformed as reason:
            raise AssertionError("an own key is unreadable") from reason
        return header.members, key[HEADER_BYTES:]

    def _public(self, dealer: int, public: bytes) -> tuple[bytes, Elements]:
        """Commitments, and the polynomials h (terms, masks). Raises Malformed."""
        n, masks, terms = self.roster.size, self.parameters.masks, self.roster.threshold
        header = self.codec.read(public, Form.PUBLIC, self.public_bytes - HEADER_BYTES)
        if header.members != bit(dealer):
            raise Malformed("dealt by another")
        start = HEADER_BYTES + n * DIGEST_BYTES
        return public[HEADER_BYTES:start], _elements(public, start, masks * terms).reshape(masks, terms).T

    def _header(self, form: Form, dealer: int, holder: int = 0) -> bytes:
        return self.codec.write(Header(form=form, members=bit(dealer), holder=holder))

    def _commitment(self, dealer: int, holder: int, body: bytes) -> bytes:
        return canonical.digest_bytes("ecohub threshold share v1", self.codec.context + bytes([dealer, holder]) + body)

    def _weights(self, dealer: int, commitments: bytes) -> Elements:
        """rho (masks, N): uniform field elements from SHAKE-256 of the context, the dealer and all commitments."""
        label = b"ecohub threshold weights v1\x00"
        oracle = hashlib.shake_256(label + self.codec.context + bytes([dealer]) + commitments)
        need, taken = self.parameters.masks * self.parameters.degree, 0

        def draw(count: int) -> bytes:
            nonlocal taken
            taken += count
            return oracle.digest(taken)[taken - count :]

        return field.uniform(draw, need).reshape(self.parameters.masks, -1)


def _elements(data: bytes, start: int, count: int) -> Elements:
    """Field elements in canonical form. Raises Malformed for a word that is none."""
    words = np.frombuffer(data, "<u4", count=count, offset=start).astype(np.uint64)
    if (words >= field.P).any():
        raise Malformed("a word is no field element")
    return words
