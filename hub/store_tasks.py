"""Repository of requests: what the hub asked the nodes, and which commands from outside were carried out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, defer

from hub.records import Done, Head, PhaseCost, Task
from hub.tables import CommandRow, TaskRow
from privacy import canonical
from privacy.ids import PartnerId

OPEN, ANSWERED, FAILED, WITHDRAWN = "OPEN", "ANSWERED", "FAILED", "WITHDRAWN"


class TaskStore:
    """Durable requests with their answers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, task: Task) -> None:
        """Add an open task; its number is given by the database when the transaction next looks, or ends."""
        row = TaskRow(
            id=task.id,
            node=task.node,
            job=task.job,
            kind=task.kind,
            phase=task.phase,
            head=canonical.encode(task.head).decode(),
            body=task.body,
            digest=task.digest,
            state=OPEN,
            created_at=task.created_at,
            bytes_down=task.bytes_down,
        )
        self._session.add(row)

    def get(self, task_id: str) -> Task | None:
        row = self._session.scalars(select(TaskRow).where(TaskRow.id == task_id)).one_or_none()
        return _task(row) if row else None

    def asked(self, task_id: str) -> Task | None:
        """A task without the contents of request and answer, which may be large."""
        query = select(TaskRow).options(defer(TaskRow.body), defer(TaskRow.reply_body))
        row = self._session.scalars(query.where(TaskRow.id == task_id)).one_or_none()
        return _task(row, contents=False) if row else None

    def known(self, ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        """(node, digest, state) of those of the given tasks that exist, without their bodies."""
        query = select(TaskRow.id, TaskRow.node, TaskRow.digest, TaskRow.state).where(TaskRow.id.in_(ids))
        return {task_id: (node, digest, state) for task_id, node, digest, state in self._session.execute(query)}

    def settled(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Those of the given tasks that are no longer open."""
        query = select(TaskRow.id).where(TaskRow.id.in_(ids), TaskRow.state != OPEN)
        return tuple(self._session.scalars(query))

    def next_open(self, node: str, after: int) -> tuple[Task | None, bool]:
        """The node's oldest open task that is newer than `after`, and whether there are more."""
        query = select(TaskRow).where(TaskRow.node == node, TaskRow.state == OPEN, TaskRow.number > after)
        ids = self._session.scalars(query.with_only_columns(TaskRow.number).order_by(TaskRow.number).limit(2)).all()
        return (_task(self._session.get_one(TaskRow, ids[0])) if ids else None), len(ids) > 1

    def newest(self, job: str, count: int, kind: str = "flower") -> tuple[tuple[str, str, str], ...]:
        """(id, node, state) of a job's newest tasks of a kind, newest first."""
        query = select(TaskRow.id, TaskRow.node, TaskRow.state).where(TaskRow.job == job, TaskRow.kind == kind)
        found = self._session.execute(query.order_by(TaskRow.number.desc()).limit(count)).all()
        return tuple((task_id, node, state) for task_id, node, state in found)

    def unhandled(self, job: str) -> tuple[Task, ...]:
        """The answers of a job whose consequences are not written yet, in the order they were asked for."""
        query = select(TaskRow).where(TaskRow.job == job, TaskRow.handled.is_(False))
        found = self._session.scalars(query.where(TaskRow.state.in_((ANSWERED, FAILED))).order_by(TaskRow.number))
        return tuple(_task(row) for row in found)

    def of_job(self, job: str, *, kind: str | None = None) -> tuple[Task, ...]:
        """All tasks of a job with their bodies, oldest first."""
        query = select(TaskRow).where(TaskRow.job == job).order_by(TaskRow.number)
        if kind is not None:
            query = query.where(TaskRow.kind == kind)
        return tuple(_task(row) for row in self._session.scalars(query))

    def count(
        self, job: str, *, kind: str, node: str | None = None, state: str | None = None, phase: str | None = None
    ) -> int:
        query = select(func.count()).select_from(TaskRow).where(TaskRow.job == job, TaskRow.kind == kind)
        if node is not None:
            query = query.where(TaskRow.node == node)
        if state is not None:
            query = query.where(TaskRow.state == state)
        if phase is not None:
            query = query.where(TaskRow.phase == phase)
        return int(self._session.scalars(query).one())

    def answer(self, task: Task, *, state: str, head: Head, body: bytes, digest: str, now: datetime, size: int) -> Task:
        """Store an open task's answer; the request's body is not needed any more."""
        assert task.state == OPEN and state in (ANSWERED, FAILED), "only an open task is answered"
        row = self._session.get_one(TaskRow, task.number)
        row.state, row.reply_head, row.reply_body = state, canonical.encode(head).decode(), body
        row.reply_digest, row.answered_at, row.bytes_up, row.body = digest, now, size, None
        self._session.flush()
        answered = replace(task, reply_head=head, reply_body=body, reply_digest=digest, answered_at=now)
        return replace(answered, state=state, body=None, bytes_up=size)

    def replies(self, ids: Sequence[str], bytes_max: int) -> dict[str, Task]:
        """Those of the given tasks that are settled; none of them where their answers together are larger."""
        found = select(TaskRow).where(TaskRow.id.in_(ids), TaskRow.state != OPEN)
        size = self._session.scalars(found.with_only_columns(func.sum(TaskRow.bytes_up))).one() or 0
        if size > bytes_max:
            return {}
        return {row.id: _task(row) for row in self._session.scalars(found)}

    def mark_handled(self, task_id: str, *, phase: str | None = None, keep_body: bool = False) -> None:
        """The answer's consequences are written; its body goes unless it is kept."""
        row = self._session.scalars(select(TaskRow).where(TaskRow.id == task_id)).one()
        row.handled = True
        row.phase = phase or row.phase
        row.reply_body = row.reply_body if keep_body else None
        self._session.flush()

    def withdraw_ids(self, ids: Sequence[str]) -> None:
        """Nobody waits for these any more: what is still open of them is not sent again."""
        closed = update(TaskRow).where(TaskRow.id.in_(ids), TaskRow.state == OPEN)
        self._session.execute(closed.values(state=WITHDRAWN, body=None))

    def drop_content(self, job: str, kind: str, after: int) -> int:
        """What was asked since task `after` has been used: sizes, digests and times stay, contents go. The newest
        task's number, to go on from: a run's end must not look at its beginning again."""
        newest = self._session.scalars(select(func.max(TaskRow.number)).where(TaskRow.job == job)).one() or after
        used = update(TaskRow).where(TaskRow.job == job, TaskRow.number > after, TaskRow.kind == kind)
        self._session.execute(used.where(TaskRow.state == OPEN).values(state=WITHDRAWN))
        self._session.execute(used.values(handled=True, head="{}", body=None, reply_head=None, reply_body=None))
        return int(newest)

    def withdraw(self, job: str) -> None:
        """The job has ended: its open requests are not sent again, and no body is kept."""
        closed = update(TaskRow).where(TaskRow.job == job)
        self._session.execute(closed.where(TaskRow.state == OPEN).values(state=WITHDRAWN))
        self._session.execute(closed.values(body=None, reply_body=None))

    def costs(self, job: str) -> tuple[PhaseCost, ...]:
        """Requests, bytes and duration for each phase and node of a job, in the order the phases began."""
        began = func.min(TaskRow.created_at)
        query = (
            select(
                TaskRow.phase,
                TaskRow.node,
                func.count(),
                func.sum(TaskRow.bytes_down),
                func.sum(TaskRow.bytes_up),
                began,
                func.max(TaskRow.answered_at),
            )
            .where(TaskRow.job == job)
            .group_by(TaskRow.phase, TaskRow.node)
            .order_by(began, TaskRow.phase, TaskRow.node)
        )
        return tuple(
            PhaseCost(
                phase=phase,
                node=PartnerId(node),
                tasks=count,
                bytes_down=int(down or 0),
                bytes_up=int(up or 0),
                started_at=start,
                ended_at=end,
            )
            for phase, node, count, down, up, start, end in self._session.execute(query).all()
        )

    def done(self, actor: str, key: str) -> Done | None:
        """The answer given to this actor's command with this key, if any."""
        row = self._session.get(CommandRow, (actor, key))
        return _done(row) if row else None

    def add_done(self, done: Done) -> None:
        self._session.add(
            CommandRow(
                actor=done.actor,
                key=done.key,
                name=done.name,
                digest=done.digest,
                reply_kind=done.reply_kind,
                reply_head=canonical.encode(done.reply_head).decode(),
                reply_body=done.reply_body,
                done_at=done.done_at,
            )
        )
        self._session.flush()


def _head(text: str) -> Head:
    value: Head = json.loads(text)  # our own canonical text: reading it back needs no second check
    return value


def _task(row: TaskRow, *, contents: bool = True) -> Task:
    return Task(
        number=row.number,
        id=row.id,
        node=PartnerId(row.node),
        job=row.job,
        kind=row.kind,
        phase=row.phase,
        head=_head(row.head),
        body=row.body if contents else None,
        digest=row.digest,
        state=row.state,
        handled=row.handled,
        created_at=row.created_at,
        bytes_down=row.bytes_down,
        answered_at=row.answered_at,
        reply_head=None if row.reply_head is None else _head(row.reply_head),
        reply_body=row.reply_body if contents else None,
        reply_digest=row.reply_digest,
        bytes_up=row.bytes_up,
    )


def _done(row: CommandRow) -> Done:
    return Done(
        actor=row.actor,
        key=row.key,
        name=row.name,
        digest=row.digest,
        reply_kind=row.reply_kind,
        reply_head=_head(row.reply_head),
        reply_body=row.reply_body,
        done_at=row.done_at,
    )
