"""Boosted trees at the nodes: through Flower's ServerApp, stored round by round, booked, told to who approves."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from federation.errors import PartyFailed
from federation.vertical.trees.model import TreePart
from partner_node import disclosure
from tests.partner_node import test_training as training
from tests.partner_node.alliance import TestNode

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

template, aligned = training.template, training.aligned
OPTIONS = {
    "trees": 3, "depth": 2, "rate_milli": 300, "leaf_rows": 20, "sample_ppm": 1_000_000, "columns_ppm": 1_000_000,
    "patience": 0,
}  # fmt: skip
TREES: dict[str, Any] = {"model": "trees", "bins": 8, "trees": OPTIONS, "minimum_rows": 100, "rare_rows": 30}


def scores_of(node: TestNode) -> list[float]:
    matrix = pyarrow.parquet.read_table(next(node.parts.node.settings.results.glob("*.parquet")))
    assert matrix.num_rows == training.CLIENTS
    return list(matrix["score"].to_pylist())


@pytest.mark.parametrize("restart", [False, True], ids=["in memory", "restarted before every round"])
def test_trees_grow_at_the_nodes_and_each_keeps_its_part(aligned: tuple[list[TestNode], str], restart: bool) -> None:
    nodes, match = aligned
    _, results = training.run(nodes, training.plan_body(nodes, match, **TREES), restart=restart)
    record = results["broker"]["body"]["record"]
    assert record["trees"]["trees"] == record["trees"]["grown"] == OPTIONS["trees"]
    assert [one["model"] for one in record["variants"]] == ["trees", "trees"]
    assert [one["holders"] for one in record["variants"]] == [[], ["bank", "platform"]]
    assert len(set(scores_of(nodes[0]))) > 4
    for node in nodes:
        (file,) = Path(node.parts.node.settings.results).glob("model-*.bin")
        part = TreePart.decode(file.read_bytes())
        assert part.partner == node.partner
        assert part.digest == record["weights_digests"][node.partner]
        assert (len(part.leaves) > 0) is (node.partner == "broker")
    for node in nodes[1:]:
        shown = {one["round"] for one in record["disclosed"] if one["holder"] == node.partner}
        lines = node.command("quota")["score_vectors"]
        assert [line["disclosed"] for line in lines] == ([len(shown)] if shown else lines and [0])
        assert results[node.partner]["body"]["record"]["spent"] == len(shown)


def test_variants_grow_at_the_nodes_and_are_booked(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    compared = {**TREES, "trees": {**OPTIONS, "variants": "partners"}}
    _, results = training.run(nodes, training.plan_body(nodes, match, **compared, score_budget=6), restart=True)
    record = results["broker"]["body"]["record"]
    assert [one["holders"] for one in record["variants"]] == [[], ["bank"], ["platform"], ["bank", "platform"]]
    for node in nodes[1:]:
        shown = [one for one in record["disclosed"] if one["holder"] == node.partner]
        assert {tuple(one["variant"]) for one in shown} == {("bank", "platform"), (node.partner,)}
        assert [line["disclosed"] for line in node.command("quota")["score_vectors"]] == [len(shown)]


def test_no_value_and_no_edge_passes_the_gate(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    training.run(nodes, training.plan_body(nodes, match, **TREES))
    for node in nodes:
        sent = b"".join(plain for kind, plain in node.seen if kind == "envelope/train")
        (file,) = Path(node.parts.node.settings.results).glob("model-*.bin")
        edges = TreePart.decode(file.read_bytes()).edges
        rows = [line.split(",") for line in (node.folder / "clients.csv").read_text().splitlines()[1:]]
        values = [float(cell) for row in rows[:100] for cell in row[1:] if len(cell) > 4]
        assert sent and len(edges) and len(values) > 50
        assert not any(np.float64(number).tobytes() in sent for number in [*values, *edges.tolist()])
        assert not any(cell.encode() in sent for row in rows[:50] for cell in row if len(cell) > 4)


def test_a_budget_below_the_trees_is_refused(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    with pytest.raises(Exception, match="score vectors") as caught:
        training.run(nodes, training.plan_body(nodes, match, **TREES, score_budget=2))
    assert not isinstance(caught.value, PartyFailed)  # it is refused at approval: nothing runs


def test_who_approves_trees_is_told_what_they_show(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    pairs = disclosure.sentences("train", training.plan_body(nodes, match, **TREES), "bank")
    english, chinese = (" ".join(part) for part in zip(*pairs, strict=True))
    for said in ("3 trees of depth 2", "at most 8 bins", "30 train clients", "goes left", "trusted to encrypt"):
        assert said in english
    assert "moments" not in english and "矩" not in chinese
    assert "深度 2 的树" in chinese
    assert "score vectors in 2 variants" not in english


def test_who_approves_variants_is_told_that_all_is_shown_again(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    compared = {**TREES, "trees": {**OPTIONS, "variants": "partners"}}
    pairs = disclosure.sentences("train", training.plan_body(nodes, match, **compared), "bank")
    english, chinese = (" ".join(part) for part in zip(*pairs, strict=True))
    for said in ("grown 3 times", "bank; platform; bank + platform", "up to 6 score vectors in 2 variants"):
        assert said in english
    assert "3 组树" in chinese and "至多披露 6 个得分向量" in chinese
