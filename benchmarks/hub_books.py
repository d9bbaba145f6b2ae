"""What a running alliance's own books and the system say of it: the hub's database, its processes and connections."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.peers.brood import descendants


class ProcessMissing(RuntimeError):
    """No process runs with the settings file that is looked for."""


def query(books: Path, text: str, *values: str) -> list[Any]:
    """Rows of a reading query of the hub's database, beside the hub."""
    with closing(sqlite3.connect(f"file:{books}?mode=ro", uri=True)) as connection:
        return connection.execute(text, values).fetchall()


def pid_of(config: Path) -> int:
    """The process that was started with this settings file. Raises ProcessMissing."""
    for pid in sorted(descendants(os.getpid())):  # its workers came later
        if str(config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise ProcessMissing(f"no process runs with {config.name}")


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *sorted(descendants(pid))]


def cpu_seconds(*pids: int) -> float:
    """Processor seconds that processes have used, all their threads."""
    ticks = 0
    for pid in pids:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(name: str, *pids: int) -> int:
    """Bytes of processes, added up: VmRSS, held now, or VmHWM, the most of each since `forget_peak` or its start."""
    held = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        held += int(dict(line.split(":", 1) for line in lines)[name].split()[0]) * 1024
    return held


def forget_peak(*pids: int) -> None:
    """Let the most memory be counted from now (proc(5), clear_refs)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
