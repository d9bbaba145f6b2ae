"""A hub with its real ports in this process, and clients of it: people's calls and nodes' streams, over real TLS."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from ecowire import channel, limits, status
from ecowire.stream import Assembler, Message, to_frames
from ecowire.v1 import alliance_pb2 as pb
from ecowire.v1 import alliance_pb2_grpc, enrolment_pb2, enrolment_pb2_grpc
from hub import authority, client, wiring
from hub.client import Person
from hub.records import Head
from hub.settings import Settings
from hub.wiring import Running
from privacy import canonical
from tests.hub.alliance import MovableClock, Party, found_hub, party
from tests.support.entropy import SeededEntropy

WAIT_SECONDS = 20.0


class Stream:
    """A node's side of Connect, frame by frame."""

    def __init__(self, address: str, authority_pem: bytes, key: bytes | None, certificate: bytes | None) -> None:
        self.channel = channel.client(address, authority_pem, key, certificate, "hub")
        self._out: queue.Queue[pb.Frame | None] = queue.Queue()
        self.call: Any = alliance_pb2_grpc.AllianceStub(self.channel).Connect(iter(self._out.get, None))
        self._in: queue.Queue[pb.Frame | None] = queue.Queue()
        self.error: grpc.RpcError | None = None
        self._assembler = Assembler()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            for frame in self.call:
                self._in.put(frame)
        except grpc.RpcError as error:
            self.error = error
        self._in.put(None)

    def hello(self, partner: str, protocol: int = limits.PROTOCOL) -> "Stream":
        self.send(pb.Frame(hello=pb.Hello(protocol=protocol, partner=partner)))
        return self

    def welcomed(self) -> "Stream":
        frame = self.frame()
        assert frame is not None and frame.WhichOneof("body") == "welcome", self.refusal
        return self

    def send(self, *frames: pb.Frame) -> None:
        for frame in frames:
            self._out.put(frame)

    def say(self, message: Message) -> None:
        self.send(*to_frames(message))

    def frame(self, seconds: float = WAIT_SECONDS) -> pb.Frame | None:
        """The next frame; None once the stream has ended. Raises queue.Empty where nothing comes."""
        return self._in.get(timeout=seconds)

    def message(self) -> Message:
        """The next whole message, acknowledgements aside."""
        while True:
            frame = self.frame()
            assert frame is not None, f"the stream ended: {self.error}"
            if frame.WhichOneof("body") == "ack":
                continue
            message = self._assembler.feed(frame)
            if message is not None:
                return message

    def acknowledged(self) -> str:
        """The id in the next acknowledgement."""
        while True:
            frame = self.frame()
            assert frame is not None, f"the stream ended: {self.error}"
            if frame.WhichOneof("body") == "ack":
                return frame.ack.id

    def quiet(self, seconds: float = 0.5) -> bool:
        """Whether nothing comes for a while."""
        try:
            self.frame(seconds)
        except queue.Empty:
            return True
        return False

    def ended(self, seconds: float = WAIT_SECONDS) -> None:
        """Wait until the hub ended the stream."""
        while self.frame(seconds) is not None:
            pass

    @property
    def refusal(self) -> str:
        """The code of the failure that the stream ended with; gRPC's own status where there is none."""
        if self.error is None:
            return ""
        try:
            head = canonical.decode((self.error.details() or "").encode())
            assert isinstance(head, dict)
            return status.code_of(status.from_head(head))
        except Exception:
            return str(self.error.code().name)

    def close(self) -> None:
        self._out.put(None)
        self.call.cancel()
        self.channel.close()
        self._reader.join(WAIT_SECONDS)


@dataclass
class ServedHub:
    """A running hub and its people and nodes."""

    running: Running
    clock: MovableClock
    operator: Person
    parties: dict[str, Party] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)

    @property
    def authority(self) -> bytes:
        return self.operator.authority

    @property
    def store(self) -> Any:
        return self.running.services.store

    def call(self, command: str, head: Head | None = None, key: str = "k", person: Person | None = None) -> Head:
        return client.call(person or self.operator, command, head, idempotency_key=key, seconds=30)[0]

    def enrol_request(self, who: Party, invite: str) -> enrolment_pb2.EnrolReply:
        with channel.client(self.running.enrol, self.authority, None, None, "hub") as connection:
            request = enrolment_pb2.EnrolRequest(invite=invite, csr=who.csr(), card=who.card.encode())
            return enrolment_pb2_grpc.EnrolmentStub(connection).Enrol(request, timeout=WAIT_SECONDS)

    def enrol(self, name: str) -> Party:
        """Invite and enrol over the two ports."""
        who = party(name)
        invite = str(self.call("invite", {"partner": name})["invite"])
        reply = self.enrol_request(who, invite)
        assert not reply.failure, reply.failure
        self.parties[name] = replace(who, certificate=reply.certificate)
        return self.parties[name]

    def person(self, name: str, role: str) -> Person:
        key = authority.generate_key(SeededEntropy(name.encode()))
        csr = authority.make_request(key, name).decode()
        made = self.call("certify", {"name": name, "role": role, "csr": csr}, key=name)
        pem = authority.private_pem(key)
        return replace(self.operator, key=pem, certificate=str(made["certificate"]).encode())

    def stream(self, who: Party, *, hello: str | None = None, certificate: bytes | None = None) -> Stream:
        """An open stream of a party; welcomed unless `hello` names somebody else."""
        key = authority.private_pem(who.tls)
        made = Stream(self.running.listen, self.authority, key, certificate or who.certificate)
        self.streams.append(made)
        return made.hello(hello or who.id)


@contextmanager
def served_hub(folder: Path, *names: str, **changes: str | int) -> Iterator[ServedHub]:
    """A hub that serves on free ports of 127.0.0.1, with these parties enrolled."""
    clock = MovableClock(datetime.now(UTC))  # TLS checks certificates against the machine's own clock
    settings: Settings = found_hub(folder / "hub", clock, **changes)
    running = wiring.start(settings, clock, SeededEntropy(b"served"))
    person = client.load(settings.dir / "people" / "oda" / "person.toml")
    made = ServedHub(running=running, clock=clock, operator=replace(person, hub=running.listen))
    try:
        for name in names:
            made.enrol(name)
        yield made
    finally:
        for stream in made.streams:
            stream.close()
        made.running.stop()  # a test may have started it again


def publish(hub: ServedHub, who: Party, asset: Any) -> None:
    """A partner's node says over its stream what it offers: this one asset."""
    document = who.sign("assets", {"partner": who.id, "assets": [asset]})
    stream = hub.stream(who).welcomed()
    stream.say(Message(id=f"assets/{who.id}", kind="assets", head={"assets": document.to_value()}))
    assert stream.message().kind == "ok"
    stream.close()
