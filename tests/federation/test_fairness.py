"""Gaps between groups: known answers, and groups with too few rows that nobody ever sees, nor can work out."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import bands, fairness, metrics
from federation.bands import CLASS_ROWS_MIN, Minimum
from federation.fairness import CALIBRATION, SELECTION, TRUE_POSITIVE, Attribute, Held
from federation.plan_models import Fairness

SEED = b"fairness"


def limits(
    *groups: str,
    selection: int = 1_000_000,
    true_positive: int = 1_000_000,
    calibration: int | None = None,
    rows: int = 50,
) -> Fairness:
    return Fairness(
        groups=groups or ("sex",),
        selection_gap_ppm=selection,
        true_positive_gap_ppm=true_positive,
        group_rows=rows,
        calibration_gap_ppm=calibration,
    )


def known() -> tuple[np.ndarray, Held]:
    """1,000 clients, half F: the top tenth holds 80 F and 20 M; all selected are positive, and 100 more of each."""
    sex = np.array(["F", "M"] * 500)
    score = np.zeros(1_000)
    for value, selected in (("F", 80), ("M", 20)):
        score[np.flatnonzero(sex == value)[:selected]] = 1.0
    label = score > 0
    for value in ("F", "M"):
        label[np.flatnonzero(sex == value)[100:200]] = True
    return sex, Held(label=label, score=score, chance=np.full(1_000, 0.3), weights=np.ones(1_000))


def one(values: np.ndarray, held: Held, given: Fairness | None = None, replicates: int = 200) -> Attribute:
    (found,) = fairness.measure({"sex": values}, held, given or limits(), replicates, SEED)
    return found


def test_rates_and_gaps_worked_out_by_hand() -> None:
    sex, held = known()
    found = one(sex, held)
    female, male = found.groups
    assert (female.value, female.rows, male.value, male.rows) == ("F", 500, "M", 500)
    assert (female.selection_ppm, male.selection_ppm) == (160_000, 40_000)
    assert (female.true_positive_ppm, male.true_positive_ppm) == (444_444, 166_667)  # 80 of 180, 20 of 120
    assert (female.predicted_ppm, female.observed_ppm, male.observed_ppm) == (300_000, 360_000, 240_000)
    assert found.gaps[SELECTION].value_ppm == 120_000
    assert found.gaps[TRUE_POSITIVE].value_ppm == 277_778
    assert found.gaps[CALIBRATION].value_ppm == 120_000  # -0.06 and +0.06
    for gap in found.gaps.values():
        assert gap.low_ppm < gap.value_ppm < gap.high_ppm


def test_the_interval_is_that_of_the_difference_of_two_shares() -> None:
    """Of a difference of two shares: standard deviation sqrt(p(1-p)/n + q(1-q)/m), here 0.0186."""
    sex, held = known()
    gap = one(sex, held, replicates=2_000).gaps[SELECTION]
    assert (gap.high_ppm - gap.low_ppm) / 2 == pytest.approx(1.96 * 18_594, rel=0.1)


def test_the_interval_of_groups_that_are_alike_reaches_below_zero() -> None:
    """Of the absolute difference it would not: a gap of nothing would look like one that is surely there."""
    values = np.array(["F", "M"] * 500)
    held = Held(
        label=np.arange(1_000) % 4 < 2,
        score=np.arange(1_000) // 2 * 1.0,
        chance=np.full(1_000, 0.5),
        weights=np.ones(1_000),
    )
    gap = one(values, held).gaps[SELECTION]
    assert gap.value_ppm == 0 and gap.low_ppm < 0 < gap.high_ppm


def test_of_three_groups_the_gap_is_that_of_the_extremes() -> None:
    values = np.repeat(["a", "b", "c"], 300)
    score = np.zeros(900)
    for first, selected in ((0, 60), (300, 20), (600, 10)):
        score[first : first + selected] = 1.0
    held = Held(label=np.arange(900) % 2 == 0, score=score, chance=np.full(900, 0.5), weights=np.ones(900))
    assert one(values, held).gaps[SELECTION].value_ppm == round((60 - 10) / 300 * 1_000_000)


def test_a_client_of_weight_three_counts_as_three() -> None:
    sex, held = known()
    weights = np.where(sex == "F", 3.0, 1.0)
    weighted = one(sex, Held(label=held.label, score=held.score, chance=held.chance, weights=weights))
    times = np.where(sex == "F", 3, 1)
    repeated = Held(**{name: np.repeat(getattr(held, name), times) for name in Held.__slots__})
    plain = one(np.repeat(sex, times), repeated)
    for first, second in zip(weighted.groups, plain.groups, strict=True):
        assert first.selection_ppm == second.selection_ppm and first.true_positive_ppm == second.true_positive_ppm
    assert {name: gap.value_ppm for name, gap in weighted.gaps.items()} == {
        name: gap.value_ppm for name, gap in plain.gaps.items()
    }


def test_expected_and_observed_rates_count_clients_by_their_weight() -> None:
    """Of F the positives weigh twice: observed 2·180 of 2·180 + 320; predicted by the same weights."""
    sex, held = known()
    weights = np.where((sex == "F") & held.label, 2.0, 1.0)
    chance = np.where(held.label, 0.8, 0.2)
    female, male = one(sex, Held(label=held.label, score=held.score, chance=chance, weights=weights)).groups
    assert (female.observed_ppm, male.observed_ppm) == (529_412, 240_000)
    assert female.predicted_ppm == round((0.8 * 360 + 0.2 * 320) / 680 * 1e6)
    gap = one(sex, Held(label=held.label, score=held.score, chance=chance, weights=weights)).gaps[CALIBRATION]
    assert gap.value_ppm == round(((0.8 * 120 + 0.2 * 380) / 500 - 0.24 - (0.8 * 360 + 0.2 * 320 - 360) / 680) * 1e6)


VERDICTS = {
    "at the limits": (limits(selection=120_000, true_positive=277_778), []),
    "selection above": (limits(selection=119_999, true_positive=277_778), [(SELECTION, 120_000, 119_999)]),
    "true positives above": (limits(true_positive=277_777), [(TRUE_POSITIVE, 277_778, 277_777)]),
    "both above": (limits(selection=0, true_positive=0), [(SELECTION, 120_000, 0), (TRUE_POSITIVE, 277_778, 0)]),
    "calibration at its limit": (limits(calibration=120_000), []),
    "calibration above": (limits(calibration=119_999), [(CALIBRATION, 120_000, 119_999)]),
    "not measurable": (limits(rows=501), [(None, 0, 0)]),
}


@pytest.mark.parametrize(("given", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_a_release_is_blocked_exactly_above_the_limits(given: Fairness, expected: list[Any]) -> None:
    sex, held = known()
    found = fairness.measure({"sex": sex}, held, given, 200, SEED)
    assert [(e.gap, e.value_ppm, e.limit_ppm) for e in fairness.excesses(found, given)] == expected
    assert fairness.to_value(found, given)["within"] is (not expected)


def test_an_attribute_that_was_left_out_of_the_record_blocks_too() -> None:
    sex, held = known()
    found = fairness.measure({"sex": sex}, held, limits(), 200, SEED)
    assert [e.column for e in fairness.excesses(found, limits("sex", "region"))] == ["region"]


# --- groups with too few rows


@given(st.lists(st.integers(0, 120), min_size=1, max_size=12), st.integers(0, 2**32))
def test_every_group_has_the_minimum_and_together_they_are_all_rows(sizes: list[int], seed: int) -> None:
    """Nobody can take what is shown from the whole and be left with a few clients: nothing is left."""
    names = [f"value-{number}" for number, size in enumerate(sizes) for _ in range(size)]
    draw = np.random.default_rng(seed)
    label, weights = draw.random(len(names)) < 0.4, draw.choice([0.5, 1.0, 2.0], len(names))
    minimum = Minimum(rows=50, of_each_class=CLASS_ROWS_MIN)
    found = fairness.partition(names, label, weights, minimum)
    assert len(found) != 1
    assert all(minimum.met(label[rows], weights[rows]) for _, rows in found)
    if found:
        assert (np.sum([rows for _, rows in found], axis=0) == 1).all()
    for value, rows in found:
        assert value is None or {names[row] for row in np.flatnonzero(rows)} == {value}


def test_a_small_group_takes_the_smallest_other_with_it() -> None:
    """20 clients of one value are not left over beside 300 and 680: they are shown together with the 300."""
    values = np.array(["small"] * 20 + ["middle"] * 300 + ["large"] * 680)
    held = Held(
        label=np.arange(1_000) % 2 == 0,
        score=np.arange(1_000) % 7.0,
        chance=np.full(1_000, 0.5),
        weights=np.ones(1_000),
    )
    found = one(values, held)
    assert [(group.value, group.rows) for group in found.groups] == [("large", 680), (None, 320)]
    assert "small" not in str(fairness.to_value((found,), limits()))


def rest(attribute: Attribute, label: np.ndarray) -> tuple[int, int]:
    """The attack: (clients, positives) left when what is shown of groups is taken from what the record has of all."""
    shown = sum(group.rows for group in attribute.groups)
    positives = sum(round(group.rows * group.observed_ppm / 1e6) for group in attribute.groups)
    return len(label) - shown, int(label.sum()) - positives


def left_out(groups: Any, label: Any, weights: Any, minimum: Minimum) -> Any:
    """`partition` without its rule: small groups are left out, and nobody joins them."""
    every = np.array(groups, dtype=str)
    masks = [(name, every == name) for name in sorted(set(groups))]
    return [(name, rows) for name, rows in masks if minimum.met(label[rows], weights[rows])]


def test_nobody_is_left_whose_figures_are_the_rest_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.array(["small"] * 20 + ["middle"] * 300 + ["large"] * 680)
    label = np.r_[np.arange(20) < 7, np.arange(980) % 2 == 0]
    held = Held(label=label, score=np.arange(1_000) % 7.0, chance=np.full(1_000, 0.5), weights=np.ones(1_000))
    assert rest(one(values, held), label) == (0, 0)
    monkeypatch.setattr(fairness, "partition", left_out)
    assert rest(one(values, held), label) == (20, 7), "without the rule the attack reads a group of 20"


def test_two_values_of_which_one_is_too_small_show_nothing() -> None:
    values = np.array(["small"] * 30 + ["large"] * 970)
    _, held = known()
    assert one(values, held) == Attribute(column="sex", groups=(), gaps={})


def test_a_group_of_one_class_is_not_shown() -> None:
    """Its rate would say of each of its clients what the label is."""
    sex, held = known()
    label = held.label & (sex == "F")
    assert not one(sex, Held(label=label, score=held.score, chance=held.chance, weights=held.weights)).groups


def test_one_heavy_client_makes_no_group() -> None:
    sex, held = known()
    weights = held.weights.copy()
    weights[np.flatnonzero(sex == "M")[0]] = 100_000.0
    assert not one(sex, Held(label=held.label, score=held.score, chance=held.chance, weights=weights)).groups


# --- values


NAMES = {
    "text as it is": (["F", " M ", ""], ["F", "M", "-"]),
    "numbers in short": ([1.0, 2.0, np.nan, 1.0], ["1", "2", "-", "1"]),
    "numbers that are text": (["1", "2.50", "", "1.0"], ["1", "2.5", "-", "1"]),
    "no control characters": (["a\nb\x1b[0m"], ["a\ufffdb\ufffd[0m"]),
    "long text cut": (["x" * 90], ["x" * 40]),
}


@pytest.mark.parametrize(("values", "expected"), NAMES.values(), ids=NAMES)
def test_a_value_has_a_short_printable_name(values: list[Any], expected: list[str]) -> None:
    assert fairness.names(np.array(values, dtype=None if isinstance(values[0], float) else object)) == expected


def test_many_numbers_are_grouped_by_quarters_and_no_value_is_told() -> None:
    ages = np.r_[np.arange(18.0, 78.0), np.nan]
    found = fairness.names(ages)
    assert sorted(set(found)) == ["-", "1/4", "2/4", "3/4", "4/4"]
    assert [found.count(f"{quarter}/4") for quarter in (1, 2, 3, 4)] == [15, 15, 15, 15]
    assert found == [*sorted(found[:-1]), "-"]


# --- the record


def test_a_record_is_read_again_as_it_was_made() -> None:
    sex, held = known()
    found = fairness.measure({"sex": sex}, held, limits(), 200, SEED)
    assert fairness.read(fairness.to_value(found, limits()), limits()) == found


def record() -> dict[str, Any]:
    sex, held = known()
    return fairness.to_value(fairness.measure({"sex": sex}, held, limits(selection=0), 200, SEED), limits(selection=0))


def gap(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["attributes"][0]["gaps"][SELECTION]
    return found


def whitewashed(value: dict[str, Any]) -> None:
    """A smaller gap with the verdict that it gives, beside groups that say another one."""
    gap(value).update(value_ppm=0)
    value.update(within=True, excesses=[])


def one_group(value: dict[str, Any]) -> None:
    value["attributes"][0]["groups"].pop()


TAMPERED = {
    "a gap that its groups do not give": whitewashed,
    "one group alone": one_group,
    "a group below the minimum": lambda r: r["attributes"][0]["groups"][0].update(rows=19),
    "a share above one": lambda r: r["attributes"][0]["groups"][0].update(predicted_ppm=1_000_001),
    "a verdict of its own": lambda r: r.update(within=True),
    "no excess": lambda r: r.update(excesses=[]),
    "a smaller gap": lambda r: gap(r).update(value_ppm=0),
    "a figure that is text": lambda r: gap(r).update(low_ppm="1"),
    "a truth value": lambda r: gap(r).update(low_ppm=True),
    "another version": lambda r: r.update(version=2),
    "other minimum rows": lambda r: r.update(group_rows=20),
    "another attribute": lambda r: r["attributes"][0].update(column="region"),
    "an attribute more": lambda r: r["attributes"].append(r["attributes"][0]),
    "a gap missing": lambda r: r["attributes"][0]["gaps"].pop(CALIBRATION),
    "a group's value is a number": lambda r: r["attributes"][0]["groups"][0].update(value=7),
    "a field more": lambda r: r.update(clients=["x"]),
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_record_that_its_own_figures_do_not_give_is_refused(change: Any) -> None:
    value = record()
    fairness.read(value, limits(selection=0))
    change(value)
    with pytest.raises((ValueError, TypeError, KeyError)):
        fairness.read(value, limits(selection=0))


def test_selected_are_those_of_the_top_decile_measure() -> None:
    draw = np.random.default_rng(3)
    score, label = np.round(draw.normal(size=500), 1), draw.random(500) < 0.5
    selected = bands.share_in_top(score, np.ones(500))
    assert selected.sum() == pytest.approx(50)
    assert (selected * label).sum() / 50 == pytest.approx(metrics.top_decile_precision(label, score))
