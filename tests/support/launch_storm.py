"""An alliance in which processes keep dying at planned places while people go on with their work.

Everybody does what a person would: where a command breaks off because a process died, the process is started again and
the same command repeated, under the same idempotency key.
"""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ecowire import status
from privacy.errors import Failure
from sandbox.processes import port_open
from sandbox.world import World
from tests.support import launch
from tests.support.launch import Fault, Plan
from tests.support.launch_alliance import POLL_SECONDS, WAIT_SECONDS, Alliance

GONE = ("HUB_UNREACHABLE", "NODE_NOT_RUNNING")
HUB_COMMIT = "hub.store:Store.run"
NODE_COMMIT = "partner_node.database:Database.write"


def around(place: str, *use_cases: str) -> list[Plan]:
    """Two lives for each use case, in order: dead before its commit, dead after it."""
    return [
        Plan(faults=(Fault(at=place, first=use_case, when=when),))
        for use_case in use_cases
        for when in ("before", "after")
    ]


class Storm(Alliance):
    """`lives`: the plans of each process's lives, in order; after them it lives on."""

    def __init__(self, made: World, lives: Mapping[str, Sequence[Plan]]) -> None:
        super().__init__(made)
        self.left = {name: [*plans] for name, plans in lives.items()}
        self.deaths: list[str] = []

    def begin(self) -> None:
        """Start every process into its first life."""
        for name in ("chain", "hub", *self.world.partners):
            self._live(name)

    def tend(self) -> None:
        """Start again whoever died; anything but a planned death fails the test."""
        for name in self.left:
            if not self.process(name).alive:
                self.process(name).wait_killed()
                (fault,) = self.process(name).plan.faults
                self.deaths.append(f"{name} {fault.when} {fault.first}")
                self._live(name)

    def call_body(
        self, role: str, command: str, head: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> tuple[Any, bytes]:
        key = key or os.urandom(8).hex()
        return self._insist(lambda: super(Storm, self).call_body(role, command, head, key=key))

    def node(self, partner: str, command: str, **arguments: Any) -> Any:
        return self._insist(lambda: super(Storm, self).node(partner, command, **arguments))

    def _insist(self, ask: Any) -> Any:
        end = time.monotonic() + WAIT_SECONDS
        while True:
            self.tend()
            if port_open(self.world.hub_port) or time.monotonic() > end:
                try:
                    return ask()
                except Failure as failure:
                    if status.code_of(failure) not in GONE or time.monotonic() > end:
                        raise
            time.sleep(POLL_SECONDS)

    def _live(self, name: str) -> None:
        plans = self.left.get(name, [])
        self.process(name).plan = plans.pop(0) if plans else launch.PLAIN
        self.process(name).start()
