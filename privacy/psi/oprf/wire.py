"""One message of an OPRF job: a payload of exactly known length under a header that binds it to job, place and history.

The header names the job, both parties, the sender's role, the phase, the bucket, the payload's SHA-256, and what the
sender said and answered before (`bound`), so a message that was dropped, repeated, reordered, or made in another run of
the same job is refused. This finds damage and mix-ups; it is no protection against an author: envelopes above are
sealed and signed. Lengths follow from the committed counts alone.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from privacy import canonical, packing
from privacy.errors import Failure
from privacy.psi.errors import ForeignMessage, MalformedMessage, MissingChunk, RepeatedChunk, WrongPhase, WrongRole

VERSION = 1
_HEADER_BYTES_MAX = 4096
_FIELDS: dict[str, type] = {
    "oprf": int,
    "job": str,
    "sender": str,
    "role": str,
    "recipient": str,
    "phase": str,
    "bucket": int,
    "bound": str,
    "digest": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One direction between the two parties of a job."""

    job: str  # hex
    sender: str
    role: str  # the sender's
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A message that is expected: its phase, its bucket (0 where there is none) and its payload's length in bytes."""

    phase: str
    bucket: int
    length: int


def encode(link: Link, part: Part, bound: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """(message, its digest). The digest covers the header and, through it, the payload."""
    assert len(payload) == part.length, "the payload has the agreed size"
    header: dict[str, packing.Packed] = {
        "oprf": VERSION,
        "job": link.job,
        "sender": link.sender,
        "role": link.role,
        "recipient": link.recipient,
        "phase": part.phase,
        "bucket": part.bucket,
        "bound": bound.hex(),
        "digest": hashlib.sha256(payload).hexdigest(),
    }
    return packing.pack({"header": header, "payload": payload}), _digest(header)


def decode(message: bytes | memoryview, link: Link, part: Part | None, bound: bytes) -> tuple[bytes, bytes]:
    """(payload, digest) of the one message that is expected next on a link.

    Raises MalformedMessage, WrongRole, ForeignMessage (another job, party or history), WrongPhase (also when part is
    None: nothing is expected), RepeatedChunk or MissingChunk for another bucket's.
    """
    most = _HEADER_BYTES_MAX + (part.length if part else 0)
    if len(message) > most:
        raise MalformedMessage(sender=link.sender, why=f"{len(message)} bytes, at most {most} are taken")
    header, payload = _open(message, link)
    _check_link(header, link)
    if part is None or header["phase"] != part.phase:
        raise WrongPhase(expected=part.phase if part else "nothing more", got=header["phase"][:40])
    if header["bucket"] != part.bucket:
        failure = RepeatedChunk if header["bucket"] < part.bucket else MissingChunk
        raise failure(sender=link.sender, phase=part.phase, got=header["bucket"], expected=part.bucket)
    if len(payload) != part.length:
        raise MalformedMessage(sender=link.sender, why=f"it takes {len(payload)} bytes instead of {part.length}")
    if hashlib.sha256(payload).hexdigest() != header["digest"]:
        raise MalformedMessage(sender=link.sender, why="it was damaged on the way")
    if header["bound"] != bound.hex():
        raise ForeignMessage(sender=link.sender, field="history")
    return payload, _digest(header)


def chained(before: bytes, digest: bytes) -> bytes:
    """The running digest of a direction, one message on."""
    return hashlib.sha256(before + digest).digest()


def _digest(header: Any) -> bytes:
    return canonical.digest("ecohub/oprf-message/1", header)


def _open(message: bytes | memoryview, link: Link) -> tuple[dict[str, Any], bytes]:
    try:
        value = packing.unpack(message)
    except Failure as error:
        raise MalformedMessage(sender=link.sender, why=error.message("en")) from None
    if not isinstance(value, dict) or set(value) != {"header", "payload"}:
        raise MalformedMessage(sender=link.sender, why="other parts than a header and a payload")
    header, payload = value["header"], value["payload"]
    if not isinstance(header, dict) or set(header) != set(_FIELDS) or not isinstance(payload, bytes):
        raise MalformedMessage(sender=link.sender, why="other fields than a message has")
    if any(type(header[name]) is not kind for name, kind in _FIELDS.items()) or header["oprf"] != VERSION:
        raise MalformedMessage(sender=link.sender, why="a field of another type or version")
    return header, payload


def _check_link(header: dict[str, Any], link: Link) -> None:
    if header["role"] != link.role:
        raise WrongRole(sender=link.sender, role=header["role"][:40])
    for name in ("job", "sender", "recipient"):
        if header[name] != getattr(link, name):
            raise ForeignMessage(sender=link.sender, field=name)
