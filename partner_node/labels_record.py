"""The record of deliveries: signed documents, each naming the one before; all but the last are held by the next."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from federation.labels import Outcome, Rules
from partner_node import store_labels, times
from partner_node.labels_errors import LabelRecordBroken, LabelRulesChanged
from partner_node.labels_run import Run
from partner_node.node import Node
from privacy.errors import Failure

SAME = ("run", "model", "purpose", "rules", "risk_column", "content")  # what makes two deliveries one
FIRST = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A delivery on record. repeated: it was there before this command."""

    number: int
    document: Signed
    repeated: bool


def keep(
    session: Session, node: Node, run: Run, rules: Rules, risk_column: str, step: str, outcome: Outcome, clients: int
) -> Recorded:
    """Sign a delivery and put it on record; the last one again, where nothing has changed since.

    risk_column: what suitability was judged by; step: digest of the newest release step that the hub had told then, so
    that a hub which withheld a later one is found out. Raises LabelRulesChanged, LabelRecordBroken.
    """
    known = checked(session, node)
    told: Body = {
        "run": run.job,
        "model": run.model,
        "purpose": run.purpose,
        "rules": {"name": rules.name, "version": rules.version, "digest": rules.digest},
        "risk_column": risk_column,
        "content": outcome.content,
    }
    _check_version(known, rules)
    if known and all(known[-1].body.get(name) == told[name] for name in SAME):
        return Recorded(number=len(known), document=known[-1], repeated=True)
    body: Body = {
        **told,
        "step": step,
        "number": len(known) + 1,
        "previous": known[-1].digest if known else FIRST,
        "clients": clients,
        "labels": outcome.labels(),
        "refused": outcome.refusals(),
        "time": times.to_text(node.clock()),
    }
    document = documents.sign(store_labels.KIND, body, node.settings.partner, node.keys.signing)
    store_labels.keep_delivery(session, len(known) + 1, document, outcome.refused)
    return Recorded(number=len(known) + 1, document=document, repeated=False)


def checked(session: Session, node: Node) -> list[Signed]:
    """Every delivery, oldest first, each signed by this node and naming the one before. Raises LabelRecordBroken."""
    known = store_labels.deliveries(session)
    previous = FIRST
    for number, document in enumerate(known, start=1):
        try:
            document.verify(node.keys.signing.public)
        except Failure as failure:
            raise LabelRecordBroken(number=number, why=failure.message()) from None
        if document.body["number"] != number or document.body["previous"] != previous:
            raise LabelRecordBroken(number=number, why="it does not follow the one before")
        previous = document.digest
    return known


def _check_version(known: Sequence[Signed], rules: Rules) -> None:
    """Raises LabelRulesChanged: people who read "version 3" in the CRM must find one content behind it."""
    for document in known:
        of = document.body["rules"]
        assert isinstance(of, dict), "this node wrote it"
        if (of["name"], of["version"]) == (rules.name, rules.version) and of["digest"] != rules.digest:
            raise LabelRulesChanged(name=rules.name, version=rules.version)
