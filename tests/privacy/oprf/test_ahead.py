"""Buckets that are begun ahead: no byte that leaves differs, and what a crash took is never begun again as it was."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from privacy.psi import oprf
from privacy.psi.oprf.ahead import Later, Part
from privacy.psi.oprf.receiver import ATTEMPT_BYTES
from tests.privacy.oprf.support import RECEIVER, SENDER, Pair, clients, head_of, payload_of

OPTIONS = {"parallel": 2, "bucket_keys": 100}
MINE, THEIRS = clients(*range(900)), clients(*range(300, 1200))


class Recorder:
    """Begins at once, in this thread, and notes under which attempt numbers a receiver's buckets were begun."""

    def __init__(self) -> None:
        self.receivers: list[tuple[int, int]] = []  # bucket, first attempt

    def __call__(self, part: Part, task: Any) -> "Future[Any]":
        if isinstance(task[2], int):
            self.receivers.append((task[0].number, task[2]))
        done: Future[Any] = Future()
        done.set_result(part(task))
        return done


def pair_with(begin: Any) -> Pair:
    return Pair(MINE, THEIRS, {**OPTIONS, "begin": begin})


def attempt_of(message: bytes) -> int:
    return int.from_bytes(payload_of(message)[:ATTEMPT_BYTES], "big")


def test_what_is_begun_ahead_leaves_byte_for_byte_as_what_is_not() -> None:
    plain = pair_with(Later).run()
    with ThreadPoolExecutor(3) as pool:
        ahead = pair_with(pool.submit).run()
    assert ahead.delivered == plain.delivered
    assert ahead.shared() == plain.shared() == clients(*range(300, 900))


def test_a_receiver_has_begun_what_it_will_be_asked_for_next() -> None:
    recorder = Recorder()
    pair = pair_with(recorder)
    pair.until(SENDER, "matrix", 0)
    begun = [bucket for bucket, _ in recorder.receivers]
    assert pair.sessions[RECEIVER].state.next_out == 1
    assert begun == [0, 1, 2], "one at first, so that the sender has something to do, and as many ahead as go at once"
    pair.run()
    assert len(recorder.receivers) == len(set(recorder.receivers)), "each once"


def test_a_dump_knows_nothing_of_what_is_begun() -> None:
    pairs = [pair_with(Later), pair_with(Recorder())]
    for pair in pairs:
        pair.until(SENDER, "matrix", 1)
    assert pairs[0].sessions[RECEIVER].dump() == pairs[1].sessions[RECEIVER].dump()


def test_a_crash_between_beginning_and_sending_never_shows_what_was_begun() -> None:
    recorder = Recorder()
    pair = pair_with(recorder)
    pair.until(SENDER, "matrix", 0)
    stored = pair.sessions[RECEIVER].dump()  # buckets 1 and 2 are begun, and go with the process
    lost = {bucket: attempt for bucket, attempt in recorder.receivers if bucket > 0}
    pair.sessions[RECEIVER] = oprf.load(stored, MINE, recorder)
    pair.run()
    attempts = pair.sessions[RECEIVER].setup.sizes.attempts
    sent = {
        head_of(m)[0][1]: attempt_of(m) for to, m in pair.delivered if to == SENDER and head_of(m)[0][0] == "matrix"
    }
    assert sent.keys() == set(range(len(sent))) and lost
    assert all(sent[bucket] >= attempt + attempts for bucket, attempt in lost.items())
    assert pair.shared() == clients(*range(300, 900))


def test_a_sender_begins_a_bucket_when_its_matrix_comes() -> None:
    begun: list[int] = []

    def begin(part: Part, task: Any) -> Later:
        begun.append(task[0].number)
        return Later(part, task)

    pair = pair_with(Later)
    sender = pair.sessions[SENDER] = oprf.create(
        role="sender", me=SENDER, peer=RECEIVER, ids=THEIRS, counts={RECEIVER: 900, SENDER: 900}, minimum=0,
        context=b"digest of the job and of all commitments", entropy=bytes, begin=begin, **OPTIONS,
    )  # fmt: skip
    pair.until(SENDER, "matrix", 0)
    while sender.ready:  # it hashes while the receiver makes its first matrix
        pair.post(sender.work())
    pair.post(sender.receive(RECEIVER, pair.waiting[SENDER].popleft()))
    assert begun == [0] and sender.state.next_out == 0
