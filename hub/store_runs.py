"""Repository of runs: their finished rounds; of horizontal ones the newest checkpoint and what was decided once.

Checkpoint and decisions are there to go on after a crash, so both go when the run has ended. The rounds stay, and what
went wrong in them.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from hub.records import Head, Trouble
from hub.store_unit import Repository
from hub.tables import RunCheckpointRow, RunDecisionRow, RunRoundRow, RunTroubleRow
from privacy import canonical

RESUMES = "resumes"

# Written with every round or request of a run: the statements are made once.
CHECKPOINT = select(RunCheckpointRow.round, RunCheckpointRow.body).where(RunCheckpointRow.job == bindparam("run"))
REPLACE = (
    update(RunCheckpointRow)
    .where(RunCheckpointRow.job == bindparam("run"))
    .values({name: bindparam(f"new_{name}") for name in ("round", "body", "saved_at")})
)
DECISION = select(RunDecisionRow.value).where(
    RunDecisionRow.job == bindparam("run"), RunDecisionRow.name == bindparam("called")
)
FINISHED = select(RunRoundRow.round).where(
    RunRoundRow.job == bindparam("run"), RunRoundRow.round == bindparam("number")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run's state after `round`; the body is the training's own form."""

    round: int
    body: bytes


class RunStore(Repository):
    """Checkpoints and decisions by job."""

    def checkpoint(self, job: str) -> SavedRun | None:
        found = self._connection.execute(CHECKPOINT, {"run": job}).one_or_none()
        return SavedRun(round=found.round, body=found.body) if found else None

    def save_checkpoint(self, job: str, saved: SavedRun, now: datetime) -> None:
        """The newest state takes the place of the one before."""
        values = {"round": saved.round, "body": saved.body, "saved_at": now}
        replaced = self._connection.execute(REPLACE, {"run": job} | {f"new_{k}": v for k, v in values.items()})
        if not replaced.rowcount:
            self._connection.execute(insert(RunCheckpointRow), {"job": job} | values)

    def decision(self, job: str, name: str) -> tuple[canonical.Value] | None:
        """What was decided under this name, in a tuple, since null can be a decision."""
        text = self._connection.scalars(DECISION, {"run": job, "called": name}).one_or_none()
        return None if text is None else (canonical.decode(text.encode()),)

    def decide(self, job: str, name: str, value: canonical.Value, now: datetime) -> canonical.Value:
        """Keep the first decision under this name; gives the one that holds."""
        known = self.decision(job, name)
        if known is not None:
            return known[0]
        text = canonical.encode(value)
        values = {"job": job, "name": name, "value": text.decode(), "decided_at": now}
        self._connection.execute(insert(RunDecisionRow), values)
        return canonical.decode(text)

    def decisions(self, job: str) -> dict[str, canonical.Value]:
        """All of a run's decisions by name."""
        query = select(RunDecisionRow.name, RunDecisionRow.value).where(RunDecisionRow.job == job)
        return {name: canonical.decode(value.encode()) for name, value in self._connection.execute(query)}

    def resumes(self, job: str) -> int:
        """How often people went on with the run after it could not."""
        known = self.decision(job, RESUMES)
        return int(str(known[0])) if known else 0

    def count_resume(self, job: str, now: datetime) -> None:
        count = self.resumes(job) + 1
        if count == 1:
            self.decide(job, RESUMES, count, now)
            return
        counted = update(RunDecisionRow).where(RunDecisionRow.job == job, RunDecisionRow.name == RESUMES)
        self._connection.execute(counted.values(value=str(count), decided_at=now))

    def add_round(self, job: str, round_: int, facts: Head, now: datetime) -> None:
        """Write a finished round; one that is walked through again keeps its first figures."""
        if self._connection.scalars(FINISHED, {"run": job, "number": round_}).one_or_none() is None:
            values = {"job": job, "round": round_, "facts": canonical.encode(facts).decode(), "ended_at": now}
            self._connection.execute(insert(RunRoundRow), values)

    def rounds(self, job: str) -> tuple[Head, ...]:
        """The finished rounds' figures, in order."""
        query = select(RunRoundRow.facts).where(RunRoundRow.job == job).order_by(RunRoundRow.round)
        return tuple(_head(text) for text in self._connection.scalars(query))

    def keep_trouble(self, job: str, trouble: Trouble, now: datetime) -> None:
        """Write what went wrong at a partner; it takes the place of what went wrong there before in this round."""
        one = RunTroubleRow
        same = (one.job == job, one.round == trouble.round, one.partner == trouble.partner)
        said = canonical.encode(trouble.failure).decode()
        values = {"attempt": trouble.attempt, "phase": trouble.phase, "failure": said, "told_at": now}
        if not self._connection.execute(update(one).where(*same).values(values)).rowcount:
            key = {"job": job, "round": trouble.round, "partner": trouble.partner}
            self._connection.execute(insert(one), key | values)

    def troubles(self, job: str) -> tuple[Trouble, ...]:
        """What went wrong at partners, by round and partner."""
        one = RunTroubleRow
        query = select(one.round, one.attempt, one.phase, one.partner, one.failure).where(one.job == job)
        found = self._connection.execute(query.order_by(one.round, one.partner))
        return tuple(
            Trouble(round=round_, attempt=attempt, phase=phase, partner=partner, failure=_head(failure))
            for round_, attempt, phase, partner, failure in found
        )

    def forget(self, job: str) -> None:
        """The run has ended: nothing goes on from here."""
        self._connection.execute(delete(RunCheckpointRow).where(RunCheckpointRow.job == job))
        self._connection.execute(delete(RunDecisionRow).where(RunDecisionRow.job == job))


def _head(text: str) -> Head:
    value = canonical.decode(text.encode())
    assert isinstance(value, dict), "written by this store"
    return value
