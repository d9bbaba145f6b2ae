"""Buckets that are begun before their results are asked for: a side computes while it seals, stores and waits.

A part is a pure function of what is stored and of what the other side sent, so that it was begun early changes no byte
of what leaves. Results live in memory alone, in the session that began them. A crash takes them with it: whoever is
loaded from a dump goes on under attempt numbers that nothing was begun under, here as with matrices that were sent.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Part: TypeAlias = Callable[[Any], Any]


class Begun(Protocol):
    """What `Begin` gives; concurrent.futures.Future is one."""

    def result(self) -> Any:
        """Waits. Raises what the part raises."""


Begin: TypeAlias = Callable[[Part, Any], Begun]


class Later:
    """A `Begin` that computes nothing before it is asked for the result."""

    def __init__(self, part: Part, task: Any) -> None:
        self._part = part
        self._task = task

    def result(self) -> Any:
        return self._part(self._task)


class Ahead:
    """One session's buckets that are begun and whose results were not taken."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._begun: dict[int, Begun] = {}

    def begin(self, bucket: int, part: Part, task: Callable[[], Any]) -> None:
        """Begin a bucket unless it is begun."""
        if bucket not in self._begun:
            self._begun[bucket] = self._begin(part, task())

    def take(self, bucket: int) -> Any:
        """The result of a bucket that was begun. Raises what its part raises."""
        return self._begun.pop(bucket).result()
