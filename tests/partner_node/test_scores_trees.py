"""One client's score by trees through the nodes: that of the label matrix, by consent and budgets of every side."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy.orm import Session

from ecowire.status import code_of
from ecowire.stream import Message
from federation.vertical.trees.model import TreePart
from federation.vertical.trees.paths import Ways
from partner_node import disclosure, explain_basis, sessions
from privacy.errors import Failure
from tests.partner_node import alliance, scoring
from tests.partner_node.scoring import Alliance
from tests.partner_node.test_training_trees import TREES

pytestmark = pytest.mark.slow_flow
BUDGET = 6
CLIENT = alliance.resident_id(7)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    return scoring.finished(tmp_path_factory.mktemp("trees"), **TREES, score_budget=BUDGET)


@pytest.fixture
def made(run: tuple[Path, str, str], tmp_path: Path) -> Alliance:
    return scoring.opened(run[0], tmp_path, *run[1:])


def part_of(made: Alliance, name: str) -> TreePart:
    return TreePart.decode((made[name].parts.node.settings.results / f"model-{made.job[:16]}.bin").read_bytes())


def refused(made: Alliance, client: str = CLIENT, **arguments: Any) -> str:
    with pytest.raises(Failure) as caught:
        made.scored(client, **arguments)
    return code_of(caught.value)


def vectors(made: Alliance, name: str) -> int:
    """Score vectors that the run has booked at a holder."""
    lines = made.database(name).read(lambda session: sessions.ledger(session))
    return sum(line.count for line in lines if line.run == made.job)


def split_by(made: Alliance) -> tuple[str, str, float]:
    """A holder, a column of it that splits a root or another node, and the edge."""
    for name in made.holders():
        part = part_of(made, name)
        if len(part.cuts):
            return name, part.columns[int(part.cuts[0][2])], float(part.edges[0])
    raise AssertionError("some holder's column splits a node")


def test_the_score_is_that_of_the_label_matrix_while_nothing_has_changed(made: Alliance) -> None:
    matrix = made.matrix()
    for number in (0, 7, 55, 699):
        found = made.scored(alliance.resident_id(number))
        row = matrix[alliance.resident_id(number)]
        assert (float(found["score"]), found["changed"]) == (row["score"], False)
        assert (found["chance_ppm"], found["decile"]) == (round(row["chance"] * 1_000_000), row["decile"])
        assert found["split"] is None


def test_a_changed_value_takes_other_ways(made: Alliance) -> None:
    name, column, edge = split_by(made)
    for client in (alliance.resident_id(number) for number in range(4)):
        scores = []
        for value in (edge - 1e6, edge + 1e6):
            made.rewrite(name, column, client, str(value))
            scores.append(float(made.scored(client)["score"]))
        if scores[0] != scores[1]:
            return
        made.clock.now += timedelta(days=1)  # another answer for a client counts in the day as another client's
    raise AssertionError("the column moves nobody's score")


def test_the_first_answer_books_a_vector_for_each_tree_once(made: Alliance) -> None:
    before = {name: vectors(made, name) for name in made.holders()}
    made.scored(CLIENT)
    made.scored(alliance.resident_id(8))
    for name in made.holders():
        trees = {tree for tree, _, _ in part_of(made, name).cuts.tolist()}
        assert vectors(made, name) == before[name] + len(trees)
        assert made.booked(name) == 2
    made.scored(CLIENT)
    assert [made.booked(name) for name in made.holders()] == [2, 2]


def test_without_vectors_left_nobody_is_scored(made: Alliance) -> None:
    name, used = split_by(made)[0], vectors(made, split_by(made)[0])

    def spend(session: Session) -> None:
        line = next(line for line in sessions.ledger(session) if line.run == made.job)
        sessions.spend_more(session, replace(line, count=BUDGET - used), "2026-10-01T00:00:00Z")

    made.database(name).write("test", spend)
    assert refused(made) == "SCORE_BUDGET_EXCEEDED"
    assert (made.booked(name), vectors(made, name)) == (0, BUDGET), "what is not booked has not left"


def test_a_days_clients_are_counted_at_each_holder(made: Alliance) -> None:
    for number in range(scoring.PER_DAY):
        made.scored(alliance.resident_id(number))
    assert refused(made, alliance.resident_id(90)) == "SCORING_BUDGET_SPENT"
    made.scored(alliance.resident_id(0))


def test_consent_that_has_ended_ends_single_scores_at_once(made: Alliance) -> None:
    made["bank"].command("consent.withdraw", client_id=CLIENT)
    assert refused(made) == "CLIENT_NOT_SCORED"
    made["broker"].command("consent.withdraw", client_id=alliance.resident_id(8))
    assert refused(made, alliance.resident_id(8)) == "OWN_CONSENT_MISSING"


def test_own_values_that_change_meanwhile_are_asked_again(made: Alliance) -> None:
    """The own sides decide what is asked: other ones when the answers come would score another client."""
    part = part_of(made, "broker")
    column, edge = part.columns[int(part.cuts[0][2])], float(part.edges[0])
    rows = (made["broker"].folder / "clients.csv").read_text().splitlines()
    place = rows[0].split(",").index(column)
    now = next(float(row.split(",")[place]) for row in rows[1:] if row.startswith(CLIENT))

    def moved(message: Message) -> Message:
        made.rewrite("broker", column, CLIENT, str(edge + 1e6 if now <= edge else edge - 1e6))
        return message

    with pytest.raises(Failure) as caught:
        made.scored(CLIENT, change={"broker": moved})
    assert code_of(caught.value) == "OWN_SIDES_CHANGED"
    made.scored(CLIENT)


def test_nothing_but_asked_bits_leaves_a_holder(made: Alliance) -> None:
    made.scored(CLIENT)
    for name in made.holders():
        sent = [plain for kind, plain in made[name].seen if kind == "envelope/score"]
        assert [len(plain) for plain in sent] == [-(-len(part_of(made, name).cuts) // 8)]


def test_a_split_of_shares_is_not_to_be_had(made: Alliance) -> None:
    assert refused(made, split=True) == "SPLIT_NOT_IN_PLAN"


def test_who_approves_is_told_what_single_scores_show(made: Alliance) -> None:
    body = scoring.plan_body(made.nodes, made.alignment(), **TREES, score_budget=BUDGET)
    said = disclosure.sentences("train", body, "bank")
    (pair,) = [pair for pair in said if "after the run" in pair[0]]
    assert "at those of its splits that the client may come to" in pair[0] and "up to 3 more of 6" in pair[0]
    assert "可能到达的分裂处走哪一支" in pair[1]


# --- the split by side, where the plan has it


@pytest.fixture(scope="module")
def split_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    coarse = {"step_log2": -1, "clients_per_day": 2}
    scoring_ = {"clients_per_day": scoring.PER_DAY, "split": coarse}
    return scoring.finished(tmp_path_factory.mktemp("split"), **TREES, score_budget=8, scoring=scoring_)


@pytest.fixture
def with_split(split_run: tuple[Path, str, str], tmp_path: Path) -> Alliance:
    return scoring.opened(split_run[0], tmp_path, *split_run[1:])


def exact_shares(made: Alliance, client: str) -> dict[str, float]:
    """What each party's splits add, by all parties' files in one place."""
    (file,) = made["broker"].parts.node.settings.results.glob("explain-*.bin")
    paths = explain_basis.decode(file.read_bytes(), "-").paths
    assert paths is not None
    ways, sides = Ways(part_of(made, "broker"), paths.rows), {}
    for name in ("broker", *made.holders()):
        part = part_of(made, name)
        head, *rows = (made[name].folder / "clients.csv").read_text().splitlines()
        cells = next(dict(zip(head.split(","), row.split(","), strict=True)) for row in rows if row.startswith(client))
        columns = {column: np.array([float(cells[column])]) for column in part.columns}
        sides |= {node: bool(left[0]) for node, left in part.left(columns, 1).items()}
    shares = ways.shares(ways.leaves(sides))
    return {**shares, "broker": shares["broker"] + ways.base}


def test_a_split_adds_up_and_rounds_what_each_sides_splits_add(with_split: Alliance) -> None:
    for number in (7, 55):
        client = alliance.resident_id(number)
        found = with_split.scored(client, split=True)
        split, exact = found["split"], exact_shares(with_split, client)
        shares = {name: float(text) for name, text in split["shares"].items()}
        total = float(split["own"]) + sum(shares.values()) + float(split["remainder"])
        assert total == pytest.approx(float(found["score"]), abs=1e-9)
        for name, share in shares.items():
            assert share == np.floor(exact[name] / 0.5 + 0.5) * 0.5
        assert float(split["own"]) == pytest.approx(exact["broker"], abs=2.0**-4)
        assert set(split) == {"step", "own", "shares", "remainder"}
    assert refused(with_split, alliance.resident_id(8), split=True) == "SPLIT_BUDGET_SPENT"
    assert with_split.scored(alliance.resident_id(8))["split"] is None


def test_nothing_more_leaves_a_holder_for_a_split_and_it_is_one_vector(with_split: Alliance) -> None:
    with_split.scored(CLIENT)
    before = {name: vectors(with_split, name) for name in with_split.holders()}
    with_split.scored(CLIENT, split=True)
    for name in with_split.holders():
        sent = [plain for kind, plain in with_split[name].seen if kind == "envelope/score"]
        assert len(sent) == 2 and sent[0] == sent[1]
        assert vectors(with_split, name) == before[name] + 1


def test_a_holder_whose_columns_split_nothing_books_what_it_shows_later(with_split: Alliance) -> None:
    for name in with_split.holders():  # as a run leaves it that had shown nothing of this holder
        with_split.database(name).write("test", lambda session: sessions.settle(session, with_split.job, 0))
    with_split.scored(CLIENT, split=True)
    for name in with_split.holders():
        trees = {tree for tree, _, _ in part_of(with_split, name).cuts.tolist()}
        assert vectors(with_split, name) == len(trees) + 1


def test_without_the_file_of_explanations_there_is_no_split(with_split: Alliance) -> None:
    (file,) = with_split["broker"].parts.node.settings.results.glob("explain-*.bin")
    file.unlink()
    assert refused(with_split, split=True) == "EXPLANATION_MISSING"
    assert with_split.scored(CLIENT)["split"] is None


def test_who_approves_is_told_of_the_split(with_split: Alliance) -> None:
    coarse = {"clients_per_day": 5, "split": {"step_log2": -1, "clients_per_day": 2}}
    body = scoring.plan_body(with_split.nodes, with_split.alignment(), **TREES, score_budget=8, scoring=coarse)
    (pair,) = [pair for pair in disclosure.sentences("train", body, "bank") if "multiples of 2^-1" in pair[0]]
    assert "never by column or split" in pair[0] and "不按字段或分裂给出" in pair[1]
