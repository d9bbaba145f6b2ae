"""Canonical JSON: RFC 8785 restricted; what is hashed is one sequence of bytes."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import canonical

ROOT = Path(__file__).resolve().parents[2]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-canonical.INTEGER_MAX, canonical.INTEGER_MAX)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abé€\U0001f600", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_decode_gives_back_what_was_encoded(value: canonical.Value) -> None:
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert json.loads(data) == value


def test_properties_sort_by_utf16_code_units() -> None:
    # RFC 8785 section 3.2.3: the emoji (surrogates D83D...) sorts before U+FB33
    keys = ["€", "\r", "\ufb33", "1", "\U0001f600", "\x80", "ö"]
    encoded = canonical.encode(dict.fromkeys(keys, 1)).decode()
    order = [key for key, _ in json.loads(encoded, object_pairs_hook=lambda pairs: pairs)]
    assert order == ["\r", "1", "\x80", "ö", "€", "\U0001f600", "\ufb33"]


def test_strings_escape_as_the_rfc_demands() -> None:
    # RFC 8785 section 3.2.2.2
    assert canonical.encode('€$\x0f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


@pytest.mark.parametrize("bad", [1.0, float("nan"), 2**53, -(2**53), b"x", {1: 2}, "\ud800", {"\ud800": 1}, {1.5}])
def test_what_has_no_canonical_form_is_refused(bad: object) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data", [b'{"b":1,"a":2}', b'{"a": 1}', b"1.0", b"01", b'{"a":1,"a":1}', b"\xff", b"", b'"\\u0041"', b"[" * 100_000]
)
def test_other_bytes_than_the_canonical_ones_are_refused(data: bytes) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(data)


def test_nesting_is_bounded() -> None:
    value: canonical.Value = 1
    for _ in range(canonical.DEPTH_MAX + 1):
        value = [value]
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(value)


def test_digest_is_separated_by_its_label() -> None:
    assert canonical.digest("a/v1", {"x": 1}) == hashlib.sha256(b'a/v1\x00{"x":1}').digest()
    assert canonical.digest("b/v1", {"x": 1}) != canonical.digest("a/v1", {"x": 1})


def test_deep_nesting_is_refused_before_the_parser_recurses() -> None:
    # a process with an EVM library in it has a recursion limit that the C stack does not have
    program = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from privacy import canonical\n"
        "for data in (b'[' * 100_000, b'{\"a\":' * 100_000, b'[\"\\\\\",' * 50_000):\n"
        "    try: canonical.decode(data)\n"
        "    except canonical.NotCanonical: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["refused"] * 3), done.stderr


def test_brackets_inside_text_are_not_nesting() -> None:
    value: canonical.Value = {"a": "[{" * 100, "b": '\\"[' * 100}
    assert canonical.decode(canonical.encode(value)) == value
