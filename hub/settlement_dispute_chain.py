"""A dispute at the contract: while the window is open a party's own account says it there, by `dispute`.

The word is a document that its node brings; its digest is the reason that the contract keeps. The transaction is signed
by that node when the hub asks for it, and goes through the outbox like any other: the hub can hand in, not sign. The
contract takes one dispute of a statement; of two parties' words the first signed one goes there.
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from contracts.errors import ChainRefused, TransactionReverted, WindowClosed
from contracts.keys import parse_address
from ecowire import documents
from ecowire.stream import Message
from hub import node_signed, times
from hub import settlement_terms as terms
from hub.chain_outbox import ChainOutbox, Check
from hub.node_signed import Call
from hub.records import Task
from hub.services import Services
from hub.settlement_errors import DisputeNotSigned, DisputeSignedOtherwise, StatementNotOpen
from hub.store import Transaction
from hub.store_ledger import FAILED, LedgerStore
from hub.store_settlement import Dispute, SettlementStore, StatementRecord
from privacy.errors import Failure
from privacy.ids import Digest
from revenue_share.agreement import Agreement
from revenue_share.statement import State

DISPUTE = "dispute"
TASK = "settlement.sign-dispute"
SIGNAL = "dispute"  # ("dispute", statement): there is something to hand in, or to ask for


def taken(tx: Transaction, record: StatementRecord) -> bool:
    """Whether a proposed statement can be disputed by a document: nothing but its proposal was handed in, or will be.

    Its window is the contract's, see `look`.
    """
    return record.state == State.PROPOSED.value and _steps(tx, record) == {terms.PROPOSE}


def look(services: Services, message: Message) -> None:
    """Before a dispute of a proposed statement is taken: whether the contract would take it.

    Raises WindowClosed, which names the end; StatementNotOpen where the chain holds it in another state already;
    StatementUnknown, MalformedMessage, and the failures of the chain.
    """
    document = documents.parse(message.head.get("dispute"), kind="dispute")
    record = services.store.read("dispute.find", lambda tx: terms.get(tx, document.body.get("statement")))
    if record.state != State.PROPOSED.value:
        return
    agreement = services.store.read("dispute.terms", lambda tx: terms.active(tx, record.agreement))
    with closing(services.chain()) as chain:
        found = chain_settlement.state(chain, parse_address(agreement.contract), bytes.fromhex(record.anchor))
        head_time = chain.head_time()
    if found.state != State.PROPOSED.value:
        raise StatementNotOpen(statement=record.id[:16], state=found.state)
    if head_time.timestamp() >= found.closes:
        end = times.iso(datetime.fromtimestamp(found.closes, UTC))
        raise WindowClosed(reason=f"it ended at {end}, the chain's time is {times.iso(head_time)}")


def waiting(tx: Transaction, record: StatementRecord) -> tuple[Dispute, ...]:
    """The disputes of a proposed statement that the contract has not been told of, the oldest first."""
    return SettlementStore(tx.session).disputes(record.id) if taken(tx, record) else ()


def all_waiting(tx: Transaction) -> tuple[StatementRecord, ...]:
    """The statements that have such disputes."""
    return tuple(record for record in SettlementStore(tx.session).statements() if waiting(tx, record))


def answered(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
    """A node has signed: what it signed can be handed in."""
    tx.signal(SIGNAL, str(task.head["statement"]))


def hand_in(
    services: Services,
    outbox: ChainOutbox,
    chain: Chain,
    record: StatementRecord,
    agreement: Agreement,
    disputes: Sequence[Dispute],
    check: Check,
) -> None:
    """Hand in the first dispute that the chain takes as its party's node signed it; ask each node not asked yet.

    What is wrong with one party's transaction, or with its account, does not hold up the other's. Raises
    DisputeNotSigned, DisputeSignedOtherwise, and what the outbox raises.
    """
    failures: list[Failure] = []
    for item in disputes:
        party = agreement.party(item.partner)
        assert party is not None, "a dispute is taken from a party only"
        digest = item.document.digest
        data = chain_settlement.dispute_data(bytes.fromhex(record.anchor), bytes.fromhex(digest))
        try:
            raw = _signed(services, node_signed.next_call(chain, agreement, party, data), record, digest)
            outbox.submit_signed(DISPUTE, record.id, raw, check)
            return
        except (DisputeNotSigned, DisputeSignedOtherwise, ChainRefused, TransactionReverted) as failure:
            failures.append(failure)
    raise next((one for one in failures if not isinstance(one, DisputeNotSigned)), failures[0])


def _signed(services: Services, call: Call, record: StatementRecord, digest: Digest) -> bytes:
    return node_signed.obtain(
        services,
        call,
        TASK,
        f"dispute-{digest[:32]}",
        {"statement": record.id, "dispute": digest},
        unsigned=lambda why: DisputeNotSigned(statement=record.id[:16], partner=call.partner, why=why),
        otherwise=lambda what: DisputeSignedOtherwise(statement=record.id[:16], partner=call.partner, what=what),
    )


def _steps(tx: Transaction, record: StatementRecord) -> set[str]:
    intents = LedgerStore(tx.session).intents(statement=record.id)
    return {intent.kind for intent in intents if intent.state != FAILED}
