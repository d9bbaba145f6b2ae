"""`ecohub-examine BUNDLE --trust trust.toml`: exit 0 nothing found, 1 findings, 5 the bundle can't be read."""

import json
import os
import sys
from pathlib import Path

import click

from ecowire import evidence
from privacy.errors import Failure
from sandbox.examine import trust as trusts
from sandbox.examine.run import Report, examine

LANGUAGES = click.Choice(["en", "zh"])


@click.command("examine")
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--trust", "trust_file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="what the parties say themselves: keys, genesis, their last co-signed checkpoints",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="one JSON document instead of tables")
@click.option("--lang", type=LANGUAGES, default=lambda: os.environ.get("ECOHUB_LANG", "en"), help="en or zh")
@click.pass_context
def command(context: click.Context, bundle: Path, trust_file: Path, as_json: bool, lang: str) -> None:
    """Examine an evidence bundle without the hub: recompute, verify signatures, proofs and chain.

    Exit code 0: nothing found. 1: findings. 5: the bundle can't be read or the parties contradict each other.
    """
    if bundle.stat().st_size > evidence.BUNDLE_BYTES_MAX:
        raise evidence.BundleMalformed(why=f"more than {evidence.BUNDLE_BYTES_MAX} bytes")
    report = examine(bundle.read_bytes(), trusts.load(trusts.read(trust_file)))
    if as_json:
        click.echo(json.dumps(report.to_value(), ensure_ascii=False, sort_keys=True))
    else:
        show(report, lang)
    context.exit(0 if report.clean else 1)


def show(report: Report, lang: str) -> None:
    """Print a report for people."""
    from sandbox.report import findings_table, held_table, print_tables

    found = [(f.severity, f.code, f.where, f.zh if lang == "zh" else f.en) for f in report.findings]
    print_tables(held_table(report.held, lang), findings_table(found, lang))
    for log, last in report.anchored.items():
        size, records, contract = last["size"], last["records"], last["contract"]
        click.echo(
            f"链上锚定：{log} 日志 {records} 条记录中的前 {size} 条，合约 {contract}"
            if lang == "zh"
            else f"anchored on the chain: the first {size} of {records} records of the {log} log, in {contract}"
        )


def main() -> None:
    """Entry point of `ecohub-examine`."""
    try:
        code = command.main(prog_name="ecohub-examine", standalone_mode=False)
    except Failure as failure:
        from ecowire import status

        lang = "zh" if os.environ.get("ECOHUB_LANG") == "zh" or "zh" in sys.argv else "en"
        click.echo(f"{status.code_of(failure)}: {failure.message(lang)}", err=True)
        code = status.EXIT_CODE[status.kind_of(failure)]
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
