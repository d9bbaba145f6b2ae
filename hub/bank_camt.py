"""Bank statements as ISO 20022 camt.053, versions 001.02 and 001.08.

Read are the elements that money depends on; each is required where the standard requires it and refused where it is
not what the standard says. Every statement must tie out: opening balance plus booked entries is the closing balance,
and its own counts and sums (TxsSummry) hold. So one changed digit anywhere in the money is found.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

from hub import payment_xml
from hub.bank_values import (
    ENTRIES_MAX,
    BankEntry,
    BankStatement,
    RowRefused,
    Rows,
    account,
    amount,
    check_count,
    day,
    once,
    plain,
    references,
)
from hub.payment_errors import BankBalanceDiffers, BankFileInvalid, BankFormatUnknown
from hub.payment_xml import Element

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001."
VERSIONS = ("02", "08")
SIGNS = {"CRDT": 1, "DBIT": -1}
TRUTH = {"": False, "false": False, "0": False, "true": True, "1": True}
OPENING = ("OPBD", "PRCD")  # opening booked; else the previous closing booked
CLOSING = "CLBD"
REFERENCE_MAX = 35


def read(data: bytes) -> tuple[BankStatement, ...]:
    """The statements of a file.

    Raises BankFormatUnknown, BankFileInvalid, BankFileTooLarge, BankRowsRefused, BankBalanceDiffers.
    """
    root = payment_xml.parse(data)
    version = root.namespace.removeprefix(NAMESPACE)
    if root.name != "Document" or version not in VERSIONS or root.namespace == version:
        raise BankFormatUnknown(found=_told(root))
    found = list(root.all("BkToCstmrStmt", "Stmt"))
    if not found:
        raise BankFileInvalid(why="it holds no statement")
    for element in found:
        if element.namespace != root.namespace:
            raise BankFormatUnknown(found=_told(element))
    rows, made, row = Rows(), [], 0
    for statement in found:
        made.append(_statement(statement, rows, row, coded=version == "08"))
        row += sum(1 for _ in statement.all("Ntry"))
    rows.check()
    check_count(row)
    return tuple(_tied(statement, source) for statement, source in zip(made, found, strict=True))


def _told(element: Element) -> str:
    """What a document says that it is: its element and namespace, as the bank wrote them."""
    return f"<{plain(element.name, 40)}> of {plain(element.namespace, 100) or 'no namespace'}"


def _statement(source: Element, rows: Rows, before: int, *, coded: bool) -> BankStatement:
    currency, opening = _balance(source, OPENING)
    other, closing = _balance(source, (CLOSING,))
    if currency != other or source.value("Acct", "Ccy") not in ("", currency):
        raise BankFileInvalid(why="a statement's balances are of several currencies")
    entries, skipped = [], 0
    for row, entry in enumerate(source.all("Ntry"), before + 1):
        state = entry.value("Sts", "Cd") if coded else entry.value("Sts")
        if state in ("PDNG", "INFO"):  # pending, or for information: not in the balance
            skipped += 1
        elif (made := rows.take(row, partial(_entry, entry, row, state, currency))) is None:
            continue
        elif made.amount_minor:
            entries.append(made)
        else:  # it moves nothing: a note of the bank's
            skipped += 1
    return BankStatement(
        id=plain(source.value("Id"), REFERENCE_MAX),
        account=_account(source, "Acct"),
        currency=currency,
        opening_minor=opening,
        closing_minor=closing,
        entries=tuple(entries),
        skipped=skipped,
    )


def _balance(source: Element, kinds: Sequence[str]) -> tuple[str, int]:
    """(currency, signed minor units) of the balance of the first of these kinds that is there."""
    for kind in kinds:
        found = [bal for bal in source.all("Bal") if bal.value("Tp", "CdOrPrtry", "Cd") == kind]
        if len(found) > 1:
            raise BankFileInvalid(why=f"line {found[1].line}: a second balance {kind}")
        if found:
            try:
                currency, minor = _money(found[0])
                return currency, minor * _sign(found[0])
            except RowRefused as refused:
                raise BankFileInvalid(why=f"line {found[0].line}: balance {kind}: {refused}") from None
    raise BankFileInvalid(why=f"a statement without the balance {' or '.join(kinds)}")


def _entry(source: Element, row: int, state: str, currency: str) -> BankEntry:
    if state != "BOOK":
        raise RowRefused(f"its status {state[:10]!r} is none of BOOK, PDNG, INFO")
    own, minor = _money(source)
    if own != currency:
        raise RowRefused(f"its currency {own} is not the account's, {currency}")
    details = list(source.all("NtryDtls", "TxDtls"))
    debit, charge = _sign(source) < 0, _charge(source, details, own)
    _check_details(details, own, minor, minor - charge if debit else minor + charge)
    party = "Cdtr" if debit else "Dbtr"
    texts = [note.text for detail in details for note in detail.all("RmtInf", "Ustrd")]
    named = [ref for detail in details for ref in references(detail.value("Refs", "EndToEndId"), *texts)]
    reasons = [detail.value("RtrInf", "Rsn", "Cd") for detail in details]
    reversal = source.value("RvslInd")
    if reversal not in TRUTH:
        raise RowRefused(f"its reversal indicator {reversal[:10]!r}")
    return BankEntry(
        row=row,
        currency=own,
        amount_minor=minor,
        debit=debit,
        booked=day(_date(source, "BookgDt") or _date(source, "ValDt")),
        value=day(text) if (text := _date(source, "ValDt")) else None,
        bank_reference=plain(_bank_reference(source, details), REFERENCE_MAX),
        references=tuple(sorted({*named, *references("", source.value("AddtlNtryInf"))})),
        counterparty=_same([_party_account(detail, f"{party}Acct") for detail in details]),
        name=_same([_party_name(detail, party) for detail in details]),
        text=plain(" ".join([*texts, source.value("AddtlNtryInf")])),
        count=_count(source, details),
        returned=TRUTH[reversal] or any(detail.one("RtrInf") is not None for detail in details),
        reason=_same([plain(reason, REFERENCE_MAX) for reason in reasons]),
        charge_minor=charge,
    )


def _money(source: Element) -> tuple[str, int]:
    found = source.one("Amt")
    if found is None:
        raise RowRefused("it has no amount")
    currency = found.attributes.get("Ccy", "")
    return currency, amount(found.text.strip(), currency)


def _sign(source: Element) -> int:
    mark = source.value("CdtDbtInd")
    if mark not in SIGNS:
        raise RowRefused(f"{mark[:10]!r} is neither CRDT nor DBIT")
    return SIGNS[mark]


def _date(source: Element, name: str) -> str:
    return source.value(name, "Dt") or source.value(name, "DtTm")


def _charge(source: Element, details: Sequence[Element], currency: str) -> int:
    """What the bank says that it kept of an entry, minor units; 0 where it does not say exactly one thing."""
    told = {_kept(holder, currency) for holder in (source, *(details if len(details) == 1 else ()))} - {0}
    return told.pop() if len(told) == 1 else 0


def _kept(holder: Element, currency: str) -> int:
    """The sum of the charges in an amount (camt.053.001.02 Charges; .08 Charges/Record); 0 where that is unclear."""
    several = [*holder.all("Chrgs", "Rcrd"), *(one for one in holder.all("Chrgs") if one.one("Amt") is not None)]
    total = 0
    for one in several:
        if one.value("ChrgInclInd") in ("false", "0"):
            continue  # booked by itself
        found = one.one("Amt")
        if found is None or found.attributes.get("Ccy") != currency or one.value("CdtDbtInd") == "CRDT":
            return 0
        total += amount(found.text.strip(), currency)
    sums = [found for chrgs in holder.all("Chrgs") if (found := chrgs.one("TtlChrgsAndTaxAmt")) is not None]
    same = all(one.attributes.get("Ccy") == currency for one in sums)
    return total if not sums or (same and sum(amount(one.text.strip(), currency) for one in sums) == total) else 0


def _check_details(details: Sequence[Element], currency: str, *allowed: int) -> None:
    """Where every payment inside an entry has an amount of its own currency, they are together the entry's.

    allowed: the entry's amount, and what it would be without the charge in it.
    """
    sums = []
    for detail in details:
        found = detail.one("Amt") or detail.one("AmtDtls", "TxAmt", "Amt")  # version 08, version 02
        if found is None or found.attributes.get("Ccy") != currency:
            return
        sums.append(amount(found.text.strip(), currency))
    if sums and sum(sums) not in allowed:
        raise RowRefused(f"its {len(sums)} payments sum to another amount")


def _bank_reference(source: Element, details: Sequence[Element]) -> str:
    inside = details[0].value("Refs", "AcctSvcrRef") if len(details) == 1 else ""
    return source.value("AcctSvcrRef") or inside or source.value("NtryRef")


def _count(source: Element, details: Sequence[Element]) -> int:
    text = source.value("NtryDtls", "Btch", "NbOfTxs")
    if not text:
        return max(1, len(details))
    if not re.fullmatch("[0-9]{1,15}", text) or not 0 < int(text) <= ENTRIES_MAX:  # Max15NumericText
        raise RowRefused(f"the number of its payments {text[:15]!r}")
    if details and len(details) != int(text):
        raise RowRefused(f"it counts {text} payments and tells of {len(details)}")
    return int(text)


def _account(source: Element, name: str) -> str:
    found = source.value(name, "Id", "IBAN") or source.value(name, "Id", "Othr", "Id")
    return account(found)


def _party_account(detail: Element, name: str) -> str:
    """A counterparty's account as the bank writes it; what is not an account number of ours fits none."""
    found = detail.value("RltdPties", name, "Id", "IBAN") or detail.value("RltdPties", name, "Id", "Othr", "Id")
    return plain("".join(found.split()).upper(), REFERENCE_MAX)


def _party_name(detail: Element, party: str) -> str:
    return plain(detail.value("RltdPties", party, "Pty", "Nm") or detail.value("RltdPties", party, "Nm"), 140)


def _same(texts: Sequence[str]) -> str:
    """What all say; empty where they differ."""
    return texts[0] if len(set(texts)) == 1 else ""


def _tied(statement: BankStatement, source: Element) -> BankStatement:
    """The statement with its entries once, as its balances say. Raises BankBalanceDiffers.

    Banks repeat a reference over entries that are several, and repeat an entry: which one it is the balance decides.
    """
    opening, closing = statement.opening_minor, statement.closing_minor
    assert opening is not None and closing is not None, "camt.053 has both balances"
    _check_summary(statement, source)
    for entries in (statement.entries, once(statement.entries)):
        if _total(opening, entries) == closing:
            return replace(statement, entries=entries)
    _differs(statement, "CLBD", _total(opening, statement.entries), closing)


def _total(opening: int, entries: Sequence[BankEntry]) -> int:
    return opening + sum(entry.signed_minor for entry in entries)


def _check_summary(statement: BankStatement, source: Element) -> None:
    """The bank's own counts and sums, where it gives them."""
    for name, side in (("TtlNtries", None), ("TtlCdtNtries", False), ("TtlDbtNtries", True)):
        found = source.one("TxsSummry", name)
        if found is None or statement.skipped:
            continue
        entries = [entry for entry in statement.entries if side in (None, entry.debit)]
        number, text = found.value("NbOfNtries"), found.value("Sum")
        if number and number != str(len(entries)):
            _differs(statement, f"{name}/NbOfNtries", len(entries), number)
        try:
            stated = amount(text, statement.currency) if text else None
        except RowRefused as refused:
            raise BankFileInvalid(why=f"line {found.line}: {refused}") from None
        total = sum(entry.amount_minor for entry in entries)
        if stated is not None and stated != total:
            _differs(statement, f"{name}/Sum", total, stated)


def _differs(statement: BankStatement, what: str, found: int, stated: int | str) -> NoReturn:
    unit = "entries" if what.endswith("NbOfNtries") else f"{statement.currency} minor units"
    raise BankBalanceDiffers(
        statement=statement.id, what=what, found=f"{found} {unit}", stated=f"{plain(str(stated), 20)} {unit}"
    )
