"""The app of docs/examples on stock Flower: a SuperLink, a SuperNode for each bank, `flwr run`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from privacy.seal import SealingKey, SigningKey
from tests.support.launch_flower import APP, ROOT

pytestmark = [
    pytest.mark.flow,
    pytest.mark.slow_flow(seconds=30),
    pytest.mark.skipif(
        not (Path(sys.executable).parent / "flower-superlink").exists(), reason="Flower's commands are not installed"
    ),
]
BANKS = ("bank-a", "bank-b", "bank-c")
ROUNDS = 2
RATE = 0.2  # of the example


def rows(bank: int) -> np.ndarray:
    draw = np.random.default_rng(bank)
    x = draw.normal(size=(200 + 50 * bank, 3))
    return np.column_stack([x, x @ [1.0, -2.0, 0.5] + draw.normal(scale=0.1, size=len(x))])


def furnish(folder: Path) -> None:
    """The group's public keys, and each bank's own folder."""
    public = {}
    for place, bank in enumerate(BANKS):
        seeds = {"signing": bytes([place + 1]) * 32, "sealing": bytes([place + 11]) * 32}
        signing, sealing = SigningKey(seeds["signing"]), SealingKey(seeds["sealing"])
        public[bank] = {"signing": signing.public.hex(), "sealing": sealing.public.hex()}
        own = folder / bank
        own.mkdir()
        (own / "keys.json").write_text(json.dumps({name: seed.hex() for name, seed in seeds.items()}))
        np.savetxt(own / "rows.csv", rows(place), delimiter=",")
    (folder / "group.json").write_text(json.dumps(public))


def averaged(rounds: int) -> tuple[np.ndarray, list[float]]:
    """What plain FedAvg over the same steps would give: weights, and the mean loss before each round."""
    w, losses = np.zeros(3), []
    parts = [(table[:, :3], table[:, 3]) for table in map(rows, range(len(BANKS)))]
    total = sum(len(y) for _, y in parts)
    for _ in range(rounds):
        losses.append(sum(float(np.sum((x @ w - y) ** 2)) for x, y in parts) / total)
        w = w - RATE * sum(x.T @ (x @ w - y) for x, y in parts) / total
    return w, losses


@pytest.mark.timeout(300)
def test_the_example_runs_on_stock_flower_and_ends_with_the_average(tmp_path: Path) -> None:
    furnish(tmp_path)
    command = [sys.executable, "-m", "tests.support.launch_flower", str(tmp_path), str(ROUNDS)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "proto")])
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    logs = "\n".join(log.read_text()[-3000:] for log in sorted((tmp_path / "flower").glob("*.log")))
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{logs}"
    found = json.loads((tmp_path / "model.json").read_text())
    w, losses = averaged(ROUNDS)
    np.testing.assert_allclose(found["w"], w, atol=1e-4)
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-3)


def test_the_app_is_as_short_as_a_plain_one() -> None:
    modules = [file for file in (APP / "line").glob("*.py") if file.name != "__init__.py"]
    assert {file.stem for file in modules} == {"client", "group", "server"}
    assert max(len(file.read_text().splitlines()) for file in modules) <= 40
