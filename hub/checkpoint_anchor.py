"""Checkpoints of the audit log in the contract that `[chain] anchor` names, handed in by the hub itself.

Every `anchor_seconds` the contract is asked what it holds. Where the log has grown since, the hub signs it as it
stands, asks the nodes to co-sign, and hands size and root in by the outbox that settlement uses: bytes stored before
they are sent, one number after the other, gone on with after a crash. So a record is anchored within that time as long
as the chain answers. While it does not, nothing waits for it but the next look; the hub's log and `ecohub hub status`
say since when.

No leaf records an anchoring: it would itself have to be anchored.
"""

import logging
import threading
from contextlib import closing
from datetime import datetime

from contracts import anchor as contract_anchor
from contracts.anchor import Checkpoint
from contracts.chain import Chain
from contracts.errors import CodeDiffers
from contracts.keys import Address, parse_address
from hub import settlement_chain, witness
from hub.anchor_errors import AnchoringStopped, AnchorNotOurs, AnchorOfAnother
from hub.audit import AUDIT, LogDamaged
from hub.services import Services
from hub.store import Transaction
from privacy import merkle
from privacy.errors import Failure, Kind

log = logging.getLogger(__name__)

ANCHOR = "anchor"
STOP_SECONDS = 10.0


class Anchoring:
    """The thread that anchors; without `[chain] anchor` there is none."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)

    def start(self) -> None:
        """Look at once, then at every period's end."""
        if self._services.settings.chain.anchor:
            self._thread.start()

    def stop(self) -> None:
        """Finish the look under way and end. What it has sent by then is stored."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                look(self._services)
            except Exception as error:
                # a bug here must neither end the thread nor anything else of the hub, nor look like success
                self._services.anchoring.failure = AnchoringStopped(error=type(error).__name__)
                log.exception("the audit log's checkpoint was not handed in")
            if self._stop.wait(self._services.settings.chain.anchor_seconds):
                return


def check_at_start(services: Services) -> None:
    """Raises AnchorNotOurs, AnchorOfAnother, LogDamaged, MalformedAddress or WrongChain where the hub must not anchor.

    A chain that does not answer is no reason not to serve: the same is asked again before anything is handed in.
    """
    if not services.settings.chain.anchor:
        return
    try:
        with closing(services.chain()) as chain:
            held(services, chain)
    except Failure as failure:
        if failure.kind is not Kind.UNAVAILABLE:
            raise
        log.warning("the anchor was not checked, and is as soon as the chain answers: %s", failure)


def look(services: Services) -> None:
    """One look, with its end noted: what fails is logged once, with the time since when records wait."""
    watch = services.anchoring
    before = watch.failure
    try:
        watch.size = bring_up(services)
        watch.failure = None
    except Failure as failure:
        watch.failure = failure
        if before is None or before.code != failure.code:
            contract = services.settings.chain.anchor
            waits = services.store.read("anchor.view", lambda tx: watch.view(tx, contract))["since"]
            log.warning("the audit log is not anchored since %s: %s", waits or "now, no record waits yet", failure)
        return
    if before is not None:
        log.info("the audit log is anchored again, at size %d", watch.size)


def bring_up(services: Services) -> int:
    """Hand in the log as it stands, unless the contract has it; gives the size that is anchored now, 0 for none.

    What was decided before and has no outcome is finished first. Raises what `held` and the outbox raise.
    """
    with closing(services.chain()) as chain:
        known = held(services, chain)
        outbox = settlement_chain.outbox_of(services, chain)
        if outbox.resume():
            known = held(services, chain)
        made = services.store.run("anchor.checkpoint", lambda tx: _due(services, tx, services.clock(), known))
        if made is None:
            return known.size if known else 0
        data = contract_anchor.anchor_data(_origin(services), made)
        outbox.submit(ANCHOR, (AUDIT, made.size), _contract(services), data, _nothing_more)
        log.info("the audit log is anchored at size %d", made.size)
        return made.size


def held(services: Services, chain: Chain) -> Checkpoint | None:
    """The newest checkpoint that the contract holds, which is one of this log; None before the first.

    Raises AnchorNotOurs, AnchorOfAnother, LogDamaged, MalformedAddress, and what the chain raises.
    """
    contract, origin = _contract(services), _origin(services)
    try:
        governor = contract_anchor.governor(chain, contract)
    except CodeDiffers:
        configured = services.settings
        facts: dict[str, str | int] = {"file": configured.file.name, "chain_id": configured.chain.chain_id}
        raise AnchorNotOurs(contract=contract, **facts) from None
    named, own = contract_anchor.submitter(chain, contract, origin), services.submitter().address
    if named != own:
        line = services.log.origin(AUDIT)
        raise AnchorOfAnother(contract=contract, origin=line, found=named, account=own, governor=governor)
    newest = contract_anchor.newest(chain, contract, origin)
    if newest is not None:
        services.store.read("anchor.held", lambda tx: _check_root(tx, contract, newest))
    return newest


def _due(services: Services, tx: Transaction, now: datetime, known: Checkpoint | None) -> Checkpoint | None:
    """The log's checkpoint as it stands, signed and sent to the nodes; None where all of it is anchored."""
    if tx.evidence.size() <= (known.size if known else 0):
        return None
    made = services.log.checkpoint(tx, now)
    witness.ask_all(tx, now, made)
    return Checkpoint(size=made.size, root=made.root)


def _check_root(tx: Transaction, contract: Address, found: Checkpoint) -> None:
    """Raises LogDamaged unless the log's first records have the anchored root."""
    size = tx.evidence.size()
    if found.size > size:
        raise LogDamaged(why=f"it has {size} leaves, {found.size} are anchored in {contract}")
    known = tx.evidence.checkpoint(AUDIT, found.size)  # compared with the leaves before the hub served
    root = known.root if known else merkle.root(tx.evidence.leaf_hashes(found.size))
    if root != found.root:
        raise LogDamaged(why=f"the first {found.size} leaves have another root than the one anchored in {contract}")


def _contract(services: Services) -> Address:
    return parse_address(services.settings.chain.anchor)


def _origin(services: Services) -> bytes:
    return contract_anchor.origin_hash(services.log.origin(AUDIT))


def _nothing_more(tx: Transaction) -> None:
    """A checkpoint that was signed stays one: nothing can make it unwanted before it is sent."""
