"""Threads that wait for nodes' answers: woken by the store's signals, they look into the database."""

import threading
from collections.abc import Callable, Sequence

from hub.records import Task
from hub.store import Signal, Store


class Waiters:
    """One for each hub."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._closed = False
        store.subscribe(self._signal)

    def close(self) -> None:
        """The hub stops: every waiter returns at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def wait(self, ids: Sequence[str], seconds: float, *, until: Callable[[], bool] = lambda: False) -> dict[str, Task]:
        """The tasks that are no longer open: when all are, when the time is over, when `until()`, or at closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or until() or len(self._settled(ids)) == len(ids), seconds)
        settled = self._settled(ids)
        found = self._store.read("tasks.found", lambda tx: [tx.tasks.get(task_id) for task_id in settled])
        return {task.id: task for task in found if task is not None}

    def _settled(self, ids: Sequence[str]) -> tuple[str, ...]:
        return self._store.read("tasks.settled", lambda tx: tx.tasks.settled(ids))

    def _signal(self, signal: Signal) -> None:
        if signal[0] in ("task", "job"):
            with self._changed:
                self._changed.notify_all()
