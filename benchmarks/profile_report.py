"""The rows, the targets, the table and the plot of `make bench NAME=profile`. Means are over splits of one set of
clients: their deviation is that of the split, not of other clients."""

import statistics
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.harness import Row, Target, row
from benchmarks.profile_splits import LIGHTGBM, RAW, REGRESSION, SAME, Case, Split

ENGINE = "EcoHub"
WITHIN = {SAME: 0.001}  # mean distance in AUC, either way
BELOW = {REGRESSION: 0.002, RAW: 0.002, LIGHTGBM: 0.005}  # how far the mean may lie below the peer
UNIT = "AUC"
COLOURS = ("#2b6cb0", "#c53030", "#2f855a", "#b7791f", "#6b46c1", "#1a202c")
Found = Sequence[tuple[Case, Sequence[Split]]]


def joint(splits: Sequence[Split]) -> list[float]:
    """AUC with all partners, by split."""
    return [list(split.joint.values())[-1] for split in splits]


def uplifts(splits: Sequence[Split]) -> dict[str, list[float]]:
    """What partners add to the label holder alone, by split: of each that was measured alone, and of all."""
    named = {"all partners" if len(holders) > 1 else holders[0]: holders for holders in splits[0].joint if holders}
    return {name: [split.joint[holders] - split.joint[()] for split in splits] for name, holders in named.items()}


def gaps(splits: Sequence[Split]) -> dict[str, list[float]]:
    """The joint model minus each pooled peer, by split."""
    return {
        peer: [own - split.pooled[peer] for own, split in zip(joint(splits), splits, strict=True)]
        for peer in splits[0].pooled
    }


def rows_of(case: Case, splits: Sequence[Split]) -> list[Row]:
    """Median, least and most over splits; of every uplift and gap also mean and deviation."""
    name, clients = f"{case.name}, {case.model}", len(next(iter(case.tables.values())).tokens)
    alone = [split.joint[()] for split in splits]
    series = {"label holder alone": alone, "all partners": joint(splits)}
    series |= {f"{partner} added": values for partner, values in uplifts(splits).items()}
    series |= {f"minus {peer}": values for peer, values in gaps(splits).items()}
    rows = []
    for metric, values in series.items():
        wanted = {metric: values, f"{metric}, mean": [statistics.fmean(values)]}
        if len(values) > 1:
            wanted |= {f"{metric}, deviation": [statistics.stdev(values)]}
        rows += [
            row(name, ENGINE, clients, found, metric=what, unit=UNIT, parties=len(case.tables))
            for what, found in wanted.items()
        ]
    return rows


def targets(found: Found) -> list[Target]:
    """Of every case: how far it is from its pooled peers, on the mean of the splits."""
    judged = []
    for case, splits in found:
        for peer, values in gaps(splits).items():
            what, mean = f"{case.name}, {case.model}: {peer}", statistics.fmean(values)
            if peer in WITHIN:
                away = statistics.fmean(abs(value) for value in values)
                judged.append(Target(what=f"{what}, mean distance", figure=away, limit=WITHIN[peer], unit=UNIT))
            else:
                what, least = f"{what}, mean difference", -BELOW[peer]
                judged.append(Target(what=what, figure=mean, limit=least, unit=UNIT, least=True))
    return judged


def line(case: Case, splits: Sequence[Split]) -> str:
    """One case for people, while the others are still measured."""
    added = ", ".join(f"{name} {spread(values)}" for name, values in uplifts(splits).items())
    beside = ", ".join(f"{spread(values)} to {peer}" for peer, values in gaps(splits).items())
    return f"{case.name}, {case.model}: {statistics.fmean(joint(splits)):.4f}; {added}; {beside}"


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation over the splits."""
    return f"{statistics.fmean(values):+.4f} ± {statistics.stdev(values) if len(values) > 1 else 0.0:.4f}"


def table(found: Found) -> Table:
    """One line a case: the label holder alone, what partners add, and the differences to pooled peers."""
    made = Table(title="benchmark profile: AUC, mean ± deviation over splits", title_justify="left")
    made.box = box.SIMPLE_HEAD
    for name in ("label, columns of its holder", "model"):
        made.add_column(name)
    for name in ("alone", "partners added", "minus pooled", "splits"):
        made.add_column(name, justify="right", no_wrap=True)
    for case, splits in found:
        added = [f"{name} {spread(values)}" for name, values in uplifts(splits).items()]
        beside = [f"{peer} {spread(values)}, least {min(values):+.4f}" for peer, values in gaps(splits).items()]
        alone = f"{statistics.fmean(split.joint[()] for split in splits):.4f}"
        made.add_row(case.name, case.model, alone, "\n".join(added), "\n".join(beside), str(len(splits)))
    return made


def draw(canvas: Any, found: Found) -> None:
    """What partners add, and every split's difference to the pooled peers."""
    canvas.set_size_inches(15, 0.42 * len(found) + 2.6)
    left, right = canvas.subplots(1, 2, sharey=True)
    names = [f"{case.name}, {case.model}" for case, _ in found]
    partners = list(dict.fromkeys(name for _, splits in found for name in uplifts(splits)))
    peers = list(dict.fromkeys(name for _, splits in found for name in gaps(splits)))
    for place, (_, splits) in enumerate(found):
        _dots(left, place, {partners.index(name): values for name, values in uplifts(splits).items()}, len(partners))
        _dots(right, place, {peers.index(name): values for name, values in gaps(splits).items()}, len(peers))
    for axes, labels, title in (
        (left, partners, "AUC added to the label holder alone"),
        (right, peers, "joint minus pooled, AUC"),
    ):
        for number, label in enumerate(labels):
            axes.plot([], [], "o", color=COLOURS[number % len(COLOURS)], markersize=4, label=label)
        axes.axvline(0.0, color="#a0aec0", linewidth=1)
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=7)
        axes.grid(axis="x", alpha=0.3)
    left.set_yticks(range(len(names)), names, fontsize=8)
    left.invert_yaxis()
    canvas.suptitle("joint profile on public data: every dot a split, a bar its mean", fontsize=11)
    canvas.tight_layout()


def _dots(axes: Any, place: int, series: dict[int, Sequence[float]], count: int) -> None:
    for number, values in series.items():
        height = place + (number - (count - 1) / 2) * 0.7 / count
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(values, [height] * len(values), "o", color=colour, markersize=3, alpha=0.4)
        axes.plot([statistics.fmean(values)] * 2, [height - 0.12, height + 0.12], color=colour, linewidth=2.5)
