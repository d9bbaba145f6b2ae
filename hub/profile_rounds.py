"""How a scorecard was refined, for people: the train log-loss of every round, which one is kept, and why they ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from federation.metrics import PPM
from hub.run_report import Note

COLUMNS = ("round", "train log loss", "fell by")
ENDED: dict[str, Note] = {
    "plateau": ("the last round gained less than the plan's plateau", "最后一轮的改进低于方案的平台阈值"),
    "rounds": ("the approved rounds were used up", "已用完获批轮数"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What the record says of the rounds."""

    losses: tuple[float, ...]  # by round, the first at the scorecard of moments
    kept: int  # from 1
    ended: str  # a key of ENDED
    divided: bool


def read(value: Mapping[str, Any] | None) -> Rounds | None:
    """Raises KeyError, TypeError or ValueError for what no run writes."""
    if value is None:
        return None
    losses, kept, ended = (
        tuple(int(loss) / PPM for loss in value["losses_ppm"]),
        int(value["kept"]),
        str(value["ended"]),
    )
    if ended not in ENDED or not 1 <= kept <= len(losses):
        raise ValueError("the rounds of a refinement")
    return Rounds(losses=losses, kept=kept, ended=ended, divided=bool(value["divided"]))


def lines(rounds: Rounds) -> list[tuple[str, ...]]:
    """The table of COLUMNS; the kept round is starred."""
    falls = ["-", *(f"{(before - after) / before:+.2%}" for before, after in pairwise(rounds.losses))]
    return [
        (f"{number}{' *' if number == rounds.kept else ''}", f"{loss:.4f}", fall)
        for number, (loss, fall) in enumerate(zip(rounds.losses, falls, strict=True), 1)
    ]


def notes(rounds: Rounds | None, label_holder: str, unrefined: bool) -> list[Note]:
    """unrefined: whether there are scorecards with some of several partners that rounds did not refine."""
    if rounds is None:
        return []
    (why, why_zh), number = ENDED[rounds.ended], len(rounds.losses)
    slower = ("; after a rise, steps were divided by the number of parties", "；损失上升后步长按参与方数缩小")
    said = [
        (
            f"Refined in {number} rounds, each one more score vector of the train clients; kept is round {rounds.kept} "
            f"(*). They ended: {why}{slower[0] if rounds.divided else ''}.",
            f"经 {number} 轮精调，每轮多披露一个训练客户得分向量；保留第 {rounds.kept} 轮（*）。结束原因：{why_zh}"
            f"{slower[1] if rounds.divided else ''}。",
        ),
        (
            f"{label_holder} alone is logistic regression on its own columns, so that no gain of the rounds counts as "
            "uplift. Importance is of the scorecard that moments gave; the receipt of contributions says by what it "
            "was measured.",
            f"{label_holder} 单独的评分卡为其自有列上的逻辑回归，轮次带来的改进不计入提升。"
            "重要性针对由矩得到的评分卡；贡献度的度量方式见其回执。",
        ),
    ]
    if unrefined:
        said.append(
            (
                "Scorecards with one of several partners are as moments gave them: no score vector was spent on "
                "refining them, but their uplift is over a baseline that was fitted by logistic regression.",
                "含多家伙伴之一的评分卡由矩得到，未为其精调耗用得分向量；其提升以逻辑回归拟合的基线计。",
            )
        )
    return said
