"""The threads of the training runs under way, at most one for each run. What a run does is its shape's own module."""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from ecowire.status import Internal
from hub import horizontal_run, proposals, training, vertical_run
from hub.records import Proposal
from hub.round_channel import RunEnded, RunInterrupted
from hub.services import Services
from hub.store import Transaction
from privacy.errors import Failure
from privacy.ids import Digest

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
RETRY_SECONDS = 5.0


class Shape(Protocol):
    """How runs of one shape are driven and ended."""

    def execute(self, services: Services, job: Proposal) -> Any:
        """Drive the run to its end, from wherever it stands; its outcome."""
        ...

    def complete(self, services: Services, tx: Transaction, job: Proposal, outcome: Any, now: datetime) -> None:
        """Keep the outcome and end the run, in one transaction."""
        ...

    def pauses(self, failure: Failure) -> bool:
        """Whether the run can go on later, after this failure."""
        ...


SHAPES: Mapping[str, Shape] = {training.VERTICAL: vertical_run, training.HORIZONTAL: horizontal_run}


class Runs:
    """Starts, resumes and stops runs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}

    def advance(self, services: Services, digest: Digest) -> None:
        """Start a vertical run once everybody approved; resume a run under way where no thread has it."""
        with self._lock:
            if digest in self._threads or services.waiters.closed:
                return
            job = self._under_way(digest)
            if job is None:
                return
            thread = threading.Thread(target=self._run, args=(job,), name=f"run-{digest[:8]}", daemon=True)
            self._threads[digest] = thread
            thread.start()

    def stop(self) -> None:
        """Wait for the runs, which the closed waiters have interrupted; they resume at the next start."""
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(timeout=STOP_SECONDS)

    def _under_way(self, digest: Digest) -> Proposal | None:
        """The run, RUNNING; None where it is not to run: not approved or started yet, resting, or over."""
        store = self._services.store
        job = store.read("training.job", lambda tx: tx.jobs.proposal(digest))
        assert job is not None and job.kind == "train", "the engine drives training runs here"
        if job.state == proposals.APPROVED and training.shape(job) == training.VERTICAL:
            job = store.run("training.start", lambda tx: self._started(tx, digest))
        return job if job is not None and job.state == proposals.RUNNING else None

    def _started(self, tx: Transaction, digest: Digest) -> Proposal | None:
        job = tx.jobs.proposal(digest)
        if job is None or job.state != proposals.APPROVED:
            return job
        return proposals.move(self._services, tx, job, proposals.RUNNING, self._services.clock())

    def _run(self, job: Proposal) -> None:
        try:
            self._drive(job)
        except Failure as failure:
            log.warning("run %s did not end cleanly and is tried again: %s", job.digest[:16], failure)
            self._services.waiters.rest(RETRY_SECONDS)
        finally:
            with self._lock:
                del self._threads[job.digest]
        self.advance(self._services, job.digest)  # it may have been resumed while this thread found it paused

    def _drive(self, job: Proposal) -> None:
        services, shape = self._services, SHAPES[training.shape(job)]
        try:
            outcome = shape.execute(services, job)
            now = services.clock()
            services.store.run("training.complete", lambda tx: self._complete(tx, job.digest, shape, outcome, now))
        except (RunInterrupted, RunEnded) as why:
            log.info("run %s: %s", job.digest[:16], why)
        except Failure as failure:
            self._end(job, failure, shape.pauses(failure))
        except Exception:
            reference = services.entropy(4).hex()
            log.exception("run %s: internal error %s", job.digest[:16], reference)
            unknown = Internal(reference=reference)
            self._end(job, unknown, shape.pauses(unknown))  # a run that can wait may go on once the bug is mended

    def _complete(self, tx: Transaction, digest: Digest, shape: Shape, outcome: Any, now: datetime) -> None:
        job = tx.jobs.proposal(digest)
        assert job is not None
        if job.state == proposals.RUNNING:  # else it was paused, cancelled or expired in the moment of its end
            shape.complete(self._services, tx, job, outcome, now)

    def _end(self, job: Proposal, failure: Failure, pauses: bool) -> None:
        services, now = self._services, self._services.clock()

        def body(tx: Transaction) -> None:
            current = tx.jobs.proposal(job.digest)
            if current is None or current.state != proposals.RUNNING:
                return
            if pauses:
                proposals.pause(services, tx, current, now, failure)
            else:
                proposals.fail(services, tx, current, now, failure)

        services.store.run("training.end", body)
