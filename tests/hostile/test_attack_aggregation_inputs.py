"""What an application or a node may not send, and what becomes of it (rule g and the edges of the protocol)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict

from federation.grid import LocalGrid
from federation.horizontal import wire
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.strategy import HomomorphicStrategy
from privacy.aggregation import RoundVoid
from privacy.errors import Failure
from privacy.threshold import Threshold, public_seed
from tests.federation.horizontal.parties import JOB, Parties, client, roster, start, vector
from tests.hostile.aggregation import CHEAT, TERMS, Hub, led, mixed, round_of, slot
from tests.hostile.test_attack_aggregation_shares import WrongAnswers


def reply(**changes: Any) -> RecordDict:
    base = {"w": np.ones(2), "b": np.ones(1)} | changes.pop("arrays", {})
    figures = {"num-examples": 50, "loss": 1.0} | changes.pop("metrics", {})
    arrays = ArrayRecord({name: Array(np.asarray(value)) for name, value in base.items() if value is not None})
    records: dict[str, Any] = {
        "arrays": arrays,
        "metrics": MetricRecord({k: v for k, v in figures.items() if v is not None}),
    }
    return RecordDict(records | changes)


BAD_REPLIES: Mapping[str, Callable[[], RecordDict]] = {
    "not a number": lambda: reply(arrays={"w": np.array([np.nan, 0.0])}),
    "infinite": lambda: reply(arrays={"w": np.array([np.inf, 0.0])}),
    "another shape": lambda: reply(arrays={"w": np.ones((2, 1))}),
    "another width": lambda: reply(arrays={"w": np.ones(2, np.float32)}),
    "whole numbers": lambda: reply(arrays={"w": np.ones(2, np.int64)}),
    "one array less": lambda: reply(arrays={"b": None}),
    "one array more": lambda: reply(arrays={"c": np.ones(1)}),
    "a metric less": lambda: reply(metrics={"loss": None}),
    "a metric more": lambda: reply(metrics={"accuracy": 0.5}),
    "a list for a metric": lambda: reply(metrics={"loss": [1.0, 2.0]}),
    "no examples": lambda: reply(metrics={"num-examples": None}),
    "fewer than no examples": lambda: reply(metrics={"num-examples": -1}),
    "half an example": lambda: reply(metrics={"num-examples": 1.5}),
    "a metric that is no number": lambda: reply(metrics={"loss": float("nan")}),
    "something in clear": lambda: reply(clear=ConfigRecord({"rows": 3})),
    "settings for figures": lambda: RecordDict(
        {
            "arrays": ArrayRecord({"w": Array(np.ones(2)), "b": Array(np.ones(1))}),
            "c": ConfigRecord({"num-examples": 50}),
        }
    ),
    "nothing": RecordDict,
}


@pytest.mark.parametrize("case", BAD_REPLIES)
def test_what_an_application_may_not_send_does_not_leave_its_node(case: str) -> None:
    parties, events = Parties(roster(4)), []
    apps = parties.apps(TERMS)
    apps[CHEAT] = client(parties.members[CHEAT], TERMS, lambda message, context: BAD_REPLIES[case]())
    strategy = led(parties, events)
    strategy.train_round(LocalGrid(apps, JOB), 1, start(), ConfigRecord())
    states = next(e.states for e in reversed(events) if e.phase == "train")
    assert states[CHEAT] in {"UPDATE_REFUSED", "VALUE_NOT_FINITE"}
    assert strategy.last_sum is not None
    assert CHEAT not in strategy.last_sum.cohort


def tampered(change: Callable[[RecordDict], RecordDict]) -> tuple[HomomorphicStrategy, list[Event]]:
    """A round in which CHEAT's reply to "train" is replaced behind its mod."""
    parties, events = Parties(roster(4)), []
    apps: dict[str, Any] = dict(parties.apps(TERMS))
    real = apps[CHEAT]

    def behind(message: Message, context: Context) -> Message:
        kind = message.metadata.message_type
        answer = real(message=message, context=context)
        return Message(change(answer.content), reply_to=message) if kind == "train" else answer

    apps[CHEAT] = behind
    strategy = led(parties, events)
    strategy.train_round(LocalGrid(apps, JOB), 1, start(), ConfigRecord())
    return strategy, events


def upload(**changes: Any) -> Callable[[RecordDict], RecordDict]:
    def change(content: RecordDict) -> RecordDict:
        fields = dict(content["upload"].items())
        return RecordDict({"upload": ConfigRecord(fields | {k: make(fields) for k, make in changes.items()})})

    return change


BAD_UPLOADS: Mapping[str, Callable[[RecordDict], RecordDict]] = {
    "random bytes": upload(ciphertext=lambda fields: np.random.default_rng(1).bytes(len(fields["ciphertext"]))),
    "a byte altered": upload(ciphertext=lambda fields: fields["ciphertext"][:-1] + b"\x01"),
    "cut": upload(ciphertext=lambda fields: fields["ciphertext"][:-1]),
    "no signature": upload(signature=lambda fields: bytes(64)),
    "a short signature": upload(signature=lambda fields: b""),
    "another header": upload(header=lambda fields: fields["header"].replace(b'"attempt":0', b'"attempt":1')),
    "no header": upload(header=lambda fields: b"{}"),
    "a long header": upload(header=lambda fields: fields["header"] + b" " * 4096),
    "arrays in clear": lambda content: reply(),
    "arrays beside it": lambda content: RecordDict({**content, **reply()}),
    "clear words in an array": lambda content: RecordDict({**content, "clear": reply()["arrays"]}),
    "an empty reply": lambda content: RecordDict(),
}


@pytest.mark.parametrize("case", BAD_UPLOADS)
def test_a_malformed_upload_is_left_out_by_name(case: str) -> None:
    strategy, events = tampered(BAD_UPLOADS[case])
    states = next(e.states for e in reversed(events) if e.phase == "train")
    assert states[CHEAT] in {"UPLOAD_MALFORMED", "PHASE_MALFORMED", "BAD_SIGNATURE"}
    assert strategy.last_sum is not None
    assert strategy.last_sum.cohort == ("bank-a", "bank-c", "bank-d")


def test_an_upload_of_an_older_round_is_left_out() -> None:
    parties, events, kept = Parties(roster(4)), [], []
    apps: dict[str, Any] = dict(parties.apps(TERMS))
    real = apps[CHEAT]

    def stale(message: Message, context: Context) -> Message:
        answer = real(message=message, context=context)
        if message.metadata.message_type != "train":
            return answer
        kept.append(answer.content)
        return Message(kept[0], reply_to=message)

    apps[CHEAT] = stale
    strategy, grid = led(parties, events), LocalGrid(apps, JOB)
    arrays, _ = strategy.train_round(grid, 1, start(), ConfigRecord())
    assert strategy.last_sum is not None
    assert CHEAT in strategy.last_sum.cohort
    strategy.train_round(grid, 2, arrays, ConfigRecord())
    assert CHEAT not in strategy.last_sum.cohort
    assert next(e.states for e in reversed(events) if e.phase == "train")[CHEAT] == "UPLOAD_MALFORMED"


def test_lanes_beyond_their_bits_do_not_leave() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    member = hub.members[CHEAT]
    member.take(slot(1), wire.Input(digest=JOB, content=JOB, body=JOB))
    top = 1 << member.engine.value_bits
    for bad in (np.array([top]), np.array([-1]), np.zeros((1, 1), np.int64), np.zeros(0, np.int64), np.zeros(3)):
        with pytest.raises(Failure) as caught:
            member.upload(slot(1), bad)
        assert caught.value.code == "UPDATE_REFUSED"
    assert member.upload(slot(1), np.array([top - 1]))


def test_engines_of_another_job_do_not_fit() -> None:
    """The public matrix is of the job: an upload made for another job's matrix opens to nothing."""
    parties = Parties(roster(3))
    other = Threshold(parties.roster, public_seed(wire.sha256(b"another run")))
    parties.members[CHEAT].engine = other
    with pytest.raises((RoundVoid, QuorumMissing)):
        round_of(parties, attempts=1)


def test_a_line_is_still_learnt_beside_a_cheat() -> None:
    parties = mixed(WrongAnswers, 7)
    strategy = led(parties)
    result = strategy.start(LocalGrid(parties.apps(TERMS, None), JOB), start(), num_rounds=8)
    assert np.abs(vector(result.arrays) - np.array([2.0, -1.0, 0.5])).max() < 0.05


def test_a_model_of_whole_numbers_is_not_averaged() -> None:
    parties, events = Parties(roster(3)), []
    arrays = ArrayRecord({"w": Array(np.zeros(2, np.int64))})
    same = RecordDict({"arrays": arrays, "m": MetricRecord({"num-examples": 5, "loss": 1.0})})
    apps = {p: client(parties.members[p], TERMS, lambda message, context: same) for p in parties.roster.partners}
    with pytest.raises(QuorumMissing, match="UPDATE_REFUSED"):
        led(parties, events, attempts=1).train_round(LocalGrid(apps, JOB), 1, arrays, ConfigRecord())
