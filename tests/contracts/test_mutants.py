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
    parts = os.cpu_count() or 1  # it comes last among long tests, when cores are idle
    running = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.contracts.mutants", name, f"{part}/{parts}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in range(parts)
    ]
    told = [one.communicate() for one in running]
    lines = [line for out, _ in told for line in out.splitlines()]
    assert [line for line in lines if line.startswith("SURVIVED")] == []
    assert [one.returncode for one in running] == [0] * parts, [error for _, error in told]
    assert sum(line.startswith("killed") for line in lines) == len(mutants(name))
