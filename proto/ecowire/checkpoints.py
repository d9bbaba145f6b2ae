"""Checkpoints of the append-only logs as signed notes (C2SP tlog-checkpoint and signed-note).

Text: origin, size in decimal and the base64 root, one a line; then an empty line and signature lines
"— <key name> <base64(key id ‖ Ed25519 signature over the text)>". The key id is the first 4 bytes of
SHA-256(key name ‖ 0x0A ‖ 0x01 ‖ public key). The key name is the origin.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from ecowire.status import MalformedMessage
from privacy import seal

NOTE_BYTES_MAX = 4096
DASH = "\N{EM DASH} "


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says of itself: its origin (name), its number of leaves and its RFC 6962 root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The signed text: three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, key: seal.SigningKey) -> str:
    """The note: the checkpoint's text with the log's signature."""
    signature = _key_id(checkpoint.origin, key.public) + key.sign(checkpoint.text().encode())
    return f"{checkpoint.text()}\n{DASH}{checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def parse(note: object) -> Checkpoint:
    """The checkpoint of a note; its signature is not yet verified. Raises MalformedMessage."""
    return _parse(note)[0]


def verify(note: object, public: bytes) -> Checkpoint:
    """The checkpoint of a note signed by the log's 32-byte key. Raises MalformedMessage or seal.BadSignature."""
    checkpoint, signatures = _parse(note)
    prefix = _key_id(checkpoint.origin, public)
    for name, raw in signatures:
        # signed-note: a verifier skips lines whose name or key id it doesn't know, and fails if none is left
        if name == checkpoint.origin and raw[:4] == prefix:
            seal.verify(public, raw[4:], checkpoint.text().encode(), signer="the log", what="checkpoint")
            return checkpoint
    raise seal.BadSignature(signer="the log", what="checkpoint")


def _parse(note: object) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    if not isinstance(note, str) or len(note.encode(errors="replace")) > NOTE_BYTES_MAX:
        raise MalformedMessage(why="a checkpoint note")
    text, gap, tail = note.partition("\n\n")
    lines = text.split("\n")
    if not gap or not tail.endswith("\n") or len(lines) != 3 or not lines[0]:
        raise MalformedMessage(why="a checkpoint note's lines")
    size = lines[1]
    if not size.isascii() or not size.isdecimal() or len(size) > 15 or str(int(size)) != size:
        raise MalformedMessage(why="a checkpoint's size")
    checkpoint = Checkpoint(origin=lines[0], size=int(size), root=_base64(lines[2], 32))
    return checkpoint, [_signature(line) for line in tail[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(DASH).rpartition(" ")
    if not line.startswith(DASH) or not space or not name:
        raise MalformedMessage(why="a checkpoint's signature line")
    return name, _base64(encoded, 68)


def _base64(text: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedMessage(why="base64 in a checkpoint") from None
    if len(raw) != length or base64.b64encode(raw).decode() != text:
        raise MalformedMessage(why="base64 in a checkpoint")
    return raw


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
