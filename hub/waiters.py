"""Threads that wait for nodes' answers: woken by the store's signals, they look into the database."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from hub.records import Task
from hub.store import Signal, Store

POLL_SECONDS = 0.25


@dataclass(eq=False, slots=True)
class Wait:
    """What somebody waits for. moves: the jobs' moves up to which `missing` is what the database says."""

    ids: frozenset[str]
    missing: set[str]
    moves: int


class Waiters:
    """One for each hub. What is settled is known from the signals; the database is read at the beginning of a wait,
    unless it was expected before anybody could answer, and whenever a job has moved: that may have withdrawn requests.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()  # its lock may be taken again by the thread that holds it
        self._closed = False
        self._open: list[Wait] = []
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

    def expect(self, ids: Sequence[str]) -> Wait:
        """The wait for requests about to be posted, which nobody has answered yet; `settle` or `forget` it."""
        with self._changed:
            wait = Wait(frozenset(ids), set(ids), self._moves)
            self._open.append(wait)
            return wait

    def forget(self, wait: Wait) -> None:
        """Nobody waits for these any more."""
        with self._changed:
            self._open = [other for other in self._open if other is not wait]

    def settle(
        self,
        ids: Sequence[str],
        seconds: float,
        *,
        until: Callable[[Collection[str]], bool] = lambda missing: False,
        wait: Wait | None = None,
    ) -> frozenset[str]:
        """As `wait`, but ids only: answers may be large. It also ends where `until` holds, which is given the
        ids still missing at every change and at least every POLL_SECONDS, as a node that leaves gives no signal.

        wait: what `expect` gave for these ids.
        """
        deadline = time.monotonic() + seconds
        if wait is None:
            wait = self.expect(ids)
            wait.moves = -1
        with self._changed:
            while not self._closed:
                if wait.moves != self._moves:
                    wait.moves = self._moves
                    wait.missing.difference_update(self._settled(ids))
                left = deadline - time.monotonic()
                if not wait.missing or left <= 0 or until(wait.missing):
                    break
                self._changed.wait(min(left, POLL_SECONDS))
            self.forget(wait)
            return wait.ids - wait.missing

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
                for wait in self._open:
                    wait.missing.discard(whom)
                if all(wait.missing for wait in self._open):
                    return  # everybody misses something still
            else:
                return
            self._changed.notify_all()
