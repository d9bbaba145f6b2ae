"""kill -9 of both nodes and of the hub in the middle of a match, then a restart: buckets (or lists) that were done stay
done, and both parties end with exactly the shared clients.

The places are calls of named functions inside the processes (`launch.Fault`), as in `test_crash`.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox import world
from tests.support import launch_alliance, launch_fixtures
from tests.support.launch import Fault, Plan
from tests.support.launch_alliance import Alliance

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
PAIR = ("broker", "bank")
# buckets of few clients, one a step, so that there is a middle to die in
SMALL_NODE = Plan(
    settings={
        "privacy.psi.rows:BUCKET_KEYS": 64,
        "privacy.psi.rows:PARALLEL": 1,
        "privacy.psi.cached.agreed:MASKS_PER_MESSAGE": 128,
        "privacy.psi.cached.agreed:POINTS_PER_MESSAGE": 32,
    }
)
SMALL = {"hub": Plan(), **dict.fromkeys(PAIR, SMALL_NODE)}
# the same for lists of points: a few in a message, a few messages in a request
LISTS = {
    "hub": Plan(settings={"hub.match_envelopes:STEP_BYTES_MAX": 10_000}),
    **dict.fromkeys(PAIR, Plan(mutants=("small messages",))),
}
NODE_COMMIT, HUB_COMMIT = "partner_node.database:Database.write", "hub.store:Store.run"


def node_dies(when: str, call: int) -> Fault:
    """At a step: before its commit nothing has left the house; after it the reply is stored and not yet sent."""
    return Fault(at=NODE_COMMIT, first="match.step", when=when, call=call)


def hub_dies(use_case: str, call: int) -> Fault:
    return Fault(at=HUB_COMMIT, first=use_case, when="after", call=call)


DEATHS: Mapping[str, Sequence[Fault]] = {
    "hub": (hub_dies("tasks.answer", 12), hub_dies("tasks.answer", 9)),
    "broker": (node_dies("after", 6), node_dies("before", 3)),
    "bank": (node_dies("before", 5), node_dies("after", 4)),
}


@pytest.fixture
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("m") / "w") as made:
        made.start("chain", "hub", *PAIR, plans=SMALL)
        yield made


def survived(
    alliance: Alliance,
    body: dict[str, Any],
    *,
    buckets: int,
    plans: Mapping[str, Plan] = SMALL,
    deaths: Mapping[str, Sequence[Fault]] = DEATHS,
) -> str:
    """The digest of a job that completed although both nodes and the hub died in its middle, each of them twice.

    buckets: each party had more of them to do.
    """
    digest = alliance.propose("data", "match", body)
    lives = {name: [replace(plans[name], faults=(fault,)) for fault in deaths[name]] for name in deaths}
    for name in lives:
        alliance.restart(name, lives[name].pop(0))
    alliance.approve(digest, PAIR)
    done: list[int] = []

    def look(name: str) -> None:
        """How many buckets were done when a node had died."""
        if name != "hub":
            parties = alliance.job(digest)["progress"].get("parties", {})
            done.append(sum(value["parts"][0] for value in parties.values()))

    job = alliance.nurse(digest, lives, plans, look)
    parts = {name: value["parts"] for name, value in job["progress"]["parties"].items()}
    assert all(finished == total > buckets for finished, total in parts.values()), "there was a middle"
    assert any(0 < count < sum(total for _, total in parts.values()) for count in done), "and somebody died in it"
    return digest


def found(alliance: Alliance, name: str, job: str, folder: Path) -> list[dict[str, str]]:
    file = folder / f"{name}.csv"
    alliance.node(name, "match.result", job=job, file=str(file))
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def shared(alliance: Alliance) -> set[str]:
    known = [set(launch_alliance.rows(alliance.world.partners[name].source)) for name in PAIR]
    return {client for client in set.intersection(*known) if world.consents(client)}


def test_rows_are_found_where_both_parties_and_the_hub_died(alliance: Alliance, tmp_path: Path) -> None:
    job = survived(alliance, launch_alliance.match_body("rows", *PAIR, engine="oprf", version=2, both=True), buckets=16)
    for name in PAIR:
        assert {line["client_id"] for line in found(alliance, name, job, tmp_path)} == shared(alliance)


def test_rows_by_ecdh_are_found_where_both_parties_and_the_hub_died(alliance: Alliance, tmp_path: Path) -> None:
    body = launch_alliance.match_body("rows", *PAIR, engine="ecdh", version=2, both=True)
    deaths = {
        "hub": (hub_dies("tasks.answer", 8), hub_dies("tasks.answer", 5)),
        "broker": (node_dies("after", 4), node_dies("before", 3)),
        "bank": (node_dies("before", 3), node_dies("after", 2)),
    }
    job = survived(alliance, body, buckets=10, plans=LISTS, deaths=deaths)
    for name in PAIR:
        assert {line["client_id"] for line in found(alliance, name, job, tmp_path)} == shared(alliance)


def test_labels_are_the_sources_where_both_parties_and_the_hub_died(alliance: Alliance, tmp_path: Path) -> None:
    labels = {"partner": "bank", "column": "CHECKING", "bytes": 24}
    job = survived(
        alliance, launch_alliance.match_body("labels", *PAIR, engine="oprf", version=2, labels=labels), buckets=8
    )
    source = launch_alliance.rows(alliance.world.partners["bank"].source)
    lines = found(alliance, "broker", job, tmp_path)
    assert {line["client_id"] for line in lines} == shared(alliance)
    assert all(line["label"].removeprefix("'") == source[line["client_id"]]["CHECKING"] for line in lines)


def test_a_list_travels_once_and_points_are_booked_once_where_both_parties_and_the_hub_died(
    alliance: Alliance, tmp_path: Path
) -> None:
    ends = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0).isoformat()
    epoch = {"epoch": 1, "slots": 4096, "addition_slots": 64, "additions_max": 2, "points_max": 10_000, "ends": ends}
    body = launch_alliance.match_body("cached", *PAIR, version=2, cached=epoch)
    job = survived(alliance, body, buckets=16)
    assert {line["client_id"] for line in found(alliance, "broker", job, tmp_path)} == shared(alliance)
    asked = sum(map(world.consents, launch_alliance.rows(alliance.world.partners["broker"].source)))
    for name in PAIR:
        (line,) = alliance.node(name, "matching.epochs")["epochs"]
        assert (line["used"], line["state"]) == (asked, "open")
    again = alliance.run_job("data", "match", {**body, "nonce": "5b" * 16})
    assert alliance.job(job)["bytes"] - again["bytes"] > 2 * 12 * epoch["slots"], "the hub takes and gives each mask"
    (tmp_path / "again").mkdir()
    lines = found(alliance, "broker", again["digest"], tmp_path / "again")
    assert {line["client_id"] for line in lines} == shared(alliance)
    assert {alliance.node(name, "matching.epochs")["epochs"][0]["used"] for name in PAIR} == {2 * asked}
