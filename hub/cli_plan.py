"""A proposal as people read it before they agree: every field of it, by its name in the file and by its meaning.

What is not known here is shown all the same: a field that nobody sees would be approved by nobody.
"""

import json
from collections.abc import Mapping
from typing import Any

from federation.plan_horizontal import SHAPE as HORIZONTAL
from hub.cli_common import Cli

ELSEWHERE = ("parties", "disclosure")  # shown in a form of their own
PARTY = ("partner", "role", "asset", "id_column", "columns", "signing", "sealing", "chain")
KEY_DIGITS = 16
OPTIONAL = ("privacy", "early_stop", "personalise")  # of a horizontal plan: that one is not there is worth a line
MEANINGS = {  # in the order in which they are shown
    "purpose": ("clients have consented to purposes", "用途（客户按用途授权）"),
    "title": ("for people", "标题"),
    "kind": ("of this proposal", "提案类型"),
    "shape": ("same columns, different clients", "相同列、不同客户"),
    "version": ("of the proposal's form", "提案格式版本"),
    "mode": ("what is learnt: see the sentences below", "所获知的内容，见下方说明"),
    "both": ("both parties get their rows, not the leader alone", "双方均获得各自的行，而非仅牵头方"),
    "labels": (
        "whose column the leader gets of each shared client, and its longest text",
        "牵头方获知每名共同客户的列及其最长字节数",
    ),
    "cached": (
        "the key epoch: its number, places of its lists, clients that may be asked about in all, and its end",
        "密钥期：期号、名单位置数、全期可查询次数与截止时间",
    ),
    "sum": ("whose column is added up, whole numbers below 2 to the bits", "求和的列：小于 2 的 bits 次幂的整数"),
    "noise": (
        "epsilon in thousandths, delta 10 to this: an estimate",
        "噪声：ε 为千分之一，δ 为 10 的该次幂；数字为估计值",
    ),
    "model": ("its form", "模型形式"),
    "alignment": ("the match whose order the rows are in", "所依据的对齐任务"),
    "label": (
        "what is predicted, and its classes; positive: the class that counts as 1",
        "预测目标及其类别；positive 为记作 1 的类别",
    ),
    "columns": ("what every partner's rows bring in", "各方数据行的输入列"),
    "standardise": ("where means and variances come from", "均值与方差的来源"),
    "split": ("which rows are kept for tests, millionths and salt", "测试与验证行的划分（百万分之一，盐值）"),
    "split_salt": ("decides which rows are for tests", "决定测试行的盐值"),
    "test_ppm": ("share of test rows, millionths", "测试行占比（百万分之一）"),
    "training": ("a node's work in a round, and how many rounds", "每轮本地训练与轮数"),
    "strategy": ("how the average becomes the next model", "平均更新的使用方式"),
    "early_stop": ("ends the run when the validation loss no longer gains", "验证损失不再改善时提前结束"),
    "personalise": ("fine-tuning at each node after the run", "训练后各节点的本地微调"),
    "ridge_milli": ("ridge penalty, thousandths", "岭惩罚（千分之一）"),
    "validation": (
        "folds of the train clients, and further ridge penalties to choose from by them, thousandths",
        "训练客户的折数，以及据此选择的其他岭惩罚（千分之一）",
    ),
    "contribution": (
        "what each partner's columns add on held-out clients is measured",
        "度量各方字段在留出客户上的贡献",
    ),
    "bins": ("bins of each binned column, at most", "每个分箱列的最多箱数"),
    "coding": (
        "how wide columns become numbers: 1 logarithm, 2 logarithm in units of the column's own median",
        "大数值列的编码：1 取对数，2 以该列自身中位数为单位取对数",
    ),
    "logistic": (
        "rounds of refinement at most, and the share of the train loss whose fall ends them, millionths",
        "精调轮数上限，以及训练损失降幅低于该比例（百万分之一）时结束",
    ),
    "minimum": ("common clients below which nothing is shown", "最小交集阈值"),
    "minimum_rows": ("train rows a partner needs", "所需最少训练行数"),
    "rare_rows": ("train rows that a column must set apart", "列须区分出的最少训练行数"),
    "cell_minimum": ("smaller cells are shown as half of it", "小于此数的单元格按其一半显示"),
    "score_step_log2": ("disclosed score shares are multiples of 2 to this", "评分份额取 2 的该次幂的倍数"),
    "score_budget": ("score vectors a column set may disclose", "列组可披露的评分向量数"),
    "bootstrap": ("resamples behind each interval", "区间估计的重抽样次数"),
    "clip_milli": ("L2 norm to which a node cuts its update, thousandths", "节点更新的 L2 范数上限（千分之一）"),
    "examples_max": ("train rows that give a partner the full weight", "达到全额权重的训练行数"),
    "privacy": ("noise in every sum, booked on every node's budget", "每次合计所加噪声，计入各节点隐私预算"),
    "engine": ("how it is computed and protected", "计算与保护方式"),
    "id_type": ("what clients are known by", "客户标识类型"),
    "normaliser": ("version of the rules that write identifiers alike", "标识规范化规则版本"),
    "colluders": ("partners assumed to work together with the hub", "假定与枢纽串通的参与方数"),
    "deadline_seconds": ("of a phase, for a connected node", "在线节点每阶段的期限（秒）"),
    "attempts": ("at a round, before the run rests", "每轮尝试次数，用尽后暂停"),
    "prepare_rounds": ("for which keys are dealt ahead", "预先分发密钥的轮数"),
    "survey_weights": ("column of weights that measures are taken with", "计算度量所用的抽样权重列"),
    "fairness": (
        "limits to gaps between groups of test clients: above them no release",
        "测试客户群体差距的限值：超出则不发布",
    ),
    "scoring": (
        "single clients that may be scored a day after the run, while its results are valid; split: for how many of "
        "them each side's own share is shown too, in multiples of 2^step_log2",
        "训练后、结果有效期内每日可逐一评分的客户数；split：其中可按步长 2^step_log2 给出各方自身份额的客户数",
    ),
    "valid_days": ("how long results may be used", "结果有效天数"),
    "expires": ("nothing runs after it", "此后不再执行"),
    "nonce": ("makes this proposal one of its own", "使本提案唯一的随机数"),
}
ORDER = tuple(MEANINGS)
NONE = ("none", "无")


def show(cli: Cli, body: Mapping[str, Any]) -> None:
    """Parties, fields and what is disclosed: the whole body."""
    cli.table(
        ("partner", "role", "asset", "id column", "signing key", "sealing key"),
        [_party(cli, party) for party in body["parties"]],
    )
    if brought := [(p["partner"], ", ".join(p["columns"])) for p in body["parties"] if p.get("columns")]:
        cli.table(("partner", "columns"), brought)
    cli.table(("field", "value", "meaning"), rows(cli, body))


def rows(cli: Cli, body: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(field, value, meaning) of everything in a body but the parties and the sentences of disclosure."""
    found = {name: said(value) for name, value in body.items() if name not in ELSEWHERE}
    if body.get("shape") == HORIZONTAL:
        found |= {name: cli.word(*NONE) for name in OPTIONAL if name not in body}
    for party in body["parties"]:
        rest = {name: value for name, value in party.items() if name not in PARTY}
        if rest:
            found[f"parties.{party['partner']}"] = said(rest)
    listed = sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return [(name, found[name], cli.word(*MEANINGS.get(name, ("", "")))) for name in listed]


def said(value: Any, inner: bool = False) -> str:
    """A value with all that is in it, in one line: names before what they name."""
    if isinstance(value, Mapping):
        parts = [f"{name} {said(one, inner=True)}" for name, one in value.items()]
        return f"({', '.join(parts)})" if inner else ", ".join(parts)
    if isinstance(value, list):
        return f"[{', '.join(map(said, value))}]" if inner else "; ".join(map(said, value))
    return value if isinstance(value, str) else json.dumps(value)


def _party(cli: Cli, party: Mapping[str, Any]) -> tuple[str, ...]:
    keys = (party[name][:KEY_DIGITS] for name in ("signing", "sealing"))
    return party["partner"], cli.value(party["role"]), party["asset"], party["id_column"], *keys
