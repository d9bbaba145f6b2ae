"""Nodes of banks with the same columns and different clients, and plans over them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flwr.app import Context, RecordDict

from ecowire.documents import Body
from federation.grid import AllianceGrid
from federation.horizontal.checkpoint import Checkpoint
from federation.horizontal.coordinator import Event
from federation.horizontal.identity import KeyVerifier
from federation.horizontal.results import RunResult
from federation.horizontal.server import Ports, make_server_app
from federation.plan_horizontal import HorizontalPlan
from privacy.canonical import Value
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import DirectChannel

BANKS = ("bank-a", "bank-b", "bank-c", "bank-d")
CLIENTS = 80  # of each bank
COLUMNS = ("AGE", "INCOME", "REGION", "BOUGHT")
REGIONS = ("north", "south")
BUDGET = 'privacy_budget = {epsilon = "8", delta_log10 = -6}'


def clients(bank: int) -> range:
    """The numbers (alliance.resident_id) of a bank's clients."""
    return range(bank * CLIENTS, (bank + 1) * CLIENTS)


def table(bank: int) -> str:
    """Columns that a linear model can learn; a few values missing, a few regions that no plan lists."""
    rows = ["client_id," + ",".join(COLUMNS)]
    for number in clients(bank):
        draw = random.Random(number)
        taste = draw.gauss(0, 1)
        age, income = round(45 + 10 * taste + draw.gauss(0, 8), 3), round(20_000 * 2 ** draw.gauss(0, 1), 2)
        region = draw.choice((*REGIONS, *REGIONS, "abroad"))
        bought = int(taste + (region == "south") + draw.gauss(0, 0.7) > 0.4)
        shown = "" if number % 17 == 3 else income
        rows.append(f"{alliance.resident_id(number)},{age},{shown},{region},{bought}")
    return "\n".join(rows) + "\n"


def make_banks(folder: Path, names: tuple[str, ...] = BANKS, *, budget: bool = False) -> list[TestNode]:
    """Enrolled nodes with consent of all clients, who know each other's cards."""
    clock, authority = MovableClock(), TestAuthority()
    nodes = []
    for i, name in enumerate(names):
        classes = dict.fromkeys(COLUMNS, "C2")
        node = alliance.make_node(folder, name, table(i), columns=classes, clock=clock, authority=authority)
        if budget:
            node = with_budget(node)
        alliance.consent(node, clients(i))
        nodes.append(node)
    alliance.pin_all(nodes)
    return nodes


def with_budget(node: TestNode, line: str = BUDGET) -> TestNode:
    """The node restarted with another budget in node.toml; "" for none."""
    path = node.folder / "node.toml"
    lines = [text for text in path.read_text().splitlines() if not text.startswith("privacy_budget")]
    place = lines.index("[asset.columns]")
    path.write_text("\n".join([*lines[:place], line, *lines[place:]]) + "\n")
    return node.reopened()


def plan_body(nodes: list[TestNode], **changes: Any) -> Body:
    """A logistic plan of two rounds with one colluder."""
    parties: list[Any] = []
    for node in nodes:
        card = node.card().body
        keys = {name: card[name] for name in ("signing", "sealing", "chain")}
        parties.append(
            {"partner": node.partner, "role": "trainer", "asset": "clients", "id_column": "client_id", **keys}
        )
    return {
        "kind": "train",
        "version": 1,
        "shape": "horizontal",
        "model": "logistic",
        "parties": parties,
        "label": {"column": "BOUGHT", "classes": ["0", "1"]},
        "columns": [
            {"name": "AGE", "kind": "number", "transform": "none"},
            {"name": "INCOME", "kind": "number", "transform": "signed_log"},
            {"name": "REGION", "kind": "category", "levels": [*REGIONS]},
        ],
        "standardise": "federated",
        "strategy": {"name": "fedavg"},
        "training": {"rounds": 2, "steps": 3, "batch": 0, "rate_micro": 1_000_000, "l2_micro": 100},
        "split": {"test_ppm": 250_000, "validation_ppm": 150_000, "salt": "11" * 16},
        "clip_milli": 10_000,
        "examples_max": 200,
        "colluders": 1 if len(nodes) > 2 else 0,
        "deadline_seconds": 20,
        "attempts": 2,
        "prepare_rounds": 2,
        "minimum_rows": 20,
        "engine": {"name": "threshold"},
        "purpose": alliance.PURPOSE,
        "expires": "2026-10-08T00:00:00+00:00",
        "nonce": "00" * 16,
        "disclosure": ["the parties learn the joint model"],
        "valid_days": 30,
        **changes,
    }


def noisy(nodes: list[TestNode], **changes: Any) -> Body:
    """The same with differential privacy: two rounds at multiplier 2."""
    privacy = {"noise_multiplier_milli": 2_000, "row_clip_milli": 1_000, "delta_log10": -6}
    training = {"rounds": 2, "steps": 1, "batch": 0, "rate_micro": 1_000_000, "l2_micro": 100}
    return plan_body(nodes, **{"standardise": "none", "training": training, "privacy": privacy, **changes})


@dataclass
class Run:
    """One run led from here as the hub leads it: the real ServerApp over a channel that asks the nodes directly."""

    nodes: list[TestNode]
    body: Body
    channel: DirectChannel = field(init=False)
    plan: HorizontalPlan = field(init=False)
    saved: list[tuple[bytes, list[dict[str, Value]]]] = field(default_factory=list)
    decided: dict[str, Value] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    before: Callable[[Event], None] = lambda event: None  # called at each phase of the run

    def __post_init__(self) -> None:
        self.plan = HorizontalPlan.from_body(self.body)
        job = alliance.propose(self.nodes, "train", self.body)
        self.channel = DirectChannel(self.nodes, alliance.approve(self.nodes, job))

    @property
    def job(self) -> str:
        return self.plan.digest

    def lead(self) -> RunResult:
        """Lead it to its end, or go on with it. Raises QuorumMissing, RoundVoid."""
        found: list[RunResult] = []
        cards = {node.partner: bytes.fromhex(str(node.card().body["signing"])) for node in self.nodes}
        ports = Ports(
            verifier=KeyVerifier(cards),
            load=lambda: Checkpoint.decode(*self.saved[-1]) if self.saved else None,
            save=self._save,
            decide=self._decide,
            on_event=self._event,
            on_finished=found.append,
            clock=lambda: 0.0,
            patience_seconds=0.0,
        )
        app = make_server_app(self.plan, self.plan.new_engine(), ports)
        context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
        app(grid=AllianceGrid(self.channel, self.job), context=context)
        return found[0]

    def node(self, name: str) -> TestNode:
        """The node as it is now, after restarts."""
        return self.channel.by_name[name]

    def _save(self, checkpoint: Checkpoint) -> None:
        self.saved.append((checkpoint.encode(), [facts.to_value() for facts in checkpoint.history]))

    def _decide(self, name: str, make: Callable[[], Value]) -> Value:
        if name not in self.decided:
            self.decided[name] = make()
        return self.decided[name]

    def _event(self, event: Event) -> None:
        self.events.append(event)
        self.before(event)
