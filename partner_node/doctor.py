"""`ecohub doctor`: what is wrong with this installation, and how to mend it.

It looks at the program, the node's settings, keys, certificate, database and sources, and at the way to the hub. Exit
code 0: nothing failed; 1: something did.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from partner_node import doctor_checks as checks
from partner_node import doctor_hub, enrolment, keys, local_client, store, times, wiring
from partner_node.cli_common import Cli, options
from partner_node.database import Database
from partner_node.doctor_checks import Finding, State
from partner_node.doctor_hub import Files
from partner_node.errors import NodeNotRunning
from partner_node.rpc import Identity
from partner_node.settings import Settings
from privacy.errors import Failure

MARKS = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗"}


@click.command()
@options
@click.pass_context
def doctor(ctx: click.Context, /, cli: Cli) -> None:
    """Find what is wrong with this node's installation and connection, and how to mend it."""
    findings = list(examine(cli, wiring.clock()))
    document: dict[str, Any] = {
        "findings": [
            {"check": f.check, "state": f.state.value, "code": f.code, "en": f.en, "zh": f.zh} for f in findings
        ]
    }
    rows = [(MARKS[f.state], f.check, f.code, f.text(cli.lang)) for f in findings]
    columns = ("", "check", "code", "finding") if cli.lang != "zh" else ("", "检查项", "代码", "结果")
    cli.show(document, lambda: cli.table(columns, rows))
    ctx.exit(1 if any(f.state is State.FAILED for f in findings) else 0)


def examine(cli: Cli, now: datetime) -> Iterator[Finding]:
    """All findings, in the order in which they should be mended."""
    yield from checks.program()
    try:
        settings = cli.settings()
    except Failure as failure:
        yield checks.of_failure("settings", failure)
        return
    yield checks.ok("settings", f"{cli.config} is understood", f"{cli.config} 配置有效")
    yield from checks.key_files(settings)
    yield from checks.certificate(settings, now)
    whole = checks.database(settings)
    yield whole
    yield from checks.sources(settings)
    yield checks.results(settings)
    if whole.state is State.OK:  # a damaged database is not read further
        yield checks.attempt("clock", lambda: checks.skew(receipt_times(settings)))
    yield from way_to_hub(settings)


def way_to_hub(settings: Settings) -> Iterator[Finding]:
    """The handshake, and the hub's answer to this node's certificate."""
    files = Files(
        address=settings.hub,
        authority=settings.authority,
        key=settings.keys / "tls.key",
        certificate=settings.keys / "tls.pem",
    )
    try:
        enrolment.read_authority(settings), keys.read_secret(files.key), keys.certificate(settings.keys)
    except Failure as failure:  # without these nothing can be said of the hub; a handshake would blame the network
        yield checks.of_failure("hub", failure)
        return
    yield doctor_hub.handshake(files)
    yield doctor_hub.old_tls(files)
    try:
        yield doctor_hub.running(local_client.call(settings.socket, "status", {}))
    except NodeNotRunning:
        yield checks.attempt("hello", lambda: doctor_hub.hello(_identity(settings)))
    except Failure as failure:
        yield checks.of_failure("hello", failure)


def receipt_times(settings: Settings) -> list[tuple[datetime, datetime]]:
    """(the hub's time, arrival here) of the receipts this node keeps."""
    database = Database(settings.database)
    try:
        found = database.read(store.receipt_arrivals)
    finally:
        database.close()
    return [
        (times.parse(receipt.body.get("time"), "a receipt's time"), times.parse(arrival, "its arrival"))
        for receipt, arrival in found
    ]


def _identity(settings: Settings) -> Identity:
    return Identity(
        address=settings.hub,
        authority=settings.authority.read_bytes(),
        key=keys.read_secret(settings.keys / "tls.key"),
        certificate=keys.certificate(settings.keys),
        partner=settings.partner,
    )
