"""The thread that takes disputes to the contract as they come, and as their nodes sign: a window ends by the chain's
clock, and whoever objects must not depend on somebody's next `settle`.

What it does is a function of the database, so at its start it goes on with what a crash or an absent chain left, and as
long as that chain stays away.
"""

import logging
import queue
import threading

from hub import settlement, settlement_chain, settlement_dispute_chain
from hub.chain_errors import ChainStepUnderWay
from hub.services import Services
from hub.settlement_dispute_chain import SIGNAL
from hub.settlement_errors import DisputeNotSigned
from hub.store import Signal
from privacy.errors import Failure, Kind

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
STOP_SECONDS = 5.0


class Courier:
    """Follows the signals of committed transactions, see `settlement_dispute_chain.SIGNAL`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._told: dict[str, str] = {}  # why a dispute waits, as it was logged last
        services.store.subscribe(self._signal)

    def start(self) -> None:
        """Resume what was under way, then follow the signals."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way and end."""
        self._queue.put(None)
        self._thread.join(timeout=STOP_SECONDS)

    def _signal(self, signal: Signal) -> None:
        if signal[0] == SIGNAL:
            self._queue.put(signal[1])

    def resume(self) -> set[str]:
        """Go on with what was under way or waits, once; gives the statements whose disputes still wait."""
        return self._left(self._found())

    def _run(self) -> None:
        waiting = self.resume()
        while True:
            try:
                statement = self._queue.get(timeout=RETRY_SECONDS if waiting else None)
            except queue.Empty:
                statement = ""
            if statement is None:
                return
            waiting = self._left(waiting | {statement} - {""})

    def _left(self, waiting: set[str]) -> set[str]:
        return {one for one in waiting if not self._carried(one)}

    def _found(self) -> set[str]:
        """What waits at the start, after the chain transactions that were under way."""
        try:
            settlement.resume_at_start(self._services)
        except Exception:
            log.exception("chain transactions that were under way were not gone on with")
        try:
            found = self._services.store.read("disputes.waiting", settlement_dispute_chain.all_waiting)
        except Exception:
            log.exception("disputes of before the start wait for the next `settle`")
            return set()
        return {record.id for record in found}

    def _carried(self, statement: str) -> bool:
        """Whether nothing more is to be done now; False where a passing reason was in the way, told once."""
        try:
            settlement_chain.hand_in_dispute(self._services, statement)
        except DisputeNotSigned as failure:
            log.info("%s", failure)  # the node's answer is a signal of its own
        except Failure as failure:
            self._tell(statement, str(failure))
            if failure.kind is Kind.UNAVAILABLE or isinstance(failure, ChainStepUnderWay):
                return False
        except Exception as error:
            # a bug here must not stop the others' disputes, nor a database that was away for a moment this one
            self._tell(statement, type(error).__name__, error)
            return False
        self._told.pop(statement, None)
        return True

    def _tell(self, statement: str, why: str, error: Exception | None = None) -> None:
        if self._told.get(statement) != why:
            self._told[statement] = why
            log.warning("the dispute of statement %s is not at the contract: %s", statement[:16], why, exc_info=error)
