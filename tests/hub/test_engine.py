"""The engine: jobs advance by themselves, expire by themselves, and resume when the hub starts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hub import matching
from hub.engine import Engine
from hub.proposals import Advance
from hub.services import Services
from hub.store import StoreBusy
from privacy.ids import Digest
from tests.hub.alliance import Hub
from tests.hub.relay import approved
from tests.hub.test_proposals import propose


@contextmanager
def running(hub: Hub, advance: Advance = matching.advance) -> Iterator[Engine]:
    engine = Engine(hub.services, {"match": advance})
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def state(hub: Hub, digest: Digest) -> str:
    return hub.proposal(digest).state


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.engine.TICK_SECONDS", 0.05)


def test_the_last_approval_starts_the_job(hub: Hub) -> None:
    with running(hub):
        job = approved(hub, "broker", "insurer")
        wait_for(lambda: state(hub, job.digest) == "RUNNING")
        starts = hub.store.read("t", lambda tx: tx.tasks.of_job(job.digest, kind="match.start"))
        assert len(starts) == 2


def test_what_was_approved_before_the_start_is_started_at_the_start(hub: Hub) -> None:
    job = approved(hub, "broker", "insurer")
    assert state(hub, job.digest) == "APPROVED"
    with running(hub):
        wait_for(lambda: state(hub, job.digest) == "RUNNING")


def test_jobs_expire_by_themselves(hub: Hub) -> None:
    job = propose(hub)
    with running(hub):
        time.sleep(0.3)
        assert state(hub, job.digest) == "PROPOSED"
        hub.clock.forward(86_401)
        wait_for(lambda: state(hub, job.digest) == "EXPIRED")


def test_a_running_job_expires_too_and_its_requests_are_withdrawn(hub: Hub) -> None:
    job = approved(hub, "broker", "insurer")
    with running(hub):
        wait_for(lambda: state(hub, job.digest) == "RUNNING")
        hub.clock.forward(86_401)
        wait_for(lambda: state(hub, job.digest) == "EXPIRED")
    (left,) = [task.id for task in hub.open_tasks("insurer")]
    assert left == f"{job.digest[:32]}-ended-insurer"  # the word that it ended is all that is still sent


@pytest.mark.parametrize("error", [StoreBusy(name="test"), RuntimeError("a bug")])
def test_a_step_that_fails_is_tried_again_and_does_not_stop_the_others(hub: Hub, error: Exception) -> None:
    first, second = approved(hub, "broker", "insurer"), approved(hub, "broker", "bank")
    failed: list[str] = []

    def advance(services: Services, digest: Digest) -> None:
        if digest == first.digest and len(failed) < 2:
            failed.append(digest)
            raise error
        matching.advance(services, digest)

    with running(hub, advance):
        wait_for(lambda: state(hub, second.digest) == "RUNNING")
        wait_for(lambda: state(hub, first.digest) == "RUNNING")
    assert len(failed) == 2
