"""The steps of a model's name: each signed by the hub, logged, kept, and told to the label holder's node.

A step's document states all that serves the name's clients since, so the newest alone tells a node whom to serve how;
it names the digest of the step before it, so none can be left out unseen.
"""

from collections.abc import Sequence
from datetime import datetime

from ecowire import documents
from federation.release import PPM
from hub import tasks, times
from hub.audit import HUB
from hub.model_gates import Hindrance
from hub.records import Head
from hub.services import Services
from hub.store import Transaction
from hub.store_models import Model, ModelStep
from privacy import canonical

REGISTER, RELEASE, RAISE, ROLLBACK, RETIRE, BLOCK = "register", "release", "raise", "rollback", "retire", "block"
STEP, STEP_TASK = "model-step", "model.step"


def take(
    services: Services,
    tx: Transaction,
    model: Model,
    now: datetime,
    *,
    action: str,
    person: str,
    reason: str,
    against: Sequence[Hindrance] = (),
    accepted: Sequence[str] = (),
) -> None:
    """Sign what was done and what serves since, log it, and tell the label holder's node."""
    before = tx.models.steps(model.name)
    serving: list[canonical.Value] = [
        {
            "job": one.job,
            "model_digest": one.digest,
            "share_ppm": one.share_ppm,
            "salt": one.salt,
            "valid_until": times.iso(one.valid_until),
        }
        for one in tx.models.serving(model.name)
    ]
    number = len(before) + 1
    body: documents.Body = {
        "name": model.name,
        "number": number,
        "previous": before[-1].document.digest if before else None,
        "label_holder": model.label_holder,
        "job": model.job,
        "model_digest": model.digest,
        "action": action,
        "person": person,
        "reason": reason,
        "accepted": [*accepted],
        "against": [one.to_value() for one in against],
        "serving": serving,
        "time": times.iso(now),
    }
    document = documents.sign(STEP, body, HUB, services.log.key)
    tx.jobs.add_document(model.job, document, now)
    facts: Head = {"signer": HUB, "action": action, "person": person}
    services.log.append(tx, now, STEP, model.job, digest=document.digest, facts=facts)
    step = ModelStep(name=model.name, number=number, job=model.job, action=action, document=document, taken_at=now)
    tx.models.add_step(step)
    post(tx, model, now, f"{document.digest[:32]}-model-step", STEP_TASK, {"step": document.to_value()})


def wholes(steps: Sequence[ModelStep]) -> tuple[str, ...]:
    """The jobs that served all clients of a name, each put upon the one before it; a rollback takes the last away."""
    stack: list[str] = []
    for step in steps:
        serving = step.document.body["serving"]
        assert isinstance(serving, list)
        whole = next((str(one["job"]) for one in serving if isinstance(one, dict) and one["share_ppm"] == PPM), None)
        if step.action == RETIRE:
            stack = []
        elif step.action == ROLLBACK and stack and whole != stack[-1]:
            stack.pop()
        elif whole is not None and (not stack or whole != stack[-1]):
            stack.append(whole)
    return tuple(stack)


def post(tx: Transaction, model: Model, now: datetime, task_id: str, kind: str, head: Head) -> None:
    """Ask the label holder's node, where it is still a member."""
    partner = tx.members.partner(model.label_holder)
    if partner is not None and partner.state == "ACTIVE":
        tasks.post(tx, now, task_id=task_id, node=model.label_holder, kind=kind, head=head)
