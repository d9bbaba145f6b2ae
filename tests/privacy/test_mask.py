"""Masking shows exactly the agreed characters, and less of anything unexpected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.mask import FULLY_HIDDEN, HIDDEN_MIN, Field, Strength, mask

TABLE = [
    (Field.NAME, "欧阳修文", "欧**文", "欧***"),
    (Field.NAME, "张三", "张*", "张*"),
    (Field.NAME, "张", "***", "***"),
    (Field.PHONE, "13812345678", "138****5678", "*******5678"),
    (Field.PHONE, "+8613812345678", "+86*******5678", "**********5678"),
    (Field.PHONE, "12345678", "****5678", "****5678"),
    (Field.PHONE, "110", "***", "***"),
    (Field.RESIDENT_ID, "11010519491231002X", "110105********002X", "1****************X"),
    (Field.RESIDENT_ID, "110105491231002", "110105*****1002", "1*************2"),
    (Field.RESIDENT_ID, "1101", "***", "***"),
    (Field.ACCOUNT, "6222021234567890123", "622202*********0123", "***************0123"),
    (Field.ACCOUNT, "123456789", "*****6789", "*****6789"),
    (Field.EMAIL, "lisi@example.com", "l***@example.com", "***@example.com"),
    (Field.EMAIL, "x@example.com", "***@example.com", "***@example.com"),
    (Field.EMAIL, "not an address", "***", "***"),
    (Field.EMAIL, "@example.com", "***", "***"),
]


@pytest.mark.parametrize(("field", "text", "light", "medium"), TABLE)
def test_table(field: Field, text: str, light: str, medium: str) -> None:
    assert mask(field, text, Strength.LIGHT) == light
    assert mask(field, f" {text} ", Strength.MEDIUM) == medium
    assert mask(field, text, Strength.FULL) == FULLY_HIDDEN
    assert [mask(field, "  ", strength) for strength in Strength] == ["", "", ""]


@given(
    st.sampled_from([Field.PHONE, Field.RESIDENT_ID, Field.ACCOUNT]),
    st.text("0123456789X", min_size=1, max_size=30),
    st.sampled_from(Strength),
)
def test_numbers_hide_at_least_four_characters_or_all(field: Field, text: str, strength: Strength) -> None:
    shown = mask(field, text, strength)
    assert shown == FULLY_HIDDEN or (len(shown) == len(text) and shown.count("*") >= HIDDEN_MIN)
    assert all(char in ("*", original) for char, original in zip(shown, text, strict=False))


@given(st.sampled_from(Field), st.text(min_size=1, max_size=40))
def test_stronger_never_shows_more(field: Field, text: str) -> None:
    shown = [len(mask(field, text, strength).replace("*", "")) for strength in Strength]
    assert shown == sorted(shown, reverse=True)
