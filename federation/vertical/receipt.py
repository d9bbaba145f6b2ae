"""The receipt of a run's contributions: what the label holder signs, and what everybody checks of it.

It is bound to the run, the model, every holder's weights and the label holder's record. The errors in it are the label
holder's word, which its signature makes answerable; values and weights follow from them, and are computed again here.
"""

from collections.abc import Mapping
from typing import Any

from federation import contribution
from federation.contribution import Contribution
from federation.errors import ContributionInvalid
from federation.plan import TrainingPlan
from federation.vertical.results import LabelResult
from privacy import canonical
from privacy.canonical import Value
from privacy.errors import Failure
from privacy.ids import parse_digest

KIND = "contribution"
VERSION = 1
_FIELDS = {
    *("version", "job", "partner", "alignment", "model", "model_digest", "weights_digests", "record"),
    *("train_rows", "test_rows", "contribution", "time"),
}


def body(plan: TrainingPlan, result: LabelResult, time: str) -> dict[str, Value] | None:
    """The body of the receipt of a finished run; None where its plan asks for no contribution."""
    if result.contribution is None:
        return None
    return {
        "version": VERSION,
        "job": plan.digest,
        "partner": plan.label_holder,
        "alignment": plan.alignment,
        "model": plan.model,
        "model_digest": result.model_digest,
        "weights_digests": dict(result.weights_digests),
        "record": record_digest(result.record()),
        "train_rows": result.train_rows,
        "test_rows": result.test_rows,
        "contribution": result.contribution.to_value(),
        "time": time,
    }


def record_digest(record: Mapping[str, Value]) -> str:
    """Of the label holder's record, as 64 hex digits."""
    return canonical.digest("ecohub/train-record/v1", dict(record)).hex()


def check(given: Mapping[str, Any], plan: TrainingPlan, record: Mapping[str, Any] | None = None) -> Contribution:
    """The contribution of a receipt's body, computed again. Its signature is checked by whoever has the key.

    record: the label holder's record of the run, where it is at hand. Raises ContributionInvalid: another form, another
    run, parties that are not the plan's, rows or digests that are not the record's, or weights that don't follow.
    """
    if set(given) != _FIELDS or given["version"] != VERSION or type(given["version"]) is not int:
        raise ContributionInvalid(why="it is no receipt of this version")
    expected = {
        "job": plan.digest,
        "partner": plan.label_holder,
        "alignment": plan.alignment,
        "model": plan.model,
    }
    if not plan.contribution or any(given[name] != value for name, value in expected.items()):
        raise ContributionInvalid(why="it is of another run or party")
    made = contribution.read(given["contribution"], bytes.fromhex(plan.digest))
    if (made.label_holder, made.holders) != (plan.label_holder, plan.holders):
        raise ContributionInvalid(why="its parties are not those of the plan")
    if made.method != (contribution.BY_SCORES if plan.by_scores else contribution.BY_MOMENTS):
        raise ContributionInvalid(why="it is measured in another way than the plan says")
    folds = plan.train_parts if plan.validation and plan.held_moments else ()
    if [part.name for part in made.parts[1:]] != [*folds] or made.parts[0].rows != given["test_rows"]:
        raise ContributionInvalid(why="its parts are not those of the plan")
    if folds and made.rows - made.parts[0].rows != given["train_rows"]:
        raise ContributionInvalid(why="its folds are not the train rows")
    _check_digests(given, plan)
    if record is not None:
        _check_record(given, record)
    return made


def _check_digests(given: Mapping[str, Any], plan: TrainingPlan) -> None:
    try:
        for digest in (given["model_digest"], given["record"], *given["weights_digests"].values()):
            parse_digest(digest)
        parties = set(given["weights_digests"])
    except (Failure, AttributeError):
        raise ContributionInvalid(why="its digests") from None
    if parties != set(plan.partners):
        raise ContributionInvalid(why="its digests are not those of the plan's parties")


def _check_record(given: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    same = ("model_digest", "weights_digests", "train_rows", "test_rows")
    if any(given[name] != record.get(name) for name in same) or given["record"] != record_digest(record):
        raise ContributionInvalid(why="it does not belong to the record of the run")
