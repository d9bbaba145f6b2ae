"""What a node does for itself at its start and every hour: the state of jobs that are over goes, with its secrets, as
do key epochs; and files of results that could not be written are tried again.

A node isn't told when a job was cancelled or failed elsewhere, and must not depend on being told: a job is over here
when it has expired, or when nothing was heard of it for IDLE.
"""

import logging
import threading
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from partner_node import match_epoch_store, sessions, store, times
from partner_node.database import Database
from partner_node.errors import UnknownJob
from partner_node.result_files import ResultFiles
from partner_node.times import Clock

log = logging.getLogger(__name__)
INTERVAL_SECONDS = 3600.0
IDLE = timedelta(days=3)


def drop_ended(database: Database, now: datetime) -> int:
    """Delete the session state of every job that has expired or fallen silent, and end epochs; how many jobs."""

    def apply(session: Session) -> int:
        gone = {item.job for item in sessions.running(session) if _is_over(session, item.job, times.to_text(now))}
        gone.update(sessions.idle(session, times.to_text(now - IDLE)))
        for job in gone:
            sessions.end(session, job, times.to_text(now))
        match_epoch_store.end_due(session, times.to_text(now))
        return len(gone)

    count = database.write("drop ended sessions", apply)
    if not database.empty_log():
        log.info("the database's log could not be emptied now; the next round tries again")
    return count


def run(database: Database, results: ResultFiles, clock: Clock, stop: threading.Event) -> None:
    """Keep house until `stop`."""
    while True:
        results.place()
        dropped = drop_ended(database, clock())
        if dropped:
            log.info("deleted the state of %d jobs that are over", dropped)
        if stop.wait(INTERVAL_SECONDS):
            return


def _is_over(session: Session, job: str, now: str) -> bool:
    try:
        return store.proposal(session, job).expires <= now
    except UnknownJob:
        return True
