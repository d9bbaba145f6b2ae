"""Hostile and damaged messages, and senders that try to mark clients: a named failure that changes nothing."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from privacy import packing
from privacy.errors import Failure
from privacy.psi import errors, group
from privacy.psi.cached import dleq, function
from privacy.psi.cached.errors import EvaluationUnproven
from privacy.psi.oprf.errors import TagsMalformed
from privacy.psi.values import Outcome
from tests.privacy.test_psi_group import HOSTILE
from tests.support.cached import RECEIVER, SENDER, Alliance, Pair, clients, header, payload
from tests.support.entropy import SeededEntropy

LARGE, SMALL = clients(1, 2, 3, 4, 5, 6, 7, 8, 9), clients(3, 4, 55)
SHARED = [0, 1]
PLACES = [("points", SENDER), ("evaluations", RECEIVER), ("masks", RECEIVER)]


def paused(phase: str, recipient: str) -> tuple[Pair, bytes]:
    pair = Alliance(LARGE).pair(SMALL, points=3)
    return pair, pair.until(phase, recipient)


def stored(pair: Pair, name: str) -> tuple[bytes, ...]:
    epoch = pair.epoch(name)
    kept = (epoch.dump(),) if name == SENDER else (epoch.head(), *epoch.messages)  # type: ignore[union-attr]
    return pair.sessions[name].dump(), *kept


def refuse(pair: Pair, name: str, failure: type[Failure], message: bytes, sender: str | None = None) -> Failure:
    """The recipient refuses the message and stays as it was."""
    before = stored(pair, name)
    with pytest.raises(failure) as caught:
        pair.sessions[name].receive(sender or (SENDER if name == RECEIVER else RECEIVER), message)
    assert stored(pair, name) == before
    return caught.value


def rewritten(message: bytes, data: bytes | None = None, **changes: Any) -> bytes:
    """The message with another payload or header, its digest right."""
    body = payload(message) if data is None else data
    head = header(message) | {"digest": hashlib.sha256(body).hexdigest()} | changes
    return packing.pack({"header": head, "payload": body})


def finish(pair: Pair) -> None:
    result = pair.run().sessions[RECEIVER].result()
    assert (result.outcome, result.rows.tolist()) == (Outcome.SHARED, SHARED)


@pytest.mark.parametrize(("phase", "recipient"), PLACES)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(phase: str, recipient: str) -> None:
    pair, message = paused(phase, recipient)
    for position in range(len(message)):
        damaged = message[:position] + bytes([message[position] ^ 1 << position % 8]) + message[position + 1 :]
        refuse(pair, recipient, Failure, damaged)
    for damaged in (b"", message[:-1], message + b"\x00", message[: len(message) // 2], message * 2):
        refuse(pair, recipient, Failure, damaged)
    finish(pair)


@pytest.mark.parametrize("position", range(3 * 32 + 64))
def test_every_changed_byte_of_an_answer_is_refused_though_its_digest_is_right(position: int) -> None:
    pair, message = paused("evaluations", RECEIVER)
    data = bytearray(payload(message))
    data[position] ^= 1 << position % 8
    refuse(pair, RECEIVER, Failure, rewritten(message, bytes(data)))


@pytest.mark.parametrize(("phase", "recipient"), PLACES[:2])
@pytest.mark.parametrize("name", [name for name, point in HOSTILE.items() if len(point) == 32])
def test_hostile_points_in_well_formed_messages(name: str, phase: str, recipient: str) -> None:
    pair, message = paused(phase, recipient)
    for place in (0, 2):
        data = bytearray(payload(message))
        data[32 * place : 32 * place + 32] = HOSTILE[name]
        refuse(pair, recipient, errors.BadPoint, rewritten(message, bytes(data)))
    finish(pair)


HEADERS: list[tuple[dict[str, object], type[Failure]]] = [
    ({"phase": "points"}, errors.WrongPhase),
    ({"phase": "masks"}, errors.WrongPhase),
    ({"role": "receiver"}, errors.WrongRole),
    ({"role": "hub"}, errors.WrongRole),
    ({"job": "00" * 32}, errors.ForeignMessage),
    ({"sender": "platform"}, errors.ForeignMessage),
    ({"recipient": "platform"}, errors.ForeignMessage),
    ({"bound": "00" * 32}, errors.ForeignMessage),
    ({"bucket": 1}, errors.MissingChunk),
    ({"bucket": -1}, errors.RepeatedChunk),
    ({"oprf": 2}, errors.MalformedMessage),
    ({"oprf": True}, errors.MalformedMessage),
    ({"digest": "00" * 32}, errors.MalformedMessage),
]


@pytest.mark.parametrize(("change", "failure"), HEADERS)
def test_other_headers(change: dict[str, object], failure: type[Failure]) -> None:
    pair, message = paused("evaluations", RECEIVER)
    refuse(pair, RECEIVER, failure, rewritten(message, **change))
    finish(pair)


def test_a_message_of_a_stranger_or_reflected() -> None:
    pair, message = paused("points", SENDER)
    refuse(pair, SENDER, errors.ForeignMessage, message, sender="platform")
    refuse(pair, RECEIVER, Failure, message)
    finish(pair)


def test_messages_of_another_job_of_the_epoch_are_refused() -> None:
    alliance = Alliance(LARGE)
    first = alliance.pair(SMALL, points=3).run()
    second = alliance.pair(SMALL, points=3)
    for recipient, message in first.delivered:
        refuse(second, recipient, errors.ForeignMessage, message)
    finish(second)


def test_repeated_dropped_and_reordered_messages() -> None:
    pair = Alliance(LARGE).pair([*SMALL, *clients(*range(100, 109))], points=12)
    for name in (SENDER, RECEIVER):
        while pair.sessions[name].ready:
            pair.post(pair.sessions[name].work())
    first, second, third = pair.waiting[SENDER]
    refuse(pair, SENDER, errors.MissingChunk, second)
    refuse(pair, SENDER, errors.MissingChunk, third)
    pair.step()
    refuse(pair, SENDER, errors.RepeatedChunk, first)
    finish(pair)
    for name in (SENDER, RECEIVER):
        for _, message in pair.delivered:
            refuse(pair, name, Failure, message)


def test_a_sender_takes_no_more_than_a_window_of_points() -> None:
    pair = Alliance(LARGE).pair(clients(*range(24)), points=24)
    while pair.sessions[RECEIVER].ready:
        pair.post(pair.sessions[RECEIVER].work())
    assert len(pair.waiting[SENDER]) == 4  # four messages of four points: the window
    assert pair.run().sessions[RECEIVER].result().rows.tolist() == list(range(1, 10))


def test_masks_that_do_not_ascend_are_refused() -> None:
    pair, message = paused("masks", RECEIVER)
    data = payload(message)
    for changed in (data[12:24] + data[:12] + data[24:], data[:12] * 8, data[:-12] + data[-24:-12]):
        refuse(pair, RECEIVER, TagsMalformed, rewritten(message, changed))
    finish(pair)


def test_a_receiver_enters_no_more_points_than_were_booked() -> None:
    pair, message = paused("points", SENDER)
    for data in (payload(message) + payload(message)[:32], payload(message)[:-32], b""):
        refuse(pair, SENDER, errors.MalformedMessage, rewritten(message, data))
    finish(pair)


# -- marking clients by another key


def answered_by_another_key(
    place: int, prove: Callable[[bytes, list[bytes], list[bytes], bytes], bytes]
) -> tuple[Pair, bytes]:
    """The sender multiplies one client's point by another key, and proves as well as it can."""
    pair, message = paused("evaluations", RECEIVER)
    epoch = pair.alliance.sender
    other = group.draw_scalar(SeededEntropy(b"another key"))
    blinded = [payload(pair.delivered[0][1])[i : i + 32] for i in range(0, 96, 32)]
    evaluated = function.evaluate(epoch.key, blinded)
    evaluated[place] = group.multiply(other, blinded[place])
    proof = prove(epoch.key, blinded, evaluated, epoch.terms.digest)
    return pair, rewritten(message, b"".join(evaluated) + proof)


def best_proof(key: bytes, blinded: list[bytes], evaluated: list[bytes], context: bytes) -> bytes:
    return dleq.prove(key, bytes(32), blinded, evaluated, context)


def proof_of_the_truth(key: bytes, blinded: list[bytes], evaluated: list[bytes], context: bytes) -> bytes:
    return dleq.prove(key, bytes(32), blinded, function.evaluate(key, blinded), context)


@pytest.mark.parametrize("prove", [best_proof, proof_of_the_truth])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_sender_that_marks_one_client_is_caught(
    place: int, prove: Callable[[bytes, list[bytes], list[bytes], bytes], bytes]
) -> None:
    pair, message = answered_by_another_key(place, prove)
    failure = refuse(pair, RECEIVER, EvaluationUnproven, message)
    assert failure.facts == {"sender": SENDER}
    finish(pair)  # the true answer still works


def test_without_the_proof_the_mark_would_tell_whether_this_client_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same attack against a receiver that checks nothing: the count that it reports falls by one exactly for the
    shared clients, so the sender learns of each place whether it is shared, a job a place."""
    monkeypatch.setattr(dleq, "holds", lambda *arguments: True)
    counts = []
    for place in range(3):
        pair, message = answered_by_another_key(place, best_proof)
        pair.waiting[RECEIVER].clear()
        pair.sessions[RECEIVER].receive(SENDER, message)
        # the masks that follow are bound to what the sender said: it said the marked answer
        pair.sessions[SENDER].state.sent = pair.sessions[RECEIVER].state.received
        counts.append(len(pair.run().sessions[RECEIVER].result().rows))
    assert counts == [1, 1, 2]  # the first two are shared, the third is not


def test_an_answer_without_any_proof_is_refused() -> None:
    pair, message = paused("evaluations", RECEIVER)
    data = payload(message)
    refuse(pair, RECEIVER, EvaluationUnproven, rewritten(message, data[:-64] + bytes(64)))
    refuse(pair, RECEIVER, errors.MalformedMessage, rewritten(message, data[:-64]))
    finish(pair)
