"""What a node does for itself at its start and every hour: the state of expired jobs goes, with its secrets."""

import logging
import threading
from datetime import datetime

from sqlalchemy.orm import Session

from partner_node import sessions, store, times
from partner_node.database import Database
from partner_node.errors import UnknownJob
from partner_node.times import Clock

log = logging.getLogger(__name__)
INTERVAL_SECONDS = 3600.0


def drop_expired(database: Database, now: datetime) -> int:
    """Delete the session state of every job that has expired; how many."""

    def apply(session: Session) -> int:
        gone = [item.job for item in sessions.running(session) if _is_over(session, item.job, times.to_text(now))]
        for job in gone:
            sessions.end(session, job, times.to_text(now))
        return len(gone)

    return database.write("drop expired sessions", apply)


def run(database: Database, clock: Clock, stop: threading.Event) -> None:
    """Keep house until `stop`."""
    while True:
        dropped = drop_expired(database, clock())
        if dropped:
            log.info("deleted the state of %d expired jobs", dropped)
        if stop.wait(INTERVAL_SECONDS):
            return


def _is_over(session: Session, job: str, now: str) -> bool:
    try:
        return store.proposal(session, job).expires <= now
    except UnknownJob:
        return True
