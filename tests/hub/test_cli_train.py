"""`ecohub data train` for horizontal plans against a running hub and banks on real streams."""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from ecowire import status
from ecowire.stream import Message
from federation.plan_horizontal import HorizontalPlan
from hub import cli_data, cli_follow, cli_jobs, cli_report, person_files, proposals
from hub.store import Transaction
from privacy.errors import Failure
from tests.hub.horizontal import BANKS, Bank, applications
from tests.hub.streams import ServedHub, served_hub

pytestmark = pytest.mark.slow_flow

PLAN = """
shape = "horizontal"
purpose = "joint-profile"
title = "Who holds funds <b>"
label = "Y"
columns = ["AGE", { name = "MONEY", transform = "signed_log" }]
minimum_rows = 30
[training]
rounds = 3
"""
PARTIES = "".join(f'[[parties]]\npartner = "{name}"\n' for name in BANKS)
WAIT_SECONDS = 60
UNTRAINED_LOSS = 0.6931  # ln 2: even odds


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(tmp_path_factory.mktemp("hub"), *BANKS) as made:
        for who in made.parties.values():
            columns = {"AGE": "C1", "MONEY": "C2", "Y": "C2"}
            asset = {"name": "clients", "id_column": "client_id", "columns": columns, "rows": "100-499"}
            rest = {"id_type": "resident_id", "purposes": ["joint-profile"]}
            document = who.sign("assets", {"partner": who.id, "assets": [{**asset, **rest}]})  # type: ignore[list-item]
            stream = made.stream(who).welcomed()
            stream.say(Message(id=f"assets/{who.id}", kind="assets", head={"assets": document.to_value()}))
            assert stream.message().kind == "ok"
            stream.close()
        yield made


@pytest.fixture(scope="module")
def person(hub: ServedHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = hub.person("dana", "data")
    folder = tmp_path_factory.mktemp("dana") / "dana"
    return person_files.write_person(folder, made.hub, made.authority, made.key, made.certificate)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_jobs, "POLL_SECONDS", 0.05)


def invoke(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli_data.data, ["train", *arguments, "--config", str(config)])


def shown(config: Path, *arguments: str) -> str:
    result = invoke(config, *arguments)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def told(config: Path, *arguments: str) -> Any:
    return json.loads(shown(config, *arguments, "--json"))


def refusal(config: Path, *arguments: str) -> str:
    result = invoke(config, *arguments, "--json")
    assert isinstance(result.exception, Failure), result.output
    return status.code_of(result.exception)


def plan_file(folder: Path, text: str = PLAN, parties: str = PARTIES) -> str:
    path = folder / "plan.toml"
    path.write_text(text + parties)
    return str(path)


def approved(hub: ServedHub, person: Path, folder: Path, **changes: str) -> str:
    """A plan that every bank approved, by its digest."""
    made = told(person, "propose", plan_file(folder, **changes))
    services = hub.running.services

    def decide(tx: Transaction) -> None:
        for name in made["body"]["parties"]:
            who = hub.parties[name["partner"]]
            partner = tx.members.partner(who.id)
            assert partner is not None
            proposals.decide(services, tx, partner, hub.clock(), who.approval(made["digest"], "train"))

    services.store.run("test", decide)
    return str(made["digest"])


def banks(hub: ServedHub, digest: str, *names: str) -> None:
    """The banks' nodes come to the hub."""
    job = hub.store.read("j", lambda tx: tx.jobs.proposal(digest))
    plan = HorizontalPlan.from_body(job.body)
    apps = applications(plan, hub.parties, lambda n, body: hub.parties[n].sign("train-result", body).to_value())
    for name in names:
        Bank(hub.stream(hub.parties[name]).welcomed(), name, apps[name])


def nobody(hub: ServedHub) -> None:
    """The banks of other runs leave."""
    for stream in hub.streams:
        stream.close()
    hub.streams.clear()
    wait_for(lambda: not hub.running.switch.connected())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def test_a_run_from_the_file_to_the_report(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    digest = approved(hub, person, tmp_path)
    assert "train start" in shown(person, "status", digest)
    assert told(person, "status", digest)["run"]["round"] is None
    assert refusal(person, "report", digest) == "RESULT_NOT_THERE"
    assert refusal(person, "resume", digest) == "PROPOSAL_STATE"
    coming = threading.Timer(2 * cli_jobs.POLL_SECONDS, banks, (hub, digest, *BANKS))
    coming.start()  # later than the first look, which else may find the run over
    followed = shown(person, "start", digest[:12], "--follow")
    coming.join()
    assert "RUNNING  waits for the nodes of" in followed or "RUNNING  round" in followed
    best = re.search(r"validation loss, best (0\.\d{4})", followed)
    assert (
        "COMPLETED" in followed and best and float(best[1]) < UNTRAINED_LOSS
    )  # how far differs by the job's own split
    assert refusal(person, "start", digest) == "PROPOSAL_STATE"
    check_report(person, digest, tmp_path)


def check_report(person: Path, digest: str, folder: Path) -> None:
    page, picture = folder / "report.html", folder / "report.png"
    files = ("--html", str(page), "--png", str(picture))
    report = told(person, "report", digest, *files)
    assert [item["round"] for item in report["history"]] == [1, 2, 3]
    assert report["files"] == [str(page), str(picture)]
    kinds = [document["kind"] for document in report["documents"]]
    assert sorted(kinds) == ["model-record", *["train-result"] * 4]
    text = page.read_text()
    assert text.count("<svg") == 2 and "<b>" not in text and "Who holds funds &lt;b&gt;" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "") and "<script" not in text
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert refusal(person, "report", digest, *files) == "OUTPUT_EXISTS"
    table = shown(person, "report", digest)
    assert all(name in table for name in BANKS) and "┤" in table
    chinese = shown(person, "report", digest, "--lang", "zh")
    assert all(word in chinese for word in ("轮次", "缺失值", "训练行数", "合作伙伴")) and "test rows" not in chinese
    status_zh = shown(person, "status", digest, "--lang", "zh")
    assert "已完成 3/3 轮" in status_zh and "COMPLETED" not in status_zh and "本地训练" in status_zh


def test_a_run_that_lacks_nodes_rests_and_is_resumed(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    text = PLAN.replace("[training]", "deadline_seconds = 1\n[training]")
    digest = approved(hub, person, tmp_path, text=text)
    nobody(hub)
    result = invoke(person, "start", digest, "--follow")
    assert isinstance(result.exception, cli_follow.RunPaused), result.output
    assert "QUORUM_MISSING" in str(result.exception) and "train resume" in str(result.exception)
    chinese = invoke(person, "status", digest, "--follow", "--lang", "zh")
    assert isinstance(chinese.exception, cli_follow.RunPaused)
    assert "已暂停" in chinese.exception.message("zh")
    assert refusal(person, "pause", digest) == "PROPOSAL_STATE"
    banks(hub, digest, *BANKS)
    assert "COMPLETED" in shown(person, "resume", digest, "--follow")


def test_a_paused_run_is_cancelled(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    digest = approved(hub, person, tmp_path)
    nobody(hub)
    assert told(person, "start", digest)["state"] == "RUNNING"
    assert told(person, "pause", digest)["state"] == "PAUSED"
    assert refusal(person, "cancel", digest) == "NOT_CONFIRMED"
    assert told(person, "cancel", digest, "--yes")["state"] == "CANCELLED"
    wait_for(lambda: not any(thread.name.startswith("run-") for thread in threading.enumerate()))


def test_a_proposal_shows_the_whole_plan_in_both_languages(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    table = shown(person, "propose", plan_file(tmp_path))
    flat = " ".join(table.split())
    body = told(person, "propose", plan_file(tmp_path))["body"]
    assert all(name in flat for name in body if name not in ("parties", "disclosure"))
    assert all(text in flat for text in ("│ examples_max │ 499", "│ clip_milli │ 4000", "│ deadline_seconds │ 20"))
    assert "Rows stay with" in table and "数据行始终留在" in table


def test_a_title_that_no_node_would_take_is_not_proposed(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    hidden = PLAN.replace("Who holds funds", "Who \\u001b[2J holds")
    assert refusal(person, "propose", plan_file(tmp_path, hidden)) == "PROPOSAL_INVALID"
    assert "title" in str(invoke(person, "propose", plan_file(tmp_path, hidden)).exception)


def test_the_same_key_is_the_same_plan(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    file = plan_file(tmp_path)
    first = told(person, "propose", file, "--key", "again")
    hub.clock.forward(90)
    assert told(person, "propose", "--file", file, "--key", "again") == first
    assert first["body"]["split"]["salt"] != told(person, "propose", file)["body"]["split"]["salt"]


BAD = [
    ("shape = \n", "DRAFT_FILE_INVALID"),
    (PLAN.replace('label = "Y"', ""), "DRAFT_INCOMPLETE"),
    (PLAN.replace('"AGE", {', "0.5, {"), "DRAFT_INCOMPLETE"),
    (PLAN.replace("columns =", "numbers ="), "DRAFT_INCOMPLETE"),
    (PLAN.replace("rounds = 3", "rounds = 0"), "PLAN_INVALID"),
    (PLAN.replace("rounds = 3", "epochs = 3"), "PLAN_INVALID"),
    (PLAN.replace('"horizontal"', '"diagonal"'), "DRAFT_INCOMPLETE"),
    (PLAN.replace("minimum_rows = 30", 'minimum_rows = 30\nstrategy = "krum"'), "PLAN_INVALID"),
    (PLAN.replace("minimum_rows = 30", "minimum_rows = 30\nsecret = 1"), "PLAN_INVALID"),
    (PLAN.replace("minimum_rows = 30", "minimum_rows = 30\ncolluders = 3"), "PLAN_INVALID"),
]


@pytest.mark.parametrize(("text", "code"), BAD)
def test_what_is_wrong_in_a_plan_is_named(hub: ServedHub, person: Path, tmp_path: Path, text: str, code: str) -> None:
    assert refusal(person, "propose", plan_file(tmp_path, text)) == code


def test_two_partners_need_noise(hub: ServedHub, person: Path, tmp_path: Path) -> None:
    two = "".join(f'[[parties]]\npartner = "{name}"\n' for name in BANKS[:2])
    assert refusal(person, "propose", plan_file(tmp_path, parties=two)) == "LOCAL_NOISE_REQUIRED"
    noisy = PLAN + "[privacy]\nnoise_multiplier_milli = 1100\n"
    body = told(person, "propose", plan_file(tmp_path, noisy, two))["body"]
    assert (body["standardise"], body["training"]["steps"], body["colluders"]) == ("none", 1, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("--alignment", "ab" * 32), ("--label", "bank-a:Y"), ("--columns", "bank-a:AGE"), ("--file", "x")),
        *(("--binned", "bank-a:AGE"), ("--folds", "3"), ("--contribution",)),
    ],
)
def test_options_of_another_shape_are_a_usage_error(
    hub: ServedHub, person: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert invoke(person, "propose", plan_file(tmp_path), *arguments).exit_code == 2


def test_a_picture_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(cli_report.PlotsMissing, match="plots"):
        cli_report._png(None)  # type: ignore[arg-type]
