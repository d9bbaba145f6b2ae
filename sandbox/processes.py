"""Operating-system processes of the alliance in a box: start, wait until ready, stop, kill -9; and people's commands.

Everything runs through the console entry (`sandbox.cli.main`), never by file path, in its own session, with its output
in a log file of its own. Ports are asked of the operating system and used at once.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from privacy.errors import Failure, Kind

ENTRY = [sys.executable, "-P", "-c", "from sandbox.cli import main; main()"]
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 15.0
COMMAND_SECONDS_MAX = 600.0
POLL_SECONDS = 0.05
Entropy: TypeAlias = Callable[[int], bytes]
LOG_TAIL_CHARACTERS = 2000


class ProcessFailed(Failure):
    code = "PROCESS_FAILED"
    kind = Kind.UNAVAILABLE
    en = "{name} {why}; its log is {log}: {tail}"
    zh = "{name} {why}；日志见 {log}：{tail}"


class CommandFailed(Failure):
    """A person's command that was expected to succeed did not. `exit_code` and `stderr` are the command's."""

    code = "COMMAND_FAILED"
    kind = Kind.UNAVAILABLE
    en = "`ecohub {command}` ended with {exit_code}: {text}"
    zh = "`ecohub {command}` 以 {exit_code} 结束：{text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that ended: exit code, output, seconds."""

    arguments: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def json(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.stdout)

    @property
    def failure_code(self) -> str:
        """The stable code on stderr: what stands before the colon of its last line."""
        lines = self.stderr.strip().splitlines()
        return lines[-1].split(":")[0] if lines else ""

    def check(self) -> "Done":
        """Itself. Raises CommandFailed unless the exit code is 0."""
        if self.exit_code != 0:
            shown = (self.stderr or self.stdout).strip()[-LOG_TAIL_CHARACTERS:]
            raise CommandFailed(command=" ".join(self.arguments), exit_code=self.exit_code, text=shown)
        return self


def environment(**more: str) -> dict[str, str]:
    """The environment of every process here: this interpreter's import path, no telemetry, English codes."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    fixed = {
        "PYTHONPATH": path,
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    # one arithmetic thread a process: six processes on a small machine would fight over its cores
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **fixed, **threads, **more}


def run(*arguments: str, cwd: Path | None = None, **variables: str) -> Done:
    """Run one person's command to its end."""
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own entry, arguments as a list
        [*ENTRY, *arguments],
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    seconds = time.perf_counter() - begun
    return Done(arguments=arguments, exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr, seconds=seconds)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free at the same moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()


class Process:
    """A long-running `ecohub` process that can be stopped, killed and started again."""

    def __init__(
        self, name: str, arguments: Sequence[str], log: Path, ready: Callable[[], bool], cwd: Path | None = None
    ) -> None:
        """ready: asked until true after a start; must not raise. cwd: where it starts, by default here."""
        self.name, self.arguments, self.log, self._cwd = name, tuple(arguments), log, cwd
        self._ready = ready
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start without waiting."""
        assert not self.alive, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - our own entry, arguments as a list
                [*ENTRY, *self.arguments],
                cwd=self._cwd,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, seconds: float = READY_SECONDS_MAX) -> None:
        """Wait until it answers. Raises ProcessFailed where it ends first or takes too long."""
        end = time.monotonic() + seconds
        while not self._ready():
            if not self.alive:
                raise self._failed("ended before it was ready")
            if time.monotonic() > end:
                raise self._failed(f"was not ready within {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not heeded."""
        if self._popen is None:
            return
        if self.alive:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        self._popen.wait()

    def kill(self) -> None:
        """kill -9: no chance to tidy up."""
        assert self._popen is not None, f"{self.name} was never started"
        self._popen.kill()
        self._popen.wait()

    def _failed(self, why: str) -> ProcessFailed:
        tail = self.log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:] if self.log.exists() else ""
        return ProcessFailed(name=self.name, why=why, log=str(self.log), tail=tail)

    def __enter__(self) -> "Process":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def port_open(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
