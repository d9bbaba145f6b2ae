"""A statement as the bundle stores it: four files of exact form, nothing computed yet."""

import re
from dataclasses import dataclass

from ecowire import documents
from privacy import canonical
from revenue_share.statement import State
from sandbox.examine import forms
from sandbox.examine.case import Case, Object, decode, records

_SALT = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{130}")
_STATES = frozenset(state.value for state in State)
_ROLES = ("payer", "referrer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """`where` is the folder. A line is None where it can't be read, a salt empty; `signatures` by role, 65 bytes."""

    where: str
    id: str
    body: Object
    lines: tuple[Object | None, ...]
    salts: tuple[bytes, ...]
    total_salt: bytes
    state: str
    signatures: dict[str, bytes]


def read(case: Case, folder: str) -> Stored | None:
    """The stored parts of a statement; None where one can't be read, which is a finding."""
    parts: dict[str, Object] = {}
    for part in ("body", "salts", "signatures"):
        name = f"{folder}/{part}.json"
        value = decode(case, name, case.bundle.entries[name]) if name in case.bundle.entries else None
        if value is None:
            return None
        parts[part] = value
    identifier = folder.split("/")[1]
    if (digest := documents.digest("statement", parts["body"])) != identifier:
        case.sheet.add("NAME_DIFFERS", f"{folder}/body.json", digest=digest)
    forms.exact(case, f"{folder}/salts.json", parts["salts"], {"total"})
    lines, salts = _lines(case, f"{folder}/lines.jsonl")
    state, signatures = _signatures(case, f"{folder}/signatures.json", parts["signatures"])
    return Stored(
        where=folder,
        id=identifier,
        body=parts["body"],
        lines=lines,
        salts=salts,
        total_salt=_hex(case, f"{folder}/salts.json", parts["salts"].get("total"), _SALT),
        state=state,
        signatures=signatures,
    )


def _lines(case: Case, name: str) -> tuple[tuple[Object | None, ...], tuple[bytes, ...]]:
    lines: list[Object | None] = []
    salts: list[bytes] = []
    for where, _, value in records(case, name):
        if value is None or not forms.exact(case, where, value, {"line", "salt"}):
            value = {}
        line = value.get("line")
        lines.append(line if isinstance(line, dict) else None)
        salts.append(_hex(case, where, value["salt"], _SALT) if value else b"")
    return tuple(lines), tuple(salts)


def _signatures(case: Case, where: str, value: Object) -> tuple[str, dict[str, bytes]]:
    state = value.get("state")
    if not isinstance(state, str) or state not in _STATES or set(value) - {"state", *_ROLES}:
        case.sheet.add("RECORD_UNREADABLE", where, why="a known state and the parties' signatures are expected")
    return str(state), {role: _hex(case, where, value[role], _SIGNATURE) for role in _ROLES if role in value}


def _hex(case: Case, where: str, value: canonical.Value, form: re.Pattern[str]) -> bytes:
    if isinstance(value, str) and form.fullmatch(value):
        return bytes.fromhex(value)
    case.sheet.add("RECORD_UNREADABLE", where, why="a salt or signature in hex digits is expected")
    return b""
