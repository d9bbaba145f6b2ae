"""Who is there: partners behind Flower's node numbers, and how long a slot waits for them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from flwr.serverapp import Grid

from federation.grid import node_number
from federation.horizontal import flower, keys
from federation.horizontal.coordinator import Coordinator
from federation.horizontal.errors import PhaseMalformed, QuorumMissing
from privacy.aggregation import Slot
from privacy.canonical import Value
from privacy.ids import PartnerId
from privacy.packing import Packed

Names: TypeAlias = Callable[[Grid], Mapping[str, int]]  # grid -> Flower's node number of each partner known now

GRACE_SECONDS = 2.0  # for a partner that answered when last asked and is not connected now
PAUSE_SECONDS = 0.05


class AskedNames:
    """Partners behind the nodes of a grid that knows them by number only: each node is asked once for its name.

    What a node says here is not proven, and need not be: another's name only makes its messages fail to verify.
    """

    def __init__(self, timeout_seconds: float = 20.0) -> None:
        self._timeout_seconds = timeout_seconds
        self._known: dict[int, str] = {}

    def __call__(self, grid: Grid) -> Mapping[str, int]:
        here = set(grid.get_node_ids())
        new = sorted(here - self._known.keys())
        asked = [grid.create_message(flower.body_content(b""), flower.QUERY + "who", n, "who") for n in new]
        for reply in grid.send_and_receive(asked, timeout=self._timeout_seconds) if asked else ():
            with suppress(PhaseMalformed):  # who does not say its name is nobody here
                if not reply.has_error():
                    self._known[reply.metadata.src_node_id] = flower.read_body(reply)[:80].decode(errors="replace")
        # of two with one name, the first: but a node that was started again may have another number
        return {name: number for number, name in reversed(self._known.items()) if number in here}


class Presence:
    """Whom a slot asks. The first decision is durable, so a run executed again asks the same partners."""

    def __init__(
        self,
        coordinator: Coordinator,
        names: Names | None,
        patience_seconds: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._coordinator = coordinator
        self._roster = coordinator.roster
        self._names = names
        self._patience_seconds = patience_seconds
        self._clock, self._sleep = clock, sleep
        self._last: tuple[PartnerId, ...] = ()

    def numbers(self, grid: Grid) -> dict[PartnerId, int]:
        """Flower's number of each partner of the roster that is known."""
        if self._names is None:
            return {partner: node_number(partner) for partner in self._roster.partners}
        found = self._names(grid)
        return {partner: found[partner] for partner in self._roster.partners if partner in found}

    def decide(self, grid: Grid, slot: Slot, bound: Sequence[PartnerId] | None) -> tuple[PartnerId, ...]:
        """The partners to ask, in roster order: those connected, once enough of them are.

        bound: the only cohort that may open this input again; all of it is waited for. Raises QuorumMissing.
        """
        decided = self._coordinator.decide(f"{keys.slot_name(slot)}.asked", lambda: self._wait(grid, slot, bound))
        assert isinstance(decided, list), "written by _wait"
        self._last = tuple(PartnerId(str(p)) for p in decided)
        return self._last

    def state(self) -> list[Packed]:
        return [str(p) for p in self._last]

    def restore(self, state: Sequence[Any]) -> None:
        self._last = tuple(PartnerId(str(p)) for p in state)

    def _wait(self, grid: Grid, slot: Slot, bound: Sequence[PartnerId] | None) -> Value:
        """Connected partners: at once where nobody is newly gone, after a grace where enough are left, else in time."""
        started = self._clock()
        quorum = self._coordinator.quorum
        hoped = set(bound or self._last or self._roster.partners) - self._coordinator.silent
        while True:
            here = self._connected(grid)
            waited = self._clock() - started
            enough = len(here) >= quorum and set(bound or ()) <= set(here)
            if enough and (hoped <= set(here) or waited >= GRACE_SECONDS):
                asked: list[Value] = [str(p) for p in here]
                return asked
            if waited >= self._patience_seconds and not enough:
                missing = [p for p in bound or self._roster.partners if p not in here]
                needed = len(bound) if bound else quorum
                what = f"round {keys.slot_name(slot)}"
                raise QuorumMissing(what=what, needed=needed, have=len(here), missing=", ".join(missing))
            self._sleep(PAUSE_SECONDS)

    def _connected(self, grid: Grid) -> list[PartnerId]:
        there = set(grid.get_node_ids())
        numbers = self.numbers(grid)
        return [p for p in self._roster.partners if numbers.get(p) in there]
