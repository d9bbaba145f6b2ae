"""Display masking: what a person sees of a name, phone, resident id, account or e-mail, in three strengths.

Masking is for screens and reports. It is no protection of stored data and no pseudonym: two clients may look the same,
and who knows a client can tell the masked value. Masking never fails: a value of unexpected form shows less.
"""

from enum import StrEnum


class Field(StrEnum):
    NAME = "name"
    PHONE = "phone"
    RESIDENT_ID = "resident_id"
    ACCOUNT = "account"
    EMAIL = "email"


class Strength(StrEnum):
    LIGHT = "light"  # enough to tell one's own clients apart: 138****5678
    MEDIUM = "medium"  # enough to confirm a value one is told: *******5678
    FULL = "full"  # only that there is a value: ***


HIDDEN_MIN = 4  # numbers: with fewer characters hidden, the next stronger mask is used
FULLY_HIDDEN = "***"

# (first, last) characters that stay visible
_SHOWN = {
    (Field.NAME, Strength.LIGHT): (1, 1),
    (Field.NAME, Strength.MEDIUM): (1, 0),
    (Field.PHONE, Strength.LIGHT): (3, 4),
    (Field.PHONE, Strength.MEDIUM): (0, 4),
    (Field.RESIDENT_ID, Strength.LIGHT): (6, 4),
    (Field.RESIDENT_ID, Strength.MEDIUM): (1, 1),
    (Field.ACCOUNT, Strength.LIGHT): (6, 4),
    (Field.ACCOUNT, Strength.MEDIUM): (0, 4),
}


def mask(field: Field, text: str, strength: Strength) -> str:
    """The text with its private part as asterisks, as many as characters are hidden; FULL shows three always.

    An empty text stays empty. A name keeps first and last character (LIGHT, from three on) or the first (MEDIUM); an
    e-mail address keeps its domain, and LIGHT the first character.
    """
    text = text.strip()
    if not text or strength is Strength.FULL:
        return FULLY_HIDDEN if text else ""
    if field is Field.EMAIL:
        return _email(text, strength)
    first, last = _SHOWN[field, strength]
    hidden = len(text) - first - last
    if hidden < (1 if field is Field.NAME else HIDDEN_MIN):
        return mask(field, text, Strength.MEDIUM if strength is Strength.LIGHT else Strength.FULL)
    return text[:first] + "*" * hidden + text[len(text) - last :]


def _email(text: str, strength: Strength) -> str:
    local, at, domain = text.rpartition("@")
    if not at or not local:
        return FULLY_HIDDEN
    shown = local[0] if strength is Strength.LIGHT and len(local) > 1 else ""
    return f"{shown}{FULLY_HIDDEN}@{domain}"
