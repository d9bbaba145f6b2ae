"""The Alliance service: nodes' streams and people's calls on the one mutual-TLS port."""

import threading
from collections.abc import Iterator, Mapping
from typing import NoReturn

import grpc

from ecowire import channel, limits, status
from ecowire.status import MalformedMessage
from ecowire.v1 import alliance_pb2 as pb
from ecowire.v1 import alliance_pb2_grpc
from hub import dispatch, identity
from hub.identity import Caller, CertificateOfOther
from hub.rpc.switch import Switch, internal
from hub.services import ANY, Command, Reply, Services
from privacy import canonical
from privacy.errors import Failure, Kind

Context = grpc.ServicerContext
HELLO_SECONDS = 10.0


class ProtocolUnsupported(Failure):
    code = "PROTOCOL_UNSUPPORTED"
    kind = Kind.INVALID
    en = "the node speaks wire protocol {found}, this hub speaks {known}; bring both to the same version"
    zh = "节点使用协议版本 {found}，本枢纽使用 {known}；请统一版本"


class AllianceService(alliance_pb2_grpc.AllianceServicer):
    """Checks who calls, then hands over."""

    def __init__(self, services: Services, switch: Switch, commands: Mapping[str, Command], session: str) -> None:
        self._services = services
        self._switch = switch
        self._commands = commands
        self._session = session

    def Connect(self, request_iterator: Iterator[pb.Frame], context: Context) -> Iterator[pb.Frame]:  # noqa: N802
        try:
            caller = self._caller(context)
            identity.require_role(caller, ("node",), "Connect")
            self._hello(caller, request_iterator, context)
            link = self._switch.open(caller)
        except Failure as failure:
            abort(context, failure)
        if not context.add_callback(link.close):
            self._switch.forget(link)
            return
        reader = threading.Thread(
            target=self._switch.read, args=(link, request_iterator), name=f"read-{caller.name}", daemon=True
        )
        reader.start()
        try:
            yield pb.Frame(welcome=pb.Welcome(alliance=self._services.settings.alliance, session=self._session))
            yield from self._switch.frames(link)
        except Failure as failure:
            abort(context, failure)
        finally:
            self._switch.forget(link)

    def Call(self, request: pb.Request, context: Context) -> Iterator[pb.Part]:  # noqa: N802
        try:
            caller = self._caller(context)
            identity.require_role(caller, (*ANY, "node"), "Call")  # a node's own certificate renews itself, no more
        except Failure as failure:
            abort(context, failure)
        try:
            head = canonical.decode(request.head) if request.head else {}
            if not isinstance(head, dict):
                raise MalformedMessage(why="the head is not an object")
            key = request.idempotency_key
            reply = dispatch.run_command(self._services, self._commands, caller, request.command, head, key)
        except Failure as failure:
            yield pb.Part(head=canonical.encode(status.to_head(failure)), failure=True)
            return
        except Exception:
            unknown = internal(self._services, f"command {request.command[:40]}")
            yield pb.Part(head=canonical.encode(status.to_head(unknown)), failure=True)
            return
        yield from parts(reply)

    def _caller(self, context: Context) -> Caller:
        pem, version = channel.peer(context)
        found = identity.of_peer(pem, version)
        now = self._services.clock()
        return self._services.store.read("identity", lambda tx: identity.check(tx, found, now))

    def _hello(self, caller: Caller, frames: Iterator[pb.Frame], context: Context) -> None:
        # a stream that never says hello would hold a thread
        timer = threading.Timer(HELLO_SECONDS, context.cancel)
        timer.start()
        try:
            frame = next(frames, None)
        except grpc.RpcError:
            frame = None
        finally:
            timer.cancel()
        if frame is None or frame.WhichOneof("body") != "hello":
            raise MalformedMessage(why="the first frame is a hello")
        if frame.hello.partner != caller.name:
            failure = CertificateOfOther(name=caller.name, partner=frame.hello.partner[:40])
            dispatch.note_refusal(self._services, f"node/{caller.name}", "connect", failure)
            raise failure
        if frame.hello.protocol != limits.PROTOCOL:
            raise ProtocolUnsupported(found=frame.hello.protocol, known=limits.PROTOCOL)


def parts(reply: Reply) -> Iterator[pb.Part]:
    """The answer in pieces of at most 1 MiB: the head first, then the body."""
    yield pb.Part(head=canonical.encode(reply.head))
    view = memoryview(reply.body)
    for start in range(0, len(view), limits.CHUNK_BYTES_MAX):
        yield pb.Part(data=bytes(view[start : start + limits.CHUNK_BYTES_MAX]))


def abort(context: Context, failure: Failure) -> NoReturn:
    """End the RPC with the failure's status; the details are its head as canonical JSON."""
    code = status.GRPC_STATUS[status.kind_of(failure)]
    context.abort(code, canonical.encode(status.to_head(failure)).decode())
    raise AssertionError("abort raises")
