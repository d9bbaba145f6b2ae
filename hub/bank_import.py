"""A bank's file comes in: read whole or not at all, kept as it came, each booking counted once.

An entry is named by its content and by how many like it came before it. Whether what stands in two statements alike is
the same booking or another one their balances say (`bank_repeats`); where they don't, a person does.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hub import bank_camt, bank_csv, bank_repeats, bank_values, times
from hub.bank_repeats import Course
from hub.bank_values import BankStatement
from hub.identity import Caller
from hub.payment_errors import BankAccountDiffers, BankEntriesAlike
from hub.payment_suspense import signed
from hub.records import Head
from hub.services import HeadInvalid, Reply, Services, only, text
from hub.store import Transaction
from hub.store_bank import BankFile, BankStore, Entry
from privacy import canonical
from revenue_share import movements

CAMT, CSV = "camt.053", "csv"
LABEL = "ecohub/bank-entry/v1"
SAME, NEW = "same", "new"  # what a person says of bookings that two files hold alike


def take(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Import a file (base64) of one of our accounts. The same file again changes nothing and says so (`new`).

    Raises BankFileInvalid, BankFileTooLarge, BankFormatUnknown, BankRowsRefused, BankBalanceDiffers,
    BankAccountDiffers, BankProfileInvalid, BankEntriesAlike.
    """
    only(head, "format", "account", "data", "profile", "alike")
    alike = head.get("alike")
    if alike not in (None, SAME, NEW):
        raise HeadInvalid(field="alike", why=f"{SAME} or {NEW} is expected")
    account, data = bank_values.account(text(head, "account", longest=60)), _data(head)
    books, digest = BankStore(tx.session), hashlib.sha256(data).hexdigest()
    if (known := books.bank_file(digest)) is not None:
        if known.account != account:
            raise BankAccountDiffers(found=known.account, expected=account)
        return Reply(head={**value(known), "new": False, "taken": 0})
    profile = head.get("profile")
    statements = _read(head.get("format"), profile, data, account)
    intake = _Intake(books, account, digest, alike)
    fresh = [entry for statement in statements for entry in intake.fresh(statement)]
    count = sum(len(statement.entries) for statement in statements)
    file = BankFile(
        digest=digest,
        format=str(head["format"]),
        account=account,
        statements=tuple(statement.to_value() for statement in statements),
        profile=profile if isinstance(profile, dict) else None,
        imported_by=caller.name,
        imported_at=now,
    )
    books.add_bank_file(file, data, fresh)
    brought = movements.imported((one.id, str(one.value["currency"]), signed(one)) for one in fresh)
    facts: Head = {"account": _masked(account), "entries": count, "taken": len(fresh), "brought": brought}
    facts |= {"alike": alike} if alike else {}
    services.log.append(tx, now, "bank.file", digest, facts=facts)
    return Reply(head={**value(file), "new": True, "taken": len(fresh), "repeated": count - len(fresh)})


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


def _read(form: object, profile: object, data: bytes, account: str) -> Sequence[BankStatement]:
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


class _Intake:
    """The entries of one file that are new to the books, statement by statement."""

    def __init__(self, books: BankStore, account: str, digest: str, alike: object) -> None:
        self._books, self._account, self._digest, self._alike = books, account, digest, alike
        self._seen = books.known_entries(account)  # also of this file's statements, as they are gone through
        self._before: list[Course] = []  # of this file

    def fresh(self, statement: BankStatement) -> list[Entry]:
        """The entries that no statement before held. Raises BankEntriesAlike."""
        told = bank_repeats.course(self._digest, statement)
        known = {content: self._known(content) for content in set(told.contents)}
        repeated = self._repeated(told, known)
        self._before.append(told)
        made = []
        for place, (entry, content) in enumerate(zip(statement.entries, told.contents, strict=True)):
            if place not in repeated:
                known[content] += 1
                name = self._name(content, known[content])
                self._seen[name] = self._digest
                made.append(
                    Entry(id=name, file=self._digest, row=entry.row, account=self._account, value=entry.to_value())
                )
        return made

    def _repeated(self, told: Course, known: Mapping[str, int]) -> frozenset[int]:
        """The places of the bookings that are in the books. A person's word counts where the balances say nothing."""
        alike = {content for content, count in known.items() if count}
        if not alike:
            return frozenset()
        others = [other for other in self._others(alike, known) if alike & set(other.contents)]
        try:
            return bank_repeats.repeated(told, others, self._spans())
        except BankEntriesAlike:
            if self._alike is None:
                raise
        return _first(told.contents, known) if self._alike == SAME else frozenset()

    def _others(self, alike: set[str], known: Mapping[str, int]) -> list[Course]:
        """The statements of the files that first held these bookings."""
        names = [self._name(content, number) for content in alike for number in range(1, known[content] + 1)]
        files = {self._seen[name] for name in names} - {self._digest}
        return [*(one for file in sorted(files) for one in self._courses(file)), *self._before]

    def _courses(self, digest: str) -> list[Course]:
        file = self._books.bank_file(digest)
        assert file is not None, "an entry's file is there"
        if file.format == CSV and file.profile is None:  # came in before profiles were kept: its order is not known
            entries = self._books.entries(file=digest)
            contents = tuple(canonical.encode(_content(entry)).decode() for entry in entries)
            rows, name = tuple(entry.row for entry in entries), str(file.statements[0]["id"])
            return [Course(file=digest, statement=name, rows=rows, contents=contents, balances=())]
        statements = _read(file.format, file.profile, self._books.bank_data(digest), self._account)
        return [bank_repeats.course(digest, statement) for statement in statements]

    def _spans(self) -> list[tuple[int, int]]:
        """(opening, closing) of every statement of the account that has balances."""
        found = [(one.balances[0], one.balances[-1]) for one in self._before if one.balances]
        for file in self._books.bank_files():
            for one in file.statements if file.account == self._account else ():
                opening, closing = one["opening_minor"], one["closing_minor"]
                if isinstance(opening, int) and isinstance(closing, int):
                    found.append((opening, closing))
        return found

    def _known(self, content: str) -> int:
        """How many bookings of this content are in the books."""
        number = 0
        while self._name(content, number + 1) in self._seen:
            number += 1
        return number

    def _name(self, content: str, number: int) -> str:
        told = canonical.decode(content.encode())
        return canonical.digest(LABEL, {"account": self._account, "entry": told, "number": number}).hex()


def _first(contents: Sequence[str], known: Mapping[str, int]) -> frozenset[int]:
    """The places of as many bookings of each content as are known: a second one like them is new."""
    left, found = dict(known), set()
    for place, content in enumerate(contents):
        if left[content]:
            left[content] -= 1
            found.add(place)
    return frozenset(found)


def _content(entry: Entry) -> Head:
    """What a kept entry is named by."""
    return {name: told for name, told in entry.value.items() if name != "charge_minor"}


def _data(head: Head) -> bytes:
    try:
        data = base64.b64decode(text(head, "data", longest=4 * bank_values.FILE_BYTES_MAX), validate=True)
    except binascii.Error:
        raise HeadInvalid(field="data", why="base64 is expected") from None
    bank_values.check_size(len(data))
    return data


def _masked(account: str) -> str:
    """What the log says of an account: its last four characters."""
    return "…" + account[-4:]
