"""Receipts of contributions at the nodes: signed by the label holder, checked and kept by whoever is paid by them."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ecowire import documents
from ecowire.documents import Signed
from ecowire.stream import FAILURE, Message
from federation import contribution
from federation.errors import ContributionInvalid
from federation.vertical import receipt
from partner_node import disclosure
from partner_node.errors import UnknownJob
from partner_node.explain_errors import ContributionMissing
from privacy import canonical
from privacy.seal import BadSignature
from tests.partner_node import test_training as trained
from tests.partner_node.alliance import TestNode
from tests.partner_node.test_training import aligned, template  # noqa: F401 - fixtures
from tests.partner_node.test_training_trees import OPTIONS, TREES

pytestmark = pytest.mark.slow_flow


@pytest.fixture
def ran(aligned: tuple[list[TestNode], str]) -> tuple[list[TestNode], Signed]:  # noqa: F811
    """The nodes after a run that asks for contribution, and its receipt from the label holder's result."""
    nodes, match = aligned
    body = trained.plan_body(nodes, match, contribution=True)
    _, results = trained.run(nodes, body)
    return nodes, documents.parse(results["broker"]["body"]["contribution"], kind="contribution")


def give(node: TestNode, signed: Signed, number: int = 0) -> str:
    """The hub passes a receipt on; "" or the code of the node's refusal."""
    request = Message(id=f"contribution-{number}", kind="contribution", head={"contribution": signed.to_value()})
    reply = node.ask(request)
    return str(reply.head["code"]) if reply.kind == FAILURE else ""


def show(node: TestNode, job: object) -> dict[str, Any]:
    found: dict[str, Any] = node.command("contribution", job=job)
    return found


def test_every_party_shows_the_same_receipt(ran: tuple[list[TestNode], Signed]) -> None:
    nodes, signed = ran
    job = signed.body["job"]
    for node in nodes[1:]:
        with pytest.raises(ContributionMissing):
            show(node, job)
        assert give(node, signed) == ""
    for node in nodes:
        found = show(node, str(job)[:12])
        assert found["receipt"] == signed.to_value()
        assert Path(found["file"]).stat().st_mode & 0o777 == 0o600
    weights = signed.body["contribution"]["weights_ppm"]  # type: ignore[index,call-overload]
    assert weights is None or sum(weights.values()) == 1_000_000


def test_a_run_of_trees_leaves_a_receipt_of_every_coalitions_trees(
    aligned: tuple[list[TestNode], str],  # noqa: F811
) -> None:
    nodes, match = aligned
    compared = {**TREES, "trees": {**OPTIONS, "variants": "coalitions"}}
    body = trained.plan_body(nodes, match, **compared, contribution=True, score_budget=6)
    _, results = trained.run(nodes, body)
    signed = documents.parse(results["broker"]["body"]["contribution"], kind="contribution")
    assert give(nodes[1], signed) == ""
    for node in nodes[:2]:
        found = show(node, signed.body["job"])["receipt"]["body"]["contribution"]
        assert found["method"] == contribution.BY_SCORES
        assert [one["holders"] for one in found["parts"][0]["errors_ppm"]] == [
            [], ["bank"], ["platform"], ["bank", "platform"],
        ]  # fmt: skip
    (said,) = [pair for pair in disclosure.sentences("train", body, "bank") if "contribution" in pair[0]]
    assert "model with every subset of bank, platform" in said[0] and "任一子集所得模型" in said[1]


def test_a_run_that_asks_for_none_leaves_none(aligned: tuple[list[TestNode], str]) -> None:  # noqa: F811
    nodes, match = aligned
    body = trained.plan_body(nodes, match)
    _, results = trained.run(nodes, body)
    assert "contribution" not in results["broker"]["body"]
    for node in nodes:
        with pytest.raises(ContributionMissing):
            show(node, documents.digest("train", body))
    with pytest.raises(UnknownJob):
        show(nodes[0], "00" * 32)


def test_who_approves_is_told_of_the_held_out_moments(aligned: tuple[list[TestNode], str]) -> None:  # noqa: F811
    nodes, match = aligned
    for asked in (True, False):
        said = disclosure.sentences("train", trained.plan_body(nodes, match, contribution=asked), "bank")
        assert any("over the held-out clients too" in en and "留出客户" in zh for en, zh in said) is asked


def signed_again(nodes: list[TestNode], signed: Signed, signer: int, **changes: Any) -> Signed:
    node = nodes[signer].parts.node
    body = {**copy.deepcopy(signed.body), **changes}
    return documents.sign("contribution", body, node.settings.partner, node.keys.signing)


def test_a_node_refuses_what_does_not_hold(ran: tuple[list[TestNode], Signed]) -> None:
    nodes, signed = ran
    bank = nodes[1]
    measured: Any = copy.deepcopy(signed.body["contribution"])
    measured["weights_ppm"] = {"bank": 0, "platform": 1_000_000}
    weights: Any = {**signed.body["weights_digests"], "bank": "00" * 32}  # type: ignore[dict-item]
    others = (
        signed_again(nodes, signed, 0, contribution=measured),
        signed_again(nodes, signed, 0, weights_digests=weights),
        signed_again(nodes, signed, 0, model="trees"),
        signed_again(nodes, signed, 2),  # by a party that is paid by it
    )
    for number, other in enumerate(others):
        assert give(bank, other, number) == "CONTRIBUTION_INVALID"
    altered = Signed(kind="contribution", body={**signed.body, "time": "x"}, signer=signed.signer, signature="0" * 128)
    assert give(bank, altered, 9) == "BAD_SIGNATURE"
    with pytest.raises(ContributionMissing):
        show(bank, signed.body["job"])


def test_a_kept_receipt_is_checked_whenever_it_is_shown(ran: tuple[list[TestNode], Signed]) -> None:
    nodes, signed = ran
    found = show(nodes[0], signed.body["job"])
    value = json.loads(Path(found["file"]).read_bytes())
    value["body"]["contribution"]["parts"][0]["errors_ppm"][0]["ppm"] += 1
    Path(found["file"]).write_bytes(canonical.encode(value))
    with pytest.raises(BadSignature):
        show(nodes[0], signed.body["job"])
    Path(found["file"]).write_text("not a receipt")
    with pytest.raises(ContributionInvalid):
        show(nodes[0], signed.body["job"])


def test_the_receipt_names_run_model_and_record(ran: tuple[list[TestNode], Signed]) -> None:
    nodes, signed = ran
    result = nodes[0].parts.node.database.read(lambda session: trained.store.result(session, str(signed.body["job"])))
    assert result is not None
    record: Any = result.document.body["record"]
    assert signed.body["record"] == receipt.record_digest(record)
    assert signed.body["model_digest"] == record["model_digest"]
    assert signed.body["weights_digests"] == record["weights_digests"]


def test_of_a_refined_scorecard_the_receipt_is_that_of_its_moments(
    aligned: tuple[list[TestNode], str],  # noqa: F811
) -> None:
    """Bound to the refined weights that the holders were left with; measured on the scorecard they began from."""
    nodes, match = aligned
    rounds = {"rounds": 3, "plateau_ppm": 0, "beyond_cap": True}
    changes: dict[str, Any] = {"contribution": True, "validation": {"folds": 2}, "score_budget": 20}
    _, refined = trained.run(nodes, trained.plan_body(nodes, match, model="logistic", logistic=rounds, **changes))
    signed = documents.parse(refined["broker"]["body"]["contribution"], kind="contribution")
    assert signed.body["model"] == "logistic"
    for node in nodes[1:]:
        assert give(node, signed) == ""
    _, plain = trained.run(nodes, trained.plan_body(nodes, match, nonce="01" * 16, **changes))
    said: Any = signed.body["contribution"]
    assert plain["broker"]["body"]["contribution"]["body"]["contribution"]["parts"] == said["parts"]
