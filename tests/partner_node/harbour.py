"""A hub and real nodes in this process, over real mutual TLS on 127.0.0.1."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hub import founding
from hub import settings as hub_settings
from hub import wiring as hub_wiring
from partner_node import enrolment, wiring
from partner_node import settings as node_settings
from partner_node.settings import Settings
from tests.hub.ledgers import lay
from tests.partner_node.alliance import resident_id

ALLIANCE = "harbour"
WAIT_SECONDS = 20.0


@dataclass
class Harbour:
    """A founded hub that can be started and stopped, on ports that stay the same."""

    folder: Path
    settings: hub_settings.Settings
    running: hub_wiring.Running | None = None

    def start(self) -> None:
        self.running = hub_wiring.start(self.settings)
        # the next start takes the same ports, as a real hub does
        self.settings = replace(self.settings, listen=self.running.listen, enrol=self.running.enrol)

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()
            self.running = None

    def command(self, name: str, **head: Any) -> Any:
        """A command of the first operator, without the detour over a certificate."""
        from hub.identity import Caller
        from hub.store import Transaction

        assert self.running is not None
        services = self.running.services
        command = hub_wiring.COMMANDS[name]
        caller = Caller(name="oda", role="operator", fingerprint="")
        assert command.run is not None

        def body(tx: Transaction) -> Any:
            assert command.run is not None
            return command.run(services, tx, caller, services.clock(), head).head

        return services.store.run(name, body)


@dataclass
class LiveNode:
    """A node whose link and worker run on threads."""

    parts: wiring.Parts
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for target in (self.parts.link.run, self.parts.worker.run):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self.threads.append(thread)

    def stop(self) -> None:
        self.parts.link.close()
        self.parts.worker.close()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        self.parts.node.database.close()

    def command(self, name: str, **arguments: Any) -> Any:
        result = self.parts.commands[name]({**arguments, "command": name})
        self.parts.worker.wake()
        return result


@contextmanager
def harbour(folder: Path) -> Iterator[Harbour]:
    """A founded and running hub."""
    plan = founding.Plan(
        folder=folder / "hub", alliance=ALLIANCE, listen="127.0.0.1:0", enrol="127.0.0.1:0", operator="oda"
    )
    lay(plan.folder)
    made = founding.found(plan, hub_wiring.system_clock, hub_wiring.system_entropy)
    hub = Harbour(folder=folder, settings=hub_settings.load(made.settings))
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def prepare(hub: Harbour, partner: str) -> Settings:
    """A node's settings, keys and certificate."""
    home = hub.folder / partner
    home.mkdir()
    (home / "clients.csv").write_text(f"client_id,SPEND\n{resident_id(17)},1\n")
    (home / "ca.pem").write_bytes((hub.settings.keys / "ca.pem").read_bytes())
    (home / "node.toml").write_text(
        f'[node]\npartner = "{partner}"\nname = "{partner.title()}"\ndir = "."\nhub = "{hub.settings.listen}"\n'
        f'enrol = "{hub.settings.enrol}"\nauthority = "ca.pem"\n[[asset]]\nname = "clients"\nsource = "clients.csv"\n'
        f'id_column = "client_id"\nid_type = "resident_id"\npurposes = ["profile"]\n[asset.columns]\nSPEND = "C2"\n'
    )
    settings = node_settings.load(home / "node.toml")
    enrolment.init(settings, os.urandom)
    enrolment.enrol(settings, hub.command("invite", partner=partner)["invite"])
    return settings


@contextmanager
def live(settings: Settings) -> Iterator[LiveNode]:
    """A running node."""
    node = LiveNode(wiring.build(settings))
    node.start()
    try:
        yield node
    finally:
        node.stop()


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition; its value."""
    end = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return value
