"""Repository of reconciliation: bank files, their entries, and the matches that settle them.

Made from a transaction's session, like `store_settlement`. Gives frozen values; rows stay here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from hub.records import Head
from hub.store_unit import begins, next_number, to_head, to_text
from hub.tables_payments import BankEntryRow, BankFileRow, BankMatchRow
from revenue_share.money import Money

PROPOSED, APPROVED, REFUSED = "PROPOSED", "APPROVED", "REFUSED"
PAID, RETURNED, RELEASED, EXPLAINED = "PAID", "RETURNED", "RELEASED", "EXPLAINED"  # kinds of matches
MANUAL = "MANUAL"  # the rule of two people
ENTRY = BankEntryRow.metadata.tables[BankEntryRow.__tablename__]


@dataclass(frozen=True, slots=True, kw_only=True)
class BankFile:
    digest: str
    format: str
    account: str
    statements: tuple[Head, ...]
    profile: Head | None  # of a CSV; what came in before profiles were kept has none
    imported_by: str
    imported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A bank entry as kept; `value` as in `bank_values.BankEntry.to_value`.

    `settled_by`: its match; `suspended_by`, `cleared_by`: the journal entries that put it in suspense and took it out.
    """

    id: str
    file: str
    row: int
    account: str
    value: Head
    settled_by: str | None = None
    suspended_by: str | None = None
    cleared_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRecord:
    """A decision on orders and entries.

    `certificate`: the fingerprint of the proposer's, empty in matches of before; `account`: of the chart, where
    explained money went; `charge`: what the bank kept of a return.
    """

    id: str
    kind: str
    rule: str
    state: str
    orders: tuple[str, ...]
    entries: tuple[str, ...]
    reason: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    certificate: str = ""
    account: str = ""
    charge: Money | None = None


class BankStore:
    """What the bank booked, and who decided what it belongs to."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- files and entries

    def bank_file(self, digest: str) -> BankFile | None:
        row = self._session.get(BankFileRow, digest)
        return _bank_file(row) if row else None

    def bank_files(self) -> tuple[BankFile, ...]:
        query = select(BankFileRow).order_by(BankFileRow.number)
        return tuple(_bank_file(row) for row in self._session.scalars(query))

    def add_bank_file(self, file: BankFile, data: bytes, entries: Sequence[Entry]) -> None:
        """Keep a file with those of its entries that are new."""
        row = BankFileRow(
            digest=file.digest,
            number=next_number(self._session, BankFileRow),
            format=file.format,
            account=file.account,
            summary=to_text(
                {"statements": list(file.statements), **({"profile": file.profile} if file.profile else {})}
            ),
            data=data,
            imported_by=file.imported_by,
            imported_at=file.imported_at,
        )
        self._session.add(row)
        self._session.flush()
        first = next_number(self._session, BankEntryRow)
        rows = [
            {
                "id": entry.id,
                "number": first + place,
                "file": entry.file,
                "row": entry.row,
                "account": entry.account,
                "body": to_text(entry.value),
            }
            for place, entry in enumerate(entries)
        ]
        if rows:
            self._session.execute(insert(BankEntryRow), rows)

    def bank_data(self, digest: str) -> bytes:
        """A kept file as it came."""
        return self._session.scalars(select(BankFileRow.data).where(BankFileRow.digest == digest)).one()

    def known_entries(self, account: str) -> dict[str, str]:
        """The file that first held each of an account's entries, by the entry's id."""
        query = select(BankEntryRow.id, BankEntryRow.file).where(BankEntryRow.account == account)
        return {row.id: row.file for row in self._session.execute(query)}

    def entries(
        self, *, file: str | None = None, match: str | None = None, unsettled: bool = False
    ) -> tuple[Entry, ...]:
        """Entries in the order they came; of one file, of one match, or only those that no match settled."""
        query = select(BankEntryRow).order_by(BankEntryRow.number)
        if file is not None:
            query = query.where(BankEntryRow.file == file)
        if match is not None:
            query = query.where(BankEntryRow.settled_by == match)
        if unsettled:
            query = query.where(BankEntryRow.settled_by.is_(None))
        return tuple(_entry(row) for row in self._session.scalars(query))

    def entry(self, name: str) -> Entry | None:
        """The entry of an id, or of a beginning of at least 8 digits that only one has."""
        row = begins(self._session, BankEntryRow.id, name)
        return _entry(row) if row else None

    # --- matches

    def add_match(self, made: MatchRecord) -> None:
        self._session.add(
            BankMatchRow(
                id=made.id,
                number=next_number(self._session, BankMatchRow),
                kind=made.kind,
                rule=made.rule,
                state=made.state,
                body=to_text(_match_body(made)),
                proposed_by=made.proposed_by,
                proposed_at=made.proposed_at,
            )
        )
        self._session.flush()

    def next_match(self) -> int:
        return next_number(self._session, BankMatchRow)

    def matches(self, *, states: Sequence[str] = ()) -> tuple[MatchRecord, ...]:
        """Matches in the order they were proposed."""
        query = select(BankMatchRow).order_by(BankMatchRow.number)
        if states:
            query = query.where(BankMatchRow.state.in_(states))
        return tuple(_match(row) for row in self._session.scalars(query))

    def match(self, prefix: str) -> MatchRecord | None:
        """The match of an id, or of a beginning of at least 8 digits that only one has."""
        row = begins(self._session, BankMatchRow.id, prefix)
        return _match(row) if row else None

    def decide_match(self, made: MatchRecord, state: str, person: str, now: datetime) -> None:
        row = self._session.get_one(BankMatchRow, made.id)
        row.state, row.decided_by, row.decided_at = state, person, now
        self._session.flush()

    def settle_entries(self, entries: Iterable[str], match: str, cleared: Mapping[str, str]) -> None:
        """Entries are a match's. cleared: for each that stood in suspense, the journal entry that took it out."""
        for name in entries:
            row = self._session.get_one(BankEntryRow, name)
            assert row.settled_by is None, "an entry settles in one match"
            row.settled_by, row.cleared_by = match, cleared.get(name)
        self._session.flush()

    def suspend_entries(self, made: Mapping[str, str]) -> None:
        """The journal entry that put each of these entries in suspense."""
        if not made:
            return
        rows = [{"entry": name, "journal": journal} for name, journal in made.items()]
        where = ENTRY.c.id == bindparam("entry")
        self._session.execute(update(ENTRY).where(where).values(suspended_by=bindparam("journal")), rows)
        self._session.expire_all()


def _bank_file(row: BankFileRow) -> BankFile:
    summary = to_head(row.summary)
    statements, profile = summary["statements"], summary.get("profile")
    assert isinstance(statements, list), "a bank file's summary lists its statements"
    return BankFile(
        digest=row.digest,
        format=row.format,
        account=row.account,
        statements=tuple(one for one in statements if isinstance(one, dict)),
        profile=profile if isinstance(profile, dict) else None,
        imported_by=row.imported_by,
        imported_at=row.imported_at,
    )


def _entry(row: BankEntryRow) -> Entry:
    return Entry(
        id=row.id,
        file=row.file,
        row=row.row,
        account=row.account,
        value=to_head(row.body),
        settled_by=row.settled_by,
        suspended_by=row.suspended_by,
        cleared_by=row.cleared_by,
    )


def _match(row: BankMatchRow) -> MatchRecord:
    body: Any = to_head(row.body)
    return MatchRecord(
        id=row.id,
        kind=row.kind,
        rule=row.rule,
        state=row.state,
        orders=tuple(body["orders"]),
        entries=tuple(body["entries"]),
        reason=body["reason"],
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        certificate=body.get("certificate", ""),
        account=body.get("account", ""),
        charge=Money(**body["charge"]) if "charge" in body else None,
    )


def _match_body(made: MatchRecord) -> Head:
    """What is kept of a match beside its columns; what it does not have is left out."""
    body: Head = {"orders": [*made.orders], "entries": [*made.entries], "reason": made.reason}
    body |= {"certificate": made.certificate} if made.certificate else {}
    body |= {"account": made.account} if made.account else {}
    charge = made.charge
    return body | ({"charge": {"currency": charge.currency, "minor": charge.minor}} if charge else {})
