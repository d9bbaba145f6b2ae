"""Released models at the label holder's node: whose steps it takes, whom it then gives labels, and what it compares."""

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ecowire import documents
from ecowire.documents import Signed
from ecowire.stream import FAILURE, Message
from federation import plan as plans
from federation import stability
from federation.release import in_release
from partner_node import label_matrix
from partner_node.grants import Gate
from partner_node.releases_errors import ModelAboveLimits, ModelNotReleased
from privacy import seal
from privacy.normalise import normalise
from tests.hub import registry
from tests.partner_node import alliance, labels
from tests.partner_node.alliance import PURPOSE, TestNode
from tests.partner_node.conftest import MakeNode
from tests.partner_node.labels import serves, step

ALL = 1_000_000
LIMITS = {"groups": ["sex"], "selection_gap_ppm": 100_000, "true_positive_gap_ppm": 500_000, "group_rows": 50}


@pytest.fixture
def nodes(make_node: MakeNode) -> list[TestNode]:
    broker = make_node("broker", labels.source(), labels.COLUMNS)
    alliance.consent(broker, range(labels.CLIENTS))
    return [broker, make_node("bank")]


@pytest.fixture
def node(nodes: list[TestNode]) -> TestNode:
    return nodes[0]


@pytest.fixture
def jobs(nodes: list[TestNode]) -> list[str]:
    """Two finished runs of one name, the earlier first."""
    bodies = [labels.plan_body(nodes, nonce=f"{number:032x}") for number in (1, 2)]
    return [labels.finished(nodes[0], body, labels.matrix(), released=False) for body in bodies]


def tell(node: TestNode, said: Signed) -> Message:
    head: Any = {"step": said.to_value()}
    return node.ask(Message(id=f"{said.digest[:32]}-model-step", kind="model.step", head=head))


def deliver(node: TestNode, job: str) -> set[str]:
    """The clients who have a label now."""
    found = node.command("labels.deliver", run=job, format="csv", **labels.DEFINITE)
    with Path(found["file"]).open(encoding="utf-8", newline="") as file:
        return {row["client_id"] for row in csv.DictReader(file)}


def drawn(node: TestNode, share: int) -> set[str]:
    """The clients who are in a release, by the key under which the node keeps consent."""
    ids = [alliance.resident_id(number) for number in range(labels.CLIENTS)]
    gate = Gate(secret=b"", client_key=node.parts.node.keys.consent, database=node.parts.node.database)
    keys = gate.row_keys([normalise("resident_id", client) for client in ids])
    return {client for client, key in zip(ids, keys, strict=True) if in_release(key, bytes.fromhex(labels.SALT), share)}


# --- who gets labels


def test_a_run_that_no_step_of_the_hub_names_gives_no_labels(node: TestNode, jobs: list[str]) -> None:
    with pytest.raises(ModelNotReleased):
        deliver(node, jobs[0])


@pytest.fixture
def unfair(nodes: list[TestNode]) -> tuple[TestNode, str]:
    """A run whose gap is above the plan's limit by the record that the node itself signed, and its job."""
    body = labels.plan_body(nodes, fairness=LIMITS)
    plan = plans.read(body)
    assert isinstance(plan, plans.TrainingPlan)
    verdict = registry.gaps(plan, 0.2)
    return nodes[0], labels.finished(nodes[0], body, labels.matrix(), released=False, fairness=verdict)


def test_a_model_above_the_limits_of_its_plan_gives_no_labels_whatever_the_hub_signed(
    unfair: tuple[TestNode, str],
) -> None:
    node, job = unfair
    assert tell(node, step(job, serves(job))).kind != FAILURE
    with pytest.raises(ModelAboveLimits, match="selection"):
        deliver(node, job)


def test_a_record_without_the_verdict_that_its_plan_asks_for_gives_no_labels(nodes: list[TestNode]) -> None:
    job = labels.finished(nodes[0], labels.plan_body(nodes, fairness=LIMITS), labels.matrix())
    with pytest.raises(ModelAboveLimits):
        deliver(nodes[0], job)


def test_a_registered_model_that_is_not_released_gives_no_labels(node: TestNode, jobs: list[str]) -> None:
    tell(node, step(jobs[0], action="register"))
    with pytest.raises(ModelNotReleased):
        deliver(node, jobs[0])


def test_a_release_gives_labels_to_its_share_of_clients_and_the_one_before_to_the_others(
    node: TestNode, jobs: list[str]
) -> None:
    first = step(jobs[0], serves(jobs[0], salt="77" * 16))
    tell(node, first)
    everybody = deliver(node, jobs[0])
    tried = (serves(jobs[1], 300_000), serves(jobs[0], salt="77" * 16))
    tell(node, step(jobs[1], *tried, number=2, before=first.digest))
    newer, older = deliver(node, jobs[1]), deliver(node, jobs[0])
    assert newer == everybody & drawn(node, 300_000)
    assert older == everybody - newer
    assert newer and older


def test_a_raised_share_keeps_the_clients_it_had(node: TestNode, jobs: list[str]) -> None:
    first = step(jobs[0], serves(jobs[0], 300_000))
    tell(node, first)
    few = deliver(node, jobs[0])
    tell(node, step(jobs[0], serves(jobs[0], 700_000), number=2, before=first.digest))
    assert few < deliver(node, jobs[0])


def test_after_a_rollback_the_model_gives_no_more_labels(node: TestNode, jobs: list[str]) -> None:
    first = step(jobs[1], serves(jobs[1]))
    tell(node, first)
    tell(node, step(jobs[1], serves(jobs[0]), number=2, before=first.digest, action="rollback"))
    with pytest.raises(ModelNotReleased):
        deliver(node, jobs[1])
    assert deliver(node, jobs[0])


def test_the_record_names_the_newest_step_that_the_hub_had_told(node: TestNode, jobs: list[str]) -> None:
    """A hub that withheld a rollback till then is found out by its own signed steps beside the node's record."""
    first = step(jobs[0], serves(jobs[0], 300_000))
    second = step(jobs[0], serves(jobs[0], 700_000), number=2, before=first.digest)
    for said in (first, second):
        tell(node, said)
        deliver(node, jobs[0])
    assert [one["step"] for one in node.command("labels.history")["deliveries"]] == [first.digest, second.digest]


def test_labels_of_a_retired_model_are_withdrawn_by_delivering_its_run_again(
    node: TestNode, jobs: list[str], tmp_path: Path
) -> None:
    path, first = tmp_path / "crm.sqlite", step(jobs[0], serves(jobs[0]))
    tell(node, first)
    assert table(node, jobs[0], path) and deliver(node, jobs[0])
    tell(node, step(jobs[0], number=2, before=first.digest, action="retire"))
    assert table(node, jobs[0], path) == {}
    assert deliver(node, jobs[0]) == set()


def table(node: TestNode, job: str, path: Path) -> dict[str, set[str]]:
    """Whose labels stand in the CRM's table after a delivery, by the model that gave them."""
    node.command("labels.deliver", run=job, format="sqlite", to=str(path), **labels.DEFINITE)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT client_id, delivery FROM client_label WHERE state = 'given'").fetchall()
    known = {d["delivery"][:16]: d["run"] for d in node.command("labels.history")["deliveries"]}
    found: dict[str, set[str]] = {}
    for client, delivery in rows:
        found.setdefault(known[delivery], set()).add(client)
    return found


def test_in_one_table_the_labels_of_two_releases_stand_beside_each_other(
    node: TestNode, jobs: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "crm.sqlite"
    first = step(jobs[0], serves(jobs[0], salt="77" * 16))
    tell(node, first)
    everybody = table(node, jobs[0], path)[jobs[0]]
    shares = (serves(jobs[1], 300_000), serves(jobs[0], salt="77" * 16))
    tried = step(jobs[1], *shares, number=2, before=first.digest)
    tell(node, tried)
    few = everybody & drawn(node, 300_000)
    for job in (jobs[1], jobs[0], jobs[1]):
        assert table(node, job, path) == {jobs[1]: few, jobs[0]: everybody - few}
    back = step(jobs[1], serves(jobs[0], salt="77" * 16), number=3, before=tried.digest, action="rollback")
    tell(node, back)
    assert table(node, jobs[0], path) == {jobs[0]: everybody}


def test_a_client_whom_no_release_serves_loses_the_label(node: TestNode, jobs: list[str], tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    first = step(jobs[0], serves(jobs[0]))
    tell(node, first)
    everybody = table(node, jobs[0], path)[jobs[0]]
    tell(node, step(jobs[0], serves(jobs[0], 300_000), number=2, before=first.digest))
    assert table(node, jobs[0], path) == {jobs[0]: everybody & drawn(node, 300_000)}


# --- whose steps are taken


def test_an_older_step_that_comes_late_changes_nothing(node: TestNode, jobs: list[str]) -> None:
    first = step(jobs[0], serves(jobs[0], 300_000))
    tell(node, step(jobs[0], serves(jobs[0]), number=2, before=first.digest))
    everybody = deliver(node, jobs[0])
    assert tell(node, first).kind != FAILURE
    assert deliver(node, jobs[0]) == everybody


def test_another_step_of_a_number_is_a_hub_that_told_two_stories(node: TestNode, jobs: list[str]) -> None:
    first = step(jobs[0], serves(jobs[0], 300_000))
    tell(node, first)
    for other in (
        step(jobs[0], serves(jobs[0], 400_000)),
        step(jobs[0], serves(jobs[0], 400_000), number=2, before="00" * 32),
    ):
        reply = tell(node, other)
        assert (reply.kind, reply.head["code"]) == (FAILURE, "MODEL_STEP_REFUSED")


OTHER_KEY = seal.SigningKey(bytes(range(32)))
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "under another key": ({"key": OTHER_KEY}, "BAD_SIGNATURE"),
    "signed by a partner": ({"signer": "bank"}, "MODEL_STEP_REFUSED"),
    "of another label holder": ({"label_holder": "bank"}, "MODEL_STEP_REFUSED"),
    "of another name": ({"name": "sales/broker/Y"}, "MODEL_STEP_REFUSED"),
    "of an unknown run": ({"job": "ee" * 32}, "UNKNOWN_JOB"),
    "number 0": ({"number": 0}, "MALFORMED_MESSAGE"),
    "a number that is a truth value": ({"number": True}, "MALFORMED_MESSAGE"),
    "a field more": ({"note": "x"}, "MALFORMED_MESSAGE"),
    "serving no list": ({"serving": "all"}, "MALFORMED_MESSAGE"),
    "three serving": ({"serving": [serves("aa" * 32, share) for share in (1, 2, ALL)]}, "MALFORMED_MESSAGE"),
    "two of a share": ({"serving": [serves("aa" * 32, 1), serves("bb" * 32, 2)]}, "MALFORMED_MESSAGE"),
    "two of all": ({"serving": [serves("aa" * 32), serves("bb" * 32)]}, "MALFORMED_MESSAGE"),
    "the whole first": ({"serving": [serves("aa" * 32), serves("bb" * 32, 1)]}, "MALFORMED_MESSAGE"),
    "share 0": ({"serving": [serves("aa" * 32, 0)]}, "MALFORMED_MESSAGE"),
    "a share above all": ({"serving": [serves("aa" * 32, ALL + 1)]}, "MALFORMED_MESSAGE"),
    "a share that is a truth value": ({"serving": [serves("aa" * 32, True)]}, "MALFORMED_MESSAGE"),
    "a short salt": ({"serving": [serves("aa" * 32, salt="5a")]}, "MALFORMED_MESSAGE"),
    "a salt that is a number": ({"serving": [serves("aa" * 32, salt=5)]}, "MALFORMED_MESSAGE"),
    "a run that is no digest": ({"serving": [serves("me")]}, "MALFORMED_IDENTIFIER"),
    "a release with a field more": ({"serving": [serves("aa" * 32, note="x")]}, "MALFORMED_MESSAGE"),
}


@pytest.mark.parametrize(("change", "code"), BAD.values(), ids=BAD)
def test_a_bad_step_is_refused_and_nothing_is_kept(
    node: TestNode, jobs: list[str], change: dict[str, Any], code: str
) -> None:
    given = {"job": jobs[0], **change}
    job = given.pop("job")
    reply = tell(node, step(job, serves(jobs[0], 1), **given))
    assert (reply.kind, reply.head.get("code")) == (FAILURE, code)
    with pytest.raises(ModelNotReleased):  # as before any step
        deliver(node, jobs[0])


def test_a_feature_holder_takes_no_step(nodes: list[TestNode]) -> None:
    body = labels.plan_body(nodes)
    job = labels.finished(nodes[1], body, None, role="feature_holder")
    assert tell(nodes[1], step(job, serves(job))).head["code"] == "MODEL_STEP_REFUSED"


# --- the stability index


def run_of(nodes: list[TestNode], number: int, chances: np.ndarray, **changes: Any) -> str:
    """A finished run whose model gave these chances."""
    count = len(chances)
    result: Any = SimpleNamespace(
        model_digest=labels.MODEL,
        matrix=SimpleNamespace(
            tokens=tuple(f"{n:032x}" for n in range(count)),
            scores=np.log(chances / (1 - chances)),
            chances=chances,
            alone=chances,
            deciles=np.ones(count, dtype=np.int8),
        ),
    )
    ids = [f"client-{n}" for n in range(count)]
    data = label_matrix.encode(
        result,
        ids,
        ["2027-01-01T00:00:00+00:00"] * count,
        reasons=["[]"] * count,
        purpose=PURPOSE,
        valid_until="2026-12-30T08:00:00+00:00",
    )
    return labels.finished(nodes[0], labels.plan_body(nodes, nonce=f"{number:032x}", **changes), data)


def ask(node: TestNode, job: str, before: str) -> Message:
    head: Any = {"job": job, "before": before}
    return node.ask(Message(id=f"{job[:32]}-stability-{before[:32]}", kind="model.stability", head=head))


def test_the_node_signs_the_index_of_its_two_matrices(nodes: list[TestNode]) -> None:
    draw = np.random.default_rng(1)
    before, after = draw.uniform(0.1, 0.9, 600), draw.uniform(0.3, 0.9, 600)
    earlier, later = run_of(nodes, 1, before), run_of(nodes, 2, after)
    reply = ask(nodes[0], later, earlier)
    signed = documents.parse(reply.head["stability"], kind="model-stability")
    signed.verify(nodes[0].parts.node.keys.signing.public)
    value: Any = signed.body["stability"]
    assert stability.read(value) == stability.compare(before, after, 50)
    assert (signed.body["job"], signed.body["before"], signed.body["partner"]) == (later, earlier, "broker")
    assert {len(signed.body), len(value)} == {5, 6}


def test_of_few_clients_nothing_is_told(node: TestNode, jobs: list[str]) -> None:
    reply = ask(node, jobs[1], jobs[0])
    assert documents.parse(reply.head["stability"]).body["stability"] is None


def test_runs_of_two_names_or_one_run_with_itself_are_not_compared(nodes: list[TestNode]) -> None:
    chances = np.linspace(0.1, 0.9, 200)
    here, there = run_of(nodes, 1, chances), run_of(nodes, 2, chances, purpose="sales")
    for pair in ((here, there), (here, here)):
        assert ask(nodes[0], *pair).head["code"] == "MODEL_STEP_REFUSED"


def test_a_run_without_its_matrix_is_not_compared(nodes: list[TestNode], jobs: list[str]) -> None:
    labels.matrix_file(nodes[0], jobs[0]).unlink()
    assert ask(nodes[0], jobs[1], jobs[0]).head["code"] == "LABEL_MATRIX_MISSING"
