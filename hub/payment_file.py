"""The payment file: what finance hands to the bank for the final statements of a period, as CSV (RFC 4180, UTF-8).

A statement stands in exactly one file, so it can't be paid twice. The bytes are stored and given again unchanged; the
same books make the same bytes. Text that a spreadsheet would take for a formula gets an apostrophe. `end_to_end_id` is
the start of the statement's digest (ISO 20022 Max35Text): the bank's statement names it back.
"""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime

from hub import settlement_terms as terms
from hub.identity import Caller
from hub.records import Head
from hub.services import Reply, Services, only
from hub.settlement_errors import NothingToPay
from hub.store import Transaction
from hub.store_settlement import PaymentFile, SettlementStore
from privacy.ids import Digest, PartnerId, Period, parse_period
from privacy.printable import printable
from revenue_share.money import Money
from revenue_share.statement import State, Statement

COLUMNS = (
    "end_to_end_id",
    "debtor",
    "creditor",
    "creditor_name",
    "amount",
    "amount_minor",
    "currency",
    "period",
    "statement",
    "agreement",
)
END_TO_END_CHARACTERS = 32
_FORMULA = ("=", "+", "-", "@")  # also in their full-width forms, which NFKC maps to these


def pay(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A file with the final statements of a period that stand in none yet; without such, the latest file again.

    The head tells whether the file is `new`. Raises NothingToPay.
    """
    only(head, "period")
    period = parse_period(head.get("period"))
    books = SettlementStore(tx.session)
    final = books.statements(period=period, states=(State.FINAL.value,))
    due = [terms.value_of(record) for record in final if books.paid(record.id) is None]
    due = [made for made in due if made.payable_minor > 0]
    files = books.payment_files(period)
    if not due:
        if not files:
            raise NothingToPay(period=period)
        return _reply(files[-1], new=False, payments=_count(files[-1].data))
    names = {partner.id: partner.name for partner in tx.members.partners()}
    data = write(due, names)
    file = PaymentFile(digest=hashlib.sha256(data).hexdigest(), period=period, number=len(files) + 1, data=data)
    books.add_payment_file(file, [(made.id, end_to_end_id(made.id), made.payable_minor) for made in due], now)
    facts: Head = {"file": file.digest, "period": period, "number": file.number, "payments": len(due)}
    services.log.append(tx, now, "payment.file", f"{period}/{file.number}", facts=facts)
    return _reply(file, new=True, payments=len(due))


def write(statements: Sequence[Statement], names: Mapping[PartnerId, str]) -> bytes:
    """The file's bytes: a header, then one line a statement, by EndToEndId. `names`: display name by partner id."""
    rows = []
    for made in sorted(statements, key=lambda item: item.id):
        amount = Money(currency=made.currency, minor=made.payable_minor)
        rows.append(
            (
                end_to_end_id(made.id),
                made.payer,
                made.referrer,
                names.get(made.referrer, made.referrer),
                amount.to_text(),
                str(amount.minor),
                made.currency,
                made.period,
                made.id,
                made.agreement,
            )
        )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_guarded(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def end_to_end_id(statement: Digest) -> str:
    """How the payment is named between the parties and their banks."""
    return statement[:END_TO_END_CHARACTERS]


def _guarded(cell: str) -> str:
    flat = printable(" ".join(cell.split()))  # no line ends and nothing hidden inside a bank's file
    return "'" + flat if unicodedata.normalize("NFKC", flat).startswith(_FORMULA) else flat


def _count(data: bytes) -> int:
    return len(list(csv.reader(io.StringIO(data.decode(), newline="")))) - 1


def _reply(file: PaymentFile, *, new: bool, payments: int) -> Reply:
    head: Head = {
        "period": Period(file.period),
        "file": file.digest,
        "number": file.number,
        "payments": payments,
        "new": new,
    }
    return Reply(head=head, body=file.data)
