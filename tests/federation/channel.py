"""A `RoundChannel` in memory that really carries bytes, keeps answers by id, and can lose what a test wants lost."""

from collections.abc import Iterator, Mapping, Sequence

from flwr.clientapp import ClientApp

from federation import grid
from federation.grid import Request
from privacy import canonical
from privacy.errors import Failure, Kind


class NodeAway(Failure):
    code = "TEST_NODE_AWAY"
    kind = Kind.UNAVAILABLE
    en = "{node} is away"
    zh = "{node} 不在线"


class RequestWithdrawn(Failure):
    code = "TEST_REQUEST_WITHDRAWN"
    kind = Kind.UNAVAILABLE
    en = "nobody waits for {message_id} any more"
    zh = "已无人等待 {message_id}"


class MemoryChannel:
    """Requests wait until collected; each is executed once and its answer kept, as the hub's store does."""

    def __init__(self, apps: Mapping[str, ClientApp]) -> None:
        self._apps = dict(apps)
        self._requests: dict[str, tuple[str, bytes]] = {}
        self._answers: dict[str, bytes] = {}
        self._withdrawn: set[str] = set()
        self.heads: list[Mapping[str, canonical.Value]] = []
        self.executed: list[str] = []
        self.loaded: list[str] = []  # ids in the order in which their answers were asked for
        self.silent: set[str] = set()  # nodes that do not answer in time
        self.away: set[str] = set()  # nodes that the channel reports as failed
        self.disconnected: set[str] = set()

    def nodes(self) -> tuple[str, ...]:
        return tuple(self._apps)

    def connected(self) -> tuple[str, ...]:
        return tuple(name for name in self._apps if name not in self.disconnected)

    def post(self, requests: Sequence[Request]) -> None:
        for request in requests:
            known = self._requests.setdefault(request.message_id, (request.node, bytes(request.content)))
            assert known == (request.node, request.content), "one id, one content"
            canonical.encode(dict(request.head))
            self.heads.append(request.head)

    def collect(self, message_ids: Sequence[str], timeout_seconds: float) -> Mapping[str, bytes | Failure]:
        found: dict[str, Failure | None] = {}
        for message_id in message_ids:
            node, content = self._requests[message_id]
            if message_id in self._withdrawn:
                found[message_id] = RequestWithdrawn(message_id=message_id)
            elif node in self.away:
                found[message_id] = NodeAway(node=node)
            elif message_id in self._answers:
                found[message_id] = None
            elif node not in self.silent | self.disconnected:
                self._answers[message_id] = grid.answer(self._apps[node], content, node, message_id)
                self.executed.append(message_id)
                found[message_id] = None
        return Loaded(found, self)

    def load(self, message_id: str) -> bytes:
        self.loaded.append(message_id)
        return self._answers[message_id]

    def withdraw(self, message_ids: Sequence[str]) -> None:
        self._withdrawn |= {i for i in message_ids if i not in self._answers}


class Loaded(Mapping[str, bytes | Failure]):
    """Answers that are read when they are asked for."""

    def __init__(self, found: dict[str, Failure | None], channel: MemoryChannel) -> None:
        self._found = found
        self._channel = channel

    def __getitem__(self, message_id: str) -> bytes | Failure:
        return self._found[message_id] or self._channel.load(message_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
