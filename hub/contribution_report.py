"""`ecohub data profile contribution`: what each partner's columns add on held-out clients, and its weight."""

from collections.abc import Mapping
from typing import Any

import click

from ecowire import documents, terminal
from federation import contribution_words as said
from federation.contribution import Contribution
from federation.errors import ContributionInvalid
from federation.plan import TrainingPlan
from federation.vertical import receipt
from hub import cli_jobs
from hub.cli_common import Cli, options
from privacy.errors import Failure, Kind
from privacy.printable import printable


class NoContribution(Failure):
    code = "CONTRIBUTION_NOT_MEASURED"
    kind = Kind.NOT_FOUND
    en = "the plan of {job} asks for no contribution; holders are paid by the agreement's fixed key"
    zh = "任务 {job} 的方案未要求度量贡献；各方按协议约定的固定比例结算"


@click.command("contribution")
@click.argument("job")
@click.option("--verify", is_flag=True, help="also check the signature, and that it belongs to the run's record")
@options
def contribution(cli: Cli, job: str, verify: bool) -> None:
    """What each partner's columns add on held-out clients: exact Shapley values with weights in ppm, computed again
    here from the errors that the label holder measured and signed. Zero and negative values are shown as such."""
    found = cli_jobs.job_of(cli, job)
    if found["kind"] != "train" or "run" in found:
        raise click.UsageError("it is no vertical run")
    if found["state"] != "COMPLETED":
        raise cli_jobs.no_result(found)
    signed, made = read(found, verify)
    document = {
        "digest": found["digest"],
        "receipt": signed.to_value(),
        "weights_ppm": made.weights_ppm,
        "gains_ppm": [
            {"holders": list(one), "numerator": gain.numerator, "denominator": gain.denominator}
            for one, gain in made.gains.items()
        ],
        "verified": verify,
        "notes": [dict(zip(("en", "zh"), note, strict=True)) for note in said.notes(made, signed.body)],
    }
    cli.show(document, lambda: _show(cli, signed, made, verify))


def read(found: Mapping[str, Any], verify: bool) -> tuple[documents.Signed, Contribution]:
    """The receipt of a completed run as the hub's `job` command gives it, and what follows from its errors.

    verify: also that the body is the one that was approved by this digest, the signature under the label holder's key
    in it, and the record. Raises NoContribution, ContributionInvalid, BadSignature, PlanInvalid.
    """
    kept = cli_jobs.documents(found, receipt.KIND)
    if not kept:
        raise NoContribution(job=str(found["digest"])[:16])
    plan, signed = TrainingPlan.from_body(found["body"]), documents.parse(kept[0], kind=receipt.KIND)
    if not verify:
        return signed, receipt.check(signed.body, plan)
    if documents.digest("train", found["body"]) != found["digest"]:
        raise ContributionInvalid(why="the hub gave another plan than the one of this digest")
    holder = next(party for party in found["body"]["parties"] if party["partner"] == plan.label_holder)
    if signed.signer != plan.label_holder:
        raise ContributionInvalid(why=f"it is signed by {signed.signer}")
    key = bytes.fromhex(holder["signing"])
    signed.verify(key)
    result = next(
        documents.parse(one) for one in cli_jobs.documents(found, "train-result") if one["signer"] == plan.label_holder
    )
    result.verify(key)
    record = result.body["record"]
    assert isinstance(record, dict), "the hub keeps results with a record only"
    return signed, receipt.check(signed.body, plan, record)


def _show(cli: Cli, signed: documents.Signed, made: Contribution, verified: bool) -> None:
    click.echo(printable(f"{signed.body['job']}  {signed.body['model']} {str(signed.body['model_digest'])[:16]}"))
    terminal.table(said.HOLDERS[cli.lang], said.holders(made, cli.lang))
    terminal.table(said.heads(made, cli.lang), said.coalitions(made))
    for note in said.notes(made, signed.body):
        click.echo(printable(f"- {cli.word(*note)}"))
    if verified:
        cli.say(
            f"verified: signed by {signed.signer}, of this run and its record; weights follow from the errors",
            f"已核验：由 {signed.signer} 签名，属于该任务及其记录；权重由误差推得",
        )
