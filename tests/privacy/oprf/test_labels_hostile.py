"""Damaged, hostile and misplaced messages of mode labels: a named failure that changes nothing, never another label."""

from typing import Any

import pytest

from privacy.errors import Failure
from privacy.psi import errors, oprf
from privacy.psi.oprf import labels_factory
from privacy.psi.oprf.errors import ExtensionInconsistent, LabelsMalformed
from privacy.psi.oprf.labels_sessions import LabelsSession
from privacy.psi.oprf.options import SEMI_HONEST
from tests.privacy.oprf.labels_support import LabelsPair, found_by, labelled, made_labels
from tests.privacy.oprf.support import (
    CONTEXT,
    RECEIVER,
    SENDER,
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
LABELS = labelled(SENDER_IDS)
EXPECTED = {item: LABELS[item] for item in clients(*range(6, 12))}
# recipient, phase, bucket
STEPS = [(SENDER, "offer", 0), (RECEIVER, "answer", 0), (SENDER, "matrix", 1), (RECEIVER, "labels", 1)]


def new_pair(seed: str = "", **options: Any) -> LabelsPair:
    return LabelsPair(RECEIVER_IDS, SENDER_IDS, options, seed, labels=LABELS)


def paused(recipient: str, phase: str, bucket: int) -> LabelsPair:
    pair = new_pair(bucket_keys=6)
    pair.until(recipient, phase, bucket)
    return pair


@pytest.mark.parametrize(("recipient", "phase", "bucket"), STEPS)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(
    recipient: str, phase: str, bucket: int
) -> None:
    pair = paused(recipient, phase, bucket)
    message = pair.waiting[recipient][0]
    assert_refused(pair.sessions[recipient], peer_of(recipient), message, sampled(message))
    assert pair.run().found() == EXPECTED


def test_labels_changed_by_their_author_make_clients_vanish_and_never_give_another_label() -> None:
    """With a digest that fits the change: what is left to find it are the checks in the store."""
    pair = new_pair()
    message = pair.until(RECEIVER, "labels")
    dump, payload = pair.sessions[RECEIVER].dump(), payload_of(message)
    refused = vanished = 0
    for position in [*range(4), *range(4, len(payload), 2)]:
        changed = bytearray(payload)
        changed[position] ^= 0x80 >> position % 8
        session = labels_factory.load(dump, RECEIVER_IDS, None)
        try:
            session.receive(SENDER, rewritten(message, bytes(changed)))
        except LabelsMalformed:
            refused += 1
            continue
        found = found_by(session, RECEIVER_IDS)
        assert found.items() <= EXPECTED.items()
        vanished += len(found) < len(EXPECTED)
    assert 0 < refused <= 4
    assert vanished > 0
    refuse(pair, RECEIVER, LabelsMalformed, rewritten(message, b"\xff" + payload[1:]))
    assert pair.run().found() == EXPECTED


def test_a_store_that_answers_other_secrets_gives_no_label() -> None:
    """The payload of another run of the job, under the right header."""
    pair, other = new_pair("one"), new_pair("two")
    message, foreign = pair.until(RECEIVER, "labels"), other.until(RECEIVER, "labels")
    pair.sessions[RECEIVER].receive(SENDER, rewritten(message, payload_of(foreign)))
    assert pair.found() == {}


@pytest.mark.parametrize(("recipient", "phase", "bucket"), STEPS)
def test_payload_of_another_length_is_refused(recipient: str, phase: str, bucket: int) -> None:
    pair = paused(recipient, phase, bucket)
    message = pair.waiting[recipient][0]
    payload = payload_of(message)
    for other in (b"", payload[:-1], payload + b"\x00", payload[:-9]):
        refuse(pair, recipient, errors.MalformedMessage, rewritten(message, other))


def test_repeated_reordered_and_early_labels_are_refused() -> None:
    pair = new_pair(bucket_keys=3, parallel=2)
    pair.until(RECEIVER, "labels", 0)
    receiver, sender = pair.sessions[RECEIVER], pair.sessions[SENDER]
    while sender.ready:
        pair.post(sender.work())
    first, second = pair.waiting[RECEIVER][0], pair.waiting[RECEIVER][1]
    refuse(pair, RECEIVER, errors.MissingChunk, second)
    receiver.receive(SENDER, pair.waiting[RECEIVER].popleft())
    refuse(pair, RECEIVER, errors.RepeatedChunk, first)
    assert pair.run().found() == EXPECTED


def test_messages_of_another_run_of_the_same_job_are_refused() -> None:
    first = new_pair("first", bucket_keys=6).run()
    for recipient, phase, bucket in STEPS[1:]:
        second = new_pair("second", bucket_keys=6)
        second.until(recipient, phase, bucket)
        (old,) = [
            message for to, message in first.delivered if to == recipient and head_of(message)[0] == (phase, bucket)
        ]
        refuse(second, recipient, errors.ForeignMessage, old)


def test_jobs_of_rows_and_jobs_of_labels_do_not_mix() -> None:
    """Neither mode can be talked into doing the other's: all that differs here is the mode, or the labels' length."""
    pair = new_pair(option=SEMI_HONEST.name)
    rows = made("receiver", RECEIVER_IDS, option=SEMI_HONEST.name)
    (offer,) = rows.start()
    refuse(pair, SENDER, errors.ForeignMessage, offer.message)
    rows_sender = made("sender", SENDER_IDS, option=SEMI_HONEST.name)
    with pytest.raises(errors.ForeignMessage):
        rows_sender.receive(RECEIVER, pair.waiting[SENDER][0])
    for changes in ({"label_bytes": 6}, {"context": CONTEXT + b"!"}, {"parallel": 2}, {"option": "checked-listed"}):
        (other,) = made_labels("receiver", RECEIVER_IDS, None, **{"option": SEMI_HONEST.name} | changes).start()
        refuse(pair, SENDER, errors.ForeignMessage, other.message)
    with pytest.raises(errors.BadState):
        oprf.load(pair.sessions[SENDER].dump(), SENDER_IDS)
    with pytest.raises(errors.BadState):
        labels_factory.load(rows_sender.dump(), SENDER_IDS, None)


def test_a_reflected_message_is_refused() -> None:
    pair = new_pair()
    refuse(pair, RECEIVER, errors.WrongRole, pair.waiting[SENDER][0])


@pytest.mark.parametrize("option", ["checked-listed", "checked-unlisted"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_a_matrix_changed_by_its_author_ends_the_job_without_a_label(option: str, place: float) -> None:
    pair = new_pair(option=option)
    message = pair.until(SENDER, "matrix")
    payload = bytearray(payload_of(message))
    width = pair.sessions[SENDER].sizes.slots // 8
    start = 4 + int(place * (len(payload) - 4 - width))
    payload[start : start + width] = bytes(value ^ 0xFF for value in payload[start : start + width])
    sender = pair.sessions[SENDER]
    assert isinstance(sender, LabelsSession)
    sender.receive(RECEIVER, rewritten(message, bytes(payload)))
    with pytest.raises(ExtensionInconsistent):
        sender.work()
    assert (sender.phase, sender.done, sender.ready, sender.work(), sender.labels) == ("ended", False, False, [], [])
    again = labels_factory.load(sender.dump(), SENDER_IDS, None)
    with pytest.raises(Failure):
        again.receive(RECEIVER, message)


def test_labels_are_checked_where_nothing_else_is_said() -> None:
    assert new_pair().sessions[SENDER].sizes.option.checked
