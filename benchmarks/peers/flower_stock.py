"""`python -m benchmarks.peers.flower_stock SIZE ROUNDS NODES`: stock Flower 1.41.0 on loopback, started and ended here.

One SuperLink, as many SuperNodes, an app that adds a vector (`flower_app`), all as Flower ships them: a ServerApp
process for the run, a fresh ClientApp process for every message. Without TLS and node authentication, which is to its
advantage. Prints the seconds of each round after the first as a line of JSON.
"""

import itertools
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.peers.brood import Brood
from benchmarks.peers.superlink import READY_SECONDS_MAX, SuperLink

APP = Path(__file__).parent / "flower_app"
ROUND_SECONDS_MAX = 120.0


def main() -> int:
    size, rounds, nodes = (int(argument) for argument in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as name, Brood() as brood:
        ends = _run(Path(name), brood, size, rounds + 1, nodes)
    print(json.dumps([after - before for before, after in itertools.pairwise(ends[1:])]))
    return 0


def _run(folder: Path, brood: Brood, size: int, rounds: int, nodes: int) -> list[float]:
    """The moments at which the start and each round ended."""
    link, out = SuperLink(folder, brood, [f"place={place}" for place in range(nodes)]), folder / "rounds"
    link.submit(APP, f"size={size} rounds={rounds} nodes={nodes} out='{out}'")
    return link.wait(lambda: ends(out, rounds), READY_SECONDS_MAX + rounds * ROUND_SECONDS_MAX)


def ends(out: Path, rounds: int) -> list[float] | None:
    """The moments that the app wrote; None before its last round."""
    lines = out.read_text().splitlines() if out.exists() else []
    return [float(line.split()[1]) for line in lines] if len(lines) > rounds else None


if __name__ == "__main__":
    sys.exit(main())
