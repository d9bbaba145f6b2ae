"""A leader and label holder asks twice: two alignments that differ in one client, the same tokens and split.

The leader draws the tokens and decides which clients are common, so nothing in the protocol keeps it from this, and
both plans are honest by their fields. The count of a 0/1 column in one run less that in the other is the client's
value; a feature holder reads the client's label likewise.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecowire.documents import Body
from federation import features
from federation.errors import PartyFailed
from federation.plan import TrainingPlan
from partner_node import sessions
from partner_node.training_errors import BinsTooAlike, RunsTooAlike
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestNode
from tests.partner_node.relay import DirectChannel
from tests.partner_node.test_training import COLUMNS, plan_body, run, template, train

pytestmark = pytest.mark.slow_flow

__all__ = ["template"]


@pytest.fixture
def aligned(template: tuple[Path, str], tmp_path: Path) -> tuple[list[TestNode], str]:
    folder, match = template
    clock, nodes = MovableClock(), []
    for name in COLUMNS:
        shutil.copytree(folder / name, tmp_path / name)
        nodes.append(alliance.open_node(name, tmp_path / name, clock, []))
    return nodes, match


def realign(nodes: list[TestNode], match: str, leave_out: int, held_out: bool = False) -> str:
    """What the malicious leader's second alignment leaves at the nodes: fewer train clients, the same tokens."""
    second = alliance.propose(nodes, "match", alliance.match_body(nodes, nonce="22" * 16))
    plan = TrainingPlan.from_body(plan_body(nodes, match))
    for node in nodes:
        database = node.parts.node.database
        rows = database.read(lambda session: sessions.alignment(session, match))
        places = np.flatnonzero(plan.test_mask([row.token for row in rows]) == held_out)[:leave_out]
        kept = [row for place, row in enumerate(rows) if place not in set(places.tolist())]
        database.write("align", lambda session, kept=kept: sessions.keep_alignment(session, second, kept))
    return second


def test_what_the_difference_of_two_counts_tells() -> None:
    """The attack on paper: without the rule one client's value is the difference of two published counts."""
    column = np.array([[0], [1]] * 150)
    for left_out in (4, 5):
        counts = [features.binary_levels(rows)[0][2] for rows in (column, np.delete(column, left_out, axis=0))]
        assert counts[0] - counts[1] == column[left_out, 0]


@pytest.mark.parametrize("victim", [0, 1], ids=["label", "features"])
def test_a_second_run_over_all_clients_but_one_is_not_approved(
    aligned: tuple[list[TestNode], str], victim: int
) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match))
    second = alliance.propose(nodes, "train", plan_body(nodes, realign(nodes, match, 1)))
    assert nodes[victim].command("job", job=second)["blocked"]["code"] == "RUNS_TOO_ALIKE"
    with pytest.raises(RunsTooAlike, match="by 1 only"):
        nodes[victim].command("approve", job=second, person="officer")


def test_a_second_run_over_folds_that_differ_by_one_client_is_not_approved(
    aligned: tuple[list[TestNode], str],
) -> None:
    """All train clients are the same; the client that left is a held-out one, whose moments both runs exchange."""
    nodes, match = aligned
    folds = {"validation": {"folds": 2}, "contribution": True, "minimum_rows": 100, "rare_rows": 40}
    run(nodes, plan_body(nodes, match, **folds))
    second = alliance.propose(nodes, "train", plan_body(nodes, realign(nodes, match, 1, held_out=True), **folds))
    for node in nodes[:2]:
        assert node.command("job", job=second)["blocked"]["code"] == "RUNS_TOO_ALIKE"
    with pytest.raises(RunsTooAlike, match="by 1 only"):
        nodes[1].command("approve", job=second, person="officer")


def test_a_second_run_over_the_same_clients_in_other_bins_is_not_approved(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    bodies = []
    for bins in (4, 5):
        body = plan_body(nodes, match, bins=bins, nonce=f"{bins:032x}", minimum_rows=100, rare_rows=40)
        for party in body["parties"]:
            party["binned"] = ["SAVING"] if party["partner"] == "bank" else []
        bodies.append(body)
    run(nodes, bodies[0])
    second = alliance.propose(nodes, "train", bodies[1])
    nodes[0].command("approve", job=second, person="officer")  # the broker's columns are in no bins
    with pytest.raises(BinsTooAlike, match="SAVING"):
        nodes[1].command("approve", job=second, person="officer")


def test_two_plans_approved_before_either_ran_do_not_both_run(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    bodies: list[Body] = [plan_body(nodes, match), plan_body(nodes, realign(nodes, match, 1))]
    approvals = [alliance.approve(nodes, alliance.propose(nodes, "train", body)) for body in bodies]
    train(nodes, bodies[0], DirectChannel(nodes, approvals[0]))
    with pytest.raises(PartyFailed, match="RUNS_TOO_ALIKE"):
        train(nodes, bodies[1], DirectChannel(nodes, approvals[1]))


@pytest.mark.parametrize(
    "change", [{}, {"split_salt": "33" * 16}, {"left_out": 50}], ids=["same clients", "another split", "fifty others"]
)
def test_runs_that_tell_about_many_or_nothing_new_are_approved(
    aligned: tuple[list[TestNode], str], change: dict[str, Any]
) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match))
    left_out = change.pop("left_out", 1 if change else 0)
    other = realign(nodes, match, left_out) if left_out else match
    job = alliance.propose(nodes, "train", plan_body(nodes, other, nonce="44" * 16, **change))
    for node in nodes:
        node.command("approve", job=job, person="officer")
