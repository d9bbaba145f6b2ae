"""The example of docs/flower.md runs as a Flower user would run it, and is as short as it says."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "homomorphic_flower.py"


def test_the_example_learns_its_line(tmp_path: Path) -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "proto")])
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    losses = [float(line.split()[-1]) for line in ran.stdout.splitlines()]
    assert len(losses) == 10
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 20
    assert ran.stderr == ""


def test_the_example_fits_forty_lines() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 40
