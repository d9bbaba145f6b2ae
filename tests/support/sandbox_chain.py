"""A sandbox chain for tests: in this process behind a real socket, or as a process of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import rlp
from eth_hash.auto import keccak

from contracts import artifacts, settlement, transactions
from contracts.chain import Chain
from contracts.keys import Address, Key, checksum, raw_address
from sandbox import cli
from sandbox.chain import rpc
from sandbox.chain.evm import Ledger
from sandbox.chain.genesis import Genesis
from sandbox.chain.methods import Methods
from sandbox.chain.sequencer import Sequencer
from sandbox.chain.store import Store

rpc.STOP_POLL_SECONDS = 0.005  # a server's end waits for it, and every test of a chain ends two
ROOT = Path(__file__).resolve().parents[2]
CHAIN_ID = 20261
START = 1_790_000_000
WINDOW = 1_000
ROLES = ("governor", "broker", "arbiter", "referrer", "submitter")
KEYS = {role: Key(bytes([0x31 + i]) * 32) for i, role in enumerate(ROLES)}
OUTSIDER = Key(b"\x77" * 32)
PARTNER = settlement.partner_identifier("referrer", b"salt")
GENESIS = Genesis(
    chain_id=CHAIN_ID,
    timestamp=START,
    gas_limit=60_000_000,
    senders=frozenset(key.address for key in KEYS.values()),
    alloc=((KEYS["governor"].address, 10**18),),
)

# A contract of a few bytes: with a word of data it keeps the word in slot 0 and logs it as a topic, without it answers.
KEEPER = bytes.fromhex("60178060095f395ff33615600e575f35805f555f5fa1005b5f545f5260205ff3")


def keeper_story(words: Sequence[int], key: Key = KEYS["submitter"], first: int = 0) -> tuple[Address, list[bytes]]:
    """The keeper's address, and raw transactions that deploy it and give it each word, by one account."""
    raws = [_keeper_call(None, KEEPER, first, key)]
    contract = checksum(keccak(rlp.encode([raw_address(key.address), first]))[12:])
    for i, word in enumerate(words):
        raws.append(_keeper_call(contract, word.to_bytes(32, "big"), first + 1 + i, key))
    return contract, raws


def _keeper_call(to: Address | None, data: bytes, nonce: int, key: Key) -> bytes:
    fields = {"nonce": nonce, "chain_id": CHAIN_ID, "gas": 200_000, "gas_price": 0, "key": key}
    return transactions.sign(to=to, data=data, **fields)[0]  # type: ignore[arg-type]


class Local:
    """A served chain in this process. `now` is what its sequencer takes for the clock; it can be set."""

    def __init__(
        self,
        genesis: Genesis = GENESIS,
        *,
        batch_seconds: float = 0.0,
        test_clock: bool = True,
        path: Path | None = None,
        begun: Store | None = None,
    ) -> None:
        """path: of a ledger on disk. begun: a ledger of this genesis to go on with; by default both begin in memory."""
        self.now = float(genesis.timestamp + 100)
        self.ledger = Ledger(begun or Store(path), genesis)
        self.sequencer = Sequencer(self.ledger, lambda: self.now, batch_seconds)
        self.server = rpc.Server(Methods(self.sequencer, read_only=False, test_clock=test_clock), 0)
        self.reader = rpc.Server(Methods(self.sequencer, read_only=True, test_clock=False), 0)
        self.chain = Chain(self.server.endpoint, genesis.chain_id)

    def close(self) -> None:
        self.chain.close()
        self.server.stop()
        self.reader.stop()
        self.sequencer.stop()
        self.ledger.store.close()

    def deploy_settlement(self) -> Address:
        arguments = settlement.constructor_data(
            KEYS["governor"].address, KEYS["broker"].address, KEYS["arbiter"].address, WINDOW
        )
        contract = self.chain.deploy(artifacts.load("Settlement"), arguments, KEYS["governor"].secret)
        data = settlement.set_signer_data(PARTNER, KEYS["referrer"].address)
        self.chain.execute(contract, data, KEYS["governor"].secret)
        return contract


def copied(ledger: Ledger) -> Store:
    """All that a ledger holds, in memory and of its own."""
    made = Store(None)
    with ledger.store.lock:
        ledger.store._connection.backup(made._connection)
    return made


@contextmanager
def local(genesis: Genesis = GENESIS, **options: object) -> Iterator[Local]:
    served = Local(genesis, **options)  # type: ignore[arg-type]
    try:
        yield served
    finally:
        served.close()


def command(*arguments: str) -> list[str]:
    """The command line of `ecohub sandbox chain …` in a fresh process."""
    return [sys.executable, "-P", "-c", "from sandbox.cli import main; main()", "sandbox", "chain", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "proto")))}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One command to its end: `serve` in a process of its own, the others through the root command in this one."""
    if arguments[0] == "serve":
        return subprocess.run(command(*arguments), capture_output=True, text=True, env=environment(), timeout=60)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = cli.run(["sandbox", "chain", *arguments])
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    """A chain as a process of its own; (process, its ready line). It is stopped at the end, whatever happened."""
    arguments = command("serve", "--dir", str(folder), "--port", "0", *options)
    served = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        line = served.stdout.readline() if served.stdout else ""
        if not line:
            raise AssertionError(served.communicate(timeout=10)[1])
        yield served, json.loads(line)
    finally:
        if served.poll() is None:
            served.send_signal(signal.SIGTERM)
        served.communicate(timeout=20)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition that another process makes true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def wishes(count: int, first: int = 0, key: Key = KEYS["submitter"], chain: Chain | None = None) -> Sequence[bytes]:
    """Signed plain transactions of one account with consecutive nonces."""
    signer = chain or Chain("http://127.0.0.1:1", CHAIN_ID)
    return [signer.sign(key.address, b"", first + i, key.secret)[0] for i in range(count)]
