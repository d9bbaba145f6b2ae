"""Explanations at the label holder's node: they add up to the score, change what they say, and stop at consent."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from ecowire import documents
from federation.errors import BoundsInvalid
from federation.metrics import sigmoid
from federation.vertical.part import ModelPart
from partner_node import cli_explain, consent, explain_basis
from partner_node.cli_common import Cli
from partner_node.errors import AlignmentTooOld, ClientNotInRun, CommandInvalid
from partner_node.explain_errors import (
    ColumnNotActionable,
    ExplanationMissing,
    ExplanationUnreadable,
    OwnValuesChanged,
)
from partner_node.labels_errors import LabelMatrixExpired, NotLabelHolder
from privacy import packing
from tests.partner_node import alliance
from tests.partner_node import test_training as trained
from tests.partner_node.alliance import TestNode
from tests.partner_node.test_training import template  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow_flow


@pytest.fixture(scope="module")
def finished(template: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:  # noqa: F811
    """Folders of the nodes after a run, and the run."""
    folder, match = template
    home = tmp_path_factory.mktemp("explained")
    nodes = opened(folder, home)
    body = trained.plan_body(nodes, match)
    trained.run(nodes, body)
    for node in nodes:
        node.parts.node.database.close()
    return home, documents.digest("train", body)


def opened(folder: Path, home: Path) -> list[TestNode]:
    """The nodes of a folder, in folders of their own."""
    nodes = []
    for name in trained.COLUMNS:
        trained.shutil.copytree(folder / name, home / name)
        nodes.append(alliance.open_node(name, home / name, alliance.MovableClock(), []))
    return nodes


@pytest.fixture
def ran(finished: tuple[Path, str], tmp_path: Path) -> tuple[list[TestNode], str]:
    folder, job = finished
    return opened(folder, tmp_path), job


def matrix(node: TestNode) -> dict[str, dict[str, Any]]:
    (file,) = node.parts.node.settings.results.glob("label-matrix-*.parquet")
    return {row["client_id"]: row for row in pyarrow.parquet.read_table(file).to_pylist()}


def part(node: TestNode) -> ModelPart:
    (file,) = node.parts.node.settings.results.glob("model-*.bin")
    return ModelPart.decode(file.read_bytes())


def own_values(number: int) -> dict[str, np.ndarray]:
    """A client's own columns at the broker, as its table has them."""
    head, *rows = trained.table("broker").splitlines()
    cells = dict(zip(head.split(","), rows[number].split(","), strict=True))
    return {name: np.array([float(cells[name])]) for name in ("AGE", "RISK")}


def test_an_explanation_adds_up_to_the_score_that_was_delivered(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    rows = matrix(broker)
    for number in (0, 7, 399):
        client = alliance.resident_id(number)
        found = broker.command("explain", job=job[:12], client=client)
        total = found["base_micro"] + sum(one["micro"] for one in found["points"]) + found["remainder_micro"]
        assert total == found["log_odds_micro"]
        chance = rows[client]["chance"]
        assert found["chance_ppm"] == round(chance * 1e6)
        assert found["log_odds_micro"] == pytest.approx(1e6 * np.log(chance / (1 - chance)), abs=2)
        assert [one["column"] for one in found["points"]] in (["AGE", "RISK"], ["RISK", "AGE"])
        assert found["others"] == ["bank", "platform"]
        assert "SAVING" not in json.dumps(found) and client not in json.dumps(found)
        reasons = json.loads(rows[client]["reasons"])
        assert [one["en"] for one in reasons] == [one["en"] for one in found["reasons"]][: len(reasons)]
        assert [one["points"] for one in reasons] == [round(one["micro"] / 1e6, 2) for one in found["points"]]


def test_what_a_counterfactual_says_reaches_the_chance_when_it_is_done(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    model, client = part(broker), alliance.resident_id(7)
    found = broker.command("explain", job=job, client=client)
    target = min(found["chance_ppm"] + 100_000, 950_000)
    told = broker.command("explain", job=job, client=client, target_ppm=target, actionable=["AGE", "RISK"])
    (file,) = broker.parts.node.settings.results.glob("explain-*.bin")
    line = explain_basis.decode(file.read_bytes(), "-").line
    before = own_values(7)
    changed = {one["column"]: np.array([float(one["then"])]) for one in told["counterfactual"]["changes"]}
    gained = float((model.shares({**before, **changed}, 1) - model.shares(before, 1))[0])
    score = matrix(broker)[client]["score"] + gained
    assert told["counterfactual"]["reached"]
    assert 1e6 * float(sigmoid(line.log_odds(np.array(score)))) >= target - 2


def test_bounds_and_directions_hold(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    client, age = alliance.resident_id(7), float(own_values(7)["AGE"][0])

    def told(*columns: str) -> Any:
        ask = {"client": client, "target_ppm": 990_000, "actionable": list(columns)}
        return broker.command("explain", job=job, **ask)["counterfactual"]

    for said, low, high in (
        ("AGE+", age, 1e9),
        ("AGE-", -1e9, age),
        (f"AGE={age - 0.5}..{age + 0.5}", age - 0.5, age + 0.5),
    ):
        found = told(said)
        assert not found["reached"]
        assert all(low <= float(one["then"]) <= high for one in found["changes"])
    with pytest.raises(BoundsInvalid):
        told("AGE=9..1")


@pytest.mark.parametrize(
    ("columns", "why"),
    [(["SAVING"], "bank"), (["Y"], "does not use"), (["NOBODY"], "does not use"), (["AGE", "SPEND"], "platform")],
)
def test_of_other_columns_their_owner_is_to_be_asked(
    ran: tuple[list[TestNode], str], columns: list[str], why: str
) -> None:
    (broker, *_), job = ran
    with pytest.raises(ColumnNotActionable, match=why):
        broker.command("explain", job=job, client=alliance.resident_id(7), target_ppm=500_000, actionable=columns)


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_ppm": 0, "actionable": ["AGE"]},
        {"target_ppm": 1_000_000, "actionable": ["AGE"]},
        {"target_ppm": 0.5, "actionable": ["AGE"]},
        {"target_ppm": 500_000},
        {"actionable": ["AGE"]},
        {"target_ppm": 500_000, "actionable": "AGE"},
        {"target_ppm": 500_000, "actionable": ["AGE=1"]},
        {"target_ppm": 500_000, "actionable": ["AGE=a..b"]},
        {"target_ppm": 500_000, "actionable": ["AGE+", "RISK", "AGE=30..60"]},
    ],
    ids=[
        "no chance",
        "certain",
        "a fraction",
        "no columns",
        "no target",
        "text",
        "one bound",
        "bounds of text",
        "a column twice",
    ],
)
def test_a_question_of_another_form_is_refused(ran: tuple[list[TestNode], str], wrong: dict[str, Any]) -> None:
    (broker, *_), job = ran
    with pytest.raises(CommandInvalid):
        broker.command("explain", job=job, client=alliance.resident_id(7), **wrong)


def test_a_client_who_withdrew_is_not_explained_and_every_look_is_on_record(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    client = alliance.resident_id(7)
    before = broker.parts.node.database.read(consent.answers)
    broker.command("explain", job=job, client=client)
    broker.command("consent.withdraw", client_id=client, purpose=None, id_type="resident_id")
    with pytest.raises(AlignmentTooOld):
        broker.command("explain", job=job, client=client)
    broker.command("explain", job=job, client=alliance.resident_id(8))  # the others still are
    after = broker.parts.node.database.read(consent.answers)
    assert [(run, asset, outcome) for _, run, asset, outcome in after[len(before) :]] == 3 * [
        (job, "clients", "GRANTED")
    ]
    with pytest.raises(ClientNotInRun):
        broker.command("explain", job=job, client=alliance.resident_id(trained.CLIENTS + 5))


def test_values_that_changed_since_explain_nothing(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    (source,) = (Path(asset.source) for asset in broker.parts.node.settings.assets)
    lines = source.read_text().splitlines()
    cells, place = lines[8].split(","), lines[0].split(",").index("AGE")
    cells[place] = str(float(cells[place]) + 0.3)
    lines[8] = ",".join(cells)
    source.write_text("\n".join(lines) + "\n")
    with pytest.raises(OwnValuesChanged):
        broker.command("explain", job=job, client=alliance.resident_id(7))
    broker.command("explain", job=job, client=alliance.resident_id(8))


def test_explanations_end_with_the_scores_and_not_with_the_proposal(ran: tuple[list[TestNode], str]) -> None:
    (broker, *_), job = ran
    broker.clock.now += timedelta(days=20)  # the proposal has expired, the scores have not
    assert broker.command("explain", job=job, client=alliance.resident_id(7))["points"]
    broker.clock.now += timedelta(days=11)
    with pytest.raises(LabelMatrixExpired):
        broker.command("explain", job=job, client=alliance.resident_id(7))


def test_only_the_label_holder_explains_and_everybody_sees_what_its_own_columns_weigh(
    ran: tuple[list[TestNode], str],
) -> None:
    (broker, bank, platform), job = ran
    with pytest.raises(NotLabelHolder):
        bank.command("explain", job=job, client=alliance.resident_id(7))
    found = broker.command("importance", job=job)
    assert sum(found["parties_ppm"].values()) == pytest.approx(1_000_000, abs=3)
    assert set(found["own_ppm"]) == set(found["strengths_micro"]) == {"AGE", "RISK"}
    for node, columns in ((bank, {"SAVING", "INCOME"}), (platform, {"SPEND", "TRAVEL"})):
        own = node.command("importance", job=job)
        assert set(own) == {"job", "model", "strengths_micro"}
        assert set(own["strengths_micro"]) == columns
    with pytest.raises(ExplanationMissing):
        broker.command("importance", job=next(iter(jobs(broker, "match"))))


def jobs(node: TestNode, kind: str) -> list[str]:
    return [one["job"] for one in node.command("jobs")["jobs"] if one["kind"] == kind]


def _other_model(value: Any) -> None:
    value["model"] = "00" * 32


def _version(value: Any) -> None:
    value["version"] = 2


def _ranges(value: Any) -> None:
    value["ranges"] = value["ranges"][:1]


@pytest.mark.parametrize("alter", [_other_model, _version, _ranges])
def test_a_file_that_is_not_of_the_run_explains_nothing(ran: tuple[list[TestNode], str], alter: Any) -> None:
    (broker, *_), job = ran
    (file,) = broker.parts.node.settings.results.glob("explain-*.bin")
    value = packing.unpack(file.read_bytes())
    alter(value)
    file.write_bytes(packing.pack(value))
    with pytest.raises(ExplanationUnreadable):
        broker.command("explain", job=job, client=alliance.resident_id(7))
    file.unlink()
    with pytest.raises(ExplanationMissing):
        broker.command("explain", job=job, client=alliance.resident_id(7))


@pytest.mark.parametrize(
    ("lang", "said"), [("en", ("ask their owners", "is reached", "own column")), ("zh", ("询问", "可达到", "自有字段"))]
)
def test_people_read_it_in_their_language(
    ran: tuple[list[TestNode], str], monkeypatch: pytest.MonkeyPatch, lang: str, said: tuple[str, ...]
) -> None:
    (broker, *_), job = ran
    monkeypatch.setattr(Cli, "call", lambda self, name, **arguments: broker.command(name, **arguments))
    asked = ["--client", alliance.resident_id(7), "--target-chance", "0.86", "--actionable", "AGE,RISK+"]
    shown = CliRunner().invoke(cli_explain.explain, [job, *asked, "--lang", lang], catch_exceptions=False).output
    assert all(words in shown for words in said)
    assert alliance.resident_id(7) not in shown
    weighed = CliRunner().invoke(cli_explain.importance, [job, "--lang", lang], catch_exceptions=False).output
    assert "platform" in weighed and "RISK" in weighed and "SAVING" not in weighed


@pytest.mark.parametrize("chance", ["0", "1", "high", "-0.5", "nan", "sNaN", "inf"])
def test_a_target_that_is_no_chance_is_a_wrong_option(chance: str) -> None:
    found = CliRunner().invoke(cli_explain.explain, ["ab" * 32, "--client", "x", "--target-chance", chance])
    assert found.exit_code == 2
    assert "--target-chance" in found.output


ROUNDS = {"model": "logistic", "logistic": {"rounds": 3, "plateau_ppm": 0, "beyond_cap": True}, "score_budget": 20}


@pytest.mark.parametrize("changes", [ROUNDS, {"bins": 4}], ids=["refined by rounds", "binned columns"])
def test_other_scorecards_are_explained_likewise(
    template: tuple[Path, str],  # noqa: F811
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    folder, match = template
    broker, *others = nodes = opened(folder, tmp_path)
    body = trained.plan_body(nodes, match, nonce="01" * 16, **changes)
    if "bins" in changes:
        for party in body["parties"]:  # type: ignore[union-attr]
            party["binned"] = party["columns"][:1]  # type: ignore[index,call-overload]
    trained.run(nodes, body)
    job, client = documents.digest("train", body), alliance.resident_id(7)
    found = broker.command("explain", job=job, client=client)
    total = found["base_micro"] + sum(one["micro"] for one in found["points"]) + found["remainder_micro"]
    assert total == found["log_odds_micro"]
    assert found["chance_ppm"] == round(matrix(broker)[client]["chance"] * 1e6)
    told = broker.command("explain", job=job, client=client, target_ppm=300_000, actionable=["AGE"])["counterfactual"]
    model, before = part(broker), own_values(7)
    changed = {one["column"]: np.array([float(one["then"])]) for one in told["changes"]}
    gained = float((model.shares({**before, **changed}, 1) - model.shares(before, 1))[0])
    (file,) = broker.parts.node.settings.results.glob("explain-*.bin")
    line = explain_basis.decode(file.read_bytes(), "-").line
    reached = float(sigmoid(line.log_odds(np.array(matrix(broker)[client]["score"] + gained))))
    assert told["changes"] and reached == pytest.approx(told["chance_ppm"] / 1e6, abs=2e-6)
    for node in others:
        assert node.command("importance", job=job)["strengths_micro"]
