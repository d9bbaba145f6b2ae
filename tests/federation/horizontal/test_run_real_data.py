"""On real rows: the joint model ranks all test rows as well as the same model fitted to the pooled rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federation import tabular
from federation.metrics import auc
from federation.models import logistic, network
from federation.models.network import Work
from tests.federation import banks
from tests.federation.horizontal import runs
from tests.federation.horizontal.runs import World
from tests.federation.plans import PRIVACY
from tests.support.shared_data import data_folder

pytestmark = [pytest.mark.real_data, pytest.mark.slow_flow]
Case = tuple[banks.Banks, dict[str, Any]]

CASES: dict[str, tuple[Callable[[], Case], float]] = {  # name: (rows and plan, largest distance of the global AUC)
    "household survey, any direct holding": (lambda: banks.survey(data_folder("scf2022"), "y_direct"), 0.003),
    "household survey, large direct holding": (lambda: banks.survey(data_folder("scf2022"), "y_direct100k"), 0.003),
    "phone campaign": (lambda: banks.campaign(data_folder("uci_bank_marketing")), 0.005),
}


class Pooled:
    """All banks' rows in one place, prepared as the plan says."""

    def __init__(self, world: World) -> None:
        plan, pool = world.plan, banks.pooled(world.tables)
        part = tabular.parts(pool.keys, plan.split)
        values = tabular.read_inputs(plan.columns, pool).values
        classes = tabular.read_label(plan.label_column, plan.classes, pool)
        own = tabular.statistics(plan.columns, 2, values[part == tabular.TRAIN], classes[part == tabular.TRAIN])
        self.scaling = tabular.read_statistics(plan.columns, 2, own, 1).scaling
        scaled = self.scaling.apply(values)
        self.plan = plan
        self.train, self.train_classes = scaled[part == tabular.TRAIN], classes[part == tabular.TRAIN]
        self.test, self.truth = scaled[part == tabular.TEST], classes[part == tabular.TEST] == 1

    def fitted(self) -> float:
        """The AUC of logistic regression solved to its optimum."""
        return auc(self.truth, logistic.fit(self.train, self.train_classes == 1, 1.0).scores(self.test))

    def stepped(self) -> float:
        """The AUC of the same model after as many steps as one partner makes."""
        training = self.plan.training
        steps = training.steps * training.rounds
        work = Work(steps=steps, batch=0, rate=training.rate_micro / 1e6, l2=training.l2_micro / 1e6)
        made = network.fit_local(network.initial(self.plan.layers, b""), self.train, self.train_classes, work, b"")
        return auc(self.truth, network.scores(made, self.test)[:, 0])


@pytest.mark.parametrize("salt", ["11" * 16, "33" * 16])
@pytest.mark.parametrize("case", CASES)
def test_the_joint_model_is_as_good_as_the_pooled_one(case: str, salt: str) -> None:
    read, distance = CASES[case]
    tables, body = read()
    body["split"]["salt"] = salt
    world = runs.world(body, tables)
    result = world.run()
    pooled = Pooled(world)
    assert np.array_equal(result.model.scaling.means, pooled.scaling.means)
    assert np.array_equal(result.model.scaling.deviations, pooled.scaling.deviations)
    joint = auc(pooled.truth, network.scores(result.model.parameters, pooled.test)[:, 0])
    assert result.figures.auc == pytest.approx(joint, abs=5e-4)  # the histogram's part
    assert result.figures.auc == pytest.approx(pooled.fitted(), abs=distance)
    if world.plan.strategy.name == "fedavg":
        assert result.figures.auc == pytest.approx(pooled.stepped(), abs=distance)
    assert result.figures.rows == len(pooled.truth)
    # the partners' own rows: gain or loss is reported alike, and most gain
    gains = [kept.joint.auc - kept.alone.auc for kept in world.kept.values() if kept.joint.auc and kept.alone.auc]
    assert len(gains) == len(world.plan.partners)
    assert np.median(gains) > 0


@pytest.mark.parametrize("case", ["household survey, any direct holding", "phone campaign"])
def test_an_encrypted_run_on_real_rows_is_the_plain_one_bit_for_bit(case: str) -> None:
    tables, body = CASES[case][0]()
    found, expected = runs.world(body, tables).run(), runs.plain(body, tables).run()
    assert found.model.encode() == expected.model.encode()
    assert found.told == expected.told
    assert found.record() == {**expected.record(), "engine": "threshold"}


def test_training_with_noise_is_of_use_where_numbers_have_a_public_scale() -> None:
    tables, body = banks.survey(data_folder("scf2022"), "y_direct")
    noisy = {
        **body,
        "standardise": "none",
        "training": {**body["training"], "steps": 1, "rate_micro": 2_000_000},
        "privacy": {**PRIVACY, "noise_multiplier_milli": 3_000},
    }
    raw = ranked(runs.world(noisy, tables))
    scaled = ranked(runs.world({**noisy, "columns": public_scale(body["columns"], banks.pooled(tables))}, tables))
    assert scaled > 0.86
    assert scaled > raw + 0.02


def ranked(world: World) -> float:
    """The joint model's AUC on all test rows. A plan with noise tells nobody; here is who owns them all."""
    result, plan, pool = world.run(), world.plan, banks.pooled(world.tables)
    assert result.figures.auc is None
    test = tabular.parts(pool.keys, plan.split) == tabular.TEST
    values = result.model.scaling.apply(tabular.read_inputs(plan.columns, pool).values[test])
    truth = tabular.read_label(plan.label_column, plan.classes, pool)[test] == 1
    return auc(truth, network.scores(result.model.parameters, values)[:, 0])


def public_scale(columns: list[dict[str, Any]], pool: tabular.Rows) -> list[dict[str, Any]]:
    """Round figures as a public statistic would give them."""
    found = []
    for column in columns:
        values = pool.columns[column["name"]]
        values = np.sign(values) * np.log1p(np.abs(values)) if column["transform"] == "signed_log" else values
        spread = max(0.1, float(f"{values.std():.0e}"))
        found.append({**column, "centre_milli": round(values.mean()) * 1_000, "spread_milli": round(spread * 1_000)})
    return found


def test_a_small_net_learns_on_real_rows() -> None:
    tables, body = banks.survey(data_folder("scf2022"), "y_direct")
    body |= {"model": "mlp", "training": {**body["training"], "hidden": [16], "rate_micro": 200_000}}
    world = runs.world(body, tables)
    result = world.run()
    assert result.figures.auc == pytest.approx(Pooled(world).fitted(), abs=0.02)
