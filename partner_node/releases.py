"""Which clients a released model serves: the hub's signed steps, applied where this node delivers labels.

The hub states after every step all that serves a model's name: a release for a share of the clients, and the one that
reaches the others. The newest step is kept. A run that no step names, or that serves nobody, gives no label.
Neither does one above the fairness limits of its plan, whatever the hub signed: the verdict is in this node's record.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from federation import fairness, release, stability
from federation.bands import ROWS_MIN
from federation.plan import TrainingPlan, read
from federation.release import PPM, SALT_BYTES, Release, model_name
from partner_node import labels_run, store, store_releases, times
from partner_node.audit import HUB
from partner_node.node import Answer, Handlers, Node
from partner_node.releases_errors import ModelAboveLimits, ModelNotReleased, ModelStepRefused
from partner_node.store import Proposal
from privacy.ids import parse_digest

FIELDS = {"name", "number", "previous", "label_holder", "job", "model_digest", "action", "person", "reason"}
FIELDS |= {"accepted", "against", "serving", "time"}
SERVING = {"job", "model_digest", "share_ppm", "salt", "valid_until"}
SERVING_MAX = 2
SALT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What serves a name's clients since a step, the newest release first."""

    number: int
    serving: tuple[Release, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whom a run's model serves, beside what else serves its name. Clients are the node's keys of them."""

    job: str
    step: str  # digest of the hub's step that says so
    serving: tuple[Release, ...]

    @property
    def anybody(self) -> bool:
        """Whether it serves a client at all."""
        return self.job in {one.job for one in self.serving}

    def serves(self, client: bytes) -> bool:
        found = release.of_client(client, self.serving)
        return found is not None and found.job == self.job

    def leaves(self, client: bytes) -> bool:
        """Whether another release serves the client: what that gave it stands."""
        found = release.of_client(client, self.serving)
        return found is not None and found.job != self.job


class Releases:
    """The hub's steps at one node. `place` writes result files that still wait."""

    def __init__(self, node: Node, place: Callable[[], int]) -> None:
        self._node = node
        self._place = place

    def handlers(self) -> Handlers:
        return {"model.step": self.take, "model.stability": self.compare}

    def take(self, request: Message) -> Answer:
        """Keep a step. One that is older than what is kept changes nothing.

        Raises ModelStepRefused, MalformedMessage, BadSignature, UnknownJob.
        """
        step = documents.parse(request.head.get("step"), kind=store_releases.KIND)
        if step.signer != HUB:
            raise ModelStepRefused(why=f"it is signed by {step.signer}")
        step.verify(self._node.log_key)
        found = _standing(step.body)
        self._check_ours(step.body)

        def write(session: Session) -> None:
            known = store_releases.newest(session, str(step.body["name"]))
            if known is not None:
                last = _standing(known.body)
                if found.number < last.number or known.digest == step.digest:
                    return
                if found.number == last.number or (
                    found.number == last.number + 1 and step.body["previous"] != known.digest
                ):
                    raise ModelStepRefused(why=f"this node was told another step {last.number}")
            store_releases.keep(session, step)

        return Answer(write=write)

    def compare(self, request: Message) -> Answer:
        """Sign how far the scores of a run moved from those of an earlier one of its name; no score leaves.

        Raises MalformedMessage, ModelStepRefused, and what `labels_run.find` raises.
        """
        later, earlier = (parse_digest(request.head.get(name)) for name in ("job", "before"))
        names = self._node.database.read(
            lambda session: {model_name(store.proposal(session, job).body) for job in (later, earlier)}
        )
        if len(names) > 1 or later == earlier:
            raise ModelStepRefused(why="only two models of one name are compared")
        before, after = (
            np.array(labels_run.find(self._node, job, self._place).matrix.chances) for job in (earlier, later)
        )
        found = stability.compare(before, after, ROWS_MIN)
        body: Body = {
            "job": later,
            "before": earlier,
            "partner": self._node.settings.partner,
            "stability": found.to_value() if found else None,
            "time": times.to_text(self._node.clock()),
        }
        signed = documents.sign("model-stability", body, self._node.settings.partner, self._node.keys.signing)
        return Answer(head={"stability": signed.to_value()})

    def _check_ours(self, body: Mapping[str, Any]) -> None:
        """That the step is of a run which this node's people know, and in which it holds the label."""
        job, me = parse_digest(body["job"]), self._node.settings.partner
        proposal = self._node.database.read(lambda session: store.proposal(session, job))
        plan = read(proposal.body) if proposal.kind == "train" else None
        if not isinstance(plan, TrainingPlan) or plan.label_holder != me or body["label_holder"] != me:
            raise ModelStepRefused(why="this node does not hold the label of that run")
        if model_name(proposal.body) != body["name"]:
            raise ModelStepRefused(why="the run's model has another name")


def reach(session: Session, job: str) -> Reach | None:
    """Whom a run's model serves; None where no step of the hub names its model.

    Raises UnknownJob, ModelAboveLimits, ModelNotReleased where it serves nobody.
    """
    found = last_reach(session, job)
    if found is not None and not found.anybody:
        raise ModelNotReleased(name=model_name(store.proposal(session, job).body), job=job[:16])
    return found


def last_reach(session: Session, job: str) -> Reach | None:
    """As `reach`, also of a model that serves nobody any more. Raises UnknownJob, ModelAboveLimits."""
    proposal = store.proposal(session, job)
    _check_limits(session, proposal)
    step = store_releases.newest(session, model_name(proposal.body))
    return None if step is None else Reach(job=job, step=step.digest, serving=_standing(step.body).serving)


def _check_limits(session: Session, proposal: Proposal) -> None:
    """That the model is within its plan's fairness limits by what this node signed itself: no hub can say otherwise.

    Raises ModelAboveLimits.
    """
    plan, result = read(proposal.body), store.result(session, proposal.digest)
    if not isinstance(plan, TrainingPlan) or plan.fairness is None or result is None:
        return
    record: Any = result.document.body["record"]
    try:
        above = fairness.excesses(fairness.read(record["fairness"], plan.fairness), plan.fairness)
        why = [one.sentence() for one in above]
    except (KeyError, TypeError, ValueError):
        why = [("there is no verdict on the gaps that its plan limits", "缺少方案所限差距的结论")]
    if why:
        en, zh = zip(*why, strict=True)
        raise ModelAboveLimits(job=proposal.digest[:16], why="; ".join(en), why_zh="；".join(zh))


def _standing(body: Mapping[str, Any]) -> Standing:
    """What a step's document says. Raises MalformedMessage."""
    number, serving = body.get("number"), body.get("serving")
    if set(body) != FIELDS or type(number) is not int or number < 1 or not isinstance(body["name"], str):
        raise MalformedMessage(why="the fields of a model's step")
    if not isinstance(serving, list) or len(serving) > SERVING_MAX:
        raise MalformedMessage(why=f"at most {SERVING_MAX} models serve a name")
    found = tuple(_release(one) for one in serving)
    shares = [one.share_ppm for one in found]
    if shares != sorted(set(shares)) or any(share == PPM for share in shares[:-1]) or len({*shares} - {PPM}) > 1:
        raise MalformedMessage(why="one release reaches a share of the clients, one the others")
    return Standing(number=number, serving=found)


def _release(value: object) -> Release:
    if not isinstance(value, dict) or set(value) != SERVING:
        raise MalformedMessage(why="the fields of a release")
    share, salt = value["share_ppm"], value["salt"]
    if type(share) is not int or not 0 < share <= PPM or not isinstance(salt, str) or not SALT.fullmatch(salt):
        raise MalformedMessage(why="the share or salt of a release")
    assert len(salt) == 2 * SALT_BYTES, "as the pattern says"
    return Release(job=parse_digest(value["job"]), salt=bytes.fromhex(salt), share_ppm=share)
