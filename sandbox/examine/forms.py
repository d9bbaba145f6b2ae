"""The exact form of a bundle: its file names, the fields of its records, one record once.

What is not named here would go unexamined: a field, a file or a second copy that no check reads could say anything, and
would raise the number of things that "hold". So everything has exactly one place and one form.
"""

import re

from privacy import canonical
from sandbox.examine.case import Case, Object

_DIGEST, _PARTNER = "[0-9a-f]{64}", "[a-z][a-z0-9-]{1,31}"
_NAMES = re.compile(
    rf"cards/{_PARTNER}\.json|(proposals|documents|events|referrals)/{_DIGEST}\.json"
    r"|audit/(leaves|checkpoints|cosignatures)\.jsonl"
    rf"|statements/{_DIGEST}/(body\.json|lines\.jsonl|salts\.json|signatures\.json)"
    r"|chain/(genesis\.json|blocks\.jsonl|contract\.json|anchor\.json)|ledger/entries\.jsonl|payments/(payments|bank)\.jsonl"
)
_KINDS = {"cards/": "card", "events/": "events", "referrals/": "referrals"}
_STATEMENT_PARTS = ("body.json", "lines.jsonl", "salts.json", "signatures.json")


def check(case: Case) -> None:
    """Every file has a name of the format and holds what its name says; every statement is whole."""
    for name in case.bundle.names(""):
        if not _NAMES.fullmatch(name):
            case.sheet.add("ENTRY_UNKNOWN", name)
    for name, signed in case.signed.items():
        folder = name.split("/")[0] + "/"
        # superseded cards stay among the documents
        wrong = signed.kind in ("events", "referrals") if folder == "documents/" else signed.kind != _KINDS[folder]
        if wrong or (folder == "cards/" and name != f"cards/{signed.signer}.json"):
            case.sheet.add("DOCUMENT_MISPLACED", name, kind=signed.kind[:64], signer=signed.signer)
    for folder in sorted({name.rsplit("/", 1)[0] for name in case.bundle.names("statements/")}):
        for part in _STATEMENT_PARTS:
            if f"{folder}/{part}" not in case.bundle.entries:
                case.sheet.add("RECORD_UNREADABLE", f"{folder}/{part}", why="it is missing")
    _check_period(case)


def exact(case: Case, where: str, value: Object, fields: set[str]) -> bool:
    """Whether a record has exactly these fields; a finding where not."""
    if set(value) == fields:
        return True
    odd = sorted(set(value) ^ fields)[0]
    case.sheet.add("RECORD_UNREADABLE", where, why=f"exactly the fields {', '.join(sorted(fields))}; not so {odd[:40]}")
    return False


def once(case: Case, seen: set[str], where: str, identity: canonical.Value) -> bool:
    """Whether this record is the first of its identity; a finding where not."""
    key = canonical.encode(identity).decode()
    if key in seen:
        case.sheet.add("RECORD_REPEATED", where)
        return False
    seen.add(key)
    return True


def _check_period(case: Case) -> None:
    bodies = (case.bundle.entries[name] for name in case.bundle.names("statements/", "/body.json"))
    mark = f'"period":{canonical.encode(case.bundle.period).decode()}'.encode()
    if not any(mark in body for body in bodies):
        case.sheet.add("PERIOD_WITHOUT_STATEMENT", "manifest.json", period=case.bundle.period[:40])
