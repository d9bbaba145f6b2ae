"""The vertical benchmark's parts: data that a plan takes, rows, targets and the peer's count of products. Nothing here
depends on how fast the machine is."""

import csv
from pathlib import Path

import pytest

from benchmarks import harness, vertical, vertical_alliance, vertical_data, vertical_report, vertical_scores
from benchmarks.harness import Row
from benchmarks.paillier import Costs
from benchmarks.vertical_alliance import Round, Run
from federation.plan import TrainingPlan

CASE = "scorecard, 30,000 x 60, 3 parties"


def made_run(seconds: float) -> Run:
    rounds = (
        Round(phases=("seed", "seed", "seed"), seconds=0.2, bytes=4_000),
        Round(phases=("done", "done", "done"), seconds=0.6, bytes=9_000_000),
    )
    names = ("hub", "broker", "bank", "platform")
    return Run(
        seconds=seconds,
        bytes=9_100_000,
        rounds=rounds,
        cpu=dict.fromkeys(names, seconds / 4),
        peak=dict(zip(names, (200_000_000, 300_000_000, 400_000_000, 250_000_000), strict=True)),
    )


def rows_of(seconds: float, products: float) -> list[Row]:
    runs = [made_run(seconds)]
    return [
        *vertical_report.rows_of(CASE, 30_000, runs),
        *vertical_report.rounds_of(CASE, 30_000, runs),
        *vertical_report.beside(CASE, 30_000, [products], runs),
    ]


def test_every_case_is_a_plan_that_can_be_approved() -> None:
    plans = [(case.columns, case.plan) for case in vertical.CASES]
    for columns, fields in [
        *plans,
        (vertical.TWO, vertical_scores.SCORING),
        (vertical.TWO, vertical.TREES | vertical_scores.SCORING),
    ]:
        body = vertical_alliance.body("ab" * 32, columns, fields)
        keys = {"signing": "00" * 32, "sealing": "00" * 32, "chain": "0x" + "00" * 20}
        body["parties"] = [{**party, **keys} for party in body["parties"]]
        plan = TrainingPlan.from_body(body)
        assert sum(len(party.columns) for party in plan.parties) == 60
        assert [plan.label_holder, *plan.holders] == list(columns)
        assert (plan.scoring is None) == ("scoring" not in fields)


def test_the_score_of_one_client_is_judged_by_its_median_and_no_run_is_taken_for_one() -> None:
    made = harness.row(
        vertical_scores.CASE, vertical_scores.ENGINE, 30_000, [0.1, 0.3, 0.9], metric=vertical_scores.METRIC, unit="s"
    )
    (target,) = vertical_scores.targets([made, *rows_of(5.0, 90_000.0)])
    assert (target.figure, target.limit) == (0.3, vertical_scores.SECONDS_MAX)
    assert vertical_report.table([made]).row_count == 0


def test_the_parties_know_the_same_clients_in_orders_of_their_own(tmp_path: Path) -> None:
    orders = {}
    for party, file in vertical_data.write(tmp_path / "data", 50).items():
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        label = [vertical_data.LABEL] if party == vertical_data.LABEL_HOLDER else []
        columns = vertical_data.names(party, vertical_data.COLUMNS[party])
        assert list(rows[0]) == [vertical_data.CLIENT, *columns, *label]
        orders[party] = [row[vertical_data.CLIENT] for row in rows]
    assert len({frozenset(order) for order in orders.values()}) == 1
    assert len(set(orders["broker"])) == 50
    assert len(set(map(tuple, orders.values()))) == 3


def test_the_targets_are_judged_by_their_own_figures() -> None:
    limits = {CASE: 10.0, "a case that was not measured": 1.0}
    assert [t.met for t in vertical_report.targets(rows_of(9.0, 9_500.0), limits)] == [True, True]
    assert [t.met for t in vertical_report.targets(rows_of(11.0, 9_500.0), limits)] == [False, False]


def test_what_a_case_takes_beyond_another_is_judged() -> None:
    rounds = "6 logistic rounds, 30,000 x 60, 3 parties"
    rows = [*rows_of(9.0, 9_500.0), *vertical_report.rows_of(rounds, 30_000, [made_run(11.5)])]
    (found,) = [t for t in vertical_report.targets(rows, {}, {(rounds, CASE): 3.0}) if "more" in t.what]
    assert (found.figure, found.met) == (2.5, True)
    assert not vertical_report.targets(rows, {}, {(rounds, CASE): 2.0})[-1].met
    assert len(vertical_report.targets(rows, {}, {(rounds, "not measured"): 2.0})) == 1


def test_rows_table_and_plot_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness, "OUT", tmp_path)
    rows = rows_of(9.0, 9_500.0)
    harness.publish(
        "vertical",
        rows,
        vertical_report.targets(rows, {CASE: 10.0}),
        vertical_report.table(rows),
        lambda canvas: vertical_report.draw(canvas, rows, {CASE: 10.0}),
    )
    assert CASE in capsys.readouterr().out
    found = {r.metric: r.median for r in rows}
    assert (found["seconds"], found["bytes"], found["rounds"], found["round 002 bytes"]) == (9.0, 9_100_000, 2, 9e6)
    assert (found["bank peak memory"], found["hub CPU-seconds"]) == (400_000_000, 2.25)
    assert (tmp_path / "vertical.png").read_bytes().startswith(b"\x89PNG")


def test_the_peer_makes_the_products_of_the_plan() -> None:
    """The label and 20 columns of the broker times 40 of others; 20 of the bank times the platform's 20."""
    by_key = {case.key: case for case in vertical.CASES}
    assert by_key["scorecard-2"].shapes() == [(21, 40), (20, 20)]
    assert by_key["scorecard-1"].shapes() == [(21, 40)]
    assert by_key["logistic-2"].shapes() == [(21, 40), (20, 20), (6, 40)]


def test_the_peers_costs_are_counted_by_operation() -> None:
    costs = Costs(encrypt=100.0, multiply=10.0, decrypt=1.0)
    assert costs.product(3, 2, vectors=5) == 5 * (300.0 + 60.0 + 2.0)


def test_a_case_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECOHUB_BENCH_CASES", "scorecard-2,forest")
    with pytest.raises(ValueError, match="forest"):
        vertical.asked_cases()
    monkeypatch.setenv("ECOHUB_BENCH_CASES", "scorecard-2")
    assert list(vertical.asked_cases()) == ["scorecard-2"]
