"""What a contribution says, for people: tables and sentences, in English and Chinese."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from federation.contribution import BY_SCORES, PPM, Contribution

Pair: TypeAlias = tuple[str, str]  # English, Chinese
Line: TypeAlias = tuple[str, ...]

HOLDERS = {
    "en": ("partner", "Shapley value", "least and largest of a part", "weight"),
    "zh": ("伙伴", "Shapley 值", "各留出部分的最小与最大值", "权重"),
}
COALITIONS = {
    "en": ("columns of", "held-out squared error", "gain over {label} alone"),
    "zh": ("使用字段", "留出平方误差", "较 {label} 单独的降低"),
}
NOTHING: Pair = ("adds nothing", "无贡献")
WORSE: Pair = ("makes it worse", "使误差变大")


def holders(made: Contribution, lang: str) -> list[Line]:
    """The table of HOLDERS."""
    values, spread, weights = made.shapley, made.spread(), made.weights_ppm
    return [
        (
            name,
            _signed(values[name]),
            " … ".join(map(_signed, spread[name])) if len(made.parts) > 1 else "-",
            _weight(values[name], weights[name] if weights else None, lang),
        )
        for name in made.holders
    ]


def coalitions(made: Contribution) -> list[Line]:
    """The table of COALITIONS, over all held-out parts together."""
    alone = _error(made)
    return [
        (" + ".join([made.label_holder, *one]), f"{float(alone - gain) / PPM:.6f}", _signed(gain))
        for one, gain in made.gains.items()
    ]


def heads(made: Contribution, lang: str) -> Line:
    """The head of the table of COALITIONS."""
    return tuple(text.format(label=made.label_holder) for text in COALITIONS[lang])


def notes(made: Contribution, body: Mapping[str, Any]) -> list[Pair]:
    """What a reader must know; body: the receipt's."""
    label, rows = made.label_holder, f"{made.rows:,}"
    by_scores = made.method == BY_SCORES
    whose, whose_zh = ("a model", "模型") if by_scores else ("a scorecard", "评分卡")
    said: list[Pair] = [
        (
            f"Held-out clients: {rows}, in {len(made.parts)} part(s), each by {whose} of other clients. The gain "
            f"is what the squared error of the calibrated chance falls by from {label} alone; a Shapley value is a "
            "holder's mean gain over all orders of joining.",
            f"留出客户 {rows} 名，分为 {len(made.parts)} 部分，每部分由其余客户的{whose_zh}打分。"
            f"增益为校准概率的平方误差较 {label} 单独时的降低；Shapley 值为该方按所有加入顺序的平均增益。",
        )
    ]
    if made.weights_ppm is None:
        said.append(
            (
                "No holder adds anything that can be seen: there are no weights, and the agreement's fixed key holds.",
                "没有任何一方显示出正贡献：不产生权重，按协议约定的固定比例执行。",
            )
        )
    elif any(value <= 0 for value in made.shapley.values()):
        said.append(
            (
                "A value of zero or less is shown as it is and weighs zero.",
                "零或负的贡献值如实列出，权重为零。",
            )
        )
    if by_scores:
        said.append(
            (
                f"Every set of holders has a model {body['model']} of its own, trained alike on the same clients. One "
                "held-out part only: another split of the clients gives other weights.",
                f"每个伙伴组合各有一个以相同方式、在相同客户上训练的 {body['model']} 模型。"
                "仅有一个留出部分：换一种划分，权重会不同。",
            )
        )
    elif len(made.parts) == 1:
        said.append(
            (
                "One held-out part only: another split of the clients gives other weights. A plan with folds holds "
                "every client out once and shows the spread.",
                "仅有一个留出部分：换一种划分，权重会不同。带折叠的方案使每名客户各留出一次，并给出各部分的差异。",
            )
        )
    if body["model"] != "moments" and not by_scores:
        said.append(
            (
                f"Measured on the scorecard from moments of the same columns, not on the model {body['model']} itself.",
                f"以相同字段的矩评分卡度量，而非 {body['model']} 模型本身。",
            )
        )
    said.append(
        (
            f"The errors are what {label} measured and signed; values and weights were computed again from them here.",
            f"误差由 {label} 测得并签名；贡献值与权重已在此据其重新计算。",
        )
    )
    return said


def _error(made: Contribution) -> Fraction:
    return Fraction(sum(part.rows * part.errors_ppm[()] for part in made.parts), made.rows)


def _signed(value: Fraction) -> str:
    return f"{float(value) / PPM:+.6f}"


def _weight(value: Fraction, weight: int | None, lang: str) -> str:
    shown = "-" if weight is None else f"{weight / PPM:.4%}"
    if value > 0:
        return shown
    return f"{shown}: {(WORSE if value else NOTHING)[lang == 'zh']}"
