"""The Enrolment service: a port of its own with server authentication only, offering nothing but Enrol.

Guessing an invite is hopeless (160 bits); the rate limit keeps the port from being used to load the hub's database.
"""

import threading
from collections import deque
from datetime import datetime, timedelta

import grpc

from ecowire import status
from ecowire.v1 import enrolment_pb2 as pb
from ecowire.v1 import enrolment_pb2_grpc
from hub import partners
from hub.rpc.switch import internal
from hub.services import Services
from privacy import canonical
from privacy.errors import Failure, Kind

WINDOW = timedelta(seconds=60)
ATTEMPTS_MAX = 30  # in one window from one address
ADDRESSES_MAX = 10_000
CARD_BYTES_MAX = 16 << 10


class EnrolmentThrottled(Failure):
    code = "ENROLMENT_THROTTLED"
    kind = Kind.UNAVAILABLE
    en = "too many enrolment attempts from this address; wait a minute"
    zh = "该地址的准入尝试过于频繁，请一分钟后重试"


class RateLimit:
    """Attempts of one address in a sliding window."""

    def __init__(self, attempts_max: int = ATTEMPTS_MAX) -> None:
        self._attempts_max = attempts_max
        self._lock = threading.Lock()
        self._seen: dict[str, deque[datetime]] = {}

    def check(self, address: str, now: datetime) -> None:
        """Count an attempt. Raises EnrolmentThrottled."""
        with self._lock:
            if len(self._seen) > ADDRESSES_MAX:
                self._seen = {a: times for a, times in self._seen.items() if times and now - times[-1] < WINDOW}
            times = self._seen.setdefault(address, deque())
            while times and now - times[0] >= WINDOW:
                times.popleft()
            if len(times) >= self._attempts_max or len(self._seen) > ADDRESSES_MAX:
                raise EnrolmentThrottled
            times.append(now)


class EnrolmentService(enrolment_pb2_grpc.EnrolmentServicer):
    """Invite, request and card in; certificate and CA out."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limit = RateLimit()

    def Enrol(self, request: pb.EnrolRequest, context: grpc.ServicerContext) -> pb.EnrolReply:  # noqa: N802
        services, now = self._services, self._services.clock()
        try:
            self._limit.check(_address(context.peer()), now)
            if len(request.card) > CARD_BYTES_MAX:
                raise partners.CardNotValid(why=f"more than {CARD_BYTES_MAX} bytes")
            enrolled = services.store.run(
                "partners.enrol",
                lambda tx: partners.enrol(services, tx, now, request.invite, request.csr, request.card),
            )
        except Failure as failure:
            return pb.EnrolReply(failure=canonical.encode(status.to_head(failure)))
        except Exception:
            return pb.EnrolReply(failure=canonical.encode(status.to_head(internal(services, "enrol"))))
        return pb.EnrolReply(
            certificate=enrolled.certificate,
            authority=enrolled.authority,
            alliance=canonical.encode(enrolled.alliance),
        )


def _address(peer: str) -> str:
    """The host of gRPC's peer name, "ipv4:127.0.0.1:40312"."""
    return peer.rpartition(":")[0]
