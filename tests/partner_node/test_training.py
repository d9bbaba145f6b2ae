"""Training at the nodes: Flower's ServerApp runs as at the hub, over a channel that asks the nodes directly."""

import json
import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from flwr.app import Context, RecordDict

from ecowire import documents
from ecowire.documents import Body
from ecowire.status import code_of
from ecowire.stream import Message
from federation import apps, grid
from federation.errors import PartyFailed
from federation.plan import TrainingPlan
from partner_node import disclosure, sessions, store
from partner_node.errors import ColumnNotOffered
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import DirectChannel, MatchRelay

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

CLIENTS = 700
SPENT = "SCORE_BUDGET_EXCEEDED"
COLUMNS = {"broker": ("SEX", "AGE", "RISK", "WGT", "Y"), "bank": ("SAVING", "INCOME"), "platform": ("SPEND", "TRAVEL")}


def table(partner: str) -> str:
    """Columns that depend on a client's hidden taste for investing, so that each party adds something."""
    rows = [",".join(["client_id", *COLUMNS[partner]])]
    for n in range(CLIENTS):
        source = random.Random(n)
        taste = source.gauss(0, 1)
        noise = random.Random(f"{partner}{n}")
        values = [round(taste + noise.gauss(0, 1.5), 4) for _ in COLUMNS[partner]]
        cells = [str(value) for value in values]
        if partner == "broker":
            cells[0] = "F" if n % 2 else "M"
            cells[-2] = str(round(source.uniform(0.5, 3.0), 4))
            cells[-1] = str(int(taste + source.gauss(0, 0.7) > 0))
        rows.append(",".join([alliance.resident_id(n), *cells]))
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folders of broker, bank and platform after an alignment of all 700 clients; the match's digest."""
    folder = tmp_path_factory.mktemp("aligned")
    clock, authority = MovableClock(), TestAuthority()
    nodes = []
    for name, columns in COLUMNS.items():
        classes = dict.fromkeys(columns, "C2")
        node = alliance.make_node(folder, name, table(name), columns=classes, clock=clock, authority=authority)
        alliance.consent(node, range(CLIENTS))
        nodes.append(node)
    alliance.pin_all(nodes)
    match = alliance.propose(nodes, "match", alliance.match_body(nodes))
    MatchRelay(nodes, match, alliance.approve(nodes, match)).run()
    for node in nodes:
        node.parts.node.database.close()
    return folder, match


@pytest.fixture
def aligned(template: tuple[Path, str], tmp_path: Path) -> tuple[list[TestNode], str]:
    """The nodes of the template, in folders of their own."""
    folder, match = template
    clock = MovableClock()
    nodes = []
    for name in COLUMNS:
        shutil.copytree(folder / name, tmp_path / name)
        nodes.append(alliance.open_node(name, tmp_path / name, clock, []))
    return nodes, match


def plan_body(nodes: list[TestNode], match: str, **changes: Any) -> Body:
    columns = {name: [one for one in all_ if one not in ("Y", "WGT", "SEX")] for name, all_ in COLUMNS.items()}
    return alliance.train_body(nodes, "broker", columns, match, **{"valid_days": 30, **changes})


def run(nodes: list[TestNode], body: Body, *, restart: bool = False) -> tuple[DirectChannel, dict[str, Any]]:
    """Propose, approve, train; the channel and every party's signed result."""
    job = alliance.propose(nodes, "train", body)
    return train(nodes, body, DirectChannel(nodes, alliance.approve(nodes, job), restart=restart))


def train(nodes: list[TestNode], body: Body, channel: DirectChannel) -> tuple[DirectChannel, dict[str, Any]]:
    results: dict[str, Any] = {}
    app = apps.make_server_app(TrainingPlan.from_body(body), lambda _: None, results.update, clock=lambda: 0.0)
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    app(grid=grid.AllianceGrid(channel, documents.digest("train", body)), context=context)
    return channel, results


@pytest.mark.parametrize("restart", [False, True])
def test_a_run_leaves_a_label_matrix_at_the_label_holder_alone(
    aligned: tuple[list[TestNode], str], restart: bool
) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    channel, results = run(nodes, body, restart=restart)
    for name, value in results.items():
        signed = documents.parse(value, kind="train-result")
        signed.verify(channel.by_name[name].parts.node.keys.signing.public)
    record = results["broker"]["body"]["record"]
    best, alone = record["variants"][-1], record["variants"][0]
    assert best["auc"]["value_ppm"] > alone["auc"]["value_ppm"]
    files = {name: list(node.parts.node.settings.results.glob("*.parquet")) for name, node in channel.by_name.items()}
    assert [len(found) for found in files.values()] == [1, 0, 0]
    matrix = pyarrow.parquet.read_table(files["broker"][0])
    assert matrix.column_names == [
        "client_id",
        "token",
        "score",
        "chance",
        "chance_alone",
        "decile",
        "model",
        "valid_until",
        "purpose",
        "consent_until",
        "reasons",
    ]
    for text in matrix["reasons"].to_pylist():
        assert {one["column"] for one in json.loads(text)} <= {"AGE", "RISK"}  # own columns, never another side's
    assert set(matrix["client_id"].to_pylist()) == {alliance.resident_id(n) for n in range(CLIENTS)}
    assert set(matrix["valid_until"].to_pylist()) == {"2026-10-31T08:00:00+00:00"}
    assert set(matrix["model"].to_pylist()) == {record["model_digest"]}
    assert files["broker"][0].stat().st_mode & 0o777 == 0o600


def test_survey_weights_are_read_under_the_grant_and_told_to_who_approves(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    _, results = run(nodes, plan_body(nodes, match, survey_weights="WGT"))
    rules = results["broker"]["body"]["record"]["evaluation"]
    assert rules["survey_weights"] == "WGT"
    assert 0.8 * rules["effective_test_rows"] < results["broker"]["body"]["record"]["test_rows"]
    said = disclosure.sentences("train", plan_body(nodes, match, survey_weights="WGT"), "bank")
    assert any("survey weights in its column WGT" in en for en, _ in said)
    assert any("at least 50 of them, 5 of each class" in en for en, _ in said)
    with pytest.raises(ColumnNotOffered, match="NONE"):
        run(nodes, plan_body(nodes, match, survey_weights="NONE", nonce="01" * 16))


LIMITS = {"groups": ["SEX"], "selection_gap_ppm": 400_000, "true_positive_gap_ppm": 400_000, "group_rows": 50}


def test_groups_may_be_text_and_every_result_says_on_what_consents_it_rests(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match, fairness=LIMITS)
    _, results = run(nodes, body)
    record = results["broker"]["body"]["record"]
    (attribute,) = record["fairness"]["attributes"]
    assert {group["value"] for group in attribute["groups"]} == {"F", "M"}
    assert sum(group["rows"] for group in attribute["groups"]) == record["test_rows"]
    consents = {name: result["body"]["consents"] for name, result in results.items()}
    assert {one["clients"] for one in consents.values()} == {CLIENTS}
    assert len({one["digest"] for one in consents.values()}) == len(nodes)  # each under its own key
    said = disclosure.sentences("train", body, "bank")
    assert any("by its columns SEX" in en and "50 clients, 5 of each class" in en for en, _ in said)
    with pytest.raises(ColumnNotOffered, match="NONE"):
        run(nodes, plan_body(nodes, match, fairness={**LIMITS, "groups": ["NONE"]}, nonce="01" * 16))


def test_nothing_of_a_run_is_kept_but_its_result(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    run(nodes, body)
    for node in nodes:
        assert node.parts.node.database.read(sessions.running) == []
        result = node.parts.node.database.read(lambda s: store.result(s, documents.digest("train", body)))
        assert result is not None
        assert result.kind == "train"


def test_a_repeated_round_gets_the_same_bytes(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    channel, _ = run(nodes, plan_body(nodes, match))
    for name, request in channel.requests:
        assert channel.by_name[name].ask(request).body == channel.answers[request.id]


def test_an_ended_run_does_not_begin_again(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    channel, _ = run(nodes, plan_body(nodes, match))
    name, first = channel.requests[0]
    again = Message(id="another id", kind="flower", head=first.head, body=first.body)
    assert channel.by_name[name].ask(again).head["code"] == "JOB_OVER"


def test_score_vectors_are_booked_over_the_lifetime(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match))
    (line,) = nodes[1].command("quota")["score_vectors"]
    assert line["disclosed"] == 2
    assert nodes[0].command("quota")["score_vectors"] == []
    run(nodes, plan_body(nodes, match, nonce="01" * 16))
    third = plan_body(nodes, match, nonce="02" * 16)
    assert nodes[1].command("job", job=alliance.propose(nodes, "train", third))["blocked"]["code"] == SPENT
    assert sum(line["disclosed"] for line in nodes[1].command("quota")["score_vectors"]) == 4


def test_a_budget_that_another_run_spent_after_the_approval_is_kept(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    bodies = [plan_body(nodes, match, nonce=f"0{number}" * 16) for number in range(3)]
    jobs = [alliance.propose(nodes, "train", body) for body in bodies]
    channels = [DirectChannel(nodes, alliance.approve(nodes, job)) for job in jobs]
    for body, channel in zip(bodies[:2], channels, strict=False):
        train(nodes, body, channel)
    with pytest.raises(PartyFailed, match="score"):
        train(nodes, bodies[2], channels[2])
    assert sum(line["disclosed"] for line in nodes[1].command("quota")["score_vectors"]) == 4


def test_a_run_that_broke_before_the_scores_books_nothing(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    approvals = alliance.approve(nodes, job)
    nodes[2].command("consent.withdraw", client_id=alliance.resident_id(3))
    with pytest.raises(PartyFailed, match="no longer"):
        train(nodes, body, DirectChannel(nodes, approvals))
    assert nodes[2].command("quota")["score_vectors"] == []
    assert nodes[2].parts.node.database.read(sessions.running) == []


def test_a_run_whose_result_could_not_be_kept_is_neither_approved_nor_begun(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    folder = nodes[0].parts.node.settings.results
    folder.write_bytes(b"")  # a file where the folder should be
    assert nodes[0].command("job", job=job)["blocked"]["code"] == "RESULTS_NOT_WRITABLE"
    folder.unlink()
    approvals = alliance.approve(nodes, job)
    folder.rmdir()  # made by the look into it
    folder.write_bytes(b"")
    channel = DirectChannel(nodes, approvals)
    with pytest.raises(PartyFailed):
        train(nodes, body, channel)
    assert "RESULTS_NOT_WRITABLE" in {
        code_of(found) for found in channel.answers.values() if isinstance(found, Failure)
    }
    assert nodes[0].parts.node.database.read(sessions.running) == []


def test_a_label_matrix_that_could_not_be_written_waits_in_the_database(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    channel = DirectChannel(nodes, alliance.approve(nodes, job))
    folder = nodes[0].parts.node.settings.results
    ask = channel._ask

    def close_after_the_first(asked: Any) -> None:
        ask(asked)
        if asked.node == "broker" and folder.is_dir():
            folder.rmdir()
            folder.write_bytes(b"")

    channel._ask = close_after_the_first  # type: ignore[method-assign]
    assert set(train(nodes, body, channel)[1]) == {"broker", "bank", "platform"}
    assert len(nodes[0].command("status")["results_waiting"]) == 3
    folder.unlink()
    assert nodes[0].parts.results.place() == 0
    matrix = pyarrow.parquet.read_table(folder / f"label-matrix-{job[:16]}.parquet")
    assert set(matrix["client_id"].to_pylist()) == {alliance.resident_id(n) for n in range(CLIENTS)}


def test_columns_beyond_the_plan_or_of_class_c3_are_refused_at_approval(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    parties = [dict(party) for party in body["parties"]]  # type: ignore[union-attr,arg-type]
    parties[1]["columns"] = ["SAVING", "PASSWORD"]
    job = alliance.propose(nodes, "train", {**body, "parties": parties})  # type: ignore[dict-item]
    assert nodes[1].command("job", job=job)["blocked"]["code"] == "COLUMN_NOT_OFFERED"


def test_without_everybodys_approval_no_round_is_answered(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    approvals = alliance.approve(nodes, job)
    with pytest.raises(PartyFailed, match="not approved"):
        train(nodes, body, DirectChannel(nodes, approvals[:2]))


def test_an_expired_plan_is_not_trained(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    approvals = alliance.approve(nodes, job)
    nodes[0].clock.now += timedelta(days=30)
    with pytest.raises(PartyFailed, match="expired"):
        train(nodes, body, DirectChannel(nodes, approvals))


def test_no_value_of_a_row_passes_the_gate(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match))
    for node in nodes:
        text = (node.folder / "clients.csv").read_text().splitlines()[1:]
        plains = [plain for _, plain in node.seen]
        assert any(kind == "envelope/train" for kind, _ in node.seen)
        for line in text[:50]:
            client, *values = line.split(",")
            assert not any(client.encode() in plain for plain in plains)
            long = [value for value in values if len(value) > 4]
            assert not any(value.encode() in plain for plain in plains for value in long)


# --- rounds of refinement


ROUNDS = {"model": "logistic", "logistic": {"rounds": 2, "plateau_ppm": 0, "beyond_cap": True}}


@pytest.mark.parametrize("restart", [False, True])
def test_rounds_of_refinement_are_booked_before_and_counted_after(
    aligned: tuple[list[TestNode], str], restart: bool
) -> None:
    nodes, match = aligned
    _, results = run(nodes, plan_body(nodes, match, **ROUNDS), restart=restart)
    record = results["broker"]["body"]["record"]
    assert record["refinement"]["ended"] == "rounds" and len(record["refinement"]["losses_ppm"]) == 2
    assert [one["model"] for one in record["variants"]] == ["logistic", "moments", "moments", "logistic"]
    for node in nodes[1:]:
        (line,) = node.command("quota")["score_vectors"]
        assert line["disclosed"] == 4 == results[node.partner]["body"]["record"]["spent"]
    matrix = pyarrow.parquet.read_table(next(nodes[0].parts.node.settings.results.glob("*.parquet")))
    assert matrix.num_rows == CLIENTS


def test_a_restart_in_any_round_changes_no_bit(aligned: tuple[list[TestNode], str], tmp_path: Path) -> None:
    nodes, match = aligned
    for node in nodes:
        node.parts.node.database.close()
    matrices = []
    for number, restart in enumerate((False, True)):
        folder = tmp_path / f"run-{number}"
        again = []
        for name in COLUMNS:
            shutil.copytree(tmp_path / name, folder / name)
            again.append(alliance.open_node(name, folder / name, MovableClock(), []))
        run(again, plan_body(again, match, **ROUNDS), restart=restart)
        found = next(again[0].parts.node.settings.results.glob("*.parquet"))
        matrices.append(pyarrow.parquet.read_table(found)["score"].to_pylist())
    assert matrices[0] == matrices[1]


def test_rounds_that_did_not_happen_are_given_back(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    options = {"rounds": 4, "plateau_ppm": 100_000, "beyond_cap": True}
    _, results = run(nodes, plan_body(nodes, match, model="logistic", logistic=options, score_budget=6))
    rounds = len(results["broker"]["body"]["record"]["refinement"]["losses_ppm"])
    assert rounds < 4
    (line,) = nodes[1].command("quota")["score_vectors"]
    assert line["disclosed"] == 2 + rounds


def test_a_run_that_breaks_between_rounds_keeps_what_was_shown(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    body = plan_body(nodes, match, **ROUNDS)
    job = alliance.propose(nodes, "train", body)
    channel = DirectChannel(nodes, alliance.approve(nodes, job))
    ask, withdrawn = channel._ask, [0]

    def withdraw_in_round_one(asked: Any) -> None:
        ask(asked)
        kept = nodes[1].parts.node.database.read(sessions.running)
        # rounds of messages: the shares of round 1 leave with the twelfth
        if asked.node == "platform" and kept and kept[0].step == 13 and not withdrawn[0]:
            withdrawn[0] = nodes[1].command("consent.withdraw", client_id=alliance.resident_id(3)) is not None

    channel._ask = withdraw_in_round_one  # type: ignore[method-assign]
    with pytest.raises(PartyFailed, match="no longer"):
        train(nodes, body, channel)
    assert withdrawn[0]
    (line,) = nodes[1].command("quota")["score_vectors"]
    assert line["disclosed"] == 4, "round 1 was shown, and after a failure the whole booking stands"
    (line,) = nodes[2].command("quota")["score_vectors"]
    assert line["disclosed"] in (1, 4)


def test_who_approves_rounds_is_told_what_they_show(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    said = disclosure.sentences("train", plan_body(nodes, match, **ROUNDS), "bank")
    english = " ".join(en for en, _ in said)
    assert "up to 2 rounds" in english and "4 of a lifetime budget of 4" in english
    assert "more than half of the columns of bank, platform" in english
    capped = plan_body(nodes, match, model="logistic", logistic={"rounds": 2, "plateau_ppm": 0})
    job = alliance.propose(nodes, "train", capped)
    assert nodes[1].command("job", job=job)["blocked"]["code"] == "ROUNDS_BEYOND_CAP"


def test_who_approves_refined_variants_is_told_of_shares_that_are_no_sums(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    options = {"rounds": 2, "plateau_ppm": 0, "beyond_cap": True, "variants": "partners"}
    body = plan_body(nodes, match, model="logistic", logistic=options, contribution=True)
    english, chinese = (" ".join(part) for part in zip(*disclosure.sentences("train", body, "bank"), strict=True))
    assert "each of: bank + platform; platform; bank" in english and "takes part in up to 4 rounds" in english
    assert "shows up to 6 of a lifetime budget" in english and "model with every subset of bank, platform" in english
    assert "over the held-out clients too" not in english
    assert "而非合计" in chinese and "至多参与 4 轮" in chinese


# --- bins and folds


def test_gaps_in_a_source_enter_as_bins_and_folds_choose_the_penalty(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    source = nodes[1].folder / "clients.csv"
    head, *rows = source.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    for number, row in enumerate(cells):
        row[1] = "" if number % 4 == 0 else row[1]  # SAVING
    source.write_text("\n".join([head, *(",".join(row) for row in cells)]) + "\n")
    with pytest.raises(PartyFailed, match="COLUMN_HAS_GAPS"):
        run(nodes, plan_body(nodes, match))
    rules = {"minimum_rows": 100, "rare_rows": 30}
    body = plan_body(nodes, match, bins=4, validation={"folds": 2, "ridge_path_milli": [30_000]}, **rules)
    body["parties"][1]["binned"] = ["SAVING"]  # type: ignore[index,call-overload]
    _, results = run(nodes, body)
    record = results["broker"]["body"]["record"]
    assert record["columns"]["bank"] == ["SAVING", "INCOME"]
    assert sum(record["validation"]["fold_rows"]) == record["train_rows"]
    assert {one["ridge_milli"] for one in record["validation"]["path"]} == {1_000, 30_000}
    said = [en for en, _ in disclosure.sentences("train", body, "platform")]
    assert any("bank takes SAVING as at most 4 bins" in sentence for sentence in said)
    assert any("each of 2 folds of the train clients, each of at least 100" in sentence for sentence in said)
