"""What the data team's commands share: a job proposed, shown, followed and ended, whatever its kind."""

import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from federation.plan_horizontal import SHAPE as HORIZONTAL
from hub import drafts
from hub.cli_common import Cli
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


def propose(cli: Cli, kind: str, body: Mapping[str, Any], key: str) -> None:
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


def status(cli: Cli, job: str, follow: bool) -> None:
    found = job_of(cli, job)
    last = ""
    while follow and found["state"] not in ENDED:
        line = f"{found['state']} {_progress(found)}".strip()
        if line != last and not cli.as_json:
            click.echo(line)
        last = line
        time.sleep(POLL_SECONDS)
        found = job_of(cli, job)
    cli.show(found, lambda: show_job(cli, found))
    if follow and found["state"] != "COMPLETED":
        raise JobEnded(digest=found["digest"][:12], state=found["state"], reason=why(cli, found))


def why(cli: Cli, found: Mapping[str, Any]) -> str:
    """Why a job ended as it did: code, the party or person it comes from, and what was said."""
    reason = found["reason"]
    said = reason.get("zh" if cli.lang == "zh" else "en") or reason.get("en", "")
    who = reason.get("partner") or reason.get("person")
    code = reason.get("code") if reason.get("code") != found["state"] else ""
    return printable(" ".join(filter(None, [code, f"({who})" if who else "", said])))


def show_job(cli: Cli, found: Mapping[str, Any]) -> None:
    click.echo(f"{found['kind']} {found['digest']}\n{found['state']} {why(cli, found)}".rstrip())
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
    if body.get("shape") == HORIZONTAL:
        cli.table(("of every partner", ""), _horizontal(body))


def _horizontal(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What people choose in a horizontal plan."""
    label, training, engine, noise = body["label"], body["training"], body["engine"], body.get("privacy")
    named = [
        column["name"] + (f" ({', '.join(column['levels'])})" if column["kind"] == "category" else "")
        for column in body["columns"]
    ]
    plain = {name: value for name, value in training.items() if value != []}
    return [
        ("model", f"{body['model']}, {body['strategy']['name']}, {body['standardise']} standardisation"),
        ("label", f"{label['column']}: {', '.join(label['classes'])}"),
        ("columns", "; ".join(named)),
        ("training", ", ".join(f"{name} {value}" for name, value in plain.items())),
        ("clip, weight 1 at", f"{body['clip_milli'] / 1000:g}, {body['examples_max']:,} rows"),
        ("engine", engine["name"] + (f", key dealt by {engine['dealer']}" if "dealer" in engine else "")),
        ("noise", "none" if noise is None else ", ".join(f"{name} {value}" for name, value in noise.items())),
    ]


def _progress(found: Mapping[str, Any]) -> str:
    parties = found["progress"].get("parties", {})
    return ", ".join(f"{name}: {value['phase']}" for name, value in sorted(parties.items()))


def cancel(cli: Cli, job: str, yes: bool) -> None:
    found = job_of(cli, job)
    cli.confirm(yes, {"would_cancel": found["digest"], "state": found["state"]})
    cli.show(cli.call("cancel", {"digest": found["digest"]})[0])


def job_of(cli: Cli, job: str) -> dict[str, Any]:
    return cli.call("job", {"digest": job})[0]


def documents(found: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [document for document in found["documents"] if document["kind"] == kind]


def directory(cli: Cli) -> drafts.Directory:
    return drafts.Directory(cli.call("partners")[0]["partners"])


def given_in(file: Path | None, **chosen: Any) -> dict[str, Any]:
    """The fields of the file, with those given as options over them."""
    try:
        read = drafts.plain(tomllib.loads(file.read_text(encoding="utf-8-sig"))) if file else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DraftFileInvalid(file=str(file), why=str(error)) from None
    return {**read, **{name: value for name, value in chosen.items() if value is not None}}
