"""A run as people see it while it runs: marks of partners, loss, the line for each change, the redrawn terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from hub import cli_follow, cli_jobs
from hub.cli_common import Cli
from hub.cli_follow import RunPaused


def cli(lang: str = "en", as_json: bool = False) -> Cli:
    return Cli(config=None, as_json=as_json, lang=lang)


def found(state: str = "RUNNING", round_: int | None = 2, **run: Any) -> dict[str, Any]:
    """A job as the hub's `job` command gives it, half way."""
    parties = {
        "bank-a": {"state": "answered", "connected": True, "code": None},
        "bank-b": {"state": "waiting", "connected": True, "code": None},
        "bank-c": {"state": "waiting", "connected": False, "code": None},
        "bank-d": {"state": "late", "connected": False, "code": "NO_ANSWER"},
        "bank-e": {"state": "failed", "connected": True, "code": "TOO_FEW_ROWS"},
        "bank-f": {"state": "idle", "connected": True, "code": None},
        "bank-g": {"state": "idle", "connected": False, "code": None},
    }
    trouble = {"partner": "bank-e", "code": "TOO_FEW_ROWS", "phase": "deal", "first": 1, "last": 2, "count": 2}
    troubles = [{**trouble, "kind": "refused", "en": "too few rows there", "zh": "行数不足"}]
    history = [{"round": 1, "loss_micro": 693_147, "clipped": 3}, {"round": 2, "loss_micro": 500_000, "clipped": 0}]
    made: dict[str, Any] = {
        "rounds": 3,
        "round": round_,
        "attempt": 1,
        "phase": "train",
        "parties": parties,
        "history": history,
    }
    made |= {"waits_for": [], "troubles": troubles, **run}
    body = {"parties": [], "label": {"column": "Y", "classes": ["0", "1"]}}
    return {
        "kind": "train",
        "digest": "ab" * 32,
        "state": state,
        "reason": {"code": "QUORUM_MISSING", "en": "too few", "zh": "不足"} if state == "PAUSED" else {},
        "decisions": {},
        "parties": [],
        "body": body,
        "phases": [],
        "bytes": 1000,
        "milliseconds": 500,
        "run": made,
    }


def test_the_headline_has_round_phase_attempt_marks_and_loss() -> None:
    line = cli_follow.headline(cli(), found())
    assert "RUNNING  round 2/3  local training  attempt 2" in line
    assert "bank-a ✓ bank-b … bank-c ? bank-d – bank-e ✗ TOO_FEW_ROWS bank-f · bank-g ?" in line
    assert "loss 0.5000 █▁" in line
    assert cli_follow.headline(cli("zh"), found()).startswith("运行中  第 2/3 轮  本地训练  第 2 次尝试")


def test_the_finish_is_not_a_round_more_than_the_plan_has() -> None:
    assert "round 3/3  final figures" in cli_follow.headline(cli(), found(round_=4, phase="finish"))


def test_a_run_that_has_not_begun_names_the_command() -> None:
    assert "ecohub data train start abababababab" in cli_follow.headline(cli(), found("APPROVED", None))
    assert cli_follow.headline(cli(), found("PROPOSED", None)) == "PROPOSED"
    assert cli_follow.headline(cli("zh"), found("PROPOSED", None)) == "待审批"


def test_a_run_that_waits_says_for_whom_from_its_first_second_on() -> None:
    line = cli_follow.headline(cli(), found(round_=None, waits_for=["bank-c", "bank-g"]))
    assert line.startswith("RUNNING  waits for the nodes of bank-c, bank-g  bank-a ✓")
    assert "等待节点上线：bank-c" in cli_follow.headline(cli("zh"), found(waits_for=["bank-c"]))
    assert "waits" not in cli_follow.headline(cli(), found())


@pytest.mark.parametrize("state", ["PAUSED", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED"])
def test_a_run_that_rests_or_is_over_shows_no_phase_of_before(state: str) -> None:
    line = cli_follow.headline(cli(), found(state, attempt=0, phase=""))
    assert line.startswith(f"{state}  2/3 rounds finished  ") and "attempt" not in line and "training" not in line
    assert "bank-e ✗ TOO_FEW_ROWS" in line
    assert ("bank-g ?" in line) == (state in ("PAUSED", "COMPLETED"))  # who is there now says nothing of an end
    assert "已完成 0 轮" not in line and "已完成 2/3 轮" in cli_follow.headline(cli("zh"), found(state))


def test_what_went_wrong_is_a_table_with_the_nodes_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    cli_follow.show(cli(), found())
    shown = " ".join(capsys.readouterr().out.split())
    assert "what went wrong" in shown and "too few rows there" in shown and "2: 1 to 2" in shown
    cli_follow.show(cli("zh"), found())
    assert "行数不足" in capsys.readouterr().out
    cli_follow.show(cli(), found(troubles=[]))
    assert "what went wrong" not in capsys.readouterr().out


def test_a_hostile_word_of_the_hub_is_no_terminal_command() -> None:
    assert "\x1b" not in cli_follow.headline(cli(), found(phase="\x1b[2Jx"))


def test_the_picture_adds_the_curve_the_best_loss_and_clipped_values() -> None:
    lines = cli_follow.picture(cli(), found())
    assert "validation loss, best 0.5000" in lines and "3 values clipped" in lines
    assert sum("┤" in line for line in lines) == 8
    assert len(cli_follow.picture(cli(), found(history=[]))) == 1


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the hub answers, one after the other; the last one again and again."""
    left: list[dict[str, Any]] = []
    monkeypatch.setattr(cli_jobs, "job_of", lambda *_: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(cli_jobs, "POLL_SECONDS", 0.0)
    return left


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    screen = io.StringIO()
    monkeypatch.setattr(cli_follow, "Console", lambda: Console(file=screen, force_terminal=True, width=120))
    return screen


def test_a_terminal_is_redrawn_until_the_run_ends(
    steps: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = terminal(monkeypatch)
    steps += [found(round_=1), found(), found("COMPLETED", 4, phase="finish")]
    cli_follow.follow(cli(), "abababab")
    assert "round 1/3" in screen.getvalue() and "round 2/3" in screen.getvalue() and "\x1b[" in screen.getvalue()
    assert "COMPLETED" in capsys.readouterr().out


def test_elsewhere_a_change_is_a_line_and_machines_get_the_end_alone(
    steps: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    steps += [found(round_=1), found(round_=1), found(), found("COMPLETED")]
    cli_follow.follow(cli(), "abababab")
    shown = capsys.readouterr().out
    assert shown.count("RUNNING") == 2
    steps[:] = [found(), found("COMPLETED")]
    cli_follow.follow(cli(as_json=True), "abababab")
    assert capsys.readouterr().out.count("\n") == 1


def test_a_run_that_rests_ends_the_following_with_the_way_on(steps: list[dict[str, Any]]) -> None:
    steps.append(found("PAUSED"))
    with pytest.raises(RunPaused) as caught:
        cli_follow.follow(cli(), "abababab")
    assert "QUORUM_MISSING too few" in caught.value.message() and "train resume abababababab" in caught.value.message()


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "EXPIRED"])
def test_a_run_that_ends_otherwise_is_a_failure(steps: list[dict[str, Any]], state: str) -> None:
    steps.append(found(state))
    with pytest.raises(cli_jobs.JobEnded):
        cli_follow.follow(cli(), "abababab")
