"""One client's score through a hub and nodes as processes, and over the death of each of them at its worst moment.

An ask ends with the score of the label matrix whatever dies on its way, by itself or when the command is given again,
and every holder counts its client once. The tests of this module are one story and run in order.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from ecowire.status import code_of
from privacy.errors import Failure
from tests.support import launch_alliance, launch_fixtures
from tests.support.launch import Fault, Plan
from tests.support.launch_alliance import Alliance, wait

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
SIDES = ("broker", "bank", "platform")
NODE_COMMIT, HUB_COMMIT = "partner_node.database:Database.write", "hub.store:Store.run"
DEATHS = {
    "the broker with the ask kept and not yet sent": ("broker", NODE_COMMIT, "after", "score ask"),
    "the hub with the ask posted and not yet receipted": ("hub", HUB_COMMIT, "after", "request.score.ask"),
    "a holder before its answer is committed": ("bank", NODE_COMMIT, "before", "score"),
    "a holder with its answer committed and not yet sent": ("bank", NODE_COMMIT, "after", "score"),
    "the hub before it keeps an answer": ("hub", HUB_COMMIT, "before", "tasks.answer"),
    "the broker before it keeps the score": ("broker", NODE_COMMIT, "before", "score.answer"),
}


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("s") / "w") as made:
        made.start("hub", *SIDES)
        yield made


@pytest.fixture(scope="module")
def run(alliance: Alliance) -> str:
    """A completed run with `scoring`."""
    match = alliance.run_job("data", "match", launch_alliance.match_body("align", *SIDES))["digest"]
    body = launch_alliance.train_body(match, scoring={"clients_per_day": 1000})
    return str(alliance.run_job("data", "train", body)["digest"])


@pytest.fixture(scope="module")
def matrix(alliance: Alliance, run: str) -> dict[str, Any]:
    file = alliance.world.node_folder("broker") / "results" / f"label-matrix-{run[:16]}.parquet"
    return {row["client_id"]: row for row in pyarrow.parquet.read_table(file).to_pylist()}


@pytest.fixture(scope="module")
def fresh(matrix: dict[str, Any]) -> Iterator[str]:
    """Clients that nobody asked for yet."""
    return iter(matrix)


def score(alliance: Alliance, run: str, client: str, seconds: int = 20) -> Any:
    return alliance.node("broker", "score", job=run, client=client, person="a clerk", seconds=seconds)


def test_a_model_scores_nobody_before_it_is_released(alliance: Alliance, run: str, fresh: Iterator[str]) -> None:
    def refused() -> bool:
        try:
            score(alliance, run, client)
        except Failure as failure:
            return code_of(failure) == "MODEL_NOT_RELEASED"
        return False

    client = next(fresh)
    wait(refused, "the hub's first step to be known")
    release = {"job": run, "share_ppm": 1_000_000, "reason": "reviewed", "accept_no_uplift": True}
    alliance.call("data", "model.release", release)
    assert wait(lambda: score(alliance, run, client), "the release")["job"] == run


def test_single_scores_are_those_of_the_label_matrix(
    alliance: Alliance, run: str, matrix: dict[str, Any], fresh: Iterator[str]
) -> None:
    for client in (next(fresh) for _ in range(5)):
        found = score(alliance, run, client)
        assert float(found["score"]) == matrix[client]["score"]
        assert (found["decile"], found["changed"]) == (matrix[client]["decile"], False)


@pytest.mark.parametrize(("name", "at", "when", "first"), DEATHS.values(), ids=DEATHS)
def test_an_ask_ends_over_the_death_of(
    alliance: Alliance,
    run: str,
    matrix: dict[str, Any],
    fresh: Iterator[str],
    name: str,
    at: str,
    when: str,
    first: str,
) -> None:
    client, before = next(fresh), counted(alliance)
    alliance.restart(name, Plan(faults=(Fault(at=at, first=first, when=when),)))
    told: list[Any] = []

    def asking() -> None:
        try:
            told.append(score(alliance, run, client))
        except Failure as failure:
            told.append(code_of(failure))

    person = threading.Thread(target=asking, daemon=True)
    person.start()
    alliance.process(name).wait_killed()
    alliance.start(name)
    person.join(60)
    if name == "broker":  # its people's command broke off with it: they give it again
        assert told == ["NODE_NOT_RUNNING"]
        told = [score(alliance, run, client)]
    assert float(told[0]["score"]) == matrix[client]["score"]
    asks = alliance.node("broker", "scores", job=run)["asked"]
    assert {one["state"] for one in asks} == {"ANSWERED"}
    assert [one["ask"] for one in asks].count(told[0]["ask"]) == 1
    assert counted(alliance) == {side: number + 1 for side, number in before.items()}


def counted(alliance: Alliance) -> dict[str, int]:
    """How many clients each feature holder answered for."""
    return {
        side: sum(day["clients"] for day in alliance.node(side, "scores")["given"])
        for side in SIDES
        if side != "broker"
    }


def test_a_holder_that_is_away_ends_the_waiting_and_the_ask_goes_on_when_it_is_back(
    alliance: Alliance, run: str, matrix: dict[str, Any], fresh: Iterator[str]
) -> None:
    client, before = next(fresh), counted(alliance)
    alliance.stop("platform")
    with pytest.raises(Failure) as caught:
        score(alliance, run, client, seconds=1)
    assert code_of(caught.value) == "SCORE_PENDING"
    alliance.start("platform")
    assert float(score(alliance, run, client)["score"]) == matrix[client]["score"]
    assert counted(alliance) == {side: number + 1 for side, number in before.items()}
