"""`ecohub partner map-columns`: which own columns are which standard features, with checks and coverage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from federation.schema import standard
from federation.schema.values import Word
from partner_node.cli_common import Cli, options
from privacy.printable import printable

COLUMN_HEADS = {
    "en": ("line", "column", "feature", "rows", "missing", "outside", "unknown category", "rows by bin or category"),
    "zh": ("行号", "列", "标准特征", "行数", "缺失", "超出范围", "未知类别", "各分箱或类别行数"),
}
KEPT_HEADS = {
    "en": ("asset", "column", "feature", "factor", "categories translated", "markers of missing values"),
    "zh": ("数据资产", "列", "标准特征", "换算系数", "类别翻译数", "缺失标记数"),
}
COVERAGE_HEADS = {"en": ("domain", "mapped", "not mapped"), "zh": ("领域", "已映射", "未映射")}
LEVELS = {"stop": {"en": "MEND", "zh": "须修正"}, "note": {"en": "note", "zh": "提示"}}
NO_MAPPING = (
    "no column is mapped yet; begin with `ecohub partner map-columns ASSET --suggest --out mapping.toml`",
    "尚未映射任何列；可先运行 `ecohub partner map-columns 资产 --suggest --out mapping.toml`",
)


@click.command("map-columns")
@click.argument("asset", required=False)
@click.option("--file", type=click.Path(path_type=Path), help="a mapping file: check it here, and keep it")
@click.option("--suggest", is_flag=True, help="propose a mapping file by the names of columns; keeps nothing")
@click.option("--out", type=click.Path(path_type=Path), help="with --suggest: write it to a new file")
@click.option("--dry-run", is_flag=True, help="with --file: check, keep nothing")
@options
def map_columns(cli: Cli, asset: str | None, file: Path | None, suggest: bool, out: Path | None, dry_run: bool) -> None:
    """Map columns of ASSET to standard features (docs/profile-features.md). Without --file: what is kept, and coverage.

    Checks read the data in place and count; nothing of it leaves. Exit 1: something must be mended, nothing was kept.
    """
    if (asset is None and (file is not None or suggest)) or (file is not None and suggest):
        raise click.UsageError("give ASSET with either --file or --suggest")
    if (out is not None and not suggest) or (dry_run and file is None):
        raise click.UsageError("--out goes with --suggest, --dry-run with --file")
    if suggest:
        _suggest(cli, str(asset), out)
    elif file is None:
        found = cli.call("mapping.show", asset=asset)
        cli.show(found, lambda: _show_kept(cli, found))
    else:
        found = cli.call("mapping.check", asset=asset, file=str(file.resolve()), dry_run=dry_run)
        cli.show(found, lambda: _show_checked(cli, found))
        if found["stopped"]:
            click.get_current_context().exit(1)


def _suggest(cli: Cli, asset: str, out: Path | None) -> None:
    if out is not None:
        outputs.check_new(out)
    found = cli.call("mapping.suggest", asset=asset, lang=cli.lang)
    if out is not None:
        outputs.write_new(out, found["toml"].encode())
    cli.show(found, lambda: click.echo(found["toml"] if out is None else str(out), nl=out is not None))


def _show_checked(cli: Cli, found: Mapping[str, Any]) -> None:
    cli.table(COLUMN_HEADS[cli.lang], [_column_row(line) for line in found["columns"]], NO_MAPPING)
    for finding in found["findings"]:
        click.echo(printable(f"{LEVELS[finding['level']][cli.lang]} {finding['code']}: {finding[cli.lang]}"))
    for line in found["columns"]:
        for text in line.get("unknown_common", ()):
            example = f"{line['column']}: {text!r}"
            cli.say(
                printable(f"no category, in 50 rows or more: {example}"),
                printable(f"未知类别（不少于50行）：{example}"),
            )
    _show_coverage(cli, found)
    if found["stored"]:
        cli.say("kept; next: ecohub partner publish", "已保存；下一步：ecohub partner publish")
    else:
        cli.say("nothing was kept", "未保存")


def _show_kept(cli: Cli, found: Mapping[str, Any]) -> None:
    rows = [
        (kept["asset"], column, spec["feature"], spec["factor"], len(spec["categories"]), len(spec["missing"]))
        for kept in found["mappings"]
        for column, spec in kept["columns"].items()
    ]
    cli.table(KEPT_HEADS[cli.lang], rows, NO_MAPPING)
    _show_coverage(cli, found)


def _show_coverage(cli: Cli, found: Mapping[str, Any]) -> None:
    words = {word.code: word for word in standard.load().domains}
    rows = [
        (_domain(words, line["domain"], cli.lang), f"{len(line['offered'])} / {line['features']}", _names(line))
        for line in found["coverage"]
    ]
    cli.table(COVERAGE_HEADS[cli.lang], rows)


def _column_row(line: Mapping[str, Any]) -> tuple[object, ...]:
    counts = [line.get(name) for name in ("rows", "missing", "outside", "unknown")]
    bins = " ".join(map(str, line["bins"])) if "bins" in line else None
    return (line["line"], line["column"], line["feature"], *counts, bins)


def _names(line: Mapping[str, Any]) -> str | None:
    return ", ".join(line["missing"]) or None


def _domain(words: Mapping[str, Word], code: str, lang: str) -> str:
    return words[code].text(lang) if code in words else code


COMMANDS: tuple[click.Command, ...] = (map_columns,)
