"""Plans with noise: the noise is as strong as planned, no figure goes out beside it, and two partners may train."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, RecordDict

from federation import tabular
from federation.errors import LocalNoiseRequired
from federation.horizontal import client, flower, terms
from federation.horizontal.errors import UpdateRefused
from federation.horizontal.trainer import Trainer
from federation.models import network
from federation.plan_horizontal import HorizontalPlan
from tests.federation import banks
from tests.federation.horizontal import runs
from tests.federation.plans import PRIVACY, horizontal
from tests.support.entropy import SeededEntropy

PARTNERS = ("bank-a", "bank-b", "bank-c")
INPUTS = 60
COLUMNS = [{"name": f"x{at}", "kind": "number", "transform": "none"} for at in range(3, INPUTS)]
LAYERS_BODY: dict[str, Any] = {"columns": COLUMNS, "examples_max": 400}


def body(partners: tuple[str, ...] = PARTNERS, **changes: Any) -> dict[str, Any]:
    training = {"rounds": 1, "steps": 1, **changes.pop("training", {})}
    settings = {"standardise": "none", "privacy": PRIVACY, **LAYERS_BODY, **changes}
    return horizontal(partners, training=training, **settings)


BANKS = banks.synthetic(PARTNERS, rows=300, inputs=INPUTS)


def without_noise(plan: HorizontalPlan) -> np.ndarray:
    """The weights after one round of the same clipped steps, summed without noise."""
    total, rows = np.zeros(plan.parameters), 0
    start = network.initial(plan.layers, b"")
    for partner in plan.partners:
        made = Trainer(plan, partner, BANKS[partner]).fit(1, start, tabular.unscaled(plan.columns))
        total += made.examples * np.concatenate([one.ravel() for one in made.update])
        rows += made.examples
    return total / rows


def test_the_noise_of_all_shares_is_as_strong_as_planned() -> None:
    drawn = []
    for nonce in range(8):
        world = runs.world(body(nonce=f"{nonce:032x}"), BANKS)
        result = world.run()
        found = np.concatenate([one.ravel() for one in result.model.parameters])
        drawn.append(found - without_noise(world.plan))
    # one row moves the sum of weighted updates by at most 2 · rate · clip / examples_max; multiplier 1, 3 - 1 = 2
    # honest shares are enough of the 3 that are added; the average divides by rows / examples_max
    rows = result.state.history[0].examples
    least = 2 * 0.5 * 1.0 / rows
    expected = least * np.sqrt(3 / 2)
    assert np.std(drawn) == pytest.approx(expected, rel=0.1)
    assert abs(np.mean(drawn)) < 4 * expected / np.sqrt(np.size(drawn))
    assert not np.array_equal(drawn[0], drawn[1])


def test_nothing_is_told_beside_the_noise() -> None:
    world = runs.world(body(training={"rounds": 3}, personalise={"steps": 2, "rate_micro": 1000}), BANKS)
    result = world.run()
    record = result.record()
    assert record["loss_micro"] == [None] * 3
    assert record["loss_rows"] is None
    assert (record["clipped"], record["shortened"]) == (0, 0)
    assert record["noise"] == {**PRIVACY, "releases": 3}
    for partner, told in result.told.items():
        assert isinstance(told, dict)
        auc = told["auc"]
        assert isinstance(auc, dict)
        assert set(auc.values()) == {None}
        own = world.kept[partner].own_record()["auc"]
        assert isinstance(own, dict) and None not in own.values()
    assert record["rows_test"] == sum(kept.rows["test"] for kept in world.kept.values())
    assert (record["auc_global_ppm"], record["log_loss_global_micro"]) == (None, None)


def test_two_partners_train_with_noise_and_show_each_other_no_histogram() -> None:
    pair = PARTNERS[:2]
    world = runs.world(body(pair, training={"rounds": 2}), BANKS)
    result = world.run()
    record = result.record()
    assert (record["auc_global_ppm"], record["log_loss_global_micro"]) == (None, None)
    assert record["rows_test"] == sum(kept.rows["test"] for kept in world.kept.values())
    assert set(result.told) == set(pair)


def test_two_partners_without_noise_have_no_plan() -> None:
    with pytest.raises(LocalNoiseRequired):
        HorizontalPlan.from_body(horizontal(PARTNERS[:2]))


def test_a_rows_influence_stays_below_the_sensitivity_the_noise_is_made_for() -> None:
    plan = HorizontalPlan.from_body(body())
    bits = plan.new_engine().value_bits
    update, noise = terms.update_terms(plan, bits), terms.noise_plan(plan, bits)
    table = BANKS["bank-a"]
    train = np.flatnonzero(tabular.parts(table.keys, plan.split) == tabular.TRAIN)
    start = network.initial(plan.layers, b"")
    lanes = []
    for value in (0.0, 1e6, -1e6):
        columns = {name: column.copy() for name, column in table.columns.items()}
        for name, column in columns.items():
            if name.startswith("x"):
                column[train[0]] = value
        changed = tabular.Rows(keys=table.keys, columns=columns, label=table.label)
        made = Trainer(plan, "bank-a", changed).fit(1, start, tabular.unscaled(plan.columns))
        moved = np.concatenate([one.ravel() for one in made.update])
        lanes.append(update.encode(moved, made.examples, {}, bits)[: plan.parameters])
    reached = [float(np.linalg.norm(lanes[i] - lanes[j])) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert max(reached) <= noise.sensitivity
    assert max(reached) > 0.4 * noise.sensitivity  # the bound is not idle


@pytest.mark.parametrize("weight", [0.0, network.WEIGHT_MAX, 1.5 * 2.0**52])
def test_a_rows_influence_does_not_hang_on_the_weights_the_hub_sends(weight: float) -> None:
    """Beside a weight of 1.5 * 2^52 a step of half the rows is a tie, and after - before 0 or 1 by a single label."""
    training = {"rounds": 1, "steps": 1, "rate_micro": 1_000_000}
    plan = HorizontalPlan.from_body(body(training=training, examples_max=400))
    bits = plan.new_engine().value_bits
    update, noise = terms.update_terms(plan, bits), terms.noise_plan(plan, bits)
    given = (np.zeros((plan.parameters - 1, 1)), np.array([weight]))
    table = BANKS["bank-a"]
    train = np.flatnonzero(tabular.parts(table.keys, plan.split) == tabular.TRAIN)
    columns = {name: np.zeros_like(v) if v.dtype.kind == "f" else v for name, v in table.columns.items()}
    columns["trade"] = np.full(len(table.keys), "none of the plan's")
    labels = np.full(len(table.keys), "1")
    labels[train[: len(train) // 2]] = "0"
    lanes = []
    for label in ("0", "1"):
        labels[train[-1 - len(train) % 2]] = label
        rows = tabular.Rows(keys=table.keys, columns=columns, label=labels.copy())
        made = Trainer(plan, "bank-a", rows).fit(1, given, tabular.unscaled(plan.columns))
        content = RecordDict({"arrays": client.array_record(plan, given)})
        answer = RecordDict({"update": client.array_record(plan, made.update)})
        moved = flower.read_update(content, answer, exact=True)
        lanes.append(update.encode(moved, made.examples, {}, bits)[: plan.parameters])
    assert 0 < np.linalg.norm(lanes[0] - lanes[1]) <= noise.sensitivity


def test_with_noise_an_application_that_answers_with_moved_weights_is_refused() -> None:
    given = RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(2))})})
    moved = RecordDict({"arrays": ArrayRecord({"w": Array(np.ones(2))})})
    assert flower.read_update(given, moved, exact=False).tolist() == [1.0, 1.0]
    with pytest.raises(UpdateRefused):
        flower.read_update(given, moved, exact=True)


def test_the_widest_numbers_overflow_nowhere() -> None:
    """A step that failed for some rows and not for others would tell of them without noise."""
    hidden = {"rounds": 1, "steps": 1, "hidden": [4, 4, 4]}
    plan = HorizontalPlan.from_body(body(model="mlp", training=hidden))
    table = BANKS["bank-a"]
    draw = np.random.default_rng(1)
    wide = {n: np.full(len(v), 2.0**28 - 1) if v.dtype.kind == "f" else v for n, v in table.columns.items()}
    rows = tabular.Rows(keys=table.keys, columns=wide, label=table.label)
    given = tuple(draw.choice([-1.0, 1.0], shape) * network.WEIGHT_MAX for shape in network.shapes(plan.layers))
    with np.errstate(all="raise", under="ignore"):
        made = Trainer(plan, "bank-a", rows).fit(1, given, tabular.unscaled(plan.columns))
    assert all(np.isfinite(one).all() for one in made.update)


def test_a_dealer_who_reads_single_uploads_finds_the_whole_noise_in_each() -> None:
    paillier = {"name": "paillier", "dealer": "bank-c", "bits": 3072}
    plans = [HorizontalPlan.from_body(one) for one in (body(), body(engine=paillier))]
    found = {plan.engine.name: terms.noise_plan(plan, 29) for plan in plans}
    multiplier = {name: np.sqrt(made.variance) / made.sensitivity for name, made in found.items()}
    assert multiplier["paillier"] == pytest.approx(1.0, abs=1e-3)
    assert multiplier["threshold"] == pytest.approx(np.sqrt(1 / 2), abs=1e-3)  # two honest ones in every sum


def test_a_share_follows_its_entropy() -> None:
    plan = HorizontalPlan.from_body(body())
    one, again, other = (terms.noise_share(plan, 30, SeededEntropy(seed)) for seed in (b"1", b"1", b"2"))
    assert one is not None and again is not None and other is not None
    assert np.array_equal(first := one(100), again(100))
    assert not np.array_equal(first, other(100))
    assert terms.noise_share(HorizontalPlan.from_body(horizontal(PARTNERS)), 30, SeededEntropy(b"1")) is None


def test_strong_noise_makes_steps_coarser_so_that_both_fit_a_lane() -> None:
    weak = HorizontalPlan.from_body(body())
    strong = HorizontalPlan.from_body(body(privacy={**PRIVACY, "noise_multiplier_milli": 100_000}))
    found = [terms.update_terms(plan, 30) for plan in (weak, strong)]
    bounds = [update.bound for update in found]
    assert bounds[0] is not None and bounds[1] is not None
    assert weak.clip < bounds[0] < 1.2 * weak.clip
    assert bounds[1] > 2 * bounds[0]
    assert found[1].noise_norm > 50 * found[0].noise_norm > 0
