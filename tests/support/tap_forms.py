"""The forms in which a value, an identifier or a run of values could leave a node: patterns for `tap_search`.

Everything here is at least eight bytes long and carries enough entropy that meeting it by accident is out of the
question. Digests are cut to 12 bytes, so a shortened digest is found too. What no search of bytes can find is said with
`quantised`.
"""

import base64
import hashlib
import hmac
import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np

Form = tuple[bytes | str, str]
DIGEST_BYTES = 12
TEXT_CHARACTERS = 12
WINDOW = 8  # values of a run: rounded values of a row or column are telling only together
FLAGS = 64  # of a column of few values
HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")


def number(value: float, label: str) -> Iterator[Form]:
    """One value: decimal text, float64 in both byte orders, and these bytes in hex."""
    yield repr(value)[:TEXT_CHARACTERS], f"{label} as text"
    for order, name in (("<", "little-endian"), (">", "big-endian")):
        raw = struct.pack(order + "d", value)
        yield raw, f"{label} as {name} float64"
        yield raw.hex(), f"{label} as {name} float64 in hex"


def disguised(value: float, label: str) -> Iterator[Form]:
    """One value in further forms: base64, digests of text and encodings, its logarithm, fixed point."""
    for source in (repr(value).encode(), struct.pack("<d", value), struct.pack(">d", value)):
        yield from digests(source, label)
        for part in in_base64(source[:TEXT_CHARACTERS]):
            yield part, f"{label} in base64"
    logarithm = math.copysign(math.log1p(abs(value)), value)
    for order in "<>":
        yield struct.pack(order + "d", logarithm), f"{label}, its logarithm as float64"
        for bits in (16, 24, 32, 40):
            fixed = round(value * 2**bits)
            if 1 << 40 <= abs(fixed) < 1 << 63:
                yield struct.pack(order + "q", fixed), f"{label} as int64 with {bits} fraction bits"


def integer(value: int, label: str) -> Iterator[Form]:
    """A distinctive whole number: eight bytes in both orders, decimal text."""
    assert value >= 1 << 40, "a smaller number may occur by accident"
    yield str(value), f"{label} as text"
    yield value.to_bytes(8, "little"), f"{label} as little-endian int64"
    yield value.to_bytes(8, "big"), f"{label} as big-endian int64"


def pairs(values: Sequence[float], label: str) -> Iterator[Form]:
    """Neighbours as float32, two by two: one float32 alone has too few bits to be no accident."""
    for order in "<>":
        raw = np.asarray(values, dtype=np.float64).astype(order + "f4").tobytes()
        for i in range(len(values) - 1):
            yield raw[4 * i : 4 * i + 8], f"{label} as float32"


def quantised(values: Sequence[int], label: str) -> Iterator[Form]:
    """Runs of rounded values in every integer and float type. A single rounded value is a small number: not findable.

    Runs of fewer than four different values are longer, so that they tell something.
    """
    length = WINDOW
    array = np.asarray(values)
    while length <= FLAGS and len(array) >= length:
        for start in range(0, len(array) - length + 1, length):
            run = array[start : start + length]
            if not _telling(run):
                continue
            for kind in ("<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "<f4", ">f4", "<f8", ">f8"):
                yield run.astype(kind).tobytes(), f"{label}, rounded, as {kind}"
            if np.abs(run).max() < 128 and length == FLAGS:
                yield run.astype("i1").tobytes(), f"{label}, rounded, as int8"
        length *= FLAGS // WINDOW


def flags(values: Sequence[bool], label: str) -> Iterator[Form]:
    """Runs of 64 flags: as bytes, as digits, as bits in both orders, as wider integers and floats."""
    array = np.asarray(values, dtype=np.int8)
    for start in range(0, len(array) - FLAGS + 1, FLAGS):
        run = array[start : start + FLAGS]
        if not FLAGS // 8 <= run.sum() <= FLAGS - FLAGS // 8:
            continue
        yield run.tobytes(), f"{label} as bytes"
        yield "".join(map(str, run.tolist())), f"{label} as digits"
        for order in ("big", "little"):
            yield np.packbits(run, bitorder=order).tobytes(), f"{label} as {order}-endian bits"
        for kind in ("<i4", ">i4", "<i8", ">i8", "<f4", ">f4", "<f8", ">f8"):
            yield run.astype(kind).tobytes(), f"{label} as {kind}"


def identifier(raw: str, normalised: bytes, keys: Sequence[tuple[bytes, str]], label: str) -> Iterator[Form]:
    """One identifier: its text, its number, and its digests, plain and under every key that others know too."""
    for text in (raw, normalised.decode()):
        yield text, f"{label} as text"
        for part in in_base64(text.encode()):
            yield part, f"{label} in base64"
        yield from digests(text.encode(), label)
        for key, name in keys:
            for hash_ in ("sha256", "sha1"):
                yield from _digest(hmac.digest(key, text.encode(), hash_), f"{label}, HMAC-{hash_} under {name}")
            yield from _digest(hashlib.sha256(key + text.encode()).digest(), f"{label}, SHA-256 after {name}")
    number_ = int(raw[:17])  # the check character may be an X
    for form in (number_, number_ * 10 + (int(raw[17]) if raw[17].isdigit() else 0)):
        yield from integer(form, label)


def digests(data: bytes, label: str) -> Iterator[Form]:
    """Plain digests of some bytes."""
    for name in HASHES:
        yield from _digest(hashlib.new(name, data).digest(), f"{label}, {name}")


def in_base64(data: bytes) -> Iterator[str]:
    """The characters that stand for `data` in base64 wherever it begins in a larger content, where they are 8 or more.

    A search ignores case, which costs two bits a character and no soundness.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        inner = encoded[-(-8 * before // 6) :][: (8 * len(data) - (-8 * before) % 6) // 6]
        if len(inner) >= 8:
            yield inner


def _digest(digest: bytes, label: str) -> Iterator[Form]:
    yield digest[:DIGEST_BYTES], f"{label}, raw"
    yield digest.hex()[: 2 * DIGEST_BYTES], f"{label}, in hex"
    yield base64.b64encode(digest).decode()[: 4 * DIGEST_BYTES // 3], f"{label}, in base64"


def _telling(run: np.ndarray) -> bool:
    values, counts = np.unique(run, return_counts=True)
    return len(values) >= 4 if len(run) == WINDOW else len(values) >= 2 and counts.max() <= len(run) - WINDOW
