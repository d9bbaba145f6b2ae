"""Real lists in the modes that count and in rows by Diffie-Hellman: febrl4 by its number, the households of scf2022
with a real column added up.
"""

import csv
import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from privacy import psi
from privacy.normalise import normalise_column
from tests.support.counting import finish, rows, total
from tests.support.matching import Alliance
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

FEBRL_PAIRS = 4561  # that exact matching can find, of 5000


def numbers(file: str) -> dict[bytes, str]:
    """Social security number → the person's number, which tells the true pairs."""
    with gzip.open(data_folder("febrl4") / file, "rt") as text:
        lines = list(csv.DictReader(text, skipinitialspace=True))
    return {line["soc_sec_id"].encode(): line["rec_id"].split("-")[1] for line in lines}


def balances(party: str, column: str) -> dict[bytes, int]:
    with gzip.open(data_folder("scf2022") / f"party_{party}.csv.gz", "rt") as text:
        lines = list(csv.DictReader(text))
    found = normalise_column("resident_id", [line["client_id"] for line in lines])
    return {item: int(float(lines[row][column])) for item, row in zip(found.ids, found.rows.tolist(), strict=True)}


@pytest.mark.real_data
@pytest.mark.parametrize("mode", ["count", "rows", "count-then-rows", "sum"])
def test_febrl4_finds_all_pairs_that_exact_matching_can(mode: str) -> None:
    people = {"broker": numbers("dataset4a.csv.gz"), "bank": numbers("dataset4b.csv.gz")}
    sets = {name: list(found) for name, found in people.items()}
    options = {"value_side": "bank", "bits": 1, "values": [1] * len(sets["bank"])} if mode == "sum" else {}
    run = finish(Alliance(mode, sets, minimum=100, both=mode == "rows", **options))  # type: ignore[arg-type]
    if mode == "rows":
        found = [[people[name][sets[name][row]] for row in run.sessions[name].result().rows] for name in sets]  # type: ignore[union-attr]
        assert len(found[0]) == len(set(found[0])) == FEBRL_PAIRS
        assert set(found[0]) == set(found[1]), "the same people"
        return
    result = run.sessions["broker"].result()
    assert getattr(result, "count", None) == FEBRL_PAIRS
    if mode == "sum":
        assert total(run, "broker").total == FEBRL_PAIRS
    if mode == "count-then-rows":
        found = [sets["broker"][row] for row in rows(run, "broker").rows]
        assert sum(people["broker"][item] == people["bank"][item] for item in found) == FEBRL_PAIRS


@pytest.mark.real_data
def test_scf2022_shared_clients_and_the_sum_of_their_card_balances() -> None:
    banks, brokers = balances("bank", "CCBAL"), balances("broker", "AGE")
    expected = json.loads((data_folder("scf2022") / "parties.json").read_text())["counts"]["broker&bank"]
    with ThreadPoolExecutor(2) as pool:
        run = Alliance(
            "sum",
            {"broker": list(brokers), "bank": list(banks)},
            minimum=100,
            value_side="bank",
            bits=24,
            values=list(banks.values()),
            map=pool.map,
        ).run()
    assert total(run, "broker") == psi.SumResult(
        outcome=psi.Outcome.SHARED, count=expected, total=sum(banks[item] for item in set(banks) & set(brokers))
    )
    assert total(run, "bank").total is None
