"""`ecohub finance ledger` and `lock`: the books as of an instant or a period, and the lock of a period."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from hub.cli_common import Cli, options
from hub.records import Head
from revenue_share.accounts import POINTS
from revenue_share.money import Money

ENTRIES_ON_SCREEN_MAX = 50


@click.command()
@click.option("--as-of", metavar="TIME", help="as it stood at this instant, such as 2026-11-05T08:00:00+08:00")
@click.option("--period", help="YYYY-MM: its opening balances, debits, credits, entries")
@click.option("--account", help="this account only, or all of a class such as liability:payable")
@options
def ledger(cli: Cli, as_of: str | None, period: str | None, account: str | None) -> None:
    """The trial balance, what is pending, and the journal: now, as of an instant, of a period, of an account."""
    asked = {"as_of": as_of, "period": period, "account": account}
    wanted: Head = {name: value for name, value in asked.items() if value}
    found, _ = cli.call("ledger", wanted)
    cli.show(found, lambda: _show(cli, found))


@click.command()
@click.argument("period")
@click.option("--yes", is_flag=True, help="do it; there is no unlocking")
@click.option("--key", default="", help="idempotency key")
@options
def lock(cli: Cli, period: str, yes: bool, key: str) -> None:
    """Lock the books up to and with PERIOD (YYYY-MM): no entry is dated into it any more. None in it may be pending."""
    found, _ = cli.call("ledger", {"period": period})
    shown = {"would_lock": {"period": period, "locked": found["locked"], "pending": found["pending"]}}
    cli.confirm(yes, shown)
    cli.show(cli.call("lock", {"period": period}, key=key)[0])


COMMANDS = (ledger, lock)


def points(cli: Cli, body: Mapping[str, Any]) -> dict[str, str]:
    """What a statement did to clients' points, as a row of its table; none where it has no points."""
    moves: Mapping[str, int] = body.get("points") or {}
    if not any(moves.values()):
        return {}
    before = moves["brought_forward"] + moves["opened"]
    en = "{} + {earned} earned - {redeemed} redeemed - {taken_back} taken back - {expired} expired = {carried_forward}"
    zh = "{} + 获得 {earned} - 兑换 {redeemed} - 追回 {taken_back} - 过期 {expired} = {carried_forward}"
    return {"points": cli.word(en, zh).format(before, **moves)}


def _show(cli: Cli, found: Mapping[str, Any]) -> None:
    columns = ("account", "unit", "opening", "debit", "credit", "closing")
    for name in ("balances", "pending"):
        rows = [(b["account"], b["asset"], *_amounts(b)) for b in found[name]]
        cli.table(columns, rows, title=cli.value(name))
    newest = found["entries"][-ENTRIES_ON_SCREEN_MAX:]
    rows = [(e["id"][:24], e["period"], e["memo"], cli.value(e["state"]), e["subject"][:16]) for e in newest]
    cli.table(("entry", "period", "memo", "state", "statement"), rows)
    if (more := found["entries_in_all"] - len(newest)) > 0:
        cli.say(f"{more} earlier entries: choose a period", f"另有 {more} 笔更早的分录：请指定期间")
    if found["locked"]:
        cli.say(f"locked up to and with {found['locked']}", f"账簿已锁定至 {found['locked']}")


def _amounts(balance: Mapping[str, Any]) -> Sequence[str]:
    names = ("opening_minor", "debit_minor", "credit_minor", "closing_minor")
    return [_amount(balance["asset"], balance[name]) for name in names]


def _amount(asset: str, minor: int) -> str:
    return str(minor) if asset == POINTS else Money(currency=asset, minor=minor).to_text()
