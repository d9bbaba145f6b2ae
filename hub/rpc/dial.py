"""A person's call to the hub over mutual TLS: request out, parts in. The client side of `Alliance.Call`."""

from collections.abc import Iterator

import grpc

from ecowire import channel, limits, status
from ecowire.status import HubUnreachable, MalformedMessage, MessageTooLarge
from ecowire.v1 import alliance_pb2 as pb
from ecowire.v1 import alliance_pb2_grpc
from hub.records import Head
from privacy import canonical
from privacy.errors import Failure

SERVER_NAME = "hub"
CONNECT_SECONDS = 5.0
BODY_BYTES_MAX = limits.BODY_BYTES_MAX


def call(
    address: str,
    authority: bytes,
    key: bytes,
    certificate: bytes,
    command: str,
    head: Head,
    idempotency_key: str,
    seconds: float,
) -> tuple[Head, bytes]:
    """The answer's head and body. Raises the hub's failure as RemoteFailure, HubUnreachable, MalformedMessage."""
    encoded = canonical.encode(head)
    if len(encoded) > limits.UNARY_BYTES_MAX:
        raise MessageTooLarge(size=len(encoded), limit=limits.UNARY_BYTES_MAX)
    request = pb.Request(command=command, head=encoded, idempotency_key=idempotency_key)
    with channel.client(address, authority, key, certificate, SERVER_NAME) as connection:
        stub = alliance_pb2_grpc.AllianceStub(connection)  # type: ignore[no-untyped-call]
        _await_connection(connection)
        try:
            return _collect(stub.Call(request, timeout=seconds))
        except grpc.RpcError as error:
            raise explain(error, address) from None


def _await_connection(connection: grpc.Channel) -> None:
    """Give a hub that is just starting a moment; if it stays away, the call itself says why."""
    try:
        grpc.channel_ready_future(connection).result(timeout=CONNECT_SECONDS)
    except grpc.FutureTimeoutError:
        return


def _collect(parts: Iterator[pb.Part]) -> tuple[Head, bytes]:
    first = next(parts, None)
    if first is None:
        raise MalformedMessage(why="an answer without a head")
    head = canonical.decode(first.head)
    if not isinstance(head, dict):
        raise MalformedMessage(why="the answer's head is not an object")
    if first.failure:
        raise status.from_head(head)
    body = bytearray(first.data)
    for part in parts:
        body += part.data
        if len(body) > BODY_BYTES_MAX:
            raise MessageTooLarge(size=len(body), limit=BODY_BYTES_MAX)
    return head, bytes(body)


def explain(error: grpc.RpcError, address: str) -> Failure:
    """The hub's own refusal where the status details carry one; gRPC's words otherwise."""
    details = error.details() or ""
    try:
        head = canonical.decode(details.encode())
        if isinstance(head, dict):
            return status.from_head(head)
    except Failure:
        pass  # not one of our heads: a transport error
    return HubUnreachable(address=address, why=f"{error.code().name.lower()}: {details[:120]}")
