"""Repository of requests: what the hub asked the nodes, and which commands from outside were carried out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, Select, Table, and_, bindparam, case, delete, exists, func, insert, null, select, update

from ecowire import limits
from hub.records import Answer, Content, Done, Head, PhaseCost, Task
from hub.store_unit import Repository
from hub.tables import CommandRow, RunContentRow, TaskRow
from privacy import canonical
from privacy.ids import PartnerId

OPEN, ANSWERED, FAILED, WITHDRAWN = "OPEN", "ANSWERED", "FAILED", "WITHDRAWN"

# Every message of a run passes here, so the statements are made once, with the columns that are wanted.
TASK = cast("Table", TaskRow.__table__)
C = TASK.columns
LATER = TASK.alias("later")
GIVEN = C.id.in_(bindparam("ids", expanding=True))
SHARES = cast("Table", RunContentRow.__table__)
S = SHARES.columns
SHARED = select(S.body).where(S.job == bindparam("of_job"), S.sha256 == bindparam("of_sha256"))
NOT_SHARED = ~exists().where(S.job == bindparam("of_job"), S.sha256 == bindparam("of_sha256"))
SHARE = insert(SHARES).from_select(
    ["job", "sha256", "body"],
    select(
        bindparam("of_job", type_=S.job.type),
        bindparam("of_sha256", type_=S.sha256.type),
        bindparam("of_body", type_=S.body.type),
    ).where(NOT_SHARED),
)
UNSHARE = delete(SHARES).where(S.job == bindparam("of_job"))
WHOLE: Select[Any] = select(
    *(column for column in C if column.name != "body"), func.coalesce(C.body, S.body).label("body")
).select_from(TASK.outerjoin(SHARES, and_(S.job == C.job, S.sha256 == C.content)))
NO_CONTENTS = [column for column in C if column.name not in ("body", "reply_body")]
KNOWN = select(C.id, C.node, C.digest, C.state).where(GIVEN)
SETTLED = select(C.id).where(GIVEN, C.state != OPEN)
ASKED = select(*NO_CONTENTS).where(C.id == bindparam("task"))
ANSWERS = select(C.id, C.node, C.state, C.reply_head, C.reply_body).where(
    GIVEN, C.state != OPEN, C.bytes_up <= bindparam("bytes_max")
)
MORE = exists().where(LATER.c.node == C.node, LATER.c.state == OPEN, LATER.c.number > C.number)
# a large body is on its way in memory (hub.handover), or is asked for by itself
SMALL = case((C.bytes_down <= limits.SMALL_BYTES_MAX, C.body), else_=null()).label("body")
STEPS = (
    select(C.node, func.count(), func.sum(case((C.state == OPEN, 1), else_=0)))
    .where(C.job == bindparam("of_job"), C.kind == bindparam("of_kind"))
    .group_by(C.node)
)
BODY = select(C.body).where(C.number == bindparam("task"))
NEXT = (
    select(*(column for column in C if column.name not in ("body", "reply_body")), SMALL, MORE.label("more"))
    .where(C.node == bindparam("to"), C.state == OPEN, C.number > bindparam("after"))
    .order_by(C.number)
    .limit(1)
)
TAKE = (
    update(TASK)
    .where(C.number == bindparam("task"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("state", "reply_head", "reply_body", "reply_digest", "answered_at", "bytes_up")
        }
        | {"body": None}
    )
)
USED = (
    update(TASK)
    .where(C.job == bindparam("of_job"), C.number > bindparam("after"), C.kind == bindparam("of_kind"))
    .values(
        state=case((C.state == OPEN, WITHDRAWN), else_=C.state),
        handled=True,
        head="{}",
        body=None,
        reply_head=None,
        reply_body=None,
    )
    .returning(C.number)
)


class TaskStore(Repository):
    """Durable requests with their answers."""

    def add(self, task: Task) -> None:
        """Add an open task; its number is given by the database."""
        values = {
            "id": task.id,
            "node": task.node,
            "job": task.job,
            "kind": task.kind,
            "phase": task.phase,
            "head": canonical.encode(task.head).decode(),
            "body": task.body,
            "content": task.content,
            "digest": task.digest,
            "state": OPEN,
            "created_at": task.created_at,
            "bytes_down": task.bytes_down,
        }
        self._connection.execute(insert(TASK), values)

    def get(self, task_id: str) -> Task | None:
        found = self._connection.execute(WHOLE.where(C.id == task_id)).one_or_none()
        return _task(found) if found else None

    def asked(self, task_id: str) -> Task | None:
        """A task without the contents of request and answer, which may be large."""
        found = self._connection.execute(ASKED, {"task": task_id}).one_or_none()
        return _task(found, contents=False) if found else None

    def known(self, ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        """(node, digest, state) of those of the given tasks that exist, without their bodies."""
        found = self._connection.execute(KNOWN, {"ids": ids})
        return {task_id: (node, digest, state) for task_id, node, digest, state in found}

    def settled(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Those of the given tasks that are no longer open."""
        return tuple(self._connection.scalars(SETTLED, {"ids": ids}))

    def keep_content(self, job: str, content: Content) -> None:
        """Keep what several tasks of a job carry, until `drop_content` or the job's end."""
        values = {"of_job": job, "of_sha256": content.sha256.hex(), "of_body": content.data}
        self._connection.execute(SHARE, values)

    def content(self, job: str, sha256: str) -> Content | None:
        """A content kept; None where nobody waits for an answer to it any more."""
        data = self._connection.scalars(SHARED, {"of_job": job, "of_sha256": sha256}).one_or_none()
        return None if data is None else Content(data=data, sha256=bytes.fromhex(sha256))

    def next_open(self, node: str, after: int) -> tuple[Task | None, bool]:
        """The node's oldest open task newer than `after`, without a large body, and without a content that it shares;
        whether there are more."""
        found: Any = self._connection.execute(NEXT, {"to": node, "after": after}).one_or_none()
        return (replace(_task(found, contents=False), body=found.body), bool(found.more)) if found else (None, False)

    def body(self, task: Task) -> bytes | None:
        """An open task's body; None where nobody waits for an answer to it any more."""
        return self._connection.scalars(BODY, {"task": task.number}).one_or_none()

    def newest(self, job: str, count: int, kind: str = "flower") -> tuple[tuple[str, str, str], ...]:
        """(id, node, state) of a job's newest tasks of a kind, newest first."""
        query = select(C.id, C.node, C.state).where(C.job == job, C.kind == kind)
        found = self._connection.execute(query.order_by(C.number.desc()).limit(count))
        return tuple((task_id, node, state) for task_id, node, state in found)

    def unhandled(self, job: str) -> tuple[Task, ...]:
        """The answers of a job whose consequences are not written yet, in the order they were asked for."""
        query = select(TASK).where(C.job == job, C.handled.is_(False))
        found = self._connection.execute(query.where(C.state.in_((ANSWERED, FAILED))).order_by(C.number))
        return tuple(_task(row) for row in found)

    def of_job(self, job: str, *, kind: str | None = None) -> tuple[Task, ...]:
        """All tasks of a job with their bodies, oldest first."""
        query = WHOLE.where(C.job == job).order_by(C.number)
        if kind is not None:
            query = query.where(C.kind == kind)
        return tuple(_task(row) for row in self._connection.execute(query))

    def count(
        self, job: str, *, kind: str, node: str | None = None, state: str | None = None, phase: str | None = None
    ) -> int:
        query = select(func.count()).select_from(TASK).where(C.job == job, C.kind == kind)
        if node is not None:
            query = query.where(C.node == node)
        if state is not None:
            query = query.where(C.state == state)
        if phase is not None:
            query = query.where(C.phase == phase)
        return int(self._connection.scalars(query).one())

    def steps(self, job: str, kind: str) -> dict[str, tuple[int, int]]:
        """(tasks of a kind, open ones) of each node of a job that has any."""
        return {
            node: (count, opened)
            for node, count, opened in self._connection.execute(STEPS, {"of_job": job, "of_kind": kind})
        }

    def answer(
        self, task: Task, *, state: str, head: Head, body: bytes | None, digest: str, now: datetime, size: int
    ) -> Task:
        """Store an open task's answer; the request's body is not needed any more."""
        assert task.state == OPEN and state in (ANSWERED, FAILED), "only an open task is answered"
        values = {
            "task": task.number,
            "new_state": state,
            "new_reply_head": canonical.encode(head).decode(),
            "new_reply_body": body,
            "new_reply_digest": digest,
            "new_answered_at": now,
            "new_bytes_up": size,
        }
        self._connection.execute(TAKE, values)
        answered = replace(task, reply_head=head, reply_body=body, reply_digest=digest, answered_at=now)
        return replace(answered, state=state, body=None, bytes_up=size)

    def answers(
        self, ids: Sequence[str], bytes_max: int = limits.BODY_BYTES_MAX + limits.HEAD_BYTES_MAX
    ) -> dict[str, Answer]:
        """What nodes answered to those of the given tasks that are settled and whose answer is no larger than this."""
        found = self._connection.execute(ANSWERS, {"ids": ids, "bytes_max": bytes_max})
        return {
            task_id: Answer(node=PartnerId(node), state=state, head=_head(head or "{}"), body=body or b"")
            for task_id, node, state, head, body in found
        }

    def mark_handled(self, task_id: str, *, phase: str | None = None, keep_body: bool = False) -> None:
        """The answer's consequences are written; its body goes unless it is kept."""
        values = {"handled": True} | ({"phase": phase} if phase else {}) | ({} if keep_body else {"reply_body": None})
        self._connection.execute(update(TASK).where(C.id == task_id).values(values))

    def withdraw_ids(self, ids: Sequence[str]) -> None:
        """Nobody waits for these any more: what is still open of them is not sent again."""
        closed = update(TASK).where(C.id.in_(ids), C.state == OPEN)
        self._connection.execute(closed.values(state=WITHDRAWN, body=None))

    def drop_content(self, job: str, kind: str, after: int) -> int:
        """What was asked since task `after` has been used: sizes, digests and times stay, contents go. The newest such
        task's number, to go on from: a run's end must not look at its beginning again."""
        dropped = self._connection.scalars(USED, {"of_job": job, "of_kind": kind, "after": after}).all()
        self._connection.execute(UNSHARE, {"of_job": job})
        return max(dropped, default=after)

    def withdraw(self, job: str) -> None:
        """The job has ended: its open requests are not sent again, and no body is kept."""
        closed = update(TASK).where(C.job == job)
        self._connection.execute(closed.where(C.state == OPEN).values(state=WITHDRAWN))
        self._connection.execute(closed.values(body=None, reply_body=None))
        self._connection.execute(UNSHARE, {"of_job": job})

    def costs(self, job: str) -> tuple[PhaseCost, ...]:
        """Requests, bytes and duration for each phase and node of a job, in the order the phases began."""
        began = func.min(C.created_at)
        query = (
            select(
                C.phase,
                C.node,
                func.count(),
                func.sum(C.bytes_down),
                func.sum(C.bytes_up),
                began,
                func.max(C.answered_at),
            )
            .where(C.job == job)
            .group_by(C.phase, C.node)
            .order_by(began, C.phase, C.node)
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
            for phase, node, count, down, up, start, end in self._connection.execute(query).all()
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


def _task(row: Row[Any], *, contents: bool = True) -> Task:
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
        content=row.content,
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
