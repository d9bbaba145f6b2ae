"""A hub over PostgreSQL: enrolment, proposals, a whole match, a whole horizontal run.

Collected where ECOHUB_TEST_POSTGRES names a server; the named database is emptied.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from hub.runs import Runs
from tests.hub import horizontal
from tests.hub.alliance import Hub, MovableClock, found_hub, opened, party
from tests.hub.horizontal import BANKS
from tests.hub.relay import Script, approved
from tests.hub.test_matching import ALIGN


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    url = os.environ["ECOHUB_TEST_POSTGRES"]
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
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
