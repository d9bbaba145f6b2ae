"""The chain's process: opens the ledger of a folder, serves it until SIGTERM, leaves it whole.

The folder holds `genesis.json`, `ledger.db` and `lock`. Ready is said in one JSON line on standard output.
"""

import fcntl
import json
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.chain import genesis, startup
from sandbox.chain.errors import ImportUnfinished, LedgerBroken, LedgerBusy
from sandbox.chain.evm import Ledger, same_genesis
from sandbox.chain.methods import Methods
from sandbox.chain.rpc import Server
from sandbox.chain.sequencer import Sequencer
from sandbox.chain.store import Store

GENESIS, LEDGER, LOCK = "genesis.json", "ledger.db", "lock"
IMPORT = "import"  # setting of a ledger whose import is not finished: the export's SHA-256
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
    """The ledger of a folder, for this process alone.

    Raises GenesisInvalid, GenesisDiffers, LedgerBusy, LedgerLocked, LedgerFull, ImportUnfinished, and LedgerBroken for
    what is no ledger.
    """
    begun = genesis.read(folder / GENESIS)
    with locked(folder):
        with broken():
            store = Store(folder / LEDGER)
        try:
            with broken():
                refuse_unfinished(store, folder)
                ledger = Ledger(store, begun)
            yield ledger
        finally:
            store.close()


@contextmanager
def reading(folder: Path) -> Iterator[tuple[Store, genesis.Genesis]]:
    """The ledger's file for reading, while another process may serve it. Raises GenesisDiffers, LedgerBroken."""
    begun = genesis.read(folder / GENESIS)
    with broken():
        store = Store(folder / LEDGER, read_only=True)
        try:
            refuse_unfinished(store, folder)
            same_genesis(store, begun)
            yield store, begun
        finally:
            store.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder for this process alone. Raises LedgerBusy."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerBusy(folder=str(folder)) from None
        yield


def refuse_unfinished(store: Store, folder: Path) -> None:
    """Raises ImportUnfinished for a ledger that is only partly imported."""
    if begun := store.meta(IMPORT):
        raise ImportUnfinished(folder=str(folder), sha256=begun[:16])


@contextmanager
def broken() -> Iterator[None]:
    """What SQLite says of a damaged file or a failing disk, as LedgerBroken."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise LedgerBroken(why=str(error)) from None


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises what broke the store or the EVM, where something did."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(options.folder) as ledger:
        with broken():
            startup.check(ledger)
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
        with broken():
            raise sequencer.error


def _ready(ledger: Ledger, servers: list[Server]) -> dict[str, Any]:
    return {
        "endpoint": servers[0].endpoint,
        "read_only_endpoint": servers[1].endpoint if len(servers) > 1 else None,
        "chain_id": ledger.genesis.chain_id,
        "genesis": ledger.genesis.digest,
        "head": ledger.head().number,
    }
