"""Why a label was given or refused, as people read it: where the score stands, and by which bounds of the rule."""

from collections.abc import Iterator
from decimal import Decimal

from federation.labels.rules import Grade, Label, When

Sentence = tuple[str, str]  # English, Chinese
DIGITS = 4


def rule(grade: Grade) -> Sentence:
    """A grade's condition: "decile from 9; chance from 0.6, below 0.9; for clients of risk class 3 or above"."""
    parts = [*_bounds(grade.when)]
    en = "; ".join(part[0] for part in parts)
    zh = "；".join(part[1] for part in parts)
    level = grade.risk_level
    return f"{en}; for clients of risk class {level} or above", f"{zh}；适用于风险等级 {level} 级及以上客户"


def given(grade: Grade, *, decile: int, chance: float, score: float, risk_class: int) -> Sentence:
    """Why a client got it: the rule, and beside it where the client stands."""
    en, zh = rule(grade)
    when, stands = grade.when, [(f"decile {decile}", f"十分位 {decile}")]
    if when.chance_from is not None or when.chance_below is not None:
        shown = _shown(chance, when.chance_from, when.chance_below)
        stands.append((f"chance {shown}", f"概率 {shown}"))
    if when.score_from is not None or when.score_below is not None:
        shown = _shown(score, when.score_from, when.score_below)
        stands.append((f"score {shown}", f"得分 {shown}"))
    stands.append((f"risk class {risk_class}", f"风险等级 {risk_class} 级"))
    return (
        f"{', '.join(part[0] for part in stands)}; rule: {en}",
        f"{'，'.join(part[1] for part in stands)}；规则：{zh}",
    )


def refused(reason: str, *, risk_level: int | None, risk_class: int | None) -> Sentence:
    """Why a client did not get a label, or none at all. `reason`: a name of apply.Reason."""
    if reason == "SUITABILITY" and risk_class is None:
        return (
            f"suitability: the label asks for risk class {risk_level} or above, and the client's is not known",
            f"适当性：标签要求风险等级 {risk_level} 级及以上，而客户的风险等级未知",
        )
    if reason == "SUITABILITY":
        return (
            f"suitability: the label asks for risk class {risk_level} or above, the client has {risk_class}",
            f"适当性：标签要求风险等级 {risk_level} 级及以上，客户为 {risk_class} 级",
        )
    return {
        "OPTED_OUT": ("the client opted out of labels", "客户已拒绝标签"),
        "CONSENT_ENDED": ("the client's consent to this purpose does not hold now", "客户对该用途的授权当前无效"),
        "EXPIRED": ("the time for which it was valid is over", "有效期已过"),
    }[reason]


def title(label: Label, class_: int | None) -> Sentence:
    """ "Risk appetite, class 3" or the label's name alone."""
    if class_ is None:
        return label.en, label.zh
    return f"{label.en}, class {class_}", f"{label.zh} {class_} 级"


def _bounds(when: When) -> Iterator[Sentence]:
    if when.decile_from is not None or when.decile_to is not None:
        low, high = when.decile_from or 1, when.decile_to or 10
        yield (
            (f"decile {low} to {high}", f"十分位 {low} 至 {high}") if low < high else (f"decile {low}", f"十分位 {low}")
        )
    for en, zh, low_bound, below in (
        ("chance", "概率", when.chance_from, when.chance_below),
        ("score", "得分", when.score_from, when.score_below),
    ):
        ends = []
        if low_bound is not None:
            ends.append((f"from {low_bound}", f"不低于 {low_bound}"))
        if below is not None:
            ends.append((f"below {below}", f"低于 {below}"))
        if ends:
            yield f"{en} {', '.join(end[0] for end in ends)}", f"{zh}{'、'.join(end[1] for end in ends)}"


def _shown(value: float, low: Decimal | None, below: Decimal | None) -> str:
    """Four digits, or all of them where four would seem to stand on the other side of a bound."""
    short = f"{value:.{DIGITS}f}"
    stands = (low is None or float(short) >= float(low)) and (below is None or float(short) < float(below))
    return short if stands else repr(value)
