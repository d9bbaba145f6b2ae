"""Identifiers as people type them → the same canonical bytes on every side. Versioned: the version is part of a job.

Steps: Unicode NFKC (full-width forms become ASCII), zero-width characters and separators out, ASCII only, then the
check that each standard defines. The result bears a type tag ("cid:", "phone:" …), so that one digit string under two
types never matches. Rejected values are counted by reason; a message never shows the value.

Resident ids: GB 11643-1999 (15 → 18 digits, date, ISO 7064 MOD 11-2). USCC: GB 32100-2015. Hong Kong identity card:
the published check digit rule. Whether a date lies in the future is not asked: there is no clock here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from operator import mul
from typing import Any

import numpy as np

from privacy.errors import Failure, Kind

VERSION = 2  # 1 took no Hong Kong telephone numbers
RAW_CHARACTERS_MAX = 256


class Reason(StrEnum):
    """Why a value is no identifier of its type."""

    MISSING = "MISSING"
    NOT_TEXT = "NOT_TEXT"
    TOO_LONG = "TOO_LONG"
    NOT_ASCII = "NOT_ASCII"
    LENGTH = "LENGTH"
    CHARACTERS = "CHARACTERS"
    PLACEHOLDER = "PLACEHOLDER"
    DATE = "DATE"
    CHECKSUM = "CHECKSUM"
    PREFIX = "PREFIX"


_TEXTS = {
    Reason.MISSING: ("the value is missing", "值为空"),
    Reason.NOT_TEXT: ("the value is not text; read id columns as text", "值不是文本；标识列须按文本读取"),
    Reason.TOO_LONG: ("the value is longer than 256 characters", "值超过 256 个字符"),
    Reason.NOT_ASCII: ("a character has no plain ASCII form", "含有无法转为 ASCII 的字符"),
    Reason.LENGTH: ("the length is not that of this type", "长度不符合该类型"),
    Reason.CHARACTERS: ("a character is not allowed there", "含有该位置不允许的字符"),
    Reason.PLACEHOLDER: ("one repeated digit is a placeholder", "同一数字重复，属占位值"),
    Reason.DATE: ("the date of birth does not exist", "出生日期不存在"),
    Reason.CHECKSUM: ("the check character is wrong", "校验码错误"),
    Reason.PREFIX: ("the prefix is not one of this type", "号段或前缀不符合该类型"),
}


class IdRejected(Failure):
    code = "ID_REJECTED"
    kind = Kind.INVALID
    en = "the identifier is not accepted ({reason}): {why_en}"
    zh = "标识不予接受（{reason}）：{why_zh}"

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason=reason.value, why_en=_TEXTS[reason][0], why_zh=_TEXTS[reason][1])


class UnknownIdType(Failure):
    code = "UNKNOWN_ID_TYPE"
    kind = Kind.INVALID
    en = "{id_type} is not an identifier type; use one of {known}"
    zh = "{id_type} 不是标识类型；可用：{known}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """A column after normalisation. ids are distinct; ids[i] stands first in row rows[i] of the column."""

    ids: tuple[bytes, ...]
    rows: np.ndarray[Any, np.dtype[np.int64]]  # shape (len(ids),), ascending
    rejected: dict[Reason, int]  # rows by reason
    unknown_region: int  # distinct resident ids whose region code is in no list: a warning, they are kept
    duplicates: int  # rows left out because their id stood in an earlier row


def normalise(id_type: str, raw: str) -> bytes:
    """Canonical bytes with the type's tag. Raises IdRejected with its reason, UnknownIdType for another type."""
    return _rule(id_type)(_text(raw))


def normalise_column(id_type: str, values: Iterable[object]) -> Normalised:
    """Normalise a column in its order; the first row of an id is kept, rejects are counted. Raises UnknownIdType."""
    rule = _rule(id_type)
    first: dict[bytes, int] = {}
    rejected: dict[Reason, int] = {}
    duplicates = 0
    for row, raw in enumerate(values):
        try:
            found = rule(_text(raw))
        except IdRejected as error:
            rejected[error.reason] = rejected.get(error.reason, 0) + 1
            continue
        if found in first:
            duplicates += 1
        else:
            first[found] = row
    unknown = 0 if id_type != "resident_id" else sum(not region_known(item) for item in first)
    return Normalised(
        ids=tuple(first),
        rows=np.fromiter(first.values(), np.int64, len(first)),
        rejected=rejected,
        unknown_region=unknown,
        duplicates=duplicates,
    )


def region_known(canonical: bytes) -> bool:
    """Whether a canonical resident id begins with a province of GB/T 2260 (a foreign resident's with 9 + province)."""
    digits = canonical.removeprefix(b"cid:").decode()
    return digits[:2] in _PROVINCES or (digits[0] == "9" and digits[1:3] in _PROVINCES)


# first two digits, by region of the country: north, north-east, east, centre and south, south-west, north-west, others
_PROVINCES = frozenset(
    str(code)
    for codes in ((11, 16), (21, 24), (31, 38), (41, 47), (50, 55), (61, 66), (71, 72), (81, 84))
    for code in range(*codes)
)
_SPACES = ("Zs", "Zl", "Zp")
_SPACES_AND_DASHES = str.maketrans("", "", " \t\r\n\v\f-")
_PHONE_MARKS = str.maketrans("", "", "().")
_MINUS = str.maketrans({"\u2212": "-", "\ufe63": "-"})


def _text(raw: object) -> str:
    """NFKC, zero-width characters out, other spaces and dashes as their ASCII forms, ASCII only."""
    if raw is None or raw != raw:  # a missing value of a data frame is None or NaN
        raise IdRejected(Reason.MISSING)
    if not isinstance(raw, str):
        raise IdRejected(Reason.NOT_TEXT)
    if len(raw) > RAW_CHARACTERS_MAX:
        raise IdRejected(Reason.TOO_LONG)
    text = raw if raw.isascii() else _plain(raw)
    if not text.isascii():
        raise IdRejected(Reason.NOT_ASCII)
    return text


def _plain(raw: str) -> str:
    out = []
    for char in unicodedata.normalize("NFKC", raw).translate(_MINUS):
        category = unicodedata.category(char)
        if category == "Cf":
            continue
        out.append(" " if category in _SPACES else "-" if category == "Pd" else char)
    return "".join(out)


def _rule(id_type: str) -> Callable[[str], bytes]:
    try:
        return _RULES[id_type]
    except KeyError:
        raise UnknownIdType(id_type=id_type[:40], known=", ".join(_RULES)) from None


def _compact(text: str) -> str:
    """Spaces and dashes out; raises IdRejected when nothing is left."""
    text = text.translate(_SPACES_AND_DASHES)
    if not text:
        raise IdRejected(Reason.MISSING)
    return text


# ISO 7064 MOD 11-2 as in GB 11643-1999: weight of position i is 2^(17-i) mod 11, the check makes the sum 1 mod 11
_WEIGHTS = tuple(pow(2, 17 - i, 11) for i in range(17))
_CHECKS = "10X98765432"
_ZEROS = ord("0") * sum(_WEIGHTS)
_RESIDENT = re.compile(r"[0-9]{17}[0-9X]")
_YEARS = range(1800, 2100)
# the 15-digit form kept these sequence numbers for people born in the nineteenth century
_CENTENARIAN = ("996", "997", "998", "999")


def _resident_id(text: str) -> bytes:
    digits = _compact(text).upper()
    if len(digits) == 15 and digits.isdigit():
        _reject_repeated(digits)
        body = digits[:6] + ("18" if digits[12:] in _CENTENARIAN else "19") + digits[6:]
        digits = body + _check_character(body)
    elif len(digits) in (15, 18):
        if not _RESIDENT.fullmatch(digits):
            raise IdRejected(Reason.CHARACTERS)
        _reject_repeated(digits)
    else:
        raise IdRejected(Reason.LENGTH)
    if not _is_date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14])):
        raise IdRejected(Reason.DATE)
    if digits[17] != _check_character(digits[:17]):
        raise IdRejected(Reason.CHECKSUM)
    return b"cid:" + digits.encode()


def _check_character(body: str) -> str:
    return _CHECKS[(sum(map(mul, _WEIGHTS, body.encode())) - _ZEROS) % 11]


def _is_date(year: int, month: int, day: int) -> bool:
    if year not in _YEARS:
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _reject_repeated(digits: str) -> None:
    if digits == digits[0] * len(digits):
        raise IdRejected(Reason.PLACEHOLDER)


_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_HONG_KONG_NUMBER = re.compile(r"[2-9][0-9]{7}")  # OFCA numbering plan: 0 and 1 begin access codes and short numbers


def _phone(text: str) -> bytes:
    """A telephone number as E.164: a mainland mobile, with +86, 0086, 86 or nothing in front, or a Hong Kong number,
    always with +852, 00852 or 852: eight digits alone could be anywhere's."""
    number = _compact(text).translate(_PHONE_MARKS)
    body = number.removeprefix("+")
    if not body.isdigit():
        raise IdRejected(Reason.CHARACTERS)
    abroad = number.startswith("+") or body.startswith("00")
    if not number.startswith("+"):
        body = body.removeprefix("00")
    if body.startswith("852") and (abroad or len(body) == 11):
        return _numbered("852", body[3:], 8, _HONG_KONG_NUMBER)
    if body.startswith("86") and (abroad or len(body) == 13):
        return _numbered("86", body[2:], 11, _MOBILE)
    if abroad:
        raise IdRejected(Reason.PREFIX)
    return _numbered("86", body, 11, _MOBILE)


def _numbered(country: str, digits: str, length: int, form: re.Pattern[str]) -> bytes:
    if len(digits) != length:
        raise IdRejected(Reason.LENGTH)
    _reject_repeated(digits)
    if not form.fullmatch(digits):
        raise IdRejected(Reason.PREFIX)
    return f"phone:+{country}{digits}".encode()


_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def _email(text: str) -> bytes:
    """The dot-atom form of RFC 5321, lower case throughout: matching treats the local part as case-insensitive."""
    address = text.strip().lower()
    if not address:
        raise IdRejected(Reason.MISSING)
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise IdRejected(Reason.CHARACTERS)
    if len(local) > 64 or len(address) > 254:  # RFC 5321 section 4.5.3.1
        raise IdRejected(Reason.LENGTH)
    return b"email:" + address.encode()


_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I, O, S, V, Z


def _uscc(text: str) -> bytes:
    code = _compact(text).upper()
    if len(code) != 18:
        raise IdRejected(Reason.LENGTH)
    if any(char not in _USCC for char in code):
        raise IdRejected(Reason.CHARACTERS)
    _reject_repeated(code)
    total = sum(pow(3, i, 31) * _USCC.index(char) for i, char in enumerate(code[:17]))
    if code[17] != _USCC[-total % 31]:
        raise IdRejected(Reason.CHECKSUM)
    return b"uscc:" + code.encode()


_HONG_KONG = re.compile(r"([A-Z]{1,2})([0-9]{6})([0-9A])")


def _hk_id(text: str) -> bytes:
    code = _compact(text).upper().translate(_PHONE_MARKS)
    if len(code) not in (8, 9):
        raise IdRejected(Reason.LENGTH)
    parts = _HONG_KONG.fullmatch(code)
    if not parts:
        raise IdRejected(Reason.CHARACTERS)
    values = [36] * (9 - len(code)) + [int(char, 36) for char in code]  # a missing first letter counts as a space, 36
    if sum(weight * value for weight, value in zip(range(9, 0, -1), values, strict=True)) % 11:
        raise IdRejected(Reason.CHECKSUM)
    return b"hkid:" + code.encode()


_ACCOUNT = re.compile(r"[A-Z0-9]{6,34}")


def _account(text: str) -> bytes:
    """An account number: 6-34 letters and digits (34 is the longest IBAN); no check exists for all banks."""
    code = _compact(text).upper()
    if not 6 <= len(code) <= 34:
        raise IdRejected(Reason.LENGTH)
    if not _ACCOUNT.fullmatch(code):
        raise IdRejected(Reason.CHARACTERS)
    _reject_repeated(code)
    return b"acct:" + code.encode()


_RULES: dict[str, Callable[[str], bytes]] = {
    "resident_id": _resident_id,
    "phone": _phone,
    "email": _email,
    "uscc": _uscc,
    "hk_id": _hk_id,
    "account": _account,
}
