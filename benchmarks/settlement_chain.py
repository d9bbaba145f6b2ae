"""The contract's part of a month: gas of a statement's three calls, and bytes of a ledger whose blocks they share."""

import tempfile
from pathlib import Path

from benchmarks.chain_ledger import BYTES_MAX, LINES, PARTNERS, settled
from benchmarks.harness import Row, Target, row, seconds
from sandbox.chain.serve import LEDGER, opened

ROUNDS = 12  # of statements of every partner
CALLS = ("propose", "finalise", "markPaid")
GAS_A_LINE_MAX = 260.0


def measure() -> tuple[list[Row], list[Target]]:
    """Rows and targets. A partner's first statement costs more; the last round is what every later one costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "made"
        making = seconds(lambda: settled(folder, ROUNDS))
        with opened(folder) as ledger:
            count, head = ledger.store.count("tx"), ledger.head().number
            blocks = [ledger.store.txs(number) for number in range(head - len(CALLS) + 1, head + 1)]
            gas = [max(tx.gas_used for tx in block) for block in blocks]
        size = (folder / LEDGER).stat().st_size / count
    case, statements = f"statements of {LINES:,} lines, {PARTNERS} a block", PARTNERS * ROUNDS
    each = [
        row(case, "Settlement", LINES, [float(used)], metric=f"gas of {call}", unit="gas")
        for call, used in zip(CALLS, gas, strict=True)
    ]
    rows = [
        *each,
        row(case, "Settlement", LINES, [sum(gas) / LINES], metric="gas a line", unit="gas"),
        row(case, "sandbox chain", count, [size], metric="a transaction on disk", unit="B"),
        row(case, "sandbox chain", count, [making / statements], metric="a statement's three calls, durable", unit="s"),
    ]
    return rows, [
        Target(what=f"gas a line at {LINES:,} lines", figure=sum(gas) / LINES, limit=GAS_A_LINE_MAX, unit="gas"),
        Target(what="chain ledger, a transaction batched", figure=size, limit=BYTES_MAX, unit="B"),
    ]
