"""What variants of trees tell beside the model itself: the attacks with and without the rule, and what is left."""

import numpy as np
import pytest

from federation.vertical.trees.derivatives import SECOND_MAX, Packing
from federation.vertical.trees.histograms import Histograms
from tests.federation.test_attack_trees import labels_read, learned, watched_run

COUNTS = np.array([6, 2, 9])
THREE = ("broker", "bank", "platform")
NEED = 40


def two_ways(seed: int) -> tuple[Histograms, np.ndarray, np.ndarray]:
    """(a holder's sums after two variants that came to one node by other ways, its codes, rows of that node).

    Others' columns split by `one`, then by `other`, in the second variant the other way round. In the first tree all
    variants have the same derivatives.
    """
    draw = np.random.default_rng(seed)
    codes = np.column_stack([draw.integers(0, count, 900) for count in COUNTS])
    one = draw.random(900) < np.where(codes[:, 0] > 2, 0.9, 0.4)
    other = draw.random(900) < np.where(codes[:, 2] > 4, 0.85, 0.5)
    units = Packing.of(900)
    entries = units.pack(draw.integers(-255, 256, 900), np.full(900, SECOND_MAX))
    flat = codes + np.cumsum(COUNTS) - COUNTS
    made = Histograms("broker", COUNTS, np.bincount(flat.ravel(), minlength=17), units, NEED, trees=1)

    def sums(rows: np.ndarray) -> np.ndarray:
        return np.array([entries[rows][(flat[rows] == place).any(axis=1)].sum() for place in range(17)])

    for tree, (first, second) in enumerate([(one, other), (other, one)]):
        made.root(tree, sums(np.ones(900, bool)), np.ones(3, bool))
        made.children({2: sums(first)}, {})
        made.children({4: sums(first & second)}, {})
    return made, codes, one & other


def fewest(made: Histograms, codes: np.ndarray, rows: np.ndarray) -> int:
    """The fewest rows of the node that the groups of both variants tell apart together."""
    found = len(codes)
    earlier = made.earlier[0]
    same = int(np.flatnonzero((earlier.second == made.nodes[4].second).all(axis=1))[0])
    for column, start in enumerate((np.cumsum(COUNTS) - COUNTS).tolist()):
        part = slice(start, start + int(COUNTS[column]))
        ends = np.flatnonzero(earlier.ends[same][part] | made.nodes[4].ends[part])
        groups = np.searchsorted(ends, codes[rows, column])
        if len(ends) > 1:
            found = min(found, int(np.bincount(groups, minlength=len(ends)).min()))
    return found


def test_a_node_that_two_variants_share_is_shown_by_the_same_groups() -> None:
    found = [fewest(*two_ways(seed)) for seed in range(20)]
    assert NEED <= min(found) < 4 * NEED  # groups were shown, and as fine as the rule allows


def test_without_the_rule_both_together_tell_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Histograms, "_known", lambda self, second: np.ones(len(second), bool))
    assert min(fewest(*two_ways(seed)) for seed in range(20)) < NEED


@pytest.mark.slow_flow
def test_a_partners_own_variant_tells_more_of_its_clients_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that people approve: in a variant with one holder alone, all splits of others are that holder's."""
    options = {"trees": 8, "depth": 4}
    sides, labels = {}, {}
    for variants in ("full", "partners"):
        seen = watched_run(monkeypatch, 1440, THREE, variants=variants, **options)
        sides[variants], labels[variants] = learned(seen), labels_read(seen)
    assert sides["partners"][0] > sides["full"][0] + 0.05, "routes tell more sides: the pages say so"
    assert labels["partners"] > labels["full"] > 0.0
    routes, both = sides["partners"]
    assert (both - routes) / (1 - routes) < 0.1, "the rule of sums counts all variants together"
