"""The default engine: `privacy.aggregation.Engine` on bytes, from the pieces of this package."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from privacy import canonical
from privacy.aggregation import (
    AnswerMalformed,
    CiphertextMalformed,
    Dealing,
    Entropy,
    Lanes,
    Opened,
    Roster,
)
from privacy.ids import Digest, PartnerId
from privacy.ring import SEED_BYTES, Stream
from privacy.threshold import field
from privacy.threshold.dealing import Dealer, secret_polynomial
from privacy.threshold.errors import AnswerRefused
from privacy.threshold.field import Elements
from privacy.threshold.lattice import Matrix, binomial, blocks
from privacy.threshold.opening import Answer, agreed_key, open_lanes
from privacy.threshold.parameters import RLWE_2048_48, ParameterSet, bounds
from privacy.threshold.wire import HEADER_BYTES, Codec, Form, Header, Malformed, places


def public_seed(job: Digest) -> bytes:
    """The public seed of a job's matrix: nobody chooses it, and another job has another (the plan carries a nonce)."""
    return canonical.digest_bytes("ecohub threshold seed v1", job.encode())


class Threshold:
    """Implements `privacy.aggregation.Engine`. Holds the transformed public matrix (32 KB for 2,048 lanes), no state.

    seed: 32 public bytes, the same for all partners (`public_seed`).
    """

    name = "threshold"
    every_slot = True
    answers_total = False

    def __init__(self, roster: Roster, seed: bytes, parameters: ParameterSet = RLWE_2048_48) -> None:
        assert len(seed) == SEED_BYTES, "the public seed has 32 bytes"
        self.roster, self.parameters = roster, parameters
        self.dealers = roster.partners
        self.value_bits = bounds(parameters, roster.size, 1).value_bits
        self._codec = Codec(parameter_set=parameters.code, context=_context(roster, seed, parameters), size=roster.size)
        self._dealer = Dealer(roster=roster, parameters=parameters, codec=self._codec)
        self._matrix = Matrix(parameters, seed)

    def prepare(self, count: int) -> None:
        """Transform the public matrix for vectors of `count` lanes ahead of the first one."""
        self._matrix.prepare(bounds(self.parameters, self.roster.size, count).polynomials)

    def deal(self, me: str, entropy: Entropy) -> Dealing:
        """A fresh key of `me` and a share for every partner. The caller binds slot, job and holder around them."""
        return self._dealer.deal(me, entropy)

    def accept(self, dealer: str, holder: str, public: bytes, share: bytes) -> None:
        """Check a share that was dealt to `holder`. Raises ShareWrong, which names the dealer."""
        self._dealer.accept(dealer, holder, public, share)

    def encrypt(self, key: bytes, lanes: Lanes, entropy: Entropy) -> bytes:
        """Hide lanes, int64 (count,) in [0, 2^value_bits), under the own key of the slot (`Dealing.secret`).

        One key hides one vector. The errors come from the key's seed and not from `entropy`: the same lanes give the
        same bytes again after a crash, and a second look at them shows nothing new.
        """
        p, count = self.parameters, len(lanes)
        b = bounds(p, self.roster.size, count)
        assert lanes.dtype == np.int64 and lanes.ndim == 1, "lanes are a vector of int64"
        assert lanes.min() >= 0 and lanes.max() < 1 << b.value_bits, "lanes are inside their bits"
        header, seed = self._dealer.read_secret(key)
        factor = self._matrix.factor(secret_polynomial(p, seed))
        errors = Stream(seed, "threshold error")
        body = bytearray(HEADER_BYTES + b.upload_bytes)
        body[:HEADER_BYTES] = self._codec.write(Header(form=Form.CIPHERTEXT, members=header.members, lanes=count))
        low, high = planes(body, b.coefficients)
        plain = lanes.view(np.uint64)
        for start, stop in blocks(b.polynomials):
            block = self._matrix.times(factor, start, stop)
            block += binomial(errors, p, stop - start)
            block -= np.uint64(p.binomial)
            flat, begin = block.reshape(-1), start * p.degree
            first, last = max(p.check_lanes - begin, 0), min(p.check_lanes + count - begin, flat.size)
            if last > first:
                at = begin + first - p.check_lanes
                flat[first:last] += plain[at : at + last - first] << np.uint64(p.delta_bits)
            end = min(begin + flat.size, b.coefficients)
            low[begin:end] = flat[: end - begin]
            high[begin:end] = flat[: end - begin] >> np.uint64(32)
        return bytes(body)

    def adder(self, count: int) -> "Sum":
        """An empty sum of vectors of `count` lanes: 8 bytes a lane, however many are added."""
        return Sum(self.roster, self.parameters, self._codec, count)

    def answer(self, shares: Sequence[bytes], total: bytes) -> bytes:
        """The sum of this holder's shares of the cohort's keys: 8,224 bytes. `total` is not needed and must be empty.

        Raises AnswerRefused unless they are shares of different dealers, all dealt to one holder.
        """
        assert total == b"", "this engine answers for keys, not for a total"
        members = holder = 0
        added = np.zeros(self.parameters.degree, np.uint64)
        for share in shares:
            try:
                header = self._codec.read(share, Form.SHARE, self._dealer.share_bytes)
                values = self._dealer.read_share(share)
            except Malformed as reason:
                raise AnswerRefused(why=str(reason)) from None
            if members & header.members or holder not in (0, header.holder):
                raise AnswerRefused(why="shares of different dealers to one holder are expected")
            members, holder = members | header.members, header.holder
            added += values[: self.parameters.degree]
        if not members:
            raise AnswerRefused(why="it is empty")
        head = self._codec.write(Header(form=Form.ANSWER, members=members, holder=holder))
        return head + field.reduce(added).astype("<u4").tobytes()

    def check_answer(self, answer: bytes, count: int) -> None:
        """Raises AnswerMalformed for another length, form or range. One answer serves every `count`."""
        self._read_answer(answer)

    def open(self, total: bytes, count: int, cohort: int, answers: Mapping[PartnerId, bytes]) -> Opened:
        """The exact sum of `cohort` vectors of `count` lanes. Raises RoundVoid, AnswerMalformed, CiphertextMalformed.

        Answers of another holder's place or another cohort are set aside and named; so are wrong ones where more than
        `threshold` answers tell which (Reed-Solomon). The key sum and every residual must be inside their bounds.
        """
        b = bounds(self.parameters, self.roster.size, count)
        header, low, high = _ciphertext(self._codec, total, Form.TOTAL, count, b.coefficients, b.upload_bytes)
        assert len(places(header.members)) == cohort, "the total is the sum of the cohort"
        read = [self._read_answer(answers[partner], partner) for partner in sorted(answers)]
        key, wrong = agreed_key(self.roster, self.parameters, header.members, read)
        lanes = open_lanes(self._matrix, b, self.parameters, key, low, high, count, cohort, wrong)
        return Opened(lanes=lanes, wrong=wrong)

    def _read_answer(self, answer: bytes, partner: PartnerId | None = None) -> Answer:
        try:
            header = self._codec.read(answer, Form.ANSWER, 4 * self.parameters.degree)
        except Malformed as reason:
            raise AnswerMalformed(why=str(reason)) from None
        values: Elements = np.frombuffer(answer, "<u4", offset=HEADER_BYTES).astype(np.uint64)
        if (values >= field.P).any():
            raise AnswerMalformed(why="a word is no field element")
        return Answer(partner=partner or PartnerId(""), place=header.holder, members=header.members, values=values)


class Sum:
    """The running sum of ciphertexts modulo 2^48. Implements `privacy.aggregation.Adder`."""

    def __init__(self, roster: Roster, parameters: ParameterSet, codec: Codec, count: int) -> None:
        self._codec, self._count = codec, count
        self._bounds = bounds(parameters, roster.size, count)
        self._members = 0
        self._sum = np.zeros(self._bounds.coefficients, np.uint64)

    def add(self, ciphertext: bytes) -> None:
        """Raises CiphertextMalformed, also for a second vector of one dealer; the sum is then unchanged."""
        b = self._bounds
        header, low, high = _ciphertext(
            self._codec, ciphertext, Form.CIPHERTEXT, self._count, b.coefficients, b.upload_bytes
        )
        if self._members & header.members:
            raise CiphertextMalformed(why="the same key is in the sum already")
        self._members |= header.members
        self._sum += low
        self._sum += high.astype(np.uint64) << np.uint64(32)

    def total(self) -> bytes:
        """The encrypted sum, in the form of a ciphertext that names all its dealers."""
        assert self._members, "a sum of nothing has no total"
        body = bytearray(HEADER_BYTES + self._bounds.upload_bytes)
        body[:HEADER_BYTES] = self._codec.write(Header(form=Form.TOTAL, members=self._members, lanes=self._count))
        low, high = planes(body, self._bounds.coefficients)
        low[:] = self._sum
        high[:] = self._sum >> np.uint64(32)
        return bytes(body)


def planes(data: bytes | bytearray, coefficients: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """The body of a ciphertext: low 32 bits of all coefficients, then their high 16 bits. Every body is one value."""
    low = np.frombuffer(data, "<u4", count=coefficients, offset=HEADER_BYTES)
    high = np.frombuffer(data, "<u2", count=coefficients, offset=HEADER_BYTES + 4 * coefficients)
    return low, high


def _ciphertext(
    codec: Codec, data: bytes, form: Form, count: int, coefficients: int, body_bytes: int
) -> tuple[Header, NDArray[np.uint32], NDArray[np.uint16]]:
    try:
        header = codec.read(data, form, body_bytes)
    except Malformed as reason:
        raise CiphertextMalformed(why=str(reason)) from None
    if header.lanes != count:
        raise CiphertextMalformed(why=f"{header.lanes} lanes instead of {count}")
    return header, *planes(data, coefficients)


def _context(roster: Roster, seed: bytes, parameters: ParameterSet) -> bytes:
    partners: list[canonical.Value] = [str(partner) for partner in roster.partners]
    setting: canonical.Value = {
        "parameters": parameters.name, "partners": partners, "colluders": roster.colluders, "seed": seed.hex(),
    }  # fmt: skip
    return canonical.digest("ecohub threshold context v1", setting)
