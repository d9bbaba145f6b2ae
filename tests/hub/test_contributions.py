"""The receipt of contributions at the hub: kept with its leaf and passed on, or the run has failed."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ecowire import documents
from federation import contribution
from federation.errors import ContributionInvalid
from federation.plan import TrainingPlan
from federation.vertical import LabelResult, receipt
from hub import cli_jobs
from hub.cli_profile import profile
from hub.contribution_report import NoContribution
from hub.records import Head, Proposal
from privacy.seal import BadSignature
from tests.hub import test_training as trained
from tests.hub.alliance import Hub, hub_without_ports

pytestmark = pytest.mark.slow_flow

Change = Callable[[Hub, Head], Head | None]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *trained.NAMES) as made:
        yield made


class Node(trained.Node):
    """A party whose result holds the receipt, changed by `change` before it is signed."""

    change: Change | None = None
    signer = "broker"

    def result(self, record: Head) -> Any:
        found = self.session.result()
        if isinstance(found, LabelResult):
            body = receipt.body(self.plan, found, "2026-11-22T00:00:00+00:00")
            if body is not None and self.change is not None:
                body = self.change(self.hub, copy.deepcopy(body))
            if body is not None:
                signed = self.hub.parties[self.signer].sign("contribution", body)
                self.changes = {"contribution": signed.to_value()}
        return super().result(record)


def run(hub: Hub, change: Change | None = None, signer: str = "broker", **changes: Any) -> Proposal:
    job = trained.approve(hub, trained.propose(hub, **changes))
    nodes = trained.Nodes(hub, job)
    plan = TrainingPlan.from_body(job.body)
    for name in nodes.nodes:
        nodes.nodes[name] = node = Node(hub, plan, name)
        node.change, node.signer = change, signer
    return trained.finish(hub, job, nodes)


def asked(hub: Hub) -> dict[str, Head]:
    found = hub.store.read("tasks", lambda tx: tx.tasks.of_job("", kind="contribution"))
    return {task.node: task.head for task in found}


def test_a_receipt_is_kept_and_passed_on(hub: Hub) -> None:
    done = run(hub, contribution=True)
    assert (done.state, done.reason) == ("COMPLETED", {})
    kept = trained.results(hub, done)["contribution/broker"]
    kept.verify(bytes.fromhex(str(done.party_bodies[0]["signing"])))
    made = receipt.check(kept.body, TrainingPlan.from_body(done.body))
    assert made.holders == ("bank", "platform")
    assert made.weights_ppm is not None and sum(made.weights_ppm.values()) == 1_000_000
    assert ("contribution", done.digest) in hub.leaves()
    told = asked(hub)
    assert set(told) == {"bank", "platform"}
    for head in told.values():
        assert documents.parse(head["contribution"]) == kept


def test_a_plan_that_asks_for_none_gets_none(hub: Hub) -> None:
    done = run(hub)
    assert done.state == "COMPLETED"
    assert "contribution/broker" not in trained.results(hub, done)
    assert not asked(hub)


def _weights(_: Hub, body: Any) -> Head:
    body["contribution"]["weights_ppm"] = {"bank": 999_999, "platform": 1}
    return dict(body)


def _errors(_: Hub, body: Any) -> Head:
    body["contribution"]["parts"][0]["errors_ppm"][1]["ppm"] -= 1
    return dict(body)


def _recomputed(_: Hub, body: Any) -> Head:
    """Errors that favour one side, with all that follows from them: only another record would bear it out."""
    value = body["contribution"]
    part = value["parts"][0]
    errors = {tuple(one["holders"]): one["ppm"] for one in part["errors_ppm"]}
    made = contribution.Contribution(
        label_holder="broker",
        holders=("bank", "platform"),
        parts=(contribution.Part(name="held", rows=part["rows"] + 1, errors_ppm=errors),),
        key=bytes.fromhex(body["job"]),
    )
    return {**body, "contribution": made.to_value(), "test_rows": part["rows"] + 1}


def _model(_: Hub, body: Any) -> Head:
    return {**body, "model_digest": "00" * 32}


def _other_run(_: Hub, body: Any) -> Head:
    return {**body, "job": "11" * 32}


def _missing(_: Hub, body: Any) -> None:
    return None


def _more(_: Hub, body: Any) -> Head:
    return {**body, "bonus": 1}


@pytest.mark.parametrize("change", [_weights, _errors, _recomputed, _model, _other_run, _missing, _more])
def test_a_receipt_that_does_not_hold_ends_the_run(hub: Hub, change: Change) -> None:
    done = run(hub, change, contribution=True)
    assert (done.state, done.reason["code"]) == ("FAILED", "TRAIN_RESULT_INVALID")
    assert not trained.results(hub, done)
    assert not asked(hub)


def test_a_receipt_signed_by_who_is_paid_by_it_ends_the_run(hub: Hub) -> None:
    done = run(hub, signer="bank", contribution=True)
    assert (done.state, done.reason["code"]) == ("FAILED", "TRAIN_RESULT_INVALID")


@pytest.fixture
def found(hub: Hub) -> Any:
    """The completed job as the hub's `job` command gives it."""
    done = run(hub, contribution=True)
    kept = [document.to_value() for document in trained.results(hub, done).values()]
    return {"digest": done.digest, "kind": "train", "state": done.state, "body": done.body, "documents": kept}


def _of(found: Any, kind: str) -> Any:
    return next(one for one in found["documents"] if one["kind"] == kind and one["signer"] == "broker")


def shown(found: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(cli_jobs, "job_of", lambda cli, job: found)
    return CliRunner().invoke(profile, ["contribution", found["digest"][:12], *arguments])


def test_people_see_the_weights_and_that_they_hold(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(shown(found, monkeypatch, "--verify", "--json").output)
    assert told["verified"] and sum(told["weights_ppm"].values()) == 1_000_000
    assert told["receipt"] == _of(found, "contribution")
    english = shown(found, monkeypatch, "--verify").output
    assert "Shapley value" in english and "verified: signed by broker" in english
    chinese = shown(found, monkeypatch, "--lang", "zh").output
    assert "伙伴" in chinese and "留出客户" in chinese and "verified" not in chinese


GROWN = {
    "trees": 3, "depth": 2, "rate_milli": 300, "leaf_rows": 20, "sample_ppm": 1_000_000, "columns_ppm": 1_000_000,
    "patience": 0, "variants": "partners",
}  # fmt: skip
ROUNDS = {"rounds": 2, "plateau_ppm": 0, "beyond_cap": True, "variants": "partners"}
BY_SCORES: dict[str, dict[str, Any]] = {
    "trees": {"model": "trees", "bins": 8, "trees": GROWN},
    "logistic": {"model": "logistic", "logistic": ROUNDS},
}


@pytest.mark.parametrize("model", BY_SCORES)
def test_contribution_by_scores_is_shown_and_verified_likewise(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    done = run(hub, contribution=True, **BY_SCORES[model])
    assert (done.state, done.reason) == ("COMPLETED", {})
    kept = [document.to_value() for document in trained.results(hub, done).values()]
    body = {"digest": done.digest, "kind": "train", "state": done.state, "body": done.body, "documents": kept}
    told = json.loads(shown(body, monkeypatch, "--verify", "--json").output)
    assert told["verified"] and told["receipt"]["body"]["contribution"]["method"] == contribution.BY_SCORES
    assert told["weights_ppm"] is None or sum(told["weights_ppm"].values()) == 1_000_000
    for lang, said in (("en", f"a model {model} of its own"), ("zh", f"{model} 模型")):
        assert said in shown(body, monkeypatch, "--verify", "--lang", lang).output.replace("\n", " ")


def _body(found: Any) -> None:
    found["body"]["purpose"] = "another"


def _record(found: Any) -> None:
    _of(found, "train-result")["body"]["record"]["test_rows"] += 1


def _signature(found: Any) -> None:
    _of(found, "contribution")["signature"] = "00" * 64


def _time(found: Any) -> None:
    _of(found, "contribution")["body"]["time"] = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("alter", [_body, _record, _signature, _time])
def test_what_the_hub_alters_is_found(
    found: Any, monkeypatch: pytest.MonkeyPatch, alter: Callable[[Any], None]
) -> None:
    alter(found)
    refused = shown(found, monkeypatch, "--verify").exception
    assert isinstance(refused, ContributionInvalid | BadSignature)


def test_a_run_without_contribution_says_so(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found["documents"] = [one for one in found["documents"] if one["kind"] != "contribution"]
    assert isinstance(shown(found, monkeypatch).exception, NoContribution)
    monkeypatch.setitem(found, "state", "RUNNING")
    assert isinstance(shown(found, monkeypatch).exception, cli_jobs.ResultMissing)
