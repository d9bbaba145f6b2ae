"""Real lists against a cached one: febrl4 by its number, and a broker that grows against a bank's list that grows."""

import csv
import gzip
import json

import pytest

from privacy.normalise import normalise_column
from tests.privacy.test_psi_real import FEBRL_PAIRS, numbers
from tests.support.cached import Alliance
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

LARGE = {
    "slots": 5000,
    "addition_slots": 500,
    "points_max": 10_000,
    "masks_per_message": 2048,
    "points_per_message": 1024,
}


def scf_ids(party: str) -> list[bytes]:
    with gzip.open(data_folder("scf2022") / f"party_{party}.csv.gz", "rt") as text:
        lines = list(csv.DictReader(text))
    return list(normalise_column("resident_id", [line["client_id"] for line in lines]).ids)


@pytest.mark.real_data
def test_febrl4_finds_all_pairs_that_exact_matching_can() -> None:
    ours, theirs = numbers("dataset4a.csv.gz"), numbers("dataset4b.csv.gz")
    shared = Alliance(list(theirs), LARGE).shared(list(ours), points=5000)
    assert shared == set(ours) & set(theirs)
    assert sum(ours[item] == theirs[item] for item in shared) == FEBRL_PAIRS


@pytest.mark.real_data
def test_scf2022_shared_clients_are_as_many_as_published_after_an_addition() -> None:
    bank, broker = scf_ids("bank"), scf_ids("broker")
    expected = json.loads((data_folder("scf2022") / "parties.json").read_text())["counts"]["broker&bank"]
    alliance = Alliance(bank[:3500], LARGE)
    first = alliance.shared(broker[:2000], points=2048)
    assert first == set(bank[:3500]) & set(broker[:2000])
    alliance.sender_ids = bank
    assert alliance.sender.add(bank) == len(bank) - 3500
    assert len(alliance.shared(broker, points=len(broker))) == expected
