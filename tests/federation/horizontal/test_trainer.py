"""A partner's own work: steps on its train rows, figures on its test rows, refusals of rows that don't fit the plan."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation import metrics, tabular
from federation.errors import LabelUnknown, PlanInvalid, TooFewRows, TooManyRows
from federation.horizontal import results
from federation.horizontal.results import Model, ModelUnreadable
from federation.horizontal.trainer import Trainer, plan_seed
from federation.models import network
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows
from privacy import canonical, packing
from tests.federation import banks
from tests.federation.plans import PRIVACY, horizontal

PARTNERS = ("bank-a", "bank-b", "bank-c")
BANKS = banks.synthetic(PARTNERS)
THREE = {"column": "bought", "classes": ["0", "1", "2"]}


def plan(**changes: Any) -> HorizontalPlan:
    return HorizontalPlan.from_body(horizontal(PARTNERS, **changes))


def three_classes(table: Rows) -> Rows:
    return replace(table, label=np.where(table.columns["trade"] == "shop", "2", table.label))


def test_a_round_trains_on_the_train_rows_alone() -> None:
    found = plan(strategy={"name": "fedprox", "proximal_micro": 20_000})
    table = BANKS["bank-a"]
    trainer = Trainer(found, "bank-a", table)
    values = tabular.read_inputs(found.columns, table).values
    part = tabular.parts(table.keys, found.split)
    classes = (table.label == "1").astype(np.int64)
    scaling = tabular.read_statistics(found.columns, 2, trainer.statistics(), 1).scaling
    start = network.initial(found.layers, plan_seed(found))
    made = trainer.fit(1, start, scaling)
    train = part == tabular.TRAIN
    work = network.Work(steps=5, batch=0, rate=0.5, proximal=0.02)
    expected = network.fit_local(start, scaling.apply(values[train]), classes[train], work, b"")
    assert all(np.array_equal(a, c - b) for a, b, c in zip(made.update, start, expected, strict=True))
    assert made.examples == train.sum()
    held = part == tabular.VALIDATION
    assert made.loss == network.loss(start, scaling.apply(values[held]), classes[held])
    assert trainer.rows == {"train": train.sum(), "validation": held.sum(), "test": (part == tabular.TEST).sum()}


def test_noise_clips_rows_and_keeps_what_is_not_noisy_at_home() -> None:
    found = plan(standardise="none", training={"steps": 1}, privacy=PRIVACY)
    start = network.initial(found.layers, plan_seed(found))
    made = Trainer(found, "bank-a", BANKS["bank-a"]).fit(1, start, tabular.unscaled(found.columns))
    assert made.loss is None
    norm = np.sqrt(sum(float((one**2).sum()) for one in made.update))
    assert 0 < norm <= 0.5 * 1.0  # the rate times the rows' clip, although balances reach thousands
    result, lanes = Trainer(found, "bank-a", BANKS["bank-a"]).finish(
        made.update, tabular.unscaled(found.columns), rounds=1
    )
    shown, own = result.record(), result.own_record()
    assert set(shown.pop("auc").values()) == set(shown.pop("log_loss").values()) == {None}
    counts = {f"rows_{part}": count for part, count in result.rows.items()}
    names = {"run": found.digest, "partner": "bank-a", "model_digest": result.model.digest}
    assert shown == {**names, **counts, "missing": None, "unknown": None}
    assert lanes.tolist() == [result.rows["test"]]
    assert own["missing"] == 24
    assert own["auc"] == {"alone_ppm": result.alone.auc_ppm, "joint_ppm": result.joint.auc_ppm, "personal_ppm": None}


def test_batches_differ_by_round_and_partner_and_repeat() -> None:
    found = plan(training={"batch": 16})
    start = network.initial(found.layers, plan_seed(found))
    scaling = tabular.unscaled(found.columns)
    table = BANKS["bank-a"]
    made = [
        Trainer(found, me, table).fit(r, start, scaling)
        for me, r in (("bank-a", 1), ("bank-a", 1), ("bank-a", 2), ("bank-b", 1))
    ]
    weights = [one.update[0] for one in made]
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    assert not np.array_equal(weights[0], weights[3])


@pytest.mark.parametrize("case", ["logistic", "multinomial", "mlp"])
def test_figures_and_records_of_every_model(case: str) -> None:
    hidden = {"hidden": [8]} if case == "mlp" else {}
    many = case == "multinomial"
    changes: dict[str, Any] = {"model": case, "training": hidden, "personalise": {"steps": 5, "rate_micro": 100_000}}
    found = plan(**changes, **({"label": THREE} if many else {}))
    tables = {name: three_classes(table) if many else table for name, table in BANKS.items()}
    trainers = {name: Trainer(found, name, table) for name, table in tables.items()}
    total = sum(trainer.statistics() for trainer in trainers.values())
    scaling = tabular.read_statistics(found.columns, len(found.classes), np.asarray(total), 3).scaling
    parameters = network.initial(found.layers, plan_seed(found))
    for round_ in range(1, 4):
        fits = [trainer.fit(round_, parameters, scaling) for trainer in trainers.values()]
        moves = tuple(np.mean(same, axis=0) for same in zip(*(fit.update for fit in fits), strict=True))
        parameters = tuple(one + move for one, move in zip(parameters, moves, strict=True))
    lanes = []
    scores, labels = [], []
    for name, trainer in trainers.items():
        result, own = trainer.finish(parameters, scaling, rounds=3)
        lanes.append(own)
        record = result.record()
        canonical.encode(record)  # it can be signed
        test = tabular.parts(tables[name].keys, found.split) == tabular.TEST
        chances = result.model.chances(tables[name])[test]
        index = tabular.read_label("bought", found.classes, tables[name])[test]
        assert result.joint.log_loss == pytest.approx(-np.log(chances[np.arange(len(index)), index]).mean())
        assert record["rows_test"] == test.sum()
        assert result.joint.auc is not None and result.alone.auc is not None and result.personal is not None
        assert result.joint.auc > 0.6 and result.alone.auc > 0.6
        assert result.missing == {"age": 24}
        assert result.personal_model is not None and result.personal_model.digest != result.model.digest
        scores.append(chances)
        labels.append(index)
    figures = results.read_figure_lanes(np.sum(lanes, axis=0), len(found.classes))
    everything, index = np.concatenate(scores), np.concatenate(labels)
    assert len(lanes[0]) == results.figure_lanes_count(found)
    assert figures.rows == len(index)
    assert figures.log_loss == pytest.approx(-np.log(everything[np.arange(len(index)), index]).mean(), abs=1e-5)
    one_by_one = [metrics.auc(index == k, everything[:, k]) for k in range(len(found.classes))]
    assert figures.auc == pytest.approx(np.mean(one_by_one), abs=2e-3)


def test_a_test_part_of_one_class_has_no_auc() -> None:
    table = BANKS["bank-a"]
    flat = replace(table, label=np.full(len(table.keys), "1"))
    found = plan()
    result, lanes = Trainer(found, "bank-a", flat).finish(
        network.initial(found.layers, b""), tabular.unscaled(found.columns), rounds=1
    )
    assert result.joint.auc is None
    assert result.record()["auc"] == {"alone_ppm": None, "joint_ppm": None, "personal_ppm": None}
    assert results.read_figure_lanes(lanes, 2).auc is None


BAD: dict[str, tuple[type[Exception], Callable[[Rows], Rows], dict[str, Any]]] = {
    "too few train rows": (TooFewRows, lambda rows: rows, {"minimum_rows": 300}),
    "too many train rows": (TooManyRows, lambda rows: rows, {"examples_max": 100}),
    "a class that the plan does not list": (LabelUnknown, three_classes, {}),
    "no validation row": (TooFewRows, lambda rows: rows, {"split": {"validation_ppm": 1}}),
}


@pytest.mark.parametrize("case", BAD)
def test_rows_that_do_not_fit_the_plan_are_refused(case: str) -> None:
    failure, changed, changes = BAD[case]
    with pytest.raises(failure) as raised:
        Trainer(plan(**changes), "bank-a", changed(BANKS["bank-a"]))
    assert "align" not in str(raised.value), "banks with different clients align none"


def test_a_stranger_trains_nothing() -> None:
    with pytest.raises(PlanInvalid):
        Trainer(plan(), "bank-z", BANKS["bank-a"])


def test_a_model_file_is_read_back_whole_or_not_at_all() -> None:
    found = plan()
    scaling = tabular.unscaled(found.columns)
    model = results.plan_model(found, scaling, network.initial(found.layers, b""))
    again = Model.decode(model.encode())
    assert again.digest == model.digest
    assert again.columns == found.columns
    np.testing.assert_array_equal(again.chances(BANKS["bank-a"]), model.chances(BANKS["bank-a"]))
    value = packing.unpack(model.encode())
    assert isinstance(value, dict)
    for bad in (
        b"",
        b"EP1\n",
        packing.pack({**value, "version": 2}),
        packing.pack({**value, "extra": 1}),
        packing.pack([]),
    ):
        with pytest.raises(ModelUnreadable):
            Model.decode(bad)


def test_the_start_is_the_plans_own() -> None:
    one, other = plan(), plan(nonce="01" * 16)
    assert plan_seed(one) != plan_seed(other)
    assert hashlib.sha256(plan_seed(one)).digest() == hashlib.sha256(plan_seed(plan())).digest()
