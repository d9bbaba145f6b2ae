"""Starts the product's processes under a test's plan: recorded, mutated, or killed at a named place.

`Launched` is a `sandbox.processes.Process` whose command line goes through `tests.support.launch_entry`. Readiness is
an answer, not a file: a process that was killed leaves its files behind.
"""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox.processes import Process, environment

ENTRY = [sys.executable, "-P", "-m", "tests.support.launch_entry"]
KILLED_SECONDS_MAX = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """kill -9 at the `call`-th call of `at` ("module:Class.name"), of those whose first argument is `first` and of
    which an argument's text form holds `within` (a request's id names round, attempt and phase)."""

    at: str
    when: str  # "before" or "after"
    call: int = 1
    first: str | None = None
    within: str | None = None

    def __post_init__(self) -> None:
        assert self.when in ("before", "after"), self.when


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What differs from an ordinary start. `settings`: module constants by place ("module:NAME")."""

    tap: Path | None = None
    mutants: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> str:
        return json.dumps({**asdict(self), "tap": str(self.tap) if self.tap else None})


PLAIN = Plan()


class Launched(Process):
    """A process of the alliance under a plan. `plan` may be changed between two starts."""

    def __init__(
        self, name: str, arguments: Sequence[str], log: Path, ready: Callable[[], bool], plan: Plan = PLAIN
    ) -> None:
        super().__init__(name, arguments, log, ready)
        self.plan = plan

    def start(self) -> None:
        assert not self.alive, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                [*ENTRY, self.plan.encode(), *self.arguments],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_killed(self, seconds: float = KILLED_SECONDS_MAX) -> None:
        """Wait until the planted fault has struck. Anything else, an ordinary end too, is a failed test."""
        assert self._popen is not None, f"{self.name} was never started"
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} never reached its fault point: {self._tail()}") from None
        assert code == -signal.SIGKILL, f"{self.name} ended with {code} instead of at its fault point: {self._tail()}"

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]


def run_recorded(record: Path, *arguments: str) -> None:
    """A person's command to its end with the tap in its process; it must succeed."""
    subprocess.run(
        [*ENTRY, Plan(tap=record).encode(), *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
        timeout=KILLED_SECONDS_MAX,
    )


def answers(path: Path) -> bool:
    """Whether a node serves its local socket; the file alone may be left from a killed process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(str(path)) == 0
