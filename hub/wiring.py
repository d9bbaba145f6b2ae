"""Builds a hub from its settings and runs it: the one place of this room that reads the clock and entropy."""

import json
import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType

import grpc

from contracts import keys as chain_keys
from contracts.chain import Chain
from ecowire import memory
from hub import (
    audit,
    authority,
    certificates,
    checkpoint_anchor,
    evidence,
    jobs,
    matching,
    model_stability,
    models,
    partners,
    scoring,
    settlement,
    witness,
)
from hub.audit import Log
from hub.checkpoint_anchor import Anchoring
from hub.dispatch import AnswerHandler
from hub.engine import Engine
from hub.proposals import Advance
from hub.rpc import servers
from hub.rpc.switch import Switch
from hub.runs import Runs
from hub.services import Clock, Command, Entropy, NodeHandler, Services
from hub.settings import Settings
from hub.settlement_courier import Courier
from hub.store import Store
from hub.waiters import Waiters
from privacy import seal
from privacy.errors import Failure, Kind

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
STOP_POLL_SECONDS = 0.2

COMMANDS: Mapping[str, Command] = {
    **partners.COMMANDS,
    **certificates.COMMANDS,
    **jobs.COMMANDS,
    **witness.COMMANDS,
    **evidence.COMMANDS,
    **models.COMMANDS,
    **settlement.COMMANDS,
}
NODE_REQUESTS: Mapping[str, NodeHandler] = {
    **partners.NODE_REQUESTS,
    **jobs.NODE_REQUESTS,
    **matching.NODE_REQUESTS,
    **scoring.NODE_REQUESTS,
    **settlement.NODE_REQUESTS,
}
ANSWERS: Mapping[str, AnswerHandler] = {
    **matching.ANSWERS,
    **model_stability.ANSWERS,
    **scoring.ANSWERS,
    **witness.ANSWERS,
    **settlement.ANSWERS,
}


class KeysMissing(Failure):
    code = "HUB_KEYS_MISSING"
    kind = Kind.INVALID
    en = "the hub's key file {file} can't be used: {why}"
    zh = "枢纽密钥文件 {file} 不可用：{why}"


class ChainNotConfigured(Failure):
    code = "CHAIN_NOT_CONFIGURED"
    kind = Kind.UNAVAILABLE
    en = "no chain is configured: set [chain] endpoint and chain_id in {file}"
    zh = "未配置链：请在 {file} 的 [chain] 中设置 endpoint 与 chain_id"


def system_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a root reads the clock


def system_entropy(count: int) -> bytes:
    return os.urandom(count)  # noqa: TID251 - a root reads entropy


@dataclass(frozen=True, slots=True)
class Running:
    """A hub that serves. `stop` ends it in order: streams, calls, runs, engine, database."""

    services: Services
    listen: str  # the address it listens on, with the port it got
    enrol: str
    engine: Engine
    courier: Courier
    switch: Switch
    runs: Runs
    anchoring: Anchoring
    listeners: tuple[grpc.Server, grpc.Server]

    def stop(self) -> None:
        self.services.waiters.close()
        self.switch.stop()
        for server in self.listeners:
            server.stop(STOP_SECONDS).wait(STOP_SECONDS)
        self.runs.stop()
        self.anchoring.stop()
        self.courier.stop()
        self.engine.stop()
        self.services.store.close()


def start(settings: Settings, clock: Clock = system_clock, entropy: Entropy = system_entropy) -> Running:
    """Check the database, open both ports, resume what was under way.

    Raises SettingsInvalid, KeysMissing, StoreOutdated, StoreDamaged, LogDamaged, PortTaken, and what an anchor that
    can't be used raises (`checkpoint_anchor.check_at_start`).
    """
    store = Store(settings.database)
    store.check()
    store.read("audit.check", audit.check)
    switch: Switch | None = None

    def connected() -> frozenset[str]:
        return switch.connected() if switch else frozenset()

    services = Services(
        settings=settings,
        store=store,
        log=Log(settings.alliance, load_log_key(settings)),
        authority=load_authority(settings),
        clock=clock,
        entropy=entropy,
        connected=connected,
        waiters=Waiters(store),
        chain=lambda: open_chain(settings),
        submitter=lambda: chain_keys.read(settings.keys / "submitter.key"),
    )
    checkpoint_anchor.check_at_start(services)
    switch = Switch(services, NODE_REQUESTS, ANSWERS)
    runs = Runs(services)
    anchoring = Anchoring(services)
    kinds: dict[str, Advance] = {"match": matching.advance, "train": runs.advance}
    engine, courier = Engine(services, kinds), Courier(services)
    key, certificate = _key(settings, "hub.key"), _key(settings, "hub.pem")
    alliance, listen = servers.alliance(services, switch, COMMANDS, entropy(8).hex(), key, certificate)
    enrolment, enrol = servers.enrolment(services, key, certificate)
    engine.start()
    courier.start()
    anchoring.start()
    alliance.start()
    enrolment.start()
    return Running(services, listen, enrol, engine, courier, switch, runs, anchoring, (alliance, enrolment))


def serve(settings: Settings) -> None:
    """Run a hub until SIGTERM or SIGINT. Writes <dir>/hub.ready with its addresses once it serves."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    (settings.dir / "hub.ready").unlink(missing_ok=True)  # a hub that was killed leaves one behind
    memory.few_arenas()
    running = start(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    ready = {"listen": running.listen, "enrol": running.enrol, "pid": os.getpid()}
    path = settings.dir / "hub.ready"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(ready) + "\n")
    partial.replace(path)  # whole or not at all: others wait for this file
    log.info("hub of %s listens on %s, enrolment on %s", settings.alliance, running.listen, running.enrol)
    try:
        while not stop.is_set():
            stop.wait(STOP_POLL_SECONDS)  # a signal may reach another thread, and then only a timed wait comes back
    finally:
        path.unlink(missing_ok=True)
        running.stop()
        log.info("hub stopped")


def open_chain(settings: Settings) -> Chain:
    """The configured chain. Raises ChainNotConfigured."""
    if not settings.chain.endpoint or not settings.chain.chain_id:
        raise ChainNotConfigured(file=settings.file.name)
    found = settings.chain
    return Chain(
        found.endpoint,
        found.chain_id,
        gas_price=found.gas_price,
        confirmations=found.confirmations,
        receipt_seconds=found.receipt_seconds,
    )


def load_authority(settings: Settings) -> authority.Authority:
    return authority.load(_key(settings, "ca.key"), _key(settings, "ca.pem"))


def load_log_key(settings: Settings) -> seal.SigningKey:
    """The log's Ed25519 key: 64 hex digits in keys/log.key."""
    try:
        return seal.SigningKey(bytes.fromhex(_key(settings, "log.key").decode().strip()))
    except (UnicodeDecodeError, ValueError):
        raise KeysMissing(file="log.key", why="it does not hold 64 hex digits") from None


def _key(settings: Settings, name: str) -> bytes:
    try:
        return (settings.keys / name).read_bytes()
    except OSError as error:
        raise KeysMissing(file=name, why=error.strerror or "it can't be read") from None
