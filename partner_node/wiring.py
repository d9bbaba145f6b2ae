"""Builds a node from its settings and runs it: the one place that reads the clock and the system's entropy."""

import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from ecowire import memory
from partner_node import enrolment, executors, keys, upkeep
from partner_node.approvals import Approvals
from partner_node.audit import Witness
from partner_node.catalogue import Catalogue
from partner_node.classes import Classes
from partner_node.consent import ConsentDesk
from partner_node.contributions import Contributions
from partner_node.database import Database
from partner_node.executors import Executor
from partner_node.explain import Explanations
from partner_node.horizontal import Horizontal
from partner_node.labels import Labels
from partner_node.local import LocalServer
from partner_node.match_epoch_office import EpochOffice
from partner_node.match_office import MatchOffice
from partner_node.matching import Matching
from partner_node.node import Command, Commands, Handler, Handlers, Node
from partner_node.office import Office
from partner_node.outbound import Outbound, Tap
from partner_node.outbox import Outbox
from partner_node.plans import Plans
from partner_node.releases import Releases
from partner_node.result_files import ResultFiles
from partner_node.rpc import Deliver, HubLink, Identity
from partner_node.score_rows import ScoreRows
from partner_node.scores import Scores
from partner_node.settings import Settings
from partner_node.settlement import Settlement
from partner_node.times import Clock, Entropy
from partner_node.training import Training
from partner_node.vault import Vault
from partner_node.worker import Worker

log = logging.getLogger(__name__)
V = TypeVar("V", Handler, Command)
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the root's one clock


def entropy(count: int) -> bytes:
    return os.urandom(count)  # noqa: TID251 - the root's one entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A node that is built and not yet running."""

    node: Node
    handlers: Handlers
    commands: Commands
    worker: Worker
    link: HubLink
    results: ResultFiles
    executor: Executor


def build(settings: Settings, *, tap: Tap | None = None, now: Clock = clock, random: Entropy = entropy) -> Parts:
    """All parts of a node. Raises NotEnrolled, and the failures of key files and database."""
    own = keys.load(settings.keys)
    member = enrolment.membership(settings)
    node = Node(
        settings=settings,
        keys=own,
        database=Database(settings.database),
        outbound=Outbound(signing=own.signing, tap=tap),
        clock=now,
        entropy=random,
        alliance=member.alliance,
        log_key=member.log_key,
    )
    desk = ConsentDesk(settings=settings, database=node.database, secret=random(32), client_key=own.consent)
    vault = Vault(settings.assets, desk.gate)
    witness, jobs = Witness(node), Approvals(node)
    executor = executors.make(settings.executor)
    matching = Matching(node, jobs, desk, vault, executor)
    results = ResultFiles(node.database, settings.results)
    releases = Releases(node, results.place)
    plans = Plans(node, Training(node, jobs, desk, vault, results), Horizontal(node, jobs, desk, vault, results))
    catalogue, settlement = Catalogue(node, desk, vault), Settlement(node, desk.gate)
    jobs.reviews.update({"match": matching.review, "train": plans.review, "agreement": settlement.review})
    jobs.admissions["match"] = matching.admit
    jobs.remarks["train"] = plans.remarks
    contributions = Contributions(node, results)
    scores = Scores(node, desk.gate, ScoreRows(node, desk, vault), results, wake=lambda: worker.wake())
    handlers = join(
        jobs.handlers(),
        matching.handlers(),
        plans.handlers(),
        contributions.handlers(),
        scores.handlers(),
        witness.handlers(),
        settlement.handlers(),
        releases.handlers(),
    )

    worker: Worker
    link = HubLink(
        _identity(settings, own),
        Deliver(
            welcome=lambda: worker.welcome(),
            message=lambda message: worker.deliver(message),
            ack=lambda reply_id: worker.ack(reply_id),
        ),
        random,
    )
    worker = Worker(node, handlers, Outbox(node, witness), send=link.send, acknowledge=link.ack)
    office = Office(node, desk, lambda: link.state)
    commands = join(
        jobs.commands(),
        matching.commands(),
        MatchOffice(node).commands(),
        EpochOffice(node).commands(),
        witness.commands(),
        catalogue.commands(),
        settlement.commands(),
        contributions.commands(),
        scores.commands(),
        Classes(node, desk, vault, results).commands(),
        Explanations(node, desk, vault, results).commands(),
        Labels(node, desk, vault, results).commands(),
        office.commands(),
    )
    return Parts(
        node=node, handlers=handlers, commands=commands, worker=worker, link=link, results=results, executor=executor
    )


def _identity(settings: Settings, own: keys.Keys) -> Identity:
    return Identity(
        address=settings.hub,
        authority=enrolment.read_authority(settings),
        key=own.tls,
        certificate=keys.certificate(settings.keys),
        partner=settings.partner,
    )


def join(*tables: Mapping[str, V]) -> dict[str, V]:
    """One table of several; a name that two modules claim is a bug."""
    joined: dict[str, V] = {}
    for table in tables:
        assert not joined.keys() & table.keys(), f"claimed twice: {joined.keys() & table.keys()}"
        joined.update(table)
    return joined


def run(settings: Settings, tap: Tap | None = None) -> None:
    """Run the node until SIGTERM or SIGINT: the local socket, the link to the hub, and the worker on this thread."""
    memory.few_arenas()
    parts = build(settings, tap=tap)
    stop = threading.Event()
    server = LocalServer(settings.socket, parts.commands, parts.node.entropy, parts.worker.wake)
    # the handler interrupts the worker's own thread, so it may only do what is reentrant; the rest follows below
    previous = {number: signal.signal(number, lambda *_: parts.worker.close()) for number in STOP_SIGNALS}
    threads = [
        threading.Thread(target=server.serve_forever, name="local", daemon=True),
        threading.Thread(target=parts.link.run, name="link", daemon=True),
        threading.Thread(
            target=upkeep.run,
            args=(parts.node.database, parts.results, parts.node.clock, stop),
            name="upkeep",
            daemon=True,
        ),
    ]
    for thread in threads:
        thread.start()
    log.info("node of %s: socket %s, hub %s", settings.partner, settings.socket, settings.hub)
    try:
        parts.worker.run()
    finally:
        stop.set()
        parts.link.close()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join(5)
        parts.executor.close()
        parts.node.database.close()
        for number, handler in previous.items():
            signal.signal(number, handler)
