"""Reed-Solomon decoding: every error pattern within the radius is found, and none is invented."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.threshold.decoding import wrong_places
from privacy.threshold.field import P


def word_of(polynomial: list[int], places: list[int]) -> list[int]:
    return [sum(c * pow(x, k, P) for k, c in enumerate(polynomial)) % P for x in places]


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_wrong_values_within_the_radius_are_found(data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(1, 64), min_size=1, max_size=24, unique=True)))
    terms = data.draw(st.integers(1, len(places)))
    polynomial = data.draw(st.lists(st.integers(0, P - 1), min_size=terms, max_size=terms))
    word = word_of(polynomial, places)
    radius = (len(places) - terms) // 2
    wrong = data.draw(st.lists(st.sampled_from(places), max_size=radius, unique=True))
    for place in wrong:
        word[places.index(place)] = (word[places.index(place)] + data.draw(st.integers(1, P - 1))) % P
    assert wrong_places(places, word, terms) == tuple(sorted(wrong))


@pytest.mark.parametrize(("count", "terms"), [(4, 3), (5, 3), (6, 3), (7, 3)])
def test_decoding_is_the_nearest_polynomial_by_search(count: int, terms: int) -> None:
    """Against a search over all subsets, for words with any number of random errors."""
    draw = random.Random(count)
    places, radius = list(range(1, count + 1)), (count - terms) // 2
    for _ in range(60):
        word = word_of([draw.randrange(P) for _ in range(terms)], places)
        for place in draw.sample(places, draw.randrange(count + 1)):
            word[place - 1] = draw.randrange(P)
        near = set()
        for subset in itertools.combinations(range(count), count - radius):
            xs, ys = [places[i] for i in subset], [word[i] for i in subset]
            if fits(xs, ys, terms):
                near.add(tuple(places[i] for i in range(count) if not fits([*xs, places[i]], [*ys, word[i]], terms)))
        assert wrong_places(places, word, terms) == (near.pop() if near else None)


def fits(places: list[int], word: list[int], terms: int) -> bool:
    """Whether a polynomial of `terms` coefficients goes through: its divided differences of higher order vanish."""
    table = dict(zip(places, word, strict=True))  # a place given twice has one value
    xs, column = list(table), list(table.values())
    for order in range(1, len(xs)):
        column = [(column[i + 1] - column[i]) * pow(xs[i + order] - xs[i], -1, P) % P for i in range(len(column) - 1)]
        if order >= terms and any(column):
            return False
    return True


def test_the_zero_word_and_a_full_word_have_no_errors() -> None:
    assert wrong_places([1, 2, 3], [0, 0, 0], 2) == ()
    assert wrong_places([5, 9], [4, 4], 2) == ()
    assert wrong_places([1, 2, 3, 4, 5], [0, 0, 7, 0, 0], 3) == (3,)
