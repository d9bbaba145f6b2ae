"""Trees explained at the label holder's node: own points exactly, others as one sum, changes of named columns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ecowire import documents
from federation.vertical.trees.model import TreePart, scores
from partner_node import cli_explain, explain_basis
from partner_node.cli_common import Cli
from partner_node.errors import ClientNotInRun
from partner_node.explain_errors import ColumnNotActionable, ExplanationUnreadable, OwnValuesChanged
from partner_node.labels_errors import NotLabelHolder
from privacy import packing
from tests.partner_node import alliance
from tests.partner_node import test_training as trained
from tests.partner_node.alliance import TestNode
from tests.partner_node.test_explain import matrix, opened
from tests.partner_node.test_training import template  # noqa: F401 - a fixture
from tests.partner_node.test_training_trees import OPTIONS, TREES

pytestmark = pytest.mark.slow_flow
GROWN = {**TREES, "trees": {**OPTIONS, "trees": 6, "depth": 3}, "score_budget": 6}


@pytest.fixture(scope="module")
def finished(template: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:  # noqa: F811
    folder, match = template
    home = tmp_path_factory.mktemp("explained-trees")
    nodes = opened(folder, home)
    body = trained.plan_body(nodes, match, **GROWN)
    trained.run(nodes, body, restart=True)
    for node in nodes:
        node.parts.node.database.close()
    return home, documents.digest("train", body)


@pytest.fixture
def ran(finished: tuple[Path, str], tmp_path: Path) -> tuple[list[TestNode], str]:
    folder, job = finished
    return opened(folder, tmp_path), job


def part(node: TestNode) -> TreePart:
    (file,) = node.parts.node.settings.results.glob("model-*.bin")
    return TreePart.decode(file.read_bytes())


def basis_file(node: TestNode) -> Path:
    (file,) = node.parts.node.settings.results.glob("explain-*.bin")
    return file


def values(node: TestNode, number: int) -> dict[str, np.ndarray]:
    """A client's columns at a node, as its file has them."""
    head, *rows = (node.folder / "clients.csv").read_text().splitlines()
    cells = dict(zip(head.split(","), rows[number].split(","), strict=True))
    return {name: np.array([float(cells[name])]) for name in part(node).columns}


def test_points_and_the_rest_add_up_to_the_score_that_was_delivered(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    rows, spoken = matrix(broker), 0
    for number in (0, 7, 399):
        client = alliance.resident_id(number)
        found = broker.command("explain", job=job[:12], client=client)
        total = found["base_micro"] + sum(one["micro"] for one in found["points"]) + found["remainder_micro"]
        assert total == found["log_odds_micro"]
        chance = rows[client]["chance"]
        assert found["chance_ppm"] == round(chance * 1e6)
        assert {one["column"] for one in found["points"]} <= {"AGE", "RISK"}
        assert found["others"] == ["bank", "platform"]
        reasons = json.loads(rows[client]["reasons"])
        said = {one["column"]: round(one["micro"] / 1e6, 2) for one in found["points"]}
        assert all(abs(said[one["column"]] - one["points"]) <= 0.01 for one in reasons)
        spoken += len(reasons)
    assert spoken


def test_no_column_and_no_share_of_another_side_is_said(ran: tuple[list[TestNode], str]) -> None:
    nodes, job = ran
    text = json.dumps(nodes[0].command("explain", job=job, client=alliance.resident_id(7)))
    theirs = [name for node in nodes[1:] for name in part(node).columns]
    assert theirs and not any(name in text for name in theirs)


def test_what_a_counterfactual_says_holds_whatever_the_others_have(ran: tuple[list[TestNode], str]) -> None:
    """The changed client's true score, all parties' files in one place, is at least as far as was said."""
    nodes, job = ran
    line = explain_basis.decode(basis_file(nodes[0]).read_bytes(), "-").line
    changed = 0
    for number in range(0, 400, 23):
        client = alliance.resident_id(number)
        now = nodes[0].command("explain", job=job, client=client)["chance_ppm"]
        target = min(now + 60_000, 990_000)
        told = nodes[0].command("explain", job=job, client=client, target_ppm=target, actionable=["AGE", "RISK"])
        other = told["counterfactual"]
        columns = {node.partner: values(node, number) for node in nodes}
        columns["broker"] |= {one["column"]: np.array([float(one["then"])]) for one in other["changes"]}
        left = {key: side for node in nodes for key, side in part(node).left(columns[node.partner], 1).items()}
        odds = line.log_odds(scores(part(nodes[0]), left, 1))[0]
        true = 1e6 / (1 + np.exp(-odds))
        assert true >= other["chance_ppm"] - 1
        assert not other["reached"] or true >= target - 1
        changed += bool(other["changes"])
    assert changed


def test_importance_is_by_side_and_own_column_at_home_and_splits_elsewhere(ran: tuple[list[TestNode], str]) -> None:
    nodes, job = ran
    found = nodes[0].command("importance", job=job)
    assert set(found["parties_ppm"]) == {"broker", "bank", "platform"} and set(found["own_ppm"]) == {"AGE", "RISK"}
    assert abs(sum(found["parties_ppm"].values()) - 1_000_000) <= 3
    for node in nodes[1:]:
        theirs = node.command("importance", job=job)
        assert "parties_ppm" not in theirs and "own_ppm" not in theirs
        counted = {name: micro // 1_000_000 for name, micro in theirs["strengths_micro"].items()}
        columns = [part(node).columns[column] for _, _, column in part(node).cuts.tolist()]
        assert counted == {name: columns.count(name) for name in part(node).columns}


def test_what_can_not_be_explained_is_refused(ran: tuple[list[TestNode], str]) -> None:
    nodes, job = ran
    broker, client = nodes[0], alliance.resident_id(7)
    with pytest.raises(NotLabelHolder):
        nodes[1].command("explain", job=job, client=client)
    with pytest.raises(ClientNotInRun):
        broker.command("explain", job=job, client=alliance.resident_id(5_000))
    with pytest.raises(ColumnNotActionable, match="bank"):
        broker.command("explain", job=job, client=client, target_ppm=900_000, actionable=["SAVING"])
    broker.command("consent.withdraw", client_id=client)
    with pytest.raises(Exception, match=r".") as caught:
        broker.command("explain", job=job, client=client)
    assert type(caught.value).__name__ in {"NoConsent", "AlignmentTooOld"}


def test_own_values_that_take_other_sides_are_noticed(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    file = broker.folder / "clients.csv"
    head, *rows = file.read_text().splitlines()
    places = [head.split(",").index(name) for name in part(broker).columns]
    cells = [row.split(",") for row in rows]
    for row in cells:
        for place in places:
            row[place] = str(-float(row[place]) * 1e3 - 1e6)
    file.write_text("\n".join([head, *(",".join(row) for row in cells)]) + "\n")
    noticed = 0
    for number in range(20):
        try:
            broker.command("explain", job=job, client=alliance.resident_id(number))
        except OwnValuesChanged:
            noticed += 1
    assert noticed >= 5, "those who came to an own split and would take the other side now"


@pytest.mark.parametrize(
    "change",
    [
        {"leaf_rows": np.zeros(1, np.int64)},
        {"reached": np.zeros((2, 6), np.uint8)},
        {"reached": np.zeros((2, 6))},
        {"deviations": None},
    ],
    ids=["rows of other leaves", "fewer clients", "no leaves", "no deviations"],
)
def test_a_file_that_is_not_of_the_run_is_refused(ran: tuple[list[TestNode], str], change: dict[str, Any]) -> None:
    (broker, *_), job = ran
    file = basis_file(broker)
    value: Any = packing.unpack(file.read_bytes())
    file.write_bytes(packing.pack({name: part for name, part in {**value, **change}.items() if part is not None}))
    with pytest.raises(ExplanationUnreadable):
        broker.command("explain", job=job, client=alliance.resident_id(7))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_people_read_gain_and_splits(ran: tuple[list[TestNode], str], lang: str) -> None:
    nodes, job = ran
    runner = CliRunner()
    for node, said in (
        (nodes[0], {"en": "share of gain", "zh": "增益占比"}),
        (nodes[1], {"en": "splits", "zh": "分裂数"}),
    ):
        found = node.command("importance", job=job)
        with runner.isolation() as out:
            cli_explain._show_importance(Cli(config=node.folder, as_json=False, lang=lang), found)
            assert said[lang] in out[0].getvalue().decode()
