"""A label of three classes as three trained runs at the nodes, joined by the label holder into one class a client."""

import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from sklearn.metrics import accuracy_score

from ecowire import documents, outputs
from ecowire.documents import Body
from federation.errors import PartyFailed, TooFewRows
from federation.plan import TrainingPlan
from partner_node import cli_classes, consent, disclosure
from partner_node.classes_errors import RunsNotOfOneLabel
from partner_node.cli_common import Cli
from partner_node.errors import CommandInvalid, NoConsent, UnknownJob
from partner_node.labels_errors import LabelMatrixExpired, LabelMatrixMissing, NotLabelHolder
from partner_node.releases_errors import ModelAboveLimits
from tests.partner_node import alliance
from tests.partner_node import test_training as trained
from tests.partner_node.alliance import TestNode
from tests.partner_node.relay import MatchRelay

pytestmark = pytest.mark.slow_flow

CLIENTS = trained.CLIENTS
CLASSES = ("low", "mid", "high")
SPENT = "SCORE_BUDGET_EXCEEDED"


def taste_class(number: int) -> str:
    """A client's true class: a third of them each, by the taste that every party's columns tell something of."""
    source = random.Random(number)
    taste = source.gauss(0, 1) + random.Random(f"class{number}").gauss(0, 0.4)
    return CLASSES[int(taste > -0.5) + int(taste > 0.5)]


def weight_of(number: int) -> float:
    """Clients of a class that is hard to tell stand for more of the population."""
    return 1.0 + 2.0 * (taste_class(number) == "mid") + number % 3


def table(partner: str) -> str:
    """The columns of other tests; the broker's also with the class, and with one where some have none."""
    head, *rows = trained.table(partner).splitlines()
    if partner == "broker":
        head += ",CLASS,GAPS,WEIGHT"
        rows = [
            f"{row},{taste_class(n)},{'' if n == 9 else taste_class(n)},{weight_of(n)}" for n, row in enumerate(rows)
        ]
    return "\n".join([head, *rows]) + "\n"


def body_of(nodes: list[TestNode], match: str, name: str | None, **changes: Any) -> Body:
    label = {"partner": "broker", "asset": "clients", "column": changes.pop("column", "CLASS")}
    chosen = label if name is None else {**label, "positive": name}
    nonce = f"{sum(name.encode()) % 256:02x}" * 16 if name else "00" * 16
    return trained.plan_body(nodes, match, **{"label": chosen, "nonce": nonce, "score_budget": 6, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, tuple[str, ...]]:
    """Folders of the three nodes after an alignment and a run of each class; the match and the runs."""
    folder = tmp_path_factory.mktemp("classes")
    clock, authority, nodes = alliance.MovableClock(), alliance.TestAuthority(), []
    for name, columns in trained.COLUMNS.items():
        classes = dict.fromkeys((*columns, *(("CLASS", "GAPS", "WEIGHT") if name == "broker" else ())), "C2")
        node = alliance.make_node(folder, name, table(name), columns=classes, clock=clock, authority=authority)
        alliance.consent(node, range(CLIENTS))
        nodes.append(node)
    alliance.pin_all(nodes)
    match = alliance.propose(nodes, "match", alliance.match_body(nodes))
    MatchRelay(nodes, match, alliance.approve(nodes, match)).run()
    jobs = []
    for name in CLASSES:
        body = body_of(nodes, match, name)
        _, results = trained.run(nodes, body)
        assert results["broker"]["body"]["record"]["evaluation"]["label_class"] == name
        jobs.append(documents.digest("train", body))
    for node in nodes:
        node.parts.node.database.close()
    return folder, match, tuple(jobs)


@pytest.fixture
def ran(finished: tuple[Path, str, tuple[str, ...]], tmp_path: Path) -> tuple[list[TestNode], str, list[str]]:
    """The nodes of `finished`, in folders of their own."""
    folder, match, jobs = finished
    nodes = []
    for name in trained.COLUMNS:
        shutil.copytree(folder / name, tmp_path / name)
        nodes.append(alliance.open_node(name, tmp_path / name, alliance.MovableClock(), []))
    return nodes, match, list(jobs)


def matrix(node: TestNode, job: str) -> dict[str, dict[str, Any]]:
    file = node.parts.node.settings.results / f"label-matrix-{job[:16]}.parquet"
    return {row["client_id"]: row for row in pyarrow.parquet.read_table(file).to_pylist()}


def test_every_client_gets_the_class_with_the_largest_chance(
    ran: tuple[list[TestNode], str, list[str]], tmp_path: Path
) -> None:
    (broker, *_), _, jobs = ran
    file = tmp_path / "classes.parquet"
    found = broker.command("classes", runs=[job[:12] for job in jobs], to=str(file))
    rows = pyarrow.parquet.read_table(file).to_pylist()
    chances = [matrix(broker, job) for job in jobs]
    assert len(rows) == found["clients"] == CLIENTS and file.stat().st_mode & 0o777 == 0o600
    for row in rows:
        raw = np.array([one[row["client_id"]]["chance"] for one in chances])
        told = np.array([row[f"chance_{name}"] for name in CLASSES])
        assert np.allclose(told, raw / raw.sum()) and row["chance"] == told.max()
        assert row["class"] == CLASSES[int(raw.argmax())]
    assert [(run["class"], run["clients"]) for run in found["runs"]] == [
        (name, sum(row["class"] == name for row in rows)) for name in CLASSES
    ]


def test_figures_are_of_the_common_held_out_clients_against_their_true_class(
    ran: tuple[list[TestNode], str, list[str]], tmp_path: Path
) -> None:
    nodes, match, jobs = ran
    found = nodes[0].command("classes", runs=jobs, to=str(tmp_path / "classes.parquet"))
    rows = pyarrow.parquet.read_table(tmp_path / "classes.parquet").to_pylist()
    tokens = [one["token"] for one in matrix(nodes[0], jobs[0]).values()]
    test = TrainingPlan.from_body(body_of(nodes, match, "low")).test_mask(tokens)
    assert [row["test"] for row in rows] == test.tolist()
    truth = {alliance.resident_id(n): taste_class(n) for n in range(CLIENTS)}
    held = [row for row in rows if row["test"]]
    right = accuracy_score([truth[row["client_id"]] for row in held], [row["class"] for row in held])
    figures = found["figures"]
    assert figures["rows"] == test.sum() and figures["accuracy"]["value_ppm"] == pytest.approx(1e6 * right, abs=1)
    assert figures["accuracy"]["low_ppm"] > figures["base_accuracy_ppm"], "or the parties' columns tell nothing"
    assert figures["log_loss"]["high_ppm"] < figures["base_log_loss_ppm"]
    assert figures["macro_auc"]["low_ppm"] > 500_000
    alone = [np.array([row["chance_alone"] for row in matrix(nodes[0], job).values()]) for job in jobs]
    own = [CLASSES[place] for place in np.argmax(np.array(alone), axis=0)]
    clients = list(matrix(nodes[0], jobs[0]))
    by_own = accuracy_score([truth[c] for c, t in zip(clients, test, strict=True) if t], np.array(own)[test])
    assert figures["alone"]["accuracy"]["value_ppm"] == pytest.approx(1e6 * by_own, abs=1)
    assert figures["uplift"]["accuracy"]["value_ppm"] == pytest.approx(1e6 * (right - by_own), abs=2)
    assert figures["uplift"]["log_loss"]["low_ppm"] > 0, "or the others' columns tell nothing"
    shown = [cell for row in figures["cells"] for cell in row if cell is not None]
    assert all(cell >= 5 for cell in shown)


def test_who_withdrew_or_opted_out_is_in_no_file_and_every_reading_is_on_record(
    ran: tuple[list[TestNode], str, list[str]], tmp_path: Path
) -> None:
    (broker, *_), _, jobs = ran
    broker.command("consent.withdraw", client_id=alliance.resident_id(3))
    broker.command("labels.opt_out.add", client_ids=[alliance.resident_id(4), alliance.resident_id(3)])
    before = len(broker.parts.node.database.read(consent.answers))
    found = broker.command("classes", runs=jobs, to=str(tmp_path / "classes.parquet"))
    clients = set(pyarrow.parquet.read_table(tmp_path / "classes.parquet")["client_id"].to_pylist())
    assert not clients & {alliance.resident_id(3), alliance.resident_id(4)}
    assert (found["clients"], found["without_consent"], found["opted_out"]) == (CLIENTS - 2, 1, 1)
    answers = broker.parts.node.database.read(consent.answers)[before:]
    assert [(job, asset, outcome) for _, job, asset, outcome in answers] == [(jobs[0], "clients", "GRANTED")]
    for number in range(CLIENTS):
        broker.command("consent.withdraw", client_id=alliance.resident_id(number))
    with pytest.raises(NoConsent):
        broker.command("classes", runs=jobs)


def test_clients_of_no_runs_class_are_counted_and_in_no_figure(ran: tuple[list[TestNode], str, list[str]]) -> None:
    (broker, *_), _, jobs = ran
    whole, two = broker.command("classes", runs=jobs), broker.command("classes", runs=jobs[:2])
    assert (whole["of_no_class"], two["clients"]) == (0, CLIENTS)
    assert two["figures"]["rows"] + two["of_no_class"] == whole["figures"]["rows"]
    assert two["of_no_class"] > 0 and two["file"] is None


def test_too_few_held_out_clients_give_no_figures(ran: tuple[list[TestNode], str, list[str]]) -> None:
    (broker, *_), _, jobs = ran
    broker.command("labels.opt_out.add", client_ids=[alliance.resident_id(n) for n in range(60, CLIENTS)])
    with pytest.raises(TooFewRows):
        broker.command("classes", runs=jobs)


def test_files_of_before_have_no_figures_of_the_label_holder_alone(
    ran: tuple[list[TestNode], str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (broker, *_), _, jobs = ran
    file = broker.parts.node.settings.results / f"label-matrix-{jobs[0][:16]}.parquet"
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).drop_columns("chance_alone"), file)
    found = broker.command("classes", runs=jobs)
    assert found["figures"]["alone"] is None and found["figures"]["uplift"] is None
    monkeypatch.setattr(Cli, "call", lambda self, name, **arguments: broker.command(name, **arguments))
    shown = CliRunner().invoke(cli_classes.classes, jobs, catch_exceptions=False).output
    assert "of an earlier version" in shown


def test_survey_weights_of_the_plans_count_in_every_figure(
    ran: tuple[list[TestNode], str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, match, plain = ran
    jobs = []
    for name in CLASSES:
        body = body_of(nodes, match, name, survey_weights="WEIGHT", score_budget=20)
        trained.run(nodes, body)
        jobs.append(documents.digest("train", body))
    found = nodes[0].command("classes", runs=jobs, to=str(tmp_path / "classes.parquet"))
    rows = [row for row in pyarrow.parquet.read_table(tmp_path / "classes.parquet").to_pylist() if row["test"]]
    numbers = {alliance.resident_id(n): n for n in range(CLIENTS)}
    held = [numbers[row["client_id"]] for row in rows]
    right = accuracy_score(
        [taste_class(n) for n in held], [row["class"] for row in rows], sample_weight=[weight_of(n) for n in held]
    )
    assert found["survey_weights"] == "WEIGHT" and found["figures"]["rows"] == len(rows)
    assert found["figures"]["accuracy"]["value_ppm"] == pytest.approx(1e6 * right, abs=1)
    assert found["figures"]["accuracy"] != nodes[0].command("classes", runs=plain)["figures"]["accuracy"]
    with pytest.raises(RunsNotOfOneLabel, match="another column of survey weights"):
        nodes[0].command("classes", runs=[jobs[0], plain[1]])
    monkeypatch.setattr(Cli, "call", lambda self, name, **arguments: nodes[0].command(name, **arguments))
    shown = CliRunner().invoke(cli_classes.classes, jobs, catch_exceptions=False).output
    assert "by its weight in WEIGHT" in " ".join(shown.split())


def test_runs_that_are_not_of_one_label_are_refused_by_name(ran: tuple[list[TestNode], str, list[str]]) -> None:
    nodes, match, jobs = ran
    broker = nodes[0]
    with pytest.raises(RunsNotOfOneLabel, match=f"{jobs[1][:16]} .*its class is also that of another run"):
        broker.command("classes", runs=[jobs[0], jobs[1], jobs[1]])
    whys = {
        "another split_salt": body_of(nodes, match, "low", split_salt="22" * 16, score_budget=20),
        "another label column": body_of(nodes, match, "1", column="Y", score_budget=20),
    }
    for why, body in whys.items():
        trained.run(nodes, body)
        job = documents.digest("train", body)
        with pytest.raises(RunsNotOfOneLabel, match=f"{job[:16]} .*it has {why}"):
            broker.command("classes", runs=[jobs[1], job])
    plain = body_of(nodes, match, None, column="Y", score_budget=20)
    trained.run(nodes, plain)
    with pytest.raises(RunsNotOfOneLabel, match="predicts no class"):
        broker.command(
            "classes", runs=[documents.digest("train", whys["another label column"]), documents.digest("train", plain)]
        )


def test_only_the_label_holder_joins_and_only_while_scores_are_valid(
    ran: tuple[list[TestNode], str, list[str]], tmp_path: Path
) -> None:
    (broker, bank, _), match, jobs = ran
    with pytest.raises(NotLabelHolder):
        bank.command("classes", runs=jobs)
    with pytest.raises(NotLabelHolder):
        broker.command("classes", runs=[jobs[0], match])
    with pytest.raises(UnknownJob):
        broker.command("classes", runs=[jobs[0], "ee" * 32])
    for wrong in (jobs[:1], [], "runs", [*jobs, 3], jobs * 6):
        with pytest.raises(CommandInvalid):
            broker.command("classes", runs=wrong)
    with pytest.raises(outputs.OutputNotWritable, match=r"\.parquet"):
        broker.command("classes", runs=jobs, to=str(tmp_path / "classes.csv"))
    with pytest.raises(outputs.OutputNotWritable, match="its own files"):
        broker.command("classes", runs=jobs, to=str(broker.parts.node.settings.folder / "classes.parquet"))
    (tmp_path / "there.parquet").write_bytes(b"")
    with pytest.raises(outputs.OutputExists):
        broker.command("classes", runs=jobs, to=str(tmp_path / "there.parquet"))
    (broker.parts.node.settings.results / f"label-matrix-{jobs[2][:16]}.parquet").unlink()
    with pytest.raises(LabelMatrixMissing):
        broker.command("classes", runs=jobs)
    broker.clock.now += timedelta(days=31)
    with pytest.raises(LabelMatrixExpired):
        broker.command("classes", runs=jobs[:2])


def test_a_model_above_its_plans_limits_is_joined_to_nothing(ran: tuple[list[TestNode], str, list[str]]) -> None:
    nodes, match, jobs = ran
    limits = {**trained.LIMITS, "selection_gap_ppm": 0, "true_positive_gap_ppm": 0}
    body = body_of(nodes, match, "low", fairness=limits, score_budget=20)
    trained.run(nodes, body)
    with pytest.raises(ModelAboveLimits):
        nodes[0].command("classes", runs=[*jobs[1:], documents.digest("train", body)])


def test_each_class_pays_its_score_vectors_and_who_approves_reads_which_is_predicted(
    ran: tuple[list[TestNode], str, list[str]],
) -> None:
    nodes, match, _ = ran
    assert sum(line["disclosed"] for line in nodes[1].command("quota")["score_vectors"]) == 6
    fourth = body_of(nodes, match, "low", nonce="fe" * 16)
    assert nodes[1].command("job", job=alliance.propose(nodes, "train", fourth))["blocked"]["code"] == SPENT
    said = disclosure.sentences("train", fourth, "bank")
    assert any("holds low, as 0 where it holds anything else" in en and "low 的客户记为 1" in zh for en, zh in said)
    assert not any(
        "against the rest" in en for en, _ in disclosure.sentences("train", body_of(nodes, match, None), "bank")
    )


@pytest.mark.parametrize(
    ("name", "column", "code"),
    [("none", "CLASS", "LABEL_CLASS_ABSENT"), ("low", "GAPS", "COLUMN_HAS_GAPS"), ("0.5", "AGE", "LABEL")],
    ids=["a class nobody has", "a gap", "a feature"],
)
def test_a_label_that_has_no_such_class_ends_the_run(
    ran: tuple[list[TestNode], str, list[str]], name: str, column: str, code: str
) -> None:
    nodes, match, _ = ran
    body = body_of(nodes, match, name, column=column, score_budget=20)
    if column == "AGE":
        body["parties"][0]["columns"] = ["RISK"]  # type: ignore[index,call-overload]
    with pytest.raises(PartyFailed, match=code):
        trained.run(nodes, body)


@pytest.mark.parametrize(
    ("lang", "said"), [("en", ("given \\ true", "a constant", "uplift")), ("zh", ("给出 \\ 真实", "常数基线", "提升"))]
)
def test_people_read_it_in_their_language(
    ran: tuple[list[TestNode], str, list[str]], monkeypatch: pytest.MonkeyPatch, lang: str, said: tuple[str, ...]
) -> None:
    (broker, *_), _, jobs = ran
    monkeypatch.setattr(Cli, "call", lambda self, name, **arguments: broker.command(name, **arguments))
    shown = CliRunner().invoke(cli_classes.classes, [*jobs, "--lang", lang], catch_exceptions=False).output
    assert all(words in shown for words in (*said, *CLASSES))
    assert alliance.resident_id(7) not in shown
