"""Workers of one case each, as processes of their own, told to measure one round at a time."""

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

ENTRY = ["-P", "-m", "benchmarks.peers.worker"]
Figures: TypeAlias = Mapping[str, float]


class WorkerFailed(RuntimeError):
    """A worker ended before it answered; its standard error has been shown."""


class Worker:
    """One process that runs `benchmarks.peers.worker` and answers in lines of JSON."""

    def __init__(self, interpreter: Path, entry: str, size: int, parties: int, variables: Mapping[str, str]) -> None:
        self.name = f"{entry} {size} {parties}"
        self._process = subprocess.Popen(  # noqa: S603 - our own entry, arguments as a list
            [str(interpreter), *ENTRY, entry, str(size), str(parties)],
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ready: Figures | None = None

    def ready(self) -> Figures:
        """The figures of its setup, when it is done."""
        self._ready = self._ready or self._line()
        return self._ready

    def round(self) -> Figures:
        """The figures of one measured round."""
        self.ready()
        assert self._process.stdin is not None
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        return self._line()

    def stop(self) -> None:
        """End it: by the end of its input, and by force where that is not heeded."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _line(self) -> Figures:
        """The next line that is its own: libraries print warnings on standard output too."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                figures: dict[str, float] = json.loads(line)
                return figures
        raise WorkerFailed(self.name)


@contextmanager
def started(makes: Iterable[Callable[[], Worker]]) -> Iterator[list[Worker]]:
    """Workers that run side by side; all of them are stopped at the end, whatever happened."""
    with ExitStack() as stack:
        workers = []
        for make in makes:
            worker = make()
            stack.callback(worker.stop)
            workers.append(worker)
        yield workers
