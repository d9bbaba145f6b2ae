"""Whole runs: encrypted sums are the plain ones bit for bit, for every model and strategy, and figures follow."""

from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord

from federation import grid, tabular
from federation.errors import StatisticsImplausible
from federation.horizontal import server, terms
from federation.horizontal.checkpoint import Checkpoint
from federation.horizontal.results import RunResult
from federation.horizontal.trainer import Trainer, plan_seed
from federation.metrics import auc
from federation.models import network
from federation.models.network import Parameters
from federation.plan_horizontal import HorizontalPlan
from privacy import canonical
from privacy.ids import PartnerId
from privacy.paillier import Paillier
from tests.federation import banks
from tests.federation.horizontal import runs
from tests.federation.horizontal.runs import World
from tests.federation.plans import horizontal

PARTNERS = ("bank-a", "bank-b", "bank-c", "bank-d")
BANKS = banks.synthetic(PARTNERS, rows=200)
TRADES = {"column": "trade", "classes": ["farm", "shop", "office"]}
NUMBERS = [{"name": name, "kind": "number", "transform": "signed_log"} for name in ("age", "balance")]
ADAPTIVE = ("fedadam", "fedyogi", "fedadagrad", "fedavgm")

CASES: dict[str, dict[str, Any]] = {
    "logistic by average": {},
    "logistic with a proximal term": {"strategy": {"name": "fedprox", "proximal_micro": 100_000}},
    "mlp in batches": {"model": "mlp", "training": {"hidden": [8], "batch": 32, "rate_micro": 200_000}},
    **{f"logistic by {name}": {"strategy": {"name": name, "server_rate_micro": 100_000}} for name in ADAPTIVE},
    "without common scaling": {"standardise": "none", "columns": NUMBERS},
}


def weights(result: RunResult) -> bytes:
    return b"".join(one.tobytes() for one in result.model.parameters)


def by_hand(world: World) -> Parameters:
    """The run of plain averages as sums of integers: no grid, no protocol, no strategy."""
    plan = world.plan
    trainers = [Trainer(plan, partner, world.tables[partner]) for partner in plan.partners]
    bits = world.engine.value_bits
    update = terms.update_terms(plan, bits)
    lanes = np.sum([trainer.statistics() for trainer in trainers], axis=0)
    scaling = tabular.read_statistics(plan.columns, len(plan.classes), lanes, len(trainers)).scaling
    parameters = network.initial(plan.layers, plan_seed(plan))
    for round_ in range(1, plan.training.rounds + 1):
        before = np.concatenate([one.ravel() for one in parameters])
        parts = []
        for trainer in trainers:
            made = trainer.fit(round_, parameters, scaling)
            moved = np.concatenate([one.ravel() for one in made.update])
            assert made.loss is not None
            parts.append(update.encode(moved, made.examples, {terms.LOSS: made.loss}, bits))
        after = before + update.decode(np.sum(parts, axis=0), len(parts), bits).update
        cuts = np.cumsum([one.size for one in parameters])[:-1]
        pairs = zip(np.split(after, cuts), parameters, strict=True)
        parameters = tuple(part.reshape(one.shape) for part, one in pairs)
    return parameters


@pytest.mark.parametrize("case", CASES)
def test_an_encrypted_run_is_the_plain_one_bit_for_bit(case: str) -> None:
    body = horizontal(PARTNERS, **CASES[case])
    hidden, shown = runs.world(body, BANKS), runs.plain(body, BANKS)
    found, expected = hidden.run(), shown.run()
    assert weights(found) == weights(expected)
    assert found.model.encode() == expected.model.encode()
    assert found.record() == {**expected.record(), "engine": "threshold"}
    assert found.told == expected.told
    losses = [facts.loss_micro for facts in found.state.history]
    assert len(losses) == 5
    assert losses[-1] < 0.99 * losses[0]  # type: ignore[operator]


@pytest.mark.parametrize("case", ["logistic by average", "mlp in batches"])
def test_a_run_of_averages_is_a_sum_of_integers_and_nothing_else(case: str) -> None:
    world = runs.world(horizontal(PARTNERS, **CASES[case]), BANKS)
    result = world.run()
    assert weights(result) == b"".join(one.tobytes() for one in by_hand(world))


def test_a_run_on_a_dealers_key_ends_with_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.paillier.engine._BITS_MIN", 512)  # a key that is made in an instant
    body = horizontal(PARTNERS[:3], standardise="none", columns=NUMBERS, training={"rounds": 2})
    chosen = {**body, "engine": {"name": "paillier", "dealer": "bank-b", "bits": 3072}}
    plan = HorizontalPlan.from_body(chosen)
    engine = Paillier(plan.roster, PartnerId("bank-b"), 512)
    found = runs.world(chosen, BANKS, engine).run()
    assert weights(found) == weights(runs.world(body, BANKS).run())
    record = found.record()
    assert (record["engine"], record["dealer"]) == ("paillier", "bank-b")


def test_three_classes_are_told_apart() -> None:
    tables = {name: three(table) for name, table in BANKS.items()}
    body = horizontal(PARTNERS, model="multinomial", label=TRADES, columns=NUMBERS, training={"rounds": 3})
    result = runs.world(body, tables).run()
    assert result.figures.auc is not None and result.figures.auc > 0.6
    assert result.model.parameters[0].shape == (2, 3)
    assert weights(result) == weights(runs.plain(body, tables).run())


def three(table: tabular.Rows) -> tabular.Rows:
    """The age decides between three trades."""
    age = np.nan_to_num(table.columns["age"], nan=40.0)
    label = np.array(TRADES["classes"])[np.digitize(age + table.columns["balance"] % 7, [36, 50])]
    return tabular.Rows(keys=table.keys, columns=table.columns, label=label)


def test_figures_of_the_run_and_of_every_partner() -> None:
    body = horizontal(PARTNERS, personalise={"steps": 5, "rate_micro": 100_000})
    world = runs.world(body, BANKS)
    result = world.run()
    record = result.record()
    canonical.encode(record)
    values, truth = [], []
    for partner in PARTNERS:
        kept, told = world.kept[partner], result.told[partner]
        assert told == kept.record()
        assert kept.model.digest == record["model_digest"] == result.model.digest
        assert kept.personal is not None and kept.alone.auc is not None
        test = tabular.parts(BANKS[partner].keys, world.plan.split) == tabular.TEST
        values.append(result.model.chances(BANKS[partner])[test, 1])
        truth.append(BANKS[partner].label[test] == "1")
        assert kept.rows["test"] == test.sum()
    assert record["rows_test"] == sum(map(len, truth))
    assert record["rows_train"] == sum(kept.rows["train"] for kept in world.kept.values())
    exact = auc(np.concatenate(truth), np.concatenate(values))
    assert result.figures.auc == pytest.approx(exact, abs=1e-3)
    chance = np.where(np.concatenate(truth), np.concatenate(values), 1 - np.concatenate(values))
    assert result.figures.log_loss == pytest.approx(-np.log(chance).mean(), abs=1e-5)
    assert isinstance(record["rows_by_class"], list) and sum(record["rows_by_class"]) == record["rows_train"]  # type: ignore[arg-type]
    assert record["loss_rows"] == "validation"
    assert record["noise"] is None and record["dealer"] is None and record["void_attempts"] == 0
    assert [facts.cohort for facts in result.state.history] == [PARTNERS] * 5


def test_common_scaling_is_that_of_all_rows_together() -> None:
    world = runs.world(horizontal(PARTNERS, training={"rounds": 1}), BANKS)
    scaling = world.run().model.scaling
    pool = banks.pooled(BANKS)
    train = tabular.parts(pool.keys, world.plan.split) == tabular.TRAIN
    values = tabular.read_inputs(world.plan.columns, pool).values[train][:, :2]
    np.testing.assert_allclose(scaling.means[:2], np.nanmean(values, axis=0), atol=1e-6)
    np.testing.assert_allclose(scaling.deviations[:2], np.nanstd(values, axis=0), atol=1e-6)


def test_without_common_scaling_no_statistics_are_asked_for() -> None:
    world = runs.world(horizontal(PARTNERS, standardise="none", training={"rounds": 1}), BANKS)
    world.run()
    assert {event.phase for event in world.events if event.round == 0} == set()
    assert "statistics" in {event.phase for event in with_statistics().events}


def with_statistics() -> World:
    world = runs.world(horizontal(PARTNERS, training={"rounds": 1}), BANKS)
    world.run()
    return world


def test_an_update_beyond_the_clip_is_shortened_and_counted() -> None:
    body = horizontal(PARTNERS, clip_milli=10, training={"rounds": 2})
    result = runs.world(body, BANKS).run()
    assert result.record()["shortened"] == 2 * len(PARTNERS)
    moved = np.sqrt(sum(float((one**2).sum()) for one in result.model.parameters))
    assert 0 < moved <= 2 * 0.010 * 1.001


def test_early_stop_keeps_the_best_weights() -> None:
    wild = {"rate_micro": 40_000_000, "rounds": 9, "steps": 1}
    body = horizontal(PARTNERS, training=wild, clip_milli=100_000, early_stop={"patience": 2, "tolerance_ppm": 1_000})
    world = runs.world(body, BANKS)
    result = world.run()
    losses = [facts.loss_micro or 0 for facts in result.state.history]
    record = result.record()
    assert record["stopped_early"] is True
    best = record["best_round"]
    assert isinstance(best, int) and losses[best - 1] == min(losses)
    assert len(losses) == best + 2 < 9
    began = Checkpoint.decode(*world.saved[best - 1])  # after the round before: what the best round began with
    assert began.round == best - 1
    assert weights(result) == b"".join(one.tobytes() for one in began.parameters)


def test_while_the_loss_falls_all_rounds_are_run() -> None:
    body = horizontal(PARTNERS, early_stop={"patience": 2, "tolerance_ppm": 0})
    result = runs.world(body, BANKS).run()
    assert result.record()["stopped_early"] is False
    assert weights(result) == weights(runs.world(horizontal(PARTNERS), BANKS).run())


def test_statistics_that_no_rows_can_have_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = runs.world(horizontal(PARTNERS), BANKS)
    honest = Trainer.statistics
    monkeypatch.setattr(Trainer, "statistics", lambda self: honest(self) * 0)
    with pytest.raises(StatisticsImplausible):
        world.run()


@pytest.mark.parametrize("word", [b"{", b"x" * (server.TOLD_BYTES_MAX + 1)])
def test_a_partners_word_that_cannot_be_read_is_no_word(word: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    world = runs.world(horizontal(PARTNERS, training={"rounds": 1}), BANKS)
    encode = canonical.encode

    def spoilt(value: Any) -> bytes:
        return (
            word if isinstance(value, dict) and value.get("partner") == "bank-b" and "auc" in value else encode(value)
        )

    monkeypatch.setattr("federation.horizontal.client.canonical.encode", spoilt)
    result = world.run()
    assert result.told["bank-b"] is None
    assert result.told["bank-a"] is not None


def test_nothing_but_ciphertext_and_own_figures_leaves_a_partner() -> None:
    world = runs.world(horizontal(PARTNERS, training={"rounds": 1}), BANKS, durable=True)
    world.run()
    channel = world.channel
    assert channel is not None
    seen = set()
    for message_id in channel.executed:
        reply = grid.decode(channel.load(message_id))
        phase = message_id.split(".")[-1].split("-")[0]
        seen.add((phase, frozenset(reply.content)))
        assert not any(isinstance(record, ArrayRecord) for record in reply.content.values())
    upload = frozenset({"upload"})
    body = frozenset({"body"})
    assert seen == {
        ("deal", body),
        ("hold", body),
        ("answer", body),
        ("statistics", upload),
        ("train", upload),
        ("finish", frozenset({"upload", "clear"})),
    }
