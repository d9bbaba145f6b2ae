"""One match of two processes, told to begin together and watched: figures of both, or the reason there are none."""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peers.match import RECEIVER, SENDER
from benchmarks.peers.ports import free_ports

ENTRY = ["-P", "-m", "benchmarks.peers.party"]
SECONDS_MAX = 3600.0  # of one step: the slowest peer needs a quarter of it for the largest case
END_SECONDS_MAX = 10.0
LOG_CHARACTERS = 3000
SIDES = ("receiver", "sender")


class PartyFailed(RuntimeError):
    """A side ended or was silent before it answered. Holds the ends of both logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What one match cost; pairs are (receiver, sender). seconds: from the first side's begin to the last one's end."""

    seconds: float
    cpu: tuple[float, float]
    received: tuple[int, int]
    peak: tuple[int, int]  # with interpreter, libraries and clients
    resident: tuple[int, int]  # of it before the match


class Pair:
    """Both processes of a match, ended when the block ends, also after a failure."""

    def __init__(
        self, interpreter: Path, entry: str, sizes: tuple[int, int], variables: Mapping[str, str], folder: Path
    ) -> None:
        self._entry, self._folder = entry, folder
        ports = ",".join(map(str, free_ports(2)))
        self._selector = selectors.DefaultSelector()
        self._processes = []
        for rank in (RECEIVER, SENDER):
            command = [str(interpreter), *ENTRY, entry, str(rank), f"{sizes[0]},{sizes[1]}", ports, str(folder)]
            with self._log(rank).open("wb") as log:
                process = subprocess.Popen(  # noqa: S603 - our own entry, arguments as a list
                    command, env=dict(variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                )
            assert process.stdout is not None
            self._selector.register(process.stdout, selectors.EVENT_READ, rank)
            self._processes.append(process)

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            assert process.stdin is not None and process.stdout is not None
            if kind is not None:
                process.kill()
            process.stdin.close()
            try:
                process.wait(END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        self._selector.close()

    def match(self) -> Match:
        """The figures. Raises PartyFailed."""
        connected = self._answers()
        matched = self._answers("match")
        counted = self._answers("close")
        return Match(
            seconds=max(side["ended"] for side in matched) - min(side["begun"] for side in matched),
            cpu=(matched[RECEIVER]["cpu"], matched[SENDER]["cpu"]),
            received=(counted[RECEIVER]["received"], counted[SENDER]["received"]),
            peak=(matched[RECEIVER]["peak"], matched[SENDER]["peak"]),
            resident=(connected[RECEIVER]["resident"], connected[SENDER]["resident"]),
        )

    def _answers(self, step: str = "") -> list[dict[str, Any]]:
        """Both sides' next line that is their own: libraries print on standard output too."""
        if step:
            for rank, process in enumerate(self._processes):
                self._tell(rank, process, step)
        answers: dict[int, dict[str, Any]] = {}
        begun = {RECEIVER: b"", SENDER: b""}
        end = time.monotonic() + SECONDS_MAX
        while len(answers) < len(begun):
            ready = self._selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                raise self._failed(min(begun.keys() - answers.keys()), f"was silent for {SECONDS_MAX:.0f} seconds")
            for key, _ in ready:
                rank = key.data
                if not (data := os.read(key.fd, 1 << 16)):
                    raise self._failed(rank, "ended too early")
                *lines, begun[rank] = (begun[rank] + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"{"):
                        answers[rank] = json.loads(line)
        return [answers[RECEIVER], answers[SENDER]]

    def _tell(self, rank: int, process: "subprocess.Popen[bytes]", step: str) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(f"{step}\n".encode())
            process.stdin.flush()
        except BrokenPipeError:
            raise self._failed(rank, "ended too early") from None

    def _failed(self, rank: int, why: str) -> PartyFailed:
        logs = [self._log(side).read_text(errors="replace")[-LOG_CHARACTERS:] for side in (RECEIVER, SENDER)]
        return PartyFailed(
            f"{self._entry}, {SIDES[rank]} {why}\n" + "\n".join(map("{}: {}".format, SIDES, logs)),
        )

    def _log(self, rank: int) -> Path:
        return self._folder / f"{rank}.log"
