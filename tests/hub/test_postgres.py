"""A hub over PostgreSQL: enrolment, proposals, a whole match. Collected where ECOHUB_TEST_POSTGRES names a server.

The named database is emptied.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.hub.alliance import Hub, MovableClock, found_hub, opened, party
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
