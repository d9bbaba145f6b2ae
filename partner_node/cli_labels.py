"""`ecohub partner labels`: a run's scores as labels for the label holder's own people, and who wants none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from federation.labels import Rules, words
from partner_node import labels_rules
from partner_node.cli_common import Cli, options

FORMATS = ("parquet", "csv", "sqlite")  # as partner_node.labels_files, which takes long to import
HEADS: dict[str, dict[str, tuple[str, ...]]] = {
    "rules": {"en": ("label", "valid days", "rule"), "zh": ("标签", "有效天数", "规则")},
    "labels": {"en": ("label", "class", "clients"), "zh": ("标签", "等级", "客户数")},
    "refused": {"en": ("refused", "label", "clients"), "zh": ("拒绝原因", "标签", "客户数")},
    "why": {"en": ("refused", "label", "why"), "zh": ("拒绝原因", "标签", "说明")},
    "history": {
        "en": ("number", "delivery", "time", "run", "rules", "labels", "refused"),
        "zh": ("序号", "交付", "时间", "任务", "规则", "标签数", "拒绝数"),
    },
    "files": {"en": ("file", "format", "delivery", "written"), "zh": ("文件", "格式", "交付序号", "写入时间")},
    "changes": {"en": ("time", "change", "clients"), "zh": ("时间", "变更", "客户数")},
}
ACTIONS = {"add": ("opted out", "拒绝标签"), "remove": ("wants labels again", "恢复标签")}
ALL = ("all labels", "全部标签")
NONE_GIVEN = ("no label was given", "未给出任何标签")
NONE_REFUSED = ("no label was refused", "未拒绝任何标签")
ID_TYPE = click.option("--id-type", default="resident_id", show_default=True, help="how client ids are written")


@click.group()
def labels() -> None:
    """Labels of a vertical run for your own people (docs/labels.md)."""


@labels.group("rules")
def rules_group() -> None:
    """Rules that turn scores into labels."""


@rules_group.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@options
def rules_check(cli: Cli, file: Path) -> None:
    """Check a rules FILE (TOML or JSON) and show what it says. It needs no running node."""
    rules = labels_rules.read(file)
    cli.show(_rules_value(rules), lambda: _show_rules(cli, rules))


@labels.command()
@click.argument("run")
@click.option("--rules", required=True, type=click.Path(path_type=Path), help="the rules file")
@click.option("--risk-column", required=True, help="the column of your asset with the client's risk class")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="parquet", show_default=True, help="of the file")
@click.option("--to", type=click.Path(path_type=Path), help="the file; default: one in the node's results folder")
@click.option("--excel", is_flag=True, help="with csv: a byte order mark, by which Excel knows UTF-8")
@options
def deliver(cli: Cli, run: str, rules: Path, risk_column: str, kind: str, to: Path | None, excel: bool) -> None:
    """Write the labels of RUN (digest, or its first 8 digits or more) to a file, at the label holder's node.

    Consents, opt-outs and risk classes are taken as they are now. Nothing of it leaves for another party.
    """
    if excel and kind != "csv":
        raise click.UsageError("--excel goes with --format csv")
    found = cli.call(
        "labels.deliver",
        run=run,
        rules=str(rules.resolve()),
        risk_column=risk_column,
        format=kind,
        to=None if to is None else str(to.absolute()),
        excel=excel,
    )
    cli.show(found, lambda: _show_delivery(cli, found))


@labels.command()
@options
def history(cli: Cli) -> None:
    """Every delivery on record, checked by its signature, and the files that hold one."""
    found = cli.call("labels.history")
    cli.show(found, lambda: _show_history(cli, found))


@labels.command()
@click.option("--delivery", type=int, help="its number in the history; default: the last one")
@click.option("--client", help="one client's refusals with the reasons, instead of counts")
@ID_TYPE
@options
def refused(cli: Cli, delivery: int | None, client: str | None, id_type: str) -> None:
    """What a delivery refused, and why."""
    found = cli.call("labels.refused", delivery=delivery, client_id=client, id_type=id_type)
    if client is None:
        cli.show(found, lambda: _show_refused(cli, found["refused"]))
        return
    rows = [(row["reason"], row["label"] or _word(cli, ALL), row[cli.lang]) for row in found["refused"]]
    cli.show(found, lambda: cli.table(HEADS["why"][cli.lang], rows, NONE_REFUSED))


@labels.group("opt-out")
def opt_out() -> None:
    """Clients who want no labels: kept without their ids, honoured at the next delivery."""


@opt_out.command("add")
@click.argument("clients", nargs=-1, required=True)
@ID_TYPE
@options
def opt_out_add(cli: Cli, clients: tuple[str, ...], id_type: str) -> None:
    """Note that these CLIENTS want no labels."""
    _changed(cli, cli.call("labels.opt_out.add", client_ids=list(clients), id_type=id_type))


@opt_out.command("remove")
@click.argument("clients", nargs=-1, required=True)
@ID_TYPE
@options
def opt_out_remove(cli: Cli, clients: tuple[str, ...], id_type: str) -> None:
    """Note that these CLIENTS want labels again."""
    _changed(cli, cli.call("labels.opt_out.remove", client_ids=list(clients), id_type=id_type))


@opt_out.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@ID_TYPE
@options
def opt_out_import(cli: Cli, file: Path, id_type: str) -> None:
    """Note the clients of a CSV FILE with the header client_id, all or none."""
    _changed(cli, cli.call("labels.opt_out.import", file=str(file.resolve()), id_type=id_type))


@opt_out.command("list")
@click.option("--client", help="one client's changes instead of counts")
@ID_TYPE
@options
def opt_out_list(cli: Cli, client: str | None, id_type: str) -> None:
    """How many clients want no labels, and every change."""
    found = cli.call("labels.opt_out.list", client_id=client, id_type=id_type)

    def human() -> None:
        if client is None:
            cli.say(f"{found['opted_out']:,} clients want no labels", f"{found['opted_out']:,} 位客户拒绝标签")
        rows = [
            (change["time"], _word(cli, ACTIONS[change["action"]]), change.get("clients", 1))
            for change in found["changes"]
        ]
        cli.table(HEADS["changes"][cli.lang], rows)

    cli.show(found, human)


def _changed(cli: Cli, found: Mapping[str, Any]) -> None:
    cli.show(
        found,
        lambda: cli.say(
            f"{found['changed']:,} of {found['clients']:,} clients changed; deliver again so that it holds",
            f"{found['clients']:,} 位客户中 {found['changed']:,} 位有变更；再次交付后生效",
        ),
    )


def _show_delivery(cli: Cli, found: Mapping[str, Any]) -> None:
    rows = [(row["label"], row["class"], row["clients"]) for row in found["labels"]]
    cli.table(HEADS["labels"][cli.lang], rows, NONE_GIVEN)
    _show_refused(cli, found["refused"])
    if found["withdrawn"]:
        cli.say(f"{found['withdrawn']:,} labels were withdrawn", f"已撤回 {found['withdrawn']:,} 个标签")
    if found["repeated"]:
        cli.say("nothing has changed since the last delivery: it is the same one", "自上次交付以来无变化：为同一次交付")
    number, file = found["number"], found["file"]
    cli.say(f"delivery {number} is in {file}", f"第 {number} 次交付已写入 {file}")


def _show_refused(cli: Cli, refused_: list[Mapping[str, Any]]) -> None:
    rows = [(row["reason"], row["label"] or _word(cli, ALL), row["clients"]) for row in refused_]
    cli.table(HEADS["refused"][cli.lang], rows, NONE_REFUSED)


def _show_history(cli: Cli, found: Mapping[str, Any]) -> None:
    rows = [
        (
            d["number"],
            d["delivery"][:16],
            d["time"],
            d["run"][:16],
            f"{d['rules']['name']} {d['rules']['version']}",
            sum(row["clients"] for row in d["labels"]),
            sum(row["clients"] for row in d["refused"]),
        )
        for d in found["deliveries"]
    ]
    cli.table(HEADS["history"][cli.lang], rows)
    if found["files"]:
        held = [(file["file"], file["format"], file["number"], file["placed"]) for file in found["files"]]
        cli.table(HEADS["files"][cli.lang], held)


def _rules_value(rules: Rules) -> dict[str, Any]:
    told = [
        {"label": label.name, "class": grade.class_, "valid_days": label.valid_days}
        | dict(zip(("en", "zh"), words.rule(grade), strict=True))
        for label in rules.labels
        for grade in label.grades
    ]
    return {"name": rules.name, "version": rules.version, "digest": rules.digest, "labels": told}


def _show_rules(cli: Cli, rules: Rules) -> None:
    rows = [
        (_word(cli, words.title(label, grade.class_)), label.valid_days, _word(cli, words.rule(grade)))
        for label in rules.labels
        for grade in label.grades
    ]
    cli.table(HEADS["rules"][cli.lang], rows)
    cli.say(
        f"rules {rules.name}, version {rules.version}, digest {rules.digest}",
        f"规则 {rules.name} 第 {rules.version} 版，摘要 {rules.digest}",
    )


def _word(cli: Cli, pair: tuple[str, str]) -> str:
    return pair[1] if cli.lang == "zh" else pair[0]


COMMANDS: tuple[click.Command, ...] = (labels,)
