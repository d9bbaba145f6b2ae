"""A process that answers for all its descendants: none of them outlives it, whoever started them.

Stock Flower starts workers in sessions of their own, and some outlive the node that started them. The one process
that starts Flower therefore becomes a child subreaper (prctl(2)): orphans below it become its children, so that it
can end and reap them all. Only for a process that starts nothing else.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
TERM_SECONDS_MAX = 10.0
POLL_SECONDS = 0.05


class Brood:
    """Processes started here and everything below them, ended when the block ends, also after a failure."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Brood":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        signal.signal(signal.SIGTERM, _leave)  # so that the block ends when this process is told to end
        return self

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """A process with its output in a log."""
        with log.open("ab") as output:
            started = subprocess.Popen(  # noqa: S603 - our own command, arguments as a list
                list(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._started.append(started)
        return started

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + TERM_SECONDS_MAX
        while any(process.poll() is None for process in self._started) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        while left := descendants(os.getpid()):
            for pid in left:
                _kill(pid)
            _reap()
            time.sleep(POLL_SECONDS)


def descendants(root: int) -> set[int]:
    """Every process below one, from /proc; those that ended and are not yet reaped too."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(after_name[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself between the look and the kill


def _reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def _leave(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)
