"""The card of a registered model: what it is for, of whose data, how good, how fair, and what became of it.

Made from the registry and the signed documents of the run alone (Mitchell et al., Model Cards for Model Reporting,
2019, for what a card says); it holds figures and digests, no parameter and no client. A figure that was not measured
is said to be absent. `sections` is what a card says; `card_page` writes it as Markdown or HTML.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation import stability
from federation.fairness import Excess
from federation.metrics import PPM, Estimate
from federation.release import label_name
from federation.stability import MOVED, SHIFTED, STABLE
from hub import model_gates, profile_record, profile_report, words
from hub.profile_record import Profile
from hub.run_report import Note, ReportUnreadable

Line = tuple[str, ...]
SUMMARY = ("", "")
PARTIES = ("partner", "role", "asset", "columns used", "left out")
CONSENTS = ("partner", "published list", "clients with consent", "consents")
GROUPS = ("group", "test rows", "selected", "true positives", "mean predicted", "observed")
GAPS = ("gap", "value", "limit")
STABILITY = ("earlier model", "stability index", "reading")
SPENT = ("partner", "score vectors", "masked")
APPROVALS = ("partner", "person", "time", "digest")
DIGESTS = ("document", "digest")
STEPS = ("number", "time", "action", "model", "person", "why", "serves since")
HEADS = (PARTIES, CONSENTS, GROUPS, GAPS, STABILITY, SPENT, APPROVALS, DIGESTS, STEPS)
NAMES: dict[str, Note] = {
    "selection": ("selected", "入选"),
    "true_positive": ("true positives", "真正例"),
    "calibration": ("predicted minus observed", "预测减实际"),
}
READINGS: dict[str, Note] = {
    STABLE: ("stable (below 0.10)", "稳定（低于 0.10）"),
    MOVED: ("moved (0.10 to 0.25)", "有偏移（0.10 至 0.25）"),
    SHIFTED: ("shifted (0.25 and above)", "显著偏移（0.25 及以上）"),
}
OTHERS: Note = ("others together", "其余合并")
NOT_SHOWN: Note = ("too few clients", "客户过少")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Heads in English, as hub.words translates them, and cells."""

    heads: Sequence[str]
    rows: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a card: sentences, then tables; drawings are for HTML only."""

    title: Note
    notes: tuple[Note, ...] = ()
    tables: tuple[Table, ...] = ()
    drawings: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A model as the hub's `model` command gives it, its run as `job` does, and the run's figures."""

    model: Mapping[str, Any]
    job: Mapping[str, Any]
    profile: Profile

    @property
    def registration(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.model["registration"]
        return found


def read(model: Mapping[str, Any], job: Mapping[str, Any]) -> Card:
    """Raises ReportUnreadable where the documents don't hold what a card needs."""
    if model.get("job") != job.get("digest"):
        raise ReportUnreadable(why="the model is of another run")
    return Card(model=model, job=job, profile=profile_record.read(job))


def sections(card: Card, lang: str) -> tuple[Section, ...]:
    """What the card says, in order. Raises ReportUnreadable."""
    try:
        return (
            _summary(card, lang),
            _parties(card, lang),
            _evaluation(card, lang),
            _fairness(card, lang),
            _stability(card, lang),
            _limits(card),
            _disclosure(card, lang),
            _approvals(card, lang),
            _history(card, lang),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ReportUnreadable(why=f"{type(error).__name__} {str(error)[:80]}") from None


def _summary(card: Card, lang: str) -> Section:
    model, body = card.model, card.registration
    label = body["label"]
    facts: list[tuple[Note, str]] = [
        (("name", "名称"), model["name"]),
        (("number", "序号"), str(model["number"])),
        (("state", "状态"), _state(model, lang)),
        (("purpose", "用途"), body["purpose"]),
        (("label", "标签"), f"{label['partner']} / {label['asset']} / {label_name(label)}"),
        (("model", "模型"), body["model"]),
        (("valid until", "有效期至"), model["valid_until"]),
        (("clients trained on", "训练客户"), f"{body['train_rows']:,}"),
        (("held-out clients", "留出客户"), f"{body['test_rows']:,} ({body['test_positives']:,} +)"),
    ]
    against = tuple((one["en"], one["zh"]) for one in model["against"])
    stands = (("Stands against a release now:", "目前不可发布的原因："), *against) if against else ()
    rows = [(_said(name, lang), text) for name, text in facts]
    return Section(title=("Model", "模型"), notes=stands, tables=(Table(heads=SUMMARY, rows=rows),))


def _state(model: Mapping[str, Any], lang: str) -> str:
    said: dict[str, Note] = {
        "REGISTERED": ("registered, never released", "已登记，未发布"),
        "RELEASED": ("released to {share} of the clients", "已向 {share} 的客户发布"),
        "RETIRED": ("retired", "已停用"),
    }
    return _said(said[model["state"]], lang).format(share=percent(model["share_ppm"]))


def _parties(card: Card, lang: str) -> Section:
    parties = card.registration["parties"]
    brought = [
        (
            p["partner"],
            words.value(p["role"], lang),
            p["asset"],
            ", ".join(p["columns"]),
            ", ".join(p["dropped"]) or "-",
        )
        for p in parties
    ]
    consents = [
        (
            p["partner"],
            short(p["assets"]),
            f"{p['consents']['clients']:,}" if p["consents"] else "-",
            short(p["consents"]["digest"] if p["consents"] else None),
        )
        for p in parties
    ]
    note = (
        "Each party keeps its own part of the model. The published list of assets is the one that was valid when the "
        "run began; consents are a commitment of the party's node to the consents the run rests on.",
        "各方各自保存其模型部分。所列数据资产清单为训练开始时有效的版本；同意摘要为该方节点对本次训练所依据同意的承诺。",
    )
    return Section(
        title=("Parties and data", "参与方与数据"),
        notes=(note,),
        tables=(Table(heads=PARTIES, rows=brought), Table(heads=CONSENTS, rows=consents)),
    )


def _evaluation(card: Card, lang: str) -> Section:
    profile = card.profile
    tables = [
        Table(heads=profile_report.RANKS, rows=profile_report.ranks(profile)),
        Table(heads=profile_report.CHANCES, rows=profile_report.chances(profile, lang)),
    ]
    if profile.cards[-1].bands:
        tables.append(Table(heads=profile_report.BANDS, rows=profile_report.bands(profile, profile.cards[-1])))
    return Section(
        title=("Evaluation, baselines and calibration", "评估、基线与校准"),
        notes=(*profile_report.uplifts(profile), *profile_report.notes(profile)),
        tables=tuple(tables),
        drawings=tuple(profile_report.drawings(profile, lang).values()),
    )


def _fairness(card: Card, lang: str) -> Section:
    title: Note = ("Fairness by group", "群体公平性")
    verdict = card.registration["fairness"]
    if verdict is None:
        none: Note = ("The plan names no groups: gaps were not measured.", "方案未指定群体：未度量差距。")
        return Section(title=title, notes=(none,))
    limits = {name: verdict.get(f"{name}_gap_ppm") for name in NAMES}
    tables = []
    for attribute in verdict["attributes"]:
        groups = [_group(attribute["column"], one, lang) for one in attribute["groups"]]
        gaps = [
            (_said(NAMES[name], lang), _interval(gap), "-" if limits[name] is None else f"{limits[name] / PPM:.4f}")
            for name, gap in attribute["gaps"].items()
        ]
        tables += [Table(heads=GROUPS, rows=groups), Table(heads=GAPS, rows=gaps)] if groups else []
    found: Note = (
        ("Within the plan's limits.", "在方案限值之内。")
        if verdict["within"]
        else ("Above the plan's limits: it can't be released.", "超出方案限值：不可发布。")
    )
    above: tuple[Note, ...] = tuple(Excess(**one).sentence() for one in verdict["excesses"] if one["gap"])
    unmeasured = [one["column"] for one in verdict["attributes"] if not one["groups"]]
    absent: Note = (
        f"Not measurable, too few clients in all but one group: {', '.join(unmeasured)}.",
        f"无法度量，除一个群体外客户均过少：{', '.join(unmeasured)}。",
    )
    how: Note = (
        "Selected: in the top tenth of held-out clients by score. A gap is the largest difference of two groups, with "
        "the 95 % interval of these two; the figure decides, not the interval. Groups have at least "
        f"{verdict['group_rows']} clients and {verdict['class_rows']} of each class; smaller ones are shown together.",
        f"入选：评分位于留出客户前 10%。差距为两个群体之间的最大差，附该两群体之差的 95% 区间；"
        f"以数值而非区间为准。每个群体至少 {verdict['group_rows']} 名客户、"
        f"每类 {verdict['class_rows']} 名；更小的群体合并显示。",
    )
    notes = (found, *above, *((absent,) if unmeasured else ()), how)
    return Section(title=title, notes=notes, tables=tuple(tables))


def _group(column: str, group: Mapping[str, Any], lang: str) -> Line:
    value = _said(OTHERS, lang) if group["value"] is None else group["value"]
    names = ("selection_ppm", "true_positive_ppm", "predicted_ppm", "observed_ppm")
    return (f"{column}: {value}", f"{group['rows']:,}", *(f"{group[name] / PPM:.4f}" for name in names))


def _stability(card: Card, lang: str) -> Section:
    rows = []
    for document in card.model["stability"]:
        value, before = document["body"]["stability"], document["body"]["before"]
        if value is None:
            rows.append((short(before), _said(NOT_SHOWN, lang), "-"))
            continue
        found = stability.read(value)
        rows.append((short(before), f"{found.psi_ppm / PPM:.3f}", _said(READINGS[found.reading], lang)))
    note: Note = (
        "The population stability index between the chances that two models of this name gave their clients, by "
        "deciles of the earlier one, as the label holder's node computed and signed it.",
        "同名两个模型给出的预测概率之间的群体稳定性指标（PSI），按较早模型的十分位计算，由标签方节点计算并签名。",
    )
    absent: Note = ("There was no earlier release to compare with.", "没有可比较的较早发布。")
    return Section(
        title=("Stability", "稳定性"),
        notes=(note,) if rows else (absent,),
        tables=(Table(heads=STABILITY, rows=rows),) if rows else (),
    )


def _limits(card: Card) -> Section:
    purpose, until = card.registration["purpose"], card.model["valid_until"]
    notes: tuple[Note, ...] = (
        (
            f'For the purpose "{purpose}" alone, until {until}. A label is given only to a client who has consented '
            "to it then, who has not opted out, and whose risk class allows it.",
            f"仅限用途“{purpose}”，有效期至 {until}。仅在客户当时同意、未拒绝且风险等级允许时给出标签。",
        ),
        (
            "Measured on clients whom all parties share: nothing is known of others. An association, no cause: what "
            "would happen if a column changed is not what the model says.",
            "仅在各方共同客户上评估，对其他客户一无所知。模型反映相关而非因果。",
        ),
        (
            "Groups are compared by attributes the label holder has; gaps by any other are not known.",
            "群体差距仅按标签方掌握的属性比较；其他属性的差距未知。",
        ),
    )
    return Section(title=("Limits", "使用限制"), notes=notes)


def _disclosure(card: Card, lang: str) -> Section:
    yes, no = (("yes", "no"), ("是", "否"))[lang == "zh"]
    spent = [
        (p["partner"], str(len(p["disclosed"])), yes if any(one["masked"] for one in p["disclosed"]) else no)
        for p in card.registration["parties"]
        if p["role"] == "feature_holder"
    ]
    budget = card.job["body"]["score_budget"]
    said = tuple((line, line) for line in card.job["body"]["disclosure"])
    note: Note = (
        f"Of {budget} score vectors that a set of columns may show to one label holder over its lifetime, this run "
        "took:",
        f"每组列对同一标签方在全部生命周期内最多披露 {budget} 个评分向量，本次训练占用：",
    )
    return Section(
        title=("Disclosure and budgets", "披露与额度"), notes=(*said, note), tables=(Table(heads=SPENT, rows=spent),)
    )


def _approvals(card: Card, lang: str) -> Section:
    decisions, body = card.job["decisions"], card.registration
    people = [
        (p["partner"], str(decisions[p["partner"]]["person"]), str(decisions[p["partner"]]["time"]), p["approval"])
        for p in body["parties"]
    ]
    digests: list[tuple[Note, str]] = [
        (("plan", "方案"), body["job"]),
        (("alignment", "对齐任务"), body["alignment"]),
        (("registration", "登记"), card.model["registration_digest"]),
        (("model record", "模型记录"), body["record"]),
        (("model", "模型"), body["model_digest"]),
        *(((f"result of {p['partner']}", f"{p['partner']} 的结果"), p["result"]) for p in body["parties"]),
        *(((f"weights of {p['partner']}", f"{p['partner']} 的权重"), p["weights"] or "-") for p in body["parties"]),
    ]
    named = [(_said(name, lang), digest) for name, digest in digests]
    tables = (Table(heads=APPROVALS, rows=people), Table(heads=DIGESTS, rows=named))
    return Section(title=("Approvals and digests", "审批与摘要"), tables=tables)


def _history(card: Card, lang: str) -> Section:
    rows = []
    for document in card.model["steps"]:
        step = document["body"]
        why = [step["reason"], *(one["zh" if lang == "zh" else "en"] for one in step["against"])]
        why += [_said(ACCEPTED[code], lang) for code in step["accepted"]]
        serving = ", ".join(f"{short(one['job'])} {percent(one['share_ppm'])}" for one in step["serving"]) or "-"
        action = _said(ACTIONS[step["action"]], lang)
        rows.append(
            (
                str(step["number"]),
                str(step["time"]),
                action,
                short(step["job"]),
                str(step["person"]),
                "; ".join(filter(None, why)) or "-",
                serving,
            )
        )
    return Section(title=("Release history", "发布历史"), tables=(Table(heads=STEPS, rows=rows),))


ACCEPTED: dict[str, Note] = {
    model_gates.NO_UPLIFT: ("accepted: no measurable uplift in AUC", "已接受：AUC 无可测提升"),
}
ACTIONS: dict[str, Note] = {
    "register": ("registered", "登记"),
    "release": ("released", "发布"),
    "raise": ("share raised", "扩大占比"),
    "rollback": ("rolled back", "回滚"),
    "retire": ("retired", "停用"),
    "block": ("release refused", "拒绝发布"),
}


def percent(share_ppm: int) -> str:
    """A share of the clients, as people read it: "5 %", "0.05 %"."""
    return f"{share_ppm / 10_000:.4f}".rstrip("0").rstrip(".") + " %"


def short(digest: str | None) -> str:
    return "-" if digest is None else digest[:16]


def _interval(gap: Mapping[str, int]) -> str:
    low, value, high = Estimate(**gap).parts
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"


def _said(note: Note, lang: str) -> str:
    return note[lang == "zh"]
