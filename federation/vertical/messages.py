"""What the parties of a vertical run send each other: packed, bound to the run, and checked field by field on arrival.

A message is the packed dict {"protocol", "run", "kind", "content"} and its SHA-256, which finds accidents; the node
that carries it seals and signs it. Here the receiver checks form, run, dtype, shape, range and finiteness before
anything is computed with it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federation.errors import StepMalformed
from privacy import packing
from privacy.packing import Packed

PROTOCOL = 3
DIGEST_BYTES = 32
DIGEST = re.compile(r"[0-9a-f]{64}")
ROUND = re.compile(r"[1-9][0-9]{0,4}")
Content: TypeAlias = dict[str, Packed]

FIELDS: dict[str, frozenset[str]] = {
    "commit": frozenset({"commitment", "order", "columns"}),  # to all: to a nonce; the order of clients; usable columns
    "open": frozenset({"nonce", "mask_key"}),  # to all: the nonce; between holders also half of their pair's mask key
    # from here "data" holds the linear products' own messages by part of the rows
    "hint": frozenset({"data"}),  # multiplier to encryptor
    "zero": frozenset({"data"}),
    "zero-reply": frozenset({"data"}),
    "zero-opened": frozenset({"data"}),
    "zero-proof": frozenset({"data"}),
    "vectors": frozenset({"data", "levels"}),  # levels: the encryptor's 0/1 columns in every part, for small cells
    "product": frozenset({"data"}),
    "opened": frozenset({"data"}),
    "moments": frozenset({"parts", "suppressed"}),  # parts: the fields of MOMENTS of every part
    "weights": frozenset({"weights", "announced"}),  # label holder to holder: its own rows of every variant it is in
    "shares": frozenset({"shares"}),  # holder to label holder, in a round: rounded partial scores of the train rows
    "residual": frozenset({"data", "divisor", "anew", "ridge_milli"}),  # encrypted, and how to step by it
    "residual-reply": frozenset({"data"}),
    "residual-opened": frozenset({"data"}),
    "refined": frozenset(
        {"rounds", "kept"}
    ),  # label holder to holders, of a variant: rounds are over, one's weights stay
    # trees; "data" by link, and from "gradients" to "routes" a round is a level of a tree
    "tree-hint": frozenset({"data", "widths"}),  # holder to label holder; columns of each link
    "gradients": frozenset({"data", "nodes"}),  # label holder to holders: encrypted derivatives of the asked nodes
    "gradients-reply": frozenset({"data"}),
    "gradients-opened": frozenset({"data"}),
    "histograms": frozenset({"counts", "first", "second"}),  # holder to label holder: sums of the groups it shows
    "splits": frozenset({"nodes", "columns", "bounds", "rows"}),  # label holder to the owner of the best cuts
    "routes": frozenset({"left"}),  # the owner's answer: which of these rows go left
    "grown": frozenset({"trees"}),  # label holder to holders: how many trees the model keeps
    "tree-part": frozenset({"digest", "merged", "limit"}),  # holder to label holder, of its part of the model
    # holder to label holder: rounded partial scores of variants with it alone, with others but not all, with all
    "scores": frozenset({"small", "middle", "full", "digest"}),  # digest: of its weights
}
MOMENTS = frozenset({"gram", "sums", "target", "with_label_holder", "with_holders"})
# kinds of rounds and variants: each is sent as "kind:round", from round 1
NUMBERED: frozenset[str] = frozenset(
    {"shares", "residual", "residual-reply", "residual-opened", "refined"}
    | {"gradients", "gradients-reply", "gradients-opened", "histograms", "splits", "routes"}
)
ROUNDS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to one other party, in clear: the node seals it."""

    recipient: str
    message: bytes


def encode(run: str, kind: str, content: Content) -> bytes:
    """The bytes of one message."""
    assert set(content) == FIELDS[kind.partition(":")[0]], f"fields of {kind}"
    return _with_digest(packing.pack({"protocol": PROTOCOL, "run": run, "kind": kind, "content": content}))


def decode(sender: str, run: str, data: bytes) -> tuple[str, Content]:
    """(kind, content) of a message of this run. Raises StepMalformed; the content's values are checked where used."""
    packed = data[:-DIGEST_BYTES]
    if _with_digest(packed) != data:
        raise StepMalformed(partner=sender, why="its digest is another")
    try:
        value = packing.unpack(packed)
    except packing.NotPacked as failure:
        raise StepMalformed(partner=sender, why=failure.message()) from None
    if not isinstance(value, dict) or set(value) != {"protocol", "run", "kind", "content"}:
        raise StepMalformed(partner=sender, why="its fields")
    if value["protocol"] != PROTOCOL or isinstance(value["protocol"], bool):
        raise StepMalformed(partner=sender, why="another protocol version")
    if value["run"] != run:
        raise StepMalformed(partner=sender, why="another run")
    kind, content = value["kind"], value["content"]
    if not isinstance(kind, str) or not _known(kind):
        raise StepMalformed(partner=sender, why="an unknown step")
    if not isinstance(content, dict) or set(content) != FIELDS[kind.partition(":")[0]]:
        raise StepMalformed(partner=sender, why=f"the fields of {kind}")
    return kind, content


def in_round(kind: str, number: int) -> str:
    """The kind of a message that belongs to a round."""
    assert kind in NUMBERED and 1 <= number <= ROUNDS_MAX, f"round {number} of {kind}"
    return f"{kind}:{number}"


def _with_digest(packed: bytes) -> bytes:
    return packed + hashlib.sha256(packed).digest()


def _known(kind: str) -> bool:
    base, colon, number = kind.partition(":")
    if base not in NUMBERED:
        return kind in FIELDS
    return colon == ":" and ROUND.fullmatch(number) is not None and int(number) <= ROUNDS_MAX


@dataclass(frozen=True, slots=True)
class Reader:
    """Takes fields out of one sender's content; every method raises StepMalformed with the field's name."""

    sender: str
    content: Mapping[str, Packed]

    def data(self, name: str, length: int | None = None) -> bytes:
        """Bytes, of exactly `length` where given."""
        value = self.content[name]
        if not isinstance(value, bytes) or (length is not None and len(value) != length):
            raise self._wrong(name)
        return value

    def text(self, name: str) -> str:
        value = self.content[name]
        if not isinstance(value, str):
            raise self._wrong(name)
        return value

    def count(self, name: str, most: int) -> int:
        value = self.content[name]
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._wrong(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.content[name]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name)
        return tuple(str(item) for item in value)

    def mapping(self, name: str, keys: set[str]) -> dict[str, Packed]:
        value = self.content[name]
        if not isinstance(value, dict) or set(value) != keys:
            raise self._wrong(name)
        return value

    def within(self, name: str, keys: set[str]) -> "dict[str, Reader]":
        """A reader of each object in an object with exactly these keys."""
        found = {key: value for key, value in self.mapping(name, keys).items() if isinstance(value, dict)}
        if set(found) != keys:
            raise self._wrong(name)
        return {key: Reader(self.sender, value) for key, value in found.items()}

    def datas(self, name: str, keys: set[str]) -> dict[str, bytes]:
        """Bytes, by key."""
        found = {key: value for key, value in self.mapping(name, keys).items() if isinstance(value, bytes)}
        if set(found) != keys:
            raise self._wrong(name)
        return found

    def digest(self, name: str) -> str:
        """A digest as 64 hex digits."""
        value = self.text(name)
        if not DIGEST.fullmatch(value):
            raise self._wrong(name)
        return value

    def digests(self, name: str, keys: set[str]) -> dict[str, str]:
        """Digests as 64 hex digits, by key."""
        found = {key: value for key, value in self.mapping(name, keys).items() if isinstance(value, str)}
        if set(found) != keys or not all(DIGEST.fullmatch(value) for value in found.values()):
            raise self._wrong(name)
        return found

    def integers(self, name: str, shape: tuple[int, ...], largest: int) -> NDArray[np.int64]:
        """An int64 array of this shape with |values| <= largest."""
        return self.integers_of(self.content[name], name, shape, largest)

    def integers_of(self, value: Packed, name: str, shape: tuple[int, ...], largest: int) -> NDArray[np.int64]:
        array = self._array(value, name, "int64", shape)
        if array.size and (int(array.min()) < -largest or int(array.max()) > largest):
            raise self._wrong(name)
        return array

    def words(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint64]:
        """A uint64 array of this shape: masked values, any of which is legal."""
        return self._array(self.content[name], name, "uint64", shape)

    def floats(self, name: str, shape: tuple[int, ...], largest: float) -> NDArray[np.float64]:
        """A float64 array of this shape, finite, with |values| <= largest."""
        array = self._array(self.content[name], name, "float64", shape)
        if not np.isfinite(array).all() or (array.size and float(np.abs(array).max()) > largest):
            raise self._wrong(name)
        return array

    def _array(self, value: Packed, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        if not isinstance(value, np.ndarray) or value.dtype.name != dtype or value.shape != shape:
            raise self._wrong(name)
        return value

    def _wrong(self, name: str) -> StepMalformed:
        return StepMalformed(partner=self.sender, why=f"its {name}")
