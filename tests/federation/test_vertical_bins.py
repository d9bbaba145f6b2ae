"""Joint scorecards with binned columns and folds, end to end: equal to pooled training; missing values are a bin."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation.errors import ColumnHasGaps, StepMalformed, TooManyColumns
from federation.features import Table
from federation.plan import TrainingPlan
from federation.vertical import FeatureHolder, LabelHolder, LabelResult, open_session
from tests.federation.alliance import Tables, body, households, prepared, pump, synthetic, tokens
from tests.federation.test_refusals import altered, setting
from tests.federation.test_vertical import AUC_GAP_MAX, compare_with_pooled, label_result
from tests.support.entropy import SeededEntropy
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.slow_flow  # whole runs: they run with the flows

PATH = [100, 1_000, 10_000, 100_000]


def with_gaps(rows: int = 3000) -> tuple[Tables, dict[str, list[str]]]:
    """Parties with values missing in two columns each: more often where the hidden cause is high."""
    tables, columns = synthetic(rows)
    draw = np.random.default_rng(6)
    made = {}
    for partner, table in tables.items():
        own = {name: np.asarray(values, np.float64) for name, values in table.columns.items()}
        for name in ("amount", "score"):
            high = own["score"] > np.median(own["score"])
            own[name] = np.where(draw.random(rows) < np.where(high, 0.3, 0.15), np.nan, own[name])
        made[partner] = replace(table, columns=own)
    return made, columns


def binned_body(columns: dict[str, list[str]], binned: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    made = body(columns, bins=5, **changes)
    for party in made["parties"]:
        party["binned"] = [name for name in party["columns"] if name in binned]
    return made


@pytest.fixture(scope="module")
def seeded() -> tuple[TrainingPlan, Tables, dict[str, LabelHolder | FeatureHolder]]:
    tables, columns = with_gaps()
    validation = {"folds": 3, "ridge_path_milli": PATH}
    plan = TrainingPlan.from_body(binned_body(columns, ("amount", "score", "visits"), validation=validation))
    return plan, tables, pump(plan, tables)


def test_it_equals_pooled_training(seeded: tuple[TrainingPlan, Tables, dict[str, LabelHolder | FeatureHolder]]) -> None:
    plan, tables, parties = seeded
    result = label_result(parties)
    for variant, (same, _) in compare_with_pooled(plan, tables, result).items():
        assert abs(same) <= 2 * AUC_GAP_MAX, variant  # small cells of bins in three folds are not exact
    assert all(len(used) == 6 for used in result.columns.values())
    assert [variant.columns for variant in result.variants] == [6, 12, 12, 18]


def test_the_parts_score_raw_rows_as_the_run_did(
    seeded: tuple[TrainingPlan, Tables, dict[str, LabelHolder | FeatureHolder]],
) -> None:
    """A part read back from its file, on the owner's raw columns with their gaps, gives the scores of the matrix."""
    from federation.vertical import ModelPart

    plan, tables, parties = seeded
    result, rows = label_result(parties), len(tables["broker"].tokens)
    total = ModelPart.decode(result.part.encode()).shares(tables["broker"].columns, rows)
    for holder in plan.holders:
        part = ModelPart.decode(parties[holder].result().part.encode())
        share = part.shares(tables[holder].columns, rows)
        total += np.rint(share * 2.0**-plan.score_step_log2) * 2.0**plan.score_step_log2
    assert result.matrix.scores == pytest.approx(total, abs=1e-9)


def test_the_record_tells_of_cross_validation(
    seeded: tuple[TrainingPlan, Tables, dict[str, LabelHolder | FeatureHolder]],
) -> None:
    plan, _, parties = seeded
    result = label_result(parties)
    record: Any = result.record()["validation"]
    assert sum(record["fold_rows"]) == result.train_rows
    assert [one["ridge_milli"] for one in record["path"]] == PATH  # the plan's own penalty is one of them
    means = [np.average(one["errors_ppm"], weights=record["fold_rows"]) for one in record["path"]]
    assert record["ridge_milli"] == PATH[int(np.argmin(means))]
    assert [one["holders"] for one in record["variants"]] == [list(variant) for variant in plan.variants()]
    alone, everybody = record["variants"][0]["errors_ppm"], record["variants"][-1]["errors_ppm"]
    assert np.mean(everybody) < np.mean(alone) < np.mean(record["base_errors_ppm"]) < 260_000


def test_it_goes_on_after_restarts(
    seeded: tuple[TrainingPlan, Tables, dict[str, LabelHolder | FeatureHolder]],
) -> None:
    plan, tables, parties = seeded
    again = pump(plan, tables, restart=True)
    assert label_result(again).record() == label_result(parties).record()


def test_a_gap_in_a_plain_column_is_refused_and_bins_are_named() -> None:
    tables, columns = with_gaps(1000)
    plan = TrainingPlan.from_body(binned_body(columns, ("amount",)))
    with pytest.raises(ColumnHasGaps, match=r"score.*binned"):
        open_session(plan, "bank", tables["bank"], SeededEntropy(b"x"))


def test_more_bins_than_the_encryption_has_room_for_are_refused_before_anything_is_sent() -> None:
    rows, names = 20_000, [f"c{number}" for number in range(30)]
    draw = np.random.default_rng(2)
    table = Table(tokens=tokens(rows), columns={name: draw.normal(size=rows) for name in names})
    columns = {"broker": ["age"], "bank": names, "platform": ["kids"]}
    for bins, fits in ((6, True), (8, False)):
        made = body(columns, bins=bins)
        made["parties"][1]["binned"] = names
        plan = TrainingPlan.from_body(made)
        if fits:
            assert len(open_session(plan, "bank", table, SeededEntropy(b"x")).names["bank"]) == 150
            continue
        with pytest.raises(TooManyColumns, match="are 210, at most 17"):
            open_session(plan, "bank", table, SeededEntropy(b"x"))


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["amount"] * 6 + ["score"], "more columns of one than the plan has bins"),
        (["amount", "level", "level"], "more columns of one than the plan has bins"),
        (["amount", "score", "amount"], "out of order"),
    ],
    ids=["too many bins", "a plain column twice", "bins apart"],
)
def test_a_party_that_states_other_bins_than_the_plan_allows_is_refused(names: list[str], why: str) -> None:
    tables, columns = synthetic(900)
    plan = replace(TrainingPlan.from_body(body(columns, minimum_rows=300)), bins=5)
    plan = replace(plan, parties=tuple(replace(one, binned=("amount", "score")) for one in plan.parties))
    tamper = altered("commit", "bank", setting(columns=names), plan.digest)
    with pytest.raises(StepMalformed, match=why):
        pump(plan, tables, tamper=tamper)


@pytest.mark.real_data
@pytest.mark.parametrize("label", ["y_direct", "y_direct100k"])
def test_binned_columns_equal_pooled_ones_on_real_households(label: str) -> None:
    """On the mean of six splits, every variant; what each split lacks is what suppressed cells move."""
    tables, columns = households(data_folder("scf2022"), label)
    many = {p: [c for c in columns[p] if len(np.unique(tables[p].columns[c])) > 8] for p in columns}
    gaps: dict[str, list[float]] = {}
    aucs: dict[str, list[float]] = {"plain": [], "binned": []}
    for split in range(6):
        for form in aucs:
            made = body(columns, split_salt=f"{split:032x}", score_step_log2=-5, bootstrap=100)
            if form == "binned":
                made |= {"bins": 5}
                for party in made["parties"]:
                    party["binned"] = many[party["partner"]]
            plan = TrainingPlan.from_body(made)
            result = label_result(pump(plan, tables))
            aucs[form].append(result.variants[-1].measures.auc.value_ppm / 1e6)
            for variant, (same, _) in compare_with_pooled(plan, tables, result).items():
                gaps.setdefault(f"{form} {variant}", []).append(same)
    assert {name: round(float(np.mean(found)), 5) for name, found in gaps.items() if abs(np.mean(found)) > 0.001} == {}
    assert np.mean(aucs["binned"]) > np.mean(aucs["plain"])


@pytest.mark.real_data
def test_folds_choose_a_penalty_on_real_households() -> None:
    tables, columns = households(data_folder("scf2022"))
    validation = {"folds": 5, "ridge_path_milli": [1_000, 10_000, 100_000, 1_000_000]}
    gaps = []
    for split in range(2):
        plan = TrainingPlan.from_body(body(columns, split_salt=f"{split:032x}", validation=validation, bootstrap=100))
        result = label_result(pump(plan, tables))
        assert isinstance(result, LabelResult)
        assert result.validation is not None
        assert 1_000 < result.validation.ridge_milli < 1_000_000
        gaps.append(compare_with_pooled(plan, tables, result)["bank+platform"][0])
        assert sum(len(part.names) for part in prepared(plan, tables).values()) == sum(
            map(len, result.columns.values())
        )
    assert abs(np.mean(gaps)) <= AUC_GAP_MAX
