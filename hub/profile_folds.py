"""Cross-validation on folds of the train clients, for people: what each scorecard's squared error is there, and the
penalty that it chose. Measures of order need scores of clients and are of the held-out ones only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from federation.metrics import PPM
from hub.run_report import Note

VERSION = 1
COLUMNS = ("scorecard", "squared error in folds", "R² in folds", "gain over the first")
PATH = ("ridge penalty", "squared error in folds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """What the record says of cross-validation; errors are mean squared ones by fold, of ½ + score / 4."""

    rows: tuple[int, ...]
    ridge: float
    path: Mapping[float, tuple[float, ...]]  # by penalty, of the scorecard with everybody
    base: tuple[float, ...]  # of the other folds' mean
    cards: tuple[tuple[float, ...], ...]  # in the order of the record's scorecards

    def mean(self, errors: Sequence[float]) -> float:
        """Over all train clients."""
        return sum(error * rows for error, rows in zip(errors, self.rows, strict=True)) / sum(self.rows)

    def spread(self, values: Sequence[float]) -> float:
        """The standard error of a mean over folds, as if these were independent."""
        middle = sum(values) / len(values)
        return sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values))


def read(value: Mapping[str, Any] | None, holders: Sequence[Sequence[str]]) -> Folds | None:
    """holders: of the record's scorecards. Raises KeyError, TypeError or ValueError for what no run writes."""
    if value is None:
        return None
    rows = tuple(int(count) for count in value["fold_rows"])

    def errors(listed: Any) -> tuple[float, ...]:
        found = tuple(int(error) / PPM for error in listed)
        if len(found) != len(rows):
            raise ValueError("an error for every fold")
        return found

    path = {int(one["ridge_milli"]) / 1000: errors(one["errors_ppm"]) for one in value["path"]}
    ridge = int(value["ridge_milli"]) / 1000
    named = [tuple(map(str, one["holders"])) for one in value["variants"]]
    if value["version"] != VERSION or len(rows) < 2 or min(rows) < 1 or ridge not in path:
        raise ValueError("the folds of a cross-validation")
    if named != [tuple(one) for one in holders]:
        raise ValueError("the scorecards of a cross-validation")
    base, cards = errors(value["base_errors_ppm"]), tuple(errors(one["errors_ppm"]) for one in value["variants"])
    if min(base) <= 0.0:
        raise ValueError("folds of one class")
    return Folds(rows=rows, ridge=ridge, path=path, base=base, cards=cards)


def lines(folds: Folds, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The table of COLUMNS; names: of the scorecards, the first is the baseline."""
    first, base = folds.cards[0], folds.mean(folds.base)
    made: list[tuple[str, ...]] = []
    for place, (name, errors) in enumerate(zip(names, folds.cards, strict=True)):
        explained = [1 - error / nothing for error, nothing in zip(errors, folds.base, strict=True)]
        gains = [before - after for before, after in zip(first, errors, strict=True)]
        made.append(
            (
                name,
                f"{folds.mean(errors):.4f} ± {folds.spread(errors):.4f}",
                f"{1 - folds.mean(errors) / base:.3f} ± {folds.spread(explained):.3f}",
                "-" if place == 0 else f"{folds.mean(gains):+.4f} ± {folds.spread(gains):.4f}",
            )
        )
    return made


def path(folds: Folds) -> list[tuple[str, ...]]:
    """The table of PATH; the chosen penalty is starred."""
    return [
        (f"{ridge:g}{' *' if ridge == folds.ridge else ''}", f"{folds.mean(errors):.5f} ± {folds.spread(errors):.5f}")
        for ridge, errors in folds.path.items()
    ]


def notes(folds: Folds | None, model: str) -> list[Note]:
    if folds is None:
        return [
            (
                "One split of the clients: the intervals cover which clients are tested, not which are trained on. "
                "There is no cross-validation in this run.",
                "仅一次划分：区间反映测试客户的抽样波动，不含训练客户的波动；本次训练没有交叉验证。",
            )
        ]
    number, ridge = len(folds.rows), f"{folds.ridge:g}"
    said = [
        (
            f"The intervals are of one split: they cover which clients are tested, not which are trained on. The "
            f"{number} folds of the train clients show more of that: each is judged by what was solved on the others, "
            "from moments alone. AUC, average precision and calibrated measures need scores, so they are of held-out "
            "clients only.",
            f"区间针对一次划分：反映测试客户的波动，不含训练客户的波动。训练客户的 {number} 折可补充这一点：每折由其余"
            "各折求解的评分卡评判，仅用矩。AUC、平均精确率与校准后的度量需要评分，因此只针对留出客户。",
        ),
        (
            "Squared errors in folds are of ½ + score/4, not calibrated; R² is against the other folds' mean. ± is the "
            "standard error over folds, which share train clients: the true one is larger.",
            "各折平方误差针对 ½ + 评分/4（未校准）；R² 以其余各折的均值为参照。± 为各折间的标准误，各折共用训练客户，"
            "真实误差更大。",
        ),
    ]
    if len(folds.path) > 1:
        said.append(
            (
                f"The ridge penalty {ridge} has the least error in the folds of {len(folds.path)} candidates and is "
                "that of every scorecard; held-out clients had no part in the choice.",
                f"岭惩罚 {ridge} 在 {len(folds.path)} 个候选中各折误差最小，用于所有评分卡；留出客户未参与选择。",
            )
        )
    if model != "moments":
        said.append(
            (
                "The folds judge the scorecards that moments gave, before they were refined.",
                "各折评判的是由矩得到、精调之前的评分卡。",
            )
        )
    return said
