"""A hub over PostgreSQL: enrolment, proposals, a whole match, a whole horizontal run, models released and taken back.

Collected where ECOHUB_TEST_POSTGRES names a server; the named database is emptied.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.records import Proposal
from hub.runs import Runs
from hub.store import StoreBusy
from privacy.errors import Failure
from tests.hub import horizontal, registry
from tests.hub.alliance import Hub, MovableClock, found_hub, opened, party
from tests.hub.horizontal import BANKS
from tests.hub.ledgers import empty
from tests.hub.relay import Script, approved
from tests.hub.test_matching import ALIGN


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    url = os.environ["ECOHUB_TEST_POSTGRES"]
    empty(url)
    with opened(found_hub(tmp_path / "hub", MovableClock(), database=url), b"postgres") as made:
        for name in ("broker", "insurer", "bank"):
            made.enrol(party(name))
        yield made


def test_a_match_of_three_runs_to_its_end(hub: Hub) -> None:
    hub.store.check()
    done = Script(hub, approved(hub, "broker", "insurer", "bank", mode="align"), ALIGN).run()
    assert (done.state, done.reason) == ("COMPLETED", {})
    kinds = [kind for kind, subject in hub.leaves() if subject == done.digest]
    assert kinds.count("match-result") == 3


def test_a_horizontal_run_rests_and_goes_on_to_its_end(hub: Hub) -> None:
    for name in BANKS:
        hub.enrol(party(name))
    job = horizontal.approved(hub, *BANKS)
    nodes = horizontal.Nodes(hub, job)
    horizontal.command(hub, "start", job)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    nodes.drive(hub.services, lambda: "2.0.train" in nodes.groups())
    horizontal.command(hub, "pause", job)
    horizontal.wait_for_threads()
    horizontal.command(hub, "resume", job)
    runs.advance(hub.services, job.digest)
    done = nodes.drive(hub.services)
    horizontal.wait_for_threads()
    assert (done.state, done.reason) == ("COMPLETED", {})
    assert len(hub.store.read("r", lambda tx: tx.runs.rounds(job.digest))) == 3


def test_a_model_is_released_to_a_share_and_taken_back(hub: Hub) -> None:
    hub.enrol(party("platform"))
    first, second = registry.completed(hub, 1), registry.completed(hub, 2, groups=0.05)
    registry.release(hub, first)
    registry.release(hub, second, 50_000)
    assert registry.serving(hub) == {second.digest: 50_000, first.digest: 1_000_000}
    with pytest.raises(StoreBusy):  # the constraint of this database too, which a writer beside could have met
        hub.run(
            lambda _, tx: tx.models.put(second.digest, state="RELEASED", share_ppm=1_000_000, salt="", now=hub.now())
        )
    registry.release(hub, second)
    registry.rollback(hub)
    assert registry.serving(hub) == {first.digest: 1_000_000}
    assert [step["action"] for step in registry.steps(hub)][-3:] == ["release", "raise", "rollback"]


def test_two_people_who_release_at_once_make_one_release(hub: Hub) -> None:
    hub.enrol(party("platform"))
    models = [registry.completed(hub, number) for number in (1, 2)]
    gate = threading.Barrier(2)

    def release(job: Proposal) -> str:
        gate.wait()
        try:
            registry.release(hub, job, 50_000)
        except Failure as failure:
            return failure.code
        return "RELEASED"

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(release, models))
    assert told in (["RELEASED", "RELEASE_UNDER_WAY"], ["RELEASED", "STORE_BUSY"])
    assert list(registry.serving(hub).values()) == [50_000]
