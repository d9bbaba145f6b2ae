"""`ecohub sandbox trial`: the same months under two versions of an agreement, every difference explained.

Both versions price the same referrals and events from the first month on, each handing its own position from month to
month. A difference is one event (or one client's points that expire) whose verdict, exact share or amount is not the
same under both; it is given with the two sentences that the accrual lines would carry. Its class says why:

    verdict   one version counts the event, the other does not, or as something else
    share     both count it, for another exact share
    rounding  the same share; the units that rounding gives went to another line, since the total is another

Nothing is stored, signed or sent.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ecowire import terminal
from privacy import canonical
from privacy.ids import Period
from revenue_share import agreement_words
from revenue_share.agreement import Agreement
from revenue_share.allocation import AccrualLine, Allocation, allocate
from revenue_share.payout import Payout
from revenue_share.position import Position
from revenue_share.rules import Pair
from revenue_share.terms import Terms
from sandbox import month_file
from sandbox.month_file import Months

_MONTH = (
    ("month", "events", "old total", "new total", "difference", "old paid", "new paid", "lines"),
    ("月份", "事件数", "旧合计", "新合计", "差额", "旧实付", "新实付", "不同行数"),
)
_LINE = (
    ("month", "client", "event", "class", "old", "new", "difference"),
    ("月份", "客户", "事件", "原因类别", "旧金额", "新金额", "差额"),
)
EXPLAINED_MAX = 20  # differences whose sentences are printed for people; `--json` has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One line that is not the same under both versions."""

    period: Period
    client: str
    what: str  # "verdict", "share" or "rounding"
    old: AccrualLine | None
    new: AccrualLine | None

    @property
    def by(self) -> int:
        """New amount less old amount, in units of the asset."""
        return _amount(self.new) - _amount(self.old)

    @property
    def line(self) -> AccrualLine:
        """The line of either version, for what both have."""
        found = self.new or self.old
        assert found is not None, "a difference is of at least one line"
        return found

    def to_value(self) -> dict[str, canonical.Value]:
        """All of it, for machines."""
        sides: dict[str, canonical.Value] = {
            name: None if line is None else line.to_value() for name, line in (("old", self.old), ("new", self.new))
        }
        head: dict[str, canonical.Value] = {"period": self.period, "client": self.client, "event": self.line.event}
        return {**head, "class": self.what, "difference": self.by, **sides}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A month under both versions."""

    period: Period
    events: int
    old: Payout
    new: Payout
    differences: tuple[Difference, ...]

    def to_value(self) -> dict[str, canonical.Value]:
        """All of it, for machines."""
        listed: list[canonical.Value] = [difference.to_value() for difference in self.differences]
        payouts: dict[str, canonical.Value] = {"old": self.old.to_value(), "new": self.new.to_value()}
        return {"period": self.period, "events": self.events, "payout": payouts, "differences": listed}


def compare(old: Agreement, new: Agreement, months: Months) -> tuple[Compared, ...]:
    """Every month under both versions, in the file's order."""
    terms = Terms.of(old), Terms.of(new)
    positions = Position.empty(), Position.empty()
    found = []
    for month in months.months:
        made = tuple(
            allocate(one, months.referrals, month.events, month.period, position)
            for one, position in zip(terms, positions, strict=True)
        )
        positions = made[0].closing, made[1].closing
        found.append(
            Compared(
                period=month.period,
                events=len(month.events),
                old=made[0].payout,
                new=made[1].payout,
                differences=_differences(month.period, made[0], made[1], months.names),
            )
        )
    return tuple(found)


def _differences(period: Period, old: Allocation, new: Allocation, names: Mapping[str, str]) -> tuple[Difference, ...]:
    sides = [{(line.token, line.time, line.event): line for line in made.lines} for made in (old, new)]
    found = []
    for key in sorted(sides[0].keys() | sides[1].keys()):
        one, other = sides[0].get(key), sides[1].get(key)
        what = _what(one, other)
        if what:
            client = names.get(key[0], key[0])
            found.append(Difference(period=period, client=client, what=what, old=one, new=other))
    return tuple(found)


def _what(old: AccrualLine | None, new: AccrualLine | None) -> str:
    """The class of a difference; empty where there is none. Lines without event and amount are answers only."""
    if old is None or new is None:
        return "verdict" if _amount(old) or _amount(new) else ""
    if old.verdict is not new.verdict:
        return "verdict"
    if (old.share, old.asset) != (new.share, new.asset):
        return "share"
    return "rounding" if old.amount_minor != new.amount_minor else ""


def _amount(line: AccrualLine | None) -> int:
    return line.amount_minor if line else 0


@click.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--events",
    "events",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of referrals and months of events, as in revenue_share/examples/*.worked.toml",
)
@click.option("--json", "as_json", is_flag=True, help="print everything as one JSON document")
def trial(old: Path, new: Path, events: Path, as_json: bool) -> None:
    """Price the same months under two agreement files, OLD and NEW, and explain every difference."""
    agreements = month_file.agreement(old), month_file.agreement(new)
    compared = compare(*agreements, month_file.months(events))
    if as_json:
        document: dict[str, Any] = {"months": [month.to_value() for month in compared]}
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    _show(agreements, compared, os.environ.get("ECOHUB_LANG") == "zh")


def _show(agreements: tuple[Agreement, Agreement], compared: Sequence[Compared], zh: bool) -> None:
    side = 1 if zh else 0
    said = [[pair[side] for pair in _terms(agreement)] for agreement in agreements]
    for name, own, other in zip(("旧", "新") if zh else ("old", "new"), said, reversed(said), strict=True):
        for sentence in own:
            if sentence not in other:
                click.echo(f"{name}: {sentence}")
    terminal.table(_MONTH[side], [_month_row(month) for month in compared])
    listed = [difference for month in compared for difference in month.differences]
    if not listed:
        click.echo("两版结果逐行一致。" if zh else "Every line is the same under both.")
        return
    terminal.table(_LINE[side], [_difference_row(difference) for difference in listed])
    _explain(listed, zh)


def _terms(agreement: Agreement) -> list[Pair]:
    rules = [agreement_words.of_rule(agreement, rule) for rule in agreement.rules]
    return [*rules, *agreement_words.besides(agreement)]


def _explain(listed: Sequence[Difference], zh: bool) -> None:
    """The sentences of the largest differences."""
    largest = sorted(listed, key=lambda one: (-abs(one.by), one.period, one.client, one.line.event))[:EXPLAINED_MAX]
    for difference in largest:
        click.echo(f"\n{difference.period} {difference.client} {difference.line.event} {difference.by:+d}")
        for name, line in (("旧" if zh else "old", difference.old), ("新" if zh else "new", difference.new)):
            said = ("无此行" if zh else "no line") if line is None else (line.reason_zh if zh else line.reason_en)
            click.echo(f"  {name}: {said}")
    if len(listed) > len(largest):
        rest = len(listed) - len(largest)
        click.echo(f"\n其余 {rest} 处差异见 --json。" if zh else f"\nThe other {rest} differences are in --json.")


def _month_row(month: Compared) -> tuple[object, ...]:
    old, new = month.old, month.new
    by = f"{new.total_minor - old.total_minor:+d}"
    totals = (month.period, month.events, old.total_minor, new.total_minor, by)
    return (*totals, old.paid_minor, new.paid_minor, len(month.differences))


def _difference_row(one: Difference) -> tuple[object, ...]:
    line = one.line
    what = f"{one.what} ({_verdict(one.old)} / {_verdict(one.new)})" if one.what == "verdict" else one.what
    unit = f" {line.asset}" if line.asset else ""
    amounts = (f"{_amount(one.old)}{unit}", f"{_amount(one.new)}{unit}", f"{one.by:+d}{unit}")
    return (one.period, one.client, line.event or "-", what, *amounts)


def _verdict(line: AccrualLine | None) -> str:
    return "-" if line is None else line.verdict.value
