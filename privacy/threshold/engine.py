"""The default engine: `privacy.aggregation.Engine` on bytes, from the pieces of this package."""

from collections.abc import Mapping, Sequence

import numpy as np

from privacy import canonical
from privacy.aggregation import Dealing, Entropy, Lanes, Opened, Roster, Slot
from privacy.ids import Digest, PartnerId
from privacy.ring import SEED_BYTES
from privacy.threshold import field
from privacy.threshold.dealing import Dealer
from privacy.threshold.errors import AnswerRefused
from privacy.threshold.lattice import Matrix
from privacy.threshold.opening import Opener, read_answer
from privacy.threshold.parameters import RLWE_2048_48, ParameterSet, bounds
from privacy.threshold.vectors import Sum, Vectors
from privacy.threshold.wire import Codec, Form, Header, Malformed, bit, places


def public_seed(job: Digest) -> bytes:
    """The public seed of a job's matrix: nobody chooses it, and another job has another (the plan carries a nonce)."""
    return canonical.digest_bytes("ecohub threshold seed v1", job.encode())


class Threshold:
    """Implements `privacy.aggregation.Engine`. Keeps the transformed public matrix (32 KB for 2,048 lanes), no state.

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
        self.public_bytes, self.share_bytes = self._dealer.public_bytes, self._dealer.share_bytes
        self._vectors = Vectors(parameters=parameters, codec=self._codec, matrix=Matrix(parameters, seed))
        self._opener = Opener(roster=roster, vectors=self._vectors)

    def prepare(self, count: int) -> None:
        """Transform the public matrix for vectors of `count` lanes ahead of the first one."""
        self._vectors.matrix.prepare(self._vectors.bounds(count).polynomials)

    def deal(self, me: str, entropy: Entropy) -> Dealing:
        """A fresh key of `me` and a share for every partner. The caller binds slot, job and holder around them."""
        return self._dealer.deal(me, entropy)

    def accept(self, dealer: str, holder: str, public: bytes, share: bytes) -> None:
        """Check a share that was dealt to `holder`. Raises ShareWrong, which names the dealer."""
        self._dealer.accept(dealer, holder, public, share)

    def encrypt(self, key: bytes, lanes: Lanes, slot: Slot, me: str, entropy: Entropy) -> bytes:
        """Hide lanes, int64 (count,) in [0, 2^value_bits), under the own key of the slot (`Dealing.secret`).

        One key, of one slot and partner, hides one vector. The errors come from its seed and not from `entropy`: the
        same lanes give the same bytes again after a crash, and a second look at them shows nothing new.
        """
        members, seed = self._dealer.read_secret(key)
        assert members == bit(self.roster.place(me)), "a partner hides lanes under its own key"
        return self._vectors.encrypt(members, seed, lanes)

    def adder(self, count: int, slot: Slot, key: bytes = b"") -> Sum:
        """An empty sum of vectors of `count` lanes. Of which slot they are shows in the keys that open the sum."""
        assert key == b"", "every partner deals its own key"
        return Sum(self._vectors, self.roster, count)

    def answer(self, shares: Sequence[bytes], total: bytes) -> bytes:
        """The sum of this holder's shares of the cohort's keys: 8,224 bytes. `total` is not needed and must be empty.

        Raises AnswerRefused unless they are shares of different dealers, all dealt to one holder.
        """
        assert total == b"", "this engine answers for keys, not for a total"
        members = holder = 0
        added = np.zeros(self.parameters.degree, np.uint64)
        for share in shares:
            try:
                header, values = self._dealer.read_share(share)
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
        """Raises AnswerMalformed for another length, form or range. The same answer serves every `count`."""
        read_answer(self._codec, self.parameters.degree, answer)

    def open(self, total: bytes, count: int, cohort: int, answers: Mapping[PartnerId, bytes]) -> Opened:
        """The exact sum of `cohort` vectors of `count` lanes. Raises RoundVoid, AnswerMalformed, CiphertextMalformed.

        Answers for another cohort or of another holder's place are set aside and named, and so are wrong ones where
        enough answers beyond `threshold` tell which. Key sum, residuals and zeros must be inside their bounds.
        """
        hidden = self._vectors.read(total, Form.TOTAL, count)
        assert len(places(hidden.members)) == cohort, "the total is the sum of the cohort"
        degree = self.parameters.degree
        read = [(partner, read_answer(self._codec, degree, answers[partner])) for partner in sorted(answers)]
        return self._opener.open(hidden, count, read)


def _context(roster: Roster, seed: bytes, parameters: ParameterSet) -> bytes:
    partners: list[canonical.Value] = [str(partner) for partner in roster.partners]
    setting: canonical.Value = {
        "parameters": parameters.name, "partners": partners, "colluders": roster.colluders, "seed": seed.hex(),
    }  # fmt: skip
    return canonical.digest("ecohub threshold context v1", setting)
