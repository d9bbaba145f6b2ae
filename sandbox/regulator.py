"""`ecohub regulator`: examine evidence without the hub, and merge what the parties vouch for. Imports no Flower.

`examine` and `trust merge` need neither network nor a certificate. `bundle`, `ledger` and `proof` ask the hub under the
regulator's personal certificate; a proof is checked here, not believed.
"""

import json
from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from privacy import canonical, merkle
from sandbox.examine import trust as trusts
from sandbox.examine.__main__ import command as examine

PERSON = click.option("--config", type=click.Path(path_type=Path), help="person.toml (also ECOHUB_PERSON)")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="one JSON document")


@click.group()
def regulator() -> None:
    """The regulator's own tools: examine evidence bundles without trusting the hub."""


regulator.add_command(examine, "examine")


@regulator.command()
@click.argument("period")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="the bundle's file (.zip)")
@PERSON
def bundle(period: str, out: Path, config: Path | None) -> None:
    """Fetch the evidence bundle of PERIOD (YYYY-MM) from the hub."""
    outputs.check_new(out)
    made, data = _ask("bundle", {"period": period}, config)
    outputs.write_new(out, data, mode=0o644)
    click.echo(json.dumps({"file": str(out), **made}))


@regulator.command()
@PERSON
@AS_JSON
def ledger(config: Path | None, as_json: bool) -> None:
    """The trial balance of the hub's books, as the hub shows it; `examine` checks it."""
    found, _ = _ask("ledger", {}, config)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for line in found["balances"]:
        debit, credit = line["debit_minor"], line["credit_minor"]
        click.echo(f"{line['account']:<40} {line['asset']:<4} debit {debit:>15,} credit {credit:>15,}")


@regulator.command()
@click.argument("leaf", type=click.IntRange(min=0))
@click.option("--trust", "trust_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="trust.toml")
@PERSON
def proof(leaf: int, trust_file: Path | None, config: Path | None) -> None:
    """One LEAF of the audit log with its inclusion proof, checked here.

    The root is the hub's word; with --trust it is compared with what the nodes co-signed at that size.
    """
    found, _ = _ask("audit", {"index": leaf}, config)
    said = trusts.load(trusts.read(trust_file)) if trust_file else None
    witnesses = check_proof(found, leaf, said)
    click.echo(json.dumps({"leaf": found["leaf"], "size": found["size"], "root": found["root"], "cosigned": witnesses}))


def check_proof(found: dict[str, Any], leaf: int, said: trusts.Trust | None) -> list[str]:
    """The partners that co-signed the log in which the hub's answer proves a leaf; none without their word.

    Raises BadProof where the proof does not hold, or where a partner co-signed another root of this size.
    """
    size, root = int(found["size"]), bytes.fromhex(found["root"])
    steps = [bytes.fromhex(step) for step in found["proof"]]
    merkle.verify_inclusion(root, size, leaf, merkle.leaf_hash(canonical.encode(found["leaf"])), steps)
    kept = [seen for seen in (said.cosigned if said else ()) if (seen.log, seen.size) == ("audit", size)]
    for seen in kept:
        if seen.root != root:
            raise merkle.BadProof(what="inclusion", why=f"{seen.partner} co-signed another log of this size")
    return sorted(seen.partner for seen in kept)


@regulator.group()
def trust() -> None:
    """What the parties say themselves: the only thing an examination believes."""


@trust.command()
@click.argument("parts", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="trust.toml to write")
def merge(parts: tuple[Path, ...], out: Path) -> None:
    """Merge the PARTS that each node exported (`ecohub partner trust export`); parts that contradict are refused."""
    outputs.check_new(out)
    merged = trusts.merge(trusts.read(part) for part in parts)
    outputs.write_new(out, trusts.dump(merged).encode(), mode=0o644)
    click.echo(
        f"{len(parts)} parts, {len(merged.signers)} signers, {len(merged.cosigned)} co-signed checkpoints: {out}"
    )


def _ask(command: str, head: dict[str, canonical.Value], config: Path | None) -> tuple[dict[str, Any], bytes]:
    from hub import client  # only these commands need the hub's client; an examination must not load it

    answer, data = client.call(client.load(config), command, head)
    return dict(answer), data
