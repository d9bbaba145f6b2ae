"""The thread that takes disputes to the contract as they come, and as their nodes sign: a window ends by the chain's
clock, and whoever objects must not depend on somebody's next `settle`.

What it does is a function of the database, so at its start it goes on with what a crash or an absent chain left.
"""

import logging
import queue
import threading

from hub import settlement, settlement_chain
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

    def _run(self) -> None:
        settlement.resume_at_start(self._services)
        waiting: set[str] = set()
        while True:
            try:
                statement = self._queue.get(timeout=RETRY_SECONDS if waiting else None)
            except queue.Empty:
                statement = ""
            if statement is None:
                return
            waiting = {one for one in waiting | {statement} - {""} if not self._carried(one)}

    def _carried(self, statement: str) -> bool:
        """Whether nothing more is to be done now; False where a passing reason was in the way."""
        try:
            settlement_chain.hand_in_dispute(self._services, statement)
        except DisputeNotSigned as failure:
            log.info("%s", failure)  # the node's answer is a signal of its own
        except Failure as failure:
            log.warning("the dispute of statement %s is not at the contract: %s", statement[:16], failure)
            return failure.kind is not Kind.UNAVAILABLE and not isinstance(failure, ChainStepUnderWay)
        except Exception:
            # a bug here must not stop the others' disputes; nothing is half done
            log.exception("the dispute of statement %s was not handed in", statement[:16])
        return True
