"""`ecohub demo` as a person starts it, on real data: every step proves what it says, and nothing stays behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sandbox.processes import ENTRY, environment, run
from tests.support.shared_data import data_folder

pytestmark = [pytest.mark.flow, pytest.mark.full]
SECONDS_MAX = 180


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that still name this folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d") / "x"


@pytest.mark.real_data
def test_the_main_job_on_real_households(folder: Path) -> None:
    done = run("demo", "--data", str(data_folder("scf2022")), "--out", str(folder), "--json").check()
    told = done.json
    assert done.seconds < SECONDS_MAX
    assert [step["number"] for step in told["steps"]] == list(range(1, 9))
    assert told["synthetic"] is False
    assert told["money"]["total_minor"] > 0
    assert [variant["holders"] for variant in told["variants"]] == [[], ["bank"], ["platform"], ["bank", "platform"]]
    joint, pooled = told["variants"][-1]["auc"]["value_ppm"], told["pooled"]
    assert abs(joint - pooled["same_model_rounded_auc_ppm"]) <= 1_000
    assert pooled["logistic_gap_mean_ppm"] <= 5_000
    assert len(told["attacks"]) == 2
    for path in told["files"].values():
        assert Path(path).stat().st_size > 0
    assert left_behind(folder) == []
    assert not (folder / "hub").exists(), "keys and databases go unless --keep is given"


def test_an_interrupted_demo_stops_everything(folder: Path) -> None:
    command = [*ENTRY, "demo", "--out", str(folder)]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (folder / "hub" / "hub.ready").exists():
        assert process.poll() is None, process.stderr
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr is not None
    process.stderr.close()
    assert left_behind(folder) == []
    assert not (folder / "hub").exists()
