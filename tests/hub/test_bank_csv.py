"""A bank's CSV by its profile: encodings, columns, running balance, and what is refused by row and reason."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub import bank_csv
from hub.bank_values import FILE_BYTES_MAX, BankEntry
from hub.cli_reconcile import bank_import
from hub.payment_errors import (
    BankBalanceDiffers,
    BankFileInvalid,
    BankFileTooLarge,
    BankProfileInvalid,
    BankRowsRefused,
)

OURS = "b646d74f08e36c74965cbc1effc0e0e1"
ACCOUNT = "6222020200112233445"
PROFILE = """
name = "icbc"
encoding = "gbk"
currency = "CNY"
date = "%Y%m%d"
grouping = ","
[columns]
booked = "交易日期"
debit = "借方金额"
credit = "贷方金额"
balance = "余额"
bank_reference = "流水号"
reference = "附言"
counterparty = "对方账号"
name = "对方户名"
returned = "摘要"
[values]
returned = ["退汇"]
"""
HEADER = "交易日期,流水号,借方金额,贷方金额,余额,对方账号,对方户名,附言,摘要\r\n"
ROW = f'20261112,F001,"1,065.28",,"8,934.72",\t6217000010001,消费平台,分润 {OURS},转账\r\n'
BACK = f'20261113,F002,,"1,065.28","10,000.00",6217000010001,消费平台,{OURS},退汇\r\n'

SIGNED: dict[str, Any] = {"name": "plain", "currency": "CNY", "columns": {"booked": "date", "amount": "amount"}}


def profile_of(text: str) -> bank_csv.Profile:
    return bank_csv.of_tree(tomllib.loads(text))


def entries(text: str, encoding: str = "gbk", profile: str = PROFILE) -> tuple[BankEntry, ...]:
    return bank_csv.read(text.encode(encoding), profile_of(profile), ACCOUNT).entries


def signed(amount: str, **changes: Any) -> int:
    rules = bank_csv.of_tree(SIGNED | changes)
    (entry,) = bank_csv.read(f"date,amount\n2026-11-12,{amount}\n".encode(), rules, ACCOUNT).entries
    return entry.signed_minor


def test_a_chinese_banks_file_is_read_to_the_fen() -> None:
    statement = bank_csv.read((HEADER + ROW + BACK).encode("gbk"), profile_of(PROFILE), ACCOUNT)
    assert (statement.opening_minor, statement.closing_minor, statement.currency) == (1_000_000, 1_000_000, "CNY")
    paid, back = statement.entries
    assert (paid.row, paid.signed_minor, paid.booked) == (2, -106528, date(2026, 11, 12))
    assert (paid.bank_reference, paid.counterparty, paid.name) == ("F001", "6217000010001", "消费平台")
    assert OURS in paid.references
    assert (back.signed_minor, back.returned, back.references) == (106528, True, (OURS,))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_is_read_with_and_without_its_mark(encoding: str) -> None:
    assert [e.signed_minor for e in entries(HEADER + ROW, encoding, PROFILE.replace("gbk", "utf-8"))] == [-106528]


def test_a_byte_order_mark_is_believed_over_the_profile() -> None:
    assert [e.name for e in entries(HEADER + ROW, "utf-8-sig")] == ["消费平台"]


@pytest.mark.parametrize(
    ("encoding", "profile"), [("gbk", PROFILE.replace("gbk", "utf-8")), ("utf-16", PROFILE), ("utf-16-le", PROFILE)]
)
def test_another_encoding_than_the_profiles_is_refused(encoding: str, profile: str) -> None:
    with pytest.raises(BankFileInvalid):
        entries(HEADER + ROW, encoding, profile)


@pytest.mark.parametrize(
    ("amount", "minor"), [("0.01", 1), ("-0.01", -1), ("007.5", 750), ("12", 1200), ("1.0000", 100), ("-12.30", -1230)]
)
def test_plain_amounts_are_read_exactly(amount: str, minor: int) -> None:
    assert signed(amount) == minor


@pytest.mark.parametrize(
    "amount",
    [
        *("", "0", "-0.00", "1.005", "1e3", "+1", "--1", "- 1", ".5", "1.", "1_000", "NaN", "inf", "１２", "−1"),
        *(
            "1.000",
            "1.500",
            "-1.500",
            "10000000000000.01",
            "¥1.00",
            "1.00CNY",
            "0x10",
            "(1.00)",
            '"1,234.00"',
            '"1.234,00"',
        ),
    ],
)
def test_an_amount_that_is_not_plain_is_refused_and_never_guessed(amount: str) -> None:
    with pytest.raises((BankRowsRefused, BankFileInvalid)):
        signed(amount)


@pytest.mark.parametrize(("amount", "minor"), [("1,234.50", 123450), ("-1,234,567.89", -123456789), ("1234.5", 123450)])
def test_groups_are_read_where_the_profile_says_so(amount: str, minor: int) -> None:
    assert signed(f'"{amount}"', grouping=",") == minor


@pytest.mark.parametrize("amount", ["12,34.50", "1,2345.00", ",123.00", "1,,234.00", "1,234.5,0"])
def test_groups_that_are_not_of_three_are_refused(amount: str) -> None:
    with pytest.raises(BankRowsRefused):
        signed(f'"{amount}"', grouping=",")


@pytest.mark.parametrize(("mark", "minor"), [("借", -500), ("D", -500), ("贷", 500)])
def test_a_side_beside_the_amount(mark: str, minor: int) -> None:
    columns = {"booked": "date", "amount": "amount", "side": "side"}
    rules = bank_csv.of_tree(SIGNED | {"columns": columns, "values": {"debit": ["借", "D"], "credit": ["贷"]}})
    data = f"date,amount,side\n2026-11-12,5.00,{mark}\n".encode()
    assert [e.signed_minor for e in bank_csv.read(data, rules, ACCOUNT).entries] == [minor]
    with pytest.raises(BankRowsRefused):
        bank_csv.read(data.replace(mark.encode(), b"?"), rules, ACCOUNT)


def test_newest_first_is_turned_round() -> None:
    profile = PROFILE.replace('name = "icbc"', 'name = "icbc"\norder = "descending"')
    assert [e.bank_reference for e in entries(HEADER + BACK + ROW, profile=profile)] == ["F001", "F002"]
    third = ROW.replace("F001", "F003").replace("8,934.72", "7,869.44")
    with pytest.raises(BankBalanceDiffers):
        entries(HEADER + BACK + third + ROW)


@pytest.mark.parametrize(("old", "new"), [("1,065.28", "1,065.27"), ("10,000.00", "10,000.01")])
def test_a_running_balance_that_does_not_follow_is_refused(old: str, new: str) -> None:
    with pytest.raises(BankBalanceDiffers):
        entries(HEADER + ROW + BACK.replace(old, new))


def test_a_row_with_the_banks_reference_that_stands_there_twice_counts_once() -> None:
    columns = {"booked": "date", "amount": "amount", "bank_reference": "ref"}
    rules = bank_csv.of_tree(SIGNED | {"columns": columns})
    rows = "2026-11-12,-1.00,F1\n2026-11-12,-1.00,F1\n2026-11-12,-1.00,\n2026-11-12,-1.00,\n2026-11-12,-2.00,F1\n"
    found = bank_csv.read(f"date,amount,ref\n{rows}".encode(), rules, ACCOUNT).entries
    assert [(e.row, e.signed_minor) for e in found] == [(2, -100), (4, -100), (5, -100), (6, -200)]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("2026-11-31,1.00\n", "not a date"),
        ("2026-1-05,1.00\n", "not a date"),
        ("1999-12-31,1.00\n", "out of range"),
        ("2026-11-12\n", "cells"),
        ("2026-11-12,1.00,more\n", "cells"),
    ],
)
def test_a_wrong_row_is_named_with_its_reason_and_nothing_is_taken(rows: str, why: str) -> None:
    with pytest.raises(BankRowsRefused) as caught:
        bank_csv.read(f"date,amount\n2026-11-12,1.00\n{rows}".encode(), bank_csv.of_tree(SIGNED), ACCOUNT)
    assert "row 3: " in caught.value.message() and why in caught.value.message()


@pytest.mark.parametrize(
    "data",
    [b"", b"date\n", b"date,amount,amount\n", b'date,amount\n2026-11-12,"1.00\n', b"date,amount\n\0,1\n"],
)
def test_what_is_no_table_of_this_form_is_refused(data: bytes) -> None:
    with pytest.raises(BankFileInvalid):
        bank_csv.read(data, bank_csv.of_tree(SIGNED), ACCOUNT)


def test_a_csv_that_is_too_large_says_the_way_out(tmp_path: Path) -> None:
    rows = b"date,amount\n" + b"2026-11-12,1.00\n" * 50_001
    large = rows + b" " * FILE_BYTES_MAX
    for data, told in ((rows, "50,001 entries"), (large, "bytes")):
        with pytest.raises(BankFileTooLarge, match=told) as caught:
            bank_csv.read(data, bank_csv.of_tree(SIGNED), ACCOUNT)
        assert "one file a day" in caught.value.message()
    statement = tmp_path / "bank.csv"
    statement.write_bytes(large)
    with pytest.raises(BankFileTooLarge):  # before anything is sent
        CliRunner().invoke(bank_import, [str(statement), "--account", ACCOUNT], catch_exceptions=False)


def test_rows_of_another_account_or_of_several_currencies_are_refused() -> None:
    rules = bank_csv.of_tree(
        {"name": "x", "columns": {"booked": "date", "amount": "amount", "account": "acct", "currency": "ccy"}}
    )
    header = "date,amount,acct,ccy\n"
    good = f"2026-11-12,1.00,{ACCOUNT[:4]} {ACCOUNT[4:]},CNY\n"
    assert len(bank_csv.read((header + good).encode(), rules, ACCOUNT).entries) == 1
    for other in (good.replace("6222", "6223"), good.replace("CNY", "USD"), good.replace("CNY", "XAU")):
        with pytest.raises((BankRowsRefused, BankFileInvalid)):
            bank_csv.read((header + good + other).encode(), rules, ACCOUNT)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"unknown": 1},
        {"encoding": "latin-1"},
        {"delimiter": "x"},
        {"date": "%c"},
        {"currency": "XXX"},
        {"currency": ""},
        {"grouping": "."},
        {"order": "random"},
        {"skip": -1},
        {"skip": "1"},
        {"columns": {"booked": "date"}},
        {"columns": {"amount": "amount"}},
        {"columns": {"booked": "date", "debit": "d"}},
        {"columns": {"booked": "date", "amount": "a", "debit": "d", "credit": "c"}},
        {"columns": {"booked": "date", "amount": "amount", "other": "x"}},
        {"columns": {"booked": "date", "amount": 1}},
        {"values": {"other": ["x"]}},
        {"values": {"debit": "D"}},
    ],
)
def test_a_profile_that_is_not_understood_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BankProfileInvalid):
        bank_csv.of_tree(SIGNED | changes)


def test_a_profile_that_is_no_toml(tmp_path: Path) -> None:
    statement, profile = tmp_path / "bank.csv", tmp_path / "bank.toml"
    statement.write_text(HEADER)
    profile.write_text("name = ")
    arguments = [str(statement), "--account", ACCOUNT, "--profile", str(profile)]
    with pytest.raises(BankProfileInvalid):
        CliRunner().invoke(bank_import, arguments, catch_exceptions=False)
