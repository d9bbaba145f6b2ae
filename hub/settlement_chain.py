"""A statement's way over the chain: propose, wait for the window, finalise; and the books with it.

Before every step the chain is asked what it holds, and it must be what the books say: state, place, accounts, window.
Any difference stops settlement as an integrity failure. The one legal difference is what others do on the chain with a
proposed statement (dispute, resolve, finalise, mark paid, acknowledge), which the books follow: so what the broker
marked paid there gets into no payment file here. The journal entry is posted in the transaction that writes FINAL.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from contracts import settlement as chain_settlement
from contracts.chain import Chain, Receipt
from contracts.errors import TransactionReverted, WindowOpen
from contracts.keys import parse_address
from ecowire import codec_settlement
from hub import payment_chain, settlement_acknowledge, settlement_dispute_chain, times
from hub import settlement_terms as terms
from hub.chain_errors import ChainStepUnderWay
from hub.chain_outbox import ChainOutbox
from hub.identity import Caller
from hub.payment_chain import PAY
from hub.records import Head
from hub.services import Reply, Services, only
from hub.settlement_acknowledge import ACKNOWLEDGE
from hub.settlement_case import Case, agree
from hub.settlement_case import of as case_of
from hub.settlement_close import require_points
from hub.settlement_dispute_chain import DISPUTE
from hub.settlement_errors import (
    ChainDisagrees,
    JournalDiffers,
    SettleDone,
    StatementDisputed,
    StatementDisputedOnChain,
    StatementNotConfirmed,
    StatementNotOpen,
    StatementVoid,
)
from hub.settlement_terms import PROPOSE
from hub.store import Transaction
from hub.store_ledger import Intent, LedgerStore
from hub.store_settlement import StatementRecord
from revenue_share import ledger
from revenue_share.ledger import EntryState
from revenue_share.statement import State

log = logging.getLogger(__name__)

FINALISE = "finalise"
# what the contract logs when a step is sealed, and the state that the books then have
SEALED: dict[str, tuple[str, State]] = {
    PROPOSE: ("Proposed", State.PROPOSED),
    DISPUTE: ("Disputed", State.DISPUTED),
    FINALISE: ("Finalised", State.FINAL),
    PAY: ("Paid", State.PAID),
    ACKNOWLEDGE: ("Acknowledged", State.ACKED),
}
# (books, chain): the arrows by which the books follow what others may do on the chain
FOLLOWED: dict[tuple[str, str], tuple[State, ...]] = {
    ("PROPOSED", "DISPUTED"): (State.DISPUTED,),
    ("PROPOSED", "VOID"): (State.DISPUTED, State.VOID),
    ("PROPOSED", "FINAL"): (State.FINAL,),
    ("DISPUTED", "PROPOSED"): (State.PROPOSED,),
    ("DISPUTED", "VOID"): (State.VOID,),
    ("DISPUTED", "FINAL"): (State.PROPOSED, State.FINAL),
    ("PROPOSED", "PAID"): (State.FINAL, State.PAID),
    ("PROPOSED", "ACKED"): (State.FINAL, State.PAID, State.ACKED),
    ("DISPUTED", "PAID"): (State.PROPOSED, State.FINAL, State.PAID),
    ("DISPUTED", "ACKED"): (State.PROPOSED, State.FINAL, State.PAID, State.ACKED),
    ("FINAL", "PAID"): (State.PAID,),
    ("FINAL", "ACKED"): (State.PAID, State.ACKED),
    ("PAID", "ACKED"): (State.ACKED,),
}


Step = Callable[[Services, ChainOutbox, Chain, Case], object]


def settle(services: Services, caller: Caller, now: datetime, head: Head) -> Reply:
    """Do a statement's next legal chain step and answer with its new state.

    A step that a crash or an unreachable chain interrupted is finished first, and is then the step of this call. Raises
    StatementNotConfirmed, WindowOpen (with its end), SettleDone, StatementNotOpen (disputed), ChainDisagrees, and the
    failures of the chain.
    """
    only(head, "statement")
    found = services.store.read("settle.find", lambda tx: terms.get(tx, head.get("statement")))
    with closing(services.chain()) as chain:
        case = _settle(services, chain, found, _step)
    closes = times.iso(case.record.closes_at) if case.record.closes_at else None
    state: Head = {"statement": found.id, "state": case.record.state, "closes": closes, "anchor": case.record.anchor}
    return Reply(head=state)


def hand_in_dispute(services: Services, statement: str) -> None:
    """Take what a party objects to to the contract, or ask its node for it, and nothing else.

    For the hub's own motor: nobody has to `settle` for a dispute to be in time. Raises what `settle` raises.
    """
    found = services.store.read("dispute.find", lambda tx: terms.get(tx, statement))
    with closing(services.chain()) as chain:
        _settle(services, chain, found, _dispute)


def _settle(services: Services, chain: Chain, found: StatementRecord, step: Step) -> Case:
    services.store.read("settle.released", lambda tx: terms.require_released(tx, found))
    outbox = outbox_of(services, chain)
    outbox.resume()
    case = services.store.read("settle.case", lambda tx: case_of(tx, terms.get(tx, found.id)))
    case = _follow(services, chain, case)
    try:
        agree(chain, case)
        if case.record.state == found.state:
            step(services, outbox, chain, case)
            case = services.store.read("settle.case", lambda tx: case_of(tx, terms.get(tx, found.id)))
            agree(chain, case)
    except (ChainDisagrees, TransactionReverted):
        _told_of_another(services, case)
        raise
    return case


def _told_of_another(services: Services, case: Case) -> None:
    """Raises ChainStepUnderWay where another hub on these books has done a step since they were read.

    Then the chain is further than what was read, or the contract refused the same step a second time.
    """

    def done(tx: Transaction) -> bool:
        moved = terms.get(tx, case.record.id).state != case.record.state
        return moved or bool(LedgerStore(tx.session).intents(statement=case.record.id, state="OPEN"))

    if services.store.read("settle.other", done):
        raise ChainStepUnderWay(kind="settle", subject=case.record.id[:16])


def _step(services: Services, outbox: ChainOutbox, chain: Chain, case: Case) -> None:
    match State(case.record.state):
        case State.DRAFT:
            _propose(outbox, case)
        case State.PROPOSED:
            if not _dispute(services, outbox, chain, case):
                _finalise(outbox, chain, case)
        case State.DISPUTED | State.VOID:
            raise _stopped(case)
        case State.FINAL:
            _mark_paid(services, outbox, chain, case)
        case State.PAID:
            _acknowledge(services, outbox, chain, case)
        case State.ACKED:
            raise SettleDone(statement=case.record.id[:16], state=case.record.state)


def _stopped(case: Case) -> StatementNotOpen:
    """Why a disputed or void statement is not settled, with what to do about it."""
    record = case.record
    if record.state == State.VOID.value:
        kind: type[StatementNotOpen] = StatementVoid
    else:
        kind = StatementDisputedOnChain if case.proposed else StatementDisputed
    facts = {"period": record.period, "agreement": record.agreement[:16], "anchor": record.anchor}
    return kind(statement=record.id[:16], state=record.state, **facts)


def resume(services: Services) -> int:
    """Go on with chain transactions that a crash interrupted; gives how many there were. For the hub's start-up.

    Raises ChainUnavailable and the like where the chain does not answer: then the next `settle` resumes.
    """
    if not unfinished(services):
        return 0
    with closing(services.chain()) as chain:
        return outbox_of(services, chain).resume()


def unfinished(services: Services) -> bool:
    """Whether any chain transaction was decided and has no outcome yet."""
    return bool(services.store.read("chain.open", lambda tx: LedgerStore(tx.session).intents(state="OPEN")))


def outcome(services: Services, tx: Transaction, intent: Intent, receipt: Receipt, now: datetime) -> None:
    """Write what a sealed transaction means: state, leaf, journal, announcement. Raises ChainDisagrees."""
    record = terms.get(tx, intent.statement)
    agreement = terms.active(tx, record.agreement)
    wanted, target = SEALED[intent.kind]
    found = [
        event
        for event in chain_settlement.events(receipt.logs, parse_address(agreement.contract))
        if event.name == wanted and event["digest"] == bytes.fromhex(record.anchor)
    ]
    if len(found) != 1:
        raise ChainDisagrees(statement=record.id[:16], what="event", chain=str(len(found)), books=f"one {wanted}")
    facts: Head = {"transaction": receipt.transaction, "block": receipt.block, "anchor": record.anchor}
    closes_at = None
    if target is State.PROPOSED:
        closes = found[0]["closes"]
        assert isinstance(closes, int), "the ABI gives closes as a number"
        closes_at = datetime.fromtimestamp(closes, UTC)
        facts["closes"] = times.iso(closes_at)
    elif target is State.DISPUTED:
        facts["dispute"] = _hex(found[0]["reason"])
    terms.move(services, tx, record, target, now, facts, closes_at)
    _decide(tx, record, target, now)
    terms.announce(tx, agreement, record, terms.get(tx, record.id).state, now)


def _hex(value: object) -> str:
    assert isinstance(value, bytes), "the ABI gives digests as bytes"
    return value.hex()


def _follow(services: Services, chain: Chain, case: Case) -> Case:
    """Take over what others did on the chain with a proposed statement: a dispute, its resolution, finalising.

    The contract lets the parties, the arbiter or anybody do that; it has checked signatures, windows and callers.
    """
    if not case.proposed:
        return case
    found = chain_settlement.state(chain, case.contract, case.digest)
    way = FOLLOWED.get((case.record.state, found.state), ())
    if not way:
        return case
    now = services.clock()
    closes_at = datetime.fromtimestamp(found.closes, UTC)

    def body(tx: Transaction) -> Case:
        record = terms.get(tx, case.record.id)
        if record.state == case.record.state:
            for target in way:
                closes = closes_at if target is State.PROPOSED else None
                terms.move(services, tx, record, target, now, {"by": "chain"}, closes)
                record = terms.get(tx, record.id)
                _decide(tx, record, target, now)
            terms.announce(tx, case.agreement, record, record.state, now)
        return case_of(tx, record)

    return services.store.run("settle.follow", body)


def _propose(outbox: ChainOutbox, case: Case) -> None:
    _require_confirmed(case)
    payer, referrer = case.agreement.payer.partner, case.agreement.referrer.partner
    anchor = codec_settlement.anchor(case.made)
    data = chain_settlement.propose_data(anchor, case.signatures[payer], case.signatures[referrer])

    def check(tx: Transaction) -> None:
        now = terms.get(tx, case.record.id)
        if now.state != State.DRAFT.value:  # disputed since we looked
            raise StatementNotOpen(statement=now.id[:16], state=now.state)

    outbox.submit(PROPOSE, case.record.id, case.contract, data, check)


def _finalise(outbox: ChainOutbox, chain: Chain, case: Case) -> None:
    closes = chain_settlement.state(chain, case.contract, case.digest).closes
    head_time = chain.head_time()
    if head_time.timestamp() < closes:
        end = times.iso(datetime.fromtimestamp(closes, UTC))
        raise WindowOpen(reason=f"it ends at {end}, the chain's time is {times.iso(head_time)}")

    def check(tx: Transaction) -> None:
        now = terms.get(tx, case.record.id)
        if now.state != State.PROPOSED.value:
            raise StatementNotOpen(statement=now.id[:16], state=now.state)
        _check_entry(tx, now)

    outbox.submit(FINALISE, case.record.id, case.contract, chain_settlement.finalise_data(case.digest), check)


def _dispute(services: Services, outbox: ChainOutbox, chain: Chain, case: Case) -> bool:
    """Hand in a party's dispute; False where none waits, or the contract takes none: its window is over."""
    waiting = services.store.read("dispute.waiting", lambda tx: settlement_dispute_chain.waiting(tx, case.record))
    closes = chain_settlement.state(chain, case.contract, case.digest).closes if waiting else 0
    if not waiting:
        return False
    if chain.head_time().timestamp() >= closes:
        log.warning("the dispute of statement %s is too late for the contract: its window is over", case.record.id[:16])
        return False

    def check(tx: Transaction) -> None:
        now = terms.get(tx, case.record.id)
        if now.state != State.PROPOSED.value:
            raise StatementNotOpen(statement=now.id[:16], state=now.state)

    settlement_dispute_chain.hand_in(services, outbox, chain, case.record, case.agreement, waiting, check)
    return True


def _mark_paid(services: Services, outbox: ChainOutbox, chain: Chain, case: Case) -> None:
    def check(tx: Transaction) -> None:
        now = terms.get(tx, case.record.id)
        if now.state != State.FINAL.value or payment_chain.payout_of(tx, now) is None:  # returned since we looked
            raise SettleDone(statement=now.id[:16], state=now.state)

    payment_chain.mark_paid(services, outbox, chain, case.record, case.agreement, check)


def _acknowledge(services: Services, outbox: ChainOutbox, chain: Chain, case: Case) -> None:
    def check(tx: Transaction) -> None:
        now = terms.get(tx, case.record.id)
        if now.state != State.PAID.value:
            raise SettleDone(statement=now.id[:16], state=now.state)

    settlement_acknowledge.hand_in(services, outbox, chain, case.record, case.agreement, check)


def _decide(tx: Transaction, record: StatementRecord, target: State, now: datetime) -> None:
    """Post the entry of a statement that became final, void that of a void one. Raises JournalDiffers."""
    if target is State.FINAL:
        _check_entry(tx, record)
        LedgerStore(tx.session).decide(record.id, EntryState.POSTED, now)
    elif target is State.VOID:
        LedgerStore(tx.session).decide(record.id, EntryState.VOIDED, now)


def _check_entry(tx: Transaction, record: StatementRecord) -> None:
    """Raises JournalDiffers unless the pending entry is the one that the statement gives, and the only one."""
    made = terms.value_of(record)
    entry = ledger.of_statement(made)
    if LedgerStore(tx.session).entries(record.id) != ((entry,) if entry else ()):
        raise JournalDiffers(statement=record.id[:16])
    require_points(tx, made)


def _require_confirmed(case: Case) -> None:
    missing = [party.partner for party in case.agreement.parties if party.partner not in case.signatures]
    if missing:
        raise StatementNotConfirmed(statement=case.record.id[:16], missing=", ".join(missing))


def outbox_of(services: Services, chain: Chain) -> ChainOutbox:
    """The one way of this hub's transactions to the chain."""
    return ChainOutbox(
        store=services.store,
        chain=chain,
        key=services.submitter().secret,
        clock=services.clock,
        outcome=lambda tx, intent, receipt, now: outcome(services, tx, intent, receipt, now),
    )
