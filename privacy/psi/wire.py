"""One message of a matching session: a chunk of a list of equal records, under a header that binds it to its session.

A list of n records travels in max(1, ⌈n / records a message⌉) chunks; how many records each holds follows from the
committed count, so the length of every message is a function of the committed counts alone. The SHA-256 in the header
finds damage; it is no protection against an author: envelopes above are sealed and signed.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from privacy import packing
from privacy.errors import Failure
from privacy.psi.errors import (
    CountDiffers,
    ForeignMessage,
    MalformedMessage,
    MissingChunk,
    RepeatedChunk,
    WrongPhase,
    WrongRole,
)

VERSION = 1
RECORD_BYTES_MAX = 96
_HEADER_BYTES_MAX = 4096
_FIELDS: dict[str, type] = {
    "psi": int,
    "mode": str,
    "context": str,
    "sender": str,
    "role": str,
    "recipient": str,
    "phase": str,
    "chunk": int,
    "chunks": int,
    "count": int,
    "digest": str,
    "records": bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One direction between two parties of one session."""

    mode: str
    context: str  # hex of the job's context digest
    sender: str
    role: str  # the sender's
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list that is expected: its phase, how many records it has and how long each is."""

    phase: str
    count: int
    record_bytes: int

    def chunks(self, records_per_message: int) -> int:
        return max(1, -(-self.count // records_per_message))

    def records_in(self, chunk: int, records_per_message: int) -> int:
        return min(records_per_message, self.count - chunk * records_per_message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    link: Link
    phase: str
    chunk: int
    chunks: int
    count: int
    digest: str
    records: bytes


def encode(link: Link, listing: Listing, records: bytes, records_per_message: int) -> list[bytes]:
    """The messages of a whole list, in order. records: the concatenated records."""
    assert len(records) == listing.count * listing.record_bytes, "the list has the announced size"
    step = records_per_message * listing.record_bytes
    chunks = listing.chunks(records_per_message)
    return [_encode(link, listing, i, chunks, records[i * step : (i + 1) * step]) for i in range(chunks)]


def decode(message: bytes, link: Link, listing: Listing | None, number: int, records_per_message: int) -> bytes:
    """The records of the one chunk that is expected next: `number` of `listing` on `link`.

    Raises MalformedMessage, ForeignMessage, WrongRole, WrongPhase (also when listing is None: nothing is expected),
    RepeatedChunk, MissingChunk or CountDiffers.
    """
    bytes_max = _HEADER_BYTES_MAX + records_per_message * (listing.record_bytes if listing else RECORD_BYTES_MAX)
    if len(message) > bytes_max:
        raise MalformedMessage(sender=link.sender, why=f"{len(message)} bytes, at most {bytes_max} are taken")
    got = _open(message, link)
    _check_link(got.link, link)
    if listing is None or got.phase != listing.phase:
        raise WrongPhase(expected=listing.phase if listing else "nothing more", got=got.phase[:40])
    sender, phase, chunks = link.sender, listing.phase, listing.chunks(records_per_message)
    if got.count != listing.count:
        raise CountDiffers(sender=sender, what=phase, expected=listing.count, got=got.count)
    if got.chunks != chunks:
        raise MalformedMessage(sender=sender, why=f"{phase} comes in {chunks} chunks, not in {got.chunks}")
    if got.chunk < number:
        raise RepeatedChunk(sender=sender, phase=phase, got=got.chunk, expected=number)
    if got.chunk > number:
        raise MissingChunk(sender=sender, phase=phase, got=got.chunk, expected=number)
    expected = listing.records_in(number, records_per_message) * listing.record_bytes
    if len(got.records) != expected:
        raise MalformedMessage(sender=sender, why=f"the records take {len(got.records)} bytes instead of {expected}")
    if hashlib.sha256(got.records).hexdigest() != got.digest:
        raise MalformedMessage(sender=sender, why="the records were damaged on the way")
    return got.records


def _encode(link: Link, listing: Listing, chunk: int, chunks: int, records: bytes) -> bytes:
    return packing.pack(
        {
            "psi": VERSION,
            "mode": link.mode,
            "context": link.context,
            "sender": link.sender,
            "role": link.role,
            "recipient": link.recipient,
            "phase": listing.phase,
            "chunk": chunk,
            "chunks": chunks,
            "count": listing.count,
            "digest": hashlib.sha256(records).hexdigest(),
            "records": records,
        }
    )


def _open(message: bytes, link: Link) -> _Chunk:
    try:
        head = packing.unpack(message)
    except Failure as error:
        raise MalformedMessage(sender=link.sender, why=error.message("en")) from None
    if not isinstance(head, dict) or set(head) != set(_FIELDS):
        raise MalformedMessage(sender=link.sender, why="other fields than a chunk has")
    if any(type(head[name]) is not kind for name, kind in _FIELDS.items()) or head["psi"] != VERSION:
        raise MalformedMessage(sender=link.sender, why="a field of another type or version")
    value: dict[str, Any] = head
    return _Chunk(
        link=Link(**{name: value[name] for name in ("mode", "context", "sender", "role", "recipient")}),
        **{name: value[name] for name in ("phase", "chunk", "chunks", "count", "digest", "records")},
    )


def _check_link(got: Link, expected: Link) -> None:
    if got == expected:
        return
    if got.role != expected.role:
        raise WrongRole(sender=expected.sender, role=got.role[:40])
    fields = ("context", "mode", "sender", "recipient")
    field = next(name for name in fields if getattr(got, name) != getattr(expected, name))
    raise ForeignMessage(sender=expected.sender, field=field)
