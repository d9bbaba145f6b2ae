"""The example rules of the alliance's agreements: each worked by hand in its file, checked to the fen here."""

from pathlib import Path

import pytest

from revenue_share.allocation import allocate
from revenue_share.position import Position
from revenue_share.rules import KINDS
from revenue_share.terms import Terms
from sandbox import month_file

FOLDER = Path(__file__).resolve().parents[2] / "revenue_share" / "examples"
NAMES = sorted(path.name.removesuffix(".worked.toml") for path in FOLDER.glob("*.worked.toml"))


def test_every_example_is_worked_and_synthetic_and_every_kind_has_one():
    assert sorted(path.stem for path in FOLDER.glob("*.toml") if not path.stem.endswith(".worked")) == NAMES
    kinds = {rule.kind.NAME for name in NAMES for rule in month_file.agreement(FOLDER / f"{name}.toml").rules}
    assert kinds == set(KINDS)
    for path in FOLDER.iterdir():
        assert path.read_text().startswith("# Synthetic"), path.name


@pytest.mark.parametrize("name", NAMES)
def test_the_worked_example_comes_out_to_the_fen(name):
    terms = Terms.of(month_file.agreement(FOLDER / f"{name}.toml"))
    worked = month_file.months(FOLDER / f"{name}.worked.toml")
    position = Position.empty()
    for month in worked.months:
        made = allocate(terms, worked.referrals, month.events, month.period, position)
        lines = {line.event: line for line in made.lines if line.event}
        for event, (amount, verdict) in month.expected.items():
            assert lines[event].amount_minor == amount, (event, lines[event].reason_en)
            assert not verdict or lines[event].verdict.value == verdict
            assert verdict or lines[event].verdict.counts
        assert set(month.expected) == set(lines)
        assert made.payout.total_minor == month.told["total_minor"]
        assert made.payout.paid_minor == month.told["paid_minor"]
        points = sum(line.amount_minor for line in made.lines if line.asset == "POINTS")
        assert points == month.told.get("points", 0)
        assert month.told["arithmetic"].strip()
        position = made.closing


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("months = 1", "TypeError"),
        ("referrals = []", "KeyError"),
        ("[[months]]\nperiod = '2026-13'", "period"),
        ("[[referrals]]\nclient = 'a'\ntime = 2026-10-05T14:00:00\n[[months]]\nperiod = '2026-10'", "offset"),
        ("[[months]]\nperiod = '2026-10'\nevents = [{ id = 'e', client = 'a' }]", "KeyError"),
        (
            "[[months]]\nperiod = '2026-10'\nevents = [{ id = 'e', client = 'a', kind = 'x', "
            "time = 2026-10-05T14:00:00Z, base_minor = 0.1 }]",
            "base_minor",
        ),
        ("months = [", "Invalid value"),
    ],
)
def test_a_wrong_file_is_refused_by_its_place(tmp_path, text, why):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(month_file.MonthFileInvalid) as caught:
        month_file.months(path)
    assert why in caught.value.message() and "wrong.toml" in caught.value.message("zh")
