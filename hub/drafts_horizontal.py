"""Drafts of horizontal plans: a short file, completed with defaults, from the directory, and with what it discloses.

Short forms a person may write: a column's name alone is a number; a table with `levels` is a category; `strategy` and
`engine` may be their names alone. Nothing here decides anything: the hub and every node check the whole plan.
"""

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from federation.plan_horizontal import SHAPE
from hub import drafts
from hub.drafts import NONCE_BYTES, Directory, DraftIncomplete, Entropy
from hub.records import Head

DEFAULTS: Head = {
    "kind": "train",
    "version": 1,
    "shape": SHAPE,
    "clip_milli": 4_000,
    "deadline_seconds": 20,
    "attempts": 2,
    "prepare_rounds": 8,
    "minimum_rows": 100,
    "valid_days": 90,
}
TRAINING: Head = {"rounds": 30, "steps": 5, "batch": 0, "rate_micro": 500_000, "l2_micro": 1_000}
SPLIT: Head = {"test_ppm": 300_000, "validation_ppm": 100_000}
PERSONALISE: Head = {"steps": 10, "rate_micro": 250_000}
PRIVACY: Head = {"row_clip_milli": 1_000, "delta_log10": -6}
STRATEGIES: dict[str, Head] = {
    "fedprox": {"proximal_micro": 10_000},
    "fedavgm": {"server_rate_micro": 1_000_000},
    "fedadam": {"server_rate_micro": 100_000},
    "fedyogi": {"server_rate_micro": 100_000},
    "fedadagrad": {"server_rate_micro": 100_000},
}
PAILLIER_BITS = 3072
EXAMPLES_MAX = 100_000  # where nobody publishes how many rows there are


def is_horizontal(given: Mapping[str, Any]) -> bool:
    """Whether a file asks for a horizontal plan."""
    return given.get("shape") == SHAPE


def train(given: Mapping[str, Any], directory: Directory, now: datetime, entropy: Entropy) -> Head:
    """The body of a horizontal plan. Raises DraftIncomplete without partners, a label or columns."""
    body: dict[str, Any] = {**DEFAULTS, **given}
    body["parties"] = [{"role": "trainer", **party} for party in drafts.parties(given, directory)]
    body["label"] = _label(given)
    body["columns"] = [_column(item) for item in _listed(given, "columns")]
    _check_offered(body, directory)
    body["strategy"] = _named(given.get("strategy", "fedavg"), STRATEGIES)
    body["engine"] = _named(given.get("engine", "threshold"), {"paillier": {"bits": PAILLIER_BITS}})
    noisy = given.get("privacy") is not None
    if noisy:
        body["privacy"] = {**PRIVACY, **_table(given, "privacy")}
    steps: Head = {"steps": 1} if noisy else {}
    body["training"] = {**TRAINING, **steps, **_table(given, "training")}
    body.setdefault("model", _model(body))
    body.setdefault("standardise", "none" if noisy else "federated")
    body["split"] = {**SPLIT, "salt": entropy(NONCE_BYTES).hex(), **_table(given, "split")}
    body.setdefault("personalise", dict(PERSONALISE))
    body.setdefault("colluders", 0 if len(body["parties"]) == 2 else 1)
    _check_numbers(body)
    body.setdefault("examples_max", _most_rows(body["parties"], directory))
    body.setdefault("disclosure", [*_disclosure_en(body), *_disclosure_zh(body)])
    return drafts.common({name: value for name, value in body.items() if value != {}}, now, entropy)


def _label(given: Mapping[str, Any]) -> Head:
    label = given.get("label")
    if isinstance(label, str):
        label = {"column": label}
    if not isinstance(label, Mapping) or not label.get("column"):
        raise DraftIncomplete(why='name the label: label = "COLUMN", or [label] with column and classes')
    made = {"classes": ["0", "1"], **label}
    if not isinstance(made["classes"], list):
        raise DraftIncomplete(why='label.classes lists the label\'s values as text: ["0", "1"]')
    return made


def _check_offered(body: Mapping[str, Any], directory: Directory) -> None:
    """What the parties publish is known here: nobody's people should have to refuse a misspelt column."""
    wanted = [str(column.get("name")) for column in body["columns"]] + [str(body["label"]["column"])]
    for party in body["parties"]:
        asset = directory.asset(str(party["partner"]), str(party["asset"]))
        offered = {name for name, cls in asset["columns"].items() if cls != "C3"}
        if missing := [name for name in wanted if name not in offered]:
            near = ", ".join(get_close_matches(missing[0], sorted(offered))) or ", ".join(sorted(offered)[:20])
            raise DraftIncomplete(why=f"{party['partner']} offers no column {missing[0]}; it offers {near}")
        purposes = asset.get("purposes")  # published by every node of ours, required by nobody
        if isinstance(purposes, list) and body.get("purpose") and body["purpose"] not in purposes:
            known = ", ".join(map(str, purposes))
            raise DraftIncomplete(why=f"{party['partner']} offers {asset['name']} for {known}, not {body['purpose']}")


def _check_numbers(body: Mapping[str, Any]) -> None:
    """The numbers that the sentences of the disclosure are made of."""
    numbers = {"colluders": body["colluders"]}
    if body.get("privacy") is not None:
        numbers["privacy.noise_multiplier_milli"] = body["privacy"].get("noise_multiplier_milli", 0)
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise DraftIncomplete(why=f"{name} is a whole number")


def _column(item: Any) -> Head:
    if isinstance(item, str):
        item = {"name": item}
    if not isinstance(item, Mapping):
        raise DraftIncomplete(why='a column is its name or a table such as {name = "EDCL", levels = ["1", "2"]}')
    if "levels" in item:
        return {"kind": "category", **item}
    return {"kind": "number", "transform": "none", **item}


def _named(value: Any, defaults: Mapping[str, Head]) -> Head:
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
        raise DraftIncomplete(why="strategy and engine are a name, or a table with one")
    return {**defaults.get(table["name"], {}), **table}


def _table(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, Mapping):
        raise DraftIncomplete(why=f"{name} is a table: [{name}]")
    return value


def _listed(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name)
    if not isinstance(value, list) or not value:
        raise DraftIncomplete(why=f"name the {name} every partner has: {name} = [...]; not the label, no weight")
    return value


def _model(body: Mapping[str, Any]) -> str:
    if body["training"].get("hidden"):
        return "mlp"
    return "logistic" if len(body["label"]["classes"]) == 2 else "multinomial"


def _most_rows(parties: list[Head], directory: Directory) -> int:
    """The upper end of the largest band of rows that the parties publish: all weights are then below 1."""
    ends = []
    for party in parties:
        band = str(directory.asset(str(party["partner"]), str(party["asset"])).get("rows", ""))
        end = band.rpartition("-")[2]
        ends.append(int(end) if end.isdecimal() else EXAMPLES_MAX)
    return max(ends)


def _disclosure_en(body: Mapping[str, Any]) -> list[str]:
    names = ", ".join(party["partner"] for party in body["parties"])
    count, colluders, privacy = len(body["parties"]), body["colluders"], body.get("privacy")
    sums = "updates, row counts" if privacy else "updates, row counts, losses, score histograms"
    lines = [
        f"Rows stay with {names}. The hub and every partner learn the model after each round, and sums over at least "
        f"{colluders + 2} partners: {sums}; no partner's own.",
        f"The hub together with {colluders} of the {count} partners learns the sum of the others, no more.",
    ]
    if privacy:
        multiplier = privacy.get("noise_multiplier_milli", 0) / 1000
        lines.append(f"Noise of {multiplier:g} times one row's greatest influence is in every sum of updates.")
        lines.append("Each partner's row counts are signed and shown to all; its test figures stay with it.")
    else:
        lines.append("Each partner's own test figures (AUC, log loss, row counts) are signed and shown to all.")
        lines.append(
            "There is no noise: sums over almost the same weights for changing sets of partners can be subtracted. "
            "A hub that cheats, alone, needs two rounds and one partner's absence to read that partner's update."
        )
    if count == 2:
        lines.append("Two partners: a sum shows each the other's update. Only the noise protects the rows.")
    if body["engine"]["name"] == "paillier":
        lines.append(f"{body['engine'].get('dealer')} deals the key and could open every single update.")
    return lines


def _disclosure_zh(body: Mapping[str, Any]) -> list[str]:
    names = "、".join(party["partner"] for party in body["parties"])
    count, colluders, privacy = len(body["parties"]), body["colluders"], body.get("privacy")
    sums = "更新、行数" if privacy else "更新、行数、损失、评分直方图"
    lines = [
        f"数据行始终留在 {names} 各方本地。枢纽与各方获知每轮后的模型，以及至少 {colluders + 2} 方的合计："
        f"{sums}；不获知任何一方的单独数值。",
        f"枢纽与 {count} 方中的 {colluders} 方串通时，只能获知其余各方之和。",
    ]
    if privacy:
        multiplier = privacy.get("noise_multiplier_milli", 0) / 1000
        lines.append(f"每次更新之和均加入噪声，强度为单行最大影响的 {multiplier:g} 倍。")
        lines.append("各方行数经签名后对所有方公开；其测试指标仅本方可见。")
    else:
        lines.append("各方自有测试集的指标（AUC、对数损失、行数）经签名后对所有方公开。")
        lines.append(
            "不加噪声：参数几乎相同而参与方集合变化时，各次之和可相减。枢纽若作弊，无须任何一方配合，"
            "只需两轮训练及某一方缺席其中一轮，即可读出该方的更新。"
        )
    if count == 2:
        lines.append("仅两方：合计会让双方推知对方的更新，仅靠噪声保护数据行。")
    if body["engine"]["name"] == "paillier":
        lines.append(f"密钥由 {body['engine'].get('dealer')} 分发，其有能力解开任何单方更新。")
    return lines
