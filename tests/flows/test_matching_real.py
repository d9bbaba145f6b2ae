"""Real lists matched over real processes, read in place: Febrl's two files of people, and the four parties of the
Survey of Consumer Finances. Every figure is known beforehand: what exact matching can find, and `parties.json`.
"""

import csv
import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from privacy import normalise
from sandbox.world import Partner, World
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance, wait
from tests.support.shared_data import data_folder

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow, pytest.mark.real_data]
FEBRL = {"registry": "dataset4a.csv.gz", "clinic": "dataset4b.csv.gz"}
FEBRL_ID, FEBRL_PAIRS = " soc_sec_id", 4561  # the files write a blank after each comma
FEBRL_LABEL = "rec_id"  # rec-1070-org in one file is rec-1070-dup-0 in the other: the same person
SCF = ("broker", "bank", "platform", "insurer")


def members() -> list[Partner]:
    febrl, scf = data_folder("febrl4"), data_folder("scf2022")
    people = [
        Partner(
            id=name,
            name=name.title(),
            source=febrl / file,
            id_column=FEBRL_ID,
            id_type="account",
            classes={FEBRL_LABEL: "C2"},
        )
        for name, file in FEBRL.items()
    ]
    return [*people, *(Partner(id=name, name=name.title(), source=scf / f"party_{name}.csv.gz") for name in SCF)]


def ids(partner: Partner) -> list[str]:
    with gzip.open(partner.source, "rt", newline="") as lines:
        return [row[partner.id_column] for row in csv.DictReader(lines)]


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    """Six members, with consent of everybody."""
    folder = tmp_path_factory.mktemp("r")
    with Alliance(World(folder / "w", members(), entropy=os.urandom, broker=None)) as made:
        made.world.found()
        made.world.start()
        for name, partner in made.world.partners.items():
            consents = launch_alliance.write_consents(folder / f"consent-{name}", [i.strip() for i in ids(partner)])
            made.node(name, "consent.import", file=str(consents), id_type=partner.id_type)
        yield made


def body(alliance: Alliance, mode: str, *names: str, **changes: Any) -> dict[str, Any]:
    first = alliance.world.partners[names[0]]
    parties = [
        {"partner": name, "role": "follower" if i else "leader", "asset": "clients", "id_column": first.id_column}
        for i, name in enumerate(names)
    ]
    fields = {"parties": parties, "id_type": first.id_type, "version": 2, "normaliser": normalise.VERSION}
    engine = "oprf" if mode in ("rows", "labels") else "ecdh"
    return launch_alliance.match_body(mode, *names, **{**fields, "engine": engine, **changes})


def row_map(alliance: Alliance, partner: str, job: str, folder: Path) -> list[dict[str, str]]:
    file = folder / f"{partner}-{job[:8]}.csv"
    alliance.node(partner, "match.result", job=job, file=str(file))
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def counted(job: Any) -> set[int | None]:
    return {d["body"]["count"] for d in job["documents"] if d["kind"] == "match-result"}


def pairs_of(alliance: Alliance, name: str, found: list[dict[str, str]]) -> set[str]:
    """The people (record numbers) behind rows of one Febrl file."""
    with gzip.open(alliance.world.partners[name].source, "rt", newline="") as lines:
        records = [row["rec_id"].split("-")[1] for row in csv.DictReader(lines)]
    return {records[int(line["row"])] for line in found}


@pytest.mark.parametrize("engine", ["oprf", "ecdh"])
def test_febrl_rows_for_both_sides_are_exactly_the_pairs_that_can_be_found(
    alliance: Alliance, tmp_path: Path, engine: str
) -> None:
    job = alliance.run_job("data", "match", body(alliance, "rows", *FEBRL, both=True, engine=engine))
    assert counted(job) == {FEBRL_PAIRS}
    people = [pairs_of(alliance, name, row_map(alliance, name, job["digest"], tmp_path)) for name in FEBRL]
    assert people[0] == people[1] and len(people[0]) == FEBRL_PAIRS


def test_febrl_labels_are_the_other_files_numbers_of_the_same_people(alliance: Alliance, tmp_path: Path) -> None:
    labels = {"partner": "clinic", "column": FEBRL_LABEL, "bytes": 20}
    job = alliance.run_job("data", "match", body(alliance, "labels", *FEBRL, labels=labels))
    assert counted(job) == {FEBRL_PAIRS, None}
    found = row_map(alliance, "registry", job["digest"], tmp_path)
    with gzip.open(alliance.world.partners["registry"].source, "rt", newline="") as lines:
        records = [row[FEBRL_LABEL] for row in csv.DictReader(lines)]
    assert len(found) == FEBRL_PAIRS
    assert all(line["label"] == records[int(line["row"])].replace("-org", "-dup-0") for line in found)


def test_febrl_against_a_list_that_was_masked_once(alliance: Alliance, tmp_path: Path) -> None:
    """Two jobs of one epoch: both find the pairs, the second moves only what it asks."""
    ends = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0).isoformat()
    epoch = {"epoch": 1, "slots": 6000, "addition_slots": 64, "additions_max": 4, "points_max": 50_000, "ends": ends}
    moved = []
    for _ in range(2):
        job = alliance.run_job("data", "match", body(alliance, "cached", *FEBRL, cached=epoch))
        assert counted(job) == {FEBRL_PAIRS, None}
        found = row_map(alliance, "registry", job["digest"], tmp_path)
        assert len(pairs_of(alliance, "registry", found)) == FEBRL_PAIRS
        moved.append(job["bytes"])
    asked, masks = len(set(ids(alliance.world.partners["registry"]))), 12 * epoch["slots"]
    assert moved[0] - moved[1] > 2 * masks, "the hub takes and gives each message"
    assert moved[1] < 2 * 64 * asked + 60_000
    for name, side in zip(FEBRL, ("receiver", "sender"), strict=True):
        (kept,) = alliance.node(name, "matching.epochs")["epochs"]
        assert (kept["side"], kept["state"], kept["left"]) == (side, "open", epoch["points_max"] - kept["used"])


def test_febrl_count_is_shown_first_and_rows_when_people_of_both_sides_agreed(
    alliance: Alliance, tmp_path: Path
) -> None:
    digest = alliance.propose("data", "match", body(alliance, "count-then-rows", *FEBRL))
    alliance.approve(digest, FEBRL)
    for name in FEBRL:
        wait(lambda name=name: alliance.node(name, "match.decide", job=digest, decision=None), "the count")
        made = alliance.node(name, "match.decide", job=digest, decision="agree", person="privacy officer")
        assert made["count"] == FEBRL_PAIRS
    job = alliance.completed(digest)
    assert counted(job) == {FEBRL_PAIRS}
    assert len(row_map(alliance, "registry", digest, tmp_path)) == FEBRL_PAIRS
    decisions = [d["signer"] for d in job["documents"] if d["kind"] == "match-decision"]
    assert sorted(decisions) == sorted(FEBRL)


@pytest.mark.parametrize("other", SCF[1:])
def test_scf_rows_of_the_broker_with_each_partner(alliance: Alliance, tmp_path: Path, other: str) -> None:
    known = json.loads((data_folder("scf2022") / "parties.json").read_text())["counts"]
    job = alliance.run_job("data", "match", body(alliance, "rows", "broker", other))
    found = row_map(alliance, "broker", job["digest"], tmp_path)
    both = set(ids(alliance.world.partners["broker"])) & set(ids(alliance.world.partners[other]))
    assert {line["client_id"] for line in found} == both
    assert len(found) == known[f"broker&{other}"]


def test_scf_all_four_align_without_showing_pairs(alliance: Alliance, tmp_path: Path) -> None:
    known = json.loads((data_folder("scf2022") / "parties.json").read_text())["counts"]
    job = alliance.run_job("data", "match", body(alliance, "align-all", *SCF))
    assert counted(job) == {known["all4"]}
    orders = [
        [(line["token"], line["client_id"]) for line in row_map(alliance, name, job["digest"], tmp_path)]
        for name in SCF
    ]
    assert all(order == orders[0] for order in orders) and len(orders[0]) == known["all4"]
