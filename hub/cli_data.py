"""`ecohub data`: match clients, train profiles. Every command is a call under a personal certificate."""

import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hub import drafts
from hub.cli_common import Cli, clock, entropy, options
from privacy.errors import Failure, Kind
from privacy.printable import printable

ENDED = ("COMPLETED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED")
POLL_SECONDS = 1.0


class JobEnded(Failure):
    code = "JOB_NOT_COMPLETED"
    kind = Kind.CONFLICT
    en = "the job {digest} ended as {state}: {reason}"
    zh = "任务 {digest} 以 {state} 结束：{reason}"


class ResultMissing(Failure):
    code = "RESULT_NOT_THERE"
    kind = Kind.CONFLICT
    en = "the job {digest} is {state}; there is no result yet"
    zh = "任务 {digest} 状态为 {state}，尚无结果"


class DraftFileInvalid(Failure):
    code = "DRAFT_FILE_INVALID"
    kind = Kind.INVALID
    en = "the file {file} can't be used: {why}"
    zh = "文件 {file} 不可用：{why}"


@click.group()
@options
def data(cli: Cli) -> None:
    """Match clients and train profiles with partners."""


@data.command()
@options
def partners(cli: Cli) -> None:
    """The partners, whether their node is connected, and what they publish."""
    found, _ = cli.call("partners")
    rows = []
    for item in found["partners"]:
        assets = item["assets"]["body"]["assets"] if item["assets"] else []
        offered = "; ".join(f"{a['name']} ({a['rows']}, {len(a['columns'])} columns)" for a in assets)
        rows.append(
            (item["partner"], item["name"], item["state"], "yes" if item["connected"] else "no", offered or None)
        )
    columns = ("partner", "name", "state", "connected", "assets")
    cli.show(found, lambda: cli.table(columns, rows))


@data.command()
@click.option("--kind", type=click.Choice(["match", "train", "agreement"]), help="only these")
@options
def jobs(cli: Cli, kind: str | None) -> None:
    """All jobs, oldest first."""
    found, _ = cli.call("jobs", {"kind": kind} if kind else {})
    rows = [(j["digest"][:12], j["kind"], j["state"], ", ".join(j["parties"]), j["purpose"]) for j in found["jobs"]]
    cli.show(found, lambda: cli.table(("job", "kind", "state", "parties", "purpose"), rows))


@data.group()
def match() -> None:
    """Find shared clients without showing the others."""


@match.command("propose")
@click.option("--leader", help="the partner that leads; in mode count it learns the count")
@click.option("--with", "others", multiple=True, help="another partner (repeat)")
@click.option("--mode", type=click.Choice(["count", "align"]), help="count: how many; align: which, in one order")
@click.option("--purpose", help="what for; clients have consented to purposes")
@click.option("--ids", "id_type", help="identifier type, as published with the assets")
@click.option("--minimum", type=click.IntRange(min=1), help="below it nothing is shown")
@click.option("--expires", help="ISO 8601 instant after which nothing runs any more")
@click.option("--file", "file", type=click.Path(path_type=Path), help="TOML with these and further fields")
@click.option("--key", default="", help="idempotency key: the same key again is the same proposal")
@options
def match_propose(
    cli: Cli,
    leader: str | None,
    others: tuple[str, ...],
    mode: str | None,
    purpose: str | None,
    id_type: str | None,
    minimum: int | None,
    expires: str | None,
    file: Path | None,
    key: str,
) -> None:
    """Propose a match. Each party's people must approve exactly this job."""
    given = _given(file, mode=mode, purpose=purpose, id_type=id_type, minimum=minimum, expires=expires)
    if leader or others:
        if not leader or not others:
            raise click.UsageError("--leader and at least one --with go together")
        followers = [{"partner": name, "role": "follower"} for name in others]
        given["parties"] = [{"partner": leader, "role": "leader"}, *followers]
    given = cli.drawn_before(key, given)
    _propose(cli, "match", drafts.match(given, _directory(cli), clock(), entropy), key)


@match.command("status")
@click.argument("job")
@click.option("--follow", is_flag=True, help="until it ends")
@options
def match_status(cli: Cli, job: str, follow: bool) -> None:
    """State, decisions, phases, bytes and time of a match."""
    _status(cli, job, follow)


@match.command("result")
@click.argument("job")
@options
def match_result(cli: Cli, job: str) -> None:
    """What the parties reported: a count, or that it stayed below the minimum. Clients stay at their nodes."""
    found = _job(cli, job)
    results = _documents(found, "match-result")
    if found["state"] != "COMPLETED":
        raise ResultMissing(digest=found["digest"][:12], state=found["state"])
    rows = [(r["signer"], r["body"]["outcome"], r["body"]["count"]) for r in results]
    document = {"digest": found["digest"], "mode": found["body"]["mode"], "results": results}
    cli.show(document, lambda: cli.table(("partner", "outcome", "common clients"), rows))


@match.command("cancel")
@click.argument("job")
@click.option("--yes", is_flag=True, help="do it")
@options
def match_cancel(cli: Cli, job: str, yes: bool) -> None:
    """End a match that has not ended."""
    _cancel(cli, job, yes)


@data.group()
def train() -> None:
    """Train a joint profile over aligned clients."""


@train.command("propose")
@click.option("--alignment", help="digest of the align job (or its beginning)")
@click.option("--label", help="PARTNER:COLUMN, whose node holds what is predicted")
@click.option("--with", "others", multiple=True, help="a partner with features (repeat)")
@click.option("--columns", multiple=True, help="PARTNER:NAME,NAME: the features it brings, of every party (repeat)")
@click.option("--purpose", help="what for; clients have consented to purposes")
@click.option("--expires", help="ISO 8601 instant after which nothing runs any more")
@click.option("--file", "file", type=click.Path(path_type=Path), help="TOML with these and further fields")
@click.option("--key", default="", help="idempotency key: the same key again is the same proposal")
@options
def train_propose(
    cli: Cli,
    alignment: str | None,
    label: str | None,
    others: tuple[str, ...],
    columns: tuple[str, ...],
    purpose: str | None,
    expires: str | None,
    file: Path | None,
    key: str,
) -> None:
    """Propose a training plan. Split, suppression and columns are fixed in it before anything is computed.

    Every party's columns are named, in the file or by --columns: nothing that is published becomes a feature unasked.
    """
    given = _given(file, alignment=alignment, purpose=purpose, expires=expires)
    if label is not None:
        holder, _, column = label.partition(":")
        given["label"] = {"partner": holder, "column": column}
        if others:
            given["parties"] = [{"partner": name} for name in (holder, *others)]
    if isinstance(given.get("alignment"), str):
        given["alignment"] = _job(cli, given["alignment"])["digest"]
    given = cli.drawn_before(key, _with_columns(given, columns))
    _propose(cli, "train", drafts.train(given, _directory(cli), clock(), entropy), key)


@train.command("status")
@click.argument("job")
@click.option("--follow", is_flag=True, help="until it ends")
@options
def train_status(cli: Cli, job: str, follow: bool) -> None:
    """State, decisions, phases, bytes and time of a run."""
    _status(cli, job, follow)


@train.command("report")
@click.argument("job")
@options
def train_report(cli: Cli, job: str) -> None:
    """The measured scorecards on the test rows: alone, with each partner, with all; with 95 % intervals."""
    found = _job(cli, job)
    if found["state"] != "COMPLETED":
        raise ResultMissing(digest=found["digest"][:12], state=found["state"])
    results = _documents(found, "train-result")
    holder = next(r for r in results if r["body"]["role"] == "label_holder")
    record, model = holder["body"]["record"], _documents(found, "model-record")
    document = {"digest": found["digest"], "record": record, "results": results, "model": model}
    cli.show(document, lambda: _show_report(cli, holder["signer"], record))


@train.command("cancel")
@click.argument("job")
@click.option("--yes", is_flag=True, help="do it")
@options
def train_cancel(cli: Cli, job: str, yes: bool) -> None:
    """End a run that has not ended."""
    _cancel(cli, job, yes)


def _with_columns(given: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """The plan with the columns that options name, over the file's."""
    named = {name: [*filter(None, found.split(","))] for name, _, found in (item.partition(":") for item in columns)}
    parties = [dict(party) for party in given.get("parties", [])]
    if strangers := sorted(set(named) - {party.get("partner") for party in parties}):
        raise click.UsageError(f"--columns names {strangers[0]}, which is no party: give --label and --with, or a file")
    for party in parties:
        if party.get("partner") in named:
            party["columns"] = named[str(party["partner"])]
    return {**given, "parties": parties} if named else given


def _propose(cli: Cli, kind: str, body: Mapping[str, Any], key: str) -> None:
    made, _ = cli.call("propose", {"kind": kind, "body": dict(body)}, key=key)
    cli.show(made, lambda: _show_proposal(cli, made))


def _show_proposal(cli: Cli, made: Mapping[str, Any]) -> None:
    body = made["body"]
    cli.say(f"proposed {made['kind']} {made['digest']}", f"已提出 {made['kind']} 任务 {made['digest']}")
    rows = [(p["partner"], p["role"], p["asset"], p["signing"][:16], p["sealing"][:16]) for p in body["parties"]]
    cli.table(("partner", "role", "asset", "signing key", "sealing key"), rows)
    _show_columns(cli, body)
    for sentence in body["disclosure"]:
        click.echo(f"  - {sentence}")
    cli.say(
        f"next: each party's people run `ecohub partner approve {made['digest'][:12]}`",
        f"下一步：各方人员执行 `ecohub partner approve {made['digest'][:12]}`",
    )


def _status(cli: Cli, job: str, follow: bool) -> None:
    found = _job(cli, job)
    last = ""
    while follow and found["state"] not in ENDED:
        line = f"{found['state']} {_progress(found)}".strip()
        if line != last and not cli.as_json:
            click.echo(line)
        last = line
        time.sleep(POLL_SECONDS)
        found = _job(cli, job)
    cli.show(found, lambda: _show_job(cli, found))
    if follow and found["state"] != "COMPLETED":
        raise JobEnded(digest=found["digest"][:12], state=found["state"], reason=_why(cli, found))


def _why(cli: Cli, found: Mapping[str, Any]) -> str:
    """Why a job ended as it did: code, the party or person it comes from, and what was said."""
    reason = found["reason"]
    said = reason.get("zh" if cli.lang == "zh" else "en") or reason.get("en", "")
    who = reason.get("partner") or reason.get("person")
    code = reason.get("code") if reason.get("code") != found["state"] else ""
    return printable(" ".join(filter(None, [code, f"({who})" if who else "", said])))


def _show_job(cli: Cli, found: Mapping[str, Any]) -> None:
    click.echo(f"{found['kind']} {found['digest']}\n{found['state']} {_why(cli, found)}".rstrip())
    decisions = found["decisions"]
    rows = [
        (party, decisions.get(party, {}).get("decision"), decisions.get(party, {}).get("person"))
        for party in found["parties"]
    ]
    cli.table(("partner", "decision", "person"), rows)
    _show_columns(cli, found["body"])
    phases = [
        (p["phase"], p["node"], p["requests"], f"{p['bytes_down']:,}", f"{p['bytes_up']:,}", p["milliseconds"] / 1000)
        for p in found["phases"]
    ]
    if phases:
        cli.table(("phase", "node", "requests", "bytes down", "bytes up", "seconds"), phases)
    click.echo(f"{found['bytes']:,} bytes, {found['milliseconds'] / 1000:.1f} s")


def _show_columns(cli: Cli, body: Mapping[str, Any]) -> None:
    """Which columns each party brings, by name: what people approve."""
    rows = [(p["partner"], ", ".join(p["columns"])) for p in body["parties"] if isinstance(p.get("columns"), list)]
    if rows:
        cli.table(("partner", "columns"), rows)


def _show_report(cli: Cli, holder: str, record: Mapping[str, Any]) -> None:
    rows = []
    for variant in record["variants"]:
        name = " + ".join([holder, *variant["holders"]])
        figures = [_estimate(variant[figure]) for figure in ("auc", "average_precision", "auc_uplift")]
        rows.append((name, variant["columns"], *figures))
    title = f"{record['test_rows']} test rows, {record['test_positives']} positive; model {record['model_digest'][:16]}"
    cli.table(("scorecard", "columns", "AUC", "average precision", "AUC uplift"), rows, title=title)


def _estimate(value: Mapping[str, Any] | None) -> str | None:
    if value is None:
        return None
    point, low, high = (int(value[name]) / 1_000_000 for name in ("value_ppm", "low_ppm", "high_ppm"))
    return f"{point:.4f} [{low:.4f}, {high:.4f}]"


def _progress(found: Mapping[str, Any]) -> str:
    parties = found["progress"].get("parties", {})
    return ", ".join(f"{name}: {value['phase']}" for name, value in sorted(parties.items()))


def _cancel(cli: Cli, job: str, yes: bool) -> None:
    found = _job(cli, job)
    cli.confirm(yes, {"would_cancel": found["digest"], "state": found["state"]})
    cli.show(cli.call("cancel", {"digest": found["digest"]})[0])


def _job(cli: Cli, job: str) -> dict[str, Any]:
    return cli.call("job", {"digest": job})[0]


def _documents(found: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [document for document in found["documents"] if document["kind"] == kind]


def _directory(cli: Cli) -> drafts.Directory:
    return drafts.Directory(cli.call("partners")[0]["partners"])


def _given(file: Path | None, **chosen: Any) -> dict[str, Any]:
    """The fields of the file, with those given as options over them."""
    try:
        read = drafts.plain(tomllib.loads(file.read_text(encoding="utf-8"))) if file else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DraftFileInvalid(file=str(file), why=str(error)) from None
    return {**read, **{name: value for name, value in chosen.items() if value is not None}}
