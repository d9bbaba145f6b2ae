"""`python -m benchmarks.peers.party MODULE:FUNCTION RANK SIZES PORTS FOLDER`: one side of one match, in a process.

FUNCTION takes a Place and gives a Side. Each line on standard input asks for the next step, each step answers with a
line of JSON: made and connected; "match", the figures; "close", the bytes received, once both sides have matched.
Times are of the system's monotonic clock, which both sides share.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import traffic
from benchmarks.peers.match import Place, Side


def say(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def memory(name: str) -> int:
    """A figure of /proc/self/status in bytes: VmRSS now, VmHWM the most since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"the kernel gives no {name}")


def forget_peak() -> None:
    """Let the most memory be counted from now (proc(5), clear_refs), so that making the clients is not in it."""
    Path("/proc/self/clear_refs").write_text("5")


def cpu_seconds() -> float:
    """Processor time of all threads and of ended processes below this one."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def measure(side: Side) -> dict[str, float]:
    """The figures of one match."""
    forget_peak()
    spent, begun = cpu_seconds(), time.monotonic()
    side.match()
    ended = time.monotonic()
    return {"begun": begun, "ended": ended, "cpu": cpu_seconds() - spent, "peak": memory("VmHWM")}


def main() -> int:
    entry, rank, sizes, ports, folder = sys.argv[1:]
    (module, function), pair = entry.split(":"), [tuple(map(int, text.split(","))) for text in (sizes, ports)]
    place = Place(rank=int(rank), sizes=pair[0], ports=pair[1], folder=Path(folder))  # type: ignore[arg-type]
    side: Side = getattr(importlib.import_module(module), function)(place)
    side.connect()
    before = traffic.received()
    say({"resident": memory("VmRSS")})
    assert sys.stdin.readline() == "match\n", "told to end before the match"
    figures = measure(side)
    side.check()
    say(figures)
    assert sys.stdin.readline() == "close\n", "told to end before the bytes were counted"
    say({"received": traffic.between(before, traffic.received())})
    sys.stdin.readline()  # the other side is counted too
    side.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
