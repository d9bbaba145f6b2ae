"""`ecohub finance pay | details | export`: payment files, the accounts they name, tables for people's spreadsheets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from hub import words
from hub.cli_common import Cli, options
from hub.records import Head
from privacy.errors import Failure, Kind
from revenue_share.money import Money

YES = click.option("--yes", is_flag=True, help="do it")
KEY = click.option("--key", default="", help="idempotency key")
DRY = click.option("--dry-run", "dry", is_flag=True, help="say what would happen; nothing is kept")


class PaymentFileExists(Failure):
    code = "PAYMENT_FILE_EXISTS"
    kind = Kind.INVALID
    en = "{file} exists already and is not overwritten; the same payment file can be fetched again under another name"
    zh = "{file} 已存在，不会覆盖；可用其他文件名再次取得同一付款文件"


def units(currency: str, minor: int) -> str:
    """An amount for people: "CNY 1065.28"."""
    return f"{currency} {Money(currency=currency, minor=minor).to_text()}"


@click.command()
@click.argument("period")
@click.option("--out", type=click.Path(path_type=Path), help="the payment file to write; needed but for --dry-run")
@click.option("--format", "form", type=click.Choice(["csv", "pain.001"]), help="default: csv, or the latest file's")
@click.option("--date", "day", default="", help="YYYY-MM-DD, the day the bank is to pay; default: today")
@DRY
@YES
@KEY
@options
def pay(cli: Cli, period: str, out: Path | None, form: str | None, day: str, dry: bool, yes: bool, key: str) -> None:
    """Write the payment file for the final statements of PERIOD. A statement has one order at a time."""
    wanted: Head = {"period": period, **({"format": form} if form else {}), **({"date": day} if day else {})}
    if dry:
        cli.show({"would_pay": cli.call("pay.dry", wanted)[0]})
        return
    if out is None:
        raise click.UsageError("--out FILE is needed, or --dry-run")
    if not yes:
        cli.confirm(yes, {"would_pay": cli.call("pay.dry", wanted)[0]})
    if out.exists():
        raise PaymentFileExists(file=str(out))
    outputs.check_new(out)
    made, data = cli.call("pay", wanted, key=key)
    outputs.write_new(out, data)
    cli.show({**made, "path": str(out)})


@click.group()
def details() -> None:
    """Accounts that are paid, and paid from: one person of finance proposes, another approves."""


@details.command("propose")
@click.option("--partner", required=True, help="partner id; the payer's account is the one that is paid from")
@click.option("--currency", default="CNY", show_default=True, help="currency of the account")
@click.option("--name", required=True, help="the account's name as its bank has it")
@click.option("--account", required=True, help="IBAN or account number")
@click.option("--bic", default="", help="the bank's BIC")
@click.option("--clearing", default="", help="the bank's clearing id, SYSTEM:MEMBER, such as CNAPS:102100099996")
@DRY
@KEY
@options
def details_propose(cli: Cli, dry: bool, key: str, **given: str) -> None:
    """Enter an account. Nothing is paid to it before another person approved its digest."""
    wanted: Head = dict(given)
    found = cli.call("details.propose.dry" if dry else "details.propose", wanted, key=key)[0]
    cli.show(found, lambda: _show_details(cli, [found]))


@details.command("approve")
@click.argument("digest")
@YES
@KEY
@options
def details_approve(cli: Cli, digest: str, yes: bool, key: str) -> None:
    """Approve an account that another person entered; it replaces the partner's active one."""
    wanted: Head = {"digest": digest, "decision": "approve"}
    if not yes:
        would = cli.call("details.decide.dry", wanted)[0]
        cli.confirm(yes, {"would_approve": would}, lambda: _show_details(cli, [would]))
    found = cli.call("details.decide", wanted, key=key)[0]
    cli.show(found, lambda: _show_details(cli, [found]))


@details.command("refuse")
@click.argument("digest")
@KEY
@options
def details_refuse(cli: Cli, digest: str, key: str) -> None:
    """Refuse an account that another person entered."""
    found = cli.call("details.decide", {"digest": digest, "decision": "refuse"}, key=key)[0]
    cli.show(found, lambda: _show_details(cli, [found]))


@details.command("show")
@click.option("--partner", help="only this partner's")
@options
def details_show(cli: Cli, partner: str | None) -> None:
    """All accounts, with who entered and who approved them."""
    found, _ = cli.call("details", {"partner": partner} if partner else {})
    cli.show(found, lambda: _show_details(cli, found["details"]))


@click.command()
@click.argument("what", type=click.Choice(["statement", "ledger", "exceptions"]))
@click.argument("statement", required=False)
@click.option("--format", "form", type=click.Choice(["csv", "xlsx"]), default="xlsx", show_default=True, help="of file")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="the file to write")
@options
def export(cli: Cli, what: str, statement: str | None, form: str, out: Path) -> None:
    """Lines of a STATEMENT, the ledger, or the open exceptions as a table for a spreadsheet; no cell is a formula."""
    outputs.check_new(out)
    wanted: Head = {"what": what, "format": form, **({"statement": statement} if statement else {})}
    made, data = cli.call("export", wanted)
    outputs.write_new(out, data)
    cli.show({**made, "path": str(out)})


def _show_details(cli: Cli, found: Sequence[Mapping[str, Any]]) -> None:
    """One below the other: who approves an account number reads it whole."""
    for one in found:
        shown = {
            "partner": one["partner"],
            "state": cli.value(one["state"]),
            "name": one["name"],
            "account": f"{one['account']} ({one['currency']})",
            "bank": " ".join(filter(None, (one["bic"], one["clearing"]))),
            "digest": one["digest"],
            "proposed by": one["proposed_by"],
            "decided by": one["decided_by"] or "-",
        }
        cli.table(("", ""), [(words.head(name, cli.lang), value) for name, value in shown.items()])
    if not found:
        cli.say("nothing there yet", "暂无记录")


COMMANDS = (pay, details, export)
