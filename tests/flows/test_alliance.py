"""The main job over real processes, step by step, each result against an oracle that owns all the data.

Setting up (keys, CA, invites, enrolment, certificates, pinned cards) is done by the commands that people use; see
`launch_alliance.found`. The tests of this module are one story: they run in order and share what came before.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from contracts.keys import parse_address
from federation import features
from federation.plan import TrainingPlan
from sandbox import world
from sandbox.processes import run
from tests.support import launch_alliance, launch_settle
from tests.support.launch_alliance import PARTNERS, Alliance

pytestmark = pytest.mark.flow
TRAINERS = ("broker", "bank", "platform")


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    """What earlier steps found."""
    return {}


def consenting(alliance: Alliance, *partners: str) -> set[str]:
    """The clients all these partners have, that consented: by set intersection over their files."""
    known = [set(launch_alliance.rows(alliance.world.partners[name].source)) for name in partners]
    return {client for client in set.intersection(*known) if world.consents(client)}


def documents(job: Any, kind: str) -> dict[str, Any]:
    return {document["signer"]: document["body"] for document in job["documents"] if document["kind"] == kind}


def pooled(
    alliance: Alliance, plan: TrainingPlan, order: Mapping[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """(scores, label, test rows) of the same model by one ridge regression over everybody's rows, intercept free."""
    test = plan.test_mask([*order])
    parts, label = [], np.zeros(len(order), bool)
    for party in plan.parties:
        rows = launch_alliance.rows(alliance.world.partners[party.partner].source)
        raw = {name: np.array([float(rows[client][name]) for client in order.values()]) for name in party.columns}
        parts.append(features.prepare(raw, party.columns, ~test, plan.rare_rows, coding=plan.coding).scaled)
        if party.partner == plan.label_holder:
            label = np.array([rows[client][plan.label_column] == "1" for client in order.values()])
    matrix = np.hstack([np.ones((len(order), 1)), *parts])
    penalty = np.diag([0.0] + [plan.ridge_milli / 1000] * (matrix.shape[1] - 1))
    train = matrix[~test]
    weights = np.linalg.solve(train.T @ train / 4 + penalty, train.T @ (label[~test] - 0.5))
    return matrix @ weights, label, test


def auc(label: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """By its definition: the share of (positive, negative) pairs in right order, ties counting half."""
    positive, negative = scores[label][:, None], scores[~label][None, :]
    return float(((positive > negative) + 0.5 * (positive == negative)).mean())


def test_all_are_enrolled_connected_and_have_pinned_each_other(alliance: Alliance) -> None:
    assert set(alliance.call("operator", "whoami")["connected"]) == set(PARTNERS)
    listed = {item["partner"]: item for item in alliance.call("data", "partners")["partners"]}
    for name in PARTNERS:
        (asset,) = listed[name]["assets"]["body"]["assets"]
        assert set(asset["columns"]) == set(alliance.world.partners[name].classes)
        rows = len(launch_alliance.rows(alliance.world.partners[name].source))
        low, high = map(int, asset["rows"].split("-"))
        assert low <= rows <= high and high > 1.9 * low, "a band and no count"
        assert set(alliance.node(name, "status")["peers"]) == set(PARTNERS) - {name}


def test_the_count_is_the_size_of_the_set_intersection(alliance: Alliance) -> None:
    job = alliance.run_job("data", "match", launch_alliance.match_body("count", "broker", "insurer"))
    results = documents(job, "match-result")
    assert results["broker"]["count"] == len(consenting(alliance, "broker", "insurer"))
    assert results["insurer"]["count"] is None, "a follower learns nothing"


def test_the_alignment_is_the_set_intersection_in_one_order(alliance: Alliance, story: dict[str, Any]) -> None:
    job = alliance.run_job("data", "match", launch_alliance.match_body("align", *TRAINERS))
    orders = {name: alliance.aligned(name, job["digest"]) for name in TRAINERS}
    assert orders["broker"] == orders["bank"] == orders["platform"]
    assert set(orders["broker"].values()) == consenting(alliance, *TRAINERS)
    assert [*orders["broker"]] == [*orders["bank"]] == sorted(orders["broker"]), "one order, which tells nothing"
    story |= {"alignment": job["digest"], "order": orders["broker"]}


def test_the_joint_model_is_the_model_of_the_pooled_rows(alliance: Alliance, story: dict[str, Any]) -> None:
    job = alliance.run_job("data", "train", launch_alliance.train_body(story["alignment"]))
    record = documents(job, "train-result")["broker"]["record"]
    assert record["suppressed_cells"] == 0 and [*documents(job, "model-record")] == ["hub"]
    (file,) = (alliance.world.node_folder("broker") / "results").glob("label-matrix-*.parquet")
    matrix = pyarrow.parquet.read_table(file).to_pydict()
    assert dict(zip(matrix["token"], matrix["client_id"], strict=True)) == story["order"]
    scores, label, test = pooled(alliance, TrainingPlan.from_body(job["body"]), story["order"])
    found = np.array(matrix["score"])
    # two holders round their shares of each score to multiples of 2^-6: half a step each
    assert np.abs(found - scores).max() <= 2.0**-6
    assert record["variants"][-1]["auc"]["value_ppm"] == round(auc(label[test], found[test]) * 1_000_000)
    assert (record["train_rows"], record["test_rows"]) == ((~test).sum(), test.sum())
    story |= {"train": job["digest"], "label": label[test], "chance": np.array(matrix["chance"])[test]}


def test_the_report_shows_the_baseline_beside_every_partner(
    alliance: Alliance, story: dict[str, Any], tmp_path: Path
) -> None:
    page, person = tmp_path / "profile.html", str(alliance.world.person_config("data"))
    shown = run("data", "profile", "report", story["train"][:12], "--html", str(page), "--config", person).check()
    flat = " ".join(shown.stdout.split())
    assert "platform added to broker alone: AUC " in flat and f"{len(story['label'])}, " in flat
    assert "AGE" in flat and page.read_text().count("<svg") == 3
    told = run("data", "train", "report", story["train"][:12], "--json", "--config", person).check().json
    assert [variant["holders"] for variant in told["record"]["variants"]] == [
        [], ["bank"], ["platform"], ["bank", "platform"],
    ]  # fmt: skip
    full, clients = told["record"]["variants"][-1], len(story["label"])
    assert full["brier"]["value_ppm"] == round(((story["chance"] - story["label"]) ** 2).mean() * 1_000_000)
    assert sum(band["rows"] for band in full["bands"]) == clients
    assert min(band["rows"] for band in full["bands"]) >= 100, "the plan's rare_rows"
    assert run("data", "profile", "report", story["alignment"], "--config", person).exit_code == 2


def test_every_party_reads_the_same_contributions_and_the_label_holder_explains_a_client(
    alliance: Alliance, story: dict[str, Any]
) -> None:
    folds = {"contribution": True, "validation": {"folds": 2}, "rare_rows": 50, "split_salt": "5b" * 16}
    body = launch_alliance.train_body(story["alignment"], **folds)
    job, person = alliance.run_job("data", "train", body)["digest"], str(alliance.world.person_config("data"))
    asked = ("data", "profile", "contribution", job[:12], "--verify", "--json", "--config", person)
    told = run(*asked).check().json
    assert told["verified"]
    assert told["weights_ppm"] is None or sum(told["weights_ppm"].values()) == 1_000_000
    for name in TRAINERS:
        shown = launch_alliance.wait(
            lambda name=name: alliance.node(name, "contribution", job=job), f"{name}'s receipt"
        )
        assert shown["receipt"] == told["receipt"]
    shares = alliance.node("broker", "importance", job=job)["parties_ppm"]
    assert sum(shares.values()) == pytest.approx(1_000_000, abs=3)
    found = alliance.node("broker", "explain", job=job, client=next(iter(story["order"].values())))
    points = sum(point["micro"] for point in found["points"])
    assert found["base_micro"] + points + found["remainder_micro"] == found["log_odds_micro"]


def test_one_month_is_settled_as_worked_out_by_hand(alliance: Alliance, story: dict[str, Any]) -> None:
    month = launch_settle.month(alliance.folder, story["order"].values())
    agreement = launch_settle.agree(alliance)
    launch_settle.report(alliance, agreement, month, story["alignment"])
    identifier = launch_settle.close(alliance, month)
    launch_settle.confirm(alliance, identifier)
    assert launch_settle.settle(alliance, identifier) == "PROPOSED"
    launch_settle.dispute(alliance, identifier)
    decided = launch_settle.dismiss(alliance, identifier)
    assert (decided["role"], decided["state"]) == ("partner", "PROPOSED")
    assert launch_settle.settle(alliance, identifier) == "PROPOSED", "what the arbiter decided"
    assert launch_settle.settle(alliance, identifier) == "FINAL", "at once: its window is over"
    found, body = alliance.call_body("finance", "statement", {"statement": identifier})
    lines = {line["event"]: line for line in json.loads(body)}
    assert {name: line["verdict"] for name, line in lines.items()} == launch_settle.VERDICTS
    amounts = {name: line["amount_minor"] for name, line in lines.items() if line["verdict"].startswith("COUNTED")}
    assert amounts == launch_settle.AMOUNTS_FEN
    assert found["total_minor"] == found["payable_minor"] == launch_settle.TOTAL_FEN
    story |= {"statement": identifier, "anchor": found["anchor"], "month": month, "agreement": agreement}


def test_the_journal_balances_and_the_chain_says_final(alliance: Alliance, story: dict[str, Any]) -> None:
    books = alliance.call("finance", "ledger")
    balances = {line["account"]: (line["debit_minor"], line["credit_minor"]) for line in books["balances"]}
    total = launch_settle.TOTAL_FEN
    assert balances == {"expense:partner_share": (total, 0), "liability:payable:platform": (0, total)}
    assert not books["pending"]
    contract = parse_address(alliance.world.contract)
    with Chain(alliance.world.endpoint, world.CHAIN_ID) as chain:
        count, newest = chain_settlement.last(chain, contract, bytes.fromhex(story["anchor"]["partner"]))
        assert (count, chain_settlement.state(chain, contract, newest).state) == (1, "FINAL")


def test_the_payment_file_pays_the_total_once(alliance: Alliance, story: dict[str, Any]) -> None:
    _, data = alliance.call_body("finance", "pay", {"period": story["month"].period})
    header, row = data.decode("utf-8-sig").strip().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["amount"] == "51.01"


def test_the_evidence_is_examined_without_findings(alliance: Alliance, story: dict[str, Any], tmp_path: Path) -> None:
    made = alliance.call("operator", "checkpoint")["checkpoints"]
    assert {item["log"] for item in made} == {"audit", "chain"}
    assert all(set(item["cosigned"]) == set(PARTNERS) for item in made)
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(alliance.call_body("regulator", "bundle", {"period": story["month"].period})[1])
    parts = []
    for name in PARTNERS:
        parts.append(str(tmp_path / f"{name}.toml"))
        Path(parts[-1]).write_text(alliance.node(name, "trust.export")["toml"])
    trust = tmp_path / "trust.toml"
    run("regulator", "trust", "merge", *parts, "--out", str(trust)).check()
    assert len(tomllib.loads(trust.read_text())["signer"]) == len(PARTNERS)
    examined = run("regulator", "examine", str(bundle), "--trust", str(trust), "--json", cwd=tmp_path)
    assert examined.exit_code == 0, examined.stdout
    altered = bytearray(bundle.read_bytes())
    altered[altered.index(b'"amount_minor":5000') + len(b'"amount_minor":')] ^= 1
    bundle.write_bytes(altered)
    found = run("regulator", "examine", str(bundle), "--trust", str(trust), "--json", cwd=tmp_path)
    assert found.exit_code == 1 and story["statement"] in found.stdout
