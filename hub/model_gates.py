"""What stands against a release: sentences with a code, in both languages. Nothing here is decided by a person.

FAIRNESS_OVER_LIMITS   a gap above its limit in the plan, or one that could not be measured; nobody can lift it
VALIDITY_ENDED         the plan's valid_days after the run's end are over
NO_MEASURABLE_UPLIFT   the interval of the full scorecard's AUC over the label holder alone is not all above zero;
                       a person may accept it, with the reason on record
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.fairness import Excess
from federation.release import has_uplift
from hub import times
from privacy import canonical

UNFAIR, ENDED, NO_UPLIFT = "FAIRNESS_OVER_LIMITS", "VALIDITY_ENDED", "NO_MEASURABLE_UPLIFT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """One reason against a release."""

    code: str
    en: str
    zh: str

    def to_value(self) -> canonical.Value:
        return {"code": self.code, "en": self.en, "zh": self.zh}


def hindrances(registration: Mapping[str, Any], now: datetime) -> tuple[Hindrance, ...]:
    """What stands against releasing this registered model now."""
    return (*_fairness(registration["fairness"]), *_validity(registration, now), *_uplift(registration["evaluation"]))


def _fairness(verdict: Mapping[str, Any] | None) -> list[Hindrance]:
    return [_excess(one) for one in verdict["excesses"]] if verdict else []


def _excess(excess: Mapping[str, Any]) -> Hindrance:
    en, zh = Excess(**excess).sentence()
    return Hindrance(code=UNFAIR, en=en, zh=zh)


def _validity(registration: Mapping[str, Any], now: datetime) -> list[Hindrance]:
    until = registration["valid_until"]
    if now < times.parse(until):
        return []
    return [Hindrance(code=ENDED, en=f"its validity ended at {until}", zh=f"有效期已于 {until} 结束")]


def _uplift(evaluation: Mapping[str, Any]) -> list[Hindrance]:
    uplift = evaluation.get("auc_uplift")
    if has_uplift(evaluation):
        return []
    said = "none was measured" if uplift is None else f"{uplift['value_ppm'] / 1e6:+.4f}, from {_low_high(uplift)}"
    said_zh = "未度量" if uplift is None else f"{uplift['value_ppm'] / 1e6:+.4f}，区间 {_low_high(uplift)}"
    return [
        Hindrance(
            code=NO_UPLIFT,
            en=f"no measurable uplift in AUC over the label holder alone ({said})",
            zh=f"相对标签方单独模型的 AUC 无可测提升（{said_zh}）",
        )
    ]


def _low_high(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['low_ppm'] / 1e6:+.4f} to {estimate['high_ppm'] / 1e6:+.4f}"
