"""Two banks and noise over real processes: what is refused without it, what it costs, and that nothing resets it.

Two partners see each the other's update in every sum, so their plan must add noise, and each node books every noisy
upload on a ledger of its own before it leaves.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ecowire import status
from privacy.errors import Failure
from sandbox.banks.files import Banks
from tests.support import launch_banks
from tests.support.launch import Fault, Plan
from tests.support.launch_alliance import Alliance

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
TWO = ("bank-c", "bank-d")
OTHER = "bank-a"  # offers its clients without a budget
LIMIT = "8"
DELTA = -6
ROUNDS = 4
NOISE = {"noise_multiplier_milli": 2_000, "row_clip_milli": 1_000, "delta_log10": DELTA}


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with launch_banks.copied(base, tmp_path_factory.mktemp("e") / "w") as made:
        for name in TWO:
            config = made.world.node_config(name)
            budget = f'privacy_budget = {{epsilon = "{LIMIT}", delta_log10 = {DELTA}}}'
            config.write_text(config.read_text().replace("[asset.columns]", f"{budget}\n[asset.columns]"))
        made.start()
        yield made


@pytest.fixture(scope="module")
def data(alliance: Alliance) -> Banks:
    return launch_banks.data_of(alliance)


def body(data: Banks, partners: tuple[str, ...] = TWO, rounds: int = ROUNDS, **changes: Any) -> dict[str, Any]:
    noisy = {
        "standardise": "none",
        "privacy": NOISE,
        "training": launch_banks.training(rounds, steps=1),
        "colluders": 0 if len(partners) == 2 else 1,
    }
    made = launch_banks.body(data, **{**noisy, **changes})
    parties = [party for party in made["parties"] if party["partner"] in partners]
    return {name: value for name, value in {**made, "parties": parties}.items() if value is not None}


def approved(alliance: Alliance, made: dict[str, Any]) -> str:
    digest = alliance.propose("data", "train", made)
    alliance.approve(digest, [party["partner"] for party in made["parties"]])
    return digest


def spent(alliance: Alliance, bank: str) -> Decimal:
    (found,) = alliance.node(bank, "budget")["assets"]
    assert (found["epsilon"], found["delta_log10"]) == (LIMIT, DELTA)
    return Decimal(found["spent"])


def updates(alliance: Alliance, bank: str) -> dict[str, int]:
    (found,) = alliance.node(bank, "budget")["assets"]
    return {run["run"]: run["updates"] for run in found["runs"]}


def test_two_partners_without_noise_are_refused(alliance: Alliance, data: Banks) -> None:
    with pytest.raises(Failure, match="noise") as refused:
        alliance.propose("data", "train", body(data, privacy=None))
    assert status.code_of(refused.value) == "LOCAL_NOISE_REQUIRED"


def test_a_bank_without_a_budget_takes_no_part_in_a_noisy_run(alliance: Alliance, data: Banks) -> None:
    with pytest.raises(Failure) as refused:
        approved(alliance, body(data, (OTHER, *TWO)))
    assert status.code_of(refused.value) == "BUDGET_NOT_SET"


def test_a_bank_with_a_budget_takes_no_part_in_a_run_without_noise(alliance: Alliance, data: Banks) -> None:
    with pytest.raises(Failure) as refused:
        approved(alliance, body(data, (OTHER, *TWO), privacy=None))
    assert status.code_of(refused.value) == "BUDGET_NEEDS_NOISE"


def test_every_upload_is_booked_once_also_by_a_bank_that_dies(alliance: Alliance, data: Banks) -> None:
    digest = approved(alliance, body(data))
    dying = Fault(at="partner_node.worker:Worker.handle", within="-2.0.train-", when="after")
    alliance.restart(TWO[0], Plan(faults=(dying,)))
    launch_banks.start(alliance, digest)
    alliance.process(TWO[0]).wait_killed()
    booked_by_the_dead = 2
    alliance.start(TWO[0])
    assert updates(alliance, TWO[0])[digest] >= booked_by_the_dead, "booked with the reply that had not left yet"
    job = alliance.finished(digest)
    retries = sum(item["attempts"] - 1 for item in job["run"]["history"])
    for bank in TWO:
        assert job["state"] == "COMPLETED", job["reason"]
        assert ROUNDS <= updates(alliance, bank)[digest] <= ROUNDS + retries
        assert 0 < spent(alliance, bank) < Decimal(LIMIT)


def test_nothing_resets_a_budget_and_an_exhausted_one_refuses(alliance: Alliance, data: Banks) -> None:
    before = {bank: spent(alliance, bank) for bank in TWO}
    for bank in TWO:
        alliance.process(bank).kill()
    alliance.start(*TWO)
    assert {bank: spent(alliance, bank) for bank in TWO} == before
    with pytest.raises(Failure) as refused:
        approved(alliance, body(data, rounds=1_000))
    assert status.code_of(refused.value) == "BUDGET_EXHAUSTED"
    assert LIMIT in str(refused.value) and str(before[TWO[0]]) in str(refused.value), "limit and what is spent"
    assert {bank: spent(alliance, bank) for bank in TWO} == before, "asking costs nothing"
