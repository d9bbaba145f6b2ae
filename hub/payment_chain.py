"""A settled payment on the chain: the broker's account marks the statement paid, with the payment's commitment.

The contract takes this from the broker's account alone, and its key is at the payer's node. So the node is asked: it is
shown what the commitment stands for, checks it against the statement it confirmed, and gives back the signed
transaction, which goes through the hub's outbox like any other. The hub can hand in, not sign.
"""

from collections.abc import Iterable

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from ecowire.codec_payout import Payout
from hub import node_signed
from hub.chain_outbox import ChainOutbox, Check
from hub.payment_errors import PayoutNotSigned, PayoutSignedOtherwise
from hub.records import Head
from hub.services import Services
from hub.settlement_errors import SettleDone
from hub.store import Transaction
from hub.store_bank import BankStore, Entry
from hub.store_payments import SETTLED, PaymentOrder, PaymentStore
from hub.store_settlement import StatementRecord
from revenue_share.agreement import Agreement

PAY = "pay"
TASK = "settlement.payout"


def mark_paid(
    services: Services, outbox: ChainOutbox, chain: Chain, record: StatementRecord, agreement: Agreement, check: Check
) -> None:
    """Hand in what the payer's node signed; ask it where it has not yet.

    Raises SettleDone where no settled payment is to be marked, PayoutNotSigned, PayoutSignedOtherwise, and what the
    outbox raises.
    """
    payout = services.store.read("payout", lambda tx: payout_of(tx, record))
    if payout is None:
        raise SettleDone(statement=record.id[:16], state=record.state)
    data = chain_settlement.mark_paid_data(bytes.fromhex(record.anchor), bytes.fromhex(payout.commitment))
    call = node_signed.next_call(chain, agreement, agreement.payer, data)
    name = f"payout-{record.id[:32]}-{payout.commitment[:16]}"
    shown: Head = {"statement": record.id, "payout": payout.to_value()}
    raw = node_signed.obtain(
        services,
        call,
        TASK,
        name,
        shown,
        unsigned=lambda why: PayoutNotSigned(statement=record.id[:16], payer=call.partner, why=why),
        otherwise=lambda what: PayoutSignedOtherwise(statement=record.id[:16], what=what),
    )
    outbox.submit_signed(PAY, record.id, raw, check)


def payout_of(tx: Transaction, record: StatementRecord) -> Payout | None:
    """What the commitment of a statement's settled payment stands for; None where there is no such payment."""
    order = PaymentStore(tx.session).living(record.id)
    if order is None or order.state != SETTLED or order.payout_salt is None:
        return None
    made = of_order(order, order.payout_salt, BankStore(tx.session).entries(match=order.settled_by))
    assert made.commitment == order.payout, "a payment's commitment is that of its order and entries"
    return made


def of_order(order: PaymentOrder, salt: str, entries: Iterable[Entry]) -> Payout:
    """The payout of an order and the bank entries that paid it."""
    return Payout(
        salt=salt,
        end_to_end_id=order.end_to_end_id,
        currency=order.currency,
        amount_minor=order.amount_minor,
        booked=tuple((one.id, str(one.value["bank_reference"]), str(one.value["booked"])) for one in entries),
    )
