"""Updates as lanes: what goes in comes out as the weighted average, and what can't be is not believed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.horizontal.errors import UpdateRefused
from federation.horizontal.lanes import Update
from privacy.aggregation import RoundVoid
from privacy.quantize import ValueNotFinite

BITS = 30
TERMS = Update(clip=2.0, examples_max=100, metrics={"loss": 10.0, "accuracy": 1.0})
FIGURES = {"loss": 2.5, "accuracy": 0.75}


def test_the_average_is_weighted_by_examples() -> None:
    a, b = np.array([1.0, 0.0]), np.array([0.0, -1.0])
    total = TERMS.encode(a, 30, {"loss": 1.0, "accuracy": 0.5}, BITS) + TERMS.encode(
        b, 10, {"loss": 3.0, "accuracy": 1.0}, BITS
    )
    found = TERMS.decode(total, 2, BITS)
    assert found.examples == 40
    np.testing.assert_allclose(found.update, [0.75, -0.25], atol=1e-7)
    assert found.metrics["loss"] == pytest.approx(1.5, abs=1e-6)
    assert found.metrics["accuracy"] == pytest.approx(0.625, abs=1e-6)
    assert (found.clipped, found.shortened) == (0, 0)
    assert len(total) == TERMS.count(2) == 7


@settings(max_examples=60, deadline=None)
@given(
    updates=st.lists(
        st.tuples(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.integers(0, 300), st.floats(-20, 20)),
        min_size=1,
        max_size=8,
    )
)
def test_any_cohort_decodes_to_its_clipped_average(updates: list[tuple[list[float], int, float]]) -> None:
    terms = Update(clip=2.0, examples_max=100, metrics={"loss": 10.0})
    total = sum(terms.encode(np.array(u), n, {"loss": loss}, BITS) for u, n, loss in updates)
    weights = np.array([min(n, 100) for _, n, _ in updates], float)
    if not weights.sum():
        with pytest.raises(RoundVoid):
            terms.decode(total, len(updates), BITS)
        return
    found = terms.decode(total, len(updates), BITS)
    vectors = [np.array(u) * min(1.0, 2.0 / max(np.linalg.norm(u), 1e-300)) for u, _, _ in updates]
    np.testing.assert_allclose(found.update, np.average(vectors, axis=0, weights=weights), atol=1e-5)
    losses = [np.clip(loss, -10, 10) for _, _, loss in updates]
    assert found.metrics["loss"] == pytest.approx(np.average(losses, weights=weights), abs=1e-5)
    assert found.shortened == sum(np.linalg.norm(u) > 2.0 for u, _, _ in updates)
    assert found.clipped == sum(abs(loss) > 10 for _, _, loss in updates)


def test_what_is_not_agreed_does_not_go_out() -> None:
    u = np.zeros(2)
    with pytest.raises(UpdateRefused):
        TERMS.encode(u, 5, {"loss": 1.0}, BITS)
    with pytest.raises(UpdateRefused):
        TERMS.encode(u, -5, FIGURES, BITS)
    with pytest.raises(ValueNotFinite):
        TERMS.encode(np.array([np.nan, 0.0]), 5, FIGURES, BITS)
    with pytest.raises(ValueNotFinite):
        TERMS.encode(u, 5, FIGURES | {"loss": float("inf")}, BITS)


def spoilt(index: int, value: int) -> np.ndarray:
    total = TERMS.encode(np.array([1.0, 1.0]), 50, FIGURES, BITS) * 3
    total[index] = value
    return total


@pytest.mark.parametrize(
    "total",
    [
        spoilt(4, 0),  # nobody counted
        spoilt(4, 301),  # more examples than three partners can have
        spoilt(4, 1),  # a sum of updates that so few examples can't weigh
        spoilt(5, 10_000),  # more clipped values than there are
        spoilt(6, 4),  # more partners cut than there are
        spoilt(0, 3 << 30),  # a coordinate beyond all
        spoilt(2, 0),
    ],
)
def test_a_sum_that_no_cohort_can_have_is_void(total: np.ndarray) -> None:
    with pytest.raises(RoundVoid):
        TERMS.decode(total, 3, BITS)


def test_noise_goes_in_and_nothing_goes_out_beside_it() -> None:
    terms = Update(clip=1.0, examples_max=100, bound=256.0, noise_norm=1.0)
    drawn = np.array([700, -900], np.int64)
    loud, still = (terms.encode(np.array([3.0, 4.0]), 50, {}, BITS, noise=n) for n in (lambda n: drawn, None))
    assert (loud[:2] - still[:2]).tolist() == drawn.tolist()
    assert loud[2:].tolist() == [50, 0, 0]
    assert still[2:].tolist() == [50, 0, 1]  # without noise a shortened update is counted
    edge = terms.encode(np.array([1.0, 0.0]), 100, {}, BITS, noise=lambda n: np.array([1 << 40, -(1 << 40)]))
    assert edge[:2].tolist() == [(1 << 30) - 1, 1]  # kept inside the lane


def test_more_noise_than_agreed_is_void() -> None:
    terms = Update(clip=1.0, examples_max=100, bound=256.0)
    lanes = terms.encode(np.zeros(2), 100, {}, BITS, noise=lambda n: np.full(n, 1 << 24))
    with pytest.raises(RoundVoid):
        terms.decode(lanes * 3, 3, BITS)
    agreed = Update(clip=1.0, examples_max=100, bound=256.0, noise_norm=100.0)
    assert agreed.decode(lanes * 3, 3, BITS).update.max() > 1
