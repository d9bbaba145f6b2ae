"""How a horizontal run looks while it runs: round, phase, a mark for each partner, the loss so far."""

import time
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hub import cli_jobs, plots, run_report, words
from hub.cli_common import Cli
from privacy.errors import Failure, Kind
from privacy.printable import printable

MARKS = {"answered": "✓", "waiting": "…", "failed": "✗", "late": "–", "idle": "·"}
NO_ANSWER = "NO_ANSWER"
MICRO = 1_000_000
RESTING = (*cli_jobs.ENDED, "PAUSED")
ENDED_OTHERWISE = tuple(state for state in cli_jobs.ENDED if state != "COMPLETED")


class RunPaused(Failure):
    code = "RUN_PAUSED"
    kind = Kind.UNAVAILABLE
    en = "the run {digest} rests: {reason}; go on with `ecohub data train resume {digest}`"
    zh = "训练 {digest} 已暂停：{reason}；执行 `ecohub data train resume {digest}` 可继续"


def follow(cli: Cli, job: str) -> None:
    """Show a run until it ends or rests. Raises JobEnded where it does not complete, RunPaused where it rests."""
    console = Console()
    found = cli_jobs.job_of(cli, job)
    if cli.as_json or not console.is_terminal:
        found = _lines(cli, job, found)
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while found["state"] not in RESTING:
                live.update(Text("\n".join(picture(cli, found))), refresh=True)
                time.sleep(cli_jobs.POLL_SECONDS)
                found = cli_jobs.job_of(cli, job)
    cli.show(found, lambda: show(cli, found))
    if found["state"] == "PAUSED":
        raise RunPaused(digest=found["digest"][:12], reason=cli_jobs.why(cli, found))
    if found["state"] != "COMPLETED":
        raise cli_jobs.ended(cli, found)


def _lines(cli: Cli, job: str, found: dict[str, Any]) -> dict[str, Any]:
    """One line for each change, for a terminal that can't be redrawn; nothing in between for machines."""
    last = ""
    while found["state"] not in RESTING:
        line = headline(cli, found)
        if line != last and not cli.as_json:
            click.echo(line)
        last = line
        time.sleep(cli_jobs.POLL_SECONDS)
        found = cli_jobs.job_of(cli, job)
    return found


def show(cli: Cli, found: Mapping[str, Any]) -> None:
    """The whole state of a run: what every job shows, what went wrong at partners, then where the rounds are."""
    cli_jobs.show_job(cli, found)
    if found["run"]["troubles"]:
        cli.table(run_report.TROUBLES, run_report.troubles(found["run"]["troubles"], cli.lang))
    for line in picture(cli, found):
        click.echo(line)


def picture(cli: Cli, found: Mapping[str, Any]) -> list[str]:
    """The lines of a run: a headline, the partners' marks, the loss as a curve."""
    losses = loss_of(found)
    lines = [headline(cli, found), *plots.curve(losses)]
    if losses:
        best = min(range(len(losses)), key=losses.__getitem__)
        lines.append(cli.word(f"validation loss, best {losses[best]:.4f}", f"验证损失，最优 {losses[best]:.4f}"))
    clipped = sum(int(item["clipped"]) for item in found["run"]["history"])
    if clipped:
        lines.append(cli.word(f"{clipped:,} values clipped", f"已裁剪 {clipped:,} 个值"))
    return lines


def headline(cli: Cli, found: Mapping[str, Any]) -> str:
    """State, round, phase, one mark a partner, loss, in one line."""
    run, state = found["run"], cli.value(found["state"])
    if found["state"] == "APPROVED":
        command = f"`ecohub data train start {found['digest'][:12]}`"
        return cli.word(f"{state}: waits for {command}", f"{state}：等待执行 {command}")
    if found["state"] == "PROPOSED":
        return state
    parts = [state, *(_under_way(cli, run) if found["state"] == "RUNNING" else _finished(cli, run))]
    shown = sorted(run["parties"].items())
    if found["state"] in ENDED_OTHERWISE:  # who is there now says nothing about a run that is over
        shown = [(name, item) for name, item in shown if item["code"]]
    parts.append(" ".join(f"{name} {mark(item)}" for name, item in shown))
    if losses := loss_of(found):
        parts.append(f"{cli.word('loss', '损失')} {losses[-1]:.4f} {plots.sparkline(losses, 24)}")
    return printable("  ".join(filter(None, parts)))


def _under_way(cli: Cli, run: Mapping[str, Any]) -> list[str]:
    """Round, phase and attempt; who is waited for where nobody is asked."""
    parts = []
    if run["round"] is not None:
        rounds = f"{min(run['round'], run['rounds'])}/{run['rounds']}"
        parts = [cli.word(f"round {rounds}", f"第 {rounds} 轮"), words.phase(run["phase"], cli.lang)]
        if run["attempt"]:
            parts.append(cli.word(f"attempt {run['attempt'] + 1}", f"第 {run['attempt'] + 1} 次尝试"))
    if run["waits_for"]:
        names = ", ".join(run["waits_for"])
        parts.append(cli.word(f"waits for the nodes of {names}", f"等待节点上线：{names}"))
    return parts


def _finished(cli: Cli, run: Mapping[str, Any]) -> list[str]:
    """Of a run that rests or is over: how far it came."""
    rounds = f"{run['round'] or 0}/{run['rounds']}"
    return [cli.word(f"{rounds} rounds finished", f"已完成 {rounds} 轮")]


def mark(item: Mapping[str, Any]) -> str:
    """A partner's mark, with the code of what went wrong there; one whose node is away is shown as such."""
    if item["state"] in ("waiting", "idle") and not item["connected"]:
        return "?"
    code = item["code"] if item["code"] != NO_ANSWER else None
    return " ".join(filter(None, [MARKS[str(item["state"])], code]))


def loss_of(found: Mapping[str, Any]) -> list[float]:
    """The loss after each finished round, where there is one."""
    return [item["loss_micro"] / MICRO for item in found["run"]["history"] if item.get("loss_micro") is not None]
