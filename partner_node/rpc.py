"""Client of the hub: one stream, always dialled by the node, and the one call of enrolment.

The link reconnects for ever, waiting longer after each failure with jitter. It carries messages and knows nothing of
what they mean: requests and acknowledgements go to `deliver`, which must only queue them. What was sent on a stream
that broke is not remembered here: the hub repeats its requests, the outbox its own.
"""

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from ecowire import channel, limits, status
from ecowire.status import HubUnreachable
from ecowire.stream import Assembler, Message, to_frames
from ecowire.v1 import alliance_pb2 as pb
from ecowire.v1 import alliance_pb2_grpc, enrolment_pb2, enrolment_pb2_grpc
from partner_node.times import Entropy
from privacy import canonical
from privacy.errors import Failure

log = logging.getLogger(__name__)
SERVER_NAME = "hub"
WAIT_SECONDS_MIN = 0.2
WAIT_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """How this node shows itself: hub address, CA, own key and certificate (PEM), partner id."""

    address: str
    authority: bytes
    key: bytes
    certificate: bytes
    partner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Where arrivals go. Called on the link's thread; each must return at once."""

    welcome: Callable[[], None]
    message: Callable[[Message], None]
    ack: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """What people see of the link."""

    connected: bool
    alliance: str
    failure: Failure | None  # why it is down


class HubLink:
    """The node's stream to the hub. `run` blocks until `close`; `send` may be called from any thread."""

    def __init__(self, identity: Identity, deliver: Deliver, entropy: Entropy) -> None:
        self._identity = identity
        self._deliver = deliver
        self._entropy = entropy
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._outgoing: queue.Queue[Message | str | None] | None = None
        self._call: Any = None
        self._state = LinkState(connected=False, alliance="", failure=None)

    @property
    def state(self) -> LinkState:
        return self._state

    def send(self, message: Message) -> bool:
        """Queue a message on the open stream; False where there is none (it will be asked for, or sent, again)."""
        return self._put(message)

    def ack(self, reply_id: str) -> bool:
        """Tell the hub that its reply is stored."""
        return self._put(reply_id)

    def close(self) -> None:
        self._stop.set()
        with self._lock:
            if self._outgoing is not None:
                self._outgoing.put(None)
            if self._call is not None:
                self._call.cancel()

    def run(self) -> None:
        """Connect, serve the stream, reconnect; until `close`."""
        wait = WAIT_SECONDS_MIN
        while not self._stop.is_set():
            try:
                self._serve()
                failure: Failure = HubUnreachable(address=self._identity.address, why="the stream ended")
            except grpc.RpcError as error:
                failure = explain(error, self._identity.address)
            except Failure as error:
                failure = error
            was_connected = self._state.connected
            self._state = LinkState(connected=False, alliance="", failure=failure)
            if self._stop.is_set():
                return
            wait = WAIT_SECONDS_MIN if was_connected else min(2 * wait, WAIT_SECONDS_MAX)
            log.warning("no stream to the hub: %s: %s", status.code_of(failure), failure)
            jitter = int.from_bytes(self._entropy(2), "big") / 0xFFFF
            self._stop.wait(wait * (0.5 + jitter / 2))

    def _serve(self) -> None:
        outgoing: queue.Queue[Message | str | None] = queue.Queue()
        me = self._identity
        with channel.client(me.address, me.authority, me.key, me.certificate, SERVER_NAME) as connection:
            call = _connect(connection, _frames(me.partner, outgoing), None)
            with self._lock:
                self._outgoing, self._call = outgoing, call
            if self._stop.is_set():
                call.cancel()
            try:
                self._read(call)
            finally:
                with self._lock:
                    self._outgoing = self._call = None
                outgoing.put(None)
                call.cancel()

    def _read(self, call: Any) -> None:
        assembler = Assembler()
        for frame in call:
            match frame.WhichOneof("body"):
                case "welcome":
                    self._state = LinkState(connected=True, alliance=frame.welcome.alliance, failure=None)
                    log.info("connected to the hub of %s", frame.welcome.alliance)
                    self._deliver.welcome()
                case "ack":
                    self._deliver.ack(frame.ack.id)
                case _:
                    message = assembler.feed(frame)
                    if message is not None:
                        self._deliver.message(message)

    def _put(self, item: Message | str) -> bool:
        with self._lock:
            if self._outgoing is None:
                return False
            self._outgoing.put(item)
            return True


def hello(identity: Identity, *, timeout_seconds: float = limits.DEADLINE_SECONDS) -> str:
    """Say hello on a stream of its own and hang up; the alliance's name. Raises the hub's refusal, HubUnreachable."""
    with channel.client(
        identity.address, identity.authority, identity.key, identity.certificate, SERVER_NAME
    ) as connection:
        outgoing: queue.Queue[Message | str | None] = queue.Queue()
        call = _connect(connection, _frames(identity.partner, outgoing), timeout_seconds)
        try:
            frame = next(iter(call))
        except StopIteration:
            raise HubUnreachable(address=identity.address, why="the stream ended without a welcome") from None
        except grpc.RpcError as error:
            raise explain(error, identity.address) from None
        finally:
            outgoing.put(None)
            call.cancel()
        return str(frame.welcome.alliance)


def enrol(
    address: str, authority: bytes, invite: str, csr: bytes, card: bytes, idempotency_key: str
) -> enrolment_pb2.EnrolReply:
    """Enrol over the enrolment port: the hub shows its certificate, this side only the invite.

    Returns the reply with certificate, authority and alliance. Raises the hub's refusal, or HubUnreachable.
    """
    request = enrolment_pb2.EnrolRequest(invite=invite, csr=csr, card=card, idempotency_key=idempotency_key)
    with channel.client(address, authority, None, None, SERVER_NAME) as connection:
        try:
            stub = enrolment_pb2_grpc.EnrolmentStub(connection)  # type: ignore[no-untyped-call]
            reply: enrolment_pb2.EnrolReply = stub.Enrol(request, timeout=limits.DEADLINE_SECONDS)
        except grpc.RpcError as error:
            raise explain(error, address) from None
    if reply.failure:
        raise _refusal(reply.failure)
    return reply


def renew(identity: Identity, csr: bytes) -> bytes:
    """A new certificate (PEM) for this node's own key, asked for under the one it has.

    Raises the hub's refusal, HubUnreachable, MalformedMessage.
    """
    head = canonical.encode({"csr": csr.decode()})
    request = pb.Request(command="renew", head=head, idempotency_key=hashlib.sha256(csr).hexdigest())
    with channel.client(
        identity.address, identity.authority, identity.key, identity.certificate, SERVER_NAME
    ) as connection:
        try:
            stub = alliance_pb2_grpc.AllianceStub(connection)  # type: ignore[no-untyped-call]
            part = next(iter(stub.Call(request, timeout=limits.DEADLINE_SECONDS)), None)
        except grpc.RpcError as error:
            raise explain(error, identity.address) from None
    if part is not None and part.failure:
        raise _refusal(part.head)
    answer = canonical.decode(part.head) if part is not None else None
    if not isinstance(answer, dict) or not isinstance(answer.get("certificate"), str):
        raise status.MalformedMessage(why="a renewed certificate is expected")
    return str(answer["certificate"]).encode()


def explain(error: grpc.RpcError, address: str) -> Failure:
    """The failure behind an RPC error: the hub's own refusal where its details carry one."""
    details = error.details() or ""
    try:
        return _refusal(details.encode())
    except Failure:
        return HubUnreachable(address=address, why=f"{error.code().name}: {details[:200]}")


def _connect(connection: grpc.Channel, frames: Iterator[pb.Frame], timeout_seconds: float | None) -> Any:
    stub = alliance_pb2_grpc.AllianceStub(connection)  # type: ignore[no-untyped-call]
    return stub.Connect(frames, timeout=timeout_seconds)


def _refusal(head: bytes) -> Failure:
    value = canonical.decode(head)
    if not isinstance(value, dict):
        raise status.MalformedMessage(why="a failure head")
    return status.from_head(value)


def _frames(partner: str, outgoing: "queue.Queue[Message | str | None]") -> Iterator[pb.Frame]:
    """Hello, then the frames of what is queued: messages, and ids of replies to acknowledge. None ends the stream."""
    yield pb.Frame(hello=pb.Hello(protocol=limits.PROTOCOL, partner=partner))
    while (item := outgoing.get()) is not None:
        if isinstance(item, str):
            yield pb.Frame(ack=pb.Ack(id=item))
        else:
            yield from to_frames(item)
