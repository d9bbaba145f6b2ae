"""Sums that open only as a whole: the words every aggregation engine shares, and the interface it offers.

A partner hides a vector of integers; the hub adds hidden vectors it can't read; partners of the roster answer once for
one signed cohort; from enough answers the hub opens the sum of exactly that cohort. Engines: `privacy.threshold` (the
default, no dealer) and `privacy.paillier` (a named dealer). They do arithmetic on bytes and keep no state: whose keys
are spent, which cohort was answered and who signed what are the rules of `federation.horizontal`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import Digest, PartnerId

Lanes: TypeAlias = NDArray[np.int64]  # (count,), each in [0, 2^value_bits)
Entropy: TypeAlias = Callable[[int], bytes]
PARTNERS_MAX = 64


class RosterInvalid(Failure):
    code = "ROSTER_INVALID"
    kind = Kind.INVALID
    en = "this aggregation can't be set up: {why}"
    zh = "无法建立该聚合：{why}"


class ShareWrong(Failure):
    code = "SHARE_WRONG"
    kind = Kind.INTEGRITY
    en = "the key share that {dealer} dealt to {holder} does not fit its other shares; {dealer}'s key is not used"
    zh = "{dealer} 发给 {holder} 的密钥分片与其他分片不一致；不使用 {dealer} 的密钥"


class CiphertextMalformed(Failure):
    code = "CIPHERTEXT_MALFORMED"
    kind = Kind.INVALID
    en = "not a valid protected update: {why}"
    zh = "受保护更新无效：{why}"


class AnswerMalformed(Failure):
    code = "ANSWER_MALFORMED"
    kind = Kind.INVALID
    en = "not a valid answer of a key holder: {why}"
    zh = "密钥分片持有方的应答无效：{why}"


class RoundVoid(Failure):
    """The sum did not open cleanly: nothing of it is used. `wrong` names answerers where the answers allow it."""

    code = "ROUND_VOID"
    kind = Kind.INTEGRITY
    en = "the round's sum does not open cleanly ({why}); it is void; wrong answers came from: {wrong}"
    zh = "本轮聚合结果无法正确解密（{why}），本轮作废；错误应答来自：{wrong}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What one key is bound to: one attempt at one round of one job."""

    job: Digest
    round: int
    attempt: int

    def to_value(self) -> dict[str, canonical.Value]:
        return {"job": self.job, "round": self.round, "attempt": self.attempt}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The partners of a job in plan order, and how many of them may work together with the hub (design, rule c).

    With f colluders a key is opened at most once iff 2t > n + f, hence t = floor((n + f) / 2) + 1, and t = n where
    n <= 3. A cohort of at least f + 2 leaves two honest updates in every sum. Two partners: f = 0, and the sum shows
    each the other's update, so a plan with two must add noise.
    """

    partners: tuple[PartnerId, ...]
    colluders: int

    def __post_init__(self) -> None:
        n, f = len(self.partners), self.colluders
        if not 2 <= n <= PARTNERS_MAX or len(set(self.partners)) != n:
            raise RosterInvalid(why=f"2 to {PARTNERS_MAX} different partners are expected")
        if isinstance(f, bool) or f < 0 or (f == 0) != (n == 2) or f + 2 > n:
            raise RosterInvalid(why=f"{f} colluders of {n} partners: 0 of two, else from 1 to {n - 2}")
        assert n < 2 * self.threshold - f and self.threshold <= n, "no key is opened twice"

    @property
    def size(self) -> int:
        return len(self.partners)

    @property
    def threshold(self) -> int:
        """Answers needed to open a sum."""
        return self.size if self.size <= 3 else (self.size + self.colluders) // 2 + 1

    @property
    def minimum(self) -> int:
        """The least cohort that may be opened."""
        return self.colluders + 2

    def place(self, partner: str) -> int:
        """A partner's evaluation point, from 1. Raises RosterInvalid for a stranger."""
        if partner not in self.partners:
            raise RosterInvalid(why=f"{partner[:80]} is not one of its partners")
        return self.partners.index(PartnerId(partner)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """A fresh key: `secret` stays with its dealer, `public` is shown to all, each partner gets its own share (sealed).

    `shares` has one entry for every partner of the roster, the dealer included.
    """

    secret: bytes = field(repr=False)
    public: bytes
    shares: Mapping[PartnerId, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An opened sum: int64 (count,) exact; `wrong`: answerers found wrong although the sum opened without them."""

    lanes: Lanes
    wrong: tuple[PartnerId, ...] = ()


class Adder(Protocol):
    """Adds ciphertexts one by one in constant memory."""

    def add(self, ciphertext: bytes, partner: str) -> None:
        """Add this partner's upload. Raises CiphertextMalformed, also for one not its own: the sum is unchanged."""
        ...

    def total(self) -> bytes:
        """The encrypted sum of what was added."""
        ...


class Engine(Protocol):
    """Arithmetic of one way to aggregate, for one roster and one job; no state of a round, no I/O."""

    name: str  # "threshold" | "paillier"
    every_slot: bool  # True: every member deals a key for every slot; False: `dealers` deal once for the job
    answers_total: bool  # True: a holder answers over the encrypted sum itself, so it is handed the cohort's uploads
    dealers: tuple[PartnerId, ...]
    value_bits: int  # lanes are below 2^value_bits, so that the sum of the whole roster fits its lane
    public_bytes: int  # of a dealing's public part, exactly
    share_bytes: int  # of a dealt share, exactly

    def deal(self, me: str, entropy: Entropy) -> Dealing:
        """A fresh key with a share for every partner."""
        ...

    def accept(self, dealer: str, holder: str, public: bytes, share: bytes) -> None:
        """Check a share that was dealt. Raises ShareWrong."""
        ...

    def encrypt(self, key: bytes, lanes: Lanes, slot: Slot, me: str, entropy: Entropy) -> bytes:
        """Hide the lanes that `me` uploads in a slot. key: its own secret of the slot, or, where a dealer deals, the
        dealing's public part."""
        ...

    def adder(self, count: int, slot: Slot, key: bytes = b"") -> Adder:
        """An empty sum of a slot's vectors of `count` lanes. key: where a dealer deals, the dealing's public part."""
        ...

    def answer(self, shares: Sequence[bytes], total: bytes) -> bytes:
        """A holder's one answer: for the shares of the cohort's keys (every_slot) or its one share; total: see
        `answers_total`, else empty. Raises CiphertextMalformed."""
        ...

    def check_answer(self, answer: bytes, count: int) -> None:
        """Raises AnswerMalformed for another length, form or range."""
        ...

    def open(self, total: bytes, count: int, cohort: int, answers: Mapping[PartnerId, bytes]) -> Opened:
        """The exact sum of `cohort` vectors from at least `threshold` answers. Raises RoundVoid, AnswerMalformed."""
        ...
