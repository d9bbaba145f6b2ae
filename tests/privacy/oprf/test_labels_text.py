"""Labels as text: what goes in comes out, and another party's bytes are looked at first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.psi.oprf.errors import BadLabels, LabelsNotText
from privacy.psi.oprf.labels_text import decode, encode

TEXTS = st.lists(st.text(st.characters(exclude_categories=["C"]), max_size=16), max_size=20)


@given(TEXTS)
def test_texts_come_back(texts: list[str]) -> None:
    labels = encode(texts, 64)
    assert (labels.dtype, labels.shape) == (np.uint8, (len(texts), 64))
    assert decode(labels) == texts


def test_the_length_counts_bytes() -> None:
    assert decode(encode(["甲", "A12", ""], 3)) == ["甲", "A12", ""]
    with pytest.raises(BadLabels):
        encode(["甲乙", "A"], 5)


@pytest.mark.parametrize("text", ["a\x00", "\x00", "a\nb", "\u200b", "\ud800", "\ue000", "\u0378"])
def test_texts_that_could_be_misread_are_refused(text: str) -> None:
    with pytest.raises(BadLabels) as caught:
        encode(["A", text], 8)
    assert text not in caught.value.message("en")


@pytest.mark.parametrize("label", [b"\xff", b"A\x00B", b"\x00A", b"\xe7\x94", b"A\n", b"\xed\xa0\x80"])
def test_bytes_that_are_no_text_are_refused(label: bytes) -> None:
    good = encode(["A", "B"], 4)
    bad = np.frombuffer(label.ljust(4, b"\x00"), np.uint8)[None]
    with pytest.raises(LabelsNotText):
        decode(np.concatenate([good, bad]))
