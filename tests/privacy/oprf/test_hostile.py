"""Damaged, hostile and misplaced messages: a named failure that changes nothing, and never a wrong row."""

import pickle
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from privacy.errors import Failure
from privacy.psi import errors, oprf
from privacy.psi.oprf import base_ot
from privacy.psi.oprf.bucket import shared
from privacy.psi.oprf.errors import BaseTransferLength, ExtensionInconsistent, TagsMalformed
from tests.privacy.oprf.support import (
    CONTEXT,
    RECEIVER,
    SENDER,
    Pair,
    clients,
    head_of,
    made,
    payload_of,
    peer_of,
    refuse,
    rewritten,
)
from tests.support.damage import assert_refused, sampled

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

RECEIVER_IDS, SENDER_IDS = clients(*range(12)), clients(*range(6, 18))
COMMON = clients(*range(6, 12))
# recipient, phase, bucket
STEPS = [(SENDER, "offer", 0), (RECEIVER, "answer", 0), (SENDER, "matrix", 1), (RECEIVER, "tags", 1)]


def paused(recipient: str, phase: str, bucket: int) -> Pair:
    pair = Pair(RECEIVER_IDS, SENDER_IDS, {"bucket_keys": 6})
    pair.until(recipient, phase, bucket)
    return pair


@pytest.mark.parametrize(("recipient", "phase", "bucket"), STEPS)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(
    recipient: str, phase: str, bucket: int
) -> None:
    pair = paused(recipient, phase, bucket)
    message = pair.waiting[recipient][0]
    assert_refused(pair.sessions[recipient], peer_of(recipient), message, sampled(message))
    assert pair.run().shared() == COMMON


CHANGES: list[tuple[dict[str, Any], type[Failure]]] = [
    ({"phase": "offer"}, errors.WrongPhase),
    ({"phase": "tags"}, errors.WrongPhase),
    ({"bucket": 0}, errors.RepeatedChunk),
    ({"bucket": -1}, errors.RepeatedChunk),
    ({"bucket": 2}, errors.MissingChunk),
    ({"bucket": True}, errors.MalformedMessage),
    ({"role": "sender"}, errors.WrongRole),
    ({"role": "hub"}, errors.WrongRole),
    ({"job": "00" * 32}, errors.ForeignMessage),
    ({"sender": "platform"}, errors.ForeignMessage),
    ({"recipient": "platform"}, errors.ForeignMessage),
    ({"bound": "00" * 32}, errors.ForeignMessage),
    ({"digest": "00" * 32}, errors.MalformedMessage),
    ({"oprf": 2}, errors.MalformedMessage),
    ({"oprf": True}, errors.MalformedMessage),
    ({"phase": None}, errors.MalformedMessage),
    ({"extra": 1}, errors.MalformedMessage),
]


@pytest.mark.parametrize(("changes", "failure"), CHANGES)
def test_header_that_lies_is_refused(changes: dict[str, Any], failure: type[Failure]) -> None:
    pair = paused(SENDER, "matrix", 1)
    refuse(pair, SENDER, failure, rewritten(pair.waiting[SENDER][0], changes=changes))


@pytest.mark.parametrize(("recipient", "phase", "bucket"), STEPS)
def test_payload_of_another_length_is_refused(recipient: str, phase: str, bucket: int) -> None:
    pair = paused(recipient, phase, bucket)
    message = pair.waiting[recipient][0]
    payload = payload_of(message)
    for other in (b"", payload[:-1], payload + b"\x00", payload[:-32]):
        refuse(pair, recipient, errors.MalformedMessage, rewritten(message, other))


def test_points_outside_the_group_are_refused() -> None:
    identity = bytes([1]) + bytes(31)
    for recipient, phase in ((SENDER, "offer"), (RECEIVER, "answer")):
        pair = paused(recipient, phase, 0)
        message = pair.waiting[recipient][0]
        payload = payload_of(message)
        for point in (identity, bytes(32), b"\xff" * 32):
            refuse(pair, recipient, errors.BadPoint, rewritten(message, payload[:-32] + point))
            refuse(pair, recipient, errors.BadPoint, rewritten(message, payload[:32] + point + payload[64:]))


def test_repeated_reordered_and_early_messages_are_refused() -> None:
    pair = Pair(RECEIVER_IDS, SENDER_IDS, {"bucket_keys": 3, "parallel": 2})
    first = pair.until(SENDER, "matrix", 0)
    receiver = pair.sessions[RECEIVER]
    while receiver.ready:
        pair.post(receiver.work())
    assert len(pair.waiting[SENDER]) == 4
    refuse(pair, SENDER, errors.MissingChunk, pair.waiting[SENDER][1])
    pair.step(lambda steps: f"deliver {SENDER}")
    refuse(pair, SENDER, errors.RepeatedChunk, first)
    refuse(pair, SENDER, errors.WrongPhase, pair.delivered[0][1])  # the offer, once more
    refuse(pair, RECEIVER, errors.MalformedMessage, pair.delivered[1][1])  # the answer: longer than what may come
    sender = pair.sessions[SENDER]
    while pair.waiting[SENDER]:
        sender.receive(RECEIVER, pair.waiting[SENDER].popleft())
    assert pair.run().shared() == COMMON


def test_more_matrices_than_may_be_under_way_are_refused() -> None:
    """The sender holds two matrices at the most, so a receiver cannot fill its memory."""
    pair = Pair(RECEIVER_IDS, SENDER_IDS, {"bucket_keys": 2})
    pair.until(SENDER, "matrix", 0)
    receiver = pair.sessions[RECEIVER]
    pair.post(receiver.work())
    assert not receiver.ready
    receiver.state.next_in += 1  # as if tags had come
    pair.post(receiver.work())
    for _ in range(2):
        pair.step(lambda steps: f"deliver {SENDER}")
    refuse(pair, SENDER, Failure, pair.waiting[SENDER][0])


def test_messages_of_another_run_of_the_same_job_are_refused() -> None:
    """The same job, context and parties, begun anew with fresh secrets: nothing of the first run fits."""
    first = Pair(RECEIVER_IDS, SENDER_IDS, {"bucket_keys": 6}, seed="first").run()
    for recipient, phase, bucket in STEPS[1:]:
        second = Pair(RECEIVER_IDS, SENDER_IDS, {"bucket_keys": 6}, seed="second")
        second.until(recipient, phase, bucket)
        (old,) = [
            message for to, message in first.delivered if to == recipient and head_of(message)[0] == (phase, bucket)
        ]
        refuse(second, recipient, errors.ForeignMessage, old)


def test_messages_of_another_job_or_party_are_refused() -> None:
    pair = Pair(RECEIVER_IDS, SENDER_IDS)
    for changes in ({"context": CONTEXT + b"!"}, {"parallel": 2}, {"bucket_keys": 6}, {"option": "checked-listed"}):
        (other,) = made("receiver", RECEIVER_IDS, **changes).start()
        refuse(pair, SENDER, errors.ForeignMessage, other.message)
    refuse(pair, SENDER, errors.ForeignMessage, pair.waiting[SENDER][0], sender="platform")


def test_two_receivers_find_out() -> None:
    pair = Pair(RECEIVER_IDS, SENDER_IDS)
    both = oprf.create(
        role="receiver", me=SENDER, peer=RECEIVER, ids=SENDER_IDS, counts={RECEIVER: 12, SENDER: 12},
        context=CONTEXT, minimum=0, entropy=lambda count: bytes(count),
    )  # fmt: skip
    (offer,) = both.start()
    refuse(pair, RECEIVER, errors.WrongRole, offer.message)


def test_a_reflected_message_is_refused() -> None:
    pair = Pair(RECEIVER_IDS, SENDER_IDS)
    refuse(pair, RECEIVER, errors.WrongRole, pair.waiting[SENDER][0])


def test_tags_changed_by_their_author_never_give_a_wrong_row() -> None:
    pair = Pair(RECEIVER_IDS, SENDER_IDS)
    message = pair.until(RECEIVER, "tags")
    dump, payload = pair.sessions[RECEIVER].dump(), payload_of(message)
    refused = 0
    for position in range(len(payload)):
        changed = bytearray(payload)
        changed[position] ^= 0x80 >> position % 8
        session = oprf.load(dump, RECEIVER_IDS)
        try:
            session.receive(SENDER, rewritten(message, bytes(changed)))
        except TagsMalformed:
            refused += 1
            continue
        found = {RECEIVER_IDS[row] for row in session.result().rows}
        assert found <= set(COMMON)
        assert len(found) >= len(COMMON) - 1
    assert 0 < refused < len(payload)


def test_repeated_tags_and_tags_alike_in_their_first_bytes_are_refused() -> None:
    pair = Pair(RECEIVER_IDS, SENDER_IDS)
    message = pair.until(RECEIVER, "tags")
    size = pair.sessions[RECEIVER].sizes.tag_bytes
    tags = np.frombuffer(payload_of(message), np.uint8).reshape(-1, size).copy()
    repeated = tags.copy()
    repeated[1] = repeated[0]
    refuse(pair, RECEIVER, TagsMalformed, rewritten(message, repeated.tobytes()))
    refuse(pair, RECEIVER, TagsMalformed, rewritten(message, bytes(tags.size)))
    refuse(pair, RECEIVER, TagsMalformed, rewritten(message, tags[::-1].tobytes()))


def test_a_matrix_changed_by_its_author_is_answered_with_tags_that_match_nothing_else() -> None:
    """What a cheating receiver can learn from its own changes is another matter: the docstring of session says so."""
    pair = Pair(RECEIVER_IDS, SENDER_IDS)
    message = pair.until(SENDER, "matrix")
    payload = bytearray(payload_of(message))
    payload[len(payload) // 2] ^= 0xFF
    sender = pair.sessions[SENDER]
    sender.receive(RECEIVER, rewritten(message, bytes(payload)))
    (out,) = sender.work()
    refuse(pair, RECEIVER, errors.ForeignMessage, out.message)  # it answers another matrix


@pytest.mark.parametrize("option", ["checked-listed", "checked-unlisted"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_a_matrix_changed_by_its_author_ends_a_checked_job(option: str, place: float) -> None:
    """A spoiled column, a spoiled proof: the sender answers nothing, keeps no secret, and never goes on."""
    pair = Pair(RECEIVER_IDS, SENDER_IDS, {"option": option})
    message = pair.until(SENDER, "matrix")
    payload = bytearray(payload_of(message))
    width = pair.sessions[SENDER].sizes.slots // 8
    start = 4 + int(place * (len(payload) - 4 - width))
    payload[start : start + width] = bytes(value ^ 0xFF for value in payload[start : start + width])
    sender = pair.sessions[SENDER]
    seed, seeds = sender._seed, sender.state.seeds
    sender.receive(RECEIVER, rewritten(message, bytes(payload)))
    with pytest.raises(ExtensionInconsistent):
        sender.work()
    dump = sender.dump()
    assert seed not in dump
    assert seeds not in dump
    assert (sender.phase, sender.done, sender.ready, sender.work()) == ("ended", False, False, [])
    again = oprf.load(dump, SENDER_IDS)
    for session in (sender, again):
        with pytest.raises(Failure):
            session.receive(RECEIVER, message)
        with pytest.raises(errors.NotFinished):
            session.result()
        with pytest.raises(errors.WrongPhase):
            session.start()


def carried(function: Callable[[Any], Any], tasks: Iterable[Any]) -> list[Any]:
    """As a pool of processes maps: tasks, results and failures travel pickled."""
    out = []
    for task in tasks:
        try:
            out.append(pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(task))))))
        except Failure as failure:
            raise pickle.loads(pickle.dumps(failure)) from None
    return out


def test_a_receiver_caught_in_another_process_ends_the_job_too() -> None:
    """Else the sender would keep its secret, and each try after a wrong guess would tell the receiver more of it."""
    pair = Pair(RECEIVER_IDS, SENDER_IDS, {"option": "checked-listed"})
    message = pair.until(SENDER, "matrix")
    sender = oprf.load(pair.sessions[SENDER].dump(), SENDER_IDS, carried)
    payload = payload_of(message)
    sender.receive(RECEIVER, rewritten(message, payload[:-1] + bytes([payload[-1] ^ 1])))
    with pytest.raises(ExtensionInconsistent, match="bucket 0 "):
        sender.work()
    assert (sender.phase, sender.ready, sender._seed) == ("ended", False, b"")


def test_a_changed_attempt_number_gives_no_row() -> None:
    """Other streams and other places: the sender's tags match nothing, and they answer another message anyway."""
    pair = Pair(RECEIVER_IDS, SENDER_IDS)
    message = pair.until(SENDER, "matrix")
    sender, receiver = pair.sessions[SENDER], pair.sessions[RECEIVER]
    sender.receive(RECEIVER, rewritten(message, bytes([0, 0, 0, 9]) + payload_of(message)[4:]))
    (out,) = sender.work()
    refuse(pair, RECEIVER, errors.ForeignMessage, out.message)
    own = np.frombuffer(receiver.state.waiting[0], np.uint8).reshape(-1, receiver.sizes.tag_bytes)
    assert len(shared(own, payload_of(out.message))) == 0


def test_a_lying_length_of_the_base_transfers_is_caught_below_the_wire_too() -> None:
    with pytest.raises(BaseTransferLength):
        base_ot.choose(bytes(31), 8, CONTEXT, lambda count: bytes(count))
