"""Identifiers as types of their own. Each is made only by its `parse_*`, which checks the form once at the edge."""

import re
from typing import NewType

from privacy.errors import Failure, Kind

PartnerId = NewType("PartnerId", str)  # "bank-a": 2-32 of a-z 0-9 -
Digest = NewType("Digest", str)  # 64 hex digits: a SHA-256
ClientToken = NewType("ClientToken", str)  # 32 hex digits: a client's handle inside one alignment
Period = NewType("Period", str)  # "2026-10": a calendar month of the agreement's time zone
KeyId = NewType("KeyId", str)  # 16 hex digits: the first 8 bytes of SHA-256 of a public key


class MalformedIdentifier(Failure):
    code = "MALFORMED_IDENTIFIER"
    kind = Kind.INVALID
    en = "{value!r} is not a {what}: {form} is expected"
    zh = "{value!r} 不是合法的 {what}：应为 {form}"


_FORMS = {
    "partner id": (re.compile(r"[a-z][a-z0-9-]{1,31}"), "2-32 of a-z, 0-9 and -"),
    "digest": (re.compile(r"[0-9a-f]{64}"), "64 hex digits"),
    "client token": (re.compile(r"[0-9a-f]{32}"), "32 hex digits"),
    "period": (re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])"), "YYYY-MM"),
    "key id": (re.compile(r"[0-9a-f]{16}"), "16 hex digits"),
}


def _parse(what: str, value: object) -> str:
    pattern, form = _FORMS[what]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise MalformedIdentifier(value=str(value)[:40], what=what, form=form)
    return value


def parse_partner_id(value: object) -> PartnerId:
    return PartnerId(_parse("partner id", value))


def parse_digest(value: object) -> Digest:
    return Digest(_parse("digest", value))


def parse_client_token(value: object) -> ClientToken:
    return ClientToken(_parse("client token", value))


def parse_period(value: object) -> Period:
    return Period(_parse("period", value))


def parse_key_id(value: object) -> KeyId:
    return KeyId(_parse("key id", value))
