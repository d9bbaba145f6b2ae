"""The hub's own motor: one thread that advances jobs as answers arrive, and ends what has passed its expiry.

Everything it does is a function of the database, so at start-up it simply advances every open job: a crash at any place
resumes here.
"""

import logging
import queue
import threading
from collections.abc import Mapping

from hub import proposals
from hub.proposals import Advance
from hub.services import Services
from hub.store import Signal
from privacy.errors import Failure
from privacy.ids import Digest

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
RETRY_TICKS = 5  # a job whose step failed for a passing reason is tried again after this many ticks


class Engine:
    """`kinds` says how each kind of job advances."""

    def __init__(self, services: Services, kinds: Mapping[str, Advance]) -> None:
        self._services = services
        self._kinds = kinds
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._retry: dict[str, int] = {}
        services.store.subscribe(self._signal)

    def start(self) -> None:
        """Resume all open jobs, then follow the signals."""
        open_jobs = self._services.store.read("jobs.open", lambda tx: tx.jobs.proposals(states=proposals.OPEN_STATES))
        for job in open_jobs:
            self._queue.put(job.digest)
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way and end."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _signal(self, signal: Signal) -> None:
        if signal[0] == "job":
            self._queue.put(signal[1])

    def _run(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=TICK_SECONDS)
            except queue.Empty:
                self._tick()
                continue
            if job is None:
                return
            self._advance(job)

    def _tick(self) -> None:
        try:
            now = self._services.clock()
            self._services.store.run("proposals.expire", lambda tx: proposals.expire_due(self._services, tx, now))
        except Failure as failure:
            log.warning("expiry was not checked: %s", failure)
        for job in [job for job, ticks in self._retry.items() if ticks <= 0]:
            del self._retry[job]
            self._advance(job)
        self._retry = {job: ticks - 1 for job, ticks in self._retry.items()}

    def _advance(self, digest: str) -> None:
        try:
            job = self._services.store.read("jobs.get", lambda tx: tx.jobs.proposal(digest))
            if job is not None and job.kind in self._kinds:
                self._kinds[job.kind](self._services, Digest(digest))
        except Failure as failure:
            log.warning("job %s did not advance and is tried again: %s", digest[:16], failure)
            self._retry[digest] = RETRY_TICKS
        except Exception:
            # a bug here must not stop the other jobs; the transaction was rolled back, nothing is half done
            log.exception("job %s did not advance", digest[:16])
            self._retry[digest] = RETRY_TICKS
