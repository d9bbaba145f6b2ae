"""The alliance in a box: chain, hub and partner nodes as processes of their own on 127.0.0.1, set up with the commands
that people use.

    world = World(folder, partners)   nothing happens yet
    world.found()                     folders, keys, settings, the chain with its settlement contract
    world.start()                     hub and nodes; enrolment, people's certificates, pinned cards
    world.stop()                      everything, also after a failure

Each institution has its own folder below `folder`; what passes between them by hand in real life (CA file, invites,
cards) lies in `handed/`.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from contracts import keys
from sandbox.processes import Done, Entropy, Process, free_ports, port_open, run

ALLIANCE = "open-service-alliance"
CHAIN_ID = 20261
WINDOW_SECONDS = 259_200
PURPOSE = "joint-profile"
PEOPLE = {"data": "dana", "finance": "fei", "controller": "cai", "regulator": "rui"}
ROLES = {"controller": "finance"}  # the second person of finance, who releases what the first one closed
BROKER = "broker"
OPERATOR = "oda"
PARALLEL = 4
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A member institution and the one table it offers. `classes`: every column of the source but the id."""

    id: str
    name: str
    source: Path
    classes: Mapping[str, str] = field(default_factory=dict)
    purposes: tuple[str, ...] = (PURPOSE,)
    id_column: str = "client_id"
    id_type: str = "resident_id"
    matching: Mapping[str, Any] = field(default_factory=dict)  # its rules of matching, where not the defaults


class World:
    """One alliance in a folder. Its path must be short: node sockets have a length limit of 100 bytes."""

    def __init__(
        self, folder: Path, partners: Sequence[Partner], *, entropy: Entropy, broker: str | None = BROKER
    ) -> None:
        """broker: the partner whose chain account signs for the payer; None: an alliance that settles nothing and has
        no chain."""
        self.folder, self.broker = folder, broker
        self.people = ("data",) if broker is None else tuple(PEOPLE)  # the roles that have something to do
        self.partners = {partner.id: partner for partner in partners}
        self._entropy = entropy
        self.chain_port, self.read_port, self.hub_port, self.enrol_port = free_ports(4)
        self.contract = ""
        self.genesis = ""
        self.invites: dict[str, str] = {}  # used ones: worth nothing any more, which the demo shows
        self.processes: dict[str, Process] = {}
        if broker is not None:
            ports = ["--port", str(self.chain_port), "--read-only-port", str(self.read_port)]
            self._add(
                "chain",
                ["sandbox", "chain", "serve", "--dir", str(self.chain_folder), *ports, "--test-clock"],
                lambda: port_open(self.chain_port) and port_open(self.read_port),
            )
        self._add("hub", ["hub", "serve", "--config", str(self.hub_config)], (self.hub_folder / "hub.ready").exists)
        for name in self.partners:
            socket = self.node_folder(name) / "node.sock"
            self._add(name, ["partner", "run", "--config", str(self.node_config(name))], socket.exists)

    # --- places --------------------------------------------------------------------------------------------------

    @property
    def chain_folder(self) -> Path:
        return self.folder / "chain"

    @property
    def hub_folder(self) -> Path:
        return self.folder / "hub"

    @property
    def hub_config(self) -> Path:
        return self.hub_folder / "hub.toml"

    @property
    def handed(self) -> Path:
        """What people carry between institutions: the CA's certificate, cards, parts of trust.toml."""
        return self.folder / "handed"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def endpoint(self) -> str:
        """The chain's JSON-RPC address."""
        return f"http://127.0.0.1:{self.chain_port}"

    def node_folder(self, partner: str) -> Path:
        return self.folder / partner

    def node_config(self, partner: str) -> Path:
        return self.node_folder(partner) / "node.toml"

    def person_config(self, role: str) -> Path:
        if role == "operator":
            return self.hub_folder / "people" / OPERATOR / "person.toml"
        return self.folder / "people" / PEOPLE[role] / "person.toml"

    # --- people's commands ---------------------------------------------------------------------------------------

    def partner(self, partner: str, *arguments: str) -> Done:
        """A command of a partner's own people on its node."""
        return run("partner", *arguments, "--config", str(self.node_config(partner)), "--json")

    def person(self, role: str, *arguments: str) -> Done:
        """A command of a person of the broker or the regulator, under that person's certificate."""
        return run(*arguments, "--config", str(self.person_config(role)), "--json")

    def chain(self, *arguments: str) -> Done:
        """A command of the chain's operator against its endpoint."""
        name, *rest = arguments
        return run("sandbox", "chain", name, "--endpoint", self.endpoint, "--chain-id", str(CHAIN_ID), *rest)

    def each(self, do: Callable[[str], Made]) -> dict[str, Made]:
        """Do something for every partner, several at once."""
        return parallel(self.partners, do)

    def relayed_bytes(self) -> int:
        """What hub and nodes have asked and answered each other so far, as the hub's own books count it."""
        books = self.hub_folder / "hub.db"
        if not books.exists():
            return 0
        with closing(sqlite3.connect(f"file:{books}?mode=ro", uri=True)) as connection:
            (tasks,) = connection.execute("select coalesce(sum(bytes_down + bytes_up), 0) from task").fetchone()
            (reports,) = connection.execute("select coalesce(sum(length(document)), 0) from report").fetchone()
        return int(tasks) + int(reports)

    # --- life ----------------------------------------------------------------------------------------------------

    def found(self) -> None:
        """Hub and nodes with their keys and settings; the chain, if there is to be one, with its contract."""
        self.handed.mkdir(parents=True, exist_ok=True)
        founded = self._found_hub()
        for partner in self.partners.values():
            self._write_node_config(partner)
        cards = self.each(lambda name: self.partner(name, "init").check().json["card"]["body"])
        if self.broker is not None:
            accounts = {name: str(card["chain"]) for name, card in cards.items()}
            self._found_chain(str(founded["submitter"]), accounts, accounts[self.broker])
            for partner in self.partners.values():
                self._write_node_config(partner)

    def _found_chain(self, submitter: str, accounts: Mapping[str, str], payer: str) -> None:
        """The running chain, which admits hub, governor, arbiter and partners, with the settlement contract on it."""
        governor, arbiter = (self._new_key(name) for name in ("governor", "arbiter"))
        senders = [submitter, governor, arbiter, *accounts.values()]
        options = [option for sender in senders for option in ("--sender", sender)]
        made = run("sandbox", "chain", "init", "--dir", str(self.chain_folder), "--chain-id", str(CHAIN_ID), *options)
        self.genesis = made.check().json["genesis"]
        self.processes["chain"].start()
        self.processes["chain"].wait_ready()
        deployed = self.chain(
            "deploy-settlement", "--key", str(self.key_file("governor")), "--broker", payer,
            "--arbiter", arbiter, "--window-seconds", str(WINDOW_SECONDS),
        )  # fmt: skip
        self.contract = deployed.check().json["contract"]
        self.hub_config.write_text(
            self.hub_config.read_text().replace('contract = ""', f'contract = "{self.contract}"')
        )

    def start(self) -> None:
        """Hub and nodes: enrol each node, give people their certificates, pin the partners' cards."""
        self.processes["hub"].start()
        self.processes["hub"].wait_ready()
        self.each(self.enrol)
        parallel(self.people, self.certify)
        self.start_nodes()
        self.each(self.pin_cards)

    def enrol(self, partner: str) -> None:
        """The operator's invite, handed over, used once by the node."""
        invite = self.person("operator", "hub", "invite", partner).check().json["invite"]
        self.partner(partner, "enrol", invite).check()
        self.invites[partner] = invite
        self.partner(partner, "card", "--out", str(self.handed / f"card-{partner}.json")).check()

    def certify(self, role: str) -> None:
        """A person's key and certificate for one role, issued by the operator."""
        folder = self.person_config(role).parent
        certified = ROLES.get(role, role)
        self.person("operator", "hub", "certify", PEOPLE[role], certified, "--out", str(folder)).check()

    def pin_cards(self, partner: str) -> None:
        """A node's people pin the cards of all others, which they checked over another channel."""
        others = [str(self.handed / f"card-{other}.json") for other in self.partners if other != partner]
        self.partner(partner, "pin", *others).check()

    def start_nodes(self, names: Iterable[str] | None = None) -> None:
        """Start nodes and wait until each answers on its socket."""
        chosen = list(self.partners if names is None else names)
        for name in chosen:
            self.processes[name].start()
        for name in chosen:
            self.processes[name].wait_ready()

    def stop(self) -> None:
        """Stop every process: nodes, then hub, then chain, so that none complains about another's absence."""
        for name in reversed(self.processes):
            self.processes[name].stop()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _add(self, name: str, arguments: Sequence[str], ready: Callable[[], bool]) -> None:
        self.processes[name] = Process(name, arguments, self.logs / f"{name}.log", ready)

    def _found_hub(self) -> dict[str, Any]:
        chain = [] if self.broker is None else ["--chain-endpoint", self.endpoint, "--chain-id", str(CHAIN_ID)]
        done = run(
            "hub", "init", "--dir", str(self.hub_folder), "--alliance", ALLIANCE, "--operator", OPERATOR,
            "--listen", f"127.0.0.1:{self.hub_port}", "--enrol", f"127.0.0.1:{self.enrol_port}", *chain, "--json",
        )  # fmt: skip
        founded: dict[str, Any] = done.check().json
        (self.handed / "ca.pem").write_bytes((self.hub_folder / "keys" / "ca.pem").read_bytes())
        return founded

    def _write_node_config(self, partner: Partner) -> None:
        folder = self.node_folder(partner.id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        node = {
            "partner": partner.id, "name": partner.name, "dir": ".", "hub": f"127.0.0.1:{self.hub_port}",
            "enrol": f"127.0.0.1:{self.enrol_port}", "authority": str(self.handed / "ca.pem"),
        }  # fmt: skip
        chain = {"chain_id": CHAIN_ID, "contract": self.contract, "genesis": self.genesis}
        asset = {
            "name": "clients", "source": str(partner.source), "id_column": partner.id_column,
            "id_type": partner.id_type, "purposes": list(partner.purposes),
        }  # fmt: skip
        tables: list[tuple[str, Mapping[str, Any]]] = [
            ("[node]", node),
            *([] if self.broker is None else [("[chain]", chain)]),
            *([("[matching]", partner.matching)] if partner.matching else []),
            ("[[asset]]", asset),
            ("[asset.columns]", partner.classes),
        ]
        self.node_config(partner.id).write_text("\n".join(_toml(name, values) for name, values in tables))

    def _new_key(self, name: str) -> str:
        made = keys.generate(self._entropy)
        path = self.key_file(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made.write(path)
        return made.address

    def key_file(self, name: str) -> Path:
        return self.folder / "identities" / f"{name}.key"


def parallel(items: Iterable[Item], do: Callable[[Item], Made]) -> dict[Item, Made]:
    """The results by item, several at once; the first failure is raised when all have ended."""
    listed = list(items)
    with ThreadPoolExecutor(PARALLEL) as pool:
        return dict(zip(listed, pool.map(do, listed), strict=True))


def consents(client_id: str, percent: int = 97) -> bool:
    """Whether a client of the demo has consented: SHA-256("consent" ‖ 0x00 ‖ id) mod 100 below `percent`."""
    digest = hashlib.sha256(b"consent\x00" + client_id.encode()).digest()
    return int.from_bytes(digest, "big") % 100 < percent


def _toml(table: str, values: Mapping[str, Any]) -> str:
    # JSON strings, numbers and lists of strings are TOML values (TOML 1.0)
    return "\n".join([table, *(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items())]) + "\n"
