"""The kinds of rules of an agreement: one frozen dataclass each, one table, one reader, one schema."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from privacy import canonical
from revenue_share.errors import AgreementInvalid, RuleKindUnknown
from revenue_share.fields import Schema, Table
from revenue_share.rules import score, tiers
from revenue_share.rules.base import COMMON, MODIFIERS, Clawback, Kind, Limit, Pair, Rule, limits
from revenue_share.rules.fixed import FixedPerEvent
from revenue_share.rules.increment import ShareOfIncrement
from revenue_share.rules.percent import Milestone, PercentOfBase, PercentOnMilestone
from revenue_share.rules.points import Points
from revenue_share.rules.pool import PoolByWeights
from revenue_share.rules.score import ScoreMultiplier, Step
from revenue_share.rules.tiers import Tier, TieredRate

__all__ = ["KINDS", "Clawback", "Kind", "Limit", "Pair", "Rule", "describe", "read", "schema"]

Made = type[Any]
KINDS: dict[str, Made] = {
    kind.NAME: kind
    for kind in (
        *(PercentOfBase, PercentOnMilestone, FixedPerEvent, ShareOfIncrement, TieredRate, PoolByWeights),
        *(ScoreMultiplier, Points),
    )
}
CHECKS: dict[str, Callable[[dict[str, Any], str], None]] = {
    TieredRate.NAME: tiers.check,
    ScoreMultiplier.NAME: score.check,
}
PARTS: dict[str, Made] = {"tiers": Tier, "steps": Step, "milestones": Milestone}


def read(value: canonical.Value, field: str) -> Rule:
    """One rule of an agreement's body. Raises AgreementInvalid by the field's name, RuleKindUnknown."""
    if not isinstance(value, dict) or "kind" not in value:
        raise AgreementInvalid(field=field, why="an object with a kind is expected")
    made = KINDS.get(str(value["kind"]))
    if made is None:
        known = ", ".join(KINDS)
        raise RuleKindUnknown(rule=str(value.get("id"))[:64], kind=str(value["kind"])[:64], known=known)
    fields = _table(made).read(value, field)
    own = {name: fields[name] for name in (*made.FIELDS.needed, *made.FIELDS.optional) if name in fields}
    if (check := CHECKS.get(made.NAME)) is not None:
        check(own, field)
    for name, part in PARTS.items():
        if name in made.__annotations__:
            own[name] = tuple(part(**item) for item in own.get(name, ()))
    rule = Rule(
        id=fields["id"],
        event=fields["event"],
        months_from_referral=fields.get("months_from_referral"),
        limits=limits(fields),
        clawback=_clawback(fields.get("clawback")),
        kind=made(**own),
    )
    _check(rule, fields, field)
    return rule


def describe(rule: Rule, currency: str, window: Pair = ("", "")) -> Pair:
    """What a rule pays and within which bounds, for people who approve it; window: of the referral, in words."""
    en, zh = rule.kind.terms(rule.event, currency)
    en, zh = en + window[0], window[1] + zh
    for limit in rule.limits:
        for word, bound in ((("at most", "至多"), limit.cap), (("at least", "至少"), limit.floor)):
            if bound is not None:
                en += f", {word[0]} {bound} minor units per {limit.scope}"
                zh += f"，{_SCOPES[limit.scope]}{word[1]} {bound}（最小货币单位）"
    if rule.clawback is not None:
        days, mode = (
            rule.clawback.window_days,
            ("in proportion", "按比例") if rule.clawback.pro_rata else ("in full", "全额"),
        )
        en += f"; taken back {mode[0]} within {days} days"
        zh += f"；{days} 天内可{mode[1]}追回"
    return en, zh


_SCOPES = {"event": "每笔", "client": "每名客户", "period": "每期", "lifetime": "协议期内"}


def schema() -> Schema:
    """JSON Schema of one rule: one alternative for each kind."""
    alternatives: list[canonical.Value] = []
    for name, made in KINDS.items():
        one = _table(made).schema()
        properties = one["properties"]
        assert isinstance(properties, dict)
        alternatives.append({**one, "title": name, "properties": {**properties, "kind": {"const": name}}})
    return {"oneOf": alternatives}


def _table(made: Made) -> Table:
    own: Table = made.FIELDS
    return Table(needed={**COMMON, **own.needed}, optional={**MODIFIERS, **own.optional})


def _clawback(fields: dict[str, Any] | None) -> Clawback | None:
    if fields is None:
        return None
    return Clawback(
        window_days=fields["window_days"],
        pro_rata=fields["mode"] == "pro_rata",
        reasons=tuple(fields.get("reasons", ())),
    )


def _check(rule: Rule, fields: dict[str, Any], field: str) -> None:
    """What several fields of a rule must be together. Raises AgreementInvalid."""
    if fields.get("referred", True) != rule.referred:
        why = "a rule of referred clients has it, one with referred = false has not"
        raise AgreementInvalid(field=f"{field}.months_from_referral", why=why)
    if rule.clawback is not None and rule.clawback.pro_rata and not rule.kind.BASED:
        raise AgreementInvalid(field=f"{field}.clawback.mode", why="this kind has no base to take a part of: full")
    for limit in rule.limits:
        if limit.cap is not None and limit.floor is not None and limit.floor > limit.cap:
            raise AgreementInvalid(field=f"{field}.floor.{limit.scope}", why="it is over the cap")
    if isinstance(rule.kind, PercentOnMilestone):
        steps = rule.kind.milestones
        for one, other in pairwise(steps):
            if one.at_ppm >= other.at_ppm or one.pays_ppm >= other.pays_ppm:
                raise AgreementInvalid(field=f"{field}.milestones", why="each more than the one before is expected")
    if isinstance(rule.kind, Points):
        if rule.kind.redeem_event == rule.event:
            raise AgreementInvalid(field=f"{field}.redeem_event", why="it is the event that earns")
        if rule.limits or not rule.referred:
            raise AgreementInvalid(field=field, why="points belong to referred clients and have no limits")
    if rule.kind.NAME == PoolByWeights.NAME and rule.referred:
        raise AgreementInvalid(field=f"{field}.referred", why="a pool belongs to no client: false is expected")
    if isinstance(rule.kind, ShareOfIncrement) and not rule.referred:
        raise AgreementInvalid(field=f"{field}.referred", why="a level belongs to a referred client")
