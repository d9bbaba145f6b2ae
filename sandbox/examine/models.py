"""Registered models: lineage to approved runs and signed results, and releases that no limit of a plan forbade.

A registration is walked back by its digests: every approval and every party's result must be in the bundle, the figures
those that the label holder signed, the fairness verdict the one that its figures give under the plan's limits. The
steps of a name must be whole, each naming the one before, and none may serve a model above its limits.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ecowire import documents
from federation import fairness
from federation.plan import TrainingPlan, read
from federation.release import PPM, has_uplift, model_name
from privacy.errors import Failure
from privacy.ids import Digest
from sandbox.examine.case import HUB, Case, Proposal

REGISTRATION, STEP, RESULT, RECORD = "model-registration", "model-step", "train-result", "model-record"
REGISTER, RELEASE, ACCEPTED = "register", "release", "NO_MEASURABLE_UPLIFT"
BEGINS = (RELEASE, "raise")
COMPLETED = "COMPLETED"


class Differs(Exception):
    """Something is not what the bundle gives; the text says what."""


def check(case: Case) -> None:
    """Every registration, then the steps of every name."""
    registered: dict[str, Mapping[str, Any]] = {}
    for where, signed in case.of_kind(REGISTRATION):
        try:
            _check_registration(case, signed)
        except (Differs, Failure, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            why = str(error) if isinstance(error, Differs | Failure) else f"{type(error).__name__} {str(error)[:60]}"
            case.sheet.add("MODEL_LINEAGE_DIFFERS", where, why=why)
        else:
            registered[str(signed.body["job"])] = signed.body
            case.sheet.holds("models")
    named: dict[str, list[tuple[str, documents.Signed]]] = defaultdict(list)
    for where, signed in case.of_kind(STEP):
        named[str(signed.body.get("name"))].append((where, signed))
    for name, steps in named.items():
        _check_steps(case, name, steps, registered)


def _check_registration(case: Case, signed: documents.Signed) -> None:
    body: Any = signed.body
    run, match = case.proposals.get(Digest(body["job"])), case.proposals.get(Digest(body["alignment"]))
    plan = read(run.body) if run is not None and run.kind == "train" else None
    if signed.signer != HUB or run is None or not isinstance(plan, TrainingPlan) or run.state != COMPLETED:
        raise Differs("its run is no completed vertical run of the bundle")
    if match is None or plan.alignment != body["alignment"] or _approvals(match) != body["alignment_approvals"]:
        raise Differs("its alignment is not the plan's, with the approvals in the bundle")
    if body["name"] != model_name(run.body) or body["label"] != run.body["label"]:
        raise Differs("it has another name or label than its run")
    parties = {one["partner"]: one for one in body["parties"]}
    results = {one.signer: one for _, one in case.of_kind(RESULT) if one.body.get("job") == run.digest}
    if {name: one["approval"] for name, one in parties.items()} != _approvals(run):
        raise Differs("its approvals are not those of its run")
    if {name: one["result"] for name, one in parties.items()} != {name: one.digest for name, one in results.items()}:
        raise Differs("its results are not those that its parties signed")
    if not any(one.digest == body["record"] for _, one in case.of_kind(RECORD) if one.body.get("run") == run.digest):
        raise Differs("its model record is not in the bundle")
    _check_figures(body, plan, results[plan.label_holder].body["record"])


def _check_figures(body: Any, plan: TrainingPlan, record: Any) -> None:
    """The figures that decide on a release are those of the label holder's record."""
    full = record["variants"][-1]
    if body["model_digest"] != record["model_digest"] or body["evaluation"].get("auc_uplift") != full["auc_uplift"]:
        raise Differs("its model or uplift is not the label holder's")
    if plan.fairness is None:
        return
    found = fairness.read(record["fairness"], plan.fairness)
    given = {name: body["fairness"][name] for name in ("within", "excesses", "attributes")}
    if given != {name: part for name, part in fairness.to_value(found, plan.fairness).items() if name in given}:
        raise Differs("its fairness verdict is not what the label holder's figures give")


def _approvals(proposal: Proposal) -> dict[str, str]:
    return {approval.signer: approval.digest for approval in proposal.approvals}


def _check_steps(
    case: Case, name: str, steps: list[tuple[str, documents.Signed]], registered: Mapping[str, Mapping[str, Any]]
) -> None:
    """A name's steps in order; the first that does not hold is a finding, for those after it rest on it."""
    before: documents.Signed | None = None
    released: set[str] = set()  # jobs that a step released, which is where uplift and acceptance are checked
    try:
        ordered = sorted(steps, key=lambda step: int(str(step[1].body["number"])))
    except (KeyError, ValueError):
        case.sheet.add("MODEL_STEP_DIFFERS", steps[0][0], name=name, number="?", why="a step has no number")
        return
    for place, (where, step) in enumerate(ordered, start=1):
        try:
            _check_step(step, place, before, registered, released)
        except (Differs, KeyError, TypeError, AttributeError) as error:
            why = str(error) if isinstance(error, Differs) else "its form"
            case.sheet.add("MODEL_STEP_DIFFERS", where, name=name, number=place, why=why)
            return
        case.sheet.holds("model steps")
        before = step


def _check_step(
    step: documents.Signed,
    place: int,
    before: documents.Signed | None,
    registered: Mapping[str, Mapping[str, Any]],
    released: set[str],
) -> None:
    body: Any = step.body
    if step.signer != HUB or body["number"] != place or body["previous"] != (before.digest if before else None):
        raise Differs("it does not follow the step before it")
    if not body["person"].strip() or (body["action"] != REGISTER and not body["reason"].strip()):
        raise Differs("it names no person or no reason")
    if body["action"] == RELEASE:
        released.add(body["job"])
    shares = [one["share_ppm"] for one in body["serving"]]
    if len(shares) > 2 or shares.count(PPM) > 1 or (len(shares) == 2 and shares[1] != PPM):
        raise Differs("clients would have more than one model")
    for one in body["serving"]:
        found: Any = registered.get(one["job"])
        if found is None or found["name"] != body["name"] or found["model_digest"] != one["model_digest"]:
            raise Differs(f"{str(one['job'])[:16]} serves, and no registration of this name that holds")
        if found["fairness"] is not None and not found["fairness"]["within"]:
            raise Differs(f"{str(one['job'])[:16]} serves, above the plan's fairness limits")
        if one["job"] not in released:
            raise Differs(f"{str(one['job'])[:16]} serves, and no step released it")
    if body["action"] == RELEASE:
        lifted = ACCEPTED in body["accepted"]
        if not has_uplift(registered[body["job"]]["evaluation"]) and not lifted:
            raise Differs("no measurable uplift, and nobody accepted that")
    if body["action"] in BEGINS and body["time"] >= registered[body["job"]]["valid_until"]:
        raise Differs("the model was released after its validity")
