"""Commands and requests: done once, answered the same again, refused to those they are not for."""

from datetime import datetime

import pytest

from ecowire.status import IdempotencyConflict
from ecowire.stream import FAILURE, Message
from hub import dispatch, partners
from hub.dispatch import CommandUnknown, run_command, run_request, take_answer
from hub.identity import Caller, CertificateRevoked, RoleNotAllowed
from hub.records import Head, Partner, Task
from hub.services import Command, HeadInvalid, Reply, Services
from hub.store import Transaction
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId
from tests.hub.alliance import OPERATOR, Hub
from tests.hub.test_tasks import ok, post


class Refused(Failure):
    code = "TEST_REFUSED"
    kind = Kind.CONFLICT
    en = "the rule said no"
    zh = "规则不允许"


def certified(hub: Hub, name: str = "dana", role: str = "data") -> Caller:
    """A person with a certificate in the database."""
    from hub import authority
    from tests.support.entropy import SeededEntropy

    key = authority.generate_key(SeededEntropy(name.encode()))
    head: Head = {"name": name, "role": role, "csr": authority.make_request(key, name).decode()}
    hub.run(partners.certify, OPERATOR, hub.now(), head)
    (found,) = hub.store.read("c", lambda tx: tx.members.certificates(name))
    return Caller(name=name, role=role, fingerprint=found.fingerprint)


def node(hub: Hub, name: str = "bank") -> Caller:
    found = [c for c in hub.store.read("c", lambda tx: tx.members.certificates(name)) if c.state == "ACTIVE"]
    return Caller(name=name, role="node", fingerprint=found[-1].fingerprint)


class Counter:
    """A command that leaves a leaf and counts how often it was carried out."""

    def __init__(self) -> None:
        self.count = 0

    def run(self, services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
        services.log.append(tx, now, "counted", caller.name)
        if head.get("fail"):
            raise Refused
        self.count += 1
        return Reply(head={"count": self.count}, body=b"file")

    def call(self, services: Services, caller: Caller, now: datetime, head: Head) -> Reply:
        return services.store.run("count", lambda tx: self.run(services, tx, caller, now, head))

    def request(self, services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
        return self.run(services, tx, OPERATOR, now, message.head)


@pytest.mark.parametrize("form", ["one transaction", "own transactions"])
@pytest.mark.parametrize("repeats", [1, 3])
def test_a_command_is_carried_out_once_for_a_key(hub: Hub, form: str, repeats: int) -> None:
    counter, caller = Counter(), certified(hub)
    roles = ("data",)
    command = (
        Command(roles=roles, run=counter.run) if form == "one transaction" else Command(roles=roles, call=counter.call)
    )
    table = {"count": command}
    replies = [run_command(hub.services, table, caller, "count", {"a": 1}, "key") for _ in range(repeats)]
    assert {reply.body for reply in replies} == {b"file"}
    assert [reply.head for reply in replies] == [{"count": 1}] * repeats
    assert counter.count == 1
    assert [kind for kind, _ in hub.leaves()].count("counted") == 1


def test_another_content_under_a_used_key_is_a_conflict_and_leaves_a_leaf(hub: Hub) -> None:
    counter, caller = Counter(), certified(hub)
    table = {"count": Command(roles=("data",), run=counter.run)}
    run_command(hub.services, table, caller, "count", {"a": 1}, "key")
    with pytest.raises(IdempotencyConflict):
        run_command(hub.services, table, caller, "count", {"a": 2}, "key")
    assert counter.count == 1
    assert ("refused", "person/dana") in hub.leaves()


def test_keys_of_two_people_do_not_meet(hub: Hub) -> None:
    counter = Counter()
    table = {"count": Command(roles=("data",), run=counter.run)}
    for name in ("dana", "dora"):
        run_command(hub.services, table, certified(hub, name), "count", {}, "key")
    assert counter.count == 2


def test_a_refused_command_leaves_nothing_and_may_be_tried_again(hub: Hub) -> None:
    counter, caller = Counter(), certified(hub)
    table = {"count": Command(roles=("data",), run=counter.run)}
    with pytest.raises(Refused):
        run_command(hub.services, table, caller, "count", {"fail": True}, "key")
    assert [kind for kind, _ in hub.leaves()].count("counted") == 0
    assert run_command(hub.services, table, caller, "count", {}, "key").head == {"count": 1}


def test_a_secret_answer_is_not_kept(hub: Hub) -> None:
    caller = certified(hub, "oda2", "operator")
    first = run_command(hub.services, partners.COMMANDS, caller, "invite", {"partner": "platform"}, "key")
    again = run_command(hub.services, partners.COMMANDS, caller, "invite", {"partner": "platform"}, "key")
    assert first.head["invite"] != again.head["invite"]
    assert hub.store.read("d", lambda tx: tx.tasks.done("person/oda2", "key")) is None


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_changing_command_needs_a_key(hub: Hub, key: str) -> None:
    table = {"count": Command(roles=("data",), run=Counter().run)}
    with pytest.raises(HeadInvalid):
        run_command(hub.services, table, certified(hub), "count", {}, key)


def test_a_role_that_is_not_allowed_is_refused_and_noted(hub: Hub) -> None:
    counter, caller = Counter(), certified(hub, role="regulator")
    table = {"count": Command(roles=("data", "finance"), run=counter.run)}
    with pytest.raises(RoleNotAllowed, match="data or finance"):
        run_command(hub.services, table, caller, "count", {}, "key")
    assert counter.count == 0
    assert ("refused", "person/dana") in hub.leaves()


def test_an_unknown_command_is_named(hub: Hub) -> None:
    with pytest.raises(CommandUnknown):
        run_command(hub.services, {}, certified(hub), "nothing", {}, "key")


def test_a_person_revoked_while_calling_changes_nothing(hub: Hub) -> None:
    counter, caller = Counter(), certified(hub)
    hub.store.run("r", lambda tx: tx.members.revoke_certificate(caller.fingerprint, "left"))
    with pytest.raises(CertificateRevoked):
        run_command(hub.services, {"count": Command(roles=("data",), run=counter.run)}, caller, "count", {}, "key")
    assert counter.count == 0


def test_the_real_commands_have_roles_and_do_not_collide() -> None:
    from hub import certificates, evidence, jobs, models, settlement, wiring, witness

    tables = [module.COMMANDS for module in (partners, certificates, jobs, models, witness, settlement, evidence)]
    assert sum(map(len, tables)) == len(wiring.COMMANDS)
    assert all(command.roles for command in wiring.COMMANDS.values())
    changing = {name for name, command in wiring.COMMANDS.items() if command.changes}
    for name in changing - {"renew"}:  # everybody's own certificate
        assert "regulator" not in wiring.COMMANDS[name].roles, f"a regulator could {name}"


# --- nodes


def request(message_id: str = "m1", **head: object) -> Message:
    return Message(id=message_id, kind="count", head=dict(head))  # type: ignore[arg-type]


def test_a_nodes_request_is_carried_out_once_and_repeats_get_the_stored_reply(hub: Hub) -> None:
    counter, table = Counter(), {}
    table["count"] = counter.request
    replies = [run_request(hub.services, table, node(hub), request()) for _ in range(3)]
    assert [reply.head for reply in replies] == [{"count": 1}] * 3
    assert {(reply.id, reply.reply_to, reply.body) for reply in replies} == {("m1/r", "m1", b"file")}
    assert counter.count == 1


def test_another_body_under_a_used_id_is_a_conflict(hub: Hub) -> None:
    table = {"count": Counter().request}
    run_request(hub.services, table, node(hub), request(a=1))
    reply = run_request(hub.services, table, node(hub), request(a=2))
    assert (reply.kind, reply.head["code"]) == (FAILURE, "IDEMPOTENCY_CONFLICT")
    assert ("refused", "node/bank") in hub.leaves()


def test_ids_of_two_nodes_do_not_meet(hub: Hub) -> None:
    counter = Counter()
    for name in ("bank", "broker"):
        run_request(hub.services, {"count": counter.request}, node(hub, name), request())
    assert counter.count == 2


def test_failures_travel_as_replies_with_their_code(hub: Hub) -> None:
    table = {"count": Counter().request}
    assert run_request(hub.services, table, node(hub), request(fail=True)).head["code"] == "TEST_REFUSED"
    unknown = run_request(hub.services, {}, node(hub), request())
    assert (unknown.kind, unknown.head["code"]) == (FAILURE, "REQUEST_UNKNOWN")


# --- answers


def test_an_answer_and_its_consequences_are_one_transaction(hub: Hub) -> None:
    post(hub)

    def handler(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
        services.log.append(tx, now, "handled", task.id)

    for _ in range(3):
        take_answer(hub.services, {"match.step": handler}, node(hub), ok())
    assert [kind for kind, _ in hub.leaves()].count("handled") == 1


def test_an_answer_that_its_handler_refuses_is_kept_as_a_failure(hub: Hub) -> None:
    post(hub)

    def handler(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
        services.log.append(tx, now, "handled", task.id)
        raise Refused

    take_answer(hub.services, {"match.step": handler}, node(hub), ok())
    task = hub.store.read("t", lambda tx: tx.tasks.get("job-1-bank"))
    assert task is not None and (task.state, task.reply_head and task.reply_head["code"]) == ("FAILED", "TEST_REFUSED")
    assert "handled" not in [kind for kind, _ in hub.leaves()]


def test_a_revoked_nodes_answer_is_not_taken(hub: Hub) -> None:
    post(hub)
    caller = node(hub)
    hub.store.run("r", lambda tx: tx.members.revoke_certificate(caller.fingerprint, "left"))
    with pytest.raises(CertificateRevoked):
        take_answer(hub.services, {}, caller, ok())
    task = hub.store.read("t", lambda tx: tx.tasks.get("job-1-bank"))
    assert task is not None and task.state == "OPEN"


def test_a_failure_outside_the_list_is_not_noted(hub: Hub) -> None:
    assert Refused not in dispatch.NOTED
    before = hub.leaves()
    run_request(hub.services, {"count": Counter().request}, node(hub), request(fail=True))
    assert hub.leaves() == before
    assert PartnerId("bank") == node(hub).name
