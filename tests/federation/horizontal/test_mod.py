"""The client mod: what reaches the application, what leaves the node, and what is refused before either."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from federation.errors import LocalNoiseRequired
from federation.grid import LocalGrid, node_number, read_failure
from federation.horizontal import flower, keys, wire
from federation.horizontal.errors import ClearReplyRefused, PhaseMalformed, UpdateRefused
from federation.horizontal.mod import homomorphic_app
from privacy.aggregation import Slot
from tests.federation.horizontal.parties import JOB, UPDATE, Parties, client, line, roster, start

ME = "bank-a"
SLOT = Slot(job=JOB, round=1, attempt=0)


def ask(app: ClientApp, kind: str, content: RecordDict) -> Message:
    grid = LocalGrid({ME: app}, JOB)
    (reply,) = grid.send_and_receive([grid.create_message(content, kind, node_number(ME), "1.0.x")])
    return reply


def code(reply: Message) -> str:
    return read_failure(reply)["code"] if reply.has_error() else "none"


def prepared() -> Parties:
    parties = Parties(roster(3))
    for member in parties.members.values():
        member.deal(["1.0"])
    return parties


def given(content: RecordDict | None = None) -> RecordDict:
    return flower.input_content(SLOT, content or RecordDict({"arrays": start(), "config": ConfigRecord({"lr": 0.1})}))


def test_an_upload_holds_a_signed_header_and_a_ciphertext_and_nothing_else() -> None:
    parties = prepared()
    reply = ask(client(parties.members[ME], UPDATE, line(ME)), "train", given())
    assert set(reply.content) == {"upload"}
    assert set(reply.content["upload"]) == {"header", "signature", "ciphertext"}
    upload, clear = flower.read_upload(reply.content)
    header = upload.header.read()
    parties.verifier.verify(ME, upload.header.signature, upload.header.message)
    assert clear is None
    assert (
        header.input
        == flower.read_input(SLOT, "train", RecordDict({"arrays": start(), "config": ConfigRecord({"lr": 0.1})})).digest
    )
    assert header.count == UPDATE.count(3)
    assert header.ciphertext == wire.sha256(upload.ciphertext)
    assert keys.own("1.0") not in parties.stores[ME]


def test_the_application_sees_the_input_without_the_slot_and_may_change_it() -> None:
    parties, seen = prepared(), []

    def train(message: Message, context: Context) -> RecordDict:
        seen.append(set(message.content))
        answer = line(ME)(message, context)
        message.content["arrays"] = ArrayRecord({"w": Array(np.full(2, 9.0)), "b": Array(np.zeros(1))})
        return answer

    assert code(ask(client(parties.members[ME], UPDATE, train), "train", given())) == "none"
    assert seen == [{"arrays", "config"}]


@pytest.mark.parametrize("kind", ["evaluate", "train", "query.statistics"])
def test_what_has_no_slot_would_be_answered_in_clear(kind: str) -> None:
    calls: list[str] = []
    app = client(prepared().members[ME], UPDATE, lambda *args: calls.append("train") or RecordDict())  # type: ignore[func-returns-value]

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        raise AssertionError("not reached")

    assert code(ask(app, kind, RecordDict({"arrays": start()}))) == ClearReplyRefused.code
    assert calls == []


def test_two_partners_without_noise_are_refused_before_training() -> None:
    parties = Parties(roster(2, 0))
    calls: list[str] = []
    app = client(parties.members[ME], UPDATE, lambda *args: calls.append("train") or RecordDict())  # type: ignore[func-returns-value]
    assert code(ask(app, "train", given())) == LocalNoiseRequired.code
    assert calls == []


def test_an_applications_error_is_passed_on_and_the_key_stays() -> None:
    parties = prepared()
    app = homomorphic_app(lambda message, context: parties.members[ME], UPDATE)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return Message(Error(7, "own words"), reply_to=message)

    reply = ask(app, "train", given())
    assert reply.has_error()
    assert reply.error.code == 7
    assert keys.own("1.0") in parties.stores[ME]


def lanes(values: Any, **more: Any) -> RecordDict:
    return RecordDict({"lanes": ArrayRecord({"lanes": Array(np.asarray(values))}), **more})


BAD_SUMS: dict[str, Callable[[], RecordDict]] = {
    "floats": lambda: lanes([1.0, 2.0]),
    "a table": lambda: lanes(np.zeros((2, 2), np.int64)),
    "small integers": lambda: lanes(np.zeros(2, np.int32)),
    "below zero": lambda: lanes(np.array([-1])),
    "too large": lambda: lanes(np.array([1 << 40])),
    "none": lambda: lanes(np.zeros(0, np.int64)),
    "another name": lambda: RecordDict({"numbers": ArrayRecord({"lanes": Array(np.zeros(2, np.int64))})}),
    "two arrays": lambda: RecordDict(
        {"lanes": ArrayRecord({"lanes": Array(np.zeros(1, np.int64)), "x": Array(np.zeros(1))})}
    ),
    "more records": lambda: lanes(np.zeros(2, np.int64), more=MetricRecord({"x": 1})),
    "arrays in clear": lambda: lanes(np.zeros(2, np.int64), clear=ArrayRecord({"x": Array(np.zeros(1))})),
    "settings": lambda: RecordDict({"lanes": ConfigRecord({"lanes": [1, 2]})}),
    "nothing": RecordDict,
}


@pytest.mark.parametrize("case", BAD_SUMS)
def test_a_sum_takes_whole_numbers_inside_their_bits(case: str) -> None:
    parties = prepared()
    app = homomorphic_app(lambda message, context: parties.members[ME], UPDATE)

    @app.query("counts")
    def counts(message: Message, context: Context) -> Message:
        return Message(BAD_SUMS[case](), reply_to=message)

    assert code(ask(app, "query.counts", given(RecordDict()))) == UpdateRefused.code


BAD_PHASES: dict[str, tuple[str, RecordDict]] = {
    "no body": ("query.deal", RecordDict()),
    "text": ("query.deal", RecordDict({"body": ConfigRecord({"body": "text"})})),
    "bytes of nothing": ("query.deal", flower.body_content(b"")),
    "another phase's": ("query.hold", flower.body_content(wire.encode_deal(["1.0"]))),
    "more than a body": (
        "query.deal",
        RecordDict({**flower.body_content(wire.encode_deal(["9.0"])), "x": ConfigRecord()}),
    ),
    "a slot of no form": ("train", RecordDict({"arrays": start(), "slot": ConfigRecord({"slot": "one"})})),
    "a number for a slot": ("train", RecordDict({"arrays": start(), "slot": ConfigRecord({"slot": 1})})),
    "a slot too much": ("train", RecordDict({"arrays": start(), "slot": ConfigRecord({"slot": "1.0", "job": "x"})})),
    "an answer of no form": ("query.answer", flower.body_content(wire.encode_ask(SLOT, [])[:-1])),
}


@pytest.mark.parametrize("case", BAD_PHASES)
def test_a_malformed_phase_changes_nothing(case: str) -> None:
    parties = prepared()
    before = dict(parties.stores[ME])
    kind, content = BAD_PHASES[case]
    assert code(ask(client(parties.members[ME], UPDATE, line(ME)), kind, content)) == PhaseMalformed.code
    assert parties.stores[ME] == before


# --- digests of inputs ------------------------------------------------------------------------------------------------


def content(**changes: Any) -> RecordDict:
    base: dict[str, Any] = {"arrays": start(), "config": ConfigRecord({"lr": 0.1, "seed": 3})}
    return RecordDict({name: value for name, value in (base | changes).items() if value is not None})


CHANGED: dict[str, RecordDict] = {
    "a weight by one bit": content(arrays=ArrayRecord({"w": Array(np.array([0.0, 5e-324])), "b": Array(np.zeros(1))})),
    "minus zero": content(arrays=ArrayRecord({"w": Array(np.array([0.0, -0.0])), "b": Array(np.zeros(1))})),
    "another width": content(arrays=ArrayRecord({"w": Array(np.zeros(2, np.float32)), "b": Array(np.zeros(1))})),
    "another shape": content(arrays=ArrayRecord({"w": Array(np.zeros((2, 1))), "b": Array(np.zeros(1))})),
    "another order": content(arrays=ArrayRecord({"b": Array(np.zeros(1)), "w": Array(np.zeros(2))})),
    "other borders": content(arrays=ArrayRecord({"w": Array(np.zeros(1)), "b": Array(np.zeros(2))})),
    "another name": content(arrays=ArrayRecord({"v": Array(np.zeros(2)), "b": Array(np.zeros(1))})),
}
CHANGED_SETTINGS: dict[str, RecordDict] = {
    "a rate": content(config=ConfigRecord({"lr": 0.2, "seed": 3})),
    "a whole number for a float": content(config=ConfigRecord({"lr": 0.1, "seed": 3.0})),
    "text for a number": content(config=ConfigRecord({"lr": 0.1, "seed": "3"})),
    "a truth value": content(config=ConfigRecord({"lr": 0.1, "seed": True})),
    "bytes": content(config=ConfigRecord({"lr": 0.1, "seed": b"\x03"})),
    "a list": content(config=ConfigRecord({"lr": 0.1, "seed": [3]})),
    "one more": content(config=ConfigRecord({"lr": 0.1, "seed": 3, "more": 1})),
    "one less": content(config=None),
    "another record": content(more=ConfigRecord()),
    "metrics": content(config=MetricRecord({"lr": 0.1, "seed": 3})),
}


def test_every_difference_of_an_input_shows_in_its_digest() -> None:
    cases = {"as it is": content(), **CHANGED, **CHANGED_SETTINGS}
    digests = {name: flower.read_input(SLOT, "train", one).digest for name, one in cases.items()}
    digests["another attempt"] = flower.read_input(Slot(job=JOB, round=1, attempt=1), "train", content()).digest
    digests["another round"] = flower.read_input(Slot(job=JOB, round=2, attempt=0), "train", content()).digest
    digests["another type"] = flower.read_input(SLOT, "query.x", content()).digest
    assert len(set(digests.values())) == len(digests)


def test_settings_and_slots_beside_the_same_weights_leave_the_same_body() -> None:
    """Decision 0004 is about the weights: other settings would make nearly the same updates."""
    body = flower.read_input(SLOT, "train", content()).body
    assert {flower.read_input(SLOT, "train", one).body for one in CHANGED_SETTINGS.values()} == {body}
    assert flower.read_input(Slot(job=JOB, round=9, attempt=3), "train", content()).body == body
    others = [flower.read_input(SLOT, "train", one).body for one in CHANGED.values()]
    assert len({body, *others}) == len(CHANGED) + 1
