"""The payment file as ISO 20022 pain.001.001.09: one PmtInf for each of our accounts, currency and day.

Amounts are exact decimal text of minor units; number of transactions and control sum stand in the header and in each
PmtInf. What is written is checked against the schema before anything is ordered, and read back: the orders that a bank
would see are the orders that are kept.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import groupby

from hub import bank_values, payment_schema, times
from hub.payment_errors import PaymentFileInvalid
from hub.payment_xml import Element, write
from hub.records import Head
from hub.store_payments import PaymentOrder
from privacy.printable import printable
from revenue_share.money import Money, decimals

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
TEXT_MAX = 140
Accounts = Mapping[tuple[str, str], Head]


def document(
    orders: Sequence[PaymentOrder],
    payers: Mapping[str, str],
    accounts: Accounts,
    notes: Mapping[str, str],
    now: datetime,
) -> bytes:
    """The file's bytes. The same orders at the same instant give the same.

    payers: the payer by EndToEndId; accounts: payment details by (partner, currency); notes: what the creditor reads,
    by EndToEndId. Raises PaymentFileInvalid where the result is not what the schema says.
    """
    ordered = sorted(orders, key=lambda o: (payers[o.end_to_end_id], o.account, o.currency, o.due, o.end_to_end_id))
    message = hashlib.sha256("\n".join(order.end_to_end_id for order in ordered).encode()).hexdigest()[:30]
    groups = [
        (payer, list(group))
        for (payer, *_), group in groupby(
            ordered, key=lambda o: (payers[o.end_to_end_id], o.account, o.currency, o.due)
        )
    ]
    first = accounts[groups[0][0], groups[0][1][0].currency]
    header = write(
        "GrpHdr",
        [
            write("MsgId", message),
            write("CreDtTm", times.iso(now)),
            *_control(ordered),
            write("InitgPty", [write("Nm", _line(first["name"]))]),
        ],
    )
    blocks = [
        _block(f"{message}-{number}", group, accounts[payer, group[0].currency], accounts, notes)
        for number, (payer, group) in enumerate(groups, 1)
    ]
    body = write("Document", [write("CstmrCdtTrfInitn", [header, *blocks])], {"xmlns": NAMESPACE})
    data = ('<?xml version="1.0" encoding="UTF-8"?>\n' + body + "\n").encode()
    _check(data, ordered)
    return data


def _block(name: str, orders: Sequence[PaymentOrder], payer: Head, accounts: Accounts, notes: Mapping[str, str]) -> str:
    currency = orders[0].currency
    return write(
        "PmtInf",
        [
            write("PmtInfId", name),
            write("PmtMtd", "TRF"),
            write("BtchBookg", "false"),  # one entry for each payment, so that each is reconciled alone
            *_control(orders),
            write("ReqdExctnDt", [write("Dt", orders[0].due.isoformat())]),
            write("Dbtr", [write("Nm", _line(payer["name"]))]),
            write("DbtrAcct", [_account(payer), write("Ccy", currency)]),
            write("DbtrAgt", [_bank(payer)]),
            *(_transfer(order, accounts[order.creditor, currency], notes[order.end_to_end_id]) for order in orders),
        ],
    )


def _transfer(order: PaymentOrder, creditor: Head, note: str) -> str:
    amount = Money(currency=order.currency, minor=order.amount_minor).to_text()
    return write(
        "CdtTrfTxInf",
        [
            write("PmtId", [write("EndToEndId", order.end_to_end_id)]),
            write("Amt", [write("InstdAmt", amount, {"Ccy": order.currency})]),
            write("CdtrAgt", [_bank(creditor)]),
            write("Cdtr", [write("Nm", _line(creditor["name"]))]),
            write("CdtrAcct", [_account(creditor)]),
            write("RmtInf", [write("Ustrd", _line(note))]),
        ],
    )


def _control(orders: Sequence[PaymentOrder]) -> list[str]:
    """Number of transactions, and the sum of their amounts in units whatever the currency, as the standard has it."""
    return [write("NbOfTxs", str(len(orders))), write("CtrlSum", _units(_sum(orders)))]


def _sum(orders: Sequence[PaymentOrder]) -> Fraction:
    return sum((Fraction(order.amount_minor, 10 ** decimals(order.currency)) for order in orders), Fraction(0))


def _units(total: Fraction) -> str:
    hundredths = total * 100
    assert hundredths.denominator == 1, "no currency here has more than two decimals"
    return f"{hundredths.numerator // 100}.{hundredths.numerator % 100:02}"


def _account(details: Head) -> str:
    number = str(details["account"])
    if bank_values.looks_like_iban(number):
        return write("Id", [write("IBAN", number)])
    return write("Id", [write("Othr", [write("Id", number)])])


def _bank(details: Head) -> str:
    found = [write("BICFI", str(details["bic"]))] if details["bic"] else []
    if details["clearing"]:
        system, member = str(details["clearing"]).split(":")
        found.append(write("ClrSysMmbId", [write("ClrSysId", [write("Cd", system)]), write("MmbId", member)]))
    return write("FinInstnId", found)


def _line(text: object) -> str:
    """One line of at most 140 characters that XML can hold."""
    return re.sub(r"[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", printable(str(text)))[:TEXT_MAX]


def _check(data: bytes, orders: Sequence[PaymentOrder]) -> None:
    """Valid under the schema, and read back: the same orders, the counts and sums that stand there."""
    start = payment_schema.check(data).children[0]
    found = []
    for block in start.all("PmtInf"):
        inside = [_read(block, transfer) for transfer in block.all("CdtTrfTxInf")]
        _check_control(block, [amount for _, _, amount, *_ in inside])
        found += inside
    kept = [_kept(order) for order in orders]
    if found != kept or len({name for name, *_ in found}) != len(found):
        raise PaymentFileInvalid(where="CdtTrfTxInf", why="the payments read back are not those ordered")
    header = start.one("GrpHdr")
    assert header is not None, "the schema has a header"
    _check_control(header, [amount for _, _, amount, *_ in found])


Payment = tuple[str, str, str, str, str, str]  # EndToEndId, currency, amount, day, our account, theirs


def _kept(order: PaymentOrder) -> Payment:
    amount = Money(currency=order.currency, minor=order.amount_minor).to_text()
    return order.end_to_end_id, order.currency, amount, order.due.isoformat(), order.account, order.counterparty


def _read(block: Element, transfer: Element) -> Payment:
    money = transfer.one("Amt", "InstdAmt")
    assert money is not None, "the schema has an amount"
    ours, theirs = (
        side.value(name, "Id", "IBAN") or side.value(name, "Id", "Othr", "Id")
        for side, name in ((block, "DbtrAcct"), (transfer, "CdtrAcct"))
    )
    name, day = transfer.value("PmtId", "EndToEndId"), block.value("ReqdExctnDt", "Dt")
    return name, money.attributes["Ccy"], money.text, day, ours, theirs


def _check_control(place: Element, amounts: Sequence[str]) -> None:
    total = sum((Fraction(amount) for amount in amounts), Fraction(0))
    if place.value("NbOfTxs") != str(len(amounts)) or Fraction(place.value("CtrlSum")) != total:
        raise PaymentFileInvalid(where=place.name, why="the control sum or count is not that of the payments")
