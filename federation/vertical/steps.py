"""The steps of a session, and which of them can fire: counted by what each waits for, so that a table of thousands of
steps costs no more a step than a short one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from federation.vertical.messages import Outgoing, Reader

Needed: TypeAlias = tuple[str, str]  # (kind, sender)
Taken: TypeAlias = dict[Needed, Reader]
Condition: TypeAlias = Needed | str  # a message that has come, or the name of a step that has fired


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing a party does once: when the needed messages are in and the named steps have fired."""

    name: str
    phase: str
    needs: tuple[Needed, ...] = ()
    after: tuple[str, ...] = ()
    act: Callable[[Taken], list[Outgoing]]


def needs(kind: str, senders: Sequence[str]) -> tuple[Needed, ...]:
    """One message of `kind` from each sender."""
    return tuple((kind, sender) for sender in senders)


def only(taken: Taken) -> tuple[str, str, Reader]:
    """(kind, sender, reader) of a step that needs one message."""
    (((kind, sender), reader),) = taken.items()
    return kind, sender, reader


class Agenda:
    """A table of steps: what has fired and what can fire now, first in the table first."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self._places = {step.name: place for place, step in enumerate(self.steps)}
        assert len(self._places) == len(self.steps), "a step's name is its own"
        self._fired = [False] * len(self.steps)
        self._count = 0
        conditions: list[set[Condition]] = [{*step.needs, *step.after} for step in self.steps]
        self._left = [len(one) for one in conditions]  # not met yet
        self._waiting: dict[Condition, list[int]] = defaultdict(list)
        for place, one in enumerate(conditions):
            for condition in one:
                self._waiting[condition].append(place)
        self.expected = {needed for step in self.steps for needed in step.needs}
        self._ready = [place for place, left in enumerate(self._left) if not left]  # in rising order: a heap

    @property
    def begun(self) -> bool:
        return self._count > 0

    @property
    def done(self) -> bool:
        return self._count == len(self.steps)

    @property
    def phase(self) -> str:
        """Of the first step that has not fired; "done" after the last."""
        return self.steps[self._fired.index(False)].phase if not self.done else "done"

    def step(self, name: str) -> Step:
        return self.steps[self._places[name]]

    def fired(self, name: str) -> bool:
        return self._fired[self._places[name]]

    def used(self) -> Iterator[Needed]:
        """The messages of steps that have fired."""
        return (needed for step, has in zip(self.steps, self._fired, strict=True) if has for needed in step.needs)

    def next(self) -> Step | None:
        """The first step in the table that can fire now."""
        while self._ready and self._fired[self._ready[0]]:
            heappop(self._ready)
        return self.steps[self._ready[0]] if self._ready else None

    def came(self, needed: Needed) -> None:
        """A message that steps need is in."""
        self._met(needed)

    def fire(self, name: str) -> None:
        """A step has been done, or will not be. Once."""
        place = self._places[name]
        assert not self._fired[place], f"{name} has fired"
        self._fired[place] = True
        self._count += 1
        self._met(name)

    def dump(self) -> bytes:
        """What has fired: a byte a step."""
        return bytes(self._fired)

    def restore(self, fired: bytes, inbox: Iterable[Needed]) -> None:
        """Put a fresh agenda where `dump` was taken, with these messages not used yet."""
        assert not self.begun and len(fired) == len(self.steps), "a dump of this table"
        for step, has in zip(self.steps, fired, strict=True):
            if has:
                self.fire(step.name)
        for needed in inbox:
            self.came(needed)

    def _met(self, condition: Condition) -> None:
        for place in self._waiting.pop(condition, ()):
            self._left[place] -= 1
            if not self._left[place]:
                heappush(self._ready, place)
