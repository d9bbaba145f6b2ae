"""Repository of horizontal runs: the newest checkpoint of each, what was decided once, and its finished rounds.

Checkpoint and decisions are there to go on after a crash, so both go when the run has ended. The rounds stay.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hub.records import Head
from hub.tables import RunCheckpointRow, RunDecisionRow, RunRoundRow
from privacy import canonical

RESUMES = "resumes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run's state after `round`; the body is the training's own form."""

    round: int
    body: bytes


class RunStore:
    """Checkpoints and decisions by job."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def checkpoint(self, job: str) -> SavedRun | None:
        row = self._session.get(RunCheckpointRow, job)
        return SavedRun(round=row.round, body=row.body) if row else None

    def save_checkpoint(self, job: str, saved: SavedRun, now: datetime) -> None:
        """The newest state takes the place of the one before."""
        row = self._session.get(RunCheckpointRow, job)
        if row is None:
            self._session.add(RunCheckpointRow(job=job, round=saved.round, body=saved.body, saved_at=now))
        else:
            row.round, row.body, row.saved_at = saved.round, saved.body, now
        self._session.flush()

    def decision(self, job: str, name: str) -> tuple[canonical.Value] | None:
        """What was decided under this name, in a tuple, since null can be a decision."""
        row = self._session.get(RunDecisionRow, (job, name))
        return (canonical.decode(row.value.encode()),) if row else None

    def decide(self, job: str, name: str, value: canonical.Value, now: datetime) -> canonical.Value:
        """Keep the first decision under this name; gives the one that holds."""
        known = self.decision(job, name)
        if known is not None:
            return known[0]
        text = canonical.encode(value).decode()
        self._session.add(RunDecisionRow(job=job, name=name, value=text, decided_at=now))
        self._session.flush()
        return canonical.decode(text.encode())

    def decisions(self, job: str) -> dict[str, canonical.Value]:
        """All of a run's decisions by name."""
        query = select(RunDecisionRow.name, RunDecisionRow.value).where(RunDecisionRow.job == job)
        return {name: canonical.decode(value.encode()) for name, value in self._session.execute(query)}

    def resumes(self, job: str) -> int:
        """How often people went on with the run after it could not."""
        known = self.decision(job, RESUMES)
        return int(str(known[0])) if known else 0

    def count_resume(self, job: str, now: datetime) -> None:
        row = self._session.get(RunDecisionRow, (job, RESUMES))
        if row is None:
            self._session.add(RunDecisionRow(job=job, name=RESUMES, value="1", decided_at=now))
        else:
            row.value, row.decided_at = str(int(row.value) + 1), now
        self._session.flush()

    def add_round(self, job: str, round_: int, facts: Head, now: datetime) -> None:
        """Write a finished round; one that is walked through again keeps its first figures."""
        if self._session.get(RunRoundRow, (job, round_)) is None:
            text = canonical.encode(facts).decode()
            self._session.add(RunRoundRow(job=job, round=round_, facts=text, ended_at=now))
            self._session.flush()

    def rounds(self, job: str) -> tuple[Head, ...]:
        """The finished rounds' figures, in order."""
        query = select(RunRoundRow.facts).where(RunRoundRow.job == job).order_by(RunRoundRow.round)
        found = [canonical.decode(text.encode()) for text in self._session.scalars(query)]
        return tuple(facts for facts in found if isinstance(facts, dict))

    def forget(self, job: str) -> None:
        """The run has ended: nothing goes on from here."""
        self._session.execute(delete(RunCheckpointRow).where(RunCheckpointRow.job == job))
        self._session.execute(delete(RunDecisionRow).where(RunDecisionRow.job == job))
