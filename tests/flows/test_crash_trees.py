"""Boosted trees over real processes: a hub and both roles killed while trees grow, then the result of a calm run."""

from typing import Any

import pytest

from federation.plan import TrainingPlan
from tests.flows.test_crash import SMALL, TRAINERS, assert_counted_once, hub_dies, label_matrix, node_dies, trained
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
OPTIONS = {
    "trees": 3, "depth": 2, "rate_milli": 300, "leaf_rows": 20, "sample_ppm": 800_000, "columns_ppm": 1_000_000,
    "patience": 0, "variants": "partners",
}  # fmt: skip
TREES: dict[str, Any] = {"model": "trees", "bins": 8, "trees": OPTIONS, "minimum_rows": 100, "rare_rows": 30}


def test_trees_go_on_where_hub_and_nodes_died_and_equal_a_calm_run(alliance: Alliance) -> None:
    matching = alliance.run_job("data", "match", launch_alliance.match_body("align", *TRAINERS))["digest"]
    calm = alliance.run_job("data", "train", launch_alliance.train_body(matching, **TREES))
    digest = alliance.propose("data", "train", launch_alliance.train_body(matching, **TREES))
    lives = {
        # rounds 1 to 7 are seed, hints and zero test: everybody dies later, with levels of trees under way
        "hub": [hub_dies("after", "training.post", 34)],
        "bank": [node_dies("before", "flower", 10), node_dies("after", "flower", 3)],
        "broker": [node_dies("after", "flower", 12)],
    }
    for name in lives:
        alliance.restart(name, lives[name].pop(0))
    alliance.approve(digest, TRAINERS)
    dead: list[str] = []
    job = alliance.nurse(digest, lives, SMALL, dead.append)
    assert sorted(dead) == ["bank", "bank", "broker", "hub"]
    assert trained(job) == trained(calm)
    assert label_matrix(alliance, digest) == label_matrix(alliance, calm["digest"])
    (record, before) = (result(run) for run in (job, calm))
    assert record["trees"] == before["trees"] and record["disclosed"] == before["disclosed"]
    assert sum(record["trees"]["splits"][holder] for holder in ("bank", "platform")) > 0, "others' columns split"
    assert {tuple(one["variant"]) for one in record["disclosed"]} > {("bank", "platform")}, "variants were grown too"
    assert_counted_once(alliance, digest)
    plan = TrainingPlan.from_body(job["body"])
    for holder in plan.holders:
        spent = {entry["run"]: entry["disclosed"] for entry in alliance.node(holder, "quota")["score_vectors"]}
        shown = sum(one["holder"] == holder for one in record["disclosed"])
        assert spent == dict.fromkeys((calm["digest"], digest), shown), "trees that were routed, once for each run"


def result(job: Any) -> Any:
    """The record that the label holder signed."""
    (found,) = [d["body"]["record"] for d in job["documents"] if (d["kind"], d["signer"]) == ("train-result", "broker")]
    return found
