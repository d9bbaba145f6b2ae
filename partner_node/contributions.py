"""The receipt of contributions at this node: signed here where it holds the label, checked and kept elsewhere.

Each party keeps it as a file of the run in `results/`. Whenever it is shown, the signature is verified under the key in
the approved proposal and the weights are computed again; at a feature holder also that it names the weights this node
was given in the run.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.stream import Message
from federation.contribution import Contribution
from federation.errors import ContributionInvalid
from federation.plan import TrainingPlan, read
from federation.vertical import LabelResult, receipt
from partner_node import approvals, result_files, store, times
from partner_node.arguments import text
from partner_node.errors import ProposalInvalid
from partner_node.explain_errors import ContributionMissing
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.result_files import ResultFiles
from partner_node.store import Proposal
from privacy.errors import Failure


def file_name(job: str) -> str:
    return f"contribution-{job[:16]}.json"


def sign(node: Node, plan: TrainingPlan, result: LabelResult, now: datetime) -> Signed | None:
    """The receipt of a run that ends at its label holder; None where the plan asks for none."""
    body = receipt.body(plan, result, times.to_text(now))
    if body is None:
        return None
    return documents.sign(receipt.KIND, body, node.settings.partner, node.keys.signing)


class Contributions:
    """The receipts of this node."""

    def __init__(self, node: Node, results: ResultFiles) -> None:
        self._node = node
        self._results = results

    def handlers(self) -> Handlers:
        return {receipt.KIND: self.receive}

    def commands(self) -> Commands:
        return {receipt.KIND: self.show}

    def receive(self, request: Message) -> Answer:
        """Check and keep a receipt that the hub passes on. Raises UnknownJob, ContributionInvalid, BadSignature."""
        signed = documents.parse(request.head.get(receipt.KIND), kind=receipt.KIND)
        job = str(signed.body.get("job"))
        proposal = self._node.database.read(lambda session: store.proposal(session, job))
        self._check(proposal, signed)
        made = {file_name(proposal.digest): signed.encode()}

        def write(session: Session) -> None:
            result_files.keep(session, proposal.digest, made)

        return Answer(write=write, then=self._place)

    def show(self, arguments: Mapping[str, Any]) -> Body:
        """A run's receipt, checked again. Raises UnknownJob, ContributionMissing, ContributionInvalid, BadSignature."""
        name = text(arguments, "job")
        proposal = self._node.database.read(lambda session: store.proposal(session, name))
        self._results.place()
        path = self._node.settings.results / file_name(proposal.digest)
        try:
            signed = documents.decode(path.read_bytes(), kind=receipt.KIND)
        except OSError:
            raise ContributionMissing(job=proposal.digest[:16]) from None
        except Failure as failure:
            raise ContributionInvalid(why=f"{path.name}: {failure.message()}") from None
        self._check(proposal, signed)
        return {"job": proposal.digest, "receipt": signed.to_value(), "file": str(path)}

    def _check(self, proposal: Proposal, signed: Signed) -> Contribution:
        plan = read(proposal.body) if proposal.kind == "train" else None
        if not isinstance(plan, TrainingPlan):
            raise ProposalInvalid(why="it is no vertical training plan")
        holder = next(party for party in approvals.parties(proposal.body) if party["partner"] == plan.label_holder)
        if signed.signer != plan.label_holder:
            raise ContributionInvalid(why=f"it is signed by {signed.signer}")
        signed.verify(bytes.fromhex(str(holder["signing"])))
        made = receipt.check(signed.body, plan)
        self._check_own_weights(proposal, signed.body)
        return made

    def _check_own_weights(self, proposal: Proposal, body: Mapping[str, Any]) -> None:
        """A feature holder knows the digest of the weights it was given; the receipt must be of that model."""
        result = self._node.database.read(lambda session: store.result(session, proposal.digest))
        record: Any = result.document.body.get("record") if result else {}
        own = record.get("weights_digest")
        if own is not None and body["weights_digests"][self._node.settings.partner] != own:
            raise ContributionInvalid(why="it names other weights than this node was given")

    def _place(self) -> None:
        self._results.place()
