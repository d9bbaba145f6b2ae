"""`ecohub data train`: plans of both shapes proposed, started, followed, reported, ended."""

from pathlib import Path
from typing import Any

import click

from hub import cli_classes, cli_follow, cli_jobs, cli_profile, cli_report, drafts, drafts_horizontal
from hub.cli_common import Cli, clock, entropy, options


@click.group()
def train() -> None:
    """Train a joint profile over aligned clients, or one model over partners with the same columns."""


@train.command("propose")
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option("--alignment", help="digest of the align job (or its beginning)")
@click.option("--label", help="PARTNER:COLUMN, whose node holds what is predicted")
@click.option("--with", "others", multiple=True, help="a partner with features (repeat)")
@click.option("--columns", multiple=True, help="PARTNER:NAME,NAME: the features it brings, of every party (repeat)")
@click.option("--binned", multiple=True, help="PARTNER:NAME,NAME: which of them enter as bins (repeat)")
@click.option("--folds", type=int, help="of the train clients: cross-validation, and a ridge penalty chosen by it")
@click.option("--each-class", help="NAME,NAME: one plan for each of these classes of the label, against the rest")
@click.option("--contribution", is_flag=True, help="measure what each partner's columns add, by which it may be paid")
@click.option("--purpose", help="what for; clients have consented to purposes")
@click.option("--expires", help="ISO 8601 instant after which nothing runs any more")
@click.option("--file", "file", type=click.Path(path_type=Path), help="the plan's TOML, as PLAN")
@click.option("--key", default="", help="idempotency key: the same key again is the same proposal")
@options
def train_propose(
    cli: Cli,
    plan: Path | None,
    alignment: str | None,
    label: str | None,
    others: tuple[str, ...],
    columns: tuple[str, ...],
    binned: tuple[str, ...],
    folds: int | None,
    each_class: str | None,
    contribution: bool,
    purpose: str | None,
    expires: str | None,
    file: Path | None,
    key: str,
) -> None:
    """Propose a training plan, from a TOML file and options. Everything is fixed in it before anything is computed.

    A file with shape = "horizontal" is a plan for partners with the same columns; the other options but --purpose,
    --expires and --key are for vertical plans, whose parties bring different columns of the same clients.
    """
    if plan and file:
        raise click.UsageError("PLAN and --file are two names of one thing")
    given = cli_jobs.given_in(plan or file, alignment=alignment, purpose=purpose, expires=expires)
    if drafts_horizontal.is_horizontal(given):
        if alignment or label or others or columns or binned or folds or each_class or contribution:
            raise click.UsageError(
                "--alignment, --label, --with, --columns, --binned, --folds, --each-class, --contribution are for "
                "vertical plans"
            )
        given = cli.drawn_before(key, given)
        body = drafts_horizontal.train(given, cli_jobs.directory(cli), clock(), entropy)
    else:
        named = _naming(_naming(_vertical(cli, given, label, others), "columns", columns), "binned", binned)
        if folds is not None:
            named["validation"] = {**named.get("validation", {}), "folds": folds}
        if contribution:
            named["contribution"] = True
        if each_class is not None:
            cli_classes.propose(cli, named, each_class, key)
            return
        given = cli.drawn_before(key, named)
        body = drafts.train(given, cli_jobs.directory(cli), clock(), entropy)
    cli_jobs.propose(cli, "train", body, key)


@train.command("start")
@click.argument("job")
@click.option("--follow", is_flag=True, help="then follow it until it ends or rests")
@options
def train_start(cli: Cli, job: str, follow: bool) -> None:
    """Begin a horizontal run that everybody approved. Vertical runs start by themselves."""
    _begin(cli, "start", job, follow)


@train.command("resume")
@click.argument("job")
@click.option("--follow", is_flag=True, help="then follow it until it ends or rests")
@options
def train_resume(cli: Cli, job: str, follow: bool) -> None:
    """Go on with a run that rests, from the last finished round."""
    _begin(cli, "resume", job, follow)


@train.command("pause")
@click.argument("job")
@options
def train_pause(cli: Cli, job: str) -> None:
    """Let a horizontal run rest; nothing of its finished rounds is lost."""
    cli.show(cli.call("pause", {"digest": job})[0])


@train.command("status")
@click.argument("job")
@click.option("--follow", is_flag=True, help="until it ends, or rests")
@options
def train_status(cli: Cli, job: str, follow: bool) -> None:
    """State, decisions, rounds, partners, loss, phases, bytes and time of a run."""
    found = cli_jobs.job_of(cli, job)
    if "run" not in found:
        cli_jobs.status(cli, job, follow)
    elif follow:
        cli_follow.follow(cli, job)
    else:
        cli.show(found, lambda: cli_follow.show(cli, found))


@train.command("report")
@click.argument("job")
@click.option("--html", type=click.Path(path_type=Path), help="also write a page that needs nothing else")
@click.option("--png", type=click.Path(path_type=Path), help="also draw the curves as PNG (needs an extra)")
@options
def train_report(cli: Cli, job: str, html: Path | None, png: Path | None) -> None:
    """What came of a run: vertical, as `data profile report` shows it; horizontal, the loss curve, every partner's own
    test score before and after, bytes, time, clipped values and what was spent of privacy budgets."""
    found = cli_jobs.job_of(cli, job)
    if found["state"] != "COMPLETED":
        raise cli_jobs.no_result(found)
    shown = cli_report.report if "run" in found else cli_profile.show
    shown(cli, found, html, png)


@train.command("cancel")
@click.argument("job")
@click.option("--yes", is_flag=True, help="do it")
@options
def train_cancel(cli: Cli, job: str, yes: bool) -> None:
    """End a run that has not ended."""
    cli_jobs.cancel(cli, job, yes)


def _begin(cli: Cli, command: str, job: str, follow: bool) -> None:
    made, _ = cli.call(command, {"digest": job})
    if follow:
        cli_follow.follow(cli, made["digest"])
        return
    short = made["digest"][:12]
    follow_it = f"ecohub data train status {short} --follow"
    cli.show(
        made,
        lambda: cli.say(
            f"{short} is {made['state']}; `{follow_it}`", f"{short} {cli.value(made['state'])}；`{follow_it}`"
        ),
    )


def _vertical(cli: Cli, given: dict[str, Any], label: str | None, others: tuple[str, ...]) -> dict[str, Any]:
    if label is not None:
        holder, _, column = label.partition(":")
        given["label"] = {"partner": holder, "column": column}
        if others:
            given["parties"] = [{"partner": name} for name in (holder, *others)]
    if isinstance(given.get("alignment"), str):
        given["alignment"] = cli_jobs.job_of(cli, given["alignment"])["digest"]
    return given


def _naming(given: dict[str, Any], what: str, options: tuple[str, ...]) -> dict[str, Any]:
    """The plan with the columns that options name as `what` of parties, over the file's."""
    named = {name: [*filter(None, found.split(","))] for name, _, found in (item.partition(":") for item in options)}
    parties = [dict(party) for party in given.get("parties", [])]
    if strangers := sorted(set(named) - {party.get("partner") for party in parties}):
        raise click.UsageError(f"--{what} names {strangers[0]}, which is no party: give --label and --with, or a file")
    for party in parties:
        if party.get("partner") in named:
            party[what] = named[str(party["partner"])]
    return {**given, "parties": parties} if named else given
