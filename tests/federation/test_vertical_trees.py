"""Boosted trees end to end: those of pooled rows bit for bit, indifferent to restarts, exact about what was shown."""

from typing import Any

import numpy as np
import pytest

from federation.features import Table
from federation.plan import TrainingPlan
from federation.vertical import LabelResult, Role, TreeHolder, TreeLabelHolder
from federation.vertical.trees import party
from federation.vertical.trees.model import TreePart, scores
from tests.federation.alliance import Tables, body, pump, synthetic
from tests.federation.trees_reference import Pooled, Reference

OPTIONS = {
    "trees": 5, "depth": 3, "rate_milli": 300, "leaf_rows": 20, "sample_ppm": 1_000_000, "columns_ppm": 1_000_000,
    "patience": 0,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "shallow": {"depth": 1},
    "all rows and columns": {},
    "sampled rows and columns": {"sample_ppm": 600_000, "columns_ppm": 500_000, "depth": 4},
}
Parties = dict[str, Role]


def tree_body(columns: dict[str, list[str]], **changes: Any) -> dict[str, Any]:
    """The body of a valid plan of model trees; `trees` is changed field by field."""
    options = {**OPTIONS, **changes.pop("trees", {})}
    return body(columns, **{"model": "trees", "bins": 12, "trees": options, **changes})


def with_gaps(tables: Tables) -> Tables:
    """The same tables, of which a column of every party lacks values: many at one, few at the others."""
    made = {}
    for place, (partner, table) in enumerate(tables.items()):
        values = np.array(table.columns["score"], dtype=np.float64)
        values[np.arange(len(values)) % (4 + 300 * place) == 0] = np.nan
        made[partner] = Table(tokens=table.tokens, columns={**table.columns, "score": values}, label=table.label)
    return made


def label_result(parties: Parties) -> LabelResult:
    session = parties["broker"]
    assert isinstance(session, TreeLabelHolder)
    return session.result()


def compare(plan: TrainingPlan, parties: Parties, expected: Reference) -> None:
    line = (plan.label_holder, *plan.holders)
    result = label_result(parties)
    assert isinstance(result.part, TreePart)
    found = [tuple(row) for row in result.part.splits.tolist()]
    assert found == sorted((tree, node, owner) for tree, node, owner, _, _ in expected.cuts)
    for owner, partner in enumerate(line):
        part = parties[partner].result().part
        assert isinstance(part, TreePart)
        own = sorted((tree, node, column) for tree, node, who, column, _ in expected.cuts if who == owner)
        assert [tuple(row) for row in part.cuts.tolist()] == own
    leaves = {(tree, node): value for (tree, node), value in zip(result.part.leaves.tolist(), result.part.values)}  # noqa: B905
    assert leaves == expected.leaves
    assert (result.matrix.scores == expected.margin).all()


@pytest.fixture(scope="module")
def seeded() -> tuple[TrainingPlan, Tables, Parties]:
    tables, columns = synthetic()
    tables = with_gaps(tables)
    plan = TrainingPlan.from_body(tree_body(columns, bootstrap=100))
    return plan, tables, pump(plan, tables)


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_the_trees_are_those_of_pooled_rows(changes: dict[str, Any]) -> None:
    tables, columns = synthetic()
    tables = with_gaps(tables)
    plan = TrainingPlan.from_body(tree_body(columns, trees=changes, bootstrap=100))
    pooled = Pooled(plan, tables)
    expected = pooled.fit()
    owners = {owner for _, _, owner, _, _ in expected.cuts}
    assert len(owners) == 3, "all parties' columns split nodes, or little is compared"
    compare(plan, pump(plan, tables), expected)


@pytest.mark.slow_flow
def test_columns_over_several_links_give_the_same_trees(
    seeded: tuple[TrainingPlan, Tables, Parties], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, tables, parties = seeded
    monkeypatch.setattr(party, "_link_columns", lambda rows: 20)
    assert len(party.widths(1, 50)) == 3 and sum(party.widths(1, 50)) == 50
    again = pump(plan, tables, restart=True)
    sent = again["bank"]
    assert isinstance(sent, TreeHolder) and len(sent._links) > 1
    assert label_result(again).weights_digests == label_result(parties).weights_digests


@pytest.mark.slow_flow
def test_every_message_may_be_followed_by_a_restart(seeded: tuple[TrainingPlan, Tables, Parties]) -> None:
    """Killed and restored after every message, with other randomness from there on: the same result."""
    plan, tables, parties = seeded
    again = pump(plan, tables, restart=True)
    assert label_result(again).record() == label_result(parties).record()
    assert (label_result(again).matrix.scores == label_result(parties).matrix.scores).all()
    for holder in plan.holders:
        assert again[holder].result().record() == parties[holder].result().record()


def test_the_parts_together_score_every_client_as_training_did(seeded: tuple[TrainingPlan, Tables, Parties]) -> None:
    plan, tables, parties = seeded
    rows = len(tables["broker"].tokens)
    left: dict[tuple[int, int], np.ndarray] = {}
    for partner in plan.partners:
        part = parties[partner].result().part
        assert isinstance(part, TreePart)
        left |= TreePart.decode(part.encode()).left(tables[partner].columns, rows)
    result = label_result(parties)
    assert isinstance(result.part, TreePart)
    assert (scores(result.part, left, rows) == result.matrix.scores).all()


def test_what_was_disclosed_is_counted_alike_on_both_sides(seeded: tuple[TrainingPlan, Tables, Parties]) -> None:
    plan, _, parties = seeded
    result = label_result(parties)
    for holder in plan.holders:
        session = parties[holder]
        assert isinstance(session, TreeHolder)
        own = session.result()
        assert own.spent == len(own.disclosed) <= OPTIONS["trees"] == plan.score_vectors(holder)
        assert own.disclosed == tuple(one for one in result.disclosed if one.holder == holder)
        assert own.disclosed
        assert result.weights_digests[holder] == own.weights_digest
        assert result.columns[holder] == own.part.columns
    assert result.trees is not None and result.trees.trees == result.trees.grown == OPTIONS["trees"]


def test_the_records_are_canonical_and_hold_no_client(seeded: tuple[TrainingPlan, Tables, Parties]) -> None:
    from privacy import canonical

    _, tables, parties = seeded
    for session in parties.values():
        text = canonical.encode(session.result().record()).decode()
        assert not any(token in text for token in tables["broker"].tokens)


def test_growing_stops_when_watched_rows_gain_no_more() -> None:
    """With a learning rate of 1 a few trees fit too much; what is kept is the best of the watched rows."""
    tables, columns = synthetic()
    options = {"trees": 20, "rate_milli": 1_000, "patience": 2}
    plan = TrainingPlan.from_body(tree_body(columns, trees=options, bootstrap=100))
    result = label_result(pump(plan, tables))
    assert result.trees is not None
    losses = list(result.trees.watched_loss_ppm)
    assert result.trees.grown < 20 and len(losses) == result.trees.grown + 1
    assert result.trees.trees == result.trees.grown - 2 == int(np.argmin(losses))


def test_other_test_labels_change_no_tree(seeded: tuple[TrainingPlan, Tables, Parties]) -> None:
    plan, tables, parties = seeded
    test = plan.test_mask(tables["broker"].tokens)
    label = np.array(tables["broker"].label)
    label[test] = 1 - label[test]
    turned = {**tables, "broker": Table(tokens=tables["broker"].tokens, columns=tables["broker"].columns, label=label)}
    again = label_result(pump(plan, turned))
    assert again.weights_digests == label_result(parties).weights_digests
    lines = [result.variants[-1].evaluation.calibration for result in (again, label_result(parties))]
    assert lines[0] == lines[1]
