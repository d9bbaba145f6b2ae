"""A hub of one's own making: it asks real nodes whatever it likes, request by request."""

from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from ecowire.documents import Body
from ecowire.stream import FAILURE, Message
from federation import grid, records
from federation.grid import EVERYBODY, made_message
from federation.horizontal import client, flower, wire
from federation.horizontal.wire import Dealing, Dealt, Upload
from federation.models.network import Parameters
from federation.plan_horizontal import HorizontalPlan
from federation.records import metadata
from federation.tabular import Scaling
from partner_node.round_keys import RoundKeys
from privacy.aggregation import Slot
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode


class Refused(Exception):
    """A node's refusal, by its code."""


class RawHub:
    """One approved plan at real nodes. Every call is one request under an id of its own."""

    def __init__(self, nodes: list[TestNode], body: Body) -> None:
        self.plan = HorizontalPlan.from_body(body)
        self.nodes = {node.partner: node for node in nodes}
        self._approvals = alliance.approve(nodes, alliance.propose(nodes, "train", body))
        self._asked = 0

    def ask(self, name: str, kind: str, content: RecordDict, group: str) -> Any:
        self._asked += 1
        identifier = f"request-{self._asked}"
        known = metadata(run=1, source=1, target=EVERYBODY, message_id="", kind=kind, group=group)
        head: Any = {"run": self.plan.digest, "round": 1, "phase": "x", "approvals": self._approvals}
        body = records.encode(made_message(known, content=content))
        reply = self.nodes[name].ask(Message(id=identifier, kind="flower", head=head, body=body))
        if reply.kind == FAILURE:
            raise Refused(str(reply.head["code"]))
        message = grid.decode(reply.body)
        if message.has_error():
            raise Refused(grid.read_failure(message)["code"])
        return message.content

    def deal(self, name: str, *slots: str) -> Dealt:
        content = self.ask(name, "query.deal", flower.body_content(wire.encode_deal(slots)), "0.0.deal")
        return wire.decode_dealt(bytes(content["body"]["body"]))

    def hold(self, holder: str, dealer: str, dealt: Dealt) -> tuple[wire.Complaint, ...]:
        place = self.plan.party(holder).partner
        dealing = Dealing(dealer=self.plan.party(dealer).partner, publics=dealt.publics, sealed=dealt.sealed[place])
        content = self.ask(holder, "query.hold", flower.body_content(wire.encode_hold([dealing])), "0.0.hold")
        return wire.decode_held(bytes(content["body"]["body"]))

    def upload(self, name: str, kind: str, slot: str, content: RecordDict) -> tuple[Upload, Any]:
        round_, attempt = map(int, slot.split("."))
        wanted = flower.input_content(Slot(job=self.plan.digest, round=round_, attempt=attempt), content)
        return flower.read_upload(self.ask(name, kind, wanted, f"{slot}.{flower.phase_of(kind)}"))

    def try_upload(self, name: str, kind: str, slot: str, content: RecordDict) -> str:
        """Have a key made and ask; the code of the refusal, "" for none."""
        try:
            self.deal(name, slot)
            self.upload(name, kind, slot, content)
        except Refused as refused:
            return str(refused)
        return ""

    def input(self, parameters: Parameters, scaling: Scaling, **numbers: int) -> RecordDict:
        """numbers: by their names with _ for -."""
        values = {name.replace("_", "-"): number for name, number in numbers.items()}
        config = ConfigRecord({client.SCALING: client.pack_scaling(scaling), **values})
        return RecordDict({client.ARRAYS: client.array_record(self.plan, parameters), client.CONFIG: config})

    def kept(self, name: str) -> dict[str, bytes]:
        return dict(RoundKeys(self.nodes[name].parts.node.database, self.plan.digest))

    def files(self, name: str) -> dict[Path, bytes]:
        folder = self.nodes[name].parts.node.settings.results
        return {path: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def weights(value: float) -> Parameters:
    """Of the logistic plan of tests.partner_node.horizontal."""
    return np.full((4, 1), value), np.full(1, value)


def scaling(mean: float = 45.0) -> Scaling:
    return Scaling(means=np.array([mean, 10.0, 0.0, 0.0]), deviations=np.array([10.0, 1.0, 1.0, 1.0]))
