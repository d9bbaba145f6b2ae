"""`ecohub partner quota` and `ecohub partner matching`: what partners may still ask, alarms, and refusals."""

import getpass
from collections.abc import Mapping
from typing import Any

import click

from partner_node.cli_common import Cli, options
from partner_node.match_epoch_store import WHYS

QUOTA_COLUMNS = {
    "en": ("partner", "matches this month", "ids it could test this month", "… ever", "own distinct ids", "alarm"),
    "zh": ("伙伴", "本月匹配次数", "本月可测试标识", "累计可测试标识", "本方累计不同标识", "告警"),
}
SCORE_COLUMNS = {
    "en": ("run", "asset", "columns", "label holder", "score vectors"),
    "zh": ("任务", "资产", "字段数", "标签方", "分数向量"),
}
MATCH_COLUMNS = {
    "en": ("begun", "partner", "job", "own ids", "its ids", "ids it could test"),
    "zh": ("开始时间", "伙伴", "任务", "本方标识", "对方标识", "对方可测试标识"),
}
ALARM_COLUMNS = {
    "en": ("alarm since", "partner", "job", "share", "cleared", "by", "reason"),
    "zh": ("告警时间", "伙伴", "任务", "占比", "解除时间", "解除人", "原因"),
}
REFUSAL_COLUMNS = {
    "en": ("refused", "partners", "job", "times", "why"),
    "zh": ("拒绝时间", "伙伴", "任务", "次数", "原因"),
}
EPOCH_COLUMNS = {
    "en": ("partner", "asset", "epoch", "side", "state", "evaluations", "size", "since", "until"),
    "zh": ("伙伴", "资产", "期", "本方角色", "状态", "已用查询", "名单规模", "开始时间", "截止时间"),
}
OPEN = {"en": "open", "zh": "有效"}
SIDES = {  # who keeps what
    "sender": {"en": "asked (key)", "zh": "被查询方（密钥）"},
    "receiver": {"en": "asks (masked list)", "zh": "查询方（遮蔽名单）"},
}
SHARES = {"high": {"en": "high", "zh": "过高"}, "low": {"en": "low", "zh": "过低"}}
NO_PARTNER = (
    "no partner's card is pinned and none was matched with (`ecohub partner pin`)",
    "尚未固定任何伙伴的名片，也未进行过匹配（`ecohub partner pin`）",
)
MOMENT_COLUMNS = {
    "en": ("run", "began to tell", "own columns whose moments it took"),
    "zh": ("任务", "开始披露", "被取矩的自有字段"),
}
NO_MOMENTS = ("no training has taken moments of own columns", "尚无训练对自有字段取矩")
NO_SCORES = ("no training has disclosed score vectors", "尚无训练披露分数向量")
NO_MATCHES = ("no match has begun here", "本节点尚未开始任何匹配")
NO_ALARMS = ("no alarm was raised", "尚无告警")
NO_EPOCHS = ("no key epoch has begun here", "本节点尚未开始任何密钥期")
NO_REFUSALS = ("no match was refused here", "本节点尚未拒绝任何匹配")


@click.command()
@options
def quota(cli: Cli) -> None:
    """What matches with each partner used of its limits, score vectors disclosed over this node's lifetime, and runs
    that took moments of own columns."""
    matching, scores = cli.call("matching.quota"), cli.call("quota")

    def human() -> None:
        cli.say(f"month {matching['month']} (UTC)", f"{matching['month']}（UTC）")
        cli.table(QUOTA_COLUMNS[cli.lang], [_quota_row(line) for line in matching["partners"]], NO_PARTNER)
        rows = [
            (q["run"][:16], q["asset"], len(q["columns"]), q["label_holder"], q["disclosed"])
            for q in scores["score_vectors"]
        ]
        cli.table(SCORE_COLUMNS[cli.lang], rows, NO_SCORES)
        told = [(one["run"][:16], one["time"], ", ".join(one["columns"])) for one in scores["moments"]]
        cli.table(MOMENT_COLUMNS[cli.lang], told, NO_MOMENTS)

    cli.show({"matching": matching, **scores}, human)


@click.group()
def matching() -> None:
    """What matches at this node used, alarms and refusals."""


@matching.command("records")
@options
def records(cli: Cli) -> None:
    """Every match that began here, every alarm, and every match that this node ended or did not begin, and why."""
    found = cli.call("matching.records")

    def human() -> None:
        matches = [(m["time"], m["partner"], m["job"][:16], m["own"], m["peer"], m["slots"]) for m in found["matches"]]
        cli.table(MATCH_COLUMNS[cli.lang], matches, NO_MATCHES)
        alarms = [
            (a["time"], a["partner"], a["job"][:16], _share(cli, a), a["cleared"], a["person"], a["reason"])
            for a in found["alarms"]
        ]
        cli.table(ALARM_COLUMNS[cli.lang], alarms, NO_ALARMS)
        refusals = [
            (r["last"], r["partners"], r["job"][:16], r["times"], f"{r['code']}: {r[cli.lang]}")
            for r in found["refusals"]
        ]
        cli.table(REFUSAL_COLUMNS[cli.lang], refusals, NO_REFUSALS)

    cli.show(found, human)


@matching.command("clear")
@click.argument("partner")
@click.option("--reason", required=True, help="what was found out; kept with the alarm")
@click.option("--person", default=getpass.getuser, help="who clears it (default: login name)")
@click.option("--yes", is_flag=True, help="clear it; without it the alarms are only shown")
@options
def clear(cli: Cli, partner: str, reason: str, person: str, yes: bool) -> None:
    """Clear the alarms against PARTNER, so that it may match with this node again."""
    standing = [a for a in cli.call("matching.records")["alarms"] if a["partner"] == partner and not a["cleared"]]
    rows = [(a["time"], a["partner"], a["job"][:16], _share(cli, a)) for a in standing]
    if standing:  # without one the node says so
        cli.confirm(yes, {"alarms": standing}, lambda: cli.table(ALARM_COLUMNS[cli.lang][:4], rows))
    cli.show(cli.call("matching.clear", partner=partner, person=person, reason=reason))


@matching.command("epochs")
@options
def epochs(cli: Cli) -> None:
    """Key epochs of mode cached: with whom, what is used of their evaluations, and until when they last."""
    found = cli.call("matching.epochs")
    cli.show(
        found, lambda: cli.table(EPOCH_COLUMNS[cli.lang], [_epoch_row(cli, e) for e in found["epochs"]], NO_EPOCHS)
    )


@matching.command("end-epoch")
@click.argument("partner")
@click.argument("epoch", type=click.IntRange(min=1))
@click.option("--asset", help="this side's, where more than one epoch with PARTNER has this number")
@click.option("--person", default=getpass.getuser, help="who ends it (default: login name)")
@click.option("--yes", is_flag=True, help="end it; without it the epoch is only shown")
@options
def end_epoch(cli: Cli, partner: str, epoch: int, asset: str | None, person: str, yes: bool) -> None:
    """End an EPOCH with PARTNER: its key or masked list is deleted here, with the job that runs in it."""
    standing = [
        e
        for e in cli.call("matching.epochs")["epochs"]
        if (e["partner"], e["epoch"], e["state"]) == (partner, epoch, "open") and asset in (None, e["asset"])
    ]
    if standing:  # without one the node says so
        rows = [_epoch_row(cli, e) for e in standing]
        cli.confirm(yes, {"epochs": standing}, lambda: cli.table(EPOCH_COLUMNS[cli.lang], rows))
    cli.show(cli.call("matching.end_epoch", partner=partner, epoch=epoch, asset=asset, person=person))


def _epoch_row(cli: Cli, line: Mapping[str, Any]) -> tuple[object, ...]:
    state = OPEN[cli.lang] if line["state"] == "open" else f"{line['ended']} {WHYS[line['why']][cli.lang == 'zh']}"
    used = f"{line['used']} / {line['used'] + line['left']}"
    side = SIDES[line["side"]][cli.lang]
    return (
        *(line[name] for name in ("partner", "asset", "epoch")),
        side,
        state,
        used,
        line["size"],
        line["since"],
        line["until"],
    )


def _quota_row(line: Mapping[str, Any]) -> tuple[object, ...]:
    def used(value: Mapping[str, int]) -> str:
        return f"{value['used']} / {value['limit']}"

    own = "\n".join(f"{item['asset']}: {used(item)}" for item in line["own_distinct"])
    figures = (used(line[name]) for name in ("jobs", "peer_identifiers", "peer_identifiers_ever"))
    return (line["partner"], *figures, own or None, line["alarm"] and line["alarm"][:16])


def _share(cli: Cli, alarm: Mapping[str, Any]) -> str:
    """How the share of common clients stood out; a count below the minimum has no figure."""
    known = "" if alarm["percent"] is None else f" ({alarm['percent']} %)"
    return SHARES[alarm["kind"]][cli.lang] + known


COMMANDS: tuple[click.Command, ...] = (quota, matching)
