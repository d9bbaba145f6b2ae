"""The mutation gate as a test: one contract rule taken away, at least one directed test of its contract fails."""

import os
import subprocess
import sys

import pytest

from contracts.build import CONTRACTS
from tests.contracts.mutants import ROOT, SUITES, change, mutants, source_of

# asserts and effects that must at least be there, so that the list cannot run empty unseen
AT_LEAST = {"Settlement": 80, "PartnerRegistry": 65, "CheckpointAnchor": 12, "Governor": 50}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_mutant_alters_the_source_in_its_own_way(name: str) -> None:
    names = mutants(name)
    assert len(names) >= AT_LEAST[name]
    assert all(before != instead for _, before, instead in map(change, names))
    assert len({source_of(one) for one in names}) == len(names)


def test_every_contract_has_its_tests() -> None:
    assert set(SUITES) == set(CONTRACTS)


@pytest.mark.slow_flow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CONTRACTS)
def test_no_mutant_survives(name: str) -> None:
    path = os.pathsep.join((str(ROOT), str(ROOT / "proto")))
    command = [sys.executable, "-P", "-m", "tests.contracts.mutants", name]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    survivors = [line for line in done.stdout.splitlines() if line.startswith("SURVIVED")]
    assert (survivors, done.returncode) == ([], 0), done.stderr
