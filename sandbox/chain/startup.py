"""What a chain checks of its ledger before it serves: cheap, and about the end of the ledger, where a crash would show.

`verify` checks everything; this checks that the newest blocks hold together, that they begin with this genesis, and
that the EVM can read the state it is to go on from.
"""

from contracts import blocks
from contracts.errors import BlockInvalid
from contracts.keys import raw_address
from sandbox.chain import archive
from sandbox.chain.errors import LedgerAltered
from sandbox.chain.evm import Ledger
from sandbox.chain.sequencer import clock_offset

BLOCKS = 128


def check(ledger: Ledger) -> None:
    """Raises LedgerAltered, which names the block; LedgerBroken for a clock that is no number."""
    clock_offset(ledger.store)
    store, head = ledger.store, ledger.head()
    if store.count("block") != head.number + 1:
        raise LedgerAltered(what="row (one before it is missing)", number=head.number)
    first, parent = max(0, head.number - BLOCKS + 1), None
    for number in range(first, head.number + 1):
        row = store.block(number)
        assert row is not None, "the rows are counted"
        try:
            parent = blocks.check(archive.stored(store, number), parent)
        except BlockInvalid as failure:
            raise LedgerAltered(what=f"rows ({failure.facts['why']})", number=number) from None
        if (parent.hash, int(parent.time.timestamp())) != (row.hash, row.timestamp):
            raise LedgerAltered(what="hash or time", number=number)
    origin = store.block(0)
    assert origin is not None, "the rows are counted"
    if blocks.decode_header(origin.header).extra_data.hex() != ledger.genesis.digest:
        raise LedgerAltered(what="genesis digest", number=0)
    if not ledger.readable([raw_address(sender) for sender in sorted(ledger.genesis.senders)]):
        raise LedgerAltered(what="state data", number=head.number)
