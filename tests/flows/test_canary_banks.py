"""Nothing of a bank's rows and nothing of its own update leaves its node: a whole horizontal run recorded and searched.

As `test_canary`: every number in the banks' files is made unique, all that a node hands to its transport is recorded
before it is sealed or framed. Searched are ids, values, rows and columns, raw and scaled, and what a bank alone
contributes to a sum: its weights after each round's local steps, their change, and the lanes of every sum, which may
leave encrypted only. The same search must fail over builds that send an update in clear or a row with the result.

What may leave, and so is not searched for: sums over all banks, the joint model, and a bank's own signed figures.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_canary import assert_nothing_leaks, assert_the_gate_saw_all, record_of
from tests.support import launch_banks, tap, tap_banks
from tests.support.launch import Plan
from tests.support.launch_alliance import Alliance
from tests.support.tap_search import Patterns

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
LEAKING = {"clear update": ("bank-b", "bank-b's lanes"), "result row": ("bank-c", "bank-c's")}
BANKS = ("bank-a", "bank-b", "bank-c", "bank-d")


@pytest.fixture(scope="module")
def recorded(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Patterns]:
    """A run under taps: (folder, patterns); the processes have ended when this returns."""
    with launch_banks.copied(base, tmp_path_factory.mktemp("c") / "w") as alliance:
        data = tap_banks.plant(launch_banks.data_of(alliance))
        job = recorded_run(alliance, {name: Plan(tap=record_of(alliance.folder, name)) for name in data.names})
        assert job["state"] == "COMPLETED", job["reason"]
        patterns = tap_banks.patterns(data, launch_banks.read_plan(job), launch_banks.rows(alliance))
    return alliance.folder, patterns


def recorded_run(alliance: Alliance, plans: dict[str, Plan]) -> Any:
    alliance.start(plans=plans)
    digest = launch_banks.approved(alliance, launch_banks.body(launch_banks.data_of(alliance)))
    launch_banks.start(alliance, digest)
    return alliance.finished(digest)


@pytest.mark.parametrize("bank", BANKS)
def test_nothing_of_a_bank_leaves_its_node(recorded: tuple[Path, Patterns], bank: str) -> None:
    folder, patterns = recorded
    records = list(tap.read(record_of(folder, bank)))
    assert {"request/approval", "reply/ok", "sealed", "id"} <= {record.kind for record in records}
    assert_the_gate_saw_all(records)
    assert_nothing_leaks(records, patterns)


@pytest.mark.parametrize("place", ["hub", "handed", "people", "logs"])
def test_hub_and_logs_hold_nothing_of_a_bank(recorded: tuple[Path, Patterns], place: str) -> None:
    folder, patterns = recorded
    files = [path for path in (folder / place).rglob("*") if path.is_file()]
    assert files
    assert_nothing_leaks([tap.Record(path.name, path.read_bytes()) for path in files], patterns)


@pytest.mark.parametrize("mutant", LEAKING)
def test_a_build_that_leaks_fails_the_same_search(
    base: Path, tmp_path_factory: pytest.TempPathFactory, mutant: str
) -> None:
    bank, what = LEAKING[mutant]
    with launch_banks.copied(base, tmp_path_factory.mktemp("m") / "w") as alliance:
        data = tap_banks.plant(launch_banks.data_of(alliance))
        job = recorded_run(alliance, {bank: Plan(tap=record_of(alliance.folder, bank), mutants=(mutant,))})
        patterns = tap_banks.patterns(data, launch_banks.read_plan(job), launch_banks.rows(alliance))
        records = list(tap.read(record_of(alliance.folder, bank)))
    with pytest.raises(AssertionError, match="left the node: .*" + re.escape(what)):
        assert_nothing_leaks(records, patterns)
