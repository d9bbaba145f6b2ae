"""`make bench NAME=chain`: the sandbox chain as its own process: writing, reading, running again in both EVMs.

The peer for reading is web3.py on the same endpoint (a tool of the tests, not of the product). A settlement is propose,
finalise and markPaid of one statement; every block is on disk (synchronous=FULL) before its sender is answered.
The clock is moved before each run: otherwise the bound on how far block times run ahead of it would be measured.
"""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from web3 import HTTPProvider, Web3

from benchmarks import chain_ledger
from benchmarks.harness import Row, in_turn, publish, row, seconds
from contracts import artifacts, settlement
from contracts.chain import Chain
from contracts.keys import Address
from contracts.settlement import Anchor
from sandbox.chain import genesis
from sandbox.chain.evm import Ledger
from sandbox.chain.replay import replay
from sandbox.chain.serve import LEDGER, opened
from sandbox.chain.store import Store
from sandbox.chain.verify import verify
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEYS, PARTNER, process, wishes

RUNS = 5
COUNT = 100
SENDERS = 4


def run() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genesis.write(GENESIS, folder / "genesis.json")
        with process(folder, "--test-clock") as (_, ready), Chain(ready["endpoint"], CHAIN_ID) as chain:
            rows = [_plain(chain), _parallel(chain, ready["endpoint"]), *_reads(chain, ready["endpoint"])]
            rows.append(_settlements(chain))
        rows += _again(folder)
    found, targets = chain_ledger.measure()
    publish("chain", [*rows, *found], targets)


def _runs(chain: Chain, count: int) -> Iterator[int]:
    for number in range(count):
        chain.advance_time(1)
        yield number


def _plain(chain: Chain) -> Row:
    """One sender, one transaction a block."""
    key = KEYS["submitter"]

    def once() -> None:
        for raw in wishes(COUNT, first=chain.nonce(key.address), key=key):
            chain.send(raw)

    values = [COUNT / seconds(once) for _ in _runs(chain, RUNS)]
    return row(
        "plain transactions, one sender", "sandbox chain", COUNT, values, metric="sealed", unit="tx/s", parties=1
    )


def _parallel(chain: Chain, endpoint: str) -> Row:
    """Several senders whose transactions share blocks."""
    keys = [KEYS[role] for role in ("submitter", "broker", "arbiter", "referrer")]
    assert len(keys) == SENDERS

    def send(place: int, first: int) -> None:
        with Chain(endpoint, CHAIN_ID) as own:
            for raw in wishes(COUNT, first=first, key=keys[place]):
                own.send(raw)

    def once() -> float:
        nonces = [chain.nonce(key.address) for key in keys]
        threads = [threading.Thread(target=send, args=(i, nonce)) for i, nonce in enumerate(nonces)]

        def together() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return SENDERS * COUNT / seconds(together)

    values = [once() for _ in _runs(chain, RUNS)]
    case = f"plain transactions, {SENDERS} senders"
    return row(case, "sandbox chain", SENDERS * COUNT, values, metric="sealed", unit="tx/s", parties=SENDERS)


def _deploy(chain: Chain) -> Address:
    broker, arbiter, governor = KEYS["broker"], KEYS["arbiter"], KEYS["governor"]
    arguments = settlement.constructor_data(governor.address, broker.address, arbiter.address, 1)
    contract = chain.deploy(artifacts.load("Settlement"), arguments, governor.secret)
    chain.execute(contract, settlement.set_signer_data(PARTNER, KEYS["referrer"].address), governor.secret)
    return contract


def _reads(chain: Chain, endpoint: str) -> list[Row]:
    contract = _deploy(chain)
    web3 = Web3(HTTPProvider(endpoint))
    bound = web3.eth.contract(address=contract, abi=artifacts.load("Settlement").abi)  # type: ignore[call-overload]

    def ours() -> float:
        return seconds(lambda: [settlement.last(chain, contract, PARTNER) for _ in range(COUNT)]) / COUNT / 2

    def theirs() -> float:
        return seconds(lambda: [bound.functions.last(PARTNER).call() for _ in range(COUNT)]) / COUNT

    case = "one contract read"
    return [
        row(case, engine, COUNT, values, metric="call", unit="s", parties=1)
        for engine, values in zip(("contracts.chain", "web3.py"), in_turn(RUNS, ours, theirs), strict=True)
    ]


def _settlements(chain: Chain) -> Row:
    """Propose, finalise and pay, signatures included, each rehearsed, sent and waited for."""
    contract = _deploy(chain)
    broker, referrer, submitter = KEYS["broker"], KEYS["referrer"], KEYS["submitter"]

    def once() -> None:
        count, previous = settlement.last(chain, contract, PARTNER)
        anchor = Anchor(
            partner=PARTNER,
            sequence=count + 1,
            period=202610,
            previous=previous,
            root=os.urandom(32),
            lines=1_000,
            total=os.urandom(32),
            terms=os.urandom(32),
        )
        signatures = [settlement.sign(anchor, CHAIN_ID, contract, key.secret) for key in (broker, referrer)]
        statement = settlement.digest(anchor, CHAIN_ID, contract)
        chain.execute(contract, settlement.propose_data(anchor, *signatures), submitter.secret)
        chain.execute(contract, settlement.finalise_data(statement), submitter.secret)
        chain.execute(contract, settlement.mark_paid_data(statement, os.urandom(32)), broker.secret)

    values = [seconds(once) for _ in _runs(chain, RUNS * 4)]
    return row("one settlement, 3 transactions", "sandbox chain", 1, values, metric="wall", unit="s", parties=2)


def _again(folder: Path) -> list[Row]:
    """The same ledger opened, run again by the first EVM, and by the second."""
    with opened(folder) as ledger:
        blocks = [chain_ledger.block(ledger, number) for number in range(1, ledger.head().number + 1)]
        count = sum(len(block.transactions) for block in blocks)
        again = [count / seconds(lambda: verify(ledger))]
        second = [count / seconds(lambda: replay(GENESIS, blocks)) for _ in range(RUNS)]

    def reopen() -> None:
        store = Store(folder / LEDGER)
        Ledger(store, GENESIS)
        store.close()

    opening = [seconds(reopen) for _ in range(RUNS)]
    size = [(folder / LEDGER).stat().st_size / count / 1_000]
    return [
        row("open a ledger", "sandbox chain", count, opening, metric="wall", unit="s", parties=1),
        row("run again, every row compared", "py-evm", count, again, metric="verified", unit="tx/s", parties=1),
        row("run again, status and logs", "revm", count, second, metric="replayed", unit="tx/s", parties=1),
        row("a ledger on disk", "sandbox chain", count, size, metric="a transaction", unit="kB", parties=1),
    ]
