"""Money through files: what people's CSV brings in, and what the payment file does in a bank clerk's spreadsheet."""

import csv
import io
import unicodedata
from pathlib import Path

import pytest

from hub import bank_camt, payment_file
from partner_node import settlement_files
from partner_node.errors import CommandInvalid
from partner_node.settlement_errors import ReportFileInvalid
from privacy.errors import Failure
from privacy.ids import PartnerId
from privacy.printable import is_printable
from revenue_share import statement
from revenue_share.agreement import Agreement
from tests.hub.test_payment_file import due
from tests.partner_node.alliance import resident_id
from tests.support.bank_files import Booked, camt
from tests.support.revenue import agreement_body, allocate, event, referral

HEADER = "client_id,time,kind,amount,event_id\n"
GOOD_TIME = "2026-10-05T14:00:00+08:00"
OURS = "b646d74f08e36c74965cbc1effc0e0e1"


def events(folder: Path, amount: str = "1.00", time: str = GOOD_TIME, encoding: str = "utf-8") -> list[int]:
    path = folder / "events.csv"
    path.write_bytes((HEADER + f'{resident_id(1)},{time},commission,"{amount}",e1\n').encode(encoding))
    return [line.base_minor for line in settlement_files.events(path, "resident_id", "CNY")]


@pytest.mark.parametrize(
    "amount",
    [
        *("1,234.00", "1.234,00", "1e3", "1E2", "0x10", "+1", "--1", "- 1", " 1", "1 ", "1.", ".5", "1.005", "1_000"),
        *("\uff11\uff12", "\u0661", "\u2212 1", "\u22121", "\uffe51", "NaN", "inf", "", "1\u200b", "10000000000000.01"),
    ],
)
def test_an_amount_that_is_not_plain_is_refused_and_never_guessed(tmp_path: Path, amount: str) -> None:
    with pytest.raises(ReportFileInvalid):
        events(tmp_path, amount)


@pytest.mark.parametrize(("amount", "minor"), [("-0", 0), ("-0.00", 0), ("007.5", 750), ("0.01", 1), ("-12.30", -1230)])
def test_plain_amounts_are_read_to_the_fen(tmp_path: Path, amount: str, minor: int) -> None:
    assert events(tmp_path, amount) == [minor]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    assert events(tmp_path, encoding="utf-8-sig") == [100]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    with pytest.raises((CommandInvalid, ReportFileInvalid)):
        events(tmp_path, encoding=encoding)


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+08:00",  # before the first instant in UTC
        "9999-12-31T23:59:59-08:00",  # after the last
        "1999-12-31T23:59:59+08:00",  # no report holds it
        "2100-01-01T08:00:00+08:00",
        "2026-10-05T14:00:00+08:00:00.5",  # whole seconds here, half a second in UTC
    ],
)
def test_a_time_that_no_report_can_hold_is_refused_by_line(tmp_path: Path, time: str) -> None:
    with pytest.raises(ReportFileInvalid):
        events(tmp_path, time=time)
    path = tmp_path / "referrals.csv"
    path.write_text(f"client_id,time\n{resident_id(1)},{time}\n")
    with pytest.raises(ReportFileInvalid):
        settlement_files.referrals(path, "resident_id")


@pytest.mark.parametrize(
    "name",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", " =1"),
        *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)"),  # a Chinese input method's full-width forms
        *('"=1', "\u200b=1", "\ufeff=1", "\u200b\uff1d1", "\x1b=1"),
    ],
)
def test_no_partners_name_is_a_formula_or_another_cell(name: str) -> None:
    agreement = Agreement.from_body(agreement_body())
    lines = allocate(agreement, [referral(1)], [event("e1", 1, 123457)], period := "2026-10")  # type: ignore[arg-type]
    salts = statement.Salts(lines=tuple(bytes([i + 1]) * 32 for i in range(len(lines))), total=bytes(32))
    made = statement.build(agreement, period, statement.Place(), lines, salts)  # type: ignore[arg-type]
    data = payment_file.write(due(made), {PartnerId(agreement.referrer.partner): name})
    (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert (row["amount"], row["amount_minor"], row["currency"]) == ("61.73", "6173", "CNY")
    shown = row["creditor_name"]
    assert is_printable(shown)
    assert unicodedata.normalize("NFKC", shown)[0] not in "=+-@"
    assert len(data.decode().splitlines()) == 2


SMALL = camt([Booked(minor=106528, reference=OURS), Booked(minor=1234, side="CRDT", bank_reference="BANKREF-2")])


def money(data: bytes) -> list[tuple[str, bool, int]]:
    """What a file says of money, in its order."""
    return [
        (entry.currency, entry.debit, entry.amount_minor)
        for statement in bank_camt.read(data)
        for entry in statement.entries
    ]


@pytest.mark.parametrize("flip", [0x01, 0x02, 0x04, 0x10, 0x20, 0x80])
def test_a_changed_byte_of_a_bank_file_is_an_error_or_changes_no_money(flip: int) -> None:
    expected, refused = money(SMALL), 0
    for place in range(len(SMALL)):
        changed = bytearray(SMALL)
        changed[place] ^= flip
        try:
            assert money(bytes(changed)) == expected, f"byte {place}"
        except Failure:
            refused += 1
    assert refused > len(SMALL) // 2


def test_a_missing_or_doubled_byte_of_a_bank_file_changes_no_money() -> None:
    expected = money(SMALL)
    for place in range(len(SMALL)):
        for changed in (SMALL[:place] + SMALL[place + 1 :], SMALL[:place] + SMALL[place : place + 1] + SMALL[place:]):
            try:
                assert money(changed) == expected, f"byte {place}"
            except Failure:
                continue


@pytest.mark.parametrize("line", range(len(SMALL.splitlines())))
def test_a_bank_file_with_a_line_missing_or_twice_is_refused(line: int) -> None:
    lines = SMALL.splitlines(keepends=True)
    if line == 0:
        lines[0] = b""  # the declaration says nothing that is needed
        assert money(b"".join(lines)) == money(SMALL)
        return
    for changed in (lines[:line] + lines[line + 1 :], lines[: line + 1] + lines[line:]):
        with pytest.raises(Failure):
            bank_camt.read(b"".join(changed))
