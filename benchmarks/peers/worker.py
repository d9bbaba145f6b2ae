"""`python -m benchmarks.peers.worker MODULE:FUNCTION SIZE PARTIES`: one case, in a process of its own.

Set up once, then one measured round for each line on standard input; a line of JSON on standard output for the setup
and for each round. Peak memory is the process's own (getrusage), so the process that starts workers must stay small:
the system counts its pages before exec as the worker's.
"""

import importlib
import json
import os
import resource
import sys
from typing import Any

from benchmarks.peers.scheme import Scheme, measure, timed


def say(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one_core() -> None:
    """Stay on one core, the last that this process may use, so that no library spreads over several."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> int:
    (module, function), size, parties = sys.argv[1].split(":"), int(sys.argv[2]), int(sys.argv[3])
    one_core()
    empty = peak_bytes()
    scheme: Scheme = getattr(importlib.import_module(module), function)(size, parties)
    seconds, _ = timed(scheme.setup)
    say({"setup": seconds, "count": scheme.count})
    for _ in sys.stdin:
        say({**measure(scheme, parties), "peak": peak_bytes(), "empty": empty})
    return 0


if __name__ == "__main__":
    sys.exit(main())
