"""The two ports over real sockets and real TLS: who gets in, what comes through, and what is refused by name."""

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from ecowire import channel, limits, status
from ecowire.status import HubUnreachable, RemoteFailure
from ecowire.stream import FAILURE, Message, to_frames
from ecowire.v1 import alliance_pb2 as pb
from ecowire.v1 import alliance_pb2_grpc
from hub import authority, tasks
from hub.rpc import alliance, dial
from privacy.ids import PartnerId
from tests.hub.alliance import Party, party
from tests.hub.streams import ServedHub, Stream, served_hub
from tests.support.entropy import SeededEntropy


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(tmp_path_factory.mktemp("hub"), "broker", "bank") as made:
        yield made


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "CONNECT_SECONDS", 0.3)


def post(hub: ServedHub, task_id: str, node: str = "bank", body: bytes = b"", kind: str = "test.ask") -> None:
    now = hub.clock()
    hub.store.run(
        "post",
        lambda tx: tasks.post(tx, now, task_id=task_id, node=PartnerId(node), kind=kind, head={"n": 1}, body=body),
    )


def state(hub: ServedHub, task_id: str) -> str:
    task = hub.store.read("get", lambda tx: tx.tasks.get(task_id))
    assert task is not None
    return str(task.state)


def leaves(hub: ServedHub) -> list[tuple[str, str]]:
    return [(leaf.kind, leaf.subject) for leaf in hub.store.read("l", lambda tx: tx.evidence.leaves())]


def code_of(hub: ServedHub, command: str, head: dict[str, object] | None = None, **named: object) -> str:
    with pytest.raises(RemoteFailure) as caught:
        hub.call(command, head, **named)  # type: ignore[arg-type]
    return status.code_of(caught.value)


# --- people


def test_a_person_is_who_the_certificate_says(hub: ServedHub) -> None:
    answer = hub.call("whoami")
    assert (answer["name"], answer["role"], answer["alliance"]) == ("oda", "operator", "test-alliance")


def test_a_role_is_checked_for_every_call_and_a_refusal_leaves_a_leaf(hub: ServedHub) -> None:
    dana = hub.person("dana", "data")
    assert code_of(hub, "invite", {"partner": "platform"}, person=dana) == "ROLE_NOT_ALLOWED"
    assert ("refused", "person/dana") in leaves(hub)
    assert hub.call("jobs", person=dana)["jobs"] == []


def test_a_command_with_an_unknown_field_or_name_is_refused(hub: ServedHub) -> None:
    assert code_of(hub, "partners", {"colour": 1}) == "HEAD_INVALID"
    assert code_of(hub, "no-such-command") == "COMMAND_UNKNOWN"


def test_the_same_key_gets_the_same_certificate_and_another_content_is_a_conflict(hub: ServedHub) -> None:
    key = authority.generate_key(SeededEntropy(b"rui"))
    head = {"name": "rui", "role": "regulator", "csr": authority.make_request(key, "rui").decode()}
    first = hub.call("certify", head, key="rui-1")  # type: ignore[arg-type]
    assert hub.call("certify", head, key="rui-1") == first  # type: ignore[arg-type]
    assert code_of(hub, "certify", {**head, "role": "finance"}, key="rui-1") == "IDEMPOTENCY_CONFLICT"


def test_a_revoked_person_is_refused_at_the_next_call(hub: ServedHub) -> None:
    person = hub.person("leaver", "data")
    hub.call("jobs", person=person)
    (found,) = hub.store.read("c", lambda tx: tx.members.certificates("leaver"))
    hub.call("revoke", {"serial": found.serial, "reason": "left"}, key="revoke-leaver")
    assert code_of(hub, "jobs", person=person) == "CERTIFICATE_REVOKED"


def test_an_expired_person_is_refused_although_the_channel_was_good(hub: ServedHub) -> None:
    person = hub.person("brief", "data")
    now = hub.clock.now
    hub.clock.forward(31 * 86_400)
    try:
        assert code_of(hub, "jobs", person=person) == "CERTIFICATE_EXPIRED"
    finally:
        hub.clock.now = now


def test_an_unknown_certificate_of_the_right_authority_is_refused(hub: ServedHub) -> None:
    key = authority.generate_key(SeededEntropy(b"outside"))
    ca = hub.running.services.authority
    issued = ca.issue(key.public_key(), "outside", "data", datetime.now(UTC), 3600, SeededEntropy(b"s"))
    stranger = replace(hub.operator, key=authority.private_pem(key), certificate=issued.pem.encode())
    assert code_of(hub, "jobs", person=stranger) == "CERTIFICATE_UNKNOWN"


def test_a_node_can_not_give_peoples_commands_nor_a_person_open_a_stream(hub: ServedHub) -> None:
    bank = hub.parties["bank"]
    as_person = replace(hub.operator, key=authority.private_pem(bank.tls), certificate=bank.certificate)
    assert code_of(hub, "jobs", person=as_person) == "ROLE_NOT_ALLOWED"
    stream = Stream(hub.running.listen, hub.authority, hub.operator.key, hub.operator.certificate).hello("oda")
    stream.ended()
    assert stream.refusal == "ROLE_NOT_ALLOWED"
    stream.close()


def test_a_request_larger_than_a_message_may_be_never_reaches_a_command(hub: ServedHub) -> None:
    head = b'{"x":"' + b"a" * (limits.UNARY_BYTES_MAX + (256 << 10)) + b'"}'
    person = hub.operator
    with channel.client(person.hub, person.authority, person.key, person.certificate, "hub") as connection:
        answer = alliance_pb2_grpc.AllianceStub(connection).Call(pb.Request(command="jobs", head=head), timeout=20)
        with pytest.raises(grpc.RpcError) as caught:
            list(answer)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_head_that_is_not_canonical_is_refused(hub: ServedHub) -> None:
    person = hub.operator
    with channel.client(person.hub, person.authority, person.key, person.certificate, "hub") as connection:
        stub = alliance_pb2_grpc.AllianceStub(connection)
        for head in (b'{"b":1,"a":2}', b"[]", b"\xff", b'{"x":1.5}'):
            (part,) = list(stub.Call(pb.Request(command="jobs", head=head), timeout=20))
            assert part.failure
            assert b"CANONICAL" in part.head or b"MALFORMED" in part.head


# --- who gets a stream


def test_a_node_is_welcomed_and_seen_as_connected(hub: ServedHub) -> None:
    stream = hub.stream(hub.parties["bank"]).welcomed()
    assert hub.call("whoami")["connected"] == ["bank"]
    stream.close()
    deadline = time.monotonic() + 10
    while hub.call("whoami")["connected"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert hub.call("whoami")["connected"] == []


@pytest.mark.parametrize("who", ["no certificate", "another authority", "an expired certificate"])
def test_without_a_valid_certificate_there_is_not_even_a_handshake(hub: ServedHub, who: str) -> None:
    key = authority.generate_key(SeededEntropy(b"outsider"))
    now = datetime.now(UTC)
    entropy = SeededEntropy(b"o")
    other = authority.create("test-alliance", authority.generate_key(entropy), now, 1, entropy)
    pem: bytes | None = None
    if who == "another authority":
        pem = other.issue(key.public_key(), "bank", "node", now, 3600, entropy).pem.encode()
    elif who == "an expired certificate":
        pem = hub.running.services.authority.issue(key.public_key(), "bank", "node", now, -60, entropy).pem.encode()
    stream = Stream(hub.running.listen, hub.authority, authority.private_pem(key) if pem else None, pem).hello("bank")
    stream.ended()
    assert stream.refusal == "UNAVAILABLE"
    stream.close()
    person = replace(hub.operator, key=authority.private_pem(key), certificate=pem or b"")
    if pem:
        with pytest.raises(HubUnreachable):
            hub.call("jobs", person=person)


def test_a_hub_of_another_authority_is_not_believed(hub: ServedHub) -> None:
    entropy = SeededEntropy(b"x")
    other = authority.create("test-alliance", authority.generate_key(entropy), datetime.now(UTC), 1, entropy)
    with pytest.raises(HubUnreachable):
        hub.call("jobs", person=replace(hub.operator, authority=other.pem))


@pytest.mark.parametrize("port", ["listen", "enrol"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_is_refused_on_both_ports(hub: ServedHub, port: str, version: ssl.TLSVersion, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=hub.authority.decode())
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    if port == "listen":
        pem = tmp_path / "me.pem"
        pem.write_bytes(hub.operator.key + hub.operator.certificate)
        context.load_cert_chain(pem)
    host, _, number = getattr(hub.running, port).rpartition(":")
    with socket.create_connection((host, int(number)), 5) as raw:
        if version is ssl.TLSVersion.TLSv1_3:
            with context.wrap_socket(raw, server_hostname="hub") as tls:
                assert tls.version() == "TLSv1.3"
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(raw, server_hostname="hub")


def test_another_partners_hello_is_refused_and_noted(hub: ServedHub) -> None:
    stream = hub.stream(hub.parties["bank"], hello="broker")
    stream.ended()
    assert stream.refusal == "CERTIFICATE_OF_OTHER_PARTNER"
    assert ("refused", "node/bank") in leaves(hub)


@pytest.mark.parametrize("first", [pb.Frame(ack=pb.Ack(id="x")), pb.Frame()])
def test_a_stream_begins_with_a_hello(hub: ServedHub, first: pb.Frame) -> None:
    bank = hub.parties["bank"]
    stream = Stream(hub.running.listen, hub.authority, authority.private_pem(bank.tls), bank.certificate)
    stream.send(first)
    stream.ended()
    assert stream.refusal == "MALFORMED_MESSAGE"
    stream.close()


def test_a_stream_that_never_says_hello_does_not_hold_a_thread(hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alliance, "HELLO_SECONDS", 0.2)
    bank = hub.parties["bank"]
    stream = Stream(hub.running.listen, hub.authority, authority.private_pem(bank.tls), bank.certificate)
    stream.ended(5)
    assert stream.refusal == "CANCELLED"
    stream.close()


def test_another_protocol_version_is_refused_with_both_numbers(hub: ServedHub) -> None:
    bank = hub.parties["bank"]
    stream = Stream(hub.running.listen, hub.authority, authority.private_pem(bank.tls), bank.certificate)
    stream.hello("bank", protocol=2).ended()
    assert stream.refusal == "PROTOCOL_UNSUPPORTED"
    stream.close()


def test_the_newest_stream_of_a_node_is_served(hub: ServedHub) -> None:
    older = hub.stream(hub.parties["bank"]).welcomed()
    newer = hub.stream(hub.parties["bank"]).welcomed()
    older.ended()
    assert older.refusal == "STREAM_SUPERSEDED"
    post(hub, "newest")
    assert newer.message().id == "newest"
    newer.say(Message(id="newest/r", reply_to="newest", kind="ok"))
    assert newer.acknowledged() == "newest/r"
    newer.close()


def test_a_revoked_node_loses_its_open_stream_within_two_seconds(tmp_path: Path) -> None:
    with served_hub(tmp_path, "bank") as hub:
        bank = hub.parties["bank"]
        stream = hub.stream(bank).welcomed()
        begun = time.monotonic()
        hub.call("revoke", {"partner": "bank", "reason": "left the alliance"})
        stream.ended()
        assert time.monotonic() - begun < 2.5
        assert stream.refusal == "CERTIFICATE_REVOKED"
        again = hub.stream(bank)
        again.ended()
        assert again.refusal == "CERTIFICATE_REVOKED"


def test_a_certificate_that_expires_on_an_open_stream_ends_it(tmp_path: Path) -> None:
    with served_hub(tmp_path, "bank", node_certificate_seconds=120) as hub:
        stream = hub.stream(hub.parties["bank"]).welcomed()
        hub.clock.forward(121)
        stream.ended(10)
        assert stream.refusal == "CERTIFICATE_EXPIRED"


# --- what comes through


def test_a_request_is_sent_until_its_answer_is_stored_and_then_acknowledged(hub: ServedHub) -> None:
    post(hub, "ask-1", body=b"x" * 100)
    stream = hub.stream(hub.parties["bank"]).welcomed()
    assert stream.message().body == b"x" * 100
    stream.close()  # the node dies before it answers
    stream = hub.stream(hub.parties["bank"]).welcomed()
    asked = stream.message()
    assert asked.id == "ask-1"
    stream.say(asked.reply("ok", {"done": True}, b"answer"))
    assert stream.acknowledged() == "ask-1/r"
    assert state(hub, "ask-1") == "ANSWERED"
    stream.say(asked.reply("ok", {"done": True}, b"answer"))  # the acknowledgement was lost: the node says it again
    assert stream.acknowledged() == "ask-1/r"
    stream.close()
    stream = hub.stream(hub.parties["bank"]).welcomed()
    assert stream.quiet()
    stream.close()


def test_large_bodies_arrive_whole_both_ways_and_requests_overtake_them(hub: ServedHub) -> None:
    large = bytes(range(256)) * (5 << 12)  # 5 MiB
    post(hub, "large", body=large)
    stream = hub.stream(hub.parties["bank"]).welcomed()
    asked = stream.message()
    assert asked.body == large
    stream.say(asked.reply("ok", {}, large))
    assert stream.acknowledged() == "large/r"
    task = hub.store.read("get", lambda tx: tx.tasks.get("large"))
    assert task is not None and task.bytes_down > len(large)
    assert task.bytes_up > len(large)
    stream.close()


def test_a_new_request_reaches_an_idle_stream_at_once(hub: ServedHub) -> None:
    stream = hub.stream(hub.parties["bank"]).welcomed()
    time.sleep(0.2)
    begun = time.monotonic()
    post(hub, "at-once")
    asked = stream.message()
    assert time.monotonic() - begun < 1.0
    stream.say(asked.reply("ok", {}))
    stream.acknowledged()
    stream.close()


def test_a_node_can_not_answer_for_another(hub: ServedHub) -> None:
    post(hub, "brokers", node="broker")
    stream = hub.stream(hub.parties["bank"]).welcomed()
    stream.say(Message(id="brokers/r", reply_to="brokers", kind="ok"))
    stream.ended()
    assert stream.refusal == "ANSWER_OF_OTHER_NODE"
    assert state(hub, "brokers") == "OPEN"


def assets(who: Party, name: str = "clients") -> Message:
    document = who.sign("assets", {"partner": who.id, "assets": [{"name": name, "columns": {"AGE": "C1"}}]})
    return Message(id="assets/1", kind="assets", head={"assets": document.to_value()})


def test_a_replayed_request_gets_the_stored_reply_and_no_second_effect(hub: ServedHub) -> None:
    bank = hub.parties["bank"]
    stream = hub.stream(bank).welcomed()
    stream.say(assets(bank))
    first = stream.message()
    assert (first.kind, first.reply_to) == ("ok", "assets/1")
    count = len(leaves(hub))
    stream.close()
    stream = hub.stream(bank).welcomed()
    stream.say(assets(bank))
    assert stream.message() == first
    assert len(leaves(hub)) == count
    stream.say(assets(bank, "other"))
    conflict = stream.message()
    assert (conflict.kind, conflict.head["code"]) == (FAILURE, "IDEMPOTENCY_CONFLICT")
    stream.close()


def test_a_captured_document_of_another_node_is_refused(hub: ServedHub) -> None:
    stream = hub.stream(hub.parties["bank"]).welcomed()
    captured = replace(assets(hub.parties["broker"]), id="assets/captured")
    stream.say(captured)
    assert stream.message().head["code"] == "ASSETS_NOT_VALID"
    stream.close()


LARGE = limits.SMALL_BYTES_MAX + 10  # a body that comes in chunks


def begin(**changes: object) -> pb.Frame:
    fields = {"id": "m", "kind": "assets", "head": b"{}", "size": LARGE, "sha256": b"\x00" * 32, **changes}
    return pb.Frame(begin=pb.Begin(**fields))  # type: ignore[arg-type]


HOSTILE = {
    "a body larger than allowed": ([begin(size=limits.BODY_BYTES_MAX + 1)], "MESSAGE_TOO_LARGE"),
    "a head larger than allowed": ([begin(head=b" " * (limits.HEAD_BYTES_MAX + 1))], "MESSAGE_TOO_LARGE"),
    "a chunk of nothing": ([pb.Frame(chunk=pb.Chunk(id="ghost", data=b"x"))], "MALFORMED_MESSAGE"),
    "a body longer than announced": (
        [begin(), pb.Frame(chunk=pb.Chunk(id="m", data=b"x" * (LARGE + 1)))],
        "MALFORMED_MESSAGE",
    ),
    "another hash": ([begin(), pb.Frame(chunk=pb.Chunk(id="m", data=b"x" * LARGE))], "MALFORMED_MESSAGE"),
    "begun twice": ([begin(), begin()], "MALFORMED_MESSAGE"),
    "too many begun": ([begin(id=f"m{i}") for i in range(limits.OPEN_MESSAGES_MAX + 1)], "MALFORMED_MESSAGE"),
    "a second hello": ([pb.Frame(hello=pb.Hello(protocol=1, partner="bank"))], "MALFORMED_MESSAGE"),
    "an empty frame": ([pb.Frame()], "MALFORMED_MESSAGE"),
    "a head that is not canonical": ([begin(head=b'{"b":1,"a":2}')], "NOT_CANONICAL"),
    "an id that is too long": ([begin(id="x" * (limits.ID_BYTES_MAX + 1))], "MALFORMED_MESSAGE"),
}


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_a_bad_frame_ends_the_stream_by_name_and_nothing_is_lost(hub: ServedHub, case: str) -> None:
    frames, code = HOSTILE[case]
    task_id = "kept-" + case.replace(" ", "-")
    post(hub, task_id)
    stream = hub.stream(hub.parties["bank"]).welcomed()
    stream.send(*frames)
    stream.ended()
    assert stream.refusal == code
    assert state(hub, task_id) == "OPEN"
    again = hub.stream(hub.parties["bank"]).welcomed()
    asked = again.message()
    assert asked.id == task_id
    again.say(asked.reply("ok", {}))
    assert again.acknowledged() == task_id + "/r"
    again.close()


def test_a_flood_of_unfinished_messages_of_one_node_leaves_the_other_served(hub: ServedHub) -> None:
    loud = hub.stream(hub.parties["bank"]).welcomed()
    for i in range(limits.OPEN_MESSAGES_MAX):
        loud.send(*list(to_frames(Message(id=f"f{i}", kind="assets", body=b"x" * (1 << 20))))[:1])
    calm = hub.stream(hub.parties["broker"]).welcomed()
    post(hub, "calm", node="broker")
    begun = time.monotonic()
    while calm.message().id != "calm":
        pass
    assert time.monotonic() - begun < 2
    loud.close()
    calm.close()


# --- enrolment


def test_enrolling_needs_no_certificate_but_an_invite(hub: ServedHub) -> None:
    reply = hub.enrol_request(party("platform"), "guessed")
    assert b"INVITE_UNKNOWN" in reply.failure
    assert not reply.certificate


def test_the_enrolment_port_offers_nothing_else(hub: ServedHub) -> None:
    with channel.client(hub.running.enrol, hub.authority, None, None, "hub") as connection:
        with pytest.raises(grpc.RpcError) as caught:
            list(alliance_pb2_grpc.AllianceStub(connection).Call(pb.Request(command="jobs"), timeout=10))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_guessing_invites_is_slowed_down(tmp_path: Path) -> None:
    with served_hub(tmp_path) as hub:
        answers = [hub.enrol_request(party("platform"), f"guess-{i}").failure for i in range(32)]
        assert b"INVITE_UNKNOWN" in answers[0]
        assert b"ENROLMENT_THROTTLED" in answers[-1]
        hub.clock.forward(61)
        assert b"INVITE_UNKNOWN" in hub.enrol_request(party("platform"), "guess").failure


def test_an_oversize_enrolment_is_refused(hub: ServedHub) -> None:
    who = party("platform")
    invite = str(hub.call("invite", {"partner": "platform"}, key="oversize")["invite"])
    body = {**who.card.body, "name": "x" * 20_000}
    assert b"CARD_NOT_VALID" in hub.enrol_request(_with_card(who, body), invite).failure


def _with_card(who: Party, body: dict[str, object]) -> Party:
    class Loud(Party):
        @property
        def card(self):  # type: ignore[no-untyped-def]
            return who.sign("card", body)  # type: ignore[arg-type]

    return Loud(id=who.id, signing=who.signing, sealing=who.sealing, chain=who.chain, tls=who.tls)


# --- the end


def test_a_stopping_hub_tells_its_nodes_and_comes_back_with_everything(tmp_path: Path) -> None:
    from hub import wiring

    with served_hub(tmp_path, "bank") as hub:
        stream = hub.stream(hub.parties["bank"]).welcomed()
        post(hub, "over-the-restart")
        assert stream.message().id == "over-the-restart"
        settings = hub.running.services.settings
        hub.running.stop()
        stream.ended()
        assert stream.refusal in ("HUB_STOPPING", "UNAVAILABLE", "CANCELLED")
        hub.running = wiring.start(settings, hub.clock, SeededEntropy(b"again"))
        again = hub.stream(hub.parties["bank"]).welcomed()
        assert again.message().id == "over-the-restart"
