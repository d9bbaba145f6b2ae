"""The hub's memory while it sums uploads that come one by one: rows for 3, 10 and 30 partners.

Partners' uploads and answers are made beforehand, by another process, and lie in files, so that the process that is
measured does only what the hub does: read an upload, add it, forget it, and open the sum at the end.
`python -m benchmarks.aggregation_hub make|sum FOLDER SIZE PARTIES` is one of the two.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Row, row
from benchmarks.peers import environment
from benchmarks.workers import Figures

PARTIES = (3, 10, 30)
SEED = bytes(range(32))  # public and the same in both processes


def rows(size: int, runs: int) -> list[Row]:
    """Peak memory of the hub's process, and what of it is more than the same process holds with nothing to sum."""
    made: list[Row] = []
    for parties in PARTIES:
        with tempfile.TemporaryDirectory() as name:
            _run("make", Path(name), size, parties)
            figures = [_run("sum", Path(name), size, parties) for _ in range(runs)]
        for metric, key, unit in (("peak memory", "peak", "B"), ("add and open", "seconds", "s")):
            values = [measured[key] for measured in figures]
            made.append(
                row("hub alone, streaming", "threshold", size, values, metric=metric, unit=unit, parties=parties)
            )
    return made


def _run(part: str, folder: Path, size: int, parties: int) -> Figures:
    root = environment.ROOT
    command = [sys.executable, "-P", "-m", "benchmarks.aggregation_hub", part, str(folder), str(size), str(parties)]
    variables = environment.variables(root, root / "proto")
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own entry, arguments as a list
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _make(folder: Path, size: int, parties: int) -> dict[str, float]:
    """Uploads of all parties and the answers of as many as open the sum."""
    from benchmarks.aggregation_engines import SLOT, roster_of
    from benchmarks.peers.scheme import CLIP, updates
    from privacy.quantize import Codec
    from privacy.threshold import Threshold

    roster = roster_of(parties)
    engine = Threshold(roster, SEED)
    codec = Codec(CLIP, engine.value_bits)
    dealings = [engine.deal(partner, os.urandom) for partner in roster.partners]
    for place, dealing in enumerate(dealings):
        lanes = codec.encode(updates(size, place)).lanes
        (folder / f"upload-{place}").write_bytes(
            engine.encrypt(dealing.secret, lanes, SLOT, roster.partners[place], os.urandom)
        )
    for partner in roster.partners[: roster.threshold]:
        answer = engine.answer([dealing.shares[partner] for dealing in dealings], b"")
        (folder / f"answer-{partner}").write_bytes(answer)
    return {}


def _sum(folder: Path, size: int, parties: int) -> dict[str, float]:
    """What the hub does, timed, and the most memory that its process ever held."""
    import numpy as np

    from benchmarks.aggregation_engines import SLOT, roster_of
    from benchmarks.peers.scheme import CLIP, timed, updates
    from benchmarks.peers.worker import one_core, peak_bytes
    from privacy.quantize import Codec
    from privacy.threshold import Threshold

    one_core()
    roster = roster_of(parties)
    engine = Threshold(roster, SEED)

    def work() -> float:
        adder = engine.adder(size, SLOT)
        for place, partner in enumerate(roster.partners):
            adder.add((folder / f"upload-{place}").read_bytes(), partner)
        chosen = roster.partners[: roster.threshold]
        answers = {partner: (folder / f"answer-{partner}").read_bytes() for partner in chosen}
        opened = engine.open(adder.total(), size, parties, answers)
        first: float = Codec(CLIP, engine.value_bits).decode(opened.lanes, parties)[0]
        return first

    seconds, first = timed(work)
    peak = peak_bytes()
    expected = sum(np.float64(updates(size, place)[0]) for place in range(parties))
    assert abs(first - expected) <= Codec(CLIP, engine.value_bits).error_bound(parties), "the sum is the sum"
    return {"peak": peak, "seconds": seconds}


if __name__ == "__main__":
    task = {"make": _make, "sum": _sum}[sys.argv[1]]
    print(json.dumps(task(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
