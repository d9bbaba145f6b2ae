"""Carries out what comes from outside: people's commands and nodes' requests and answers. Knows no gRPC.

Everything that changes something carries a key. The same key with the same content gets the first answer again; with
another content it is a conflict. The answer is stored in the transaction of the change itself.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from ecowire import status
from ecowire.status import IdempotencyConflict
from ecowire.stream import FAILURE, Message
from hub import tasks
from hub.identity import Caller, CertificateOfOther, RoleNotAllowed, check, require_role
from hub.records import Done, Head, Partner, Task
from hub.services import Command, HeadInvalid, Looked, NodeHandler, Reply, Services
from hub.store import Transaction
from privacy import canonical
from privacy.errors import Failure, Kind

AnswerHandler = Callable[[Services, Transaction, datetime, Task], None]

# refusals that people should see in the log: somebody tried what is not theirs
NOTED = (RoleNotAllowed, CertificateOfOther, IdempotencyConflict)
KEY_CHARACTERS_MAX = 200


class CommandUnknown(Failure):
    code = "COMMAND_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "the hub knows no command {name}; is its version older than this program's?"
    zh = "枢纽不支持命令 {name}；其版本可能低于本程序"


class RequestUnknown(Failure):
    code = "REQUEST_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "the hub knows no request of kind {name}; is its version older than this node's?"
    zh = "枢纽不支持 {name} 类请求；其版本可能低于本节点"


def refusal_of(kind: str) -> str:
    """The name under which a table of answers has who takes note that a node refused a request of this kind."""
    return f"{kind} refused"


class HandledLater(Exception):
    """Raised by an answer's handler that leaves the answer to the engine: it is stored, nothing else happens now."""


def run_command(
    services: Services, table: Mapping[str, Command], caller: Caller, name: str, head: Head, key: str
) -> Reply:
    """Carry out a person's command.

    Raises CommandUnknown, RoleNotAllowed, HeadInvalid, IdempotencyConflict, or what the command itself raises. One that
    leaves its refusal on record answers it as a reply of kind "failure": the transaction stands, the person is refused,
    and a repeat is refused alike.
    """
    if name not in table:
        raise CommandUnknown(name=name[:40])
    command, now, actor = table[name], services.clock(), _actor(caller)
    try:
        require_role(caller, command.roles, name)
        if not command.changes:
            return _read(services, command, caller, now, head)
        if not 0 < len(key) <= KEY_CHARACTERS_MAX:
            raise HeadInvalid(field="idempotency_key", why="a key of 1-200 characters is expected")
        reply = _change(services, command, caller, now, name, head, key)
    except NOTED as failure:
        note_refusal(services, actor, name, failure)
        raise
    if reply.kind == FAILURE:
        raise status.from_head(reply.head)
    return reply


def _actor(caller: Caller) -> str:
    return f"{'node' if caller.role == 'node' else 'person'}/{caller.name}"


def _read(services: Services, command: Command, caller: Caller, now: datetime, head: Head) -> Reply:
    if command.call is not None:
        return command.call(services, caller, now, head)
    run = command.run
    assert run is not None
    return services.store.read("command", lambda tx: run(services, tx, caller, now, head))


def _change(
    services: Services, command: Command, caller: Caller, now: datetime, name: str, head: Head, key: str
) -> Reply:
    actor = _actor(caller)
    digest = canonical.digest("ecohub/command/v1", [name, head]).hex()
    run, call = command.run, command.call

    def finish(tx: Transaction, reply: Reply) -> Reply:
        if not command.secret:
            _remember(tx, actor, key, name, digest, reply, now)
        return reply

    def body(tx: Transaction) -> Reply:
        assert run is not None
        check(tx, caller.fingerprint, now)  # revoked since the call came in: nothing happens any more
        return _known(tx, actor, key, digest) or finish(tx, run(services, tx, caller, now, head))

    if call is None:
        return services.store.run(f"command.{name}", body)
    known = services.store.read("command.known", lambda tx: _known(tx, actor, key, digest))
    if known is not None:
        return known
    made = call(services, caller, now, head)
    return services.store.run(f"command.{name}", lambda tx: _known(tx, actor, key, digest) or finish(tx, made))


def run_request(services: Services, table: Mapping[str, NodeHandler], caller: Caller, message: Message) -> Message:
    """Carry out a node's request; gives the reply, a failure too. Repeats get the stored reply."""
    now, actor = services.clock(), f"node/{caller.name}"

    def answered(tx: Transaction) -> Reply | None:
        check(tx, caller.fingerprint, now)
        return _known(tx, actor, message.id, message.digest.hex())

    def body(tx: Transaction) -> Reply:
        known = answered(tx)
        if known is not None:
            return known
        if message.kind not in table:
            raise RequestUnknown(name=message.kind[:40])
        partner = tx.members.partner(caller.name)
        assert partner is not None, "a node's certificate is issued together with its partner's card"
        reply = table[message.kind](services, tx, partner, now, message)
        _remember(tx, actor, message.id, message.kind, message.digest.hex(), reply, now)
        return reply

    handler = table.get(message.kind)
    try:
        if isinstance(handler, Looked) and services.store.read("request.known", answered) is None:
            handler.look(services, message)
        reply = services.store.run(f"request.{message.kind}"[:80], body)
    except Failure as failure:
        if isinstance(failure, NOTED):
            note_refusal(services, actor, message.kind, failure)
        return message.reply(FAILURE, status.to_head(failure))
    return message.reply(reply.kind, reply.head, reply.body)


def take_answer(services: Services, table: Mapping[str, AnswerHandler], caller: Caller, message: Message) -> None:
    """Store a node's answer with its consequences; once this returns it may be acknowledged.

    An answer that its handler refuses is stored as a failure, so that it is not sent for ever; one that its handler
    leaves to the engine is stored as it is. Raises AnswerOfOther, MalformedMessage; AnswerWithoutRequest where nothing
    asked for it.
    """
    now = services.clock()

    def body(tx: Transaction, taken: Message, handlers: Mapping[str, AnswerHandler] = table) -> None:
        check(tx, caller.fingerprint, now)
        task, new = tasks.answer(tx, now, caller.name, taken, used=handlers)
        name = refusal_of(task.kind) if taken.kind == FAILURE else task.kind
        if new and name in handlers:
            handlers[name](services, tx, now, task)
        if new and not task.job:
            tx.tasks.mark_handled(task.id)

    try:
        services.store.run("tasks.answer", lambda tx: body(tx, message))
    except HandledLater:
        services.store.run("tasks.answer", lambda tx: body(tx, message, {}))
    except (tasks.AnswerOfOther, tasks.AnswerWithoutRequest):
        raise
    except Failure as failure:
        if failure.kind in (Kind.UNAVAILABLE, Kind.REFUSED) or message.kind == FAILURE:
            raise
        head = status.to_head(failure)
        refused = Message(id=message.id, reply_to=message.reply_to, kind=FAILURE, head=head)
        services.store.run("tasks.refuse", lambda tx: body(tx, refused))


def note_refusal(services: Services, actor: str, what: str, failure: Failure) -> None:
    """Leave a leaf of a refusal that people should see."""
    facts: Head = {"code": failure.code, "what": what[:64]}
    now = services.clock()
    services.store.run("refusal", lambda tx: services.log.append(tx, now, "refused", actor, facts=facts))


def partner_of(services: Services, caller: Caller) -> Partner:
    """The partner whose node is calling."""
    found = services.store.read("partner", lambda tx: tx.members.partner(caller.name))
    assert found is not None, "a node's certificate is issued together with its partner's card"
    return found


def _known(tx: Transaction, actor: str, key: str, digest: str) -> Reply | None:
    done = tx.tasks.done(actor, key)
    if done is None:
        return None
    if done.digest != digest:
        raise IdempotencyConflict(id=key[:80])
    return Reply(head=done.reply_head, body=done.reply_body, kind=done.reply_kind)


def _remember(tx: Transaction, actor: str, key: str, name: str, digest: str, reply: Reply, now: datetime) -> None:
    tx.tasks.add_done(
        Done(
            actor=actor,
            key=key,
            name=name[:64],
            digest=digest,
            reply_kind=reply.kind,
            reply_head=reply.head,
            reply_body=reply.body,
            done_at=now,
        )
    )
