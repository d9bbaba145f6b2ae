"""`ecohub partner referrals | events | statement`: reports and statements of this node."""

import getpass
import time
from pathlib import Path
from typing import Any

import click

from ecowire import status
from partner_node.cli_common import Cli, options
from privacy.errors import Failure
from revenue_share.dispute import Code
from revenue_share.money import Money

LINES_SHOWN_MAX = 20
ANSWER_SECONDS, POLL_SECONDS = 15.0, 0.3
LINE = "N[:CODE[:WORDS]]"
CODES = ", ".join(code.value for code in Code)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def referrals() -> None:
    """Clients this partner referred."""


@referrals.command("report")
@click.argument("file", type=FILE)
@click.option("--agreement", required=True, help="its digest, or the first 8 digits or more")
@click.option("--alignment", help="the match job whose tokens are used; needed where this node holds several")
@click.option("--id-type", default="resident_id", show_default=True, help="how client_id is written in the file")
@options
def referrals_report(cli: Cli, file: Path, agreement: str, alignment: str | None, id_type: str) -> None:
    """Report referrals of a CSV FILE (client_id,time) by token. Clients outside the alignment are not sent."""
    found = cli.call(
        "referrals.report", file=str(file.resolve()), agreement=agreement, alignment=alignment, id_type=id_type
    )
    cli.show(found)


@click.group()
def events() -> None:
    """Revenue events of referred clients."""


@events.command("report")
@click.argument("file", type=FILE)
@click.option("--agreement", required=True, help="its digest, or the first 8 digits or more")
@click.option("--period", required=True, help="month in the agreement's time zone, YYYY-MM")
@click.option("--id-type", default="resident_id", show_default=True, help="how client_id is written in the file")
@options
def events_report(cli: Cli, file: Path, agreement: str, period: str, id_type: str) -> None:
    """Report a month's events of a CSV FILE (client_id,time,kind,amount,event_id); only of referred clients."""
    found = cli.call("events.report", file=str(file.resolve()), agreement=agreement, period=period, id_type=id_type)
    cli.show(found)


@click.group()
def statement() -> None:
    """Statements: what this node computed itself, and what its people decided."""


@statement.command("list")
@options
def statement_list(cli: Cli) -> None:
    """All statements."""
    found = cli.call("statement.list")
    columns = ("statement", "period", "lines", "payable", "check", "decision", "state")
    rows = [
        (s["statement"][:12], s["period"], s["lines"], _payable(s), _check(s), s["decision"], s["state"])
        for s in found["statements"]
    ]
    cli.show(found, lambda: cli.table(columns, rows))


@statement.command("show")
@click.argument("identifier", metavar="STATEMENT")
@options
def statement_show(cli: Cli, identifier: str) -> None:
    """One STATEMENT with its differences and lines."""
    found = cli.call("statement.show", statement=identifier)
    cli.show(found, lambda: _describe(cli, found))


@statement.command("confirm")
@click.argument("identifier", metavar="STATEMENT")
@click.option("--person", default=getpass.getuser, help="who confirms, in the signed document (default: login name)")
@click.option("--yes", is_flag=True, help="sign exactly this statement; without it it is only shown")
@options
def statement_confirm(cli: Cli, identifier: str, person: str, yes: bool) -> None:
    """Sign a STATEMENT that this node's own computation matches. This lets it be settled."""
    found = cli.call("statement.show", statement=identifier)
    cli.confirm(yes, found, lambda: _describe(cli, found))
    cli.show(cli.call("statement.confirm", statement=found["statement"], person=person))


@statement.command("dispute")
@click.argument("identifier", metavar="STATEMENT")
@click.option("--reason", required=True, help="why, for the other party")
@click.option("--line", "lines", multiple=True, metavar=LINE, help=f"a disputed line and why (repeat); {CODES}")
@click.option(
    "--evidence", multiple=True, metavar="N=FILE", help="evidence for line N; the FILE stays here, its digest goes"
)
@click.option("--person", default=getpass.getuser, help="who disputes, in the signed document (default: login name)")
@options
def statement_dispute(
    cli: Cli, identifier: str, reason: str, lines: tuple[str, ...], evidence: tuple[str, ...], person: str
) -> None:
    """Object to a STATEMENT: a draft, or one that is PROPOSED on the chain while its dispute window is open.

    A draft's period opens again and gets a new version, once the other party has answered every disputed line. On the
    chain this node's account disputes at the contract, and the arbiter decides.
    """
    files = dict(_split(item) for item in evidence)
    given = [_disputed_line(item, reason, files) for item in lines]
    if files:
        raise click.UsageError(f"--evidence for a line that is not disputed: {', '.join(files)}")
    found = cli.call("statement.dispute", statement=identifier, reason=reason, lines=given, person=person)
    if found["state"] != "PROPOSED":
        cli.show(found)
        return
    asked = _at_hub(cli, found["statement"])
    cli.show({**found, "request": asked})
    if asked == "OPEN":
        cli.say(
            "the hub has not answered yet: `ecohub partner statement show` tells when it has",
            "枢纽尚未应答：可用 `ecohub partner statement show` 查看",
        )
    else:
        cli.say(
            "the hub has it, this node signs it for the contract: the statement is DISPUTED once it is sealed there",
            "枢纽已收到，本节点为合约签署：封块后结算单状态为 DISPUTED",
        )


@statement.command("answer")
@click.argument("identifier", metavar="STATEMENT")
@click.option("--accept", multiple=True, metavar="N=WORDS", help="the objection to line N is right (repeat)")
@click.option("--reject", multiple=True, metavar="N=WORDS", help="the objection to line N is wrong, and why (repeat)")
@click.option("--person", default=getpass.getuser, help="who answers, in the signed document (default: login name)")
@options
def statement_answer(cli: Cli, identifier: str, accept: tuple[str, ...], reject: tuple[str, ...], person: str) -> None:
    """Answer the other party's dispute of a STATEMENT: every disputed line, accepted or rejected.

    What is accepted is put right by reports that come in before the next close, or by `statement adjust`.
    """
    given = [(*_split(item), True) for item in accept] + [(*_split(item), False) for item in reject]
    lines = [{"line": _number(number), "accepted": yes, "reason": words} for number, words, yes in given]
    cli.show(cli.call("statement.answer", statement=identifier, lines=lines, person=person))


@statement.command("adjust")
@click.argument("identifier", metavar="STATEMENT")
@click.option("--line", type=click.IntRange(min=0), required=True, help="the line it is for")
@click.option("--amount", required=True, help="in units, -12.34 takes from the referrer")
@click.option("--reason", required=True, help="why, for the other party")
@click.option("--person", default=getpass.getuser, help="who signs, in the signed document (default: login name)")
@click.option("--yes", is_flag=True, help="sign it")
@options
def statement_adjust(cli: Cli, identifier: str, line: int, amount: str, reason: str, person: str, yes: bool) -> None:
    """As payer, sign an amount for one line of a STATEMENT. Approved by the referrer, it is a line of the next one."""
    found = cli.call("statement.show", statement=identifier)
    cli.confirm(yes, found, lambda: _describe(cli, found))
    given = {"statement": found["statement"], "line": line, "amount": amount, "reason": reason, "person": person}
    cli.show(cli.call("adjustment.propose", **given))


@statement.command("adjustments")
@options
def statement_adjustments(cli: Cli) -> None:
    """All adjustments with the referrer's decision."""
    found = cli.call("adjustment.list")
    columns = ("adjustment", "statement", "line", "amount", "reason", "decision")
    rows = [
        (a["adjustment"][:12], a["statement"][:12], a["line"], _amount(a), a["reason"], a["decision"] or "-")
        for a in found["adjustments"]
    ]
    cli.show(found, lambda: cli.table(columns, rows))


@statement.command("decide")
@click.argument("adjustment", metavar="ADJUSTMENT")
@click.option("--approve/--refuse", "approve", required=True, default=None, help="this party's word on it")
@click.option("--person", default=getpass.getuser, help="who decides, in the signed document (default: login name)")
@click.option("--yes", is_flag=True, help="sign it")
@options
def statement_decide(cli: Cli, adjustment: str, approve: bool, person: str, yes: bool) -> None:
    """As referrer, approve or refuse an ADJUSTMENT that the payer signed."""
    decision = "approve" if approve else "refuse"
    listed = cli.call("adjustment.list")["adjustments"]
    found = next((a for a in listed if a["adjustment"].startswith(adjustment)), {"adjustment": adjustment})
    cli.confirm(yes, found, lambda: cli.table(("", ""), [*found.items()]))
    cli.show(cli.call("adjustment.decide", adjustment=adjustment, decision=decision, person=person))


@statement.command("acknowledge")
@click.argument("identifier", metavar="STATEMENT")
@click.option("--person", default=getpass.getuser, help="who says so, in the signed document (default: login name)")
@click.option("--yes", is_flag=True, help="say it; without it the statement is only shown")
@options
def statement_acknowledge(cli: Cli, identifier: str, person: str, yes: bool) -> None:
    """Say that the payment of a paid STATEMENT arrived. This node then signs the contract's acknowledgement."""
    found = cli.call("statement.show", statement=identifier)
    cli.confirm(yes, found, lambda: _describe(cli, found))
    cli.show(cli.call("statement.acknowledge", statement=found["statement"], person=person))


def _at_hub(cli: Cli, identifier: str) -> str:
    """What became of this node's dispute at the hub, which asks the chain: OPEN or ANSWERED.

    Raises what the hub refused it for, such as a window that is over.
    """
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        shown = cli.call("statement.show", statement=identifier)["disputes"]
        newest = [item for item in shown if item["request"]][-1]
        if newest["failure"]:
            raise status.from_head(newest["failure"])
        if newest["request"] != "OPEN" or time.monotonic() >= end:
            return str(newest["request"])
        time.sleep(POLL_SECONDS)


def _describe(cli: Cli, found: dict[str, Any]) -> None:
    names = ("statement", "agreement", "period", "state", "decision", "person", "anchor")
    rows: list[tuple[str, object]] = [(name, found[name] or None) for name in names]
    rows += [("payable", _payable(found)), ("lines", found["lines"]), ("check", _check(found))]
    cli.table(("", ""), rows)
    if found["differences"]:
        columns = ("difference", "line", "field", "stated", "computed here")
        cli.table(
            columns, [(d["what"], d["line"], d["field"], d["stated"], d["computed"]) for d in found["differences"]]
        )
    reason = "reason_zh" if cli.lang == "zh" else "reason_en"
    lines = found["line_values"][:LINES_SHOWN_MAX]
    cli.table(
        ("line", "token", "minor units", "why"),
        [(n["index"], n["token"][:8], n["amount_minor"], n[reason]) for n in lines],
    )
    if len(found["line_values"]) > LINES_SHOWN_MAX:
        cli.say(
            f"{len(found['line_values']) - LINES_SHOWN_MAX} more lines: --json shows all",
            f"另有 {len(found['line_values']) - LINES_SHOWN_MAX} 行：用 --json 查看全部",
        )


def _disputed_line(item: str, reason: str, files: dict[str, str]) -> dict[str, Any]:
    """A disputed line "N", "N:CODE" or "N:CODE:words", with its evidence, which is taken out of `files`."""
    number, _, rest = item.partition(":")
    code, _, words = rest.partition(":")
    line: dict[str, Any] = {"line": _number(number), "code": code or "OTHER", "reason": words or reason}
    if number in files:
        line["evidence"] = str(Path(files.pop(number)).resolve())
    return line


def _split(item: str) -> tuple[str, str]:
    """Number and words of "N=WORDS"."""
    number, _, rest = item.partition("=")
    if not rest:
        raise click.UsageError(f"{item}: a line's number, = and words are expected")
    return number, rest


def _number(value: str) -> int:
    if not value.isdecimal():
        raise click.UsageError(f"{value}: a line's number is expected")
    return int(value)


def _amount(found: dict[str, Any]) -> str:
    return f"{found['currency']} {Money(currency=found['currency'], minor=found['amount_minor']).to_text()}"


def _payable(found: dict[str, Any]) -> str:
    try:
        return f"{found['currency']} {Money(currency=found['currency'], minor=found['payable_minor']).to_text()}"
    except Failure:  # a statement that differs may state anything
        return f"{found['currency']} {found['payable_minor']}"


def _check(found: dict[str, Any]) -> str:
    return found["check"] if found["check"] == "matches" else f"differs in {found['differs']} places"


GROUPS = (referrals, events, statement)
