"""The training plan refuses whatever people could not have meant, and splits by a keyed hash."""

import hashlib
import hmac
from typing import Any

import numpy as np
import pytest

from ecowire import documents
from federation.errors import HiddenAlignmentRefused, PlanInvalid
from federation.plan import TrainingPlan, order_digest, split
from federation.plan_models import Split
from federation.release import model_name
from privacy.ids import MalformedIdentifier
from tests.federation.alliance import body, tokens

COLUMNS = {"broker": ["age"], "bank": ["income", "debt"], "platform": ["rent"]}


def test_a_valid_body_becomes_a_plan() -> None:
    proposal = body(COLUMNS)
    plan = TrainingPlan.from_body(proposal)
    assert plan.digest == documents.digest("train", proposal)
    assert (plan.label_holder, plan.holders) == ("broker", ("bank", "platform"))
    assert plan.variants() == ((), ("bank",), ("platform",), ("bank", "platform"))
    assert plan.score_vectors("bank") == 2
    assert plan.party("bank").columns == ("income", "debt")
    assert plan.label_column == "label"
    assert plan.survey_weights is None
    assert TrainingPlan.from_body(body(COLUMNS, survey_weights="WGT")).survey_weights == "WGT"


def test_a_plan_that_names_no_coding_has_the_first() -> None:
    assert TrainingPlan.from_body(body(COLUMNS)).coding == 1
    assert TrainingPlan.from_body(body(COLUMNS, coding=2)).coding == 2


def test_one_class_against_the_rest_is_another_model_than_its_siblings() -> None:
    label = {"partner": "broker", "asset": "clients", "column": "label"}
    assert TrainingPlan.from_body(body(COLUMNS)).positive is None
    one, other = (body(COLUMNS, label={**label, "positive": name}) for name in ("high", "高"))
    assert TrainingPlan.from_body(one).positive == "high"
    names = {model_name(found) for found in (body(COLUMNS), one, other)}
    assert len(names) == 3 and model_name(one).endswith("/broker/label=high")


def test_single_clients_are_scored_only_where_the_plan_says_how_many() -> None:
    assert TrainingPlan.from_body(body(COLUMNS)).scoring is None
    found = TrainingPlan.from_body(body(COLUMNS, scoring={"clients_per_day": 40})).scoring
    assert found is not None and found.clients_per_day == 40


def test_a_share_is_shown_alone_only_where_the_plan_says_how_coarsely_and_for_how_many() -> None:
    plan = TrainingPlan.from_body(body(COLUMNS, scoring={**PER_DAY, "split": COARSE}))
    assert plan.scoring is not None and plan.scoring.split == Split(step_log2=-2, clients_per_day=40)
    plain = TrainingPlan.from_body(body(COLUMNS, scoring=PER_DAY)).scoring
    assert plain is not None and plain.split is None


TREES = {"trees": 8, "depth": 3, "rate_milli": 200, "leaf_rows": 50, "patience": 0}
TREES |= {"sample_ppm": 800_000, "columns_ppm": 1_000_000}


def test_trees_score_single_clients() -> None:
    grown = {"model": "trees", "trees": TREES, "bins": 16}
    assert TrainingPlan.from_body(body(COLUMNS, **grown, scoring={"clients_per_day": 5})).scoring is not None


def test_one_holder_alone_is_also_all_of_them() -> None:
    plan = TrainingPlan.from_body(body({"broker": ["age"], "bank": ["income"]}))
    assert plan.variants() == ((), ("bank",))
    assert plan.score_vectors("bank") == 1


PER_DAY = {"clients_per_day": 40}
COARSE = {"step_log2": -2, "clients_per_day": 40}
BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "another model": ("model", {"model": "forest"}),
    "a coding that is none": ("coding", {"coding": 3}),
    "a coding that is a truth value": ("coding", {"coding": True}),
    "a coding of trees": ("coding", {"coding": 2, "model": "trees", "bins": 16, "trees": TREES}),
    "trees without their bounds": ("trees", {"model": "trees"}),
    "bounds of another model": ("logistic", {"logistic": {"rounds": 6, "plateau_ppm": 100}}),
    "another kind": ("kind", {"kind": "match"}),
    "a later version": ("version", {"version": 2}),
    "a version that is a truth value": ("version", {"version": True}),
    "an unknown field": ("body", {"round_limit": 3}),
    "scoring without its bound": ("scoring", {"scoring": {}}),
    "scoring of nobody": ("clients_per_day", {"scoring": {"clients_per_day": 0}}),
    "scoring of everybody": ("clients_per_day", {"scoring": {"clients_per_day": 100_001}}),
    "scoring by more than a bound": ("scoring", {"scoring": {"clients_per_day": 1, "free": True}}),
    "a split without its step": ("scoring.split", {"scoring": {**PER_DAY, "split": PER_DAY}}),
    "a split of more clients than are scored": (
        "scoring.split",
        {"scoring": {**PER_DAY, "split": {**COARSE, "clients_per_day": 41}}},
    ),
    "a split of nobody": ("clients_per_day", {"scoring": {**PER_DAY, "split": {**COARSE, "clients_per_day": 0}}}),
    "a split too fine": ("step_log2", {"scoring": {**PER_DAY, "split": {**COARSE, "step_log2": -3}}}),
    "a split too coarse": ("step_log2", {"scoring": {**PER_DAY, "split": {**COARSE, "step_log2": 4}}}),
    "a split hardly coarser than the score": (
        "scoring.split",
        {"score_step_log2": -3, "scoring": {**PER_DAY, "split": {**COARSE, "step_log2": -2}}},
    ),
    "a split that is a truth value": ("scoring.split", {"scoring": {**PER_DAY, "split": True}}),
    "a split by more than its bounds": ("scoring.split", {"scoring": {**PER_DAY, "split": {**COARSE, "bins": True}}}),
    "a fraction": ("body", {"title": 0.5}),
    "a purpose that is not text": ("purpose", {"purpose": 7}),
    "no disclosure": ("disclosure", {"disclosure": []}),
    "a nonce that is not hex": ("nonce", {"nonce": "zz" * 16}),
    "a short salt": ("split_salt", {"split_salt": "11" * 8}),
    "a salt of an odd length": ("split_salt", {"split_salt": "1" * 33}),
    "a salt in upper case": ("split_salt", {"split_salt": "AB" * 16}),
    "an alignment that is no digest": ("alignment", {"alignment": "ab"}),
    "no penalty": ("ridge_milli", {"ridge_milli": 0}),
    "a penalty that is a truth value": ("ridge_milli", {"ridge_milli": True}),
    "a penalty as text": ("ridge_milli", {"ridge_milli": "1000"}),
    "too few test rows": ("test_ppm", {"test_ppm": 1}),
    "mostly test rows": ("test_ppm", {"test_ppm": 600_000}),
    "hardly any rows": ("minimum_rows", {"minimum_rows": 20}),
    "rarity switched off": ("rare_rows", {"rare_rows": 1}),
    "rarity over half of the rows": ("rare_rows", {"rare_rows": 100, "minimum_rows": 200}),
    "small cells shown": ("cell_minimum", {"cell_minimum": 0}),
    "scores too fine": ("score_step_log2", {"score_step_log2": -20}),
    "no resamples": ("bootstrap", {"bootstrap": 0}),
    "no score budget": ("score_budget", {"score_budget": 0}),
    "valid for ever": ("valid_days", {"valid_days": 1_000_000}),
    "parties that are no list": ("parties", {"parties": {"broker": 1}}),
    "a single party": ("parties", {"parties": body({"broker": ["age"]})["parties"]}),
    "a label of another party": ("label", {"label": {"partner": "bank", "asset": "clients", "column": "label"}}),
    "a label of another asset": ("label", {"label": {"partner": "broker", "asset": "other", "column": "label"}}),
    "a label that is a feature": ("label", {"label": {"partner": "broker", "asset": "clients", "column": "age"}}),
    "a class that is a number": (
        "label.positive",
        {"label": {"partner": "broker", "asset": "clients", "column": "label", "positive": 1}},
    ),
    "a class without text": (
        "label.positive",
        {"label": {"partner": "broker", "asset": "clients", "column": "label", "positive": ""}},
    ),
    "a class between blanks": (
        "label.positive",
        {"label": {"partner": "broker", "asset": "clients", "column": "label", "positive": " high"}},
    ),
    "no class": (
        "label.positive",
        {"label": {"partner": "broker", "asset": "clients", "column": "label", "positive": None}},
    ),
    "two classes": (
        "label",
        {"label": {"partner": "broker", "asset": "clients", "column": "label", "negative": "low"}},
    ),
    "survey weights that are no name": ("survey_weights", {"survey_weights": 3}),
    "no survey weights": ("survey_weights", {"survey_weights": None}),
    "survey weights that are a feature": ("survey_weights", {"survey_weights": "age"}),
    "survey weights that are the label": ("survey_weights", {"survey_weights": "label"}),
    "survey weights that are the identifier": ("survey_weights", {"survey_weights": "client_id"}),
    "a label without a column": ("label", {"label": {"partner": "broker", "asset": "clients"}}),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_body_is_refused_by_its_field(case: str) -> None:
    field, changes = BAD[case]
    with pytest.raises(PlanInvalid) as caught:
        TrainingPlan.from_body(body(COLUMNS, **changes))
    assert caught.value.facts["field"] == field


BAD_PARTY: dict[str, tuple[str, dict[str, Any]]] = {
    "a malformed id": ("parties", {"partner": "Bank A"}),
    "an unknown role": ("role", {"role": "observer"}),
    "a second label holder": ("parties", {"role": "label_holder"}),
    "the broker again": ("parties", {"partner": "broker"}),
    "no columns": ("columns", {"columns": []}),
    "a column twice": ("columns", {"columns": ["income", "income"]}),
    "the identifier as a feature": ("columns", {"columns": ["client_id"]}),
    "a nameless column": ("columns", {"columns": [""]}),
    "too many columns": ("columns", {"columns": [f"c{i}" for i in range(600)]}),
    "an unknown field": ("parties", {"weight": 2}),
}


@pytest.mark.parametrize("case", BAD_PARTY)
def test_a_bad_party_is_refused_by_its_field(case: str) -> None:
    field, changes = BAD_PARTY[case]
    proposal = body(COLUMNS)
    proposal["parties"][1] |= changes
    with pytest.raises(PlanInvalid) as caught:
        TrainingPlan.from_body(proposal)
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize("field", sorted(set(body(COLUMNS)) - {"kind", "version"}))
def test_every_field_is_needed(field: str) -> None:
    proposal = body(COLUMNS)
    del proposal[field]
    with pytest.raises(PlanInvalid):
        TrainingPlan.from_body(proposal)


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(PlanInvalid):
        TrainingPlan.from_body([])  # type: ignore[arg-type]


def test_a_hidden_alignment_is_refused() -> None:
    with pytest.raises(HiddenAlignmentRefused):
        TrainingPlan.from_body(body(COLUMNS, alignment_mode="union"))


def test_an_unknown_partner_is_named() -> None:
    with pytest.raises(PlanInvalid, match="insurer"):
        TrainingPlan.from_body(body(COLUMNS)).party("insurer")


def test_the_split_is_the_keyed_hash_of_each_token() -> None:
    names, salt = tokens(4000), bytes(range(16))
    found = split(names, salt, 300_000)
    for token, test in zip(names[:50], found[:50], strict=True):
        head = hmac.new(salt, token.encode(), hashlib.sha256).digest()[:8]
        assert test == (int.from_bytes(head, "big") / 2**64 < 0.3)
    assert 0.27 < found.mean() < 0.33
    assert (split(names[::-1], salt, 300_000) == found[::-1]).all()
    assert (split(names, bytes(16), 300_000) != found).any()


def test_a_malformed_token_is_refused() -> None:
    with pytest.raises(MalformedIdentifier):
        split(("not a token",), bytes(16), 300_000)


def test_the_order_digest_depends_on_the_order() -> None:
    names = tokens(3)
    assert order_digest(names) == order_digest(names)
    assert order_digest(names) != order_digest(names[::-1])
    assert np.unique([order_digest(names[:2]), order_digest(names)]).size == 2
