"""Ledgers of full blocks, made without a socket: their bytes, and how long each EVM takes to run them again.

Of settlements each round proposes, finalises and pays a statement of every partner, each of these steps one block.
Every block's state is kept, and a statement's few words lie scattered over the contract's trie.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.harness import Row, Target, row, seconds
from contracts import artifacts, settlement, transactions
from contracts.keys import Address, Key, checksum
from contracts.settlement import Anchor
from sandbox.chain import admission, archive, genesis
from sandbox.chain.evm import Ledger
from sandbox.chain.replay import ReplayBlock, replay
from sandbox.chain.restore import restore
from sandbox.chain.serve import GENESIS as GENESIS_FILE
from sandbox.chain.serve import LEDGER, opened, reading
from sandbox.chain.verify import verify
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEEPER, KEYS, WINDOW, keeper_story

PARTNERS, ROUNDS, RUNS = 25, 134, 3
COUNT, BLOCK = 10_000, 50
LINES = 1_000  # of a statement
GAS, GAS_DEPLOY = 1_000_000, 6_000_000
BYTES_MAX, REVM_SECONDS_MAX = 2_000.0, 5.0


@dataclass(slots=True)
class Month:
    """A ledger that settles: who sends next with which nonce, and each partner's newest statement."""

    ledger: Ledger
    contract: Address
    nonces: dict[str, int]
    newest: dict[bytes, bytes]

    def block(self, role: str, calls: list[bytes], to: Address | None = None, after: int = 1, gas: int = GAS) -> None:
        """Seal calls of one account as one block."""
        raws = []
        for data in calls:
            nonce = self.nonces[role] = self.nonces.get(role, -1) + 1
            raw, _ = transactions.sign(
                to=to, data=data, nonce=nonce, chain_id=CHAIN_ID, gas=gas, gas_price=0, key=KEYS[role]
            )
            raws.append(raw)
        batch = [(raw, admission.admit(raw, GENESIS)) for raw in raws]
        assert not any(self.ledger.seal(batch, self.ledger.head().timestamp + after))
        assert all(tx.status for tx in self.ledger.store.txs(self.ledger.head().number)), "a step failed"


def measure() -> tuple[list[Row], list[Target]]:
    """Rows and targets of two ledgers: small calls of few accounts, and settlements."""
    rows: list[Row] = []
    targets: list[Target] = []
    for case, make in (
        (f"small calls, {BLOCK} a block", _small),
        (f"settlements, {PARTNERS} a block", partial(settled, rounds=ROUNDS)),
    ):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            making = seconds(partial(make, folder / "made"))
            found, judged = _measure(case, folder, making)
        rows += found
        targets += judged
    return rows, targets


def _measure(case: str, folder: Path, making: float) -> tuple[list[Row], list[Target]]:
    made, file = folder / "made", folder / "chain.jsonl"
    with opened(made) as ledger:
        count = ledger.store.count("tx")
        blocks = [block(ledger, number) for number in range(1, ledger.head().number + 1)]
        first = [seconds(lambda: verify(ledger))]
    second = [seconds(lambda: replay(GENESIS, blocks)) for _ in range(RUNS)]
    with reading(made) as (store, begun):
        out = [seconds(lambda: archive.write(store, begun, file))]
    back = [seconds(lambda: restore(file, folder / "again"))]
    size, exported = (made / LEDGER).stat().st_size / count, file.stat().st_size / count
    figures = [
        ("sealed, durable", "py-evm", [making]),
        ("verified, every row compared", "py-evm + revm", first),
        ("run again, status and logs", "revm", second),
        ("exported", "sandbox chain", out),
        ("imported, run again", "py-evm", back),
    ]
    rows = [row(case, engine, count, v, metric=metric, unit="s", parties=1) for metric, engine, v in figures]
    for metric, value in (("a transaction on disk", size), ("a transaction exported", exported)):
        rows.append(row(case, "sandbox chain", count, [value], metric=metric, unit="B", parties=1))
    scaled = min(second) / count * 10_000
    return rows, [
        Target(what=f"bytes of a transaction on disk: {case}", figure=size, limit=BYTES_MAX, unit="B"),
        Target(what=f"10,000 transactions run again in revm: {case}", figure=scaled, limit=REVM_SECONDS_MAX, unit="s"),
    ]


def _small(folder: Path) -> None:
    """Transfers of nothing, and words kept in a contract of a few bytes, in turn."""
    folder.mkdir()
    genesis.write(GENESIS, folder / GENESIS_FILE)
    with opened(folder) as ledger:
        month = Month(ledger, KEYS["broker"].address, {}, {})
        contract, _ = keeper_story([])
        month.block("submitter", [KEEPER])
        for number in range(COUNT // BLOCK):
            if number % 2:
                month.block("broker", [b""] * BLOCK, KEYS["broker"].address, gas=GAS // 10)
            else:
                words = [_word(f"{number} {i}") for i in range(BLOCK)]
                month.block("submitter", words, contract, gas=GAS // 10)


def settled(folder: Path, rounds: int) -> None:
    """Statements of every partner, one after another."""
    folder.mkdir()
    genesis.write(GENESIS, folder / GENESIS_FILE)
    signers = {_word(f"partner {i}"): Key(_word(f"signer {i}")) for i in range(PARTNERS)}
    with opened(folder) as ledger:
        month = Month(ledger, KEYS["governor"].address, {}, dict.fromkeys(signers, settlement.ZERO))
        governor, broker, arbiter = (KEYS[role].address for role in ("governor", "broker", "arbiter"))
        arguments = settlement.constructor_data(governor, broker, arbiter, WINDOW)
        month.block("governor", [artifacts.load("Settlement").bytecode + arguments], gas=GAS_DEPLOY)
        contract = ledger.store.txs(1)[0].contract
        assert contract is not None, "a deployment has an address"
        month.contract = checksum(contract)
        entries = [settlement.set_signer_data(partner, key.address) for partner, key in signers.items()]
        month.block("governor", entries, month.contract)
        for number in range(1, rounds + 1):
            _round(month, signers, number)


def _round(month: Month, signers: dict[bytes, Key], number: int) -> None:
    anchors = [_anchor(partner, number, month.newest[partner]) for partner in signers]
    proposals = []
    for anchor in anchors:
        parties = KEYS["broker"], signers[anchor.partner]
        both = [settlement.sign(anchor, CHAIN_ID, month.contract, key.secret) for key in parties]
        proposals.append(settlement.propose_data(anchor, *both))
        month.newest[anchor.partner] = settlement.digest(anchor, CHAIN_ID, month.contract)
    statements = [month.newest[partner] for partner in signers]
    month.block("submitter", proposals, month.contract)
    month.block("submitter", [settlement.finalise_data(one) for one in statements], month.contract, after=WINDOW)
    paid = [settlement.mark_paid_data(one, _word(f"payout {one.hex()}")) for one in statements]
    month.block("broker", paid, month.contract)


def _anchor(partner: bytes, number: int, previous: bytes) -> Anchor:
    def word(what: str) -> bytes:
        return _word(f"{what} {partner.hex()} {number}")

    return Anchor(
        partner=partner, sequence=number, period=202610, previous=previous, root=word("root"), lines=LINES,
        total=word("total"), terms=word("terms"),
    )  # fmt: skip


def _word(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def block(ledger: Ledger, number: int) -> ReplayBlock:
    """What a sealed block was made of."""
    found = ledger.store.block(number)
    assert found is not None, "it is sealed"
    raws = tuple(tx.raw for tx in ledger.store.txs(number))
    return ReplayBlock(number=number, time=datetime.fromtimestamp(found.timestamp, UTC), transactions=raws)
