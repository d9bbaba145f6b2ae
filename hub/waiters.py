"""Threads that wait for nodes' answers: woken by the store's signals, they look into the database."""

import threading
import time
from collections.abc import Callable, Collection, Sequence

from hub.records import Task
from hub.store import Signal, Store

POLL_SECONDS = 0.25


class Waiters:
    """One for each hub. What is settled is known from the signals; the database is read at the beginning of a wait, and
    whenever a job has moved, as that may have withdrawn requests."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._closed = False
        self._open: list[set[str]] = []  # what each wait under way still misses
        self._moves = 0
        store.subscribe(self._signal)

    def close(self) -> None:
        """The hub stops: every waiter returns at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def wait(self, ids: Sequence[str], seconds: float) -> dict[str, Task]:
        """The tasks that are no longer open: when all are, when the time is over, or at closing."""
        settled = self.settle(ids, seconds)
        found = self._store.read("tasks.found", lambda tx: [tx.tasks.get(i) for i in ids if i in settled])
        return {task.id: task for task in found if task is not None}

    def settle(
        self, ids: Sequence[str], seconds: float, *, until: Callable[[Collection[str]], bool] = lambda missing: False
    ) -> frozenset[str]:
        """As `wait`, but ids only: answers may be large. It also ends where `until` holds, which is given the
        ids still missing at every change and at least every POLL_SECONDS, as a node that leaves gives no signal."""
        deadline = time.monotonic() + seconds
        missing, moves = set(ids), -1
        with self._changed:
            self._open.append(missing)
            while not self._closed:
                if moves != self._moves:
                    moves = self._moves
                    missing.difference_update(self._settled(ids))
                left = deadline - time.monotonic()
                if not missing or left <= 0 or until(missing):
                    break
                self._changed.wait(min(left, POLL_SECONDS))
            self._open = [other for other in self._open if other is not missing]
            return frozenset(set(ids) - missing)

    def hold(self, until: Callable[[], bool]) -> bool:
        """One step of waiting for `until()`: whether it holds, after a signal or POLL_SECONDS; True at closing."""
        with self._changed:
            if not self._closed and not until():
                self._changed.wait(POLL_SECONDS)
            return self._closed or until()

    def rest(self, seconds: float) -> None:
        """Sleep, but no longer than to closing."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._closed and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def _settled(self, ids: Sequence[str]) -> tuple[str, ...]:
        return self._store.read("tasks.settled", lambda tx: tx.tasks.settled(ids))

    def _signal(self, signal: Signal) -> None:
        what, whom = signal
        with self._changed:
            if what == "job":
                self._moves += 1
            elif what == "task":
                for missing in self._open:
                    missing.discard(whom)
                if all(self._open):
                    return  # everybody misses something still
            else:
                return
            self._changed.notify_all()
