"""How far the audit log is anchored, for `ecohub hub status`: by the contract's word, or the books' until it spoke."""

from dataclasses import dataclass

from contracts.transactions import decode
from hub import times
from hub.records import Head
from hub.store import Transaction
from hub.store_ledger import LedgerStore
from privacy.errors import Failure


@dataclass(slots=True)
class AnchorWatch:
    """What the hub saw of its anchor last. Written by the one thread that anchors, read by all.

    size: the log's newest anchored size by the contract's own word, 0 for none; None as long as it was not asked.
    failure: why the last look came to nothing; None where it did not.
    """

    size: int | None = None
    failure: Failure | None = None

    def view(self, tx: Transaction, contract: str) -> Head:
        """The anchored size, the log's, since when the first record beyond the anchored ones waits, the trouble's code.

        size is None where neither contract nor books have said anything yet.
        """
        anchored = max(self.size or 0, _booked(tx, contract))
        waiting = tx.evidence.leaf(anchored)
        return {
            "contract": contract,
            "size": anchored or self.size,
            "records": tx.evidence.size(),
            "since": times.iso(waiting.time) if waiting else None,
            "failure": self.failure.code if self.failure else None,
        }


def _booked(tx: Transaction, contract: str) -> int:
    """The newest size that the books hold as sealed in this contract; 0 for none."""
    newest = LedgerStore(tx.session).newest_anchored()
    if newest is None or newest.checkpoint is None or decode(newest.raw).to != contract:
        return 0
    return newest.checkpoint[1]
