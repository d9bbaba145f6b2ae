"""What a payment's commitment on the chain stands for: the order, its amount, the bank's own reference, and a salt.

The hub opens it to the payer's node before that node signs, and finance can open it to the partner or the regulator;
from the commitment alone nobody guesses reference or amount.
"""

from dataclasses import dataclass
from typing import Any

from ecowire.status import MalformedMessage
from privacy import canonical

LABEL = "ecohub/payout/v1"
BOOKED_MAX = 100
_FIELDS = {"salt", "end_to_end_id", "currency", "amount_minor", "booked"}
_BOOKED = {"entry", "reference", "booked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """`booked`: (entry, the bank's reference, day) of each bank entry that paid the order. `salt`: 64 hex digits."""

    salt: str
    end_to_end_id: str
    currency: str
    amount_minor: int
    booked: tuple[tuple[str, str, str], ...]

    @property
    def commitment(self) -> str:
        """64 hex digits; never zero."""
        return canonical.digest(LABEL, self.to_value()).hex()

    def to_value(self) -> dict[str, canonical.Value]:
        booked: list[canonical.Value] = [
            {"entry": entry, "reference": reference, "booked": day} for entry, reference, day in sorted(self.booked)
        ]
        return {
            "salt": self.salt,
            "end_to_end_id": self.end_to_end_id,
            "currency": self.currency,
            "amount_minor": self.amount_minor,
            "booked": booked,
        }


def from_value(value: object) -> Payout:
    """The payout of a canonical value. Raises MalformedMessage."""
    found: Any = value
    if not isinstance(found, dict) or set(found) != _FIELDS or not isinstance(found["booked"], list):
        raise MalformedMessage(why="not a payout")
    booked = found["booked"]
    texts = [found[name] for name in ("salt", "end_to_end_id", "currency")]
    if not 0 < len(booked) <= BOOKED_MAX or not all(isinstance(b, dict) and set(b) == _BOOKED for b in booked):
        raise MalformedMessage(why="a payout's bank entries")
    texts += [one[name] for one in booked for name in _BOOKED]
    if not all(isinstance(text, str) and len(text) <= 100 for text in texts) or type(found["amount_minor"]) is not int:
        raise MalformedMessage(why="a payout's fields")
    return Payout(
        salt=found["salt"],
        end_to_end_id=found["end_to_end_id"],
        currency=found["currency"],
        amount_minor=found["amount_minor"],
        booked=tuple((one["entry"], one["reference"], one["booked"]) for one in booked),
    )
