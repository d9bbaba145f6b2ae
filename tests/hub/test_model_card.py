"""The card of a model and the registry's commands, over a hub in this process."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from ecowire import documents, status
from ecowire.outputs import OutputExists
from ecowire.stream import Message
from federation import stability
from hub import card_page, cli_models, cli_profile, client, dispatch, jobs, model_card, model_steps, words
from hub.records import Head, Proposal
from hub.run_report import ReportUnreadable
from privacy.errors import Failure
from tests.hub import registry
from tests.hub.alliance import Hub, hub_without_ports
from tests.hub.registry import NAME, completed, release
from tests.hub.relay import caller, failing

TITLE = "# Model card: profile/broker/label 2"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *registry.NAMES) as made:
        monkeypatch.setattr(registry, "COMMANDS", {**registry.COMMANDS, **jobs.COMMANDS})

        def call(_: Any, command: str, head: Head | None, idempotency_key: str) -> tuple[Head, bytes]:
            reply = registry.command(made, command, head or {}, key=idempotency_key)
            return reply.head, reply.body

        monkeypatch.setattr(client, "load", lambda _: None)
        monkeypatch.setattr(client, "call", call)
        yield made


def index(hub: Hub, job: Proposal, value: Any = None, /, **changes: Any) -> Message:
    """The broker's answer to the question how stable the scores are."""
    (task,) = (t for t in hub.open_tasks("broker") if t.kind == "model.stability" and t.head["job"] == job.digest)
    body: Head = {"job": job.digest, "before": task.head["before"], "partner": "broker", "stability": value}
    signed = hub.parties["broker"].sign("model-stability", {**body, "time": "now", **changes})
    return Message(id=task.id, kind=task.kind).reply("ok", {"stability": signed.to_value()})


def answer(hub: Hub, message: Message) -> None:
    dispatch.take_answer(hub.services, registry.ANSWERS, caller(hub, "broker"), message)


def shifted() -> Head:
    return stability.Stability(
        psi_ppm=312_000, before_rows=1_000, after_rows=900, before_percent=(50, 50), after_percent=(90, 10)
    ).to_value()


@pytest.fixture
def job(hub: Hub) -> Proposal:
    """The second model of its name: released to a share above the first, compared with it, measured by sex."""
    first, second = completed(hub, 1), completed(hub, 2, groups=0.05)
    release(hub, first)
    release(hub, second, 50_000, reason="looks better | <b>")
    answer(hub, index(hub, second, shifted()))
    return second


def card_of(hub: Hub, job: Proposal) -> model_card.Card:
    return model_card.read(
        registry.command(hub, "model", {"job": job.digest}).head,
        registry.command(hub, "job", {"digest": job.digest}).head,
    )


# --- what it says


def test_the_card_says_what_the_registry_holds(hub: Hub, job: Proposal) -> None:
    said = card_page.markdown(card_of(hub, job), "en")
    assert said.startswith(TITLE)
    plain = said.replace("\\", "")
    for expected in (
        "released to 5 % of the clients",
        "| broker | label_holder | clients | age | - |",
        "bank + platform) added to broker alone: AUC +0.030 (0.012 to 0.047)",
        "sex: F | 500",
        "| selected | 0.0480 [",
        "| 0.1000 |",
        "Within the plan's limits.",
        "| 0.312 | shifted (0.25 and above) |",
        "the broker learns moments and rounded scores",
        "| broker | somebody at the broker |",
        "| 3 | 2026-10-01T08:00:00.000Z | released |",
    ):
        assert expected in plain, expected
    for digest in (job.digest, str(job.body["alignment"]), "d1" * 32):
        assert digest in said


def test_the_card_in_chinese_has_no_english_head_or_title(hub: Hub, job: Proposal) -> None:
    said = card_page.markdown(card_of(hub, job), "zh")
    heads = [line for line in said.splitlines() if line.startswith("## ")]
    assert len(heads) == 9 and not any(re.search("[A-Za-z]", head) for head in heads)
    assert "已向 5 % 的客户发布" in said.replace("\\", "") and "显著偏移" in said


def test_every_head_of_a_card_has_its_chinese_word() -> None:
    assert {head for heads in model_card.HEADS for head in heads} <= set(words.HEADS)
    assert set(model_card.ACTIONS) == {
        model_steps.REGISTER,
        model_steps.RELEASE,
        model_steps.RAISE,
        model_steps.ROLLBACK,
        model_steps.RETIRE,
        model_steps.BLOCK,
    }


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_is_whole_and_needs_nothing_else(hub: Hub, job: Proposal, lang: str) -> None:
    made = card_page.html(card_of(hub, job), lang)
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|src=|href=", made)
    for drawing in re.findall(r"<svg.*?</svg>", made, re.DOTALL):
        ElementTree.fromstring(drawing)
    assert "<b>" not in made and "looks better | &lt;b&gt;" in made


def test_peoples_text_is_no_markdown(hub: Hub, job: Proposal) -> None:
    said = card_page.markdown(card_of(hub, job), "en")
    assert r"looks better \| \<b\>" in said
    widths = {line.replace(r"\|", "").count("|") for line in said.splitlines() if line.startswith("| 3 |")}
    assert widths == {8}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see https://evil.example", r"see https\://evil.example"),
        ("WWW.evil.example", r"WWW\.evil.example"),
        ("mail me@evil.example", r"mail me\@evil.example"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("    code", "code"),
        ("- item", r"\- item"),
        ("-0.0030", "-0.0030"),
    ],
)
def test_a_text_makes_no_link_line_or_block(hub: Hub, job: Proposal, text: str, said: str) -> None:
    card = card_of(hub, job)
    card.job["body"]["disclosure"][:] = [text]
    assert said in card_page.markdown(card, "en").split("\n\n")


def test_a_model_that_was_not_measured_says_so(hub: Hub) -> None:
    said = card_page.markdown(card_of(hub, completed(hub, auc_uplift=registry.NO_UPLIFT)), "en").replace("\\", "")
    for expected in (
        "The plan names no groups: gaps were not measured.",
        "There was no earlier release to compare with.",
        "no measurable uplift in AUC over the label holder alone (+0.0030, from -0.0090 to +0.0140)",
        "registered, never released",
    ):
        assert expected in said, expected


def test_the_card_says_which_gap_is_above_its_limit(hub: Hub) -> None:
    limits: Any = {"fairness": {**registry.LIMITS, "calibration_gap_ppm": 50_000}}
    card = card_of(hub, completed(hub, groups=0.0, predicted=0.06, plan=limits))
    said = {lang: card_page.markdown(card, lang).replace("\\", "") for lang in ("en", "zh")}
    assert "| predicted minus observed | 0.0600" in said["en"] and "| 0.0500 |" in said["en"]
    assert "the gap of predicted chance less observed rate by sex is 0.0600, above the plan's 0.0500" in said["en"]
    assert "sex 的预测概率减实际比例差距为 0.0600，超过方案限值 0.0500" in said["zh"]
    within = card_page.markdown(card_of(hub, completed(hub, 2, groups=0.0, predicted=0.05, plan=limits)), "en")
    assert "above the plan" not in within and "Within the plan" in within


def test_groups_that_could_not_be_measured_are_named_in_a_whole_sentence(hub: Hub, job: Proposal) -> None:
    card = card_of(hub, job)
    verdict = card.registration["fairness"]
    verdict["attributes"].append({"column": "region", "groups": [], "gaps": {}})
    for lang, expected in (("en", "in all but one group: region."), ("zh", "客户均过少：region。")):
        lines = card_page.markdown(card, lang).splitlines()
        assert any(line.endswith(expected) for line in lines), lang
        assert not [line for line in lines if len(line) == 1]


def test_what_a_person_accepted_is_said_in_the_readers_language(hub: Hub) -> None:
    made = completed(hub, auc_uplift=registry.NO_UPLIFT)
    release(hub, made, accept_no_uplift=True)
    said = {lang: card_page.markdown(card_of(hub, made), lang) for lang in ("en", "zh")}
    assert "reviewed; accepted: no measurable uplift" in said["en"] and "已接受：AUC 无可测提升" in said["zh"]


def test_of_too_few_clients_the_card_shows_no_index(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    answer(hub, index(hub, second, None))
    assert "too few clients" in card_page.markdown(card_of(hub, second), "en")


def test_a_card_of_two_runs_is_refused(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    model = registry.command(hub, "model", {"job": first.digest}).head
    with pytest.raises(ReportUnreadable):
        model_card.read(model, registry.command(hub, "job", {"digest": second.digest}).head)


@pytest.mark.parametrize("missing", ["parties", "fairness", "purpose", "label", "record"])
def test_a_registration_that_lacks_something_is_refused(hub: Hub, job: Proposal, missing: str) -> None:
    card = card_of(hub, job)
    del card.model["registration"][missing]  # type: ignore[attr-defined]
    with pytest.raises(ReportUnreadable):
        card_page.markdown(card, "en")


# --- the stability index that the card shows


def test_the_index_is_asked_once_for_each_pair(hub: Hub, job: Proposal) -> None:
    release(hub, job, 200_000)
    release(hub, job)
    asked = hub.store.read("t", lambda tx: [t for t in hub.open_tasks("broker") if t.kind == "model.stability"])
    assert asked == []
    kept = hub.store.read("d", lambda tx: tx.jobs.documents(job.digest, "model-stability"))
    assert len(kept) == 1 and ("model-stability", job.digest) in hub.leaves()


BAD_INDEX: dict[str, Any] = {
    "of another run": {"job": "00" * 32},
    "against another run": {"before": "00" * 32},
    "for another partner": {"partner": "bank"},
    "no index": {"stability": "low"},
    "an index below zero": {"stability": {**shifted(), "psi_ppm": -1}},
    "an index with clients": {"stability": {**shifted(), "clients": ["x"]}},
}


@pytest.mark.parametrize("change", BAD_INDEX.values(), ids=BAD_INDEX)
def test_an_index_that_does_not_hold_is_not_kept(hub: Hub, change: dict[str, Any]) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    answer(hub, index(hub, second, shifted(), **change))
    assert hub.store.read("d", lambda tx: tx.jobs.documents(second.digest, "model-stability")) == ()


def test_an_index_signed_by_another_key_or_a_failure_is_not_kept(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    message = index(hub, second, shifted())
    value: Any = message.head["stability"]
    forged = documents.sign("model-stability", value["body"], hub.parties["broker"].id, hub.parties["bank"].signing)
    answer(hub, Message(id=message.id, kind="ok", reply_to=message.reply_to, head={"stability": forged.to_value()}))
    assert hub.store.read("d", lambda tx: tx.jobs.documents(second.digest, "model-stability")) == ()


def test_a_node_that_has_no_matrix_any_more_leaves_the_card_without_an_index(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    release(hub, first)
    release(hub, second, 50_000)
    answer(hub, failing(index(hub, second), ReportUnreadable(why="gone")))
    assert card_of(hub, second).model["stability"] == []


# --- commands


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli_profile.profile, [*arguments])


def run(*arguments: str) -> Any:
    result = invoke(*arguments, "--json")
    if isinstance(result.exception, Failure):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_people_release_raise_and_roll_back(hub: Hub) -> None:
    first, second = completed(hub, 1), completed(hub, 2)
    assert [one["state"] for one in run("models")["models"]] == ["REGISTERED", "REGISTERED"]
    run("release", first.digest[:12], "--reason", "reviewed")
    made = run("release", second.digest[:12], "--share-ppm", "50000", "--reason", "a try")
    assert (made["state"], made["share_ppm"]) == ("RELEASED", 50_000)
    back = run("rollback", NAME, "--reason", "complaints")
    assert [one["job"] for one in back["serving"]] == [first.digest]
    assert run("retire", NAME, "--reason", "purpose ended")["serving"] == []
    shown = invoke("models", "--lang", "zh").output
    assert "已停用" in shown and "客户占比" in shown
    assert run("register", first.digest)["state"] == "RETIRED"


def test_people_see_why_a_release_is_refused_in_their_language(hub: Hub) -> None:
    job = completed(hub, groups=0.2)
    result = invoke("release", job.digest, "--reason", "reviewed")
    failure = result.exception
    assert isinstance(failure, Failure) and status.code_of(failure) == "RELEASE_BLOCKED"
    assert "above the plan's 0.1000" in failure.message("en") and "超过方案限值 0.1000" in failure.message("zh")


@pytest.mark.parametrize("share", ["0", "1000001", "5%", "-1"])
def test_a_share_outside_the_range_is_a_usage_error(hub: Hub, share: str) -> None:
    assert invoke("release", "00" * 8, "--share-ppm", share, "--reason", "x").exit_code == 2


@pytest.mark.parametrize("command", [("release", "00" * 8), ("rollback", NAME), ("retire", NAME)])
def test_a_change_without_a_reason_is_a_usage_error(hub: Hub, command: tuple[str, str]) -> None:
    assert invoke(*command).exit_code == 2


def test_the_card_is_shown_and_written_once(hub: Hub, job: Proposal, tmp_path: Path) -> None:
    page, text = tmp_path / "card.html", tmp_path / "card.md"
    made = run("card", job.digest[:12], "--html", str(page), "--md", str(text))
    assert made["files"] == [str(page), str(text)] and made["state"] == "RELEASED"
    assert text.read_text().startswith(TITLE) and page.read_text().startswith("<!doctype html>")
    with pytest.raises(OutputExists):
        run("card", job.digest[:12], "--md", str(text))
    shown = invoke("card", job.digest[:12], "--lang", "zh").output
    assert "群体公平性" in shown and "发布历史" in shown


def test_a_run_that_is_no_model_has_no_card(hub: Hub, job: Proposal) -> None:
    with pytest.raises(Failure) as raised:
        run("card", str(job.body["alignment"]))
    assert status.code_of(raised.value) == "MODEL_UNKNOWN"


def test_every_command_of_the_registry_is_in_the_group() -> None:
    assert {command.name for command in cli_models.COMMANDS} <= set(cli_profile.profile.commands)
