"""One client's score by trees through a hub and nodes as processes, and over the death of a holder with its answer."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from ecowire.status import code_of
from privacy.errors import Failure
from tests.flows.test_crash_trees import TREES
from tests.flows.test_scores import NODE_COMMIT, SIDES, counted, score
from tests.support import launch_alliance, launch_fixtures
from tests.support.launch import Fault, Plan
from tests.support.launch_alliance import Alliance, wait

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("t") / "w") as made:
        made.start("hub", *SIDES)
        yield made


def test_trees_score_one_client_at_a_time_and_over_a_death(alliance: Alliance) -> None:
    match = alliance.run_job("data", "match", launch_alliance.match_body("align", *SIDES))["digest"]
    body = launch_alliance.train_body(match, **TREES, scoring={"clients_per_day": 1000})
    run = str(alliance.run_job("data", "train", body)["digest"])
    release = {"job": run, "share_ppm": 1_000_000, "reason": "reviewed", "accept_no_uplift": True}
    wait(lambda: alliance.call("data", "model.release", release) or True, "the release")
    file = alliance.world.node_folder("broker") / "results" / f"label-matrix-{run[:16]}.parquet"
    matrix = {row["client_id"]: row for row in pyarrow.parquet.read_table(file).to_pylist()}
    first, *others = list(matrix)[:5]
    wait(lambda: served(alliance, run, first), "the release to reach the node")
    for client in others[:3]:
        found = score(alliance, run, client)
        assert (float(found["score"]), found["changed"]) == (matrix[client]["score"], False)
    before, told = counted(alliance), list[Any]()
    alliance.restart("bank", Plan(faults=(Fault(at=NODE_COMMIT, first="score", when="after"),)))
    person = threading.Thread(target=lambda: told.append(score(alliance, run, others[3])), daemon=True)
    person.start()
    alliance.process("bank").wait_killed()
    alliance.start("bank")
    person.join(60)
    assert float(told[0]["score"]) == matrix[others[3]]["score"]
    assert counted(alliance) == {side: number + 1 for side, number in before.items()}


def served(alliance: Alliance, run: str, client: str) -> bool:
    """Whether this client is scored by now. Raises any refusal but that of a release that is on its way."""
    try:
        return bool(score(alliance, run, client))
    except Failure as failure:
        if code_of(failure) != "MODEL_NOT_RELEASED":
            raise
        return False
