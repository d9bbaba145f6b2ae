"""A year of real orders: read in place, classed, and accounted for to the last thousandth of a pound."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sandbox import retail
from sandbox.retail_lines import FILE, LineClass, RetailFileRejected, Sorted, sort
from sandbox.retail_year import RetailUnreconciled, reconcile, settle
from tests.support.entropy import SeededEntropy
from tests.support.shared_data import data_folder

CONTROL = 9_539_484_634  # thousandths of a pound: Decimal of the printed price times quantity over all lines
LINES = 525_461


@pytest.fixture(scope="module")
def real() -> Sorted:
    return sort(data_folder("uci_online_retail_2"))


def test_every_line_has_one_class_and_the_classes_add_up_to_the_control_total(real: Sorted) -> None:
    assert (real.lines, real.worth) == (LINES, CONTROL)
    found = {one: (part.lines, part.worth) for one, part in real.classes.items()}
    assert found == {
        LineClass.BAD_DEBT: (3, -136_552_020),
        LineClass.NO_PRICE: (3_687, 0),
        LineClass.NO_CUSTOMER: (104_268, 1_327_828_080),
        LineClass.NO_ARTICLE: (1_797, -79_903_270),
        LineClass.CANCELLATION: (7_576, -210_209_090),
        LineClass.CANCELLATION_ALONE: (1_819, -35_077_160),
        LineClass.ORDER: (406_311, 8_673_398_094),
    }


def test_months_add_up_to_the_classes_and_claims_to_what_is_priced(real: Sorted) -> None:
    assert len({period for period, _ in real.months}) == 13
    for one in LineClass:
        months = [part for (_, other), part in real.months.items() if other is one]
        assert sum(part.lines for part in months) == real.classes[one].lines
        assert sum(part.worth for part in months) == real.classes[one].worth
    claims = [claim for month in real.claims.values() for claim in month]
    assert len({claim.id for claim in claims}) == len(claims)
    assert sum(claim.worth for claim in claims if not claim.reverses) == real.classes[LineClass.ORDER].worth
    assert sum(claim.worth for claim in claims if claim.reverses) == real.classes[LineClass.CANCELLATION].worth


def test_no_order_is_taken_back_beyond_its_worth_or_before_it_was_placed(real: Sorted) -> None:
    orders = {claim.id: claim for month in real.claims.values() for claim in month if not claim.reverses}
    taken: dict[str, int] = {}
    for claim in (claim for month in real.claims.values() for claim in month if claim.reverses):
        order = orders[claim.reverses]
        assert (order.customer, order.time <= claim.time) == (claim.customer, True)
        taken[order.id] = taken.get(order.id, 0) - claim.worth
    assert all(worth <= orders[name].worth for name, worth in taken.items())


def test_lines_that_repeat_another_are_numbered_apart_and_count(real: Sorted) -> None:
    assert (real.repeats.lines, real.repeats.worth) == (6_865, 33_709_070)


def test_prices_of_three_decimals_stay_exact(real: Sorted) -> None:
    odd = [claim for month in real.claims.values() for claim in month if claim.worth % 10]
    assert (len(odd), {claim.worth for claim in odd}) == (14, {1})


# --- small files

ROW: dict[str, Any] = {
    "Invoice": "489434",
    "StockCode": "85048",
    "Description": "LIGHTS",
    "Quantity": 12,
    "InvoiceDate": "2009-12-01 07:45:00",
    "Price": 6.95,
    "Customer ID": 13085.0,
    "Country": "United Kingdom",
}


def written(folder: Path, *rows: dict[str, Any], drop: str = "") -> Path:
    made = [{**ROW, **row} for row in rows]
    columns = {name: [row[name] for row in made] for name in ROW if name != drop}
    pq.write_table(pa.table(columns), folder / FILE)
    return folder


def test_a_cancellation_takes_back_the_latest_orders_first_and_stands_alone_for_the_rest(tmp_path: Path) -> None:
    back = {"Invoice": "C489449", "Quantity": -20, "InvoiceDate": "2009-12-03 10:00:00"}
    found = sort(
        written(
            tmp_path,
            {"Quantity": 5},
            {"Invoice": "489435", "Quantity": 12, "InvoiceDate": "2009-12-02 09:00:00"},
            {"Invoice": "489436", "Quantity": 3, "Price": 6.5, "InvoiceDate": "2009-12-02 09:00:00"},
            back,
        )
    )
    parts = [(claim.id, claim.reverses, claim.worth) for claim in found.claims["2009-12"] if claim.reverses]
    assert parts == [("C489449-1.1", "489435-1", -12 * 6950), ("C489449-1.2", "489434-1", -5 * 6950)]
    alone = found.classes[LineClass.CANCELLATION_ALONE]
    assert (alone.lines, alone.worth) == (0, -3 * 6950)
    assert (found.lines, found.classes[LineClass.CANCELLATION].lines) == (4, 1)


@pytest.mark.parametrize(
    ("row", "one"),
    [
        ({"Invoice": "A506401", "StockCode": "B", "Price": -53594.36, "Quantity": 1}, LineClass.BAD_DEBT),
        ({"Price": 0.0}, LineClass.NO_PRICE),
        ({"Customer ID": None}, LineClass.NO_CUSTOMER),
        ({"StockCode": "POST"}, LineClass.NO_ARTICLE),
        ({"StockCode": "gift_0001_10"}, LineClass.NO_ARTICLE),
        ({"Invoice": "C489449", "Quantity": -1}, LineClass.CANCELLATION_ALONE),
        ({}, LineClass.ORDER),
    ],
    ids=["bad-debt", "no-price", "no-customer", "postage", "voucher", "cancellation", "order"],
)
def test_the_class_of_a_line(tmp_path: Path, row: dict[str, Any], one: LineClass) -> None:
    found = sort(written(tmp_path, row, {"Customer ID": 1.0}))
    assert found.classes[one].lines == (2 if one is LineClass.ORDER else 1)


def test_a_month_is_that_of_londons_clock(tmp_path: Path) -> None:
    found = sort(written(tmp_path, {"InvoiceDate": "2010-03-31 23:59:59"}, {"InvoiceDate": "2010-04-01 00:30:00"}))
    assert {period: len(claims) for period, claims in found.claims.items()} == {"2010-03": 1, "2010-04": 1}
    assert found.claims["2010-04"][0].time == datetime.fromisoformat("2010-03-31T23:30:00Z")


@pytest.mark.parametrize(
    ("row", "drop", "why"),
    [
        ({"Price": 6.9505}, "", "three places"),
        ({"Price": float("nan")}, "", "three places"),
        ({"InvoiceDate": "01/12/2009 07:45"}, "", "not of the form"),
        ({"Customer ID": 1.5}, "", "not whole"),
        ({"InvoiceDate": "2009-11-30 07:45:00"}, "", "order of time"),
        ({}, "Price", "columns"),
    ],
    ids=["fourth-decimal", "no-number", "other-date", "half-a-customer", "out-of-order", "no-price"],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, row: dict[str, Any], drop: str, why: str) -> None:
    with pytest.raises(RetailFileRejected, match=why):
        sort(written(tmp_path, {}, row, drop=drop))


def test_no_file_and_no_parquet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RetailFileRejected):
        sort(tmp_path)
    (tmp_path / FILE).write_bytes(b"Invoice,StockCode")
    with pytest.raises(RetailFileRejected):
        sort(tmp_path)


# --- settled in a hub's books


def day(text: str) -> dict[str, Any]:
    return {"InvoiceDate": f"{text} 09:00:00"}


@pytest.fixture
def small(tmp_path: Path) -> Sorted:
    """12 x 6.95 and 1 x 0.001 in December; in January 5 taken back, 3 a day too late, 10 more; 1 back in February."""
    rows = (
        {},
        {"Invoice": "489435", "StockCode": "PADS", "Quantity": 1, "Price": 0.001},
        {"Invoice": "C489500", "Quantity": -5, **day("2010-01-20")},
        {"Invoice": "489501", "Quantity": 10, "Customer ID": 1.0, **day("2010-01-21")},
        {"Invoice": "C489502", "Quantity": -3, **day("2010-01-31")},
        {"Invoice": "C489503", "Quantity": -1, **day("2010-02-20")},
    )
    return sort(written(tmp_path, *rows))


def test_months_are_closed_posted_and_locked_and_every_thousandth_stands_in_one_of_them(
    small: Sorted, tmp_path: Path
) -> None:
    year = settle(small, tmp_path / "hub", SeededEntropy(b"retail"))
    december, january, february = year.months
    # 5 % of 83.401: 4.17005, of which 4.17 are paid; 5/12 of them are 1.7375 and 1.74 after rounding
    assert (december.total_minor, december.worth) == (417, {"COUNTED": 83_401})
    assert december.rounding == 417 * 200 - 83_401
    assert january.worth == {"COUNTED": 69_500, "TAKEN_BACK": -34_750, "TAKEN_BACK_LATE": -20_850}
    assert january.total_minor == 348 - 174  # 347.5 to even
    assert february.worth == {"ORIGINAL_UNKNOWN": -6_950}  # no position keeps what no window reaches
    assert (february.total_minor, february.payable_minor) == (0, 0)
    assert year.delivered_again == 6
    total = 417 + january.total_minor
    assert year.balances == {"expense:partner_share": total, "liability:payable:shop-platform": -total}


def test_a_thousandth_that_is_missing_is_named(small: Sorted, tmp_path: Path) -> None:
    year = settle(small, tmp_path / "hub", SeededEntropy(b"retail"))
    small.classes[LineClass.ORDER].add(0, 1)
    with pytest.raises(RetailUnreconciled, match="worth of all statement lines"):
        reconcile(small, year)
    small.classes[LineClass.ORDER].add(0, -1)
    year.balances["expense:partner_share"] += 1
    with pytest.raises(RetailUnreconciled, match="expense in the books"):
        reconcile(small, year)


def test_the_tables_show_classes_months_and_controls(
    small: Sorted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    year = settle(small, tmp_path / "hub", SeededEntropy(b"retail"))
    for lang, words in (("en", ("orders of referred customers", "2010-02")), ("zh", ("已转介客户的订单", "控制总额"))):
        retail.show(small, year, lang)
        shown = capsys.readouterr().out
        assert all(word in shown for word in (*words, "152.901", "-34.750"))
    assert retail.document(small, year)["control_thousandths"] == 152_901 - 34_750 - 20_850 - 6_950


def test_another_sheet_than_the_one_of_the_control_total_is_refused(small: Sorted) -> None:
    with pytest.raises(RetailUnreconciled, match="525461"):
        retail.check(small)


@pytest.mark.full
@pytest.mark.real_data
@pytest.mark.timeout(1200)  # minutes of processor time
def test_the_real_year_is_settled_to_the_last_thousandth() -> None:
    folder = data_folder("uci_online_retail_2")
    done = CliRunner().invoke(retail.retail, ["--data", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert (found["control_thousandths"], len(found["months"])) == (CONTROL, 13)
    settled = sum(sum(month["thousandths"].values()) for month in found["months"])
    left_out = sum(part["thousandths"] for part in found["classes"].values() if not part["priced"])
    assert settled + left_out == CONTROL
    assert sum(month["total_minor"] for month in found["months"]) == found["balances_minor"]["expense:partner_share"]
    assert sum(found["balances_minor"].values()) == 0
