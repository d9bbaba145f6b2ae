"""Requests to the nodes: durable, delivered at least once, answered once.

A task's id is deterministic, so posting it again is the same task (or a bug, if its content differs). It stays OPEN
and is sent again at every connection of its node until the answer is stored; only then is the answer acknowledged.
"""

from collections.abc import Container, Mapping
from dataclasses import replace
from datetime import datetime

from ecowire import limits, status
from ecowire.stream import FAILURE, Message
from hub.records import Content, Head, Task
from hub.store import Transaction
from hub.store_tasks import ANSWERED, FAILED, OPEN
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId

FLOWER = "flower"  # a request of a training run, whose own thread waits for the answer: nothing else is to be advanced


class AnswerOfOther(Failure):
    code = "ANSWER_OF_OTHER_NODE"
    kind = Kind.REFUSED
    en = "{node} answered the request {task}, which was not sent to it"
    zh = "{node} 应答了并非发给它的请求 {task}"


class AnswerWithoutRequest(Failure):
    code = "ANSWER_WITHOUT_REQUEST"
    kind = Kind.NOT_FOUND
    en = "there is no request {task} to answer"
    zh = "不存在可应答的请求 {task}"


class NotRepeatable(Failure):
    code = "RUN_NOT_REPEATABLE"
    kind = Kind.INTEGRITY
    en = "the request {task} was made again with another content; the run can't be resumed and has ended"
    zh = "请求 {task} 重新生成后内容不同；任务无法续跑，已终止"


def post(
    tx: Transaction,
    now: datetime,
    *,
    task_id: str,
    node: PartnerId,
    kind: str,
    head: Head,
    body: bytes | Content = b"",
    content: Content | None = None,
    job: str = "",
    phase: str = "",
    known: Mapping[str, tuple[str, str, str]] | None = None,
) -> bool:
    """Ask a node something; False where the same was asked before. The node is told after the commit.

    content: in the body's place, what `tx.tasks.keep_content` keeps for this and other tasks of the job.
    known: what `tx.tasks.known` gives for this id and others, where many are posted together.
    Raises NotRepeatable where this id was posted with another content.
    """
    assert len(task_id) <= limits.ID_BYTES_MAX - 2, "room for the reply's id"
    given = content or (body if isinstance(body, Content) else Content.of(body))
    digest = Message(id=task_id, kind=kind, head=head, body=given.data, sha256=given.sha256).digest.hex()
    before = (tx.tasks.known([task_id]) if known is None else known).get(task_id)
    if before is not None:
        if before[:2] != (node, digest):
            raise NotRepeatable(task=task_id)
        return False
    size = len(given.data) + len(canonical.encode(head))
    tx.tasks.add(
        Task(
            number=0,
            id=task_id,
            node=node,
            job=job,
            kind=kind,
            phase=phase or kind,
            head=head,
            body=None if content else given.data,
            content=content.sha256.hex() if content else None,
            digest=digest,
            state=OPEN,
            handled=False,
            created_at=now,
            bytes_down=size,
        )
    )
    tx.signal("node", node)
    return True


def answer(tx: Transaction, now: datetime, node: str, message: Message, used: Container[str] = ()) -> tuple[Task, bool]:
    """Store a node's answer: (task as it now is, whether it was new and wanted).

    used: kinds whose answer is used up in this transaction: of these the body is given and not stored.

    A repeat, an answer to a withdrawn request, another answer than the first: nothing changes, the first answer stands.
    Raises AnswerWithoutRequest, AnswerOfOther, or MalformedMessage for a failure answer of the wrong form.
    """
    task = tx.tasks.asked(message.reply_to)
    if task is None:
        raise AnswerWithoutRequest(task=message.reply_to[:80])
    if task.node != node:
        raise AnswerOfOther(node=node, task=task.id)
    if message.kind == FAILURE:
        status.from_head(message.head)
    if task.state != OPEN:
        return task, False
    state = FAILED if message.kind == FAILURE else ANSWERED
    size = len(message.body) + len(canonical.encode(message.head))
    task = tx.tasks.answer(
        task,
        state=state,
        head=message.head,
        body=None if state == ANSWERED and task.kind in used else message.body,
        digest=message.digest.hex(),
        now=now,
        size=size,
    )
    tx.signal("task", task.id)
    if task.job and task.kind != FLOWER:
        tx.signal("job", task.job)
    return replace(task, reply_body=message.body, reply_sha256=message.sha256), True


def failure_of(task: Task) -> Failure:
    """The failure that a FAILED task's node answered."""
    return status.from_head(task.reply_head or {})
