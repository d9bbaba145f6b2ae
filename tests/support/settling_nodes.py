"""A hub, two real nodes and a chain that settle a month, without processes: messages are handed over by `deliver`."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from contracts import settlement as chain_settlement
from contracts.keys import Address
from ecowire.stream import Message
from hub import dispatch, partners, settlement, wiring
from hub.authority import fingerprint
from hub.identity import Caller
from hub.records import Head
from hub.services import Reply
from hub.settings import ChainSettings, load
from partner_node import keys, sessions, store
from partner_node.audit import Witness
from partner_node.grants import Gate
from partner_node.outbox import Outbox
from partner_node.sessions import Aligned
from partner_node.store import Proposal
from privacy import canonical
from privacy.ids import ClientToken, Digest
from privacy.normalise import normalise
from revenue_share import statement
from revenue_share.agreement import Agreement
from sandbox.chain.evm import Ledger
from tests.hub.alliance import ALLIANCE, Hub, hub_without_ports, opened
from tests.hub.settling import AFTER_OCTOBER, CAI, FEI, PAYER, REFERRER
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode, make_node, open_node, resident_id
from tests.support.revenue import agreement_body
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEYS, WINDOW, Local, copied, local
from tests.support.scratch import scratch

ALIGNMENT = Digest("ef" * 32)
CLIENTS = [resident_id(i) for i in range(1, 8)]  # the last two are in no alignment
ALIGNED = 5
PERSON = "somebody"


def token(number: int) -> ClientToken:
    return ClientToken(f"{number:032x}")


@dataclass
class Month:
    """The alliance. `deliver()` hands over everything that waits, in both directions, until nothing does."""

    folder: Path
    hub: Hub
    chain: Local
    contract: Address
    nodes: dict[str, TestNode]
    callers: dict[str, Caller]
    agreement: str = ""

    def deliver(self) -> None:
        for _ in range(20):
            if not sum([self._down(name) + self._up(name) for name in self.nodes]):
                return
        raise AssertionError("the messages do not come to an end")

    def _down(self, name: str) -> int:
        after = count = 0
        while task := self.hub.store.read("test", lambda tx, after=after: tx.tasks.next_open(name, after)[0]):
            after, count = task.number, count + 1
            reply = self.nodes[name].ask(Message(id=task.id, kind=task.kind, head=task.head, body=task.body or b""))
            dispatch.take_answer(self.hub.services, wiring.ANSWERS, self.callers[name], reply)
        return count

    def _up(self, name: str) -> int:
        node = self.nodes[name].parts.node
        outbox = Outbox(node, Witness(node))
        waiting = outbox.pending()
        for request in waiting:
            outbox.settle(dispatch.run_request(self.hub.services, wiring.NODE_REQUESTS, self.callers[name], request))
        return len(waiting)

    def command(self, name: str, by: Caller = FEI, **head: Any) -> Reply:
        found = settlement.COMMANDS[name]
        if found.call is not None:
            return found.call(self.hub.services, by, self.hub.now(), head)
        assert found.run is not None
        reply: Reply = self.hub.run(found.run, by, self.hub.now(), head)
        return reply

    def close(self, period: str = "2026-10") -> str:
        """Close and release."""
        (made,) = self.command("close", period=period).head["statements"]
        self.command("release", by=CAI, statement=made["statement"])
        self.deliver()
        return str(made["statement"])

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def refer(self, *numbers: int, time: str = "2026-10-01T09:00:00+08:00") -> Any:
        """The platform's people report referrals of these clients (1..7)."""
        lines = [f"{CLIENTS[n - 1]},{time}" for n in numbers]
        path = self.file("referrals.csv", "\n".join(["client_id,time", *lines]) + "\n")
        found = self.nodes[REFERRER].command("referrals.report", file=path, agreement=self.agreement)
        self.deliver()
        return found

    def earn(self, *lines: str, period: str = "2026-10") -> Any:
        """The broker's people report events, each "number,time,kind,amount,event_id"."""
        rows = [f"{CLIENTS[int(line.split(',')[0]) - 1]},{line.split(',', 1)[1]}" for line in lines]
        path = self.file("events.csv", "\n".join(["client_id,time,kind,amount,event_id", *rows]) + "\n")
        found = self.nodes[PAYER].command("events.report", file=path, agreement=self.agreement, period=period)
        self.deliver()
        return found

    def october(self) -> str:
        """A small October, closed: clients 1-3 referred, two events: 5 % of 1234.57 and 100.10 is 61.73 + 5.00."""
        self.refer(1, 2, 3)
        self.earn(
            "1,2026-10-05T14:00:00+08:00,commission,1234.57,e1", "2,2026-10-06T14:00:00+08:00,commission,100.10,e2"
        )
        return self.close()

    def confirm(self, identifier: str) -> None:
        for node in self.nodes.values():
            node.command("statement.confirm", statement=identifier, person=PERSON)
        self.deliver()

    def state(self, name: str, identifier: str) -> Any:
        return self.nodes[name].command("statement.show", statement=identifier)

    def propose(self, **changes: Any) -> Digest:
        parties = [{"partner": PAYER, "role": "payer"}, {"partner": REFERRER, "role": "referrer"}]
        terms = {"chain_id": CHAIN_ID, "contract": self.contract, "window_seconds": WINDOW}
        body = agreement_body(parties=parties, settlement=terms, **changes)
        made = self.hub.propose("agreement", body, settlement.KIND.check)
        self.deliver()
        return made.digest

    def activate(self, **changes: Any) -> None:
        """Propose an agreement, let both nodes' people approve it, register the referrer on the chain."""
        self.agreement = self.propose(**changes)
        for node in self.nodes.values():
            node.command("approve", job=self.agreement, person=PERSON)
        self.deliver()
        agreement = Agreement.from_body(self.hub.proposal(self.agreement).body)
        partner = bytes.fromhex(statement.partner_commitment(agreement))
        data = chain_settlement.set_signer_data(partner, self.nodes[REFERRER].parts.node.keys.chain.address)
        self.chain.chain.execute(self.contract, data, KEYS["governor"].secret)


@contextmanager
def month_of_nodes(folder: Path) -> Iterator[Month]:
    """Everything up to an active agreement and a stored alignment of the clients 1 to 5: a copy of one begun once."""
    kept, clock = _template(), MovableClock()
    clock.now = AFTER_OCTOBER
    for name in ("hub", *kept.seen):
        shutil.copytree(kept.folder / name, folder / name)
    with (
        local(kept.ledger.genesis, begun=copied(kept.ledger)) as chain,
        opened(load(folder / "hub" / "hub.toml"), b"month") as hub,
        ExitStack() as databases,
    ):
        hub.clock.now = AFTER_OCTOBER
        _configure(hub, chain, kept.contract)
        nodes = {name: open_node(name, folder / name, clock, [*seen]) for name, seen in kept.seen.items()}
        made = Month(
            folder=folder, hub=hub, chain=chain, contract=kept.contract, nodes=nodes, callers=dict(kept.callers),
            agreement=kept.agreement,
        )  # fmt: skip
        databases.callback(lambda: [node.parts.node.database.close() for node in made.nodes.values()])
        yield made


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """What is copied: the folders of hub and nodes, which nobody has open, and the chain's ledger."""

    folder: Path
    ledger: Ledger
    contract: Address
    callers: dict[str, Caller]
    seen: dict[str, list[tuple[str, bytes]]]  # by node
    agreement: str


@cache
def _template() -> _Begun:
    folder = scratch("month")
    with _begun(folder) as made:
        ledger = Ledger(copied(made.chain.ledger), made.chain.ledger.genesis)
    seen = {name: node.seen for name, node in made.nodes.items()}
    return _Begun(
        folder=folder, ledger=ledger, contract=made.contract, callers=made.callers, seen=seen, agreement=made.agreement
    )


@contextmanager
def _begun(folder: Path) -> Iterator[Month]:
    clock = MovableClock()
    clock.now = AFTER_OCTOBER
    nodes = {name: _node(folder, name, clock) for name in (PAYER, REFERRER)}
    accounts = {node.parts.node.keys.chain.address for node in nodes.values()}
    genesis = replace(GENESIS, senders=GENESIS.senders | accounts)
    with local(genesis) as chain, hub_without_ports(folder) as hub:
        hub.clock.now = AFTER_OCTOBER
        broker = nodes[PAYER].parts.node.keys.chain.address
        arguments = chain_settlement.constructor_data(KEYS["governor"].address, broker, KEYS["arbiter"].address, WINDOW)
        contract = chain.chain.deploy(chain_settlement.artifacts.load("Settlement"), arguments, KEYS["governor"].secret)
        _configure(hub, chain, contract)
        made = Month(folder=folder, hub=hub, chain=chain, contract=contract, nodes={}, callers={})
        for name, node in nodes.items():
            made.callers[name] = _enrol(hub, node)
            made.nodes[name] = _joined(hub, node, contract)
        for name, node in made.nodes.items():
            for other, peer in made.nodes.items():
                if other != name:
                    node.command("pin", card=peer.card().to_value())
        made.activate()
        try:
            yield made
        finally:
            for node in made.nodes.values():
                node.parts.node.database.close()


def _node(folder: Path, name: str, clock: MovableClock) -> TestNode:
    rows = "client_id,AGE\n" + "".join(f"{client},1\n" for client in CLIENTS)
    return make_node(folder, name, rows, columns={"AGE": "C1"}, clock=clock, authority=TestAuthority())


def _configure(hub: Hub, chain: Local, contract: Address) -> None:
    settings = replace(
        hub.settings, chain=ChainSettings(endpoint=chain.server.endpoint, chain_id=CHAIN_ID, contract=contract)
    )
    hub.services = replace(
        hub.services, settings=settings, chain=lambda: chain.chain, submitter=lambda: KEYS["submitter"]
    )


def _enrol(hub: Hub, node: TestNode) -> Caller:
    own = node.parts.node.keys
    request = keys.signing_request(own.tls, node.parts.node.settings.partner)
    made = hub.run(partners.enrol, hub.now(), hub.invite(node.partner), request, node.card().encode())
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(made.certificate)
    return Caller(name=node.partner, role="node", fingerprint=fingerprint(certificate))


def _joined(hub: Hub, node: TestNode, contract: Address) -> TestNode:
    """The node with this alliance's log key and contract in its files; its clients aligned."""
    settings = node.parts.node.settings
    member = {"alliance": ALLIANCE, "log_key": hub.services.log.key.public.hex()}
    (settings.keys / "alliance.json").write_bytes(canonical.encode(member))
    path = node.folder / "node.toml"
    path.write_text(path.read_text().replace("chain_id = 1337", f'chain_id = {CHAIN_ID}\ncontract = "{contract}"'))
    opened = node.reopened()
    own = opened.parts.node
    gate = Gate(secret=b"", client_key=own.keys.consent, database=own.database)
    row_keys = gate.row_keys([normalise("resident_id", client) for client in CLIENTS[:ALIGNED]])
    rows = [Aligned(token=token(i + 1), row_key=key) for i, key in enumerate(row_keys)]
    own.database.write("align", lambda session: sessions.keep_alignment(session, ALIGNMENT, rows))
    body: Any = {"parties": [{"partner": name} for name in (PAYER, REFERRER)], "purpose": "alignment"}
    match = Proposal(digest=ALIGNMENT, kind="match", body=body, received="", expires="2026-10-02T00:00:00+00:00")
    own.database.write("match", lambda session: store.keep_proposal(session, match))
    return opened


def refused(month: Month, name: str) -> list[tuple[str, Head]]:
    """What the hub refused of a node."""
    return [(i, dict(head)) for i, head in month.nodes[name].parts.node.database.read(store.refused_requests)]
