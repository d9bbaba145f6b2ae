"""The model registry: REGISTERED → RELEASED to a share of the clients, raised step by step to all → RETIRED.

A name (purpose/label holder/label column) is served by one release that reaches all clients and, while a newer one is
tried, by that one for its share: each client has exactly one. Taking a name back is one command: a release under way
ends, or the one before it serves all again. Every step is a document signed by the hub, a leaf of its audit log, and a
message to the label holder's node, which delivers labels to those clients alone that the newest step lets it serve.

A refused release is a step too: its reasons are on record in the transaction that refuses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ecowire import documents, status
from ecowire.stream import FAILURE
from federation.release import PPM, SALT_BYTES, model_name
from hub import model_gates, model_lineage, model_stability, model_steps, proposals, times, training
from hub.audit import HUB
from hub.identity import Caller
from hub.model_gates import Hindrance
from hub.model_steps import BLOCK, RAISE, REGISTER, RELEASE, RETIRE, ROLLBACK
from hub.models_errors import (
    ModelUnknown,
    NothingBefore,
    NothingReleased,
    NotRegistrable,
    ReleaseBlocked,
    ReleaseUnderWay,
    ShareLowered,
)
from hub.records import Head, Proposal
from hub.services import ANY, DATA, Command, HeadInvalid, Reply, Services, only, text, whole
from hub.store import Transaction
from hub.store_models import Model
from privacy import canonical
from privacy.printable import is_printable

REGISTERED, RELEASED, RETIRED = "REGISTERED", "RELEASED", "RETIRED"
REASON_CHARACTERS_MAX = 500
NAME_CHARACTERS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks of a release."""

    share_ppm: int
    person: str
    reason: str
    accept_no_uplift: bool


# --- registration


def register(services: Services, tx: Transaction, job: Proposal, now: datetime, person: str = HUB) -> Model:
    """Enter a completed vertical run; one that is entered already stays as it is. Raises NotRegistrable."""
    known = tx.models.get(job.digest)
    if known is not None:
        return known
    if job.kind != "train" or training.is_horizontal(job) or job.state != proposals.COMPLETED:
        raise NotRegistrable(job=job.digest[:16], why="it is no completed vertical run")
    name = model_name(job.body)
    number = tx.models.next_number(name)
    body = model_lineage.registration(tx, job, number)
    document = documents.sign(model_lineage.KIND, {**body, "time": times.iso(now)}, HUB, services.log.key)
    tx.jobs.add_document(job.digest, document, now)
    services.log.append(tx, now, model_lineage.KIND, job.digest, digest=document.digest, facts={"signer": HUB})
    model = Model(
        job=job.digest,
        name=name,
        number=number,
        state=REGISTERED,
        share_ppm=0,
        salt="",
        digest=str(body["model_digest"]),
        label_holder=model_lineage.label_holder(job),
        registration=document.digest,
        valid_until=times.parse(body["valid_until"]),
        registered_at=now,
        changed_at=now,
    )
    tx.models.add(model)
    model_steps.take(services, tx, model, now, action=REGISTER, person=person, reason="")
    model_stability.ask(tx, model, now)
    return model


def register_command(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Enter a run that was completed before there was a registry."""
    only(head, "job")
    return Reply(head=_line(register(services, tx, proposals.get(tx, head.get("job")), now, caller.name)))


# --- release


def release(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Release a model to a share of the clients, or raise the share. The same share again changes nothing.

    Raises ModelUnknown, ShareLowered, ReleaseUnderWay, HeadInvalid; answers ReleaseBlocked, which is then on record.
    """
    only(head, "job", "share_ppm", "reason", "accept_no_uplift")
    model, wish = _of_job(tx, head.get("job")), _wish(head, caller.name)
    if model.state == RELEASED and model.share_ppm == wish.share_ppm:
        return Reply(head=_line(model))
    serving = tx.models.serving(model.name)
    _check_place(model, serving, wish.share_ppm)
    # of a release under way it was accepted when it began
    waived = [model_gates.NO_UPLIFT] if wish.accept_no_uplift or model.state == RELEASED else []
    found = model_gates.hindrances(_registration(tx, model), now)
    against = [one for one in found if one.code not in waived]
    if against:
        return _blocked(services, tx, model, now, wish.person, wish.reason, against)
    if wish.share_ppm == PPM:
        for other in serving:
            _put(tx, other, RETIRED, 0, now)
    salt = model.salt or services.entropy(SALT_BYTES).hex()
    tx.models.put(model.job, state=RELEASED, share_ppm=wish.share_ppm, salt=salt, now=now)
    action, accepted = (RAISE, []) if model.state == RELEASED else (RELEASE, [one.code for one in found])
    model_steps.take(services, tx, model, now, action=action, person=wish.person, reason=wish.reason, accepted=accepted)
    model_stability.ask(tx, model, now)
    return Reply(head=_line(_of_job(tx, model.job)))


def rollback(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """End a release under way, or let the release before the present one serve all clients again.

    Raises ModelUnknown, NothingReleased, NothingBefore; answers ReleaseBlocked where the one before is no longer valid.
    """
    only(head, "name", "reason")
    reason, serving = _reason(head), _serving(tx, head)
    newest = serving[0]
    before = _before(tx, newest) if newest.share_ppm == PPM else None
    if before is not None and now >= before.valid_until:
        ended = [one for one in model_gates.hindrances(_registration(tx, before), now) if one.code == model_gates.ENDED]
        return _blocked(services, tx, before, now, caller.name, reason, ended)
    _put(tx, newest, RETIRED, 0, now)
    if before is not None:
        _put(tx, before, RELEASED, PPM, now)
    model_steps.take(services, tx, newest, now, action=ROLLBACK, person=caller.name, reason=reason)
    return Reply(head=_standing(tx, newest.name))


def retire(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """End everything that serves a name. Raises ModelUnknown, NothingReleased."""
    only(head, "name", "reason")
    reason, serving = _reason(head), _serving(tx, head)
    for model in serving:
        _put(tx, model, RETIRED, 0, now)
    model_steps.take(services, tx, serving[0], now, action=RETIRE, person=caller.name, reason=reason)
    return Reply(head=_standing(tx, serving[0].name))


def _wish(head: Head, person: str) -> Wish:
    share, accepted = whole(head, "share_ppm"), head.get("accept_no_uplift", False)
    if not 0 < share <= PPM:
        raise HeadInvalid(field="share_ppm", why=f"1 to {PPM:,} is expected")
    if not isinstance(accepted, bool):
        raise HeadInvalid(field="accept_no_uplift", why="true or false is expected")
    return Wish(share_ppm=share, person=person, reason=_reason(head), accept_no_uplift=accepted)


def _check_place(model: Model, serving: Sequence[Model], share: int) -> None:
    """Raises ShareLowered where the share would fall, ReleaseUnderWay where another release is being tried."""
    if model.state == RELEASED and share < model.share_ppm:
        raise ShareLowered(job=model.job[:16], share=_percent(model.share_ppm), wanted=_percent(share))
    other = next((one for one in serving if one.share_ppm < PPM and one.job != model.job), None)
    if other is not None:
        raise ReleaseUnderWay(name=model.name, job=other.job[:16], share=_percent(other.share_ppm))


def _blocked(
    services: Services,
    tx: Transaction,
    model: Model,
    now: datetime,
    person: str,
    reason: str,
    against: Sequence[Hindrance],
) -> Reply:
    """Put the refusal on record; the answer is the failure, so that the record stays and the person is refused."""
    model_steps.take(services, tx, model, now, action=BLOCK, person=person, reason=reason, against=against)
    failure = ReleaseBlocked(
        job=model.job[:16], why="; ".join(one.en for one in against), why_zh="；".join(one.zh for one in against)
    )
    return Reply(head=status.to_head(failure), kind=FAILURE)


def _before(tx: Transaction, newest: Model) -> Model:
    """What served all clients before this did."""
    stack = model_steps.wholes(tx.models.steps(newest.name))
    assert stack and stack[-1] == newest.job, "what serves all clients is what the steps say"
    if len(stack) < 2:
        raise NothingBefore(name=newest.name, job=newest.job[:16])
    return _of_job(tx, stack[-2])


def _put(tx: Transaction, model: Model, state: str, share: int, now: datetime) -> None:
    tx.models.put(model.job, state=state, share_ppm=share, salt=model.salt, now=now)


# --- reading


def models(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """All models by name and number."""
    only(head)
    listed: list[canonical.Value] = [_line(one) for one in tx.models.models()]
    return Reply(head={"models": listed})


def model(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """One model with its lineage, every step of its name, its stability, and what stands against a release now."""
    only(head, "job")
    found = _of_job(tx, head.get("job"))
    body = _registration(tx, found)
    steps: list[canonical.Value] = [step.document.to_value() for step in tx.models.steps(found.name)]
    stable: list[canonical.Value] = [
        entry.document.to_value() for entry in tx.jobs.documents(found.job, model_stability.STABILITY)
    ]
    against: list[canonical.Value] = [one.to_value() for one in model_gates.hindrances(body, now)]
    return Reply(
        head={
            **_line(found),
            "registration": body,
            "registration_digest": found.registration,
            "steps": steps,
            "stability": stable,
            "against": against,
        }
    )


def _line(model: Model) -> Head:
    return {
        "job": model.job,
        "name": model.name,
        "number": model.number,
        "state": model.state,
        "share_ppm": model.share_ppm,
        "model_digest": model.digest,
        "label_holder": model.label_holder,
        "valid_until": times.iso(model.valid_until),
        "registered": times.iso(model.registered_at),
        "changed": times.iso(model.changed_at),
    }


def _standing(tx: Transaction, name: str) -> Head:
    """What serves a name's clients now."""
    serving: list[canonical.Value] = [_line(one) for one in tx.models.serving(name)]
    return {"name": name, "serving": serving}


def _of_job(tx: Transaction, prefix: object) -> Model:
    job = proposals.get(tx, prefix)
    found = tx.models.get(job.digest)
    if found is None:
        raise ModelUnknown(what=job.digest[:16])
    return found


def _registration(tx: Transaction, model: Model) -> Head:
    entries = tx.jobs.documents(model.job, model_lineage.KIND)
    return next(entry.document.body for entry in entries if entry.document.digest == model.registration)


def _serving(tx: Transaction, head: Head) -> tuple[Model, ...]:
    """What serves the named clients, the newest first. Raises ModelUnknown, NothingReleased."""
    name = text(head, "name", longest=NAME_CHARACTERS_MAX)
    if not tx.models.models(name):
        raise ModelUnknown(what=name[:80])
    serving = tx.models.serving(name)
    if not serving:
        raise NothingReleased(name=name)
    return serving


def _reason(head: Head) -> str:
    """Why a person does it. Raises HeadInvalid where it is missing, too long or not readable."""
    reason = text(head, "reason", longest=REASON_CHARACTERS_MAX)
    if not reason.strip() or not is_printable(reason):
        raise HeadInvalid(field="reason", why="readable text is expected")
    return reason


def _percent(share_ppm: int) -> str:
    return f"{share_ppm / PPM:.2%}"


COMMANDS = {
    "model.register": Command(roles=(DATA,), run=register_command),
    "model.release": Command(roles=(DATA,), run=release),
    "model.rollback": Command(roles=(DATA,), run=rollback),
    "model.retire": Command(roles=(DATA,), run=retire),
    "models": Command(roles=ANY, run=models, changes=False),
    "model": Command(roles=ANY, run=model, changes=False),
}
