"""`python -m tests.support.launch_flower FOLDER ROUNDS`: the app of docs/examples on stock SuperLink and SuperNodes.

FOLDER holds group.json and a folder for each bank in it. A process of its own, since it answers for all that Flower
starts (benchmarks.peers.brood). The model is then in FOLDER/model.json.
"""

import json
import os
import sys
from pathlib import Path

from benchmarks.peers.brood import Brood
from benchmarks.peers.superlink import SuperLink

ROOT = Path(__file__).parents[2]
APP = ROOT / "docs" / "examples" / "flower_app"
SECONDS_MAX = 240.0


def main() -> int:
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    banks = sorted(json.loads((folder / "group.json").read_text()))
    more = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")]), "LINE_GROUP": str(folder / "group.json")}
    nodes = [f'partner="{bank}" folder="{folder / bank}"' for bank in banks]
    work, out = folder / "flower", folder / "model.json"
    work.mkdir()
    with Brood() as brood:
        link = SuperLink(work, brood, nodes, more)
        link.submit(APP, f"rounds={rounds} out='{out}'")
        link.wait(lambda: True if out.exists() and out.read_text().endswith("}") else None, SECONDS_MAX)
    return 0


if __name__ == "__main__":
    sys.exit(main())
