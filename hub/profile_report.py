"""What came of a vertical run, for people: every scorecard beside the label holder alone, on held-out clients only.

An uplift is said with its interval, or as "no measurable uplift" where the interval holds zero. Figures that a record
does not hold, or that would describe too few clients, are shown as absent, with the reason.
"""

from collections.abc import Mapping, Sequence

from federation.metrics import Estimate
from hub import page, plots, profile_folds, profile_rounds, profile_trees
from hub.profile_record import Card, Profile
from hub.run_report import Note
from privacy.printable import printable

LEGEND_CHARACTERS, TITLE_CHARACTERS = 44, 60
COLUMNS = ("partner", "columns used", "left out")
RANKS = ("scorecard", "columns", "AUC", "average precision", "top-decile precision")
CHANCES = ("scorecard", "log loss", "Brier score", "calibrated by")
BANDS = ("clients, best first", "test rows", "mean predicted", "observed", "lift", "positives found so far")
FIGURES: dict[str, Note] = {  # as a sentence names them
    "auc": ("AUC", "AUC"),
    "average_precision": ("average precision", "平均精确率"),
    "top_decile_precision": ("top-decile precision", "前 10% 精确率"),
    "log_loss": ("log loss (lower by)", "对数损失（降低）"),
    "brier": ("Brier score (lower by)", "Brier 分数（降低）"),
}
METHODS: dict[str | None, Note] = {
    "platt": ("train scores", "训练评分"),
    "moments": ("train moments", "训练矩"),
    None: ("-", "-"),
}
NO_UPLIFT = ("no measurable uplift", "无可测提升")
PERFECT = ("as predicted", "与预测一致")
BY_LOT = ("by lot", "随机")


def uplift(interval: Estimate | None) -> Note:
    """ "+0.031 (0.012 to 0.049)", or that there is none to be measured: the interval holds zero."""
    if interval is None:
        return "not shown", "不显示"
    if not interval.excludes_zero:
        return NO_UPLIFT
    low, value, high = interval.parts
    return f"{value:+.3f} ({low:.3f} to {high:.3f})", f"{value:+.3f}（{low:.3f} 至 {high:.3f}）"


def uplifts(profile: Profile) -> tuple[Note, ...]:
    """A sentence for each partner added, and for all of them."""
    said = []
    for card in profile.cards[1:]:
        everybody = card is profile.cards[-1] and len(card.holders) > 1
        who = " + ".join(card.holders)
        shown = [name for name in FIGURES if name in ("auc", "average_precision") or card.figures[name] is not None]
        parts = [(uplift(card.uplifts[name]), FIGURES[name]) for name in shown]
        english = "; ".join(f"{name} {text}" for (text, _), (name, _) in parts)
        chinese = "；".join(f"{name} {text}" for (_, text), (_, name) in parts)
        added = f"all partners ({who})" if everybody else who
        added_zh = f"全部伙伴（{who}）" if everybody else who
        said.append(
            (
                f"{added} added to {profile.label_holder} alone: {english}",
                f"在 {profile.label_holder} 单独的基础上加入 {added_zh}：{chinese}",
            )
        )
    return tuple(said)


def columns(profile: Profile) -> list[tuple[str, ...]]:
    """The table of COLUMNS: what each side brought; the first line is what the baseline has."""
    first = profile.label_holder
    return [
        (name, ", ".join(profile.columns[name]), ", ".join(profile.dropped.get(name, ())) or "-")
        for name in sorted(profile.columns, key=lambda name: (name != first, name))
    ]


def ranks(profile: Profile) -> list[tuple[str, ...]]:
    """The table of RANKS: measures of order, that no calibration changes."""
    names = ("auc", "average_precision", "top_decile_precision")
    return [
        (profile.name(card), str(card.columns), *(_figure(card.figures[name]) for name in names))
        for card in profile.cards
    ]


def chances(profile: Profile, lang: str) -> list[tuple[str, ...]]:
    """The table of CHANCES: measures of the calibrated chances."""
    return [
        (
            profile.name(card),
            _figure(card.figures["log_loss"]),
            _figure(card.figures["brier"]),
            METHODS.get(card.method, METHODS[None])[lang == "zh"],
        )
        for card in profile.cards
    ]


def fold_tables(profile: Profile) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Heads and lines of cross-validation, and of the penalties where there was a choice."""
    folds = profile.folds
    if folds is None:
        return []
    made = [(profile_folds.COLUMNS, profile_folds.lines(folds, [profile.name(card) for card in profile.cards]))]
    return [*made, (profile_folds.PATH, profile_folds.path(folds))] if len(folds.path) > 1 else [*made]


def bands(profile: Profile, card: Card) -> list[tuple[str, ...]]:
    """The table of BANDS of one scorecard: calibration and lift."""
    lines: list[tuple[str, ...]] = []
    above = 0.0
    for band, lift, found in card.lift_table(profile.base_rate):
        clients = f"{above:.0%} - {above + band.share:.0%}"
        above += band.share
        lines.append(
            (clients, f"{band.rows:,}", f"{band.predicted:.3f}", f"{band.observed:.3f}", f"{lift:.2f}", f"{found:.1%}")
        )
    return lines


def shown_in_bands(profile: Profile) -> tuple[Card, ...]:
    """The scorecards whose bands are shown: the baseline and the one with everybody; `--json` has all."""
    return tuple(card for card in (profile.cards[0], profile.cards[-1]) if card.bands)


def notes(profile: Profile) -> tuple[Note, ...]:
    """What a reader must know to not be fooled by the figures."""
    n, p = f"{profile.test_rows:,}", f"{profile.test_positives:,}"
    made: list[Note] = [
        (
            f"Held-out clients only: {n}, {p} of them positive; no weight and no calibration was fitted on them. "
            f"Intervals: 95 %, {profile.bootstrap:,} resamples of these clients, the same for every scorecard.",
            f"仅用留出客户：{n} 名，其中正例 {p} 名；权重与校准均未在其上拟合。"
            f"区间为 95%，对这些客户重抽样 {profile.bootstrap:,} 次，各评分卡使用相同样本。",
        ),
        *profile_folds.notes(profile.folds, profile.model),
    ]
    if len(profile.cards) > 2:
        made.append(
            (
                "Several comparisons stand side by side; each interval is for its own, not for the best of them.",
                "多个比较并列；每个区间只针对自身，不针对其中最优者。",
            )
        )
    if profile.survey_weights:
        made.append(
            (
                f"Clients count by the survey weights in {profile.survey_weights}, in measures and resamples; they "
                f"say as much as {profile.effective_rows:,} clients of equal weight. Training and calibration do not "
                "use them: chances are of the aligned clients, observed rates of the population.",
                f"度量与重抽样按 {profile.survey_weights} 中的抽样权重计数，相当于 {profile.effective_rows:,} 名"
                "等权客户；训练与校准不使用权重：预测概率针对对齐客户，实际比例针对总体。",
            )
        )
    unrefined = any(card.model == "moments" for card in profile.cards[1:-1])
    rounds = profile_rounds.notes(profile.rounds, profile.label_holder, unrefined)
    trees = profile_trees.notes(profile.ensemble)  # these say how they are calibrated
    return (*made, *rounds, *(trees or _calibration(profile)), *_absent(profile))


def _calibration(profile: Profile) -> list[Note]:
    if profile.least is None:
        return [
            (
                "This record was written before scores were calibrated: log loss is of the raw score, without "
                "interval: " + "; ".join(_raw(profile)),
                "该记录早于评分校准：对数损失基于原始评分，无区间：" + "；".join(_raw(profile)),
            )
        ]
    made: list[Note] = [
        (
            "Chances are calibrated by a line on log-odds, fitted on train clients only: by their scores where "
            f"{profile.label_holder} has them, else by the moments the scorecard was solved from.",
            f"概率由对数几率上的直线校准，仅在训练客户上拟合：{profile.label_holder} 有训练评分时用评分，否则用求解"
            "评分卡所用的矩。",
        )
    ]
    if any(card.method == "moments" for card in profile.cards):
        made.append(
            (
                "An uplift in log loss or Brier score compares two scorecards calibrated the same way, so it may "
                "differ from the difference of the table's figures.",
                "对数损失与 Brier 分数的提升比较同一方式校准的两张评分卡，因此可能与表中数字之差不同。",
            )
        )
    return made


def _absent(profile: Profile) -> list[Note]:
    """Why something is not there."""
    made: list[Note] = []
    if profile.least is not None:
        rows, class_ = profile.least
        made.append(
            (
                f"Bands and the top decile are shown over at least {rows} clients and {class_} of each class: smaller "
                "bands are merged with the next, a smaller top decile is left out.",
                f"分组与前 10% 至少含 {rows} 名客户、每类 {class_} 名才显示：更小的分组并入相邻组，更小的前 10% 略去。",
            )
        )
    if profile.suppressed_cells:
        lift = max(card.lift for card in profile.cards)
        made.append(
            (
                f"{profile.suppressed_cells} small cells of 0/1 columns were not shown exactly; the ridge penalty grew "
                f"by {lift:.3f}.",
                f"{profile.suppressed_cells} 个 0/1 列的小单元格未精确给出；岭惩罚因此增加 {lift:.3f}。",
            )
        )
    return made


def _raw(profile: Profile) -> list[str]:
    return [f"{profile.name(card)} {card.raw_log_loss:.4f}" for card in profile.cards if card.raw_log_loss is not None]


def html(profile: Profile, lang: str) -> str:
    """One page that needs nothing else: no script, no other file, no address."""
    zh = lang == "zh"
    drawn = drawings(profile, lang)
    parts = [
        *(page.paragraph(printable(note[zh])) for note in uplifts(profile)),
        _table(COLUMNS, columns(profile), lang),
        _table(RANKS, ranks(profile), lang),
        drawn.pop("auc"),
        _table(CHANCES, chances(profile, lang), lang),
        *drawn.values(),
    ]
    for names, lines in fold_tables(profile):
        parts.append(_table(names, lines, lang))
    if profile.rounds:
        parts.append(_table(profile_rounds.COLUMNS, profile_rounds.lines(profile.rounds), lang))
    for card in shown_in_bands(profile):
        parts += [page.subtitle(printable(profile.name(card))), _table(BANDS, bands(profile, card), lang)]
    parts += [page.paragraph(printable(note[zh])) for note in notes(profile)]
    heading = "联合画像报告" if zh else "Joint profile report"
    return page.page(heading, printable(profile.title), profile.digest, parts, lang)


def drawings(profile: Profile, lang: str) -> dict[str, str]:
    """The report's SVG drawings by name, those there is something for. Each names its run: it may be shown alone."""
    zh, run = lang == "zh", printable(profile.title)[:TITLE_CHARACTERS]
    rows = {profile.name(card): card.figures["auc"] for card in profile.cards}
    title = "留出客户上的 AUC 与 95% 区间" if zh else "AUC on held-out clients, with 95 % interval"
    made = {
        "auc": plots.intervals(
            f"{run}: {title}", {name: one.parts for name, one in rows.items() if one is not None}, "AUC"
        )
    }
    if profile.rounds:
        curve = {profile.name(profile.cards[-1])[:LEGEND_CHARACTERS]: list(enumerate(profile.rounds.losses, 1))}
        words = ("精调", "轮次", "训练对数损失") if zh else ("refinement", "round", "train log loss")
        made["rounds"] = plots.line_chart(f"{run}: {words[0]}", curve, words[1], words[2])
    points, gains = calibration_points(profile), gain_points(profile)
    if points:
        words = ("校准", "预测概率", "实际比例") if zh else ("calibration", "mean predicted chance", "observed rate")
        ends = max(max(x, y) for line in points.values() for x, y in line)
        series = {PERFECT[zh]: [(0.0, 0.0), (ends, ends)], **points}
        made["calibration"] = plots.line_chart(f"{run}: {words[0]}", series, words[1], words[2])
        words = (
            ("累计提升", "客户占比（由高到低）", "已找到的正例占比")
            if zh
            else ("positives found", "share of clients, best first", "share of positives")
        )
        series = {BY_LOT[zh]: [(0.0, 0.0), (1.0, 1.0)], **gains}
        made["gains"] = plots.line_chart(f"{run}: {words[0]}", series, words[1], words[2])
    return made


def calibration_points(profile: Profile) -> Mapping[str, Sequence[tuple[float, float]]]:
    """By scorecard: (mean predicted chance, observed rate) of each band, lowest first."""
    return {
        profile.name(card)[:LEGEND_CHARACTERS]: [(band.predicted, band.observed) for band in reversed(card.bands)]
        for card in shown_in_bands(profile)
    }


def gain_points(profile: Profile) -> Mapping[str, Sequence[tuple[float, float]]]:
    """By scorecard: (share of clients, share of all positives among them), best clients first."""
    made = {}
    for card in shown_in_bands(profile):
        line, share = [(0.0, 0.0)], 0.0
        for band, _, found in card.lift_table(profile.base_rate):
            share += band.share
            line.append((share, found))
        made[profile.name(card)[:LEGEND_CHARACTERS]] = line
    return made


def _table(names: Sequence[str], lines: Sequence[Sequence[str]], lang: str) -> str:
    return page.table(page.heads(names, lang), [[printable(cell) for cell in line] for line in lines])


def _figure(interval: Estimate | None) -> str:
    if interval is None:
        return "-"
    low, value, high = interval.parts
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"
