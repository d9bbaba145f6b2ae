"""pain.001: valid under its schema, exact, read back; and the schema refuses what is not."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from hub import payment_file, payment_pain, payment_schema
from hub.payment_errors import (
    FourEyes,
    PaymentDateInvalid,
    PaymentDetailsInvalid,
    PaymentDetailsMissing,
    PaymentDetailsUnknown,
    PaymentFileInvalid,
    PaymentFormatDiffers,
    ReviewOver,
)
from hub.records import Head
from hub.services import HeadInvalid
from hub.store_payments import PaymentOrder
from privacy.ids import Digest, PartnerId
from tests.hub.paying import OCTOBER, OURS, PAYABLE, THEIRS, Paying, paying
from tests.hub.settling import CAI, FEI, PAYER, REFERRER
from tests.support.bank_files import CREDITOR, IBAN

NOW = datetime(2026, 11, 2, 4, tzinfo=UTC)
DUE = date(2026, 11, 10)
CNAPS: Head = {
    "name": "境内平台 <甲> & 乙",
    "account": "6222020200112233445",
    "bic": "",
    "clearing": "CNAPS:102100099996",
}
YEN: Head = {**OURS, "account": "GB82WEST12345698765432", "clearing": ""}
ACCOUNTS = {
    (PAYER, "CNY"): {**OURS, "clearing": ""},
    (PAYER, "JPY"): YEN,
    (REFERRER, "CNY"): {**THEIRS, "clearing": ""},
    ("platform-b", "CNY"): CNAPS,
    (REFERRER, "JPY"): {**THEIRS, "clearing": ""},
}


def order(name: str, minor: int, creditor: str = REFERRER, **changes) -> PaymentOrder:
    currency = changes.get("currency", "CNY")
    made = PaymentOrder(
        end_to_end_id=name,
        statement=Digest("00" * 32),
        attempt=1,
        file="",
        creditor=PartnerId(creditor),
        currency="CNY",
        amount_minor=minor,
        due=DUE,
        account=str(ACCOUNTS[PAYER, currency]["account"]),
        counterparty=str(ACCOUNTS[creditor, currency]["account"]),
    )
    return replace(made, **changes)


ORDERS = (
    order("a" * 32, 106528),
    order("b" * 32, 1, "platform-b"),
    order("c" * 32, 50000, currency="JPY"),
    order("d" * 32, 10**15, due=date(2026, 11, 11)),
)


def document(*orders: PaymentOrder, note: str = "revenue share 2026-10") -> bytes:
    several = orders or ORDERS
    names = [one.end_to_end_id for one in several]
    return payment_pain.document(several, dict.fromkeys(names, PAYER), ACCOUNTS, dict.fromkeys(names, note), NOW)


def test_one_block_for_each_account_currency_and_day_with_counts_and_sums() -> None:
    root = payment_schema.check(document())
    start = root.children[0]
    paths = (("DbtrAcct", "Id", "IBAN"), ("DbtrAcct", "Ccy"), ("ReqdExctnDt", "Dt"), ("NbOfTxs",), ("CtrlSum",))
    blocks = [tuple(block.value(*path) for path in paths) for block in start.all("PmtInf")]
    assert blocks == [
        (IBAN, "CNY", "2026-11-10", "2", "1065.29"),
        (IBAN, "CNY", "2026-11-11", "1", "10000000000000.00"),
        ("GB82WEST12345698765432", "JPY", "2026-11-10", "1", "50000.00"),
    ]
    assert (start.value("GrpHdr", "NbOfTxs"), start.value("GrpHdr", "CtrlSum")) == ("4", "10000000051065.29")
    amounts = [t.one("Amt", "InstdAmt") for t in start.all("PmtInf", "CdtTrfTxInf")]
    assert [(a.attributes["Ccy"], a.text) for a in amounts if a] == [
        *(("CNY", "1065.28"), ("CNY", "0.01"), ("CNY", "10000000000000.00"), ("JPY", "50000")),
    ]


def test_the_same_orders_make_the_same_bytes_in_any_order() -> None:
    assert document(*reversed(ORDERS)) == document()


def test_an_account_that_is_no_iban_goes_by_its_number_and_its_bank_by_the_clearing_id() -> None:
    root = payment_schema.check(document())
    (found,) = [
        t for t in root.all("CstmrCdtTrfInitn", "PmtInf", "CdtTrfTxInf") if t.value("PmtId", "EndToEndId") == "b" * 32
    ]
    assert found.value("CdtrAcct", "Id", "Othr", "Id") == "6222020200112233445"
    bank = ("CdtrAgt", "FinInstnId", "ClrSysMmbId")
    assert (found.value(*bank, "ClrSysId", "Cd"), found.value(*bank, "MmbId")) == ("CNAPS", "102100099996")
    assert found.value("Cdtr", "Nm") == "境内平台 <甲> & 乙"


@pytest.mark.parametrize("note", ["]]><Amt>", "&lt;", "a\x00b\x1b", "\ufffe", "多" * 200, "\n\t x"])
def test_no_text_breaks_out_of_its_element(note: str) -> None:
    root = payment_schema.check(document(ORDERS[0], note=note))
    (found,) = root.all("CstmrCdtTrfInitn", "PmtInf", "CdtTrfTxInf", "RmtInf", "Ustrd")
    assert 0 < len(found.text) <= 140 and "\x1b" not in found.text


TEXT = document().decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pain.001.001.09", "pain.001.001.03"),
        ("<PmtMtd>TRF", "<PmtMtd>CHK"),
        ("<BtchBookg>false", "<BtchBookg>no"),
        ("<CtrlSum>10000000051065.29", "<CtrlSum>10000000051065.29x"),
        ("<NbOfTxs>4", "<NbOfTxs>four"),
        ("<Dt>2026-11-10", "<Dt>2026-11-31"),
        ('<InstdAmt Ccy="CNY">', "<InstdAmt>"),
        ('<InstdAmt Ccy="CNY">', '<InstdAmt Ccy="CNY" Extra="1">'),
        ('<InstdAmt Ccy="CNY">', '<InstdAmt Ccy="cny">'),
        ("1065.28", "1065.280001"),
        ("1065.28", "-1065.28"),
        ("1065.28", "1234567890123456789"),
        ("1065.28", "1e3"),
        ("<BICFI>COBADEFFXXX", "<BICFI>COBADEFF1"),
        ("<IBAN>DE89", "<IBAN>8989"),
        (f"<EndToEndId>{'a' * 32}", f"<EndToEndId>{'a' * 36}"),
        (f"<EndToEndId>{'a' * 32}</EndToEndId>", ""),
        ("<RmtInf>", "<RmtInf><Strd/>"),
        ("<CreDtTm>2026-11-02T", "<CreDtTm>2026-11-02 "),
        ("</PmtInf></CstmrCdtTrfInitn>", "</PmtInf><SplmtryData/></CstmrCdtTrfInitn>"),
    ],
)
def test_a_document_that_is_not_valid_is_refused_with_its_place(old: str, new: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new, 1)
    with pytest.raises(PaymentFileInvalid):
        payment_schema.check(changed.encode())


@pytest.mark.parametrize(
    "element", ["MsgId", "CreDtTm", "InitgPty", "PmtInfId", "Dbtr", "DbtrAgt", "Amt", "Cdtr", "CdtrAcct"]
)
def test_an_element_that_is_missing_is_named(element: str) -> None:
    changed = re.sub(rf"<{element}>.*?</{element}>", "", TEXT, count=1)
    assert changed != TEXT
    with pytest.raises(PaymentFileInvalid) as caught:
        payment_schema.check(changed.encode())
    assert element in caught.value.message()


def test_two_orders_of_one_name_are_not_written() -> None:
    with pytest.raises(PaymentFileInvalid):
        document(ORDERS[0], replace(ORDERS[0], amount_minor=5))


def test_an_account_that_changed_since_the_order_is_not_written() -> None:
    with pytest.raises(PaymentFileInvalid):
        document(replace(ORDERS[0], counterparty="DE89370400440532013000"))


# --- in the books


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Paying]:
    with paying(tmp_path) as made:
        yield made


def test_the_file_of_a_month_pays_the_statement_to_the_approved_account(books: Paying) -> None:
    record = books.final()
    with pytest.raises(PaymentDetailsMissing) as caught:
        books.do("pay", period=OCTOBER, format="pain.001")
    assert f"{PAYER} (CNY)" in caught.value.message() and f"{REFERRER} (CNY)" in caught.value.message()
    books.approve_details()
    reply = books.run(CAI, "pay", period=OCTOBER, format="pain.001", date="2026-11-20")
    root = payment_schema.check(reply.body)
    (found,) = root.all("CstmrCdtTrfInitn", "PmtInf", "CdtTrfTxInf")
    assert found.value("PmtId", "EndToEndId") == record.id[:32]
    assert found.value("CdtrAcct", "Id", "IBAN") == CREDITOR
    assert root.children[0].value("GrpHdr", "CtrlSum") == f"{PAYABLE // 100}.{PAYABLE % 100}"
    order = books.order(record)
    assert (order.due, order.account, order.counterparty) == (date(2026, 11, 20), IBAN, CREDITOR)
    assert books.run(CAI, "pay", period=OCTOBER, format="pain.001").body == reply.body
    with pytest.raises(PaymentFormatDiffers):
        books.do("pay", period=OCTOBER, format="csv")


@pytest.mark.parametrize("day", ["2026-11-01", "2027-02-01", "20.11.2026", "tomorrow", "2026-02-30"])
def test_a_day_of_execution_that_can_not_be(books: Paying, day: str) -> None:
    books.final()
    with pytest.raises(PaymentDateInvalid):
        books.do("pay", period=OCTOBER, date=day)
    with pytest.raises(HeadInvalid):
        books.do("pay", period=OCTOBER, format="mt101")


def test_details_are_entered_by_one_and_approved_by_another(books: Paying) -> None:
    made = books.do("details.propose", **THEIRS)
    assert (made["state"], made["proposed_by"]) == ("PROPOSED", "fei")
    for decision in ("approve", "refuse"):
        with pytest.raises(FourEyes):
            books.do("details.decide", digest=made["digest"], decision=decision)
    assert (
        books.run(CAI, "details.decide", digest=str(made["digest"])[:12], decision="approve").head["state"] == "ACTIVE"
    )
    with pytest.raises(ReviewOver):
        books.run(CAI, "details.decide", digest=made["digest"], decision="refuse")
    with pytest.raises(PaymentDetailsUnknown):
        books.run(CAI, "details.decide", digest="0" * 64, decision="approve")
    books.approve_details({**THEIRS, "account": "6222020200112233445", "clearing": "CNAPS:102100099996", "bic": ""})
    listed = books.do("details", partner=REFERRER)["details"]
    assert [one["state"] for one in listed] == ["REPLACED", "ACTIVE"]  # type: ignore[index, union-attr]


def test_one_certificate_under_two_names_is_one_person(books: Paying) -> None:
    made = books.do("details.propose", **THEIRS)
    other = replace(CAI, fingerprint=FEI.fingerprint)
    for decision in ("approve", "refuse"):
        with pytest.raises(FourEyes, match="fei proposed"):
            books.run(other, "details.decide", digest=made["digest"], decision=decision)
    with pytest.raises(FourEyes):  # a new certificate of the same name is the same person as well
        books.run(replace(FEI, fingerprint="ee" * 32), "details.decide", digest=made["digest"], decision="approve")
    assert books.run(CAI, "details.decide", digest=made["digest"], decision="approve").head["state"] == "ACTIVE"


def test_the_same_details_at_the_same_instant_are_the_same_proposal(books: Paying) -> None:
    made, again = (books.do("details.propose", **THEIRS) for _ in range(2))
    assert made == again and len(books.do("details")["details"]) == 1  # type: ignore[arg-type]
    books.run(CAI, "details.decide", digest=made["digest"], decision="approve")
    assert books.do("details.propose", **THEIRS)["state"] == "ACTIVE"  # one clear answer: they are in force
    others = books.run(CAI, "details.propose", **THEIRS).head
    assert (others["state"], others["proposed_by"]) == ("PROPOSED", "cai")


def test_an_account_nobody_approved_is_not_paid(books: Paying) -> None:
    books.final()
    books.approve_details()
    books.do("details.propose", **{**THEIRS, "account": "6222020200112233445"})
    books.do("pay", period=OCTOBER, format="pain.001")
    (record,) = [books.month.record(s["statement"]) for s in books.month.command("statements").head["statements"]]  # type: ignore[index, union-attr]
    assert books.order(record).counterparty == CREDITOR


@pytest.mark.parametrize(
    "changes",
    [
        {"partner": "nobody"},
        {"currency": "XXX"},
        {"name": ""},
        {"name": "x" * 141},
        {"name": "\u202eevil"},
        {"account": "DE89370400440532013001"},
        {"account": "12 34;DROP"},
        {"account": ""},
        {"bic": "SHORT"},
        {"bic": "", "clearing": ""},
        {"clearing": "CNAPS"},
        {"bic": 5},
    ],
)
def test_details_that_can_not_be_an_account(books: Paying, changes: Head) -> None:
    with pytest.raises(PaymentDetailsInvalid):
        books.do("details.propose", **{**THEIRS, **changes})


def test_the_csv_file_names_the_approved_accounts(books: Paying) -> None:
    record = books.final()
    books.approve_details()
    data = books.run(CAI, "pay", period=OCTOBER).body.decode()
    assert data.splitlines()[0] == ",".join(payment_file.COLUMNS)
    assert f",{IBAN},{CREDITOR}," in data.splitlines()[1] and data.splitlines()[1].startswith(record.id[:32])
