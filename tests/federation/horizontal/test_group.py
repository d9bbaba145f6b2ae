"""The aggregation in an ordinary Flower app: terms agreed once, keys in Flower's own state, nodes known by number."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from federation.grid import FLOWER_RUN, LocalGrid, made_message, node_number
from federation.horizontal import flower, wire
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.group import Group, PartnerKeys
from federation.horizontal.lanes import Update
from federation.horizontal.mod import flower_store
from federation.horizontal.presence import AskedNames
from federation.records import metadata
from privacy.aggregation import RosterInvalid
from privacy.ids import PartnerId
from tests.federation.horizontal.parties import NAMES, roster, sealing_key, signing_key
from tests.support.entropy import SeededEntropy

PUBLIC = {n: PartnerKeys(signing=signing_key(n).public, sealing=sealing_key(n).public) for n in NAMES[:4]}
GROUP = Group(name="test", partners=PUBLIC, update=Update(clip=2.0, examples_max=1000))


def partner(context: Context) -> str:
    return str(context.node_config["partner"])


def client(group: Group, name: str, step: float = 1.0) -> ClientApp:
    app = group.client(
        partner, lambda c: (signing_key(partner(c)), sealing_key(partner(c))), SeededEntropy(name.encode())
    )

    @app.train()
    def train(message: Message, context: Context) -> Message:
        moved = Array(message.content["arrays"]["w"].numpy() + step)
        figures = MetricRecord({"num-examples": 10})
        return Message(RecordDict({"a": ArrayRecord({"w": moved}), "m": figures}), reply_to=message)

    return app


def start() -> ArrayRecord:
    return ArrayRecord({"w": Array(np.zeros(2))})


def test_a_run_over_a_grid_that_knows_nodes_by_number() -> None:
    grid = LocalGrid({name: client(GROUP, name) for name in PUBLIC}, "ab" * 32)
    names = AskedNames()
    strategy = GROUP.strategy(FedAvg(fraction_evaluate=0.0), FLOWER_RUN, names=names)
    result = strategy.start(grid, start(), num_rounds=2)
    np.testing.assert_allclose(result.arrays["w"].numpy(), [2.0, 2.0], atol=1e-5)
    assert names(grid) == {name: node_number(name) for name in PUBLIC}


def test_a_node_that_claims_another_name_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """bank-d answers to bank-a's name: what it signs does not verify, and what is sealed for bank-a it can't open."""
    monkeypatch.setattr("federation.horizontal.presence.GRACE_SECONDS", 0.05)
    apps: dict[str, Any] = {name: client(GROUP, name) for name in PUBLIC}
    real = apps["bank-d"]

    def lying(message: Message, context: Context) -> Message:
        if message.metadata.message_type == "query.who":
            body = RecordDict({"body": ConfigRecord({"body": b"bank-a"})})
            return Message(body, reply_to=message)
        answered: Message = real(message=message, context=context)
        return answered

    apps["bank-d"] = lying
    strategy = GROUP.strategy(
        FedAvg(fraction_evaluate=0.0), FLOWER_RUN, names=AskedNames(), patience_seconds=0.1, attempts=1
    )
    with pytest.raises(QuorumMissing):
        strategy.start(LocalGrid(apps, "ab" * 32), start(), num_rounds=1)


def test_other_terms_make_another_job() -> None:
    others = [
        replace(GROUP, name="other"),
        replace(GROUP, colluders=2),
        replace(GROUP, update=Update(clip=3.0, examples_max=1000)),
        replace(GROUP, update=Update(clip=2.0, examples_max=1000, metrics={"loss": 1.0})),
        replace(GROUP, partners=dict(reversed(PUBLIC.items()))),
        replace(GROUP, partners={**PUBLIC, "bank-a": PUBLIC["bank-b"]}),
    ]
    assert len({GROUP.job(1), GROUP.job(2), *(group.job(1) for group in others)}) == 8
    assert GROUP.roster == roster(4)


def asked(app: ClientApp, name: str, run_id: int, phase: str, body: bytes) -> bytes:
    """One phase at a node whose state of this Flower run is empty."""
    known = metadata(
        run=run_id, source=1, target=node_number(name), message_id="m", kind=f"query.{phase}", group=f"1.0.{phase}"
    )
    context = Context(run_id, node_number(name), {"partner": name}, RecordDict(), {})
    return flower.read_body(app(made_message(known, content=flower.body_content(body)), context))


def test_keys_of_one_run_open_nothing_in_a_second_run_of_the_same_group() -> None:
    """A server may start the app again: the nodes' state is fresh, and shares of the first run would be held anew."""
    apps = {name: client(GROUP, name) for name in PUBLIC}
    dealt = wire.decode_dealt(asked(apps["bank-a"], "bank-a", 1, "deal", wire.encode_deal(["1.0"])))
    dealer, holder = (PartnerId(name) for name in ("bank-a", "bank-b"))
    packet = wire.encode_hold([wire.Dealing(dealer=dealer, publics=dealt.publics, sealed=dealt.sealed[holder])])
    assert wire.decode_held(asked(apps["bank-b"], "bank-b", 1, "hold", packet)) == ()
    (complaint,) = wire.decode_held(asked(apps["bank-b"], "bank-b", 2, "hold", packet))
    assert (complaint.dealer, complaint.key) == ("bank-a", "1.0")


@pytest.mark.parametrize("said", [RecordDict(), RecordDict({"body": ConfigRecord({"body": "bank-b"})})])
def test_a_node_that_does_not_say_its_name_is_nobody(said: RecordDict) -> None:
    bodies = {"one": flower.body_content(b"bank-a"), "two": said}
    apps: dict[str, Any] = {
        name: lambda message, context, body=body: Message(body, reply_to=message) for name, body in bodies.items()
    }
    assert AskedNames()(LocalGrid(apps, "ab" * 32)) == {"bank-a": node_number("one")}


class Roll(LocalGrid):
    """A grid whose nodes come and go: those named in `away` are not there."""

    away: tuple[str, ...] = ()

    def get_node_ids(self) -> list[int]:
        gone = {node_number(name) for name in self.away}
        return [number for number in super().get_node_ids() if number not in gone]


def test_a_node_that_was_started_again_is_known_under_its_new_number() -> None:
    bodies = {"one": b"bank-a", "two": b"bank-b", "one again": b"bank-a"}
    apps: dict[str, Any] = {
        name: lambda message, context, body=body: Message(flower.body_content(body), reply_to=message)
        for name, body in bodies.items()
    }
    grid, names = Roll(apps, "ab" * 32), AskedNames()
    grid.away = ("one again",)
    assert names(grid) == {"bank-a": node_number("one"), "bank-b": node_number("two")}
    grid.away = ("one", "two")
    assert names(grid) == {"bank-a": node_number("one again")}
    grid.away = ()
    assert names(grid) == {"bank-a": node_number("one"), "bank-b": node_number("two")}, "of two here, the first"


@pytest.mark.parametrize(("partners", "sits_out"), [(3, []), (4, [2, 3])])
def test_a_node_that_loses_its_state_within_a_run_is_in_again_once_new_keys_are_dealt(
    partners: int, sits_out: list[int]
) -> None:
    """Keys are dealt in rounds 1 and 4; bank-c forgets all before it trains in round 2. Three of three are all needed:
    a second attempt with fresh keys; of four, the others go on alone while keys of before are used."""
    known = dict(list(PUBLIC.items())[:partners])
    group = replace(GROUP, partners=known)
    grid = LocalGrid({name: client(group, name) for name in known}, "ab" * 32)
    attempts: set[tuple[int, int]] = set()

    def forget(event: Event) -> None:
        attempts.add((event.round, event.attempt))
        if (event.round, event.attempt, event.phase) == (2, 0, "train") and "asked" in event.states.values():
            grid._contexts["bank-c"].state = RecordDict()

    options: Any = {"on_event": forget, "prepare_rounds": 3}
    strategy = group.strategy(FedAvg(fraction_evaluate=0.0), FLOWER_RUN, **options)
    arrays, absent = start(), []
    for number in range(1, 6):
        arrays, _ = strategy.train_round(grid, number, arrays, ConfigRecord())
        assert strategy.last_sum is not None
        absent += [number] if "bank-c" not in strategy.last_sum.cohort else []
    assert absent == sits_out
    assert {number for number, attempt in attempts if attempt == 1} == ({2, 3} if partners == 3 else set())
    np.testing.assert_allclose(arrays["w"].numpy(), [5.0, 5.0], atol=1e-5)


def test_partners_with_other_terms_do_not_mix() -> None:
    """One partner believes in a wider clip: nothing that it deals or signs fits."""
    other = replace(GROUP, update=Update(clip=200.0, examples_max=1000))
    apps = {name: client(other if name == "bank-b" else GROUP, name, 100.0) for name in PUBLIC}
    strategy = GROUP.strategy(FedAvg(fraction_evaluate=0.0), FLOWER_RUN, patience_seconds=0.1)
    result = strategy.start(LocalGrid(apps, "ab" * 32), start(), num_rounds=1)
    assert strategy.last_sum is not None
    assert "bank-b" not in strategy.last_sum.cohort
    assert np.linalg.norm(result.arrays["w"].numpy()) < 2.001


def test_a_group_of_one_is_none() -> None:
    with pytest.raises(RosterInvalid):
        _ = replace(GROUP, partners={"bank-a": PUBLIC["bank-a"]}).roster


def test_keys_live_in_flowers_state() -> None:
    context = Context(1, 1, {"partner": "bank-a"}, RecordDict(), {})
    store = flower_store(context)
    store["own/1.0"] = b"secret"
    assert dict(flower_store(context)) == {"own/1.0": b"secret"}
    assert flower_store(context).pop("own/1.0") == b"secret"
    assert list(flower_store(context)) == []
