"""Figures, targets and files of a benchmark. No test here depends on how fast the machine is."""

import json
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.harness import Row, Target, figure, in_turn, publish, row


def test_a_row_is_the_median_of_its_runs() -> None:
    made = row("case", "engine", 10, [3.0, 1.0, 9.0], metric="wall", unit="s")
    assert (made.median, made.min, made.max, made.runs) == (3.0, 1.0, 9.0, 3)


def test_peers_take_turns() -> None:
    order: list[str] = []

    def noted(name: str) -> float:
        order.append(name)
        return float(len(order))

    assert in_turn(2, lambda: noted("ours"), lambda: noted("peer")) == [[1.0, 3.0], [2.0, 4.0]]
    assert order == ["ours", "peer", "ours", "peer"]


@pytest.mark.parametrize(
    ("value", "least", "met"), [(0.9, False, True), (1.1, False, False), (1.1, True, True), (0.9, True, False)]
)
def test_a_target_is_met_on_its_own_side(value: float, least: bool, met: bool) -> None:
    assert Target(what="x", figure=value, limit=1.0, unit="s", least=least).met is met


def test_a_missed_target_is_printed_and_stops_nothing_and_the_rows_are_stored_as_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness, "OUT", tmp_path)
    rows = [row("case", "engine", 10, [2.0], metric="wall", unit="s")]
    missed = Target(what="the case", figure=2.0, limit=1.0, unit="s")
    publish("trial", rows, [missed])
    assert "not met" in capsys.readouterr().out
    stored = json.loads((tmp_path / "trial.json").read_text())
    assert [Row(**one) for one in stored] == rows
    assert (tmp_path / "trial.png").read_bytes().startswith(b"\x89PNG")


def test_figures_keep_their_thousands_and_their_small_digits() -> None:
    assert figure(25_616.4, "s") == "25,616 s"
    assert figure(6.00883, "B") == "6.009 B"
    assert figure(0.0000384, "s") == "3.84e-05 s"
