"""camt.053: what is read of it, what ties out, and what is refused by row and reason."""

from datetime import date

import pytest

from ecowire import limits
from hub import bank_camt, payment_xml
from hub.bank_values import FILE_BYTES_MAX, BankEntry
from hub.payment_errors import (
    BankBalanceDiffers,
    BankFileInvalid,
    BankFileTooLarge,
    BankFormatUnknown,
    BankRowsRefused,
)
from privacy.errors import Failure
from tests.support.bank_files import CREDITOR, IBAN, Booked, camt

OURS = "b646d74f08e36c74965cbc1effc0e0e1"
PAID = Booked(minor=106528, reference=OURS)


def read(*entries: Booked, **options) -> tuple[BankEntry, ...]:
    (found,) = bank_camt.read(camt(entries, **options))
    return found.entries


@pytest.mark.parametrize("version", ["02", "08"])
def test_a_payment_is_read_to_the_fen(version: str) -> None:
    (statement,) = bank_camt.read(camt([PAID], version=version))
    assert (statement.account, statement.currency, statement.id) == (IBAN, "CNY", "STMT-1")
    assert (statement.opening_minor, statement.closing_minor) == (1_000_000, 1_000_000 - 106528)
    (entry,) = statement.entries
    assert (entry.row, entry.amount_minor, entry.debit, entry.currency) == (1, 106528, True, "CNY")
    assert (entry.booked, entry.value) == (date(2026, 11, 12), date(2026, 11, 12))
    assert (entry.references, entry.bank_reference) == ((OURS,), "BANKREF-1")
    assert (entry.counterparty, entry.name, entry.count, entry.returned) == (CREDITOR, "Platform A", 1, False)


@pytest.mark.parametrize("version", ["02", "08"])
@pytest.mark.parametrize("mark", [{"reversal": True}, {"return_reason": "AC04"}])
def test_a_return_says_so(version: str, mark: dict) -> None:
    back = Booked(minor=106528, side="CRDT", reference=OURS, **mark)
    (entry,) = read(back, version=version)
    assert (entry.returned, entry.debit, entry.reason) == (True, False, mark.get("return_reason", ""))


@pytest.mark.parametrize("version", ["02", "08"])
def test_a_batch_names_every_payment_in_it(version: str) -> None:
    (entry,) = read(Booked(minor=300, parts=(("one", 100), ("two", 200))), version=version)
    assert (entry.references, entry.count, entry.counterparty) == (("one", "two"), 2, "")


def test_a_reference_of_ours_is_found_in_the_text() -> None:
    (entry,) = read(Booked(minor=100, text=f"分润 /{OURS.upper()}/ 10月"))
    assert entry.references == (OURS,)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"/{OURS}-2/", f"{OURS}-2"),
        (f"ref {OURS}-12 paid", f"{OURS}-12"),
        (f"{OURS}", OURS),
    ],
)
def test_a_further_attempt_is_told_from_the_first(text: str, found: str) -> None:
    (entry,) = read(Booked(minor=100, text=text))
    assert entry.references == (found,)


@pytest.mark.parametrize("text", [f"a{OURS}", f"{OURS}f", OURS[:31], f"{OURS[:16]} {OURS[16:]}"])
def test_what_only_resembles_a_reference_is_none(text: str) -> None:
    (entry,) = read(Booked(minor=100, text=text))
    assert entry.references == ()


def test_pending_entries_are_not_in_the_balance() -> None:
    (statement,) = bank_camt.read(camt([PAID, Booked(minor=5, status="PDNG")]))
    assert (len(statement.entries), statement.skipped) == (1, 1)


def test_a_booking_of_zero_moves_nothing_and_is_no_entry() -> None:
    """Banks write such notes; the balances tie without it, and what is wrong in it is still refused."""
    (statement,) = bank_camt.read(camt([PAID, Booked(minor=0, bank_reference="NOTE")]))
    assert (len(statement.entries), statement.skipped) == (1, 1)
    with pytest.raises(BankRowsRefused):
        bank_camt.read(camt([PAID, Booked(minor=0, booked="yesterday")]))


def test_an_entry_that_stands_there_twice_counts_once_where_the_balance_says_so() -> None:
    twice = camt([PAID, PAID], closing=1_000_000 - 106528, summary=False)
    (statement,) = bank_camt.read(twice)
    assert [entry.row for entry in statement.entries] == [1]


def test_two_entries_of_one_reference_are_two_where_the_balance_says_so() -> None:
    assert len(read(PAID, PAID)) == 2


@pytest.mark.parametrize("version", ["02", "08"])
def test_a_charge_that_the_bank_kept_is_read_in_both_versions(version: str) -> None:
    (statement,) = bank_camt.read(camt([Booked(minor=6173, side="CRDT", charge=500)], version=version))
    (entry,) = statement.entries
    assert (entry.amount_minor, entry.charge_minor) == (6173, 500)
    assert entry.to_value()["charge_minor"] == 500
    assert "charge_minor" not in entry.content() and "charge_minor" not in read(PAID)[0].to_value()


def test_payments_inside_an_entry_may_be_told_before_the_charge() -> None:
    credit = Booked(minor=6173, side="CRDT", charge=500, parts=((OURS, 6673),))
    assert read(credit)[0].charge_minor == 500
    debit = Booked(minor=7173, charge=500, parts=((OURS, 6673),))
    assert read(debit)[0].charge_minor == 500
    with pytest.raises(BankRowsRefused):
        read(Booked(minor=6173, side="CRDT", charge=499, parts=((OURS, 6673),)))


def chrgs(*records: str, total: str = "") -> str:
    return f"<Chrgs>{total}{''.join(f'<Rcrd>{record}</Rcrd>' for record in records)}</Chrgs>"


FIVE = '<Amt Ccy="CNY">5.00</Amt>'


@pytest.mark.parametrize(
    ("charges", "found"),
    [
        pytest.param(chrgs(FIVE), 500, id="no-side"),
        pytest.param(chrgs(FIVE, FIVE), 1000, id="two"),
        pytest.param(chrgs(f"{FIVE}<ChrgInclInd>false</ChrgInclInd>"), 0, id="booked-by-itself"),
        pytest.param(chrgs(f"{FIVE}<CdtDbtInd>CRDT</CdtDbtInd>"), 0, id="given-to-us"),
        pytest.param(chrgs('<Amt Ccy="EUR">5.00</Amt>'), 0, id="another-currency"),
        pytest.param(chrgs(""), 0, id="no-amount"),
        pytest.param(chrgs(FIVE, total='<TtlChrgsAndTaxAmt Ccy="CNY">5.00</TtlChrgsAndTaxAmt>'), 500, id="total"),
        pytest.param(chrgs(FIVE, total='<TtlChrgsAndTaxAmt Ccy="CNY">5.30</TtlChrgsAndTaxAmt>'), 0, id="other-total"),
    ],
)
def test_only_a_charge_that_is_plainly_in_the_amount_counts(charges: str, found: int) -> None:
    (entry,) = read(Booked(minor=6173, side="CRDT", charges=charges))
    assert entry.charge_minor == found


def test_gbk_is_read_where_the_file_declares_it() -> None:
    data = camt([Booked(minor=100, name="消费平台")]).decode().replace('encoding="UTF-8"', 'encoding="GBK"')
    (statement,) = bank_camt.read(data.encode("gbk"))
    assert statement.entries[0].name == "消费平台"


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    (statement,) = bank_camt.read(b"\xef\xbb\xbf" + camt([PAID]))
    assert statement.entries[0].amount_minor == 106528


# --- refused


def changed(old: str, new: str) -> bytes:
    text = camt([PAID, Booked(minor=5, bank_reference="BANKREF-2")]).decode()
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1065.28", "1065.29"),
        ("10000.00", "10000.01"),
        ("8934.67", "8934.68"),
        ("<NbOfNtries>2", "<NbOfNtries>3"),
        ("<Sum>1065.33", "<Sum>1065.34"),
        ("DBIT", "CRDT"),
    ],
)
def test_what_does_not_tie_out_is_refused(old: str, new: str) -> None:
    with pytest.raises((BankBalanceDiffers, BankRowsRefused)):
        bank_camt.read(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("1065.28", "1,065.28", "not an amount"),
        ("1065.28", "1065.285", "not whole in the minor unit"),
        ("1065.28", "-1065.28", "not an amount"),
        ("1065.28", "1e3", "not an amount"),
        ("1065.28", "１０６５", "not an amount"),
        ("1065.28", "NaN", "not an amount"),
        ('<Ntry><Amt Ccy="CNY">', '<Ntry><Amt Ccy="USD">', "is not the account's"),
        ('<Ntry><Amt Ccy="CNY">', '<Ntry><Amt Ccy="XXX">', "not supported"),
        ("<Cd>BOOK</Cd>", "<Cd>BOOM</Cd>", "none of BOOK"),
        ("<BookgDt><Dt>2026-11-12", "<BookgDt><Dt>2026-02-30", "not a date"),
        ("<BookgDt><Dt>2026-11-12", "<BookgDt><Dt>12.11.2026", "not a date"),
        ("<CdtDbtInd>DBIT</CdtDbtInd><Sts>", "<CdtDbtInd>DEBT</CdtDbtInd><Sts>", "neither CRDT nor DBIT"),
        ("<Sts><Cd>", "<RvslInd>yes</RvslInd><Sts><Cd>", "reversal"),
        ("<NtryDtls>", f"<NtryDtls><Btch><NbOfTxs>{'1' * 5000}</NbOfTxs></Btch>", "number of its payments"),
    ],
)
def test_a_wrong_row_is_named_with_its_reason_and_nothing_is_taken(old: str, new: str, why: str) -> None:
    with pytest.raises(BankRowsRefused) as caught:
        bank_camt.read(changed(old, new))
    assert "row 1: " in caught.value.message() and why in caught.value.message()


def test_every_wrong_row_is_named() -> None:
    data = changed("1065.28", "x").replace(b">0.05<", b">y<", 1)
    with pytest.raises(BankRowsRefused) as caught:
        bank_camt.read(data)
    assert caught.value.facts["count"] == 2
    assert "row 1: 'x'" in caught.value.message() and "row 2: 'y'" in caught.value.message()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BkToCstmrStmt", "BkToCstmrAcctRpt"),
        ("OPBD", "XXXX"),
        ("CLBD", "XXXX"),
        ("<Id>STMT-1", "<Id>STMT-1</Id><Id>"),
        ("<Ccy>CNY", "<Ccy>USD"),
        ("DE89370400440532013000", "DE89370400440532013001"),
        ("<Stmt>", "<Stmt>words"),
        ("</Document>", ""),
        ("UTF-8", "UTF-16"),
        ("UTF-8", "UTF-7"),
    ],
)
def test_what_is_no_statement_of_this_form_is_refused(old: str, new: str) -> None:
    with pytest.raises(Failure):
        bank_camt.read(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("camt.053.001.08", "camt.053.001.01", "camt.053.001.01", id="older"),
        pytest.param("camt.053.001.08", "camt.053.001.13", "camt.053.001.13", id="newer"),
        pytest.param("camt.053.001.08", "camt.052.001.08", "camt.052.001.08", id="intraday-report"),
        pytest.param("urn:iso:std:iso:20022:tech:xsd:", "urn:bank:x:", "<Document> of urn:bank:x:", id="foreign"),
        pytest.param(' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', "", "no namespace", id="none"),
        pytest.param("<Stmt>", '<Stmt xmlns="urn:bank:y">', "<Stmt> of urn:bank:y", id="a-foreign-statement"),
        pytest.param("camt.053.001.08", "x" * 500, "x" * 69, id="long"),
    ],
)
def test_another_format_is_named_with_what_to_ask_the_bank_for(old: str, new: str, told: str) -> None:
    with pytest.raises(BankFormatUnknown) as caught:
        bank_camt.read(changed(old, new))
    for language in ("en", "zh"):
        message = caught.value.message(language)
        assert told in message and "camt.053.001.02" in message and len(message) < 400


def test_a_page_of_the_web_is_no_bank_file() -> None:
    with pytest.raises(BankFormatUnknown, match="<html> of no namespace"):
        bank_camt.read(b"<html><body/></html>")


def test_a_file_that_is_too_large_says_the_way_out() -> None:
    for read_it in (bank_camt.read, payment_xml.parse):
        with pytest.raises(BankFileTooLarge, match="2,097,152") as caught:
            read_it(b"<d>" + b" " * FILE_BYTES_MAX + b"</d>")
        assert "one file a day" in caught.value.message() and "按日" in caught.value.message("zh")
    with pytest.raises(BankFileTooLarge, match="400,000"):
        payment_xml.parse(b"<d>" + b"<e/>" * 400_001 + b"</d>")


def test_the_largest_file_fits_one_call() -> None:
    assert 4 * (FILE_BYTES_MAX // 3 + 1) + limits.CHUNK_BYTES_MAX // 4 < limits.UNARY_BYTES_MAX


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(f'<!DOCTYPE d [<!ENTITY l0 "ha">{LAUGHS}]><d>&l9;</d>'.encode(), id="billion-laughs"),
        pytest.param(b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>', id="external-entity"),
        pytest.param(b'<!DOCTYPE d SYSTEM "http://127.0.0.1:1/d.dtd"><d/>', id="external-dtd"),
        pytest.param(b"<!DOCTYPE d><d/>", id="empty-dtd"),
        pytest.param(b"<d>&unknown;</d>", id="unknown-entity"),
        pytest.param(b"<d>" * 50 + b"</d>" * 50, id="deep"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\0", id="zero"),
        pytest.param(b'<?xml version="1.0" encoding="GBK"?><d>\xff\xff</d>', id="not-the-declared-encoding"),
        pytest.param(b"<d>\xff</d>", id="not-utf-8"),
        pytest.param("<d/>".encode("utf-16"), id="utf-16"),
        pytest.param("<d/>".encode("utf-16-be"), id="utf-16-without-its-mark"),
    ],
)
def test_xml_that_would_do_harm_is_refused_where_it_begins(data: bytes) -> None:
    with pytest.raises(BankFileInvalid):
        payment_xml.parse(data)
