"""Field arithmetic against Python integers, and elements without bias."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.threshold import field
from privacy.threshold.field import P
from tests.privacy.threshold.support import entropy

elements = st.integers(0, P - 1)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_any_word_is_reduced(words: list[int]) -> None:
    assert field.reduce(np.array(words, np.uint64)).tolist() == [word % P for word in words]


def test_the_edges_are_reduced() -> None:
    words = [0, P - 1, P, P + 1, 2 * P, 2 * P - 1, P * P, (P - 1) ** 2, 2**62 - 1, 2**63, 2**64 - 1]
    assert field.reduce(np.array(words, np.uint64)).tolist() == [word % P for word in words]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 64), st.data())
def test_polynomials_are_evaluated(terms: int, data: st.DataObject) -> None:
    """Also with every coefficient at its largest, where the lazily reduced value is."""
    columns = [[P - 1] * terms, *(data.draw(st.lists(elements, min_size=terms, max_size=terms)) for _ in range(2))]
    at = [0, 1, 33, 64]
    values = field.evaluate(np.array(columns, np.uint64).T, at)
    expected = [[sum(c * pow(x, k, P) for k, c in enumerate(column)) % P for column in columns] for x in at]
    assert values.tolist() == expected


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.data())
def test_vectors_are_combined(rows: int, sets: int, data: st.DataObject) -> None:
    weights = [data.draw(st.lists(elements, min_size=rows, max_size=rows)) for _ in range(sets)]
    vectors = [[P - 1, data.draw(elements), 0] for _ in range(rows)]
    out = field.combine(np.array(weights, np.uint64), np.array(vectors, np.uint64))
    assert out.tolist() == [
        [sum(w * v[k] for w, v in zip(row, vectors, strict=True)) % P for k in range(3)] for row in weights
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 64), min_size=1, max_size=64, unique=True), st.integers(0, 64), st.integers(0, 2**32))
def test_interpolation_gives_the_value_anywhere(places: list[int], target: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    polynomial = rng.integers(0, P, (len(places), 3), dtype=np.uint64)
    values = field.evaluate(polynomial, places)
    found = field.combine(field.lagrange(places, [target]), values)
    assert (found == field.evaluate(polynomial, [target])).all()


def test_the_word_that_is_no_element_is_drawn_again() -> None:
    """2^31 - 1 of the low 31 bits stands for no element; the high bit is not used."""
    words = np.array([P, 5, 2**32 - 1, 2**31 + 7, P - 1], "<u4").tobytes()
    supply = [words[:12], words[12:]]
    asked = []

    def draw(count: int) -> bytes:
        asked.append(count)
        return supply.pop(0)

    assert field.uniform(draw, 3).tolist() == [5, 7, P - 1]
    assert asked == [12, 8]


def test_elements_are_uniform() -> None:
    """Chi-square of 2^20 fixed draws over 256 equal intervals: 255 +- 6 standard deviations of 22.6."""
    drawn = field.uniform(entropy("field"), 1 << 20)
    counts = np.bincount((drawn * 256 // P).astype(int), minlength=256)
    expected = (1 << 20) / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 6 * 22.6


@given(st.lists(st.integers(-5248, 5248), min_size=1, max_size=10))
def test_small_integers_are_read_off_their_residues(values: list[int]) -> None:
    assert field.centred(np.array([value % P for value in values], np.uint64)).tolist() == values
