"""Our engines as schemes of the aggregation benchmark: every byte that leaves or enters a party is what the product
sends, signatures, sealing and transport apart (`make bench NAME=round` has those)."""

import os

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.scheme import CLIP, Values
from privacy.aggregation import Adder, Dealing, Engine, Lanes, Roster, Slot
from privacy.ids import Digest, PartnerId, parse_digest
from privacy.quantize import Codec

PAILLIER_SAMPLE = 16 * 95  # sixteen full ciphertexts of 3072 bits
SLOT = Slot(job=Digest("5a" * 32), round=1, attempt=0)


def roster_of(parties: int) -> Roster:
    """Partners of the benchmark; one colluder beside the hub, as a plan has by default."""
    return Roster(partners=tuple(PartnerId(f"party-{place:02}") for place in range(parties)), colluders=1)


class Engined:
    """A round of `engine`, all parties and the hub in one process."""

    def __init__(self, engine: Engine, roster: Roster, count: int) -> None:
        self.count, self._engine, self._roster = count, engine, roster
        self.answers = roster.threshold
        self._codec = Codec(CLIP, engine.value_bits)
        self.tolerance = self._codec.error_bound(roster.size)
        self._keys: list[Dealing] = []
        self._dealt: Dealing | None = None  # the job's, of a named dealer
        self._adder: Adder | None = None
        self._added, self._total = 0, b""

    def setup(self) -> None:
        """The job's public values, transformed and cached by a first use, and the dealing of a named dealer."""
        if not self._engine.every_slot:
            self._dealt = self._deal(0)
        key = self._dealt.public if self._dealt else self._deal(0).secret
        self._engine.encrypt(key, np.zeros(self.count, np.int64), SLOT, self._roster.partners[0], os.urandom)

    def prepare(self) -> tuple[int, int]:
        """A fresh key, its shares for the others, and the check of as many shares as a party is dealt."""
        if not self._engine.every_slot:
            return 0, 0
        dealer = len(self._keys)
        me = self._roster.partners[dealer]
        dealing = self._deal(dealer)
        for holder, share in dealing.shares.items():
            self._engine.accept(me, holder, dealing.public, share)
        self._keys.append(dealing)
        shares = sum(len(share) for holder, share in dealing.shares.items() if holder != me)
        return shares + len(dealing.public), shares + (self._roster.size - 1) * len(dealing.public)

    def quantise(self, party: int, values: Values, weight: float) -> Lanes:
        lanes: Lanes = self._codec.encode(values, weight).lanes
        return lanes

    def encrypt(self, party: int, quantised: Lanes) -> bytes:
        """Encrypted and serialised in one: an engine gives bytes."""
        key = self._dealt.public if self._dealt else self._keys[party].secret
        return self._engine.encrypt(key, quantised, SLOT, self._roster.partners[party], os.urandom)

    def serialise(self, hidden: bytes) -> bytes:
        return hidden

    def add(self, upload: bytes) -> None:
        if self._adder is None:
            self._adder = self._engine.adder(self.count, SLOT, self._dealt.public if self._dealt else b"")
        self._adder.add(upload, self._roster.partners[self._added])
        self._added += 1

    def total(self) -> bytes:
        assert self._adder is not None, "uploads were added"
        self._total = self._adder.total()
        return self._total

    def answer(self, holder: int) -> bytes:
        partner = self._roster.partners[holder]
        dealings = [self._dealt] if self._dealt else self._keys
        return self._engine.answer(
            [dealing.shares[partner] for dealing in dealings], self._total if self._engine.answers_total else b""
        )

    def open(self, answers: list[bytes]) -> NDArray[np.float64]:
        """Checked answers, the sum they open, in the units of the updates."""
        named = dict(zip(self._roster.partners, answers, strict=False))
        for answer in answers:
            self._engine.check_answer(answer, self.count)
        opened = self._engine.open(self._total, self.count, self._roster.size, named)
        assert opened.wrong == ()
        self._keys, self._adder, self._added = [], None, 0
        values: NDArray[np.float64] = self._codec.decode(opened.lanes, self._roster.size)
        return values

    def _deal(self, place: int) -> Dealing:
        return self._engine.deal(self._roster.partners[place], os.urandom)


def threshold(size: int, parties: int) -> Engined:
    """The default engine at full size."""
    from privacy.threshold import Threshold, public_seed

    roster = roster_of(parties)
    return Engined(Threshold(roster, public_seed(parse_digest(os.urandom(32).hex()))), roster, size)


def paillier(size: int, parties: int) -> Engined:
    """The engine with a dealer, on a sample: a holder's answer takes it tens of milliseconds a ciphertext."""
    from privacy.paillier import Paillier

    roster = roster_of(parties)
    return Engined(Paillier(roster, dealer=roster.partners[0], bits=3072), roster, PAILLIER_SAMPLE)
