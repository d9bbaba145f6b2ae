"""What a bank tells of an account, in one form whatever file it came in: statements of booked entries.

Amounts are integers in the currency's minor unit, read from decimal text exactly or refused. A file is taken whole or
not at all: `Rows` collects what is wrong, by row, and refuses at the end.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from hub.payment_errors import BankFileInvalid, BankFileTooLarge, BankRowsRefused
from privacy import canonical
from privacy.errors import Failure
from privacy.printable import printable
from revenue_share.money import AMOUNT_FEN_MAX, decimals

T = TypeVar("T")

FILE_BYTES_MAX = 2 << 20  # as base64 it still fits one call
ENTRIES_MAX = 50_000
TEXT_MAX = 500
ROWS_NAMED_MAX = 20
REFERENCE_MAX = 35  # ISO 20022 Max35Text
_AMOUNT = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,5}))?", re.ASCII)
_ACCOUNT = re.compile(r"[A-Z0-9][A-Z0-9/.-]{0,33}", re.ASCII)
# an EndToEndId of ours inside a text, with the number of a further attempt
_TOKEN = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?:-[0-9]{1,2})?(?![0-9a-f])")


class RowRefused(Exception):
    """One row of a file is wrong; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankEntry:
    """One booked entry. The amount is positive; `debit`: money left the account. `row`: its place in the file.

    `charge_minor`: what the bank says that it kept of it (the amount is without it).
    """

    row: int
    currency: str
    amount_minor: int
    debit: bool
    booked: date
    value: date | None = None
    bank_reference: str = ""
    references: tuple[str, ...] = ()
    counterparty: str = ""
    name: str = ""
    text: str = ""
    count: int = 1
    returned: bool = False
    reason: str = ""
    charge_minor: int = 0

    @property
    def signed_minor(self) -> int:
        """What the entry adds to the balance."""
        return -self.amount_minor if self.debit else self.amount_minor

    def to_value(self) -> dict[str, canonical.Value]:
        """What is kept of the entry: its content, and the charge where the bank states one."""
        return self.content() | ({"charge_minor": self.charge_minor} if self.charge_minor else {})

    def content(self) -> dict[str, canonical.Value]:
        """What the entry is named by: without its place in a file, so the same booking in another file is the same.

        Charges are no part of it: files were read without them.
        """
        return {
            "currency": self.currency,
            "amount_minor": self.amount_minor,
            "debit": self.debit,
            "booked": self.booked.isoformat(),
            "value": self.value.isoformat() if self.value else "",
            "bank_reference": self.bank_reference,
            "references": [*self.references],
            "counterparty": self.counterparty,
            "name": self.name,
            "text": self.text,
            "count": self.count,
            "returned": self.returned,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BankStatement:
    """The entries of one account, with the balances the bank gives (None where the file has none)."""

    id: str
    account: str
    currency: str
    opening_minor: int | None
    closing_minor: int | None
    entries: tuple[BankEntry, ...]
    skipped: int = 0  # entries that are not booked yet, or of an amount of zero

    def to_value(self) -> dict[str, canonical.Value]:
        """What is kept of a statement beside its entries."""
        return {
            "id": self.id,
            "account": self.account,
            "currency": self.currency,
            "opening_minor": self.opening_minor,
            "closing_minor": self.closing_minor,
            "entries": len(self.entries),
            "skipped": self.skipped,
        }


@dataclass
class Rows:
    """What is wrong with a file so far, by row."""

    wrong: list[str] = field(default_factory=list)

    def take(self, row: int, read: Callable[[], T]) -> T | None:
        """What `read` gives; None where it refuses the row, which is then named at the end."""
        try:
            return read()
        except RowRefused as refused:
            self.wrong.append(f"row {row}: {refused}")
        except Failure as failure:
            self.wrong.append(f"row {row}: {failure.message()}")
        return None

    def check(self) -> None:
        """Raises BankRowsRefused where any row was refused; the first are named."""
        if self.wrong:
            named = "; ".join(self.wrong[:ROWS_NAMED_MAX])
            raise BankRowsRefused(count=len(self.wrong), rows=printable(named))


def check_size(size: int) -> None:
    """Raises BankFileTooLarge for more bytes than are read at once."""
    if size > FILE_BYTES_MAX:
        raise BankFileTooLarge(found=f"{size:,} bytes", limit=f"{FILE_BYTES_MAX:,}")


def check_count(count: int) -> None:
    """Raises BankFileTooLarge for more entries than are read at once."""
    if count > ENTRIES_MAX:
        raise BankFileTooLarge(found=f"{count:,} entries", limit=f"{ENTRIES_MAX:,}")


def amount(text: str, currency: str) -> int:
    """Minor units of unsigned decimal text, exactly: digits beyond the minor unit must be zeros. Raises RowRefused."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise RowRefused(f"{text[:40]!r} is not an amount")
    places = decimals(currency)
    whole, part = match[1], (match[2] or "").ljust(places, "0")
    if part[places:].strip("0"):
        raise RowRefused(f"{text[:40]!r} is not whole in the minor unit of {currency}")
    minor = int(whole + part[:places])
    if minor > AMOUNT_FEN_MAX:
        raise RowRefused(f"{text[:40]!r} is beyond the limit")
    return minor


def account(text: str) -> str:
    """An account number without spaces, in capitals; an IBAN's check digits are checked. Raises BankFileInvalid."""
    flat = "".join(text.split()).upper()
    if _ACCOUNT.fullmatch(flat) is None:
        raise BankFileInvalid(why=f"{text[:40]!r} is not an account number of at most 34 letters and digits")
    if looks_like_iban(flat) and not iban_holds(flat):
        raise BankFileInvalid(why=f"the check digits of the IBAN {flat} do not hold")
    return flat


def looks_like_iban(text: str) -> bool:
    """Whether an account number has an IBAN's form (ISO 13616); whether it is one, its check digits say."""
    return re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", text, re.ASCII) is not None


def iban_holds(text: str) -> bool:
    """ISO 7064 MOD 97-10: the first four characters moved to the end, letters as 10 to 35, leave 1."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def references(given: str, *texts: str) -> tuple[str, ...]:
    """What an entry may be told by: the reference as given, and every EndToEndId of ours inside the texts."""
    found = {given} if given and given != "NOTPROVIDED" else set()
    for text in (given, *texts):
        found.update(_TOKEN.findall(text.lower()))
    return tuple(sorted(name for name in found if len(name) <= REFERENCE_MAX))


def once(entries: Sequence[BankEntry]) -> tuple[BankEntry, ...]:
    """Entries without what a file repeats. Those without the bank's reference are several even where they are alike."""
    told: dict[str, BankEntry] = {}
    for entry in entries:
        told.setdefault(repr(entry.content()) if entry.bank_reference else f"row {entry.row}", entry)
    return tuple(told.values())


def plain(text: str, longest: int = TEXT_MAX) -> str:
    """Text of a bank in one line, nothing hidden in it, cut at `longest` characters."""
    return printable(" ".join(text.split()))[:longest]


def day(text: str) -> date:
    """An ISO 8601 date; of a date and time the date as written, in the bank's own zone. Raises RowRefused."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.+Z-]{1,30})?", text, re.ASCII) is None:
        raise RowRefused(f"{text[:40]!r} is not a date")
    try:
        found = date.fromisoformat(text[:10])
    except ValueError:
        raise RowRefused(f"{text[:40]!r} is not a date") from None
    return in_range(found)


def in_range(found: date) -> date:
    """Raises RowRefused for a day that no bank statement of ours has."""
    if not 2000 <= found.year < 2100:
        raise RowRefused(f"{found.isoformat()} is out of range")
    return found
