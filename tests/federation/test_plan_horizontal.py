"""The horizontal plan refuses whatever people could not have meant, field by field."""

from typing import Any

import pytest

from ecowire import documents
from federation import plan
from federation.errors import LocalNoiseRequired, PlanInvalid
from federation.plan import TrainingPlan
from federation.plan_horizontal import HorizontalPlan
from federation.plan_parts import Column
from tests.federation.alliance import body as vertical
from tests.federation.plans import AGE, PRIVACY, TRADE, horizontal

NOISY = {"standardise": "none", "training": {"steps": 1}, "privacy": PRIVACY}


def test_a_valid_body_becomes_a_plan() -> None:
    body = horizontal(("bank-c", "bank-a", "bank-b"))
    found = HorizontalPlan.from_body(body)
    assert found.digest == documents.digest("train", body)
    assert found.partners == ("bank-a", "bank-b", "bank-c")
    assert (found.roster.threshold, found.roster.minimum) == (3, 3)
    assert found.layers == (5, 1)
    assert found.parameters == 6
    assert found.columns[2] == Column(name="trade", kind="category", levels=("farm", "shop", "office"))
    assert found.party("bank-b").asset == "clients"
    assert found.finish_round == 6


def test_layers_follow_model_and_classes() -> None:
    three = {"column": "bought", "classes": ["no", "some", "much"]}
    assert HorizontalPlan.from_body(horizontal(model="multinomial", label=three)).layers == (5, 3)
    deep = HorizontalPlan.from_body(horizontal(model="mlp", label=three, training={"hidden": [8, 4]}))
    assert deep.layers == (5, 8, 4, 3)
    assert deep.parameters == 6 * 8 + 9 * 4 + 5 * 3


def test_a_number_may_have_a_public_scale() -> None:
    found = HorizontalPlan.from_body(horizontal(columns=[{**AGE, "centre_milli": -40_000}, TRADE]))
    assert (found.columns[0].centre_milli, found.columns[0].spread_milli) == (-40_000, 1_000)


def test_the_shape_decides_which_plan_is_read() -> None:
    assert isinstance(plan.read(horizontal()), HorizontalPlan)
    assert isinstance(plan.read(vertical({"broker": ["age"], "bank": ["income"]})), TrainingPlan)
    with pytest.raises(PlanInvalid) as caught:
        plan.read(horizontal(shape="diagonal"))
    assert caught.value.facts["field"] == "shape"


def test_two_partners_need_noise() -> None:
    with pytest.raises(LocalNoiseRequired):
        HorizontalPlan.from_body(horizontal(("bank-a", "bank-b")))
    found = HorizontalPlan.from_body(horizontal(("bank-a", "bank-b"), **NOISY))
    assert found.privacy is not None
    assert found.privacy.noise_multiplier_milli == 1_000


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "another kind": ("kind", {"kind": "match"}),
    "a version that is a truth value": ("version", {"version": True}),
    "an unknown field": ("body", {"rounds": 3}),
    "a fraction": ("body", {"title": 0.5}),
    "another model": ("model", {"model": "trees"}),
    "one party": ("parties", {"parties": horizontal()["parties"][:1]}),
    "a party twice": ("parties", {"parties": horizontal()["parties"][:3] + horizontal()["parties"][:1]}),
    "a party with another role": ("role", {"parties": [{**p, "role": "leader"} for p in horizontal()["parties"]]}),
    "an unknown party field": ("parties", {"parties": [{**p, "columns": []} for p in horizontal()["parties"]]}),
    "nobody colludes among four": ("colluders", {"colluders": 0}),
    "more colluders than partners leave": ("colluders", {"colluders": 3}),
    "a class twice": ("classes", {"label": {"column": "bought", "classes": ["0", "0"]}}),
    "three classes of a logistic": ("classes", {"label": {"column": "bought", "classes": ["0", "1", "2"]}}),
    "two classes of a multinomial": ("classes", {"model": "multinomial"}),
    "no columns": ("columns", {"columns": []}),
    "a column twice": ("columns", {"columns": [AGE, AGE]}),
    "a column that is the label": ("columns", {"columns": [{**AGE, "name": "bought"}]}),
    "a column that is the identifier": ("columns", {"columns": [{**AGE, "name": "client_id"}]}),
    "a column without spread": ("spread_milli", {"columns": [{**AGE, "spread_milli": 0}]}),
    "a centre that is a fraction": ("centre_milli", {"columns": [{**AGE, "centre_milli": "0.5"}]}),
    "a column of another kind": ("kind", {"columns": [{**AGE, "kind": "date"}]}),
    "another transform": ("transform", {"columns": [{**AGE, "transform": "square"}]}),
    "a category with a transform": ("columns", {"columns": [{**TRADE, "transform": "none"}]}),
    "a level twice": ("levels", {"columns": [{**TRADE, "levels": ["farm", "farm"]}]}),
    "another scaling": ("standardise", {"standardise": "local"}),
    "another strategy": ("strategy.name", {"strategy": {"name": "krum"}}),
    "fedavg with a rate": ("strategy", {"strategy": {"name": "fedavg", "server_rate_micro": 1}}),
    "fedprox without its weight": ("strategy", {"strategy": {"name": "fedprox"}}),
    "fedadam without its rate": ("strategy", {"strategy": {"name": "fedadam"}}),
    "no rounds": ("rounds", {"training": {"rounds": 0}}),
    "hidden layers of a logistic": ("hidden", {"training": {"hidden": [4]}}),
    "an mlp without hidden layers": ("hidden", {"model": "mlp"}),
    "too large a model": ("hidden", {"model": "mlp", "training": {"hidden": [4096, 4096]}}),
    "a layer that is a truth value": ("hidden", {"model": "mlp", "training": {"hidden": [True]}}),
    "hardly any test rows": ("test_ppm", {"split": {"test_ppm": 1}}),
    "a short salt": ("salt", {"split": {"salt": "11"}}),
    "early stop without validation rows": (
        "early_stop",
        {"early_stop": {"patience": 2, "tolerance_ppm": 0}, "split": {"validation_ppm": 0}},
    ),
    "early stop without patience": ("early_stop", {"early_stop": {"tolerance_ppm": 0}}),
    "personalise without a rate": ("personalise", {"personalise": {"steps": 1}}),
    "no clip": ("clip_milli", {"clip_milli": 0}),
    "a minimum nobody may have": ("minimum_rows", {"minimum_rows": 6_000}),
    "another engine": ("engine.name", {"engine": {"name": "masks"}}),
    "a dealer of the threshold engine": ("engine", {"engine": {"name": "threshold", "dealer": "bank-a"}}),
    "paillier without a dealer": ("engine", {"engine": {"name": "paillier", "bits": 3072}}),
    "paillier with a short key": ("bits", {"engine": {"name": "paillier", "dealer": "bank-a", "bits": 2048}}),
    "a dealer from elsewhere": ("dealer", {"engine": {"name": "paillier", "dealer": "bank-z", "bits": 3072}}),
    "noise beside exact means": ("standardise", {**NOISY, "standardise": "federated"}),
    "noise with several steps": ("training", {**NOISY, "training": {"steps": 2}}),
    "noise with batches": ("training", {**NOISY, "training": {"steps": 1, "batch": 32}}),
    "noise and a stop by the loss": ("early_stop", {**NOISY, "early_stop": {"patience": 2, "tolerance_ppm": 0}}),
    "hardly any noise": ("noise_multiplier_milli", {**NOISY, "privacy": {**PRIVACY, "noise_multiplier_milli": 1}}),
    "a purpose that is not text": ("purpose", {"purpose": 7}),
    "no disclosure": ("disclosure", {"disclosure": []}),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_body_is_refused_by_its_field(case: str) -> None:
    field, changes = BAD[case]
    with pytest.raises(PlanInvalid) as caught:
        HorizontalPlan.from_body(horizontal(**changes))
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize("missing", sorted(set(horizontal())))
def test_a_missing_field_is_refused(missing: str) -> None:
    body = horizontal()
    del body[missing]
    with pytest.raises(PlanInvalid):
        HorizontalPlan.from_body(body)


def test_a_stranger_has_no_part() -> None:
    with pytest.raises(PlanInvalid):
        HorizontalPlan.from_body(horizontal()).party("bank-z")


@pytest.mark.parametrize(("bits", "seconds"), [(3072, 20), (4096, 40)])
def test_a_model_that_holders_cannot_answer_for_in_time_is_refused_for_paillier(bits: int, seconds: int) -> None:
    """A holder's answer takes more than a millisecond a parameter: 10,000 of them fit these deadlines."""
    engine = {"name": "paillier", "dealer": "bank-a", "bits": bits}

    def plan(units: list[int], deadline: int) -> HorizontalPlan:
        deep = {"model": "mlp", "training": {"hidden": units}}
        return HorizontalPlan.from_body(horizontal(engine=engine, deadline_seconds=deadline, **deep))

    each = plan([2], seconds).parameters - plan([1], seconds).parameters
    fits = (10_000 - 1) // each
    assert 10_000 - each <= plan([fits], seconds).parameters <= 10_000
    for units, deadline in (([fits + 1], seconds), ([fits], seconds - 1), ([4_096, 64], 3_600)):
        with pytest.raises(PlanInvalid) as caught:
            plan(units, deadline)
        assert caught.value.facts["field"] == "engine"
