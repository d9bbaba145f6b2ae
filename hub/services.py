"""What a use case is given, and the form of the two registries: people's commands and nodes' requests.

`Services` is built once in `wiring`; below it nobody reads the clock or entropy on their own. A command's body runs
in one transaction unless it must call the network, in which case it takes the store and keeps intent → call → outcome
itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from contracts.chain import Chain
from contracts.keys import Key
from ecowire.stream import Message
from hub.anchor_watch import AnchorWatch
from hub.audit import Log
from hub.authority import Authority
from hub.handover import Handover
from hub.identity import Caller
from hub.records import Head, Partner
from hub.settings import Settings
from hub.store import Store, Transaction
from hub.waiters import Waiters
from privacy.errors import Failure, Kind

Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]
Connected = Callable[[], frozenset[str]]

OPERATOR, DATA, FINANCE, REGULATOR = "operator", "data", "finance", "regulator"
ANY = (OPERATOR, DATA, FINANCE, REGULATOR)


class HeadInvalid(Failure):
    code = "HEAD_INVALID"
    kind = Kind.INVALID
    en = "the field {field} is wrong: {why}"
    zh = "字段 {field} 有误：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one running hub. `chain` opens the configured chain; it raises where none is configured."""

    settings: Settings
    store: Store
    log: Log
    authority: Authority
    clock: Clock
    entropy: Entropy
    connected: Connected
    waiters: Waiters
    chain: Callable[[], Chain]
    submitter: Callable[[], Key]  # the key that submits to the chain; it never signs for money
    started: float = field(default_factory=time.monotonic)
    handover: Handover = field(default_factory=Handover)
    anchoring: AnchorWatch = field(default_factory=AnchorWatch)

    def uptime_seconds(self) -> float:
        """How long this hub has been there: its nodes need a moment to find it."""
        return time.monotonic() - self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: a canonical head and, for files, a body."""

    head: Head = field(default_factory=dict)
    body: bytes = b""
    kind: str = "ok"


InOneTransaction = Callable[[Services, Transaction, Caller, datetime, Head], Reply]
WithStore = Callable[[Services, Caller, datetime, Head], Reply]
NodeHandler = Callable[[Services, Transaction, Partner, datetime, Message], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A node's request about which something outside is looked at first, before its transaction: `look` may refuse."""

    look: Callable[[Services, Message], None]
    run: NodeHandler

    def __call__(self, services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
        return self.run(services, tx, partner, now, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A person's command. Exactly one of `run` (one transaction) and `call` (own transactions) is given.

    `changes` False marks a read: it needs no idempotency key and leaves nothing. `secret` marks an answer that must not
    be kept: the command is then carried out again at a repeat.
    """

    roles: tuple[str, ...]
    run: InOneTransaction | None = None
    call: WithStore | None = None
    changes: bool = True
    secret: bool = False

    def __post_init__(self) -> None:
        assert (self.run is None) != (self.call is None), "a command runs in one transaction or calls out"


def text(head: Head, name: str, *, default: str | None = None, longest: int = 2000) -> str:
    """A text field of a head. Raises HeadInvalid where it is missing (without default), no text, or too long."""
    value = head.get(name, default)
    if not isinstance(value, str) or len(value) > longest or (default is None and not value):
        raise HeadInvalid(field=name, why="a text is expected")
    return value


def whole(head: Head, name: str) -> int:
    """A non-negative integer field of a head. Raises HeadInvalid."""
    value = head.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise HeadInvalid(field=name, why="a whole number is expected")
    return value


def only(head: Head, *names: str) -> None:
    """Raises HeadInvalid for a field that nobody reads: what is not understood is not obeyed."""
    if unknown := sorted(set(head) - set(names)):
        raise HeadInvalid(field=unknown[0][:40], why="it is not known here")
