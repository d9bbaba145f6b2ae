"""The canary test's search: finds each form wherever it stands, and finds nothing where there is nothing.

Fast, without processes: the recordings that the flow searches are imitated.
"""

import base64
import hashlib
import hmac
import struct

import numpy as np
import pytest

from tests.support import tap_forms
from tests.support.tap_search import Patterns
from tests.support.tap_seeded import SeededRecord

VALUE, WHOLE = 1456688.7912345678, 1_234_567_890_123
ID, NORMALISED = "110101199003074477", b"cid:110101199003074477"
KEYS = [(b"", "the empty key"), (b"job", "the job")]
DRAW = np.random.default_rng(3)
ROW = [int(v) for v in DRAW.integers(-2000, 2000, 24)]
FLAGS = [bool(v) for v in DRAW.integers(0, 2, 200)]
COLUMN = [float(v) for v in DRAW.normal(size=40)]


@pytest.fixture(scope="module")
def patterns() -> Patterns:
    made = Patterns()
    made.update(tap_forms.number(VALUE, "value"))
    made.update(tap_forms.disguised(VALUE, "value"))
    made.update(tap_forms.integer(WHOLE, "whole"))
    made.update(tap_forms.identifier(ID, NORMALISED, KEYS, "id"))
    made.update(tap_forms.quantised(ROW, "row"))
    made.update(tap_forms.flags(FLAGS, "label"))
    made.update(tap_forms.pairs(COLUMN, "column"))
    return made


def f4(values: list[float], order: str = "<") -> bytes:
    return np.array(values).astype(order + "f4").tobytes()


LEAKS = {
    "text": repr(VALUE).encode(),
    "text with fewer digits": f"{VALUE:.6f}".encode(),
    "float64": struct.pack("<d", VALUE),
    "float64, other order": struct.pack(">d", VALUE),
    "float64 in hex": struct.pack("<d", VALUE).hex().upper().encode(),
    "float64 in base64": base64.b64encode(b"ab" + struct.pack("<d", VALUE) + b"tail"),
    "text in base64": base64.b64encode(b"x" + repr(VALUE).encode()),
    "logarithm": struct.pack("<d", float(np.log1p(VALUE))),
    "fixed point": struct.pack("<q", round(VALUE * 2**32)),
    "digest of the text": hashlib.sha256(repr(VALUE).encode()).hexdigest().encode(),
    "shortened digest": hashlib.md5(struct.pack("<d", VALUE)).digest()[:12],
    "whole number": struct.pack(">q", WHOLE),
    "id": ID.encode(),
    "normalised id": NORMALISED,
    "id in base64": base64.b64encode(b"client=" + ID.encode()),
    "id as a number": struct.pack("<q", int(ID)),
    "id, SHA-1": hashlib.sha1(ID.encode()).digest(),
    "id, SHA-512 in base64": base64.b64encode(hashlib.sha512(NORMALISED).digest()),
    "id, HMAC with the empty key": hmac.digest(b"", NORMALISED, "sha256"),
    "id, HMAC under the job": hmac.digest(b"job", ID.encode(), "sha256").hex().encode(),
    "id, salted with the job": hashlib.sha256(b"job" + NORMALISED).digest(),
    "rounded row": np.array(ROW[3:], dtype="<i8").tobytes(),
    "rounded row as int16": np.array(ROW[:16], dtype=">i2").tobytes(),
    "rounded row as float32": f4([float(v) for v in ROW[:20]]),
    "label": np.array(FLAGS, dtype=np.int8)[5:].tobytes(),
    "label as bits": np.packbits(FLAGS).tobytes(),
    "label as float64": np.array(FLAGS, dtype="<f8").tobytes(),
    "column as float32": f4(COLUMN[7:9]),
    "column as float32, other order": f4(COLUMN, ">"),
}


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("place", ["first", "inside", "last"])
def test_each_form_is_found_wherever_it_stands(patterns: Patterns, leak: str, place: str) -> None:
    noise = SeededRecord(5).noise(4001)
    before, after = {"first": (b"", noise), "inside": (noise, noise), "last": (noise, b"")}[place]
    assert any(True for _ in patterns.search(before + LEAKS[leak] + after)), leak


def test_nothing_is_found_in_noise_or_in_what_may_leave(patterns: Patterns) -> None:
    """Ciphertexts and points are noise; moments, rounded scores and counts are arrays of whole numbers."""
    record = SeededRecord(6)
    allowed = [record.noise(8 << 20), bytes(1 << 20), record.moments(400), record.scores(5000), record.heads(500)]
    assert [hit for content in allowed for hit in patterns.search(content)] == []


def test_short_patterns_are_refused() -> None:
    """Seven bytes may occur by accident; so may a small number."""
    with pytest.raises(AssertionError, match="accident"):
        Patterns().add(b"1234567", "short")
    with pytest.raises(AssertionError, match="accident"):
        Patterns().update(tap_forms.integer(2047, "small"))
