"""The two gRPC servers: what they offer, under which credentials, on which port."""

from collections.abc import Mapping

import grpc

from ecowire import channel
from ecowire.v1 import alliance_pb2_grpc, enrolment_pb2_grpc
from hub.rpc.alliance import AllianceService
from hub.rpc.enrolment import EnrolmentService
from hub.rpc.switch import Switch
from hub.services import Command, Services
from privacy.errors import Failure, Kind


class PortTaken(Failure):
    code = "PORT_TAKEN"
    kind = Kind.UNAVAILABLE
    en = "the hub can't listen on {address}; does it run already?"
    zh = "枢纽无法监听 {address}；是否已在运行？"


def alliance(
    services: Services, switch: Switch, commands: Mapping[str, Command], session: str, key: bytes, certificate: bytes
) -> tuple[grpc.Server, str]:
    """The mutual-TLS server, not yet started, and the address it will listen on. Raises PortTaken."""
    settings = services.settings
    server = channel.server(settings.nodes_max + settings.calls_max)
    service = AllianceService(services, switch, commands, session)
    alliance_pb2_grpc.add_AllianceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    credentials = channel.server_credentials(key, certificate, services.authority.pem)
    return server, _bind(server, settings.listen, credentials)


def enrolment(services: Services, key: bytes, certificate: bytes) -> tuple[grpc.Server, str]:
    """The enrolment server: only it shows a certificate. Raises PortTaken."""
    settings = services.settings
    server = channel.server(settings.calls_max)
    enrolment_pb2_grpc.add_EnrolmentServicer_to_server(EnrolmentService(services), server)  # type: ignore[no-untyped-call]
    credentials = channel.server_credentials(key, certificate, None)
    return server, _bind(server, settings.enrol, credentials)


def _bind(server: grpc.Server, address: str, credentials: grpc.ServerCredentials) -> str:
    host = address.rpartition(":")[0]
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise PortTaken(address=address)
    return f"{host}:{port}"
