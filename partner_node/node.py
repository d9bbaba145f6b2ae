"""What every use case of the node is given, and the two forms a use case has.

A *request* comes from the hub. Its handler reads and computes, and returns an `Answer`: the reply and the `write` that
the worker runs in the one transaction which also stores the reply, before the reply leaves. A handler never writes on
its own: a crash before the commit leaves nothing, a crash after it resends the stored bytes.

A *command* comes from this node's own people over the local socket. Each module offers its requests and commands as
two dicts; `wiring` joins them into one table each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy.orm import Session

from ecowire.documents import Body, Signed
from ecowire.stream import Message
from partner_node import keys as node_keys
from partner_node.database import Database
from partner_node.outbound import Outbound
from partner_node.settings import Settings
from partner_node.times import Clock, Entropy
from privacy import canonical
from privacy.errors import Failure


def _nothing(_: Session) -> None:
    """The write of an answer that changes no state."""


def _no_more() -> None:
    """After an answer that is whole with its commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply, and the state change that is committed together with it; `then` follows the commit, and must not fail.

    With `failure` the reply is a refusal that still changes state (a broken job's secrets go); a handler that changes
    nothing just raises its failure.
    """

    failure: Failure | None = None
    head: dict[str, canonical.Value] = field(default_factory=dict)
    body: bytes = b""
    write: Callable[[Session], None] = _nothing
    then: Callable[[], None] = _no_more


Handler: TypeAlias = Callable[[Message], Answer]
Command: TypeAlias = Callable[[Mapping[str, Any]], Body]
Handlers: TypeAlias = Mapping[str, Handler]
Commands: TypeAlias = Mapping[str, Command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """This node: settings, keys, database, the gate outwards, clock and entropy."""

    settings: Settings
    keys: node_keys.Keys
    database: Database
    outbound: Outbound
    clock: Clock
    entropy: Entropy
    alliance: str  # the alliance's name and the hub's Ed25519 log key: pinned at enrolment
    log_key: bytes

    def card(self) -> Signed:
        return self.keys.card(self.settings.partner, self.settings.name)
