"""Bodies of requests from the transaction that posts them to the stream that sends them, past the database.

The database has them too, and is what counts: what is not here, after a restart or where room was short, is read there.
Whoever takes one compares its digest with the task's, so it does not matter whether that transaction was committed.
"""

import threading
from collections import OrderedDict

from hub.records import Content

ROOM_BYTES = 48 << 20  # a few steps of a match: bodies for a node that is away make room for others


class Handover:
    """Threads share it."""

    def __init__(self, room: int = ROOM_BYTES) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Content] = OrderedDict()  # by task
        self._bytes = 0

    def put(self, task: str, content: Content) -> None:
        """Hold a body until it is taken, or newer ones need its room."""
        with self._lock:
            self._drop(task)
            self._held[task] = content
            self._bytes += len(content.data)
            while self._bytes > self._room:
                self._drop(next(iter(self._held)))

    def take(self, task: str) -> Content | None:
        """A task's body, which is then no longer here."""
        with self._lock:
            return self._drop(task)

    def _drop(self, task: str) -> Content | None:
        found = self._held.pop(task, None)
        if found is not None:
            self._bytes -= len(found.data)
        return found
