"""`ecohub finance bank | reconcile | exceptions | match`: what the bank says, told against what was ordered."""

import base64
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hub import words
from hub.bank_values import check_size
from hub.cli_common import Cli, options
from hub.cli_payments import DRY, KEY, YES, units
from hub.payment_errors import BankProfileInvalid
from hub.records import Head

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def bank() -> None:
    """The bank's statements: camt.053 or CSV."""


@bank.command("import")
@click.argument("file", type=FILE)
@click.option("--account", required=True, help="our account that the file is of")
@click.option("--format", "form", type=click.Choice(["camt.053", "csv"]), help="default: by the file's first character")
@click.option("--profile", type=FILE, help="of a CSV: TOML that names the bank's columns")
@click.option(
    "--alike",
    type=click.Choice(["same", "new"]),
    help="of bookings that another file holds alike, where the balances do not say it: whether they are the same",
)
@DRY
@KEY
@options
def bank_import(
    cli: Cli,
    file: Path,
    account: str,
    form: str | None,
    profile: Path | None,
    alike: str | None,
    dry: bool,
    key: str,
) -> None:
    """Take a FILE of the bank, whole or not at all. The same file or entry again is counted once."""
    data = _bytes(file)
    told = form or ("camt.053" if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<" else "csv")
    wanted: Head = {"account": account, "format": told, "data": base64.b64encode(data).decode()}
    wanted |= {"alike": alike} if alike else {}
    if told == "csv":
        wanted["profile"] = _profile(profile)
    found, _ = cli.call("bank.import.dry" if dry else "bank.import", wanted, key=key)
    cli.show(found, lambda: _show_statements(cli, [found]))


@bank.command("show")
@click.argument("file", required=False)
@options
def bank_show(cli: Cli, file: str | None) -> None:
    """All imported files, or the entries of one FILE (its digest or the digest's beginning)."""
    found, body = cli.call("bank", {"file": file} if file else {})
    if not file:
        cli.show(found, lambda: _show_statements(cli, found["files"]))
        return
    entries = json.loads(body)
    cli.show({**found, "entries": entries}, lambda: _show_entries(cli, entries))


@click.command()
@DRY
@KEY
@options
def reconcile(cli: Cli, dry: bool, key: str) -> None:
    """Match orders with the bank's entries by the rules; what they can't decide is an exception."""
    found, _ = cli.call("reconcile.dry" if dry else "reconcile", key=key)

    def human() -> None:
        rows = [
            (m["match"][:12], m["rule"], words.payment(m["kind"], cli.lang), ", ".join(map(_short, m["orders"])))
            for m in found["matched"]
        ]
        cli.table(("match", "rule", "kind", "orders"), rows)
        _show_exceptions(cli, found)

    cli.show(found, human)


@click.command()
@options
def exceptions(cli: Cli) -> None:
    """What is open: exceptions by class and age, orders that the bank may still carry out, matches to approve."""
    found, _ = cli.call("exceptions")
    cli.show(found, lambda: _show_exceptions(cli, found))


@click.group()
def match() -> None:
    """Matches by hand: one person of finance proposes, another approves."""


@match.command("propose")
@click.option(
    "--kind",
    type=click.Choice(["PAID", "RETURNED", "RELEASED", "EXPLAINED"]),
    default="PAID",
    show_default=True,
    help="what happened",
)
@click.option("--order", "orders", multiple=True, help="EndToEndId; may be given several times")
@click.option("--entry", "entries", multiple=True, help="bank entry, or its first 8 digits; may be given several times")
@click.option(
    "--to",
    type=click.Choice(["charges", "interest", "outside"]),
    help="of EXPLAINED: what the bank charged, interest, or money that went to or came from outside these books",
)
@click.option("--charge", help="of RETURNED: what the bank kept of the money that came back, such as 5.00")
@click.option("--reason", required=True, help="why; it stays on record")
@DRY
@KEY
@options
def match_propose(
    cli: Cli,
    kind: str,
    orders: Sequence[str],
    entries: Sequence[str],
    to: str | None,
    charge: str | None,
    reason: str,
    dry: bool,
    key: str,
) -> None:
    """Propose a match. Sums must be equal to the minor unit."""
    wanted: Head = {"kind": kind, "orders": [*orders], "entries": [*entries], "reason": reason}
    wanted |= ({"to": to} if to else {}) | ({"charge": charge} if charge else {})
    found, _ = cli.call("match.propose.dry" if dry else "match.propose", wanted, key=key)
    cli.show(found, lambda: _show_matches(cli, [found]))


@match.command("approve")
@click.argument("identifier", metavar="MATCH")
@YES
@KEY
@options
def match_approve(cli: Cli, identifier: str, yes: bool, key: str) -> None:
    """Approve a MATCH that another person proposed: it is carried out."""
    wanted: Head = {"match": identifier, "decision": "approve"}
    if not yes:
        would = cli.call("match.decide.dry", wanted)[0]
        cli.confirm(yes, {"would_approve": would}, lambda: _show_matches(cli, [would]))
    found, _ = cli.call("match.decide", wanted, key=key)
    cli.show(found, lambda: _show_matches(cli, [found]))


@match.command("refuse")
@click.argument("identifier", metavar="MATCH")
@KEY
@options
def match_refuse(cli: Cli, identifier: str, key: str) -> None:
    """Refuse a MATCH that another person proposed: orders and entries are open again."""
    found, _ = cli.call("match.decide", {"match": identifier, "decision": "refuse"}, key=key)
    cli.show(found, lambda: _show_matches(cli, [found]))


@match.command("show")
@options
def match_show(cli: Cli) -> None:
    """All matches, by rule and by hand."""
    found, _ = cli.call("matches")
    cli.show(found, lambda: _show_matches(cli, found["matches"]))


def _bytes(file: Path) -> bytes:
    check_size(file.stat().st_size)
    return file.read_bytes()


def _profile(file: Path | None) -> Head:
    if file is None:
        raise BankProfileInvalid(field="--profile", why="a CSV file needs the profile of its bank")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BankProfileInvalid(field=file.name, why=str(error)) from None


def _show_statements(cli: Cli, found: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            file["file"][:16],
            file["account"],
            statement["id"],
            statement["entries"],
            _balance(statement, "opening_minor"),
            _balance(statement, "closing_minor"),
            file["imported_by"],
        )
        for file in found
        for statement in file["statements"]
    ]
    cli.table(("bank file", "account", "number", "entries", "opening", "closing", "imported by"), rows)
    if len(found) == 1 and "taken" in found[0]:
        cli.say(f"new entries: {found[0]['taken']}", f"新增流水：{found[0]['taken']}")


def _balance(statement: Mapping[str, Any], name: str) -> str:
    return "-" if statement[name] is None else units(statement["currency"], statement[name])


def _show_entries(cli: Cli, entries: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (e["entry"][:12], e["booked"], _signed(e), e["name"], " ".join(e["references"]), (e["settled_by"] or "-")[:12])
        for e in entries
    ]
    cli.table(("bank entry", "booked", "amount", "name", "references", "match"), rows)


def _show_exceptions(cli: Cli, found: Mapping[str, Any]) -> None:
    rows = []
    for item in found["exceptions"]:
        entry, orders = item["entry"], item["orders"]
        rows.append(
            (
                cli.value(item["class"]),
                item["age_days"],
                entry["entry"][:12] if entry else "-",
                _signed(entry) if entry else "-",
                entry["name"] if entry else "-",
                ", ".join(f"{_short(o['order'])} {units(o['currency'], o['amount_minor'])}" for o in orders) or "-",
            )
        )
    cli.table(("exception", "age in days", "bank entry", "amount", "name", "orders"), rows, cli.value("exceptions"))
    for currency, minor in found["suspense"].items():
        amount = units(currency, minor)
        cli.say(f"in suspense:recon: {amount}", f"待核对款项（suspense:recon）：{amount}")
    if found["waiting"]:
        waiting = [(_short(item["order"]), item["due"]) for item in found["waiting"]]
        cli.table(("order", "due"), waiting, cli.value("waiting for the bank"))
    if found["proposed"]:
        _show_matches(cli, found["proposed"])


def _show_matches(cli: Cli, found: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            m["match"][:12],
            " ".join([words.payment(m["kind"], cli.lang), *_besides(m)]),
            cli.value(m["state"]),
            ", ".join(map(_short, m["orders"])) or "-",
            ", ".join(name[:12] for name in m["entries"]) or "-",
            m["reason"] or m["rule"],
            m["proposed_by"],
            m["decided_by"] or "-",
        )
        for m in found
    ]
    cli.table(("match", "kind", "state", "orders", "entries", "reason", "proposed by", "decided by"), rows)


def _besides(match: Mapping[str, Any]) -> list[str]:
    """What approvers see of a match beside its kind: where explained money goes, what the bank kept."""
    charge = match["charge"]
    kept = [f"(expense:bank_charges {units(charge['currency'], charge['minor'])})"] if charge else []
    return [*([f"({match['account']})"] if match["account"] else []), *kept]


def _short(order: str) -> str:
    """An order as a table shows it and a command takes it: its first digits; a further attempt's name in full."""
    return order if "-" in order else order[:12]


def _signed(entry: Mapping[str, Any]) -> str:
    return units(entry["currency"], -entry["amount_minor"] if entry["debit"] else entry["amount_minor"])


COMMANDS = (bank, reconcile, exceptions, match)
