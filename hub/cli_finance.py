"""`ecohub finance`: agreements, statements, settlement, payments. All are calls under a personal certificate."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hub import cli_ledger, cli_payments, cli_reconcile, cli_statements, drafts_finance, words
from hub.cli_common import Cli, clock, entropy, options
from hub.records import Head
from privacy.errors import Failure, Kind
from privacy.printable import printable
from revenue_share import agreement_words
from revenue_share.agreement import Agreement
from revenue_share.money import Money
from revenue_share.statement import partner_commitment

LINES_SHOWN_MAX = 20


class AgreementFileInvalid(Failure):
    code = "AGREEMENT_FILE_INVALID"
    kind = Kind.INVALID
    en = "the file {file} can't be used: {why}"
    zh = "文件 {file} 不可用：{why}"


@click.group()
@options
def finance(cli: Cli) -> None:
    """Agreements, statements, settlement, payments."""


@finance.group()
def agreement() -> None:
    """Terms between a payer and a referrer."""


@agreement.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--payer", help="instead of the file's")
@click.option("--referrer", help="instead of the file's")
@click.option("--key", default="", help="idempotency key: the same key again is the same proposal")
@options
def agreement_add(cli: Cli, file: Path, payer: str | None, referrer: str | None, key: str) -> None:
    """Propose the terms of a TOML FILE: title, payer, referrer, valid_from, [[rules]] with id, event, rate.

    Both parties' people approve exactly its digest; then it is active.
    """
    given = _read(file) | {k: v for k, v in (("payer", payer), ("referrer", referrer)) if v is not None}
    given = cli.drawn_before(key, given)
    contract, _ = cli.call("contract")
    body = drafts_finance.agreement(given, contract, clock(), entropy)
    made, _ = cli.call("propose", {"kind": "agreement", "body": body}, key=key)
    shown = {**made, "chain": _on_chain(made["body"])}
    cli.show(shown, lambda: _show_agreement(cli, made["digest"], made["state"], made["body"]))


@agreement.command("show")
@click.argument("digest", required=False)
@options
def agreement_show(cli: Cli, digest: str | None) -> None:
    """All agreements, or the one of DIGEST (or its first 8 digits) in full."""
    if digest is not None:
        found, _ = cli.call("job", {"digest": digest})
        shown = {**found, "chain": _on_chain(found["body"])}
        cli.show(shown, lambda: _show_agreement(cli, found["digest"], found["state"], found["body"]))
        return
    found, _ = cli.call("jobs", {"kind": "agreement"})
    rows = [
        (j["digest"][:16], cli.value(j["state"]), ", ".join(j["parties"]), ", ".join(j["approved"]), j["purpose"])
        for j in found["jobs"]
    ]
    cli.show(found, lambda: cli.table(("agreement", "state", "parties", "approved by", "purpose"), rows))


@agreement.command("amend")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--of", "digest", required=True, help="the agreement's digest, or its first 8 digits or more")
@click.option("--key", default="", help="idempotency key: the same key again is the same proposal")
@options
def agreement_amend(cli: Cli, file: Path, digest: str, key: str) -> None:
    """Propose a later version of an agreement: a TOML FILE with effective_from and what changes.

    Both parties' people approve exactly its digest; from effective_from on it prices events. Reports and statements
    go on naming the agreement's first version.
    """
    terms, _ = cli.call("terms", {"agreement": digest})
    latest = terms["versions"][-1]
    given = _read(file)
    drawn = cli.drawn_before(key, given)
    given |= {name: drawn[name] for name in ("expires",) if name in drawn}
    body = drafts_finance.amendment(latest["body"], latest["digest"], given, clock(), entropy)
    made, _ = cli.call("propose", {"kind": "agreement", "body": body}, key=key)
    cli.show(made, lambda: _show_agreement(cli, made["digest"], made["state"], made["body"]))


@finance.command()
@options
def contract(cli: Cli) -> None:
    """The settlement contract this hub uses, as the chain shows it: governor, registrar, broker, arbiter, window."""
    cli.show(cli.call("contract")[0])


@finance.command()
@click.argument("period")
@click.option("--agreement", "digest", help="only this agreement")
@click.option("--key", default="", help="idempotency key")
@options
def close(cli: Cli, period: str, digest: str | None, key: str) -> None:
    """Draft the statements of PERIOD (YYYY-MM) and send them, sealed, to both parties' nodes."""
    wanted: Head = {"period": period, "agreement": digest} if digest else {"period": period}
    found, _ = cli.call("close", wanted, key=key)
    cli.show(found, lambda: _table(cli, found["statements"]))


@finance.command()
@click.option("--period", help="YYYY-MM")
@options
def statements(cli: Cli, period: str | None) -> None:
    """All statements: state, amount, what each node's own check says, who has confirmed."""
    found, _ = cli.call("statements", {"period": period} if period else {})

    def human() -> None:
        columns = ("statement", "period", "state", "payable", "parties")
        rows = [
            (s["statement"][:12], s["period"], words.statement(s["state"], cli.lang), _money(s), _parties(cli, s))
            for s in found["statements"]
        ]
        cli.table(columns, rows)

    cli.show(found, human)


@finance.command()
@click.argument("identifier", metavar="STATEMENT")
@options
def statement(cli: Cli, identifier: str) -> None:
    """One STATEMENT in full with its lines."""
    found, body = cli.call("statement", {"statement": identifier})
    lines = json.loads(body)
    cli.show({**found, "line_values": lines}, lambda: _show_statement(cli, found, lines))


@finance.command()
@click.argument("identifier", metavar="STATEMENT")
@click.option("--yes", is_flag=True, help="do it")
@click.option("--key", default="", help="idempotency key")
@options
def settle(cli: Cli, identifier: str, yes: bool, key: str) -> None:
    """The next chain step of a STATEMENT: propose it once both confirmed, finalise it once its window is over."""
    found = next(iter(_matching(cli, identifier)), None)
    cli.confirm(yes, {"would_settle": found or identifier})
    cli.show(cli.call("settle", {"statement": found["statement"] if found else identifier}, key=key)[0])


for _command in (
    *cli_statements.COMMANDS,
    *cli_payments.COMMANDS,
    *cli_reconcile.COMMANDS,
    *cli_ledger.COMMANDS,
):
    finance.add_command(_command)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=_no_float)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise AgreementFileInvalid(file=str(file), why=str(error)) from None


def _no_float(text: str) -> Any:
    raise ValueError(f'{text} is a decimal number: write rates as text, for example rate = "1/20"')


def _matching(cli: Cli, prefix: str) -> list[dict[str, Any]]:
    found, _ = cli.call("statements")
    return [s for s in found["statements"] if s["statement"].startswith(prefix)]


def _money(found: Mapping[str, Any]) -> str:
    return f"{found['currency']} {Money(currency=found['currency'], minor=found['payable_minor']).to_text()}"


def _parties(cli: Cli, found: Mapping[str, Any]) -> str:
    """Of each party: what its node's own check says, and whether its people confirmed."""
    lines = []
    for partner, check in found["checks"].items():
        confirmed = f", {cli.value('confirmed')}" if partner in found["confirmed"] else ""
        lines.append(f"{partner}: {cli.value(check or '-')}{confirmed}")
    return "; ".join(lines)


def _table(cli: Cli, found: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (s["statement"][:12], s["referrer"], words.statement(s["state"], cli.lang), s["lines"], _money(s))
        for s in found
    ]
    cli.table(("statement", "referrer", "state", "lines", "payable"), rows)
    cli.say(
        "next: another person of finance checks each and runs `ecohub finance release STATEMENT --yes`",
        "下一步：由另一名财务人员逐张复核并执行 `ecohub finance release STATEMENT --yes`",
    )


def _show_statement(cli: Cli, found: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> None:
    names = ("statement", "period", "payer", "referrer", "state", "closes", "payment_file")
    shown = {**{name: found[name] for name in names}, "payable": _money(found)}
    shown["state"] = words.statement(found["state"], cli.lang)
    shown |= {"made by": found["hands"]["made_by"], "released by": found["hands"]["checked_by"]}
    shown |= cli_ledger.points(cli, found["body"])
    cli.table(("", ""), [(words.head(name, cli.lang), value) for name, value in shown.items()])
    reason = "reason_zh" if cli.lang == "zh" else "reason_en"
    rows = [(n["index"], n["token"][:8], n["amount_minor"], n[reason]) for n in lines[:LINES_SHOWN_MAX]]
    cli.table(("line", "token", "minor units", "why"), rows)
    if len(lines) > LINES_SHOWN_MAX:
        more = len(lines) - LINES_SHOWN_MAX
        cli.say(f"{more} more lines: --json shows all", f"另有 {more} 行：用 --json 查看全部")
    for item in found["payments"]:
        click.echo(f"{item['order']} {words.payment(item['state'], cli.lang)} {item['due']}")
    cli_statements.show_disputes(cli, found["disputes"])
    for item in found["transactions"]:
        click.echo(f"{item['kind']} {item['transaction']} {item['state']} block {item['block']}")


def _show_agreement(cli: Cli, digest: str, state: str, body: Mapping[str, Any]) -> None:
    chain, to = _on_chain(body), cli.word("to", "至")
    shown: dict[str, object] = {
        "agreement": digest,
        "state": cli.value(state),
        "title": body["title"],
        **{party["role"]: party["partner"] for party in body["parties"]},
        "valid": f"{body['valid_from']} {to} {body['valid_until'] or '...'} ({body['time_zone']})",
        "contract": body["settlement"]["contract"],
        "window": f"{body['settlement']['window_seconds']} s",
        "referrer's id on chain": chain["partner"],
        "referrer's account": chain["signer"],
    }
    terms = Agreement.from_body(body)
    rules = [(rule.id, cli.word(*agreement_words.of_rule(terms, rule))) for rule in terms.rules]
    cli.table(("", ""), [*((words.head(name, cli.lang), value) for name, value in shown.items()), *rules])
    for sentence in body["disclosure"]:
        click.echo(f"  - {printable(sentence)}")
    cli.say(
        f"once, before the first settlement, the contract's governor runs:\n{chain['register']}",
        f"首次结算前，合约治理方须执行一次：\n{chain['register']}",
    )


def _on_chain(body: Mapping[str, Any]) -> dict[str, str]:
    """What the contract's governor needs of an agreement: the referrer's salted id, its account, and the command."""
    terms = Agreement.from_body(body)
    partner, signer = partner_commitment(terms), terms.referrer.chain
    command = f"ecohub sandbox chain set-signer --endpoint URL --chain-id {terms.chain_id} --key governor.key"
    where = f"--contract {terms.contract} --partner {partner} --signer {signer} --terms {terms.digest}"
    return {"partner": partner, "signer": signer, "register": f"{command} {where}"}
