"""Whole horizontal runs in this process: the hub's and the partners' real applications on a LocalGrid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from federation.grid import AllianceGrid, LocalGrid
from federation.horizontal.checkpoint import Checkpoint
from federation.horizontal.client import make_client_app
from federation.horizontal.coordinator import Event
from federation.horizontal.identity import KeyIdentity, KeyVerifier
from federation.horizontal.member import Member
from federation.horizontal.results import PartnerResult, RunResult
from federation.horizontal.server import Ports, make_server_app
from federation.horizontal.trainer import Task, Trainer
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows
from privacy.aggregation import Engine
from privacy.canonical import Value
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal.parties import sealing_key, signing_key
from tests.support.entropy import SeededEntropy
from tests.support.plain_engine import PlainEngine


@dataclass(slots=True, kw_only=True)
class World:
    """One run: all partners with their rows and keys, and what the hub keeps. `run()` again goes on after a stop."""

    plan: HorizontalPlan
    tables: Mapping[str, Rows]
    engine: Engine
    stores: dict[str, dict[str, bytes]] = field(default_factory=dict)  # what each partner keeps of the protocol
    apps: dict[str, ClientApp] = field(default_factory=dict)
    saved: list[tuple[bytes, list[dict[str, Value]]]] = field(default_factory=list)  # for `Checkpoint.decode`
    decided: dict[str, Value] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    kept: dict[str, PartnerResult] = field(default_factory=dict)
    on_event: Callable[[Event], None] = lambda event: None
    on_save: Callable[[Checkpoint], None] = lambda checkpoint: None
    channel: MemoryChannel | None = None  # bytes over a channel that keeps answers, instead of calls in this process

    def __post_init__(self) -> None:
        for partner in self.plan.partners:
            trainer = Trainer(self.plan, partner, self.tables[partner])
            self.apps[partner] = self.app(partner, lambda _, trainer=trainer: trainer)  # type: ignore[misc]

    def run(self, resumes: int = 0) -> RunResult:
        found: list[RunResult] = []
        ticks = count()
        ports = Ports(
            verifier=KeyVerifier({p: signing_key(p).public for p in self.plan.partners}),
            load=lambda: Checkpoint.decode(*self.saved[-1]) if self.saved else None,
            save=self._save,
            decide=self._decide,
            on_event=self._event,
            on_finished=found.append,
            clock=lambda: float(next(ticks)),
            resumes=resumes,
            patience_seconds=0.0,
        )
        app = make_server_app(self.plan, self.engine, ports)
        context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
        grid: Grid = LocalGrid(self.apps, self.plan.digest)
        if self.channel is not None:
            grid = AllianceGrid(self.channel, self.plan.digest)
        app(grid=grid, context=context)
        return found[0]

    def app(self, partner: str, trainer_of: Callable[[Task], Trainer]) -> ClientApp:
        """The partner's own application, on keys of its own."""
        plan, store = self.plan, self.stores.setdefault(partner, {})
        entropy = SeededEntropy(f"{partner}/{plan.digest}".encode())
        signing = {p: signing_key(p).public for p in plan.partners}
        sealing = {p: sealing_key(p).public for p in plan.partners}
        name = plan.party(partner).partner
        identity = KeyIdentity(name, signing_key(partner), sealing_key(partner), signing, sealing)
        member = Member(plan.roster, self.engine, identity, store, plan.digest, entropy)
        return make_client_app(plan, trainer_of, member, entropy, lambda result: self._keep(partner, result))

    def _keep(self, partner: str, result: PartnerResult) -> Value:
        self.kept[partner] = result
        return result.record()

    def _save(self, checkpoint: Checkpoint) -> None:
        self.saved.append((checkpoint.encode(), [facts.to_value() for facts in checkpoint.history]))
        self.on_save(checkpoint)

    def _decide(self, name: str, make: Callable[[], Value]) -> Value:
        if name not in self.decided:
            self.decided[name] = make()
        return self.decided[name]

    def _event(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)


def world(
    body: dict[str, Any], tables: Mapping[str, Rows], engine: Engine | None = None, durable: bool = False
) -> World:
    """A run of a plan's body, on the plan's own engine unless another is given."""
    plan = HorizontalPlan.from_body(body)
    made = World(plan=plan, tables=tables, engine=engine or plan.new_engine())
    if durable:
        made.channel = MemoryChannel(made.apps)
    return made


def plain(body: dict[str, Any], tables: Mapping[str, Rows]) -> World:
    """The same run on sums that nothing hides, in lanes of the same width."""
    plan = HorizontalPlan.from_body(body)
    return World(plan=plan, tables=tables, engine=PlainEngine(plan.roster, plan.new_engine().value_bits))
