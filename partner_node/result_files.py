"""What a run leaves at this node for its own people: models, figures and scores, as files in `results/`.

A file can't be part of a database transaction. So what a run leaves is kept in node.db by the transaction that keeps
its signed result, and is put into the folder once that is committed: no file stands there of a result that never was,
and none is lost because the folder could not be written or the node died in between. What could not be written stays
in node.db, and is tried again at the node's start and every hour.
"""

import logging
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from partner_node import files
from partner_node.database import Database, forget
from partner_node.errors import ResultsNotWritable
from partner_node.tables import ResultFileRow

log = logging.getLogger(__name__)
PROBE, PROBED = ".probe", bytes(1)  # a file, and what is written into it


class ResultFiles:
    """The results folder of one node. `place` may be called from any thread."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._lock = threading.Lock()  # two threads would write one draft

    def check(self) -> None:
        """Raises ResultsNotWritable unless a file can be written there now."""
        with self._lock:
            check(self._folder)

    def place(self) -> int:
        """Write what waits; how many files still do."""
        with self._lock:
            waiting = self._database.read(names)
            for done, (job, name) in enumerate(waiting):
                data = self._database.read(partial(_data, job=job, name=name))
                try:
                    files.replace(self._folder / name, data)
                except OSError as error:
                    log.error("%s; %d files wait", _not_writable(self._folder, error), len(waiting) - done)
                    return len(waiting) - done
                self._database.write("place result", partial(_drop, job=job, name=name))
            return 0


def check(folder: Path) -> None:
    """Raises ResultsNotWritable unless a file can be written in this folder, which is made where it is missing."""
    try:
        files.replace(folder / PROBE, PROBED)
        (folder / PROBE).unlink()
    except OSError as error:
        raise _not_writable(folder, error) from None


def keep(session: Session, job: str, made: Mapping[str, bytes]) -> None:
    """Keep a job's files, by their names in the folder, until they are placed."""
    for name, data in made.items():
        session.merge(ResultFileRow(job=job, name=name, data=data))


def names(session: Session) -> list[tuple[str, str]]:
    """(job, file) of what waits to be written."""
    rows = session.execute(
        select(ResultFileRow.job, ResultFileRow.name).order_by(ResultFileRow.job, ResultFileRow.name)
    )
    return [(row[0], row[1]) for row in rows]


def _data(session: Session, job: str, name: str) -> bytes:
    return session.get_one(ResultFileRow, (job, name)).data


def _drop(session: Session, job: str, name: str) -> None:
    session.delete(session.get_one(ResultFileRow, (job, name)))
    forget(session)  # scores of clients


def _not_writable(folder: Path, error: OSError) -> ResultsNotWritable:
    return ResultsNotWritable(folder=str(folder), why=error.strerror or type(error).__name__)
