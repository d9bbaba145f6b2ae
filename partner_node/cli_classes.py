"""`ecohub partner classes`: runs of one label, a class each, as one class for each client."""

from pathlib import Path
from typing import Any

import click

from ecowire import terminal
from partner_node.cli_common import Cli, options
from privacy.printable import printable

FIGURES = (
    ("accuracy", "share of clients given their class", "给出类别正确的占比"),
    ("macro_auc", "AUC, mean over the classes", "AUC（各类别平均）"),
    ("log_loss", "log loss", "对数损失"),
)
RUN_HEADS = {"en": ("class", "run", "clients given it"), "zh": ("类别", "任务", "给出该类别的客户")}
FIGURE_HEADS = {
    "en": ("held-out clients", "figure", "label holder alone", "uplift", "a constant"),
    "zh": ("留出客户", "数值", "标签方单独", "提升", "常数基线"),
}
NO_UPLIFT = {"en": "no measurable uplift", "zh": "无可测提升"}
GIVEN = {"en": "given \\ true", "zh": "给出 \\ 真实"}


@click.command("classes")
@click.argument("runs", nargs=-1, required=True)
@click.option("--to", type=click.Path(path_type=Path), help="a new Parquet file with each client's class and chances")
@options
def classes(cli: Cli, runs: tuple[str, ...], to: Path | None) -> None:
    """One class for each client from RUNS of one label, each of another class; at the label holder's node.

    Chances are brought to a sum of one; the class is the one with the largest, of equal ones that of the run named
    first. Figures are of the common held-out clients, by the label as it is now; who withdrew or opted out is left out.
    """
    found = cli.call("classes", runs=list(runs), to=None if to is None else str(to.absolute()))
    cli.show(found, lambda: _show(cli, found))


def _show(cli: Cli, found: dict[str, Any]) -> None:
    names, figures = [printable(run["class"]) for run in found["runs"]], found["figures"]
    rows = [(name, run["job"][:16], run["clients"]) for name, run in zip(names, found["runs"], strict=True)]
    terminal.table(RUN_HEADS[cli.lang], rows)
    terminal.table(FIGURE_HEADS[cli.lang], [_line(cli, figures, *figure) for figure in FIGURES])
    table = [
        (name, *("-" if cell is None else cell for cell in row))
        for name, row in zip(names, figures["cells"], strict=True)
    ]
    terminal.table((GIVEN[cli.lang], *names), table)
    weights = found["survey_weights"] and printable(found["survey_weights"])
    cli.say(
        f"of {figures['rows']:,} held-out clients, each counted "
        f"{f'by its weight in {weights}, in the table of classes once' if weights else 'once'}; 95 % intervals, of the "
        "uplift over the label holder's own columns paired; '-': a cell of too few clients, or one that such a cell "
        "would follow from",
        f"共 {figures['rows']:,} 名留出客户，"
        f"{f'按字段 {weights} 加权（类别表中每名计一次）' if weights else '每名计一次'}；区间为 95%，"
        "相对标签方自有字段的提升为配对区间；“-”为客户过少的格，或可由其推出此类格的格",
    )
    if figures["alone"] is None:
        cli.say(
            "one of the runs is of an earlier version and kept no chances by the label holder's own columns",
            "其中有早期版本的任务，未保留仅用标签方自有字段的概率",
        )
    cli.say(
        f"left out: {found['without_consent']:,} clients without consent, {found['opted_out']:,} who want no labels; "
        f"{found['of_no_class']:,} held-out clients are truly of none of these classes and are in no figure",
        f"未计入：{found['without_consent']:,} 名无有效同意，{found['opted_out']:,} 名拒绝标签；"
        f"{found['of_no_class']:,} 名留出客户的真实类别不在其中，不计入指标",
    )
    if found["file"]:
        cli.say(f"written to {found['file']}", f"已写入 {found['file']}")


def _line(cli: Cli, figures: dict[str, Any], name: str, en: str, zh: str) -> tuple[str, ...]:
    alone, uplift = figures["alone"] and _interval(figures["alone"][name]), "-"
    if figures["uplift"]:
        gain = figures["uplift"][name]
        measurable = gain["low_ppm"] > 0 or gain["high_ppm"] < 0
        uplift = _interval(gain, "+") if measurable else NO_UPLIFT[cli.lang]
    base = 500_000 if name == "macro_auc" else figures[f"base_{name}_ppm"]
    return (zh if cli.lang == "zh" else en, _interval(figures[name]), alone or "-", uplift, f"{base / 1e6:.4f}")


def _interval(found: dict[str, int], sign: str = "") -> str:
    value, low, high = (f"{found[part] / 1e6:{sign}.4f}" for part in ("value_ppm", "low_ppm", "high_ppm"))
    return f"{value} [{low}, {high}]"


COMMANDS = (classes,)
