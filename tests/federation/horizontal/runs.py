"""Whole horizontal runs in this process: the hub's and the partners' real applications on a LocalGrid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from federation.grid import LocalGrid
from federation.horizontal.checkpoint import Checkpoint
from federation.horizontal.client import make_client_app
from federation.horizontal.coordinator import Event
from federation.horizontal.identity import KeyIdentity, KeyVerifier
from federation.horizontal.member import Member
from federation.horizontal.results import PartnerResult, RunResult
from federation.horizontal.server import Ports, make_server_app
from federation.horizontal.trainer import Trainer
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows
from privacy.aggregation import Engine
from privacy.canonical import Value
from tests.federation.horizontal.parties import sealing_key, signing_key
from tests.support.entropy import SeededEntropy


class Stopped(Exception):
    """The hub dies."""


@dataclass(slots=True, kw_only=True)
class World:
    """One run: all partners with their rows and keys, and what the hub keeps. `run()` again goes on after a stop."""

    plan: HorizontalPlan
    tables: Mapping[str, Rows]
    engine: Engine
    stores: dict[str, dict[str, bytes]] = field(default_factory=dict)  # what each partner keeps of the protocol
    apps: dict[str, ClientApp] = field(init=False)
    saved: list[bytes] = field(default_factory=list)
    decided: dict[str, Value] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    kept: dict[str, PartnerResult] = field(default_factory=dict)
    stop_at: Callable[[Event], bool] = lambda event: False
    stop_after: int | None = None  # the round whose checkpoint is the last thing done

    def __post_init__(self) -> None:
        self.apps = {partner: self._app(partner) for partner in self.plan.partners}

    def run(self, resumes: int = 0) -> RunResult:
        found: list[RunResult] = []
        ticks = count()
        ports = Ports(
            verifier=KeyVerifier({p: signing_key(p).public for p in self.plan.partners}),
            load=lambda: Checkpoint.decode(self.saved[-1]) if self.saved else None,
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
        app(grid=LocalGrid(self.apps, self.plan.digest), context=context)
        return found[0]

    def _app(self, partner: str) -> ClientApp:
        plan, store = self.plan, self.stores.setdefault(partner, {})
        trainer = Trainer(plan, partner, self.tables[partner])
        entropy = SeededEntropy(partner.encode())
        signing = {p: signing_key(p).public for p in plan.partners}
        sealing = {p: sealing_key(p).public for p in plan.partners}
        name = plan.party(partner).partner
        identity = KeyIdentity(name, signing_key(partner), sealing_key(partner), signing, sealing)
        member = Member(plan.roster, self.engine, identity, store, plan.digest, entropy)
        return make_client_app(plan, lambda: trainer, member, entropy, lambda result: self._keep(partner, result))

    def _keep(self, partner: str, result: PartnerResult) -> Value:
        self.kept[partner] = result
        return result.record()

    def _save(self, checkpoint: Checkpoint) -> None:
        self.saved.append(checkpoint.encode())
        if checkpoint.round == self.stop_after:
            raise Stopped

    def _decide(self, name: str, make: Callable[[], Value]) -> Value:
        if name not in self.decided:
            self.decided[name] = make()
        return self.decided[name]

    def _event(self, event: Event) -> None:
        self.events.append(event)
        if self.stop_at(event):
            raise Stopped


def world(body: dict[str, Any], tables: Mapping[str, Rows], engine: Callable[[HorizontalPlan], Engine]) -> World:
    plan = HorizontalPlan.from_body(body)
    return World(plan=plan, tables=tables, engine=engine(plan))


def threshold(plan: HorizontalPlan) -> Engine:
    """The plan's own engine."""
    return plan.new_engine()
