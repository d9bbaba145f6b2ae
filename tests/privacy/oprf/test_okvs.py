"""The key-value store: every key's value comes back, whatever peeling leaves; dependent rows are found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.psi.oprf import bounds, okvs
from privacy.psi.oprf.digests import Digests, Values, digest_all
from privacy.psi.oprf.okvs import Shape
from privacy.psi.oprf.parameters import CORE_ROWS_MAX, parameters

SEED = bytes(range(16))


def digests(count: int, label: str = "") -> Digests:
    return digest_all([f"{label}{i}".encode() for i in range(count)], bytes(32))


def filler(shape: Shape, words: int = 1) -> Values:
    return np.random.default_rng(7).integers(0, 1 << 63, (shape.slots, words), dtype=np.uint64).squeeze()


def shape_for(count: int) -> Shape:
    sizes = parameters(count, count)
    return Shape(column_slots=sizes.column_slots, dense_slots=sizes.dense_slots)


def looked_up(slots: Values, keys: okvs.Keys, shape: Shape) -> Values:
    rows = slots.reshape(len(slots), -1).view(np.uint8)
    return okvs.look_up(rows, keys, shape).view(np.uint64).reshape(len(keys.sparse), *slots.shape[1:])


@given(st.integers(0, 300), st.integers(0, 1 << 30), st.sampled_from([1, 2, 3]))
def test_every_key_has_its_value(count: int, seed: int, words: int) -> None:
    shape = shape_for(count)
    found = digests(count, f"{seed}/")
    keys = okvs.place(found, SEED, shape)
    values = np.ascontiguousarray(found[:, 1 : 1 + words]).squeeze(axis=1) if words == 1 else found[:, 1 : 1 + words]
    slots = okvs.solve(keys, values, shape, filler(shape, words), CORE_ROWS_MAX)
    assert slots is not None
    np.testing.assert_array_equal(looked_up(slots, keys, shape), values)


def test_a_large_bucket() -> None:
    count = 20_000
    shape = shape_for(count)
    found = digests(count)
    keys = okvs.place(found, SEED, shape)
    slots = okvs.solve(keys, found[:, 1], shape, filler(shape), CORE_ROWS_MAX)
    assert slots is not None
    np.testing.assert_array_equal(looked_up(slots, keys, shape), found[:, 1])
    other = looked_up(slots, okvs.place(digests(1000, "other"), SEED, shape), shape)
    assert not np.isin(other, found[:, 1]).any()


def test_look_up_is_the_plain_sum() -> None:
    shape = Shape(column_slots=50, dense_slots=16)
    keys = okvs.place(digests(40), SEED, shape)
    rows = np.random.default_rng(1).integers(0, 256, (shape.slots, 57), dtype=np.uint8)
    got = okvs.look_up(rows, keys, shape)
    for i in range(40):
        mask = np.unpackbits(keys.dense[i], bitorder="little").astype(bool)
        chosen = np.concatenate([rows[keys.sparse[i]], rows[-16:][mask]])
        np.testing.assert_array_equal(got[i], np.bitwise_xor.reduce(chosen, axis=0))


def test_rows_stand_in_their_columns_and_depend_on_the_seed() -> None:
    shape = Shape(column_slots=1000, dense_slots=32)
    found = digests(30_000)
    keys = okvs.place(found, SEED, shape)
    for column in range(3):
        assert keys.sparse[:, column].min() == 1000 * column
        assert keys.sparse[:, column].max() == 1000 * column + 999
        hits = np.bincount(keys.sparse[:, column] - 1000 * column, minlength=1000)
        assert 800 < ((hits - 30) ** 2 / 30).sum() < 1200  # chi-square, 999 degrees of freedom: mean 999, deviation 45
    ones = np.unpackbits(keys.dense, axis=1).mean(axis=0)
    assert (abs(ones - 0.5) < 0.02).all()
    assert len(np.unique(np.concatenate([keys.sparse, keys.dense], axis=1), axis=0)) == 30_000
    other = okvs.place(found, bytes(16), shape)
    assert (other.sparse == keys.sparse).mean() < 0.01


def test_peeling_that_leaves_a_core_is_solved_by_elimination() -> None:
    """560 of 900 keys are left in a table this tight; the elimination solves them all the same."""
    shape = Shape(column_slots=340, dense_slots=40)
    found = digests(900)
    keys = okvs.place(found, SEED, shape)
    _, core = okvs._peel(keys.sparse, shape.slots)
    assert len(core) > 400
    slots = okvs.solve(keys, found[:, 1], shape, filler(shape), CORE_ROWS_MAX)
    assert slots is not None
    np.testing.assert_array_equal(looked_up(slots, keys, shape), found[:, 1])
    assert okvs.solve(keys, found[:, 1], shape, filler(shape), len(core) - 1) is None


def test_dependent_rows_are_refused() -> None:
    shape = Shape(column_slots=340, dense_slots=40)
    found = digests(1100)  # more keys than slots
    assert okvs.solve(okvs.place(found, SEED, shape), found[:, 1], shape, filler(shape), CORE_ROWS_MAX) is None
    twice = digests(10)[[0, 1, 2, 3, 3]]
    assert okvs.solve(okvs.place(twice, SEED, shape), twice[:, 1], shape, filler(shape), CORE_ROWS_MAX) is None


def test_slots_that_no_key_determines_keep_their_filler() -> None:
    shape = shape_for(1000)
    given_words = filler(shape)
    found = digests(1000)
    slots = okvs.solve(okvs.place(found, SEED, shape), found[:, 1], shape, given_words, CORE_ROWS_MAX)
    assert slots is not None
    assert (slots == given_words).sum() == shape.slots - 1000
    empty = okvs.solve(okvs.place(found[:0], SEED, shape), found[:0, 1], shape, given_words, CORE_ROWS_MAX)
    np.testing.assert_array_equal(empty, given_words)


@pytest.mark.parametrize("dense", [0, 8])
def test_the_bound_on_dependent_rows_holds_in_trials(dense: int) -> None:
    """Few slots and dense bits make failures frequent enough to count: their rate stays below the proven bound."""
    count, column_slots, trials = 60, 30, 1500
    shape = Shape(column_slots=column_slots, dense_slots=8)
    failures = 0
    for trial in range(trials):
        keys = okvs.place(digests(count, f"{trial}/"), SEED, shape)
        bits = np.zeros_like(keys.dense) if dense == 0 else keys.dense
        values = np.zeros(count, np.uint64)
        failures += okvs.solve(okvs.Keys(keys.sparse, bits), values, shape, filler(shape), count) is None
    bound = 2 ** bounds.dependent_rows(count, column_slots, dense, 1)
    assert failures > 0 or dense
    assert failures / trials <= bound + 4 * (bound / trials) ** 0.5


def test_the_exact_first_terms_of_the_bound() -> None:
    """Two keys with equal rows: t^-3 · 2^-dense."""
    assert bounds.dependent_rows(2, 100, 8, 1) == pytest.approx(-3 * np.log2(100) - 8, abs=1e-4)
    assert bounds.dependent_rows(2, 100, 8, 4) == pytest.approx(-3 * np.log2(100) - 6, abs=1e-4)
    assert bounds.dependent_rows(1, 100, 8, 1) == -np.inf


def test_even_occupancy_stays_below_its_saddle_bound() -> None:
    """E(s) exactly, by the number of even compositions, against the terms that `dependent_rows` adds up."""
    from math import comb, factorial

    t = 12
    for size in (6, 8, 10):
        exact = sum(comb(t, j) * (t - 2 * j) ** size for j in range(t + 1)) / (2**t * t**size)
        ratio = np.array([size / t])
        z = float(bounds._saddle(ratio)[0])
        assert exact <= factorial(size) * np.cosh(z) ** t / (z**size * t**size) < 8 * exact
