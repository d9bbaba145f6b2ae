"""What the data team's commands share: a job proposed, shown, followed and ended, whatever its kind."""

import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hub import cli_plan, drafts, words
from hub.cli_common import Cli
from privacy.errors import Failure, Kind
from privacy.printable import printable

ENDED = ("COMPLETED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED")
POLL_SECONDS = 1.0
FILE_BYTES_MAX = 256 << 10  # a proposal has 128 KiB at most, its file may have comments


class JobEnded(Failure):
    code = "JOB_NOT_COMPLETED"
    kind = Kind.CONFLICT
    en = "the job {digest} ended as {state}: {reason}"
    zh = "任务 {digest} {state_zh}：{reason}"


class ResultMissing(Failure):
    code = "RESULT_NOT_THERE"
    kind = Kind.CONFLICT
    en = "the job {digest} is {state}; there is no result yet"
    zh = "任务 {digest} {state_zh}，尚无结果"


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
    kind = cli.value(made["kind"])
    cli.say(f"proposed {kind} {made['digest']}", f"已提出{kind}任务 {made['digest']}")
    cli_plan.show(cli, body)
    for sentence in body["disclosure"]:
        click.echo(printable(f"  - {sentence}"))
    cli.say(
        f"next: each party's people run `ecohub partner approve {made['digest'][:12]}`",
        f"下一步：各方人员执行 `ecohub partner approve {made['digest'][:12]}`",
    )


def status(cli: Cli, job: str, follow: bool) -> None:
    found = job_of(cli, job)
    last = ""
    while follow and found["state"] not in ENDED:
        line = printable(f"{cli.value(found['state'])} {_progress(cli, found)}".strip())
        if line != last and not cli.as_json:
            click.echo(line)
        last = line
        time.sleep(POLL_SECONDS)
        found = job_of(cli, job)
    cli.show(found, lambda: show_job(cli, found))
    if follow and found["state"] != "COMPLETED":
        raise ended(cli, found)


def ended(cli: Cli, found: Mapping[str, Any]) -> JobEnded:
    """How a job that did not complete ended."""
    return JobEnded(**_state(found), reason=why(cli, found))


def no_result(found: Mapping[str, Any]) -> ResultMissing:
    return ResultMissing(**_state(found))


def _state(found: Mapping[str, Any]) -> dict[str, str]:
    state = str(found["state"])
    return {"digest": found["digest"][:12], "state": state, "state_zh": words.value(state, "zh")}


def why(cli: Cli, found: Mapping[str, Any]) -> str:
    """Why a job ended as it did: code, the party or person it comes from, and what was said."""
    reason = found["reason"]
    said = reason.get("zh" if cli.lang == "zh" else "en") or reason.get("en", "")
    who = reason.get("partner") or reason.get("person")
    code = reason.get("code") if reason.get("code") != found["state"] else ""
    return printable(" ".join(filter(None, [code, f"({who})" if who else "", said])))


def show_job(cli: Cli, found: Mapping[str, Any]) -> None:
    click.echo(f"{cli.value(found['kind'])} {found['digest']}\n{cli.value(found['state'])} {why(cli, found)}".rstrip())
    decisions = found["decisions"]
    rows = [
        (party, cli.value(decisions.get(party, {}).get("decision", "-")), decisions.get(party, {}).get("person"))
        for party in found["parties"]
    ]
    cli.table(("partner", "decision", "person"), rows)
    cli_plan.show(cli, found["body"])
    if found["phases"]:
        heads = ("phase", "node", "requests", "bytes down", "bytes up", "seconds, first request to last answer")
        cli.table(heads, [_phase(cli, phase) for phase in found["phases"]])
    size, seconds = f"{found['bytes']:,}", f"{found['milliseconds'] / 1000:.1f}"
    cli.say(
        f"{size} bytes, {seconds} seconds from start to end, pauses included",
        f"{size} 字节，自开始至结束 {seconds} 秒（含暂停）",
    )


def _phase(cli: Cli, item: Mapping[str, Any]) -> tuple[object, ...]:
    """What one phase cost at one node; of a run with rounds, over all of them."""
    name, seconds = words.phase(item["phase"], cli.lang), f"{item['milliseconds'] / 1000:.1f}"
    return name, item["node"], item["requests"], f"{item['bytes_down']:,}", f"{item['bytes_up']:,}", seconds


def _progress(cli: Cli, found: Mapping[str, Any]) -> str:
    """Each party's phase, with its finished parts of all where it has told."""
    said = []
    for name, value in sorted(found["progress"].get("parties", {}).items()):
        parts = "{} / {}".format(*value["parts"]) if value.get("parts") else ""
        said.append(" ".join(filter(None, [f"{name}:", words.phase(value["phase"], cli.lang), parts])))
    return ", ".join(said)


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
    """The fields of the file, with those given as options over them. Raises DraftFileInvalid, DraftIncomplete."""
    read = drafts.plain(_toml(file)) if file else {}
    return {**read, **{name: value for name, value in chosen.items() if value is not None}}


def _toml(file: Path) -> dict[str, Any]:
    """A file's content, its size looked at before it is read: a parser takes many times that."""
    try:
        with file.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise DraftFileInvalid(file=str(file), why=f"it is larger than {FILE_BYTES_MAX:,} bytes")
        return tomllib.loads(data.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DraftFileInvalid(file=str(file), why=str(error)) from None
