"""`ecohub data train propose --each-class`: a label of several classes as one plan for each class against the rest."""

from collections.abc import Mapping
from typing import Any

import click

from federation.plan import TrainingPlan
from hub import cli_jobs, cli_plan, drafts
from hub.cli_common import Cli, clock, entropy
from hub.records import Head
from privacy.printable import printable

CLASSES_MAX = 16
SHARED = ("split_salt", "expires")  # one division of the clients, or the plans could not be joined
DIGITS = 16


def propose(cli: Cli, given: Mapping[str, Any], listed: str, key: str) -> None:
    """Propose one plan for each listed class, all of one division of the clients; nothing where one is not valid.

    Raises click.UsageError, DraftIncomplete, PlanInvalid, and what the hub refuses.
    """
    names = [name.strip() for name in listed.split(",")]
    if not 2 <= len(names) <= CLASSES_MAX or len(set(names)) != len(names) or not all(names):
        raise click.UsageError(f"--each-class expects 2 to {CLASSES_MAX} different classes")
    made: list[dict[str, Any]] = []
    for name, body in zip(names, _bodies(cli, given, names, key), strict=True):
        job, _ = cli.call("propose", {"kind": "train", "body": dict(body)}, key=_key(key, name))
        made.append({"class": name, **job})
    cli.show({"jobs": made}, lambda: _show(cli, made))


def _bodies(cli: Cli, given: Mapping[str, Any], names: list[str], key: str) -> list[Head]:
    directory, now = cli_jobs.directory(cli), clock()
    bodies: list[Head] = []
    for name in names:
        shared = {field: bodies[0][field] for field in SHARED} if bodies else {}
        drawn = cli.drawn_before(_key(key, name), given)
        label = {**drawn.get("label", {}), "positive": name}
        body = drafts.train({**shared, **drawn, "label": label}, directory, now, entropy)
        TrainingPlan.from_body(body)
        bodies.append(body)
    return bodies


def _key(key: str, name: str) -> str:
    return f"{key}/{name}" if key else ""


def _show(cli: Cli, made: list[dict[str, Any]]) -> None:
    cli_plan.show(cli, made[0]["body"])
    for sentence in made[0]["body"]["disclosure"]:
        click.echo(printable(f"  - {sentence}"))
    cli.say("the same for each class, each a job of its own:", "各类别方案相同，各为一个任务：")
    cli.table(("label class", "job"), [(printable(job["class"]), job["digest"]) for job in made])
    short = " ".join(job["digest"][:DIGITS] for job in made)
    cli.say(
        "next: each party's people run `ecohub partner approve` for every one of them; once all have ended, the label "
        f"holder's `ecohub partner classes {short}`",
        f"下一步：各方人员对每个任务执行 `ecohub partner approve`；全部结束后由标签方执行 "
        f"`ecohub partner classes {short}`",
    )
