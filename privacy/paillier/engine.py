"""The engine: `privacy.aggregation.Engine` with Paillier ciphertexts and one dealer a job."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from privacy import canonical
from privacy.aggregation import (
    AnswerMalformed,
    CiphertextMalformed,
    Dealing,
    Entropy,
    Lanes,
    Opened,
    Roster,
    RosterInvalid,
    RoundVoid,
    ShareWrong,
    Slot,
)
from privacy.ids import PartnerId
from privacy.paillier import answers as proofs
from privacy.paillier import gmp, keys, vectors
from privacy.paillier.answers import Answer
from privacy.paillier.gmp import Mpz, gmpy2
from privacy.paillier.keys import Public
from privacy.paillier.vectors import Encryptor, Vector, VectorAdder
from privacy.paillier.wire import Form, Malformed
from privacy.ring import SEED_BYTES, Stream

_BITS_MIN = 3072  # 128-bit security (NIST SP 800-57 part 1, table 2); tests alone lower it
_BITS_MAX = 8192


class Paillier:
    """One roster's Paillier engine; see `privacy.aggregation.Engine` for the methods.

    dealer: the partner that makes the key. bits: of the modulus, a multiple of 64 from 3072 to 8192.
    Raises PaillierMissing, RosterInvalid.
    """

    name = "paillier"
    every_slot = False
    answers_total = True

    def __init__(self, roster: Roster, dealer: PartnerId, bits: int = 3072) -> None:
        gmp.require()
        roster.place(dealer)
        if not _BITS_MIN <= bits <= _BITS_MAX or bits % 64:
            raise RosterInvalid(why=f"a Paillier key has {_BITS_MIN} to {_BITS_MAX} bits, a multiple of 64")
        self.roster, self.bits = roster, bits
        self.dealers: tuple[PartnerId, ...] = (dealer,)
        self.value_bits = vectors.LANE_BITS - (roster.size - 1).bit_length()
        self._context = hashlib.sha256(
            b"ecohub paillier roster v1"
            + canonical.encode(
                {"partners": list(roster.partners), "colluders": roster.colluders, "dealer": dealer, "bits": bits}
            )
        ).digest()
        self.public_bytes = keys.public_bytes(bits, roster.size)
        self.share_bytes = keys.share_bytes(bits, roster.size)
        self._encryptor: Encryptor | None = None

    def deal(self, me: str, entropy: Entropy) -> Dealing:
        """The job's key, at its dealer; seconds, for two safe primes. Nothing secret is kept but the shares."""
        if me not in self.dealers:
            raise RosterInvalid(why=f"{me[:80]} is not the dealer of its key")
        material = keys.make(
            Stream(entropy(SEED_BYTES), "paillier key"),
            bits=self.bits,
            holders=self.roster.size,
            threshold=self.roster.threshold,
            context=self._context,
        )
        shares = {partner: material.shares[self.roster.place(partner)] for partner in self.roster.partners}
        return Dealing(secret=b"", public=material.public, shares=shares)

    def accept(self, dealer: str, holder: str, public: bytes, share: bytes) -> None:
        """Check a dealt share, and that all shares of the dealing together decrypt. Raises ShareWrong."""
        try:
            if dealer not in self.dealers:
                raise Malformed("another partner is the dealer")
            read = keys.read_share(share, bits=self.bits, holders=self.roster.size, context=self._context)
            if read.holder != self.roster.place(holder) or read.public.id != keys.key_id(public):
                raise Malformed("it is not this holder's share of this key")
            keys.verify_share(read, self.roster.threshold)
        except Malformed:
            raise ShareWrong(dealer=dealer[:80], holder=holder[:80]) from None

    def encrypt(self, key: bytes, lanes: Lanes, slot: Slot, me: str, entropy: Entropy) -> bytes:
        """key: the public part of the dealing. With a proof, for `me` and the slot, that the lanes are known."""
        assert lanes.ndim == 1 and len(lanes) and lanes.min() >= 0, "lanes are counted from zero"
        assert int(lanes.max()) >> self.value_bits == 0, "lanes are below 2^value_bits"
        if self._encryptor is None or self._encryptor.public.id != keys.key_id(key):
            self._encryptor = Encryptor(self._known(key))
        return self._encryptor.encrypt(lanes, _statement(slot, me), Stream(entropy(SEED_BYTES), "paillier encrypt"))

    def adder(self, count: int, slot: Slot, key: bytes = b"") -> VectorAdder:
        """key: the public part of the dealing. Raises RosterInvalid where it is none."""
        return VectorAdder(self._known(key), count, partial(_statement, slot))

    def answer(self, shares: Sequence[bytes], total: bytes) -> bytes:
        """shares: the holder's one share. Raises CiphertextMalformed for a sum under another key too."""
        (share,) = shares
        try:
            mine = keys.read_share(share, bits=self.bits, holders=self.roster.size, context=self._context)
        except Malformed as failure:
            raise AssertionError(f"the share was accepted: {failure}") from None
        try:
            vector = vectors.read(total, Form.TOTAL, self.bits)
            if (vector.key, vector.n) != (mine.public.id, mine.public.n):
                raise Malformed("the sum is under another key")
        except Malformed as failure:
            raise CiphertextMalformed(why=str(failure)) from None
        public = share[-keys.public_bytes(self.bits, self.roster.size) :]
        return proofs.make(mine, public, vector.count, vector.numbers)

    def check_answer(self, answer: bytes, count: int) -> None:
        self._read_answer(answer, count)

    def open(self, total: bytes, count: int, cohort: int, answers: Mapping[PartnerId, bytes]) -> Opened:
        """Every answer's proof is checked first, so a wrong one is named even among `threshold`."""
        read = {partner: self._read_answer(answer, count) for partner, answer in answers.items()}
        try:
            vector = vectors.read(total, Form.TOTAL, self.bits, count)
        except Malformed as failure:
            raise RoundVoid(why=f"the sum: {failure}", wrong="-") from None
        public = self._key_of(vector, read.values())
        if public is None:
            raise RoundVoid(why="the sum is under a key that no answer is for", wrong="-")
        right = {self.roster.place(name): one for name, one in read.items() if self._right(name, one, vector, public)}
        wrong = tuple(name for name in read if self.roster.place(name) not in right)
        try:
            if len(right) < self.roster.threshold:
                raise Malformed(f"{self.roster.threshold} right answers are needed")
            lanes = vectors.unpack(self._decrypt(public, right), count, self.bits)
            if int(lanes.max(initial=0)) > cohort * ((1 << self.value_bits) - 1):
                raise Malformed("a lane is larger than the cohort can make it")
        except Malformed as failure:
            raise RoundVoid(why=str(failure), wrong=", ".join(wrong) or "-") from None
        return Opened(lanes=lanes, wrong=wrong)

    def _known(self, public: bytes) -> Public:
        """A public part that this roster's people accepted."""
        try:
            return keys.read_public(public, bits=self.bits, holders=self.roster.size, context=self._context)
        except Malformed as failure:
            raise RosterInvalid(why=f"the dealer's public key: {failure}") from None

    def _read_answer(self, answer: bytes, count: int) -> Answer:
        try:
            return proofs.read(answer, bits=self.bits, holders=self.roster.size, count=count)
        except Malformed as failure:
            raise AnswerMalformed(why=str(failure)) from None

    def _key_of(self, vector: Vector, answers: Iterable[Answer]) -> Public | None:
        """The public part the sum is under: the answerers' whose digest the sum carries."""
        public = next((answer.public for answer in answers if keys.key_id(answer.public) == vector.key), b"")
        try:
            read = keys.read_public(public, bits=self.bits, holders=self.roster.size, context=self._context)
        except Malformed:
            return None
        return read if read.n == vector.n else None

    def _right(self, partner: str, answer: Answer, vector: Vector, public: Public) -> bool:
        """Whether this is the partner's answer over this sum, with the power of its committed share."""
        if answer.key != public.id or answer.holder != self.roster.place(partner):
            return False
        try:
            proofs.verify(answer, public, vector.numbers)
        except Malformed:
            return False
        return True

    def _decrypt(self, public: Public, right: Mapping[int, Answer]) -> list[Mpz]:
        """The packed sums: each ciphertext to the power of 4 Delta^2 d is 1 + 4 Delta^2 m n."""
        n, square = public.n, public.square
        used = dict(sorted(right.items())[: self.roster.threshold])
        unscale = gmpy2.invert(4 * public.delta * public.delta, n)
        packed: list[Mpz] = []
        for index in range(len(next(iter(used.values())).powers)):
            value = keys.combine(public, {place: answer.powers[index] for place, answer in used.items()}, 0)
            quotient, rest = divmod(value * value % square - 1, n)
            if rest != 0:
                raise Malformed("a ciphertext does not decrypt under this key")
            packed.append(quotient * unscale % n)
        return packed


def _statement(slot: Slot, partner: str) -> bytes:
    """What a proof of knowing an upload's lanes is bound to, beside the key."""
    return canonical.encode({**slot.to_value(), "partner": partner})
