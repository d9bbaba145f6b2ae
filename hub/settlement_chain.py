"""A statement's way over the chain: propose, wait for the window, finalise; and the books with it.

Before every step the chain is asked what it holds, and it must be what the books say: state, place, accounts, window.
Any difference stops settlement as an integrity failure. The one legal difference is what others do on the chain with a
proposed statement (dispute, resolve, finalise, mark paid, acknowledge), which the books follow: so what the broker
marked paid there gets into no payment file here. The journal entry is posted in the transaction that writes FINAL.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from contracts import settlement as chain_settlement
from contracts.chain import Chain, Receipt
from contracts.errors import TransactionReverted, WindowOpen
from contracts.keys import ZERO_ADDRESS, Address, parse_address
from ecowire import codec_settlement
from hub import payment_chain, settlement_acknowledge, times
from hub import settlement_terms as terms
from hub.chain_errors import ChainStepUnderWay
from hub.chain_outbox import ChainOutbox
from hub.identity import Caller
from hub.payment_chain import PAY
from hub.records import Head
from hub.services import Reply, Services, only
from hub.settlement_acknowledge import ACKNOWLEDGE
from hub.settlement_close import require_points
from hub.settlement_errors import (
    ChainDisagrees,
    ContractNotConfigured,
    JournalDiffers,
    SettleDone,
    SignerNotRegistered,
    StatementDisputed,
    StatementDisputedOnChain,
    StatementNotConfirmed,
    StatementNotOpen,
    StatementVoid,
)
from hub.store import Transaction
from hub.store_ledger import Intent, LedgerStore
from hub.store_settlement import SettlementStore, StatementRecord
from revenue_share import ledger
from revenue_share.agreement import Agreement
from revenue_share.ledger import EntryState
from revenue_share.statement import State, Statement

PROPOSE, FINALISE = "propose", "finalise"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One statement with its terms and its confirmations, as read in one transaction."""

    record: StatementRecord
    made: Statement
    agreement: Agreement
    signatures: dict[str, bytes]
    proposed: bool

    @property
    def contract(self) -> Address:
        return parse_address(self.agreement.contract)

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.record.anchor)


def settle(services: Services, caller: Caller, now: datetime, head: Head) -> Reply:
    """Do a statement's next legal chain step and answer with its new state.

    A step that a crash or an unreachable chain interrupted is finished first, and is then the step of this call. Raises
    StatementNotConfirmed, WindowOpen (with its end), SettleDone, StatementNotOpen (disputed), ChainDisagrees, and the
    failures of the chain.
    """
    only(head, "statement")
    found = services.store.read("settle.find", lambda tx: terms.get(tx, head.get("statement")))
    with closing(services.chain()) as chain:
        case = _settle(services, chain, found)
    closes = times.iso(case.record.closes_at) if case.record.closes_at else None
    state: Head = {"statement": found.id, "state": case.record.state, "closes": closes, "anchor": case.record.anchor}
    return Reply(head=state)


def _settle(services: Services, chain: Chain, found: StatementRecord) -> Case:
    services.store.read("settle.released", lambda tx: terms.require_released(tx, found))
    outbox = outbox_of(services, chain)
    outbox.resume()
    case = services.store.read("settle.case", lambda tx: _case(tx, terms.get(tx, found.id)))
    case = _follow(services, chain, case)
    agree(chain, case)
    if case.record.state == found.state:
        try:
            _step(services, outbox, chain, case)
        except TransactionReverted:
            _told_of_another(services, case)
            raise
        case = services.store.read("settle.case", lambda tx: _case(tx, terms.get(tx, found.id)))
        agree(chain, case)
    return case


def _told_of_another(services: Services, case: Case) -> None:
    """Raises ChainStepUnderWay where the contract refused this step because another hub on these books had done it."""

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
    return kind(statement=record.id[:16], state=record.state, period=record.period, agreement=record.agreement[:16])


def contract(services: Services, caller: Caller, now: datetime, head: Head) -> Reply:
    """The configured settlement contract, as deployed. Raises ContractNotConfigured, CodeDiffers, ChainUnavailable."""
    only(head)
    configured = services.settings.chain
    if not configured.contract:
        raise ContractNotConfigured(file=services.settings.file.name)
    address = parse_address(configured.contract)
    with closing(services.chain()) as chain:
        found = chain_settlement.deployment(chain, address)
    return Reply(
        head={
            "chain_id": configured.chain_id,
            "contract": address,
            "governor": found.governor,
            "broker": found.broker,
            "arbiter": found.arbiter,
            "window_seconds": found.window_seconds,
        }
    )


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
    wanted = {PROPOSE: "Proposed", FINALISE: "Finalised", PAY: "Paid", ACKNOWLEDGE: "Acknowledged"}[intent.kind]
    found = [
        event
        for event in chain_settlement.events(receipt.logs, parse_address(agreement.contract))
        if event.name == wanted and event["digest"] == bytes.fromhex(record.anchor)
    ]
    if len(found) != 1:
        raise ChainDisagrees(statement=record.id[:16], what="event", chain=str(len(found)), books=f"one {wanted}")
    facts: Head = {"transaction": receipt.transaction, "block": receipt.block, "anchor": record.anchor}
    if intent.kind == PROPOSE:
        closes = found[0]["closes"]
        assert isinstance(closes, int), "the ABI gives closes as a number"
        closes_at = datetime.fromtimestamp(closes, UTC)
        terms.move(services, tx, record, State.PROPOSED, now, {**facts, "closes": times.iso(closes_at)}, closes_at)
    elif intent.kind in (PAY, ACKNOWLEDGE):
        terms.move(services, tx, record, State.PAID if intent.kind == PAY else State.ACKED, now, facts)
    else:
        terms.move(services, tx, record, State.FINAL, now, facts)
        _decide(tx, record, State.FINAL, now)
    terms.announce(tx, agreement, record, terms.get(tx, record.id).state, now)


def agree(chain: Chain, case: Case) -> None:
    """Raises ChainDisagrees unless contract and statement are on the chain what agreement and books say.

    SignerNotRegistered where the governor has not named the referrer's account yet.
    """
    deployment = chain_settlement.deployment(chain, case.contract)
    partner = bytes.fromhex(case.made.partner_commitment)
    signer = chain_settlement.signer(chain, case.contract, partner)
    terms_of = case.agreement
    _same(case, "broker account", deployment.broker, parse_address(terms_of.payer.chain))
    _same(case, "window in seconds", str(deployment.window_seconds), str(terms_of.window_seconds))
    account = parse_address(terms_of.referrer.chain)
    if signer == ZERO_ADDRESS:
        facts = {"referrer": terms_of.referrer.partner, "partner": partner.hex(), "account": account}
        raise SignerNotRegistered(chain_id=terms_of.chain_id, contract=case.contract, **facts)
    _same(case, "referrer account", signer, account)
    record = chain_settlement.state(chain, case.contract, case.digest)
    expected = case.record.state if case.proposed else "NONE"
    _same(case, "state", record.state, expected)
    if case.record.state == State.DRAFT.value:
        count, newest = chain_settlement.last(chain, case.contract, partner)
        place = case.made.place
        _same(case, "statements before", str(count), str(place.sequence - 1))
        _same(case, "last statement", newest.hex(), place.previous)
    if record.state == "PROPOSED" and case.record.closes_at is not None:
        closes = datetime.fromtimestamp(record.closes, UTC)
        if closes < case.record.closes_at:  # a pause makes it later, nothing makes it earlier
            _same(case, "window's end", times.iso(closes), times.iso(case.record.closes_at))


def _same(case: Case, what: str, chain: str, books: str) -> None:
    if chain != books:
        raise ChainDisagrees(statement=case.record.id[:16], what=what, chain=chain, books=books)


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
        return _case(tx, record)

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


def _case(tx: Transaction, record: StatementRecord) -> Case:
    confirmed = SettlementStore(tx.session).confirmations(record.id)
    return Case(
        record=record,
        made=terms.value_of(record),
        agreement=terms.active(tx, record.agreement),
        signatures={item.partner: bytes.fromhex(item.signature[2:]) for item in confirmed},
        proposed=terms.on_chain(tx, record),
    )


def outbox_of(services: Services, chain: Chain) -> ChainOutbox:
    """The one way of this hub's transactions to the chain."""
    return ChainOutbox(
        store=services.store,
        chain=chain,
        key=services.submitter().secret,
        clock=services.clock,
        outcome=lambda tx, intent, receipt, now: outcome(services, tx, intent, receipt, now),
    )
