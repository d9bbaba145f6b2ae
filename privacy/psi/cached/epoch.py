"""What each side keeps of an epoch between jobs: the sender its key and what it gave, the receiver the masks.

A sender's epoch is a secret: with its key, masks and points can be tested against any guessed identifier. A receiver's
masks test nothing without an evaluation, but become such a test for every identifier should the key ever leak. Both
sides keep theirs in their own database, and let them go at the end (`end`).

The sender books every evaluation before it is made, in `book`, and never takes one back: a job that breaks has spent
its points. The node commits the epoch together with the session that was made for it. What two jobs of one epoch have
in common can be compared: see `privacy.psi.cached`.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from privacy import packing
from privacy.errors import Failure
from privacy.psi import group
from privacy.psi.cached import lists
from privacy.psi.cached.errors import EpochDiffers, EpochOver, ListTooLong, PointsSpent
from privacy.psi.cached.lists import Fingerprints, Masks, Places, Standing
from privacy.psi.cached.terms import MASK_BYTES, Terms
from privacy.psi.elgamal import times_base
from privacy.psi.errors import BadState
from privacy.psi.group import Entropy
from privacy.psi.oprf import packed
from privacy.psi.randomness import keyed_stream

VERSION = 1
SEED_BYTES = 32


class SenderEpoch:
    """Made by `begin` and `load`."""

    def __init__(self, terms: Terms, seed: bytes, given: Sequence[Fingerprints], spent: int) -> None:
        self.terms = terms
        self.lists = list(given)
        self.spent = spent  # evaluations that jobs were promised
        self._seed = seed

    @classmethod
    def begin(cls, *, ids: Sequence[bytes], entropy: Entropy, **agreed: Any) -> "SenderEpoch":
        """A new key, terms with its public part, and the first list.

        ids: distinct normalised identifiers, 1 to 256 bytes each. agreed: the other fields of `Terms`. Raises BadSetup,
        ListTooLong, BadIdentifiers.
        """
        seed = entropy(SEED_BYTES)
        epoch = cls(Terms(public=times_base(_key(seed)), **agreed), seed, (), 0)
        epoch._pin(epoch._fingerprints(packed.check(ids, len(ids))))
        return epoch

    @property
    def over(self) -> bool:
        return not self._seed

    @property
    def left(self) -> int:
        """Evaluations that the epoch still has."""
        return self.terms.points_max - self.spent

    def add(self, ids: Sequence[bytes]) -> int:
        """Make one more list, of those identifiers that stand in none; their number, which may be zero.

        The receiver will see that a list came, and its places, filled or not. Raises EpochOver, ListTooLong,
        BadIdentifiers.
        """
        self._check_open()
        if len(self.lists) > self.terms.additions_max:
            raise EpochOver(epoch=self.terms.epoch, why="it has had all its later lists")
        prints = self._fingerprints(packed.check(ids, len(ids)))
        self._pin(prints[lists.find(prints, self._all()) < 0])
        return len(self.lists[-1])

    @property
    def size(self) -> int:
        """Identifiers in the lists."""
        return sum(len(prints) for prints in self.lists)

    def standing(self, ids: Sequence[bytes]) -> Standing:
        """For each of these distinct identifiers, whether it stands in a list. Raises EpochOver.

        Where fewer stand there than `size`, clients left or took back their consent: they stand in the receiver's lists
        until the epoch ends.
        """
        self._check_open()
        return lists.find(self._fingerprints(ids), self._all()) >= 0

    def book(self, points: int, now: datetime) -> None:
        """Promise evaluations to a job. Raises EpochOver, PointsSpent; then nothing is booked."""
        self.check_time(now)
        if points > self.left:
            raise PointsSpent(asked=points, left=self.left, epoch=self.terms.epoch)
        self.spent += points

    def check_time(self, now: datetime) -> None:
        """Raises EpochOver."""
        self._check_open()
        _check_time(self.terms, now)

    def end(self) -> None:
        """The key and the fingerprints go: nothing can be evaluated, masked or proven any more."""
        self._seed, self.lists = b"", []

    # -- for sessions

    @property
    def key(self) -> bytes:
        """The secret scalar. Raises EpochOver."""
        self._check_open()
        return _key(self._seed)

    @property
    def nonce_key(self) -> bytes:
        """32 secret bytes for proofs. Raises EpochOver."""
        self._check_open()
        return keyed_stream(self._seed, "nonces")(SEED_BYTES)

    def sources(self, ids: Sequence[bytes], first: int, stop: int) -> dict[int, Places]:
        """For lists first … stop - 1: the position in `ids` of each of the list's fingerprints.

        Raises EpochDiffers when an identifier of a list is missing: then only a new epoch can go on.
        """
        prints = self._fingerprints(ids)
        found = {number: lists.find(self.lists[number], prints) for number in range(first, stop)}
        if any((positions < 0).any() for positions in found.values()):
            raise EpochDiffers(
                epoch=self.terms.epoch, why="identifiers of a list are not there any more; end the epoch"
            )
        return found

    def order(self, number: int) -> Places:
        """The places of a list: see `lists.order`."""
        stream = keyed_stream(self._seed, f"places {number}")
        return lists.order(self.lists[number], self.terms.list_slots(number), stream)

    def padding(self, message: int, count: int) -> bytes:
        """Random masks: the same for a message whenever it is made."""
        return keyed_stream(self._seed, f"padding {message}")(MASK_BYTES * count)

    # -- storage

    def dump(self) -> bytes:
        """Everything, to be kept secret; 8 bytes an identifier. After `end` the terms and what was spent."""
        return packing.pack(
            {
                "version": VERSION,
                "terms": _packed(self.terms),
                "seed": self._seed,
                "lists": list(self.lists),
                "spent": self.spent,
            }
        )

    @classmethod
    def load(cls, data: bytes) -> "SenderEpoch":
        """What was dumped. Raises BadState."""
        value = _unpack(data, {"version", "terms", "seed", "lists", "spent"})
        try:
            given = [np.array(prints, np.uint64) for prints in value["lists"]]
            return cls(Terms.from_body(value["terms"]), value["seed"], given, value["spent"])
        except (Failure, AttributeError, TypeError, ValueError) as error:
            raise BadState(why=type(error).__name__) from None

    def _pin(self, prints: Fingerprints) -> None:
        slots = self.terms.list_slots(len(self.lists))
        if len(prints) > slots:
            raise ListTooLong(count=len(prints), slots=slots, epoch=self.terms.epoch)
        self.lists.append(lists.ascending(prints))

    def _fingerprints(self, ids: Sequence[bytes]) -> Fingerprints:
        return lists.fingerprints(ids, keyed_stream(self._seed, "fingerprints")(SEED_BYTES))

    def _all(self) -> Fingerprints:
        return np.concatenate([np.empty(0, np.uint64), *self.lists])

    def _check_open(self) -> None:
        if self.over:
            raise EpochOver(epoch=self.terms.epoch, why="its key is gone")


class ReceiverEpoch:
    """The masks of an epoch, as messages came. Made with the signed terms, or by `load`."""

    def __init__(self, terms: Terms, messages: Sequence[bytes] = (), asked: int = 0, over: bool = False) -> None:
        self.terms = terms
        self.messages = list(messages)  # `take` alone adds to them; a node may keep each apart
        self._digests = [hashlib.sha256(message).digest() for message in messages]
        self.asked = asked  # evaluations that jobs were made for
        self.over = over

    @property
    def left(self) -> int:
        """Evaluations that the epoch still has."""
        return self.terms.points_max - self.asked

    def book(self, points: int, now: datetime) -> None:
        """As the sender does: what it would refuse is not asked. Raises EpochOver, PointsSpent."""
        self.check_time(now)
        if points > self.left:
            raise PointsSpent(asked=points, left=self.left, epoch=self.terms.epoch)
        self.asked += points

    def check_time(self, now: datetime) -> None:
        """Raises EpochOver."""
        if self.over:
            raise EpochOver(epoch=self.terms.epoch, why="its lists are gone")
        _check_time(self.terms, now)

    def take(self, message: bytes) -> None:
        """The next masks, of the length that the terms give. Raises TagsMalformed."""
        lists.check(message)
        self.messages.append(message)
        self._digests.append(hashlib.sha256(message).digest())

    def look_up(self, masks: Masks) -> Places:
        """Which of these masks stand in the lists: positions, ascending."""
        return lists.look_up(masks, self.messages)

    def end(self) -> None:
        """The masks go."""
        self.messages, self._digests, self.over = [], [], True

    def head(self) -> bytes:
        """All but the masks themselves: what changes with a job. A few hundred bytes."""
        return packing.pack(
            {
                "version": VERSION,
                "terms": _packed(self.terms),
                "asked": self.asked,
                "over": self.over,
                "digests": b"".join(self._digests),
            }
        )

    @classmethod
    def load(cls, head: bytes, messages: Sequence[bytes]) -> "ReceiverEpoch":
        """What `head` and `messages` gave. Raises BadState, also for other masks than those of the head."""
        value = _unpack(head, {"version", "terms", "asked", "over", "digests"})
        try:
            epoch = cls(Terms.from_body(value["terms"]), messages, value["asked"], value["over"])
        except (Failure, AttributeError, TypeError) as error:
            raise BadState(why=type(error).__name__) from None
        if value["digests"] != b"".join(epoch._digests):
            raise BadState(why="the stored masks are not those of this epoch")
        return epoch


def _key(seed: bytes) -> bytes:
    return group.draw_scalar(keyed_stream(seed, "key"))


def _packed(terms: Terms) -> packing.Packed:
    return {name: value for name, value in terms.to_body().items() if isinstance(value, str | int)}


def _unpack(data: bytes, names: set[str]) -> dict[str, Any]:
    try:
        value: Any = packing.unpack(data)
    except Failure as error:
        raise BadState(why=type(error).__name__) from None
    if not isinstance(value, dict) or set(value) != names or value["version"] != VERSION:
        raise BadState(why="another version wrote it")
    return value


def _check_time(terms: Terms, now: datetime) -> None:
    if now >= terms.ends:
        raise EpochOver(epoch=terms.epoch, why=f"it ended at {terms.ends.isoformat()}")
