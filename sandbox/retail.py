"""`ecohub sandbox retail`: a year of real orders settled, every thousandth of a pound accounted for.

Reads the public data set "Online Retail II" in place, classes its lines, closes its 13 months in the books of a hub of
its own, and prints three tables: what became of each line, what each month came to, and the control totals.
"""

import gc
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click

from revenue_share import accounts
from revenue_share.money import Money
from sandbox.report import print_tables, table
from sandbox.retail_lines import PRICED, LineClass, Sorted, sort
from sandbox.retail_year import COUNTED, Year, expect, settle

# 525,461 lines: the exact sum of the printed price times quantity, in thousandths of a pound
CONTROL_LINES, CONTROL_WORTH = 525_461, 9_539_484_634
WORDS = {
    LineClass.ORDER: ("orders of referred customers", "已转介客户的订单"),
    LineClass.CANCELLATION: ("cancellations that take an order back", "追回订单的取消"),
    LineClass.CANCELLATION_ALONE: ("cancellations of orders before the data begin", "数据起始前订单的取消"),
    LineClass.NO_CUSTOMER: ("lines without a customer", "无客户编号"),
    LineClass.NO_ARTICLE: ("postage, fees, discounts, tests, vouchers", "邮费、手续费、折扣、测试、礼券"),
    LineClass.BAD_DEBT: ("bad debt written off", "坏账核销"),
    LineClass.NO_PRICE: ("lines without a price", "无价格"),
}


@click.command()
@click.option(
    "--data",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="the folder with online_retail_2009_2010.parquet; it is read in place",
)
@click.option("--json", "as_json", is_flag=True, help="one JSON document instead of tables")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="en or zh (also ECOHUB_LANG)")
def retail(folder: Path, as_json: bool, lang: str | None) -> None:
    """Settle a year of real shop orders: classes of lines, 13 closed months, control totals."""
    data = sort(folder)
    check(data)
    gc.freeze()  # what was read stays: the collector need not walk it again and again
    with tempfile.TemporaryDirectory(prefix="ecohub-retail-") as name:
        made = settle(data, Path(name) / "hub", os.urandom)  # noqa: TID251 - a command line is a root
    if as_json:
        click.echo(json.dumps(document(data, made)))
    else:
        show(data, made, "zh" if (lang or os.environ.get("ECOHUB_LANG")) == "zh" else "en")


def check(data: Sorted) -> None:
    """Raises RetailUnreconciled unless the classes of the whole sheet add up to its control total."""
    expect("lines", data.lines, CONTROL_LINES)
    expect("control total", data.worth, CONTROL_WORTH)


def document(data: Sorted, made: Year) -> dict[str, Any]:
    """Everything as one JSON value: worth in thousandths of a pound, amounts in pence, rounding in 1/200 of a penny."""
    return {
        "lines": data.lines,
        "control_thousandths": data.worth,
        "classes": {
            one.value: {"lines": part.lines, "thousandths": part.worth, "priced": one in PRICED}
            for one, part in data.classes.items()
        },
        "repeated_lines": {"lines": data.repeats.lines, "thousandths": data.repeats.worth},
        "events_delivered_again": made.delivered_again,
        "months": [
            {
                "period": month.period,
                "statement": month.statement,
                "events": month.events,
                "lines": dict(month.lines),
                "thousandths": dict(month.worth),
                "total_minor": month.total_minor,
                "payable_minor": month.payable_minor,
                "carried_forward_minor": month.carried_minor,
                "rounding_200ths": month.rounding,
            }
            for month in made.months
        ],
        "balances_minor": dict(made.balances),
    }


def show(data: Sorted, made: Year, lang: str) -> None:
    """The three tables."""
    print_tables(_classes(data, lang), _months(made, lang), _controls(data, made, lang))


def _classes(data: Sorted, lang: str) -> Any:
    shown = table(("class", "lines", "GBP", "") if lang == "en" else ("类别", "行数", "英镑", ""), numbers=(1, 2))
    for one, words in WORDS.items():
        part = data.classes[one]
        priced = ("priced", "计价") if one in PRICED else ("", "")
        shown.add_row(words[lang == "zh"], f"{part.lines:,}", pounds(part.worth), priced[lang == "zh"])
    shown.add_row("all lines" if lang == "en" else "全部", f"{data.lines:,}", pounds(data.worth), "")
    return shown


def _months(made: Year, lang: str) -> Any:
    """What each month came to, in pounds; the last column is what rounding to pence added, in 1/200 of a penny."""
    heads = {
        "en": ("month", "counted", "back", "not counted", "commission", "p/200"),
        "zh": ("账期", "计入（英镑）", "追回", "未计入", "佣金", "1/200 便士"),
    }
    shown = table(heads[lang], numbers=range(6))
    for month in made.months:
        counted, back = (month.worth.get(verdict.value, 0) for verdict in COUNTED)
        rest = sum(month.worth.values()) - counted - back
        amounts = (pounds(counted), pounds(back), pounds(rest), _money(month.total_minor), f"{month.rounding:,}")
        shown.add_row(month.period, *amounts)
    return shown


def _controls(data: Sorted, made: Year, lang: str) -> Any:
    shown = table(("control", "GBP") if lang == "en" else ("控制总额", "英镑"), numbers=(1,))
    settled = sum(sum(month.worth.values()) for month in made.months)
    total = sum(month.total_minor for month in made.months)
    counted = sum(month.counted for month in made.months)
    rows = (
        (("lines of the statements", "结算单各行"), pounds(settled)),
        (("lines left out, by class", "按类别排除的行"), pounds(data.worth - settled)),
        (("all lines", "全部"), pounds(data.worth)),
        (("5 % of what was counted, exact", "计入金额的 5%（精确）"), _exact(counted)),
        (("commission of 13 months", "13 个月佣金"), _money(total)),
        (("expense in the books", "账簿费用"), _money(made.balances.get(accounts.PARTNER_SHARE, 0))),
        (("sum of all accounts", "全部账户合计"), _money(sum(made.balances.values()))),
        (("lines equal to an earlier one, numbered apart", "与前行相同、单独编号的行"), pounds(data.repeats.worth)),
    )
    for words, amount in rows:
        shown.add_row(words[lang == "zh"], amount)
    shown.add_row(
        "events delivered twice, counted once" if lang == "en" else "重复送达、只计一次的事件",
        f"{made.delivered_again:,}",
    )
    return shown


def pounds(thousandths: int) -> str:
    """Thousandths of a pound as a decimal: "-1,234.567"."""
    sign, units = "-" if thousandths < 0 else "", abs(thousandths)
    return f"{sign}{units // 1000:,}.{units % 1000:03d}"


def _exact(counted: int) -> str:
    """5 % of thousandths of a pound, exactly: five decimals."""
    sign, units = "-" if counted < 0 else "", abs(counted) * 5
    return f"{sign}{units // 100_000:,}.{units % 100_000:05d}"


def _money(minor: int) -> str:
    return Money(currency="GBP", minor=minor).to_text()
