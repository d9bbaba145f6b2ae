"""`ecohub sandbox chain verify | export | import`: a ledger checked, taken along, and made again."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sandbox.chain.cli_options import FILE, FOLDER

AS_JSON = click.option("--json", "as_json", is_flag=True, help="one JSON document, no progress")
PROGRESS_BLOCKS = 1_000


@click.command()
@click.option("--dir", "folder", type=FOLDER, required=True)
@AS_JSON
@click.pass_context
def verify(context: click.Context, folder: Path, as_json: bool) -> None:
    """Run all blocks of a stopped chain again in both EVMs and compare everything stored."""
    from sandbox.chain.serve import opened
    from sandbox.chain.verify import verify as run_again

    with opened(folder) as ledger:
        found = run_again(ledger, _progress(as_json, ledger.head().number + 1))
        value = {
            "blocks": found.blocks,
            "transactions": found.transactions,
            "head": "0x" + ledger.head().hash.hex(),
            "genesis": ledger.genesis.digest,
            "engines": list(found.engines),
        }
    en = f"{found.blocks} blocks with {found.transactions} transactions hold in {' and '.join(found.engines)}"
    zh = f"{found.blocks} 个区块、{found.transactions} 笔交易校验通过（{'、'.join(found.engines)}）"
    if len(found.engines) < 2:
        en += "; the second EVM is not installed (pip install pyrevm)"
        zh += "；未安装第二执行引擎（pip install pyrevm）"
    _show(context, as_json, value, en, zh)


@click.command()
@click.option("--dir", "folder", type=FOLDER, required=True)
@click.option("--out", type=FILE, required=True)
@AS_JSON
@click.pass_context
def export(context: click.Context, folder: Path, out: Path, as_json: bool) -> None:
    """Write genesis, headers, transactions and receipts into one file; the chain may be served meanwhile."""
    from sandbox.chain import archive
    from sandbox.chain.serve import reading

    with reading(folder) as (store, begun):
        head = store.head()
        made = archive.write(store, begun, out, _progress(as_json, head.number + 1 if head else 0))
    en, zh = f"{made.blocks} blocks are in {out}", f"已导出 {made.blocks} 个区块至 {out}"
    _show(context, as_json, {"file": str(out), **_archive(made)}, en, zh)


@click.command("import")
@click.option("--dir", "folder", type=FOLDER, required=True)
@click.option("--genesis", help="refuse a file whose genesis digest does not begin with these hex digits")
@AS_JSON
@click.argument("file", type=FILE)
@click.pass_context
def import_(context: click.Context, folder: Path, file: Path, genesis: str | None, as_json: bool) -> None:
    """Make the ledger of an exported FILE in an empty folder, running every block again.

    An interrupted import goes on with the same file.
    """
    from sandbox.chain.restore import restore

    made = restore(file, folder, genesis, _progress(as_json, None))
    en = f"{made.blocks} blocks were run again and are in {folder}; compare the head with a co-signed checkpoint"
    zh = f"已重放并写入 {made.blocks} 个区块至 {folder}；请与已联署的检查点核对链头"
    _show(context, as_json, {"dir": str(folder), **_archive(made)}, en, zh)


def _archive(made: Any) -> dict[str, Any]:
    return {
        "blocks": made.blocks,
        "head": "0x" + made.head.hex(),
        "genesis": made.genesis.digest,
        "chain_id": made.genesis.chain_id,
        "sha256": made.sha256,
    }


def _progress(quiet: bool, total: int | None) -> Callable[[int], None]:
    def told(number: int) -> None:
        if not quiet and number and number % PROGRESS_BLOCKS == 0:
            click.echo(f"{number} / {total}" if total else str(number), file=sys.stderr)

    return told


def _show(context: click.Context, as_json: bool, value: dict[str, Any], en: str, zh: str) -> None:
    if as_json:
        click.echo(json.dumps(value, sort_keys=True))
        return
    click.echo(zh if context.obj["lang"] == "zh" else en)
    click.echo(f"head {value['head']}\ngenesis {value['genesis']}")
