"""Objections to a statement, line by line, the other party's answers, and the adjustments both agree on. Values only.

    dispute      statement, reason, lines: each with its number, a reason code, words, and evidence where there is any
    answer       to one dispute: every disputed line accepted or rejected, with a reason
    adjustment   an amount that the payer signs for a line of a statement; with the referrer's approval it is a line of
                 the next one

Evidence is a file that stays at the party's home: the document holds its SHA-256 digest, its size and what it is, so
that the file, handed over on another way, can't be another one later.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import ClientToken, Digest, parse_client_token, parse_digest
from revenue_share.money import AMOUNT_FEN_MAX

LINES_MAX = 1000
WORDS_MAX = 500
FILE_BYTES_MAX = 1 << 40
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LINE, _EVIDENCE = {"line", "code", "reason", "evidence"}, {"sha256", "bytes", "what"}


class DisputeInvalid(Failure):
    code = "DISPUTE_INVALID"
    kind = Kind.INVALID
    en = "the field {field} of this {document} is wrong: {why}"
    zh = "该 {document} 的字段 {field} 有误：{why}"


class Code(Enum):
    """Why a line is disputed."""

    AMOUNT = "AMOUNT"  # base or amount is wrong
    RATE = "RATE"  # another rule or rate applies
    DUPLICATE = "DUPLICATE"  # counted twice
    REFERRAL = "REFERRAL"  # the client is not, or is, this referrer's
    WINDOW = "WINDOW"  # inside or outside the window
    REVERSAL = "REVERSAL"  # taken back, or wrongly so
    MISSING = "MISSING"  # an event of this client is missing
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    sha256: str
    size: int  # bytes
    what: str

    def to_value(self) -> dict[str, canonical.Value]:
        return {"sha256": self.sha256, "bytes": self.size, "what": self.what}


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputedLine:
    line: int
    code: Code
    reason: str
    evidence: Evidence | None = None

    def to_value(self) -> dict[str, canonical.Value]:
        evidence = self.evidence.to_value() if self.evidence else None
        return {"line": self.line, "code": self.code.value, "reason": self.reason, "evidence": evidence}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredLine:
    line: int
    accepted: bool
    reason: str

    def to_value(self) -> dict[str, canonical.Value]:
        return {"line": self.line, "accepted": self.accepted, "reason": self.reason}


_L = TypeVar("_L", DisputedLine, AnsweredLine)


def read_lines(value: canonical.Value) -> tuple[DisputedLine, ...]:
    """The disputed lines of a dispute's body; none where the dispute is of the statement as a whole.

    Raises DisputeInvalid.
    """
    found = tuple(_disputed(item, f"lines[{i}]") for i, item in enumerate(_list(value, "dispute")))
    return _once(found, "dispute")


def read_answers(value: canonical.Value) -> tuple[AnsweredLine, ...]:
    """The answered lines of an answer's body. Raises DisputeInvalid."""
    found = tuple(_answered(item, f"lines[{i}]") for i, item in enumerate(_list(value, "answer")))
    return _once(found, "answer")


def _once(found: tuple[_L, ...], document: str) -> tuple[_L, ...]:
    if len({item.line for item in found}) != len(found):
        raise DisputeInvalid(document=document, field="lines", why="a line stands twice")
    return found


def _disputed(value: canonical.Value, field: str) -> DisputedLine:
    if type(value) is int:  # as nodes named lines before they gave each its reason
        return DisputedLine(line=_number(value, "dispute", field), code=Code.OTHER, reason="")
    fields = _object(value, _LINE, "dispute", field)
    if fields["code"] not in {code.value for code in Code}:
        codes = ", ".join(code.value for code in Code)
        raise DisputeInvalid(document="dispute", field=f"{field}.code", why=f"one of {codes} is expected")
    return DisputedLine(
        line=_number(fields["line"], "dispute", f"{field}.line"),
        code=Code(str(fields["code"])),
        reason=_words(fields["reason"], "dispute", f"{field}.reason"),
        evidence=None if fields["evidence"] is None else _evidence(fields["evidence"], f"{field}.evidence"),
    )


def _evidence(value: canonical.Value, field: str) -> Evidence:
    fields = _object(value, _EVIDENCE, "dispute", field)
    sha256, size = fields["sha256"], fields["bytes"]
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise DisputeInvalid(document="dispute", field=f"{field}.sha256", why="64 hex digits are expected")
    if type(size) is not int or not 0 <= size <= FILE_BYTES_MAX:
        raise DisputeInvalid(document="dispute", field=f"{field}.bytes", why="a number of bytes is expected")
    return Evidence(sha256=sha256, size=size, what=_words(fields["what"], "dispute", f"{field}.what"))


def _answered(value: canonical.Value, field: str) -> AnsweredLine:
    fields = _object(value, {"line", "accepted", "reason"}, "answer", field)
    accepted = fields["accepted"]
    if not isinstance(accepted, bool):
        raise DisputeInvalid(document="answer", field=f"{field}.accepted", why="true or false is expected")
    return AnsweredLine(
        line=_number(fields["line"], "answer", f"{field}.line"),
        accepted=accepted,
        reason=_words(fields["reason"], "answer", f"{field}.reason"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """An amount for (positive) or from (negative) the referrer, for a line of a statement. `digest`: its document's."""

    digest: Digest
    agreement: Digest
    statement: Digest
    line: int
    token: ClientToken
    currency: str
    amount_minor: int
    reason: str

    @classmethod
    def from_body(cls, body: Mapping[str, canonical.Value], digest: Digest) -> "Adjustment":
        """Raises DisputeInvalid."""
        names = {"agreement", "statement", "line", "token", "currency", "amount_minor", "reason", "person", "time"}
        fields = _object(dict(body), names, "adjustment", "body")
        amount = fields["amount_minor"]
        if type(amount) is not int or not 0 < abs(amount) <= AMOUNT_FEN_MAX:
            raise DisputeInvalid(document="adjustment", field="amount_minor", why="an amount other than 0 is expected")
        for name in ("person", "time", "currency"):
            _words(fields[name], "adjustment", name)
        try:
            return cls(
                digest=digest,
                agreement=parse_digest(fields["agreement"]),
                statement=parse_digest(fields["statement"]),
                line=_number(fields["line"], "adjustment", "line"),
                token=parse_client_token(fields["token"]),
                currency=str(fields["currency"]),
                amount_minor=amount,
                reason=_words(fields["reason"], "adjustment", "reason"),
            )
        except DisputeInvalid:
            raise
        except Failure as failure:
            raise DisputeInvalid(document="adjustment", field="body", why=failure.message()) from None


def _list(value: canonical.Value, document: str) -> list[canonical.Value]:
    if not isinstance(value, list) or len(value) > LINES_MAX:
        raise DisputeInvalid(document=document, field="lines", why=f"a list of at most {LINES_MAX} lines is expected")
    return value


def _object(value: canonical.Value, names: set[str], document: str, field: str) -> dict[str, canonical.Value]:
    if not isinstance(value, dict) or set(value) != names:
        raise DisputeInvalid(document=document, field=field, why=f"exactly {', '.join(sorted(names))} are expected")
    return value


def _number(value: canonical.Value, document: str, field: str) -> int:
    if type(value) is not int or value < 0:
        raise DisputeInvalid(document=document, field=field, why="a line's number is expected")
    return value


def _words(value: canonical.Value, document: str, field: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= WORDS_MAX:
        raise DisputeInvalid(document=document, field=field, why=f"1 to {WORDS_MAX} characters are expected")
    return value
