"""Rows become inputs by the plan, their means and variances come from exact sums, and nobody chooses the test rows."""

import hashlib
import hmac
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import tabular
from federation.errors import ColumnMissing, ColumnNotNumeric, ColumnNotText, LabelUnknown, RowsDiffer, ValueTooLarge
from federation.plan_parts import Column, Split
from federation.tabular import Rows

AGE = Column(name="age", kind="number")
BALANCE = Column(name="balance", kind="number", transform="signed_log")
TRADE = Column(name="trade", kind="category", levels=("farm", "shop"))
COLUMNS = (AGE, TRADE, BALANCE)


def table(**columns: object) -> Rows:
    values = {
        "age": np.array([20.0, np.nan, 40.0]),
        "trade": np.array(["shop", "farm", "mine"]),
        "balance": np.array([0.0, np.e - 1, 1 - np.e]),
        **columns,
    }
    keys = tuple(bytes([index]) * 16 for index in range(3))
    return Rows(keys=keys, columns=values, label=np.array(["1", "0", "1"]))  # type: ignore[arg-type]


def test_columns_become_inputs_in_plan_order() -> None:
    found = tabular.read_inputs(COLUMNS, table())
    expected = [[20.0, 0, 1, 0.0], [np.nan, 1, 0, 1.0], [40.0, 0, 0, -1.0]]
    np.testing.assert_allclose(found.values, expected)
    assert found.missing == {"age": 1}
    assert found.unknown == {"trade": 1}


def test_a_number_may_have_a_public_scale() -> None:
    scaled = Column(name="age", kind="number", centre_milli=30_000, spread_milli=20_000)
    values = tabular.read_inputs((scaled,), table()).values[:, 0]
    np.testing.assert_array_equal(values, [-0.5, np.nan, 0.5])


def test_labels_become_class_indices() -> None:
    assert tabular.read_label("y", ("0", "1"), table()).tolist() == [1, 0, 1]
    with pytest.raises(LabelUnknown) as caught:
        tabular.read_label("y", ("0", "2"), table())
    assert caught.value.facts["count"] == 2


def test_what_is_no_column_of_the_plan_is_refused() -> None:
    for changed, failure in (
        ({"age": np.array(["20", "30", "40"])}, ColumnNotNumeric),
        ({"age": np.array([20.0, 30.0])}, RowsDiffer),
        ({"age": np.array([20.0, 30.0, 2.0**28])}, ValueTooLarge),
        ({"age": np.array([20.0, 30.0, np.inf])}, ValueTooLarge),
        ({"trade": np.array([1, 2, 3])}, ColumnNotText),
    ):
        with pytest.raises(failure):
            tabular.read_inputs(COLUMNS, table(**changed))
    with pytest.raises(ColumnMissing):
        tabular.read_inputs((Column(name="wage", kind="number"),), table())


def test_missing_numbers_become_the_mean() -> None:
    scaling = tabular.Scaling(means=np.array([30.0, 0, 0, 0]), deviations=np.array([10.0, 1, 1, 2]))
    scaled = scaling.apply(tabular.read_inputs(COLUMNS, table()).values)
    np.testing.assert_allclose(scaled[:, 0], [-1.0, 0.0, 1.0])


def test_parts_follow_the_keyed_hash() -> None:
    split = Split(test_ppm=300_000, validation_ppm=100_000, salt=b"\x11" * 16)
    keys = [hashlib.sha256(bytes([i % 256, i // 256])).digest()[:16] for i in range(4_000)]
    found = tabular.parts(keys, split)
    for key, part in zip(keys[:100], found, strict=False):
        place = Fraction(int.from_bytes(hmac.digest(split.salt, key, "sha256")[:8], "big"), 1 << 64)
        expected = 2 if place < Fraction(3, 10) else 1 if place < Fraction(4, 10) else 0
        assert part == expected
    assert abs((found == tabular.TEST).mean() - 0.3) < 0.03
    assert abs((found == tabular.VALIDATION).mean() - 0.1) < 0.02


def partner(draw: np.random.Generator, rows: int) -> np.ndarray:
    values = np.column_stack(
        [draw.normal(5e6, 3.0, rows), draw.random(rows) < 0.2, draw.random(rows) < 0.5, draw.normal(size=rows)]
    )
    values[draw.random(rows) < 0.1, 0] = np.nan
    return values


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32))
def test_sums_of_partners_give_mean_and_deviation_of_all_rows(partners: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    parts = [partner(draw, int(draw.integers(1, 300))) for _ in range(partners)]
    classes = [draw.integers(0, 3, len(part)) for part in parts]
    total = sum(tabular.statistics(COLUMNS, 3, p, c) for p, c in zip(parts, classes, strict=True))
    found = tabular.read_statistics(COLUMNS, 3, np.asarray(total), partners)
    everything = np.concatenate(parts)
    assert found.rows == tuple(np.bincount(np.concatenate(classes), minlength=3))
    assert len(np.asarray(total)) == tabular.statistics_lanes(COLUMNS, 3)
    for index in (0, 3):
        column = everything[:, index][np.isfinite(everything[:, index])]
        if len(column):
            # a mean of 5,000,000 beside a deviation of 3: squares of floats would have lost the deviation
            assert found.scaling.means[index] == pytest.approx(column.mean(), rel=1e-9, abs=1e-6)
        if len(column) > 1:
            assert found.scaling.deviations[index] == pytest.approx(column.std(), rel=1e-5, abs=1e-6)
    assert found.scaling.means[1:3].tolist() == [0.0, 0.0]  # levels of a category are not scaled
    assert found.scaling.deviations[1:3].tolist() == [1.0, 1.0]


def test_lanes_fit_the_narrowest_engine() -> None:
    extreme = np.full((9_000, 4), -(2.0**28) + 1)
    lanes = tabular.statistics(COLUMNS, 2, extreme, np.ones(9_000, np.int64))
    assert lanes.min() >= 0
    assert lanes.max() < 1 << 26  # 32 bits less the guard bits of 64 partners
    found = tabular.read_statistics(COLUMNS, 2, 64 * lanes, 64)
    assert found.rows == (0, 64 * 9_000)
    assert found.scaling.means[0] == -(2.0**28) + 1
    assert found.scaling.deviations[0] == 1.0


def test_a_column_without_values_is_left_as_it_is() -> None:
    nothing = np.full((3, 4), np.nan)
    found = tabular.read_statistics(COLUMNS, 2, tabular.statistics(COLUMNS, 2, nothing, np.zeros(3, np.int64)), 1)
    assert found.scaling.means.tolist() == [0.0] * 4
    assert found.scaling.deviations.tolist() == [1.0] * 4


def test_less_spread_than_a_step_is_none() -> None:
    """One step in 100 rows: its deviation would be a tenth of a step, and rows beside it would be 10^7 of them off."""
    values = np.zeros((100, 4))
    values[0, 0] = 2.0**-20
    found = tabular.read_statistics(COLUMNS, 2, tabular.statistics(COLUMNS, 2, values, np.zeros(100, np.int64)), 1)
    assert found.scaling.deviations.tolist() == [1.0] * 4
    assert found.scaling.plausible


def test_limbs_of_partners_add_up() -> None:
    numbers = [0, 1, (1 << 72) - 1, 12345678901234567890]
    total = np.sum([tabular.limbs(number, 3) for number in numbers], axis=0).tolist()
    assert tabular.whole(total) == sum(numbers)
    with pytest.raises(AssertionError):
        tabular.limbs(1 << 72, 3)
