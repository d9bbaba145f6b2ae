"""One client's score by trees: equal to training, by bits at splits of the owners, of those asked and no others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation.errors import ColumnInfinite, PlanInvalid, StepMalformed
from federation.features import Columns
from federation.plan import TrainingPlan
from federation.vertical import Role
from federation.vertical.single import Ask
from federation.vertical.trees import single
from federation.vertical.trees.model import TreePart
from privacy import canonical
from privacy.ids import ClientToken, Digest
from tests.federation.alliance import Tables, pump, synthetic
from tests.federation.test_vertical_trees import label_result, tree_body, with_gaps

Parts = dict[str, TreePart]
CLIENTS = range(0, 2000, 37)


@pytest.fixture(scope="module")
def ran() -> tuple[Tables, dict[str, Role], Parts]:
    tables, columns = synthetic()
    tables = with_gaps(tables)
    plan = TrainingPlan.from_body(tree_body(columns, trees={"trees": 6, "depth": 4}, bootstrap=100))
    parties, parts = pump(plan, tables), dict[str, TreePart]()
    for name in plan.partners:
        part = parties[name].result().part
        assert isinstance(part, TreePart)
        parts[name] = TreePart.decode(part.encode())
    return tables, parties, parts


def client(tables: Tables, partner: str, row: int, **changes: float) -> Columns:
    values = {name: np.asarray(column)[row : row + 1] for name, column in tables[partner].columns.items()}
    return {**values, **{name: np.array([value]) for name, value in changes.items()}}


def scored(parts: Parts, columns: dict[str, Columns]) -> float:
    own = single.own_sides(parts["broker"], columns["broker"])
    asked = single.asked(parts["broker"], own)
    answers = {name: single.answer(parts[name], columns[name], asked[name], "broker") for name in asked}
    return single.score(parts["broker"], single.all_sides(parts["broker"], own, answers))


def test_the_score_is_that_of_training_to_the_last_bit(ran: tuple[Tables, dict[str, Role], Parts]) -> None:
    tables, parties, parts = ran
    matrix = label_result(parties).matrix
    for row in CLIENTS:
        assert scored(parts, {name: client(tables, name, row) for name in parts}) == matrix.scores[row]


def walked(parts: Parts, columns: dict[str, Columns]) -> set[tuple[int, int]]:
    """The splits that a client comes to, with all parties' sides in one place."""
    sides = {node: left[0] for part in parts.values() for node, left in part.left(columns[part.partner], 1).items()}
    found = set()
    for tree in {tree for tree, _ in sides}:
        node = 1
        while (tree, node) in sides:
            found.add((tree, node))
            node = 2 * node + (not sides[tree, node])
    return found


def test_only_splits_that_the_client_may_come_to_are_asked(ran: tuple[Tables, dict[str, Role], Parts]) -> None:
    """All that are on its way, and below other parties' splits both ways; the rest of a holder's splits stays dark."""
    tables, _, parts = ran
    share = []
    for row in CLIENTS:
        columns = {name: client(tables, name, row) for name in parts}
        asked = single.asked(parts["broker"], single.own_sides(parts["broker"], columns["broker"]))
        way = walked(parts, columns)
        for name, bitmap in asked.items():
            splits = [(tree, node) for tree, node, _ in parts[name].cuts.tolist()]
            wanted = {
                node for node, bit in zip(splits, np.unpackbits(np.frombuffer(bitmap, np.uint8)), strict=False) if bit
            }
            assert way & set(splits) <= wanted
            answer = np.unpackbits(np.frombuffer(single.answer(parts[name], columns[name], bitmap, "broker"), np.uint8))
            assert not any(bit and node not in wanted for node, bit in zip(splits, answer, strict=False))
            share.append(len(wanted) / len(splits))
    assert 0.2 < np.mean(share) < 0.9, "some are asked, and not all"


def test_a_holder_that_answers_all_splits_would_tell_more(
    ran: tuple[Tables, dict[str, Role], Parts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mask of what was asked taken out: sides at splits that the client can't come to leave the holder."""
    tables, _, parts = ran
    every = bytes([255]) * 64
    columns = {name: client(tables, name, 74) for name in parts}
    asked = single.asked(parts["broker"], single.own_sides(parts["broker"], columns["broker"]))["bank"]
    kept = single.answer(parts["bank"], columns["bank"], asked, "broker")
    monkeypatch.setattr(single, "_bits", lambda bitmap, count, sender: np.ones(count, bool))
    told = single.answer(parts["bank"], columns["bank"], every, "broker")
    assert sum(map(int.bit_count, told)) > sum(map(int.bit_count, kept))


def test_what_was_not_asked_is_no_answer(ran: tuple[Tables, dict[str, Role], Parts]) -> None:
    tables, _, parts = ran
    columns = {name: client(tables, name, 0) for name in parts}
    own = single.own_sides(parts["broker"], columns["broker"])
    asked = single.asked(parts["broker"], own)
    answers = {name: single.answer(parts[name], columns[name], asked[name], "broker") for name in asked}
    some = np.unpackbits(np.frombuffer(asked["bank"], np.uint8))[: len(parts["bank"].cuts)]
    assert not some.all()
    with pytest.raises(StepMalformed, match=r"bank.*not asked"):
        single.all_sides(parts["broker"], own, {**answers, "bank": np.packbits(np.ones(len(some), bool)).tobytes()})
    for wrong in (b"", answers["bank"] + b"\0"):
        with pytest.raises(StepMalformed, match="bank"):
            single.all_sides(parts["broker"], own, {**answers, "bank": wrong})
        with pytest.raises(StepMalformed, match="broker"):
            single.answer(parts["bank"], columns["bank"], wrong, "broker")


def test_values_as_they_are_now_decide_and_a_missing_one_goes_left(
    ran: tuple[Tables, dict[str, Role], Parts],
) -> None:
    tables, _, parts = ran
    columns = {name: client(tables, name, 5) for name in parts}
    _, _, column = parts["bank"].cuts[0].tolist()
    name = parts["bank"].columns[column]
    found = {
        value: scored(parts, {**columns, "bank": client(tables, "bank", 5, **{name: value})}) for value in (-1e9, 1e9)
    }
    missing = scored(parts, {**columns, "bank": client(tables, "bank", 5, **{name: np.nan})})
    assert found[-1e9] != found[1e9] and missing == found[-1e9]
    with pytest.raises(ColumnInfinite):
        scored(parts, {**columns, "bank": client(tables, "bank", 5, **{name: np.inf})})


def test_what_is_kept_and_booked_tells_sides_apart(ran: tuple[Tables, dict[str, Role], Parts]) -> None:
    tables, _, parts = ran
    sides = [single.own_sides(parts["broker"], client(tables, "broker", row)) for row in CLIENTS]
    checks = {single.check_number(one) for one in sides}
    assert len(checks) == len({tuple(sorted(one.items())) for one in sides}) > 1
    assert all(float(one) == one < 1 << 53 for one in checks)  # kept as a float, exactly
    assert single.booking_number(b"\1", b"\0") != single.booking_number(b"\0", b"\1")


ASK = Ask(
    run=Digest("ab" * 32), id=Digest("cd" * 32), token=ClientToken("ef" * 16), model=Digest("01" * 32),
    until="2026-10-01T08:10:00.000Z",
)  # fmt: skip


def test_an_ask_names_splits_only_where_it_is_of_trees() -> None:
    for ask in (ASK, replace(ASK, splits=""), replace(ASK, splits="80ff")):
        assert Ask.decode(ask.encode(), "broker") == ask
    assert len({ASK.digest, replace(ASK, splits="").digest, replace(ASK, splits="80ff").digest}) == 3
    value: Any = canonical.decode(replace(ASK, splits="80ff").encode())
    for wrong in (12, None, "8", "FF", "0" * 1026, ["80"]):
        with pytest.raises(StepMalformed):
            Ask.decode(canonical.encode({**value, "splits": wrong}), "broker")


def test_a_plan_of_trees_may_have_scoring_and_a_split_coarser_than_its_score() -> None:
    columns = synthetic(300)[1]
    coarse = {"step_log2": -1, "clients_per_day": 5}
    plan = TrainingPlan.from_body(tree_body(columns, scoring={"clients_per_day": 5, "split": coarse}))
    assert plan.scoring is not None and plan.scoring.split is not None
    with pytest.raises(PlanInvalid, match=r"scoring\.split"):
        TrainingPlan.from_body(tree_body(columns, score_step_log2=-2, scoring={"clients_per_day": 5, "split": coarse}))
