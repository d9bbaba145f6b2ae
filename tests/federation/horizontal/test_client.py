"""A partner's application answers only what its plan allows, whatever the hub sends."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from federation import grid, records, tabular
from federation.errors import FlowerContentMalformed
from federation.grid import Request
from federation.horizontal import client
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.trainer import Task, Trainer
from federation.models import network
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Scaling
from privacy import packing
from tests.federation import banks
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal import runs
from tests.federation.plans import horizontal

PARTNERS = ("bank-a", "bank-b", "bank-c")
PLAN = HorizontalPlan.from_body(horizontal(PARTNERS))
UNSCALED = HorizontalPlan.from_body(horizontal(PARTNERS, standardise="none"))
BANKS = banks.synthetic(PARTNERS, rows=100)
NEUTRAL = client.pack_scaling(tabular.unscaled(PLAN.columns))


def arrays(**changes: Any) -> ArrayRecord:
    record = {name: array.numpy() for name, array in client.array_record(PLAN, network.initial((5, 1), b"")).items()}
    return ArrayRecord({name: Array(value) for name, value in {**record, **changes}.items()})


def scaled(means: Any, deviations: Any) -> bytes:
    return packing.pack({"means": means, "deviations": deviations})


def test_parameters_come_back_as_they_were_sent() -> None:
    deep = HorizontalPlan.from_body(horizontal(PARTNERS, model="mlp", training={"hidden": [4]}))
    sent = network.initial(deep.layers, b"seed")
    found = client.read_arrays(deep, client.array_record(deep, sent))
    assert all(np.array_equal(one, other) for one, other in zip(found, sent, strict=True))


BAD_ARRAYS = {
    "another shape": arrays(**{"layer0.weights": np.zeros((4, 1))}),
    "another width": arrays(**{"layer0.bias": np.zeros(1, np.float32)}),
    "not a number": arrays(**{"layer0.bias": np.array([np.nan])}),
    "a weight beyond the bound": arrays(**{"layer0.bias": np.array([-(2.0**20) * 1.001])}),
    "another layer": arrays(**{"layer1.bias": np.zeros(1)}),
    "nothing": ArrayRecord({}),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_other_weights_than_the_plans_are_refused(case: str) -> None:
    with pytest.raises(FlowerContentMalformed):
        client.read_arrays(PLAN, BAD_ARRAYS[case])


BAD_SCALING = {
    "no packing": b"scaling",
    "a list": packing.pack([]),
    "too short": scaled(np.zeros(4), np.ones(4)),
    "no deviation": scaled(np.zeros(5), np.zeros(5)),
    "a deviation below zero": scaled(np.zeros(5), -np.ones(5)),
    "not a number": scaled(np.full(5, np.nan), np.ones(5)),
    "no deviation that is a number": scaled(np.zeros(5), np.full(5, np.nan)),
    "a deviation below a step": scaled(np.zeros(5), np.full(5, 2.0**-21)),
    "a deviation beyond all numbers": scaled(np.zeros(5), np.full(5, 2.0**29)),
    "a mean beyond all numbers": scaled(np.full(5, 2.0**29), np.ones(5)),
    "whole numbers": scaled(np.zeros(5, np.int64), np.ones(5, np.int64)),
    "text": packing.pack({"means": "0", "deviations": "1"}),
}


@pytest.mark.parametrize("case", BAD_SCALING)
def test_another_scaling_is_refused(case: str) -> None:
    with pytest.raises(FlowerContentMalformed):
        client.read_scaling(PLAN, BAD_SCALING[case])


def test_a_plan_without_scaling_takes_none() -> None:
    moved = client.pack_scaling(Scaling(means=np.ones(5), deviations=np.ones(5)))
    assert client.read_scaling(PLAN, moved).means.tolist() == [1.0] * 5
    with pytest.raises(FlowerContentMalformed):
        client.read_scaling(UNSCALED, moved)
    assert client.read_scaling(UNSCALED, NEUTRAL).means.tolist() == [0.0] * 5


BAD_CONFIG: dict[str, dict[str, Any]] = {
    "no round": {"server-round": None},
    "a round as text": {"server-round": "1"},
    "a round that is a truth value": {"server-round": True},
    "a round before the first": {"server-round": 0},
    "a round after the last": {"server-round": 7},
    "no scaling": {"scaling": None},
    "a scaling as text": {"scaling": "neutral"},
}


@pytest.mark.parametrize("case", BAD_CONFIG)
def test_a_request_out_of_the_plan_trains_nothing(case: str) -> None:
    values = {"server-round": 1, "scaling": NEUTRAL, **BAD_CONFIG[case]}
    config = ConfigRecord({name: value for name, value in values.items() if value is not None})
    content = RecordDict({"arrays": arrays(), "config": config})
    with pytest.raises(FlowerContentMalformed):
        client._read(PLAN, content, {"server-round"})


def test_a_request_with_another_record_trains_nothing() -> None:
    config = ConfigRecord({"server-round": 1, "scaling": NEUTRAL})
    for content in ({"arrays": arrays()}, {"config": config}, {"arrays": arrays(), "config": config, "code": config}):
        with pytest.raises(FlowerContentMalformed):
            client._read(PLAN, RecordDict(content), {"server-round"})


def test_rows_are_read_only_when_they_are_needed() -> None:
    world = runs.world(horizontal(PARTNERS, training={"rounds": 1}), BANKS)
    asked: list[str] = []
    made = Trainer(world.plan, "bank-a", BANKS["bank-a"])

    def trainer(_: Task) -> Trainer:
        asked.append(world.events[-1].phase if world.events else "before")
        return made

    world.apps["bank-a"] = world.app("bank-a", trainer)
    world.run()
    assert len(asked) == 3  # statistics, one round, the finish; nothing for deal, hold and answer


class Unfair(MemoryChannel):
    """A hub that gives one partner another scaling than the others, to tell its update from the sum."""

    victim = "bank-b"

    def post(self, requests: Sequence[Request]) -> None:
        changed = []
        for request in requests:
            message = grid.decode(request.content)
            if request.node == self.victim and message.metadata.message_type == "train":
                scaling = client.read_scaling(PLAN, bytes(message.content["config"]["scaling"]))
                other = Scaling(means=scaling.means + 1e-9, deviations=scaling.deviations)
                message.content["config"]["scaling"] = client.pack_scaling(other)
                request = replace(request, content=records.encode(message))
            changed.append(request)
        super().post(changed)


def test_a_partner_given_another_scaling_than_the_rest_is_in_no_sum() -> None:
    world = runs.world(horizontal(PARTNERS, training={"rounds": 1}), BANKS)
    world.channel = Unfair(world.apps)
    with pytest.raises(QuorumMissing):
        world.run()
    assert [state for event in world.events for state in event.states.values() if state == "UPLOAD_MALFORMED"]
    assert not [event for event in world.events if (event.round, event.phase) == (1, "answer")]
