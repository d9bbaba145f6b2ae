"""`ecohub finance release | reject`: the second pair of eyes on what another person of finance closed."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from hub import words
from hub.cli_common import Cli, options
from hub.records import Head
from revenue_share.dispute import read_lines
from revenue_share.money import Money

YES = click.option("--yes", is_flag=True, help="do it")
KEY = click.option("--key", default="", help="idempotency key")


@click.command()
@click.argument("identifier", metavar="STATEMENT")
@YES
@KEY
@options
def release(cli: Cli, identifier: str, yes: bool, key: str) -> None:
    """Send a draft STATEMENT that another person closed, sealed, to both parties' nodes. Its maker is refused."""
    found, _ = cli.call("statement", {"statement": identifier})
    cli.confirm(yes, {"would_release": _summary(found)}, lambda: _show(cli, found))
    cli.show(cli.call("release", {"statement": found["statement"]}, key=key)[0])


@click.command()
@click.argument("identifier", metavar="STATEMENT")
@click.option("--reason", required=True, help="why; it stays on record")
@YES
@KEY
@options
def reject(cli: Cli, identifier: str, reason: str, yes: bool, key: str) -> None:
    """Make a draft STATEMENT void that was not released yet; its period is open again."""
    found, _ = cli.call("statement", {"statement": identifier})
    cli.confirm(yes, {"would_reject": _summary(found)}, lambda: _show(cli, found))
    cli.show(cli.call("reject", {"statement": found["statement"], "reason": reason}, key=key)[0])


def _summary(found: Head) -> Head:
    names = ("statement", "period", "payer", "referrer", "state", "lines", "currency", "total_minor", "payable_minor")
    return {**{name: found[name] for name in names}, "hands": found["hands"]}


def _show(cli: Cli, found: Head) -> None:
    """What the checker signs off: parties, lines and amounts, and who made it."""
    hands = found["hands"]
    assert isinstance(hands, dict)
    currency = str(found["currency"])
    rows: list[tuple[str, object]] = [(name, found[name]) for name in ("statement", "period", "payer", "referrer")]
    rows += [("state", words.statement(str(found["state"]), cli.lang)), ("lines", found["lines"])]
    for name, field in (("sum", "total_minor"), ("payable", "payable_minor")):
        rows.append((name, f"{currency} {Money(currency=currency, minor=int(str(found[field]))).to_text()}"))
    rows.append(("made by", hands["made_by"]))
    cli.table(("", ""), [(words.head(name, cli.lang), value) for name, value in rows])


def show_disputes(cli: Cli, found: Sequence[Mapping[str, Any]]) -> None:
    """Each disputed line with its code, words and evidence, and what the other party answered."""
    rows: list[tuple[object, ...]] = []
    for item in found:
        body = item["document"]["body"]
        answered = {line["line"]: line for line in (item["answer"] or {"body": {"lines": []}})["body"]["lines"]}
        if not body["lines"]:
            rows.append((item["document"]["signer"], "", "", body["reason"], "", ""))
        for line in read_lines(body["lines"]):
            evidence = f"{line.evidence.what} {line.evidence.sha256[:16]}" if line.evidence else ""
            rows.append(
                (
                    item["document"]["signer"],
                    line.line,
                    line.code.value,
                    line.reason or body["reason"],
                    evidence,
                    _answer(cli, answered.get(line.line)),
                )
            )
    if rows:
        cli.table(("partner", "line", "kind", "reason", "evidence", "answer"), rows)


def _answer(cli: Cli, line: Mapping[str, Any] | None) -> str:
    if line is None:
        return cli.word("open", "待答复")
    word = cli.word("accepted", "接受") if line["accepted"] else cli.word("rejected", "不接受")
    return f"{word}: {line['reason']}"


COMMANDS = (release, reject)
