"""The sequencer: many senders, one order; time; what happens when it stops or its store breaks."""

import sqlite3
import threading
from collections.abc import Iterator

import pytest

from privacy.errors import Failure
from sandbox.chain import errors, sequencer
from sandbox.chain.evm import Ledger
from sandbox.chain.sequencer import Sequencer
from sandbox.chain.store import Store
from sandbox.chain.verify import verify
from tests.support.sandbox_chain import GENESIS, KEYS, OUTSIDER, START, until, wishes


class Clock:
    def __init__(self) -> None:
        self.now = float(START + 100)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one(clock: Clock) -> Iterator[Sequencer]:
    made = Sequencer(Ledger(Store(None), GENESIS), clock)
    yield made
    made.stop()
    made.ledger.store.close()


def together(one: Sequencer, raws: list[bytes]) -> list[Failure | str]:
    """Submit from a thread each; what each got."""
    found: list[Failure | str] = [""] * len(raws)

    def submit(place: int) -> None:
        try:
            found[place] = one.submit(raws[place])
        except Failure as failure:
            found[place] = failure

    threads = [threading.Thread(target=submit, args=(place,)) for place in range(len(raws))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_sender_gets_its_answer_when_its_transaction_is_sealed(one: Sequencer) -> None:
    tx_hash = one.submit(wishes(1)[0])
    assert one.ledger.store.tx(bytes.fromhex(tx_hash[2:])) is not None
    assert one.ledger.head().number == 1


def test_many_senders_share_blocks_and_all_are_sealed_once(one: Sequencer) -> None:
    rounds = [[wishes(1, first=i, key=key)[0] for key in KEYS.values()] for i in range(6)]
    for raws in rounds:
        assert all(isinstance(answer, str) for answer in together(one, raws))
    sealed = [tx for number in range(one.ledger.head().number + 1) for tx in one.ledger.store.txs(number)]
    assert len(sealed) == len({tx.hash for tx in sealed}) == 6 * len(KEYS)
    assert verify(one.ledger).blocks == one.ledger.head().number + 1


def test_one_transaction_from_many_threads_is_sealed_once(one: Sequencer) -> None:
    raw = wishes(1)[0]
    answers = together(one, [raw] * 8)
    # who sent it while it waited for its block waited with it; who came later is told that it is sealed
    assert len({answer for answer in answers if isinstance(answer, str)}) == 1
    assert {type(answer) for answer in answers if not isinstance(answer, str)} <= {errors.AlreadyKnown}
    assert one.ledger.head().number == 1
    with pytest.raises(errors.AlreadyKnown):
        one.submit(raw)


def test_who_sends_what_waits_for_its_block_waits_with_it(clock: Clock) -> None:
    slow = Sequencer(Ledger(Store(None), GENESIS), clock, batch_seconds=1.0)
    try:
        (answer,) = set(together(slow, [wishes(1)[0]] * 8))
        assert isinstance(answer, str) and slow.ledger.head().number == 1
    finally:
        slow.stop()
        slow.ledger.store.close()


def test_two_transactions_with_one_nonce_race_and_one_is_sealed(one: Sequencer) -> None:
    from contracts import transactions

    key = KEYS["submitter"]
    raws = [
        transactions.sign(
            to=key.address, data=bytes([i]), nonce=0, chain_id=GENESIS.chain_id, gas=50_000, gas_price=0, key=key
        )[0]
        for i in range(6)
    ]
    answers = together(one, raws)
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert {type(answer) for answer in answers if not isinstance(answer, str)} == {errors.NonceOutOfOrder}


def test_what_is_not_admitted_never_waits(one: Sequencer) -> None:
    with pytest.raises(errors.SenderNotAllowed):
        one.submit(wishes(1, key=OUTSIDER)[0])
    assert one.ledger.head().number == 0


# --- time -------------------------------------------------------------------------------------------------------------


def times(one: Sequencer) -> list[int]:
    rows = [one.ledger.store.block(number) for number in range(one.ledger.head().number + 1)]
    return [row.timestamp for row in rows if row is not None]


def test_block_times_follow_the_clock_and_grow_strictly(one: Sequencer, clock: Clock) -> None:
    for i, step in enumerate([0, 0, 7, -50, 0, 1_000]):
        clock.now += step
        one.submit(wishes(1, first=i)[0])
    found = [time - START for time in times(one)]
    assert found == [0, 100, 101, 107, 108, 109, 1_057]


def test_the_clock_of_the_chain_is_moved_from_its_own_time(one: Sequencer, clock: Clock) -> None:
    for raw in wishes(5):
        one.submit(raw)
    assert one.time() == START + 105
    assert one.advance(1_000) == START + 1_105 == times(one)[-1]
    clock.now += 5
    assert one.time() == START + 1_110


def test_a_burst_does_not_run_far_ahead_of_the_clock(
    one: Sequencer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "TIME_AHEAD_SECONDS_MAX", 3)
    raws = wishes(6)
    for raw in raws[:4]:
        one.submit(raw)
    waiting = []
    for place, raw in enumerate(raws[4:]):  # one sender's: they must arrive in the order of their numbers
        waiting.append(threading.Thread(target=one.submit, args=(raw,)))
        waiting[-1].start()
        until(lambda place=place: len(one._queue) > place)
    waiting[-1].join(0.3)
    assert one.ledger.head().number == 4
    clock.now += 60
    for thread in waiting:
        thread.join()
    assert times(one)[-1] == START + 160
    assert sum(len(one.ledger.store.txs(number)) for number in range(7)) == 6


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_stopped_sequencer_takes_nothing(one: Sequencer) -> None:
    one.stop()
    with pytest.raises(errors.ChainStopping):
        one.submit(wishes(1)[0])


def test_a_broken_store_answers_everybody_and_stops(one: Sequencer, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    one._on_error = told.set

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(one.ledger.store, "commit", full)
    answers = together(one, [wishes(1, key=key)[0] for key in KEYS.values()])
    assert {type(answer) for answer in answers} == {errors.ChainStopping}
    until(told.is_set)
    assert isinstance(one.error, sqlite3.OperationalError)
    monkeypatch.undo()
    with pytest.raises(errors.ChainStopping):
        one.submit(wishes(1)[0])
    assert one.ledger.head().number == 0
