"""`ecohub partner score`: one client's score now, and what was asked and given so far."""

import getpass
from typing import Any

import click

from partner_node.cli_common import Cli, options

ASKED = {
    "en": ("run", "asked", "by", "client key", "state", "score or refusal"),
    "zh": ("任务", "查询时间", "查询人", "客户键", "状态", "评分或拒绝"),
}
GIVEN = {
    "en": ("run", "day (UTC)", "clients answered for", "own shares shown"),
    "zh": ("任务", "日期（UTC）", "应答客户数", "给出自身份额次数"),
}
SPLIT = {
    "en": ("own", "{partner} (multiples of {step})", "remainder of rounding"),
    "zh": ("本方", "{partner}（步长 {step}）", "取整余数"),
}
SIDES = {"en": ("side", "log-odds"), "zh": ("参与方", "对数几率")}


@click.command("score")
@click.argument("run")
@click.option("--client", required=True, help="identifier of the client, as in the own data")
@click.option("--split", is_flag=True, help="also each side's share, others' rounded, if the plan has `scoring.split`")
@click.option("--seconds", type=click.IntRange(1, 300), default=10, show_default=True, help="how long to wait")
@click.option("--person", default=getpass.getuser, help="who asks, on the own record (default: login name)")
@options
def score(cli: Cli, run: str, client: str, split: bool, seconds: int, person: str) -> None:
    """One client's score by RUN, from all parties' data as they are now, if its plan has `scoring`."""
    found = cli.call("score", job=run, client=client, split=split, seconds=seconds, person=person)
    cli.show(found, lambda: _show(cli, found))


@click.command("scores")
@click.argument("run", required=False)
@options
def scores(cli: Cli, run: str | None) -> None:
    """Who asked for single scores here and what came of it, and for how many clients this side answered each day."""
    found = cli.call("scores", job=run)
    cli.show(found, lambda: _list(cli, found))


def _show(cli: Cli, found: dict[str, Any]) -> None:
    same = (
        ("another score than in the run's label matrix", "与任务标签矩阵中的评分不同")
        if found["changed"]
        else ("the score of the run's label matrix: no share has changed", "与任务标签矩阵中的评分一致：各方份额未变")
    )
    chance = f"{found['chance_ppm'] / 10_000:.1f} %"
    cli.say(
        f"chance {chance}, log-odds {float(found['score']):.4f}, decile {found['decile']} of 10; {same[0]}",
        f"概率 {chance}，对数几率 {float(found['score']):.4f}，十分位 {found['decile']}（共 10）；{same[1]}",
    )
    cli.say(
        f"model {found['model'][:16]}, asked {found['time']}; valid until {found['valid_until']}, the consent until "
        f"{found['consent_until']}",
        f"模型 {found['model'][:16]}，查询时间 {found['time']}；有效期至 {found['valid_until']}，"
        f"同意有效期至 {found['consent_until']}",
    )
    if found["split"]:
        cli.table(SIDES[cli.lang], _sides(cli, found["split"]))


def _sides(cli: Cli, split: dict[str, Any]) -> list[tuple[str, str]]:
    """Rows that add up to the score: the own side, each partner rounded, what rounding left."""
    own, rounded, remainder = SPLIT[cli.lang]
    return [
        (own, f"{float(split['own']):.4f}"),
        *((rounded.format(partner=partner, step=split["step"]), share) for partner, share in split["shares"].items()),
        (remainder, split["remainder"]),
    ]


def _list(cli: Cli, found: dict[str, Any]) -> None:
    asked = [
        (
            one["run"][:16],
            one["asked"],
            one["person"],
            one["client"][:16],
            one["state"],
            f"{float(one['score']):.4f}" if one["score"] else (one["failure"] or {}).get("code", "-"),
        )
        for one in found["asked"]
    ]
    cli.table(ASKED[cli.lang], asked, ("nobody asked for a score here", "本节点没有评分查询"))
    given = [(one["run"][:16], one["day"], one["clients"], one["splits"]) for one in found["given"]]
    cli.table(GIVEN[cli.lang], given, ("no share was given from here", "本节点没有给出份额"))


COMMANDS = (score, scores)
