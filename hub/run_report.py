"""What came of a horizontal run, for people: read from the signed documents of a completed job, shown as one page.

Figures that a document doesn't hold are shown as absent; a number never stands in for one that wasn't measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hub import page, plots, words
from privacy.errors import Failure, Kind
from privacy.printable import printable

PPM = MICRO = 1_000_000
VARIANTS = ("alone", "joint", "personal")
KEPT_AT_PARTNERS = (
    "with noise the figures of test rows stay with each partner: results/figures-<job>.json at its node",
    "加噪训练中，测试集指标只留在各方本地：见其节点的 results/figures-<job>.json",
)
LACKS_CLASS_ALL = (
    "the test rows of all partners together don't hold every class of the label, so there is no global AUC",
    "各方测试行合计未包含标签的全部类别，故无全局 AUC",
)
ROWS = ("train", "validation", "test")
COUNTS = ("partner", "train rows", "validation rows", "test rows", "missing", "unknown levels")
FIGURES = ("partner", "test rows", "AUC alone", "AUC joint", "AUC personal", "gain", "log loss alone → joint")
TROUBLES = ("partner", "what went wrong", "phase", "rounds", "said there")
Note = tuple[str, str]  # in English, in Chinese


class ReportUnreadable(Failure):
    code = "REPORT_UNREADABLE"
    kind = Kind.INTEGRITY
    en = "the run's documents don't hold what a report needs: {why}"
    zh = "训练文档缺少报告所需内容：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerLine:
    """One partner's own rows, and on its test rows: before (its own model alone) and after. None: not measured."""

    partner: str
    rows: Mapping[str, int | None]  # by ROWS
    missing: int | None  # values
    unknown: int | None  # values of a category that are none of its levels
    note: Note | None  # why there is no result or no AUC
    auc: Mapping[str, float | None]  # by VARIANTS
    log_loss: Mapping[str, float | None]

    @property
    def gain(self) -> float | None:
        """The joint model's AUC over the partner's own, gain or loss."""
        alone, joint = self.auc["alone"], self.auc["joint"]
        return None if alone is None or joint is None else joint - alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A completed run."""

    digest: str
    title: str
    model: str
    model_digest: str
    engine: str
    dealer: str | None
    budget: str | None  # what the run spent of every partner's privacy budget
    losses: tuple[tuple[int, float], ...]  # (round, validation loss)
    rounds: int
    rounds_planned: int
    voids: int
    clipped: int
    auc: float | None
    partners: tuple[PartnerLine, ...]
    troubles: tuple[Mapping[str, Any], ...]  # as `run_status` gives them
    notes: tuple[Note, ...]  # why a figure is not there
    bytes: int
    seconds: float

    @property
    def facts(self) -> tuple[tuple[str, str, str], ...]:
        """(name, 名称, value) of the run as a whole."""
        engine = self.engine + (f" ({self.dealer})" if self.dealer else "")
        auc = "-" if self.auc is None else f"{self.auc:.4f}"
        return (
            ("model", "模型", f"{self.model} {self.model_digest[:16]}"),
            ("global test AUC", "全局测试 AUC", auc),
            ("rounds", "轮次", f"{self.rounds} / {self.rounds_planned}"),
            ("void attempts", "作废尝试", str(self.voids)),
            ("clipped values", "裁剪值数", f"{self.clipped:,}"),
            ("engine (dealer)", "聚合引擎（密钥分发方）", engine),
            ("privacy budget spent", "已用隐私预算", self.budget or "-"),
            ("bytes", "字节", f"{self.bytes:,}"),
            ("seconds from start to end, pauses included", "自开始至结束（秒，含暂停）", f"{self.seconds:.1f}"),
        )


def read(found: Mapping[str, Any]) -> Report:
    """The report of a completed job as the hub's `job` command gives it. Raises ReportUnreadable."""
    try:
        return _read(found)
    except (KeyError, TypeError, StopIteration) as error:
        raise ReportUnreadable(why=f"{type(error).__name__} {str(error)[:80]}") from None


def _read(found: Mapping[str, Any]) -> Report:
    body, history = found["body"], found["run"]["history"]
    model = next(d["body"] for d in found["documents"] if d["kind"] == "model-record")
    record = model["record"]
    results = {d["signer"]: d["body"] for d in found["documents"] if d["kind"] == "train-result"}
    losses = [(int(item["round"]), item["loss_micro"]) for item in history if item.get("loss_micro") is not None]
    auc, noisy = record["auc_global_ppm"], record["noise"] is not None
    unusable = model.get("unusable", {})
    names = sorted(found["parties"])
    partners = tuple(_partner(name, results.get(name), unusable.get(name), noisy) for name in names)
    whole = [LACKS_CLASS_ALL] if auc is None and record.get("log_loss_global_micro") is not None else []
    return Report(
        digest=found["digest"],
        title=str(body.get("title") or body["purpose"]),
        model=str(body["model"]),
        model_digest=str(model["model_digest"]),
        engine=str(body["engine"]["name"]),
        dealer=body["engine"].get("dealer"),
        budget=_budget(record["noise"]),
        losses=tuple((number, loss / MICRO) for number, loss in losses),
        rounds=int(record["rounds"]),
        rounds_planned=int(body["training"]["rounds"]),
        voids=sum(int(item["attempts"]) - 1 for item in history),
        clipped=sum(int(item["clipped"]) for item in history),
        auc=None if auc is None else auc / PPM,
        partners=partners,
        troubles=tuple(found["run"].get("troubles", ())),
        notes=(*whole, *(line.note for line in partners if line.note)),
        bytes=int(found["bytes"]),
        seconds=found["milliseconds"] / 1000,
    )


def _partner(name: str, result: Mapping[str, Any] | None, code: str | None, noisy: bool) -> PartnerLine:
    """A partner's line; one that was away at the end has signed nothing and shows nothing."""
    record = (result or {}).get("record", {})
    auc, loss = record.get("auc", {}), record.get("log_loss", {})
    line = PartnerLine(
        partner=name,
        rows={part: record.get(f"rows_{part}") for part in ROWS},
        missing=record.get("missing"),
        unknown=record.get("unknown"),
        note=None,
        auc={one: _scaled(auc.get(f"{one}_ppm"), PPM) for one in VARIANTS},
        log_loss={one: _scaled(loss.get(f"{one}_micro"), MICRO) for one in VARIANTS},
    )
    if result is None:
        return replace(line, note=(f"{name} has no result: {code or '-'}", f"{name} 无结果：{code or '-'}"))
    return line if noisy or line.auc["joint"] is not None else replace(line, note=_no_auc(line))


def _no_auc(line: PartnerLine) -> Note:
    """Why there is no AUC where nothing is kept back: a class is not there, or the model has no finite scores."""
    name = line.partner
    if line.rows["test"] == 0:
        return f"{name} has no test rows, so nothing is measured there", f"{name} 没有测试行，故无指标"
    if line.log_loss["joint"] is None:
        return f"{name}: the joint model gives no finite scores there", f"{name}：联合模型在该方得不到有限评分"
    return (
        f"{name}: its test rows don't hold every class of the label, so there is no AUC",
        f"{name}：其测试行未包含标签的全部类别，故无 AUC",
    )


def _budget(noise: Mapping[str, Any] | None) -> str | None:
    """What the releases of a run with noise cost together; without the accountant, how many they were."""
    if noise is None:
        return None
    from privacy.noise.accountant import AccountantMissing, Release, epsilon  # slow to import, seldom wanted

    milli, count, delta = noise["noise_multiplier_milli"], noise["releases"], noise["delta_log10"]
    told = f"{count} × {milli / 1000:g}"
    try:
        spent = epsilon([Release(noise_multiplier_milli=milli, count=count)], delta)
    except AccountantMissing:
        return told
    return f"ε {spent:.3f}, δ 1e{delta} ({told})"


def _scaled(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit


def rows(report: Report) -> list[tuple[str, ...]]:
    """The table of FIGURES: own test rows, before and after."""
    return [
        (
            printable(line.partner),
            _count(line.rows["test"]),
            *(_figure(line.auc[one]) for one in VARIANTS),
            "-" if line.gain is None else f"{line.gain:+.4f}",
            f"{_figure(line.log_loss['alone'])} → {_figure(line.log_loss['joint'])}",
        )
        for line in report.partners
    ]


def counts(report: Report) -> list[tuple[str, ...]]:
    """The table of COUNTS: what each partner brought, and how much of it could not be read."""
    return [
        (
            printable(line.partner),
            *(_count(line.rows[part]) for part in ROWS),
            _count(line.missing),
            _count(line.unknown),
        )
        for line in report.partners
    ]


def troubles(listed: Sequence[Mapping[str, Any]], lang: str) -> list[tuple[str, ...]]:
    """The table of TROUBLES: a line for each partner and code, with what its node said last."""
    said = "zh" if lang == "zh" else "en"
    return [
        (item["partner"], item["code"], words.phase(item["phase"], lang), _rounds(item, lang), item[said])
        for item in listed
    ]


def _rounds(item: Mapping[str, Any], lang: str) -> str:
    """In how many rounds something was so, and in which."""
    first, last, count = item["first"], item["last"], item["count"]
    if first == last:
        return str(first)
    return f"{count} 轮：{first} 至 {last}" if lang == "zh" else f"{count}: {first} to {last}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def html(report: Report, lang: str) -> str:
    """One page that needs nothing else: no script, no other file, no address."""
    zh = lang == "zh"
    facts = [(name_zh if zh else name, value) for name, name_zh, value in report.facts]
    parts = [
        page.table(("", ""), facts),
        *drawings(report, lang).values(),
        page.table(page.heads(FIGURES, lang), rows(report)),
        page.table(page.heads(COUNTS, lang), counts(report)),
    ]
    if report.troubles:
        lines = [[printable(cell) for cell in line] for line in troubles(report.troubles, lang)]
        parts.append(page.table(page.heads(TROUBLES, lang), lines))
    parts += [page.paragraph(printable(note[zh])) for note in notes(report)]
    heading = "横向训练报告" if zh else "Horizontal training report"
    return page.page(heading, printable(report.title), report.digest, parts, lang)


def notes(report: Report) -> tuple[Note, ...]:
    """The sentences under the tables: why figures are not there."""
    return (*report.notes, *((KEPT_AT_PARTNERS,) if report.budget is not None else ()))


def drawings(report: Report, lang: str) -> dict[str, str]:
    """The report's SVG drawings by name, those there is something for."""
    zh = lang == "zh"
    made: dict[str, str] = {}
    if report.losses:
        words = ("验证损失", "轮次", "对数损失") if zh else ("validation loss", "round", "log loss")
        made["loss"] = plots.line_chart(words[0], {words[0]: report.losses}, words[1], words[2])
    names = dict(zip(VARIANTS, ("本地", "联合", "个性化") if zh else VARIANTS, strict=True))
    found = {
        line.partner: {names[one]: value for one, value in line.auc.items() if value is not None}
        for line in report.partners
    }
    if any(found.values()):
        title = "各方自有测试集 AUC" if zh else "AUC on each partner's own test rows"
        made["auc"] = plots.ranges(title, {name: row for name, row in found.items() if row}, "AUC")
    return made
