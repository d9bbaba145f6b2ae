"""The payment file: what finance hands to the bank for the final statements of a period, as pain.001 or CSV.

A statement has one living order, so it can't be paid twice: it stands in one file, and in a further one, under a new
EndToEndId, only after the bank returned the payment or two people released the order. The bytes are stored and given
again unchanged. `end_to_end_id` is the start of the statement's digest (ISO 20022 Max35Text): the bank names it back.
CSV is RFC 4180 in UTF-8; text that a spreadsheet would take for a formula gets an apostrophe.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from hub import payment_details, payment_pain, payment_sheets
from hub import settlement_terms as terms
from hub.identity import Caller
from hub.payment_errors import PaymentDateInvalid, PaymentFormatDiffers
from hub.payment_sheets import Cell, Number
from hub.records import Head
from hub.services import HeadInvalid, Reply, Services, only
from hub.settlement_errors import NothingToPay
from hub.store import Transaction
from hub.store_payments import Details, PaymentFile, PaymentOrder, PaymentStore
from hub.store_settlement import SettlementStore, StatementRecord
from privacy.ids import Digest, PartnerId, Period, parse_period
from revenue_share.money import Money
from revenue_share.statement import State, Statement

CSV, PAIN = "csv", "pain.001"
COLUMNS = (
    *("end_to_end_id", "debtor", "creditor", "creditor_name", "amount", "amount_minor", "currency", "period"),
    *("statement", "agreement", "debtor_account", "creditor_account", "due"),
)
END_TO_END_CHARACTERS = 32
ATTEMPTS_MAX = 99  # "-99" after 32 characters fits Max35Text
AHEAD_DAYS_MAX = 60
PAYABLE = (State.FINAL.value, State.PAID.value, State.ACKED.value)  # paid and returned: owed again


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A statement with the order that pays it."""

    made: Statement
    order: PaymentOrder


def pay(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A file with the statements of a period that are to be paid; without such, the latest file again.

    The head tells whether the file is `new`. Raises NothingToPay, PaymentDetailsMissing (pain.001), PaymentDateInvalid,
    PaymentFormatDiffers.
    """
    only(head, "period", "format", "date")
    period, form = parse_period(head.get("period")), head.get("format", CSV)
    if form not in (CSV, PAIN):
        raise HeadInvalid(field="format", why=f"{CSV} or {PAIN} is expected")
    books = PaymentStore(tx.session)
    found = SettlementStore(tx.session).statements(period=period, states=PAYABLE)
    due = [record for record in found if _is_due(books, record)]
    if not due:
        return _again(books, period, str(head.get("format") or ""))
    payments = [_payment(tx, record, now, head) for record in due]
    sides = ((side, p.order.currency) for p in payments for side in (p.made.payer, p.made.referrer))
    accounts = payment_details.active(tx, frozenset(sides), required=form == PAIN)
    payments = [_with_accounts(payment, accounts) for payment in payments]
    names = {partner.id: partner.name for partner in tx.members.partners()}
    data = write(payments, names) if form == CSV else _pain(payments, accounts, now)
    number = len(books.payment_files(period)) + 1
    digest = hashlib.sha256(data).hexdigest()
    file = PaymentFile(digest=digest, period=period, number=number, format=str(form), data=data)
    books.add_payment_file(file, [replace(payment.order, file=digest) for payment in payments], now)
    facts: Head = {"file": digest, "period": period, "number": number, "payments": len(payments), "format": form}
    services.log.append(tx, now, "payment.file", f"{period}/{number}", facts=facts)
    return _reply(file, new=True, payments=len(payments))


def write(payments: Sequence[Payment], names: Mapping[PartnerId, str]) -> bytes:
    """The CSV file's bytes: a header, then one line a payment, by EndToEndId. `names`: display name by partner id."""
    rows: list[tuple[Cell, ...]] = []
    for payment in sorted(payments, key=lambda item: item.order.end_to_end_id):
        made, order = payment.made, payment.order
        amount = Money(currency=order.currency, minor=order.amount_minor)
        named = (order.end_to_end_id, made.payer, made.referrer, order.name or names.get(made.referrer, made.referrer))
        money = (Number(amount.to_text()), amount.minor, order.currency)
        digests = (made.period, made.id, made.agreement)
        rows.append((*named, *money, *digests, order.account, order.counterparty, order.due.isoformat()))
    return payment_sheets.csv_bytes(COLUMNS, rows)


def order_value(order: PaymentOrder) -> Head:
    """An order as it is shown with its statement: no accounts, the digest of the approved details instead."""
    return {
        "order": order.end_to_end_id,
        "attempt": order.attempt,
        "state": order.state,
        "amount_minor": order.amount_minor,
        "due": order.due.isoformat(),
        "file": order.file,
        "details": order.details,
        "settled_by": order.settled_by,
        "ended_by": order.ended_by,
        "payout": order.payout,
    }


def end_to_end_id(statement: Digest, attempt: int = 1) -> str:
    """How the payment is named between the parties and their banks; a further attempt has its number behind it."""
    assert 0 < attempt <= ATTEMPTS_MAX, "a statement is not ordered so often"
    return statement[:END_TO_END_CHARACTERS] + (f"-{attempt}" if attempt > 1 else "")


def _is_due(books: PaymentStore, record: StatementRecord) -> bool:
    """Whether a statement is owed: final and never ordered, or ordered before and every order ended."""
    if terms.value_of(record).payable_minor <= 0 or books.living(record.id) is not None:
        return False
    return record.state == State.FINAL.value or bool(books.orders(statement=record.id))


def _payment(tx: Transaction, record: StatementRecord, now: datetime, head: Head) -> Payment:
    made = terms.value_of(record)
    attempt = len(PaymentStore(tx.session).orders(statement=record.id)) + 1
    today = now.astimezone(terms.active(tx, record.agreement).zone).date()
    order = PaymentOrder(
        end_to_end_id=end_to_end_id(made.id, attempt),
        statement=made.id,
        attempt=attempt,
        file="",
        creditor=made.referrer,
        currency=made.currency,
        amount_minor=made.payable_minor,
        due=_day(head, today),
    )
    return Payment(made=made, order=order)


def _day(head: Head, today: date) -> date:
    given = head.get("date")
    if not given:
        return today
    try:
        found = date.fromisoformat(str(given))
    except ValueError:
        found = date.min
    if not today <= found <= today + timedelta(days=AHEAD_DAYS_MAX):
        raise PaymentDateInvalid(date=str(given)[:20], first=today.isoformat())
    return found


def _with_accounts(payment: Payment, accounts: Mapping[tuple[str, str], Details]) -> Payment:
    made, order = payment.made, payment.order
    ours, theirs = (accounts.get((side, order.currency)) for side in (made.payer, made.referrer))
    if ours is not None:
        order = replace(order, account=str(ours.body["account"]))
    if theirs is not None:
        number, name = str(theirs.body["account"]), str(theirs.body["name"])
        order = replace(order, counterparty=number, name=name, details=theirs.digest)
    return replace(payment, order=order)


def _pain(payments: Sequence[Payment], accounts: Mapping[tuple[str, str], Details], now: datetime) -> bytes:
    by_name = {payment.order.end_to_end_id: payment for payment in payments}
    return payment_pain.document(
        [payment.order for payment in payments],
        {name: payment.made.payer for name, payment in by_name.items()},
        {key: one.body for key, one in accounts.items()},
        {name: f"revenue share {payment.made.period} {name}" for name, payment in by_name.items()},
        now,
    )


def _again(books: PaymentStore, period: Period, form: str) -> Reply:
    files = books.payment_files(period)
    if not files:
        raise NothingToPay(period=period)
    if form and form != files[-1].format:
        raise PaymentFormatDiffers(period=period, found=files[-1].format)
    count = sum(order.file == files[-1].digest for order in books.orders())
    return _reply(files[-1], new=False, payments=count)


def _reply(file: PaymentFile, *, new: bool, payments: int) -> Reply:
    head: Head = {
        "period": Period(file.period),
        "file": file.digest,
        "format": file.format,
        "number": file.number,
        "payments": payments,
        "new": new,
    }
    return Reply(head=head, body=file.data)
