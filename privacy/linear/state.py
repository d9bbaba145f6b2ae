"""What both sides of an encrypted product remember between messages, and its stored form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.linear.wire import MessageKind
from privacy.packing import Packed, unpack
from privacy.ring import Ints, Ring

HintDigits: TypeAlias = NDArray[np.int32]
VERSION = 2
COLUMNS_PER_BLOCK = 32  # hint columns converted or decrypted with at once: bounds memory, not the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A holder's answered message whose opening is due. pad_seed gives the pads again; salt is a zero test's."""

    kind: MessageKind
    count: int
    pad_seed: bytes
    salt: bytes

    def packed(self) -> Packed:
        return {"kind": int(self.kind), "count": self.count, "pad_seed": self.pad_seed, "salt": self.salt}

    @classmethod
    def of(cls, value: Packed) -> "Pending":
        state = record(value)
        return cls(
            kind=MessageKind(number(state["kind"])),
            count=number(state["count"]),
            pad_seed=octets(state["pad_seed"]),
            salt=octets(state["salt"]),
        )


@dataclass(slots=True, kw_only=True)
class Sent:
    """An encryptor's message whose answers are due. key_seed gives its keys again; erased with the last answer."""

    kind: MessageKind
    count: int
    key_seed: bytes
    waiting: set[str]

    def packed(self) -> Packed:
        waiting: list[Packed] = [*sorted(self.waiting)]
        return {"kind": int(self.kind), "count": self.count, "key_seed": self.key_seed, "waiting": waiting}

    @classmethod
    def of(cls, value: Packed) -> "Sent":
        state = record(value)
        return cls(
            kind=MessageKind(number(state["kind"])),
            count=number(state["count"]),
            key_seed=octets(state["key_seed"]),
            waiting={str(name) for name in items(state["waiting"])},
        )


@dataclass(slots=True, kw_only=True)
class Holder:
    """What an encryptor knows of one feature holder. hint: digits (digits, m + 5, N)."""

    bound: bytes
    hint: HintDigits
    proven: bool = False
    cheated: bool = False
    zero_sequence: int = -1  # the zero test it has answered last
    claimed: bytes = b""  # that test's commitment to the pads
    zeros: Ints | None = None  # what that test decrypted to, until the proof comes

    @property
    def columns(self) -> int:
        return int(self.hint.shape[1])

    @property
    def hint_name(self) -> str:
        """Of the piece that the hint is stored as: another hint has another name."""
        return f"hint {self.bound.hex()}"

    def packed_hint(self, ring: Ring) -> bytes:
        blocks = range(0, self.columns, COLUMNS_PER_BLOCK)
        return b"".join(ring.pack(self.hint[:, at : at + COLUMNS_PER_BLOCK].astype(np.int64)) for at in blocks)

    def packed(self) -> Packed:
        """All but the hint."""
        return {
            "bound": self.bound,
            "columns": self.columns,
            "proven": self.proven,
            "cheated": self.cheated,
            "zero_sequence": self.zero_sequence,
            "claimed": self.claimed,
            "zeros": self.zeros,
        }

    @classmethod
    def of(cls, value: Packed, ring: Ring, pieces: Mapping[str, bytes]) -> "Holder":
        state = record(value)
        zeros = state["zeros"]
        assert zeros is None or isinstance(zeros, np.ndarray), "zeros are an array"
        made = cls(
            bound=octets(state["bound"]),
            hint=np.empty(0, np.int32),
            proven=bool(state["proven"]),
            cheated=bool(state["cheated"]),
            zero_sequence=number(state["zero_sequence"]),
            claimed=octets(state["claimed"]),
            zeros=None if zeros is None else zeros.astype(np.int64),
        )
        made.hint = unpacked_hint(ring, pieces[made.hint_name], number(state["columns"]))
        return made


def unpacked_hint(ring: Ring, data: bytes | memoryview, columns: int) -> HintDigits:
    """The digits of a hint's bytes."""
    made = np.empty((ring.digits, columns, ring.degree), np.int32)
    size = ring.degree * ring.coefficient_bytes
    for first in range(0, columns, COLUMNS_PER_BLOCK):
        last = min(first + COLUMNS_PER_BLOCK, columns)
        made[:, first:last] = ring.unpack(data[first * size : last * size], last - first, ring.degree)
    return made


def stored(data: bytes) -> dict[str, Packed]:
    """The record of a dump. It comes from this party's own store: another version is a broken invariant."""
    state = record(unpack(data))
    assert state["version"] == VERSION, "a dump of this version"
    return state


def record(value: Packed) -> dict[str, Packed]:
    assert isinstance(value, dict), "a record is stored as a dict"
    return value


def items(value: Packed) -> list[Packed]:
    assert isinstance(value, list), "a list is stored as a list"
    return value


def octets(value: Packed) -> bytes:
    assert isinstance(value, bytes), "bytes are stored as bytes"
    return value


def number(value: Packed) -> int:
    assert isinstance(value, int), "integers are stored as integers"
    return value
