"""How an ensemble of trees came about, for people: how many there are, whose columns split them, what was watched."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation.metrics import PPM
from hub.run_report import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """What the record says of the trees."""

    trees: int  # kept
    grown: int
    splits: Mapping[str, int]  # by party
    bins: Mapping[str, int]  # by party: bins a column could have
    merged: int  # neighbouring bins that were not shown apart
    watched_rows: int
    losses: tuple[float, ...]  # of the watched rows: without trees, after the first, …; none where they are too few


def read(value: Mapping[str, Any] | None) -> Ensemble | None:
    """Raises KeyError, TypeError or ValueError for what no run writes."""
    if value is None:
        return None
    made = Ensemble(
        trees=int(value["trees"]),
        grown=int(value["grown"]),
        splits={str(name): int(count) for name, count in value["splits"].items()},
        bins={str(name): int(count) for name, count in value["bins"].items()},
        merged=sum(int(count) for count in value["merged"].values()),
        watched_rows=int(value["watched_rows"]),
        losses=tuple(int(loss) / PPM for loss in value["watched_loss_ppm"]),
    )
    if not 0 <= made.trees <= made.grown or len(made.losses) not in (0, made.grown + 1):
        raise ValueError("the trees of an ensemble")
    return made


def notes(ensemble: Ensemble | None) -> list[Note]:
    if ensemble is None:
        return []
    kept, grown, merged = ensemble.trees, ensemble.grown, f"{ensemble.merged:,}"
    splits = ", ".join(f"{name} {count}" for name, count in ensemble.splits.items())
    bins = ", ".join(f"{name} {count}" for name, count in ensemble.bins.items())
    fell, fell_zh = _fell(ensemble)
    return [
        (
            f"{kept} of {grown} grown trees are kept; their splits: {splits}. Bins of a column at most: {bins}. "
            f"{merged} times neighbouring bins of a node were too small to be shown apart.",
            f"共生成 {grown} 棵树，保留 {kept} 棵；各方列上的分裂数：{splits}。每列至多分箱数：{bins}。"
            f"因节点内相邻分箱过小而合并给出 {merged} 次。",
        ),
        (
            f"No tree saw {ensemble.watched_rows:,} watched train clients: growing stops by them, and chances are "
            f"calibrated on them. {fell} Baselines are trees over fewer parties' columns, grown alike.",
            f"{ensemble.watched_rows:,} 名监看训练客户未用于生成任何树，用于提前停止与概率校准。{fell_zh}"
            "各基线为在较少参与方的列上以相同方式生成的树。",
        ),
    ]


def _fell(ensemble: Ensemble) -> Note:
    if not ensemble.losses:
        return "They are too few for their log loss to be shown.", "其人数过少，不显示对数损失。"
    before, after = ensemble.losses[0], ensemble.losses[ensemble.trees]
    return f"Their log loss fell from {before:.4f} to {after:.4f}.", f"其对数损失由 {before:.4f} 降至 {after:.4f}。"
