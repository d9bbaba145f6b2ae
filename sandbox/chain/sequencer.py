"""The one sequencer: transactions arrive from many connections, one thread seals them into blocks.

A block is sealed as soon as something waits; what arrives meanwhile goes into the next one together, so many senders
share the cost of a durable block. A sender gets its answer only when its transaction is sealed on disk: nothing waits
in memory that a crash could lose silently.
"""

import threading
from collections.abc import Callable, Sequence

from contracts.transactions import Transaction
from privacy.errors import Failure
from sandbox.chain import admission
from sandbox.chain.errors import AlreadyKnown, ChainStopping, LedgerBroken, LedgerFull, LedgerLocked
from sandbox.chain.evm import Ledger
from sandbox.chain.store import Store

TIME_AHEAD_SECONDS_MAX = 900
"""Block times grow by at least a second, so a burst of single-transaction blocks runs ahead of the clock; beyond this
the sequencer waits, and what arrives meanwhile shares a block."""

CLOCK_OFFSET = "clock_offset_seconds"


class _Waiting:
    def __init__(self, raw: bytes, found: Transaction) -> None:
        self.raw, self.found = raw, found
        self.done = threading.Event()
        self.failure: Failure | None = None


def clock_offset(store: Store) -> int:
    """Seconds by which the chain's time was moved forward. Raises LedgerBroken where the ledger says no number."""
    found = store.meta(CLOCK_OFFSET) or "0"
    try:
        return int(found)
    except ValueError:
        raise LedgerBroken(why=f"setting {CLOCK_OFFSET} is no number") from None


class Sequencer:
    """clock: Unix seconds now. batch_seconds: how long the first waiting transaction lets others join its block.

    A full disk or a locked file fails the block's senders and nothing else: the next block tries again. `error` is
    what broke the store or the EVM otherwise; nothing is taken after it and `on_error` is called once.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], float],
        batch_seconds: float = 0.0,
        on_error: Callable[[], None] = lambda: None,
    ) -> None:
        self.ledger = ledger
        self.error: BaseException | None = None
        self._clock, self._batch_seconds, self._on_error = clock, batch_seconds, on_error
        self._queue: list[_Waiting] = []
        self._sealing: list[_Waiting] = []  # the block in work
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the block in work and refuse everything else."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def submit(self, raw: bytes) -> str:
        """Admit, seal, and return the transaction's hash; who sends one that waits here waits for it too.

        Raises what admission raises, AlreadyKnown for one that is sealed, ChainStopping.
        """
        found = admission.admit(raw, self.ledger.genesis)
        with self._changed:
            if self._stopping.is_set():
                raise ChainStopping
            same = (one for one in (*self._sealing, *self._queue) if one.found.hash == found.hash)
            if (waiting := next(same, None)) is None:
                # after a look at what waits: what has left the block in work stands in the store
                if self.ledger.store.tx(bytes.fromhex(found.hash[2:])) is not None:
                    raise AlreadyKnown(transaction=found.hash)
                waiting = _Waiting(raw, found)
                self._queue.append(waiting)
                self._changed.notify_all()
        waiting.done.wait()
        if waiting.failure is not None:
            raise waiting.failure
        return found.hash

    def time(self) -> int:
        """The time the next block would carry: the clock with its offset, and later than the head."""
        return max(self._now(), self.ledger.head().timestamp + 1)

    def advance(self, seconds: int) -> int:
        """Move the chain's time forward for good, seal an empty block at the new time, and return that.

        From the chain's time, not the clock's: after a burst of blocks the former is the later one.
        """
        store = self.ledger.store
        with store.lock:
            at = self.time() + seconds
            store.set_meta(CLOCK_OFFSET, str(self._offset() + at - self._now()))
            self.ledger.seal((), at)
        return at

    def _offset(self) -> int:
        return clock_offset(self.ledger.store)

    def _now(self) -> int:
        return int(self._clock()) + self._offset()

    def _run(self) -> None:
        outcome: Sequence[Failure | None]
        while batch := self._next():
            try:
                with self.ledger.store.lock:
                    outcome = self.ledger.seal([(one.raw, one.found) for one in batch], self.time())
            except (LedgerFull, LedgerLocked) as failure:
                outcome = [failure] * len(batch)
            except BaseException as error:
                # A row is lost, the disk fails: whether the block is there shows when the ledger is opened again.
                self.error = error
                self._stopping.set()
                self._settle(batch, None)
                break
            self._settle(batch, outcome)
            with self._changed:
                self._sealing = []
        self._settle(self._take_all(), None)
        if self.error is not None:
            self._on_error()

    def _next(self) -> list[_Waiting]:
        """Wait for transactions; those that fit half a block. Empty when stopping."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping.is_set())
        if self._batch_seconds:
            self._stopping.wait(self._batch_seconds)
        while (self.ledger.head().timestamp + 1 - self._now()) > TIME_AHEAD_SECONDS_MAX:
            if self._stopping.wait(0.1):
                break
        with self._changed:
            if self._stopping.is_set():
                return []
            batch, gas = [], 0
            for one in self._queue:
                gas += one.found.gas
                if gas > self.ledger.genesis.transaction_gas_max:
                    break
                batch.append(one)
            del self._queue[: len(batch)]
            self._sealing = batch
            return batch

    def _take_all(self) -> list[_Waiting]:
        with self._changed:
            batch, self._queue = self._queue, []
            return batch

    def _settle(self, batch: Sequence[_Waiting], outcome: Sequence[Failure | None] | None) -> None:
        for i, one in enumerate(batch):
            one.failure = ChainStopping() if outcome is None else outcome[i]
            one.done.set()
