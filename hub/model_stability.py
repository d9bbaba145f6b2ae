"""How far a model's scores moved from those of the release before it: asked of the label holder's node, which has both.

The node computes the population stability index (federation.stability) and signs it; no score leaves it. It is asked
once for each pair of models, when the later one is registered or released while the other serves all clients.
"""

from datetime import datetime

from ecowire import documents
from federation import stability
from federation.release import PPM
from hub import model_steps, proposals
from hub.models_errors import StabilityInvalid
from hub.records import Head, Task
from hub.services import Services
from hub.store import Transaction
from hub.store_models import Model

STABILITY, STABILITY_TASK = "model-stability", "model.stability"


def ask(tx: Transaction, model: Model, now: datetime) -> None:
    """Ask the label holder's node how far the scores moved from what serves all clients now; once for each pair."""
    others = [one for one in tx.models.serving(model.name) if one.share_ppm == PPM and one.job != model.job]
    for earlier in others:
        head: Head = {"job": model.job, "before": earlier.job}
        model_steps.post(tx, model, now, f"{model.job[:32]}-stability-{earlier.job[:32]}", STABILITY_TASK, head)


def keep(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
    """Verify and keep the node's signed index. Raises StabilityInvalid, BadSignature, MalformedMessage."""
    document = documents.parse((task.reply_head or {}).get("stability"), kind=STABILITY)
    partner = tx.members.partner(task.node)
    assert partner is not None, "a task's node is a partner"
    asked = {"job": task.head["job"], "before": task.head["before"], "partner": task.node}
    if document.signer != task.node or {name: document.body.get(name) for name in asked} != asked:
        raise StabilityInvalid(node=task.node, why="it is signed by another party or of other models")
    document.verify(partner.signing_public)
    try:
        value = document.body["stability"]
        if value is not None:
            stability.read(value if isinstance(value, dict) else {})
    except (KeyError, TypeError, ValueError) as error:
        raise StabilityInvalid(node=task.node, why=str(error)[:80]) from None
    job = tx.jobs.proposal(str(task.head["job"]))
    assert job is not None
    proposals.keep_document(services, tx, job, document, now)


ANSWERS = {STABILITY_TASK: keep}
