"""Horizontal runs at the nodes: the hub's real ServerApp asks real nodes, over a channel without a network."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from ecowire import documents
from ecowire.stream import Message
from federation.horizontal.results import Model
from partner_node import sessions, store, upkeep
from partner_node.round_keys import RoundKeys
from privacy.ids import Digest
from tests.partner_node import alliance, horizontal
from tests.partner_node.alliance import TestNode
from tests.partner_node.horizontal import BANKS, CLIENTS, Run


@pytest.fixture
def banks(tmp_path: Path) -> list[TestNode]:
    return horizontal.make_banks(tmp_path)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Any]:
    """A run that nobody disturbed, and its result."""
    nodes = horizontal.make_banks(tmp_path_factory.mktemp("ended"))
    run = Run(nodes, horizontal.plan_body(nodes))
    return run, run.lead()


def kept(node: TestNode, job: str) -> dict[str, bytes]:
    return dict(RoundKeys(node.parts.node.database, Digest(job)))


def end_message(job: str, state: str = "COMPLETED") -> Message:
    return Message(id=f"{job[:32]}-ended", kind="job.ended", head={"job": job, "state": state, "reason": {}})


# --- a whole run


def test_a_run_leaves_signed_figures_at_the_hub_and_scores_at_each_node(ended: tuple[Run, Any]) -> None:
    run, found = ended
    assert set(found.told) == set(BANKS)
    for bank, node in enumerate(run.nodes):
        signed = documents.parse(found.told[node.partner], kind="train-result")
        signed.verify(node.parts.node.keys.signing.public)
        assert (signed.signer, signed.body["job"], signed.body["role"]) == (node.partner, run.job, "trainer")
        record: Any = signed.body["record"]
        assert record["model_digest"] == found.model.digest
        assert record["rows_train"] + record["rows_validation"] + record["rows_test"] == CLIENTS
        assert record["auc"]["joint_ppm"] > 700_000
        result = node.parts.node.database.read(lambda s: store.result(s, run.job))
        assert result is not None and result.document == signed
        folder = node.parts.node.settings.results
        assert Model.decode((folder / f"model-{run.job[:16]}.bin").read_bytes()).digest == found.model.digest
        scores = pyarrow.parquet.read_table(folder / str(result.file))
        assert set(scores["client_id"].to_pylist()) == {alliance.resident_id(n) for n in horizontal.clients(bank)}
        assert np.allclose(np.array(scores["joint_0"]) + np.array(scores["joint_1"]), 1)
        assert set(scores["valid_until"].to_pylist()) == {"2026-10-31T08:00:00+00:00"}
        assert (folder / str(result.file)).stat().st_mode & 0o777 == 0o600


def test_restarts_before_every_request_change_no_bit(ended: tuple[Run, Any], tmp_path: Path) -> None:
    nodes = horizontal.make_banks(tmp_path)
    run = Run(nodes, horizontal.plan_body(nodes))
    run.channel.restart = True
    assert run.job == ended[0].job
    assert run.lead().model.encode() == ended[1].model.encode()


def test_a_repeated_request_gets_the_same_bytes_after_a_restart(ended: tuple[Run, Any]) -> None:
    run = ended[0]
    for name, request in run.channel.requests:
        assert run.node(name).ask(request).body == run.channel.answers[request.id]
    run.channel.by_name["bank-d"] = run.node("bank-d").reopened()
    for name, request in run.channel.requests:
        if name == "bank-d":
            assert run.node(name).ask(request).body == run.channel.answers[request.id]


def test_the_hub_is_told_no_update_weight_or_count(ended: tuple[Run, Any]) -> None:
    """Of a node's training nothing leaves but an upload: its header and a ciphertext."""
    from federation import grid

    run = ended[0]
    trained = [(m.id, m.head["phase"]) for _, m in run.channel.requests if m.head["phase"] in ("train", "statistics")]
    assert len(trained) == 4 * (1 + run.plan.training.rounds)
    for identifier, _ in trained:
        content = grid.decode(run.channel.answers[identifier]).content  # type: ignore[arg-type]
        assert {name: set(record) for name, record in content.items()} == {
            "upload": {"header", "signature", "ciphertext"}
        }


@pytest.mark.slow_flow
def test_a_run_with_a_dealer_begins_at_the_others_with_what_they_hold(tmp_path: Path) -> None:
    nodes = horizontal.make_banks(tmp_path, BANKS[:3])
    engine = {"name": "paillier", "dealer": "bank-b", "bits": 3072}
    run = Run(nodes, horizontal.plan_body(nodes, engine=engine))
    found = run.lead()
    assert set(found.told) == set(BANKS[:3])
    first = {name: next(m.head["phase"] for n, m in run.channel.requests if n == name) for name in BANKS[:3]}
    assert first == {"bank-a": "hold", "bank-b": "deal", "bank-c": "hold"}
    assert found.figures.rows == sum(found.told[name]["body"]["record"]["rows_test"] for name in BANKS[:3])


# --- the end


def test_the_end_of_a_job_deletes_its_keys(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    run.lead()
    node = run.node("bank-a")
    before = kept(node, run.job)
    assert before
    node.ask(end_message(run.job))
    assert kept(node, run.job) == {}
    assert node.parts.node.database.read(sessions.running) == []
    files = b"".join(path.read_bytes() for path in node.parts.node.settings.folder.glob("node.db*"))
    shares = [value for name, value in before.items() if name.startswith(("own/", "share/"))]
    assert not any(secret[64 : 64 + 16] in files for secret in shares)
    request = next(m for n, m in run.channel.requests if n == "bank-a" and m.head["phase"] == "deal")
    again = Message(id="another id", kind="flower", head=request.head, body=request.body)
    assert node.ask(again).head["code"] == "JOB_OVER"
    assert node.reopened().command("status")["running"] == []


def test_expiry_deletes_the_keys_of_a_run_nobody_ended(banks: list[TestNode]) -> None:
    run = Run(banks, horizontal.plan_body(banks))
    run.lead()
    node = run.node("bank-b")
    assert upkeep.drop_ended(node.parts.node.database, node.clock()) == 0
    node.clock.now += timedelta(days=8)
    assert upkeep.drop_ended(node.parts.node.database, node.clock()) == 1
    assert kept(node, run.job) == {}


def test_an_end_before_the_beginning_leaves_no_session(banks: list[TestNode]) -> None:
    job = alliance.propose(banks, "train", horizontal.plan_body(banks))
    banks[0].ask(end_message(job, "CANCELLED"))
    assert banks[0].parts.node.database.read(sessions.begun) == []


# --- a vertical and a horizontal plan beside each other


def test_shapes_do_not_get_mixed_up(banks: list[TestNode]) -> None:
    body: Any = horizontal.plan_body(banks)
    del body["shape"]
    job = alliance.propose(banks, "train", body)
    assert banks[0].command("job", job=job)["blocked"]["code"] == "PLAN_INVALID"
