"""`ecohub partner contribution`, `explain` and `importance`: what columns are worth, and why a client has its score."""

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from ecowire import terminal
from federation import contribution, contribution_words
from partner_node.cli_common import Cli, options
from privacy.printable import printable

POINT_HEADS = {"en": ("own column", "log-odds", "points of chance"), "zh": ("自有字段", "对数几率", "概率（百分点）")}
CHANGE_HEADS = {"en": ("column", "now", "then"), "zh": ("字段", "现值", "改为")}
OWN_HEADS = {
    "en": ("own column", "share of variance", "log-odds a step"),
    "zh": ("自有字段", "方差占比", "每步对数几率"),
}
TREE_HEADS = {
    "en": ("own column", "share of gain", "mean size of points, log-odds"),
    "zh": ("自有字段", "增益占比", "各客户得分项的平均大小（对数几率）"),
}
SPLIT_HEADS = {"en": ("own column", "splits"), "zh": ("自有字段", "分裂数")}
GAIN_HEADS = {"en": ("side", "share of gain"), "zh": ("参与方", "增益占比")}
PARTY_HEADS = {"en": ("side", "share of variance"), "zh": ("参与方", "方差占比")}


@click.command("contribution")
@click.argument("run")
@options
def contribution_command(cli: Cli, run: str) -> None:
    """What each partner's columns add in RUN, by the label holder's signed receipt, which this node checked again."""
    found = cli.call("contribution", job=run)
    cli.show(found, lambda: _show_contribution(cli, found))


@click.command()
@click.argument("run")
@click.option("--client", required=True, help="the client's id, as it stands in the data")
@click.option("--target-chance", help="the chance to reach, such as 0.6; needs --actionable")
@click.option(
    "--actionable",
    help="own columns that can be changed: NAME,NAME; NAME+ only up, NAME- only down, NAME=LEAST..MOST with bounds",
)
@options
def explain(cli: Cli, run: str, client: str, target_chance: str | None, actionable: str | None) -> None:
    """Why a client has its score in RUN: points of this side's own columns, and what other sides add together.

    Only at the label holder's node, only while the client's consent holds; the node records that columns were read.
    """
    target = None if target_chance is None else _ppm(target_chance)
    columns = [name.strip() for name in (actionable or "").split(",") if name.strip()]
    found = cli.call("explain", job=run, client=client, target_ppm=target, actionable=columns)
    cli.show(found, lambda: _show_explanation(cli, found))


@click.command()
@click.argument("run")
@options
def importance(cli: Cli, run: str) -> None:
    """How much each own column and each side matters to the scores of RUN; at a feature holder its own weights."""
    found = cli.call("importance", job=run)
    cli.show(found, lambda: _show_importance(cli, found))


def _show_contribution(cli: Cli, found: dict[str, Any]) -> None:
    body = found["receipt"]["body"]
    made = contribution.read(body["contribution"], bytes.fromhex(found["job"]))
    terminal.table(contribution_words.HOLDERS[cli.lang], contribution_words.holders(made, cli.lang))
    terminal.table(contribution_words.heads(made, cli.lang), contribution_words.coalitions(made))
    for note in contribution_words.notes(made, body):
        click.echo(printable(f"- {note[cli.lang == 'zh']}"))


def _show_explanation(cli: Cli, found: dict[str, Any]) -> None:
    others = ", ".join(found["others"])
    base, rest, whole = (f"{found[name] / 1e6:+.3f}" for name in ("base_micro", "remainder_micro", "log_odds_micro"))
    cli.say(
        f"chance {found['chance_ppm'] / 1e6:.1%}; log-odds {whole} = {base} of a client at the mean, "
        f"the points below, and {rest} of {others} together; by which of their columns, ask their owners",
        f"概率 {found['chance_ppm'] / 1e6:.1%}；对数几率 {whole} = 均值客户 {base} + 下列各项 + {others} 合计 {rest}；"
        "对方具体字段请询问其所有者",
    )
    rows = [(one["column"], f"{one['micro'] / 1e6:+.3f}", f"{one['chance_ppm'] / 1e4:+.1f}") for one in found["points"]]
    terminal.table(POINT_HEADS[cli.lang], rows)
    if (other := found.get("counterfactual")) is not None:
        _show_counterfactual(cli, other)


def _show_counterfactual(cli: Cli, found: dict[str, Any]) -> None:
    target, chance = (f"{found[name] / 1e6:.1%}" for name in ("target_ppm", "chance_ppm"))
    if found["reached"]:
        cli.say(f"a chance of {target} is reached ({chance}) with:", f"作如下改变可达到 {target} 的概率（{chance}）：")
    else:
        cli.say(
            f"a chance of {target} can't be reached by these columns within bounds; the nearest is {chance} with:",
            f"这些字段在其界限内无法达到 {target} 的概率；最接近的是 {chance}：",
        )
    cli.table(
        CHANGE_HEADS[cli.lang],
        [(one["column"], one["now"], one["then"]) for one in found["changes"]],
        ("no change", "无需或无法改变"),
    )


def _show_importance(cli: Cli, found: dict[str, Any]) -> None:
    shares, trees = found.get("own_ppm", {}), found["model"] == "trees"
    if trees and not shares:
        splits = sorted(found["strengths_micro"].items(), key=lambda item: -item[1])
        terminal.table(SPLIT_HEADS[cli.lang], [(name, str(count // 1_000_000)) for name, count in splits])
        return
    ordered = sorted(found["strengths_micro"].items(), key=lambda item: -abs(shares.get(item[0], item[1])))
    rows = [
        (name, f"{shares[name] / 1e6:.1%}" if name in shares else "-", f"{micro / 1e6:+.3f}") for name, micro in ordered
    ]
    if "parties_ppm" in found:
        terminal.table(
            (GAIN_HEADS if trees else PARTY_HEADS)[cli.lang],
            [(name, f"{ppm / 1e6:.1%}") for name, ppm in found["parties_ppm"].items()],
        )
    terminal.table((TREE_HEADS if trees else OWN_HEADS)[cli.lang], rows)
    if trees:
        cli.say(
            "gain is what splits took off the loss of the rows they were grown on",
            "增益指分裂在其生成所用客户上降低的损失",
        )
        return
    cli.say(
        "a step is a standard deviation, or from one end to the other of a column that enters as bins; "
        "a share below zero lowers the variance of the others",
        "一步指一个标准差；分箱字段则为各箱之间的最大差；占比为负表示抵消其他字段的方差",
    )


def _ppm(text: str) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(f"{text} is no number", param_hint="--target-chance") from None
    if not value.is_finite() or not 0 < value < 1:
        raise click.BadParameter("a chance between 0 and 1 is expected", param_hint="--target-chance")
    return min(max(round(value * 1_000_000), 1), 999_999)


COMMANDS = (contribution_command, explain, importance)
