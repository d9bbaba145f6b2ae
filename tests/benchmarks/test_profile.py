"""The profile benchmark's parts: cases that are plans, splits beside their peers, rows, targets and table. The figures
of all splits are judged where they take minutes, in `make full`."""

import statistics
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import profile, profile_report, profile_splits
from benchmarks.profile_splits import BINNED, LIGHTGBM, LOGISTIC, MOMENTS, REGRESSION, SAME, TREES, Case, Split
from tests.federation.alliance import synthetic
from tests.federation.test_vertical import AUC_GAP_MAX
from tests.support.shared_data import data_folder

TABLES, COLUMNS = synthetic(rows=1200)


def case(model: str, peers: Sequence[str] = (SAME, REGRESSION)) -> Case:
    planner = profile_splits._planner(COLUMNS, TABLES, model)
    return Case(name="seeded", model=model, tables=TABLES, plan=planner, peers=tuple(peers))


@pytest.mark.parametrize("model", [MOMENTS, BINNED, LOGISTIC])
def test_a_split_is_the_pooled_model_of_the_same_rows(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another plan, split or columns the peers would be off by far more than by the rounding of scores."""
    few = {"model": LOGISTIC, "logistic": {"rounds": 3, "plateau_ppm": 1000}}  # the seeded parties have six columns
    monkeypatch.setitem(profile_splits.PLANS, LOGISTIC, few)
    found = profile_splits.measured(case(model), 3)
    together = found.joint["bank", "platform"]
    assert set(found.joint) == {(), ("bank",), ("platform",), ("bank", "platform")}
    assert together == pytest.approx(found.pooled[SAME], abs=3 * AUC_GAP_MAX)
    assert together - found.joint[()] > 0.03  # the partners' columns count, in the sessions and in the peers
    assert found.pooled[REGRESSION] - found.joint[()] > 0.03


def test_splits_differ() -> None:
    first, second = (case(MOMENTS).plan(bytes([number] * 16).hex()) for number in (0, 1))
    tokens = TABLES["broker"].tokens
    assert (first.test_mask(tokens) != second.test_mask(tokens)).mean() > 0.3


def made_splits() -> list[Split]:
    joint = [{(): 0.70, ("bank",): 0.80 + step, ("bank", "platform"): 0.84 + step} for step in (0.0, 0.02)]
    return [Split(joint=one, pooled={SAME: 0.8405, REGRESSION: 0.86}) for one in joint]


def test_what_partners_add_and_what_peers_have_more() -> None:
    splits = made_splits()
    assert profile_report.uplifts(splits)["bank"] == pytest.approx([0.10, 0.12])
    assert profile_report.uplifts(splits)["all partners"] == pytest.approx([0.14, 0.16])
    assert profile_report.gaps(splits)[REGRESSION] == pytest.approx([-0.02, 0.0])
    rows = {row.metric: row for row in profile_report.rows_of(case(MOMENTS), splits)}
    assert rows["bank added, mean"].median == pytest.approx(0.11)
    assert rows["bank added, deviation"].median == pytest.approx(statistics.stdev([0.10, 0.12]))
    assert (rows["bank added"].min, rows["bank added"].max, rows["bank added"].runs) == pytest.approx((0.10, 0.12, 2))


def test_the_mean_distance_to_the_same_model_counts_both_ways() -> None:
    """Splits above and below do not cancel: 0.0005 below and 0.0195 above are 0.01 away."""
    away, below = profile_report.targets([(case(MOMENTS), made_splits())])
    assert away.figure == pytest.approx(0.01)
    assert not away.met
    assert below.figure == pytest.approx(-0.01)
    assert not below.met


def test_the_table_has_a_line_a_case_and_the_plot_is_drawn() -> None:
    from matplotlib.figure import Figure

    found = [(case(MOMENTS), made_splits()), (case(LOGISTIC), made_splits())]
    assert profile_report.table(found).row_count == 2
    canvas: Any = Figure()
    profile_report.draw(canvas, found)
    assert [len(axes.get_lines()) > 10 for axes in canvas.axes] == [True, True]


def test_unknown_cases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECOHUB_BENCH_CASES", "moments,forest")
    with pytest.raises(ValueError, match="forest"):
        profile.asked()


@pytest.mark.real_data
@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("model", [MOMENTS, LOGISTIC, TREES])
def test_means_over_twenty_splits_of_real_households_keep_the_targets(model: str) -> None:
    """Both labels, few and all of the broker's columns; regression on the model's own columns, LightGBM on all."""
    data_folder("scf2022")
    for one in profile_splits.household_cases([model]):
        splits = [profile_splits.measured(one, number) for number in range(20)]
        judged = {t.what: t for t in profile_report.targets([(one, splits)]) if profile_splits.RAW not in t.what}
        assert len(judged) == (1 if LIGHTGBM in one.peers else 2)
        assert all(target.met for target in judged.values()), judged
