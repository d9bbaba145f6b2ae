"""The chain's process: opens the ledger of a folder, serves it until SIGTERM, leaves it whole.

The folder holds `genesis.json`, `ledger.db` and `lock`. Ready is said in one JSON line on standard output.
"""

import fcntl
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.chain import genesis
from sandbox.chain.errors import LedgerBusy
from sandbox.chain.evm import Ledger
from sandbox.chain.methods import Methods
from sandbox.chain.rpc import Server
from sandbox.chain.sequencer import Sequencer
from sandbox.chain.store import Store

GENESIS, LEDGER, LOCK = "genesis.json", "ledger.db", "lock"
STOP_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """read_only_port: None for no second listener; port 0: any free one."""

    folder: Path
    port: int
    read_only_port: int | None = None
    test_clock: bool = False
    batch_seconds: float = 0.0


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """The ledger of a folder, for this process alone. Raises GenesisInvalid, GenesisDiffers, LedgerBusy."""
    begun = genesis.read(folder / GENESIS)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerBusy(folder=str(folder)) from None
        store = Store(folder / LEDGER)
        try:
            yield Ledger(store, begun)
        finally:
            store.close()


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises what broke the store or the EVM, where something did."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(options.folder) as ledger:
        sequencer = Sequencer(ledger, time.time, options.batch_seconds, stop.set)  # noqa: TID251  (this process's root)
        servers = [Server(Methods(sequencer, read_only=False, test_clock=options.test_clock), options.port)]
        if options.read_only_port is not None:
            servers.append(Server(Methods(sequencer, read_only=True, test_clock=False), options.read_only_port))
        print(json.dumps(_ready(ledger, servers)), flush=True)
        while not stop.is_set():
            stop.wait(STOP_POLL_SECONDS)  # a signal may reach another thread, and then only a timed wait comes back
        for server in servers:
            server.stop()
        sequencer.stop()
    if sequencer.error is not None:
        raise sequencer.error


def _ready(ledger: Ledger, servers: list[Server]) -> dict[str, Any]:
    return {
        "endpoint": servers[0].endpoint,
        "read_only_endpoint": servers[1].endpoint if len(servers) > 1 else None,
        "chain_id": ledger.genesis.chain_id,
        "genesis": ledger.genesis.digest,
        "head": ledger.head().number,
    }
