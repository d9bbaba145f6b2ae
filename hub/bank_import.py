"""A bank's file comes in: read whole or not at all, kept as it came, each booking counted once.

An entry is named by its content and by how many like it came before it in its statement: the same entry in another file
is the same, two equal fees of one day are two. The bank's balances have said before which of the two it is.
"""

import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hub import bank_camt, bank_csv, bank_values, times
from hub.bank_values import BankStatement
from hub.identity import Caller
from hub.payment_errors import BankAccountDiffers, BankFileInvalid
from hub.records import Head
from hub.services import HeadInvalid, Reply, Services, only, text
from hub.store import Transaction
from hub.store_bank import BankFile, BankStore, Entry
from privacy import canonical

CAMT, CSV = "camt.053", "csv"
LABEL = "ecohub/bank-entry/v1"


def take(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Import a file (base64) of one of our accounts. The same file again changes nothing and says so (`new`).

    Raises BankFileInvalid, BankRowsRefused, BankBalanceDiffers, BankAccountDiffers, BankProfileInvalid.
    """
    only(head, "format", "account", "data", "profile")
    account, data = bank_values.account(text(head, "account", longest=60)), _data(head)
    books, digest = BankStore(tx.session), hashlib.sha256(data).hexdigest()
    if (known := books.bank_file(digest)) is not None:
        if known.account != account:
            raise BankAccountDiffers(found=known.account, expected=account)
        return Reply(head={**value(known), "new": False, "taken": 0})
    statements = _read(head, data, account)
    entries = [entry for statement in statements for entry in _entries(statement, digest)]
    seen = books.known_entries(account)
    fresh = list({entry.id: entry for entry in entries if entry.id not in seen}.values())
    file = BankFile(
        digest=digest,
        format=str(head["format"]),
        account=account,
        statements=tuple(statement.to_value() for statement in statements),
        imported_by=caller.name,
        imported_at=now,
    )
    books.add_bank_file(file, data, fresh)
    facts: Head = {"account": _masked(account), "entries": len(entries), "taken": len(fresh)}
    services.log.append(tx, now, "bank.file", digest, digest=digest, facts=facts)
    return Reply(head={**value(file), "new": True, "taken": len(fresh), "repeated": len(entries) - len(fresh)})


def show(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """The imported files, or the entries of one (in the answer's body)."""
    only(head, "file")
    books = BankStore(tx.session)
    files = books.bank_files()
    if not head.get("file"):
        return Reply(head={"files": [value(file) for file in files]})
    found = [file for file in files if file.digest.startswith(text(head, "file", longest=64))]
    if len(found) != 1:
        raise HeadInvalid(field="file", why="it names no file, or several")
    entries: list[canonical.Value] = [entry_value(entry) for entry in books.entries(file=found[0].digest)]
    return Reply(head=value(found[0]), body=canonical.encode(entries))


def value(file: BankFile) -> Head:
    """A file as it is shown."""
    return {
        "file": file.digest,
        "format": file.format,
        "account": file.account,
        "statements": [*file.statements],
        "imported_by": file.imported_by,
        "imported": times.iso(file.imported_at),
    }


def entry_value(entry: Entry) -> Head:
    """An entry as it is shown."""
    return {
        **entry.value,
        "entry": entry.id,
        "row": entry.row,
        "account": entry.account,
        "settled_by": entry.settled_by,
    }


def _read(head: Head, data: bytes, account: str) -> Sequence[BankStatement]:
    form, profile = head.get("format"), head.get("profile")
    if form == CAMT:
        statements: Sequence[BankStatement] = bank_camt.read(data)
    elif form == CSV:
        if not isinstance(profile, dict):
            raise HeadInvalid(field="profile", why="a CSV file needs the profile of its bank")
        tree: Mapping[str, Any] = profile
        statements = (bank_csv.read(data, bank_csv.of_tree(tree), account),)
    else:
        raise HeadInvalid(field="format", why=f"{CAMT} or {CSV} is expected")
    for statement in statements:
        if statement.account != account:
            raise BankAccountDiffers(found=statement.account, expected=account)
    return statements


def _entries(statement: BankStatement, file: str) -> list[Entry]:
    alike: Counter[str] = Counter()
    found = []
    for entry in statement.entries:
        told = entry.content()
        content = canonical.encode(told).decode()
        alike[content] += 1
        named: canonical.Value = {"account": statement.account, "entry": told, "number": alike[content]}
        name = canonical.digest(LABEL, named).hex()
        found.append(Entry(id=name, file=file, row=entry.row, account=statement.account, value=entry.to_value()))
    return found


def _data(head: Head) -> bytes:
    try:
        data = base64.b64decode(text(head, "data", longest=4 * bank_values.FILE_BYTES_MAX), validate=True)
    except binascii.Error:
        raise HeadInvalid(field="data", why="base64 is expected") from None
    if len(data) > bank_values.FILE_BYTES_MAX:
        raise BankFileInvalid(why=f"it has {len(data)} bytes, at most {bank_values.FILE_BYTES_MAX} are read")
    return data


def _masked(account: str) -> str:
    """What the log says of an account: its last four characters."""
    return "…" + account[-4:]
