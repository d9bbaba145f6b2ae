"""What a job's body says of its epoch: all of `Terms` but the parties, what else was agreed, and the key's public part.

The key is drawn when the epoch's first job begins; its public part stands in the sender's signed commitment.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from privacy.psi.cached.terms import MASKS_PER_MESSAGE, POINTS_PER_MESSAGE, VERSION, Terms
from privacy.psi.elgamal import times_base
from privacy.psi.errors import BadSetup
from privacy.psi.values import CONTEXT_BYTES_MIN

FIELDS = frozenset({"epoch", "slots", "addition_slots", "additions_max", "points_max", "ends"})
SCALAR_ONE = b"\x01" + bytes(31)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochTerms:
    """The fields of one body; what they mean stands at `Terms`."""

    epoch: int
    slots: int
    addition_slots: int
    additions_max: int
    points_max: int
    ends: datetime

    @classmethod
    def from_body(cls, given: object) -> "EpochTerms":
        """The terms of a body's field. Raises BadSetup."""
        if not isinstance(given, Mapping) or set(given) != FIELDS:
            raise BadSetup(why=f"an epoch has the fields {', '.join(sorted(FIELDS))}")
        stand_in: dict[str, Any] = {  # in the place of what is not known yet: the same checks run over all
            "version": VERSION,
            "sender": "sender",
            "receiver": "receiver",
            "context": bytes(CONTEXT_BYTES_MIN).hex(),
            "public": times_base(SCALAR_ONE).hex(),
            "masks_per_message": MASKS_PER_MESSAGE,
            "points_per_message": POINTS_PER_MESSAGE,
        }
        whole = Terms.from_body(stand_in | dict(given))
        return cls(**{name: getattr(whole, name) for name in FIELDS})

    def agreed(self, *, sender: str, receiver: str, context: bytes) -> dict[str, Any]:
        """All fields of `Terms` but the public part, as `SenderEpoch.begin` takes them."""
        cut = {"masks_per_message": MASKS_PER_MESSAGE, "points_per_message": POINTS_PER_MESSAGE}
        return asdict(self) | cut | {"sender": sender, "receiver": receiver, "context": context}
