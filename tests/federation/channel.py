"""A `RoundChannel` in memory that really carries bytes, keeps answers by id, and can lose what a test wants lost."""

from collections.abc import Mapping, Sequence

from flwr.clientapp import ClientApp

from federation import grid
from privacy import canonical
from privacy.errors import Failure, Kind


class NodeAway(Failure):
    code = "TEST_NODE_AWAY"
    kind = Kind.UNAVAILABLE
    en = "{node} is away"
    zh = "{node} 不在线"


class MemoryChannel:
    """Requests wait until collected; each is executed once and its answer kept, as the hub's store does."""

    def __init__(self, apps: Mapping[str, ClientApp]) -> None:
        self._apps = dict(apps)
        self._requests: dict[str, tuple[str, bytes]] = {}
        self._answers: dict[str, bytes] = {}
        self.heads: list[dict[str, canonical.Value]] = []
        self.executed: list[str] = []
        self.silent: set[str] = set()  # nodes that do not answer in time
        self.away: set[str] = set()  # nodes that the channel reports as failed

    def nodes(self) -> tuple[str, ...]:
        return tuple(self._apps)

    def post(self, message_id: str, node: str, head: dict[str, canonical.Value], content: bytes) -> None:
        known = self._requests.setdefault(message_id, (node, bytes(content)))
        assert known == (node, content), "one id, one content"
        canonical.encode(head)
        self.heads.append(head)

    def collect(self, message_ids: Sequence[str], timeout_seconds: float) -> dict[str, bytes | Failure]:
        found: dict[str, bytes | Failure] = {}
        for message_id in message_ids:
            node, content = self._requests[message_id]
            if node in self.away:
                found[message_id] = NodeAway(node=node)
            elif node not in self.silent:
                if message_id not in self._answers:
                    self._answers[message_id] = grid.answer(self._apps[node], content, node)
                    self.executed.append(message_id)
                found[message_id] = self._answers[message_id]
        return found
