"""The terms of one epoch: what a sender and a receiver sign before any mask or point travels, and why it suffices.

An epoch is one key of one sender towards one receiver. Its public part stands in the terms, so the sender is bound to
it; everything that travels has a size that follows from the terms and the job alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from math import log2
from typing import Any

from privacy import canonical
from privacy.psi import group
from privacy.psi.errors import BadSetup
from privacy.psi.values import CONTEXT_BYTES_MIN

VERSION = 1
MASK_BYTES = 12
STATISTICAL_BITS = 40
COMPUTATIONAL_BITS = 112  # NIST SP 800-57 part 1, section 5.6.3: acceptable through 2030
EPOCHS_MAX = 1 << 20
SLOTS_MAX = 1 << 27
ADDITIONS_MAX = 1 << 12
POINTS_MAX = 1 << 24
MASKS_PER_MESSAGE = 1 << 15
POINTS_PER_MESSAGE = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What both parties sign. Raises BadSetup, BadPoint."""

    sender: str  # holds the key and the large set
    receiver: str  # holds the masks; learns which of its identifiers are in the list
    epoch: int  # number of the epoch of these two, from 1
    context: bytes  # digest of what else was agreed: assets, kind of id, normaliser, purpose
    public: bytes  # the key's public part
    slots: int  # places of the first list; what is not filled looks as if it were
    addition_slots: int  # places of each later list
    additions_max: int  # later lists
    points_max: int  # evaluations of the whole epoch, padding included
    ends: datetime  # aware; no evaluation after it
    masks_per_message: int = MASKS_PER_MESSAGE
    points_per_message: int = POINTS_PER_MESSAGE

    def __post_init__(self) -> None:
        group.check(self.public)
        if not self.sender or not self.receiver or self.sender == self.receiver:
            raise BadSetup(why="an epoch has two parties")
        if len(self.context) < CONTEXT_BYTES_MIN:
            raise BadSetup(why=f"the context has at least {CONTEXT_BYTES_MIN} bytes")
        if self.ends.utcoffset() != timedelta(0) or self.ends.microsecond:
            raise BadSetup(why="an epoch ends at a whole second of UTC")
        for name, low, high in (
            ("epoch", 1, EPOCHS_MAX),
            ("slots", 1, SLOTS_MAX),
            ("addition_slots", 1, SLOTS_MAX),
            ("additions_max", 0, ADDITIONS_MAX),
            ("points_max", 1, POINTS_MAX),
            ("masks_per_message", 1, SLOTS_MAX),
            ("points_per_message", 1, POINTS_MAX),
        ):
            if type(getattr(self, name)) is not int or not low <= getattr(self, name) <= high:
                raise BadSetup(why=f"{name} is a whole number from {low} to {high}")
        if self.false_match_log2 > -STATISTICAL_BITS or self.key_bits < COMPUTATIONAL_BITS:
            raise BadSetup(why="the lists are too long for the number of points")

    @property
    def digest(self) -> bytes:
        """32 bytes that name the epoch. They enter every hash, proof and message of it."""
        return canonical.digest("ecohub/cached-epoch/1", self.to_body())

    @property
    def false_match_log2(self) -> float:
        """log2 of a bound on the probability that any point of the epoch meets a mask or padding that is not its own.

        The union over all pairs of a queried identifier and a place, each equal by chance in MASK_BYTES bytes (the last
        hash is a random oracle).
        """
        places = self.slots + self.additions_max * self.addition_slots
        return log2(places) + log2(self.points_max) - 8 * MASK_BYTES

    @property
    def key_bits(self) -> float:
        """log2 of the work to find the key for a receiver that asks points_max times for powers of the key.

        Half the group's bits, less half the bits of the number of questions: Brown and Gallant, The static
        Diffie-Hellman problem (IACR ePrint 2004/306); Cheon, Eurocrypt 2006. RFC 9497 section 7.2.3 says the same.
        """
        return 126 - log2(self.points_max) / 2

    # -- how lists and points are cut into messages

    def list_slots(self, number: int) -> int:
        return self.addition_slots if number else self.slots

    def messages_of(self, lists: int) -> int:
        """Messages that the first `lists` lists take."""
        return sum(-(-self.list_slots(number) // self.masks_per_message) for number in range(lists))

    def place(self, message: int) -> tuple[int, int, int]:
        """(list, first place, end) of the masks of one message, counted over all lists."""
        first = -(-self.slots // self.masks_per_message)
        later = -(-self.addition_slots // self.masks_per_message)
        number, within = (
            (0, message) if message < first else (1 + (message - first) // later, (message - first) % later)
        )
        start = within * self.masks_per_message
        return number, start, min(start + self.masks_per_message, self.list_slots(number))

    def mask_bytes(self, message: int) -> int:
        """Length of the masks of one message."""
        _, start, end = self.place(message)
        return MASK_BYTES * (end - start)

    # -- the signed form

    def to_body(self) -> dict[str, canonical.Value]:
        """A canonical body, for a signed document."""
        plain: dict[str, canonical.Value] = {"version": VERSION}
        for item in fields(self):
            value = getattr(self, item.name)
            plain[item.name] = value.hex() if isinstance(value, bytes) else _text(value)
        return plain

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "Terms":
        """The terms of a body that `to_body` gave. Raises BadSetup, BadPoint."""
        if body.get("version") != VERSION or set(body) != {"version", *(item.name for item in fields(cls))}:
            raise BadSetup(why="other fields than the terms of an epoch have")
        values = {name: body[name] for name in body if name != "version"}
        if any(not isinstance(values[name], str) for name in ("sender", "receiver", "context", "public", "ends")):
            raise BadSetup(why="a field of another type")
        try:
            bytes_of = {name: bytes.fromhex(values[name]) for name in ("context", "public")}
            terms = cls(**values | bytes_of | {"ends": datetime.fromisoformat(values["ends"])})
        except ValueError:
            raise BadSetup(why="a field is not in its form") from None
        if terms.to_body() != dict(body):
            raise BadSetup(why="a field is not in its one form")
        return terms


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
