"""A settled payment on the chain: the broker's account marks the statement paid, with the payment's commitment.

The contract takes this from the broker's account alone, and its key is at the payer's node. So the node is asked: it is
shown what the commitment stands for, checks it against the statement it confirmed, and gives back the signed
transaction, which goes through the hub's outbox like any other. The hub can hand in, not sign.
"""

from collections.abc import Iterable
from datetime import datetime

from contracts import settlement as chain_settlement
from contracts import transactions
from contracts.chain import GAS, Chain
from contracts.errors import MalformedTransaction
from contracts.keys import parse_address
from ecowire.codec_payout import Payout
from hub import tasks
from hub.chain_outbox import ChainOutbox, Check
from hub.payment_errors import PayoutNotSigned, PayoutSignedOtherwise
from hub.records import Head, Task
from hub.services import Services
from hub.settlement_errors import SettleDone
from hub.store import Transaction
from hub.store_bank import BankStore, Entry
from hub.store_payments import SETTLED, PaymentOrder, PaymentStore
from hub.store_settlement import StatementRecord
from hub.store_tasks import ANSWERED, FAILED
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
    account = parse_address(agreement.payer.chain)
    nonce = chain.nonce(account)
    commitment = bytes.fromhex(payout.commitment)
    data = chain_settlement.mark_paid_data(bytes.fromhex(record.anchor), commitment)
    head: Head = {
        "statement": record.id,
        "payout": payout.to_value(),
        "nonce": nonce,
        "gas": GAS,
        "gas_price": services.settings.chain.gas_price,
    }
    name = f"payout-{record.id[:32]}-{payout.commitment[:16]}-{nonce}"
    task = services.store.run("payout.ask", lambda tx: _ask(tx, name, agreement, head, services.clock()))
    if task.state == FAILED or (task.state == ANSWERED and "raw" not in (task.reply_head or {})):
        code = str((task.reply_head or {}).get("code", "?"))
        raise PayoutNotSigned(statement=record.id[:16], payer=agreement.payer.partner, why=code)
    if task.state != ANSWERED:
        raise PayoutNotSigned(statement=record.id[:16], payer=agreement.payer.partner, why="no answer yet")
    raw = _signed(task)
    try:
        made = transactions.decode(raw)
    except MalformedTransaction as failure:
        raise PayoutSignedOtherwise(statement=record.id[:16], what=str(failure.facts["why"])) from None
    wanted = (account, chain.chain_id, nonce, parse_address(agreement.contract), data, 0)
    if (made.sender, made.chain_id, made.nonce, made.to, made.data, made.value) != wanted:
        raise PayoutSignedOtherwise(statement=record.id[:16], what="another transaction than the one asked for")
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


def _ask(tx: Transaction, name: str, agreement: Agreement, head: Head, now: datetime) -> Task:
    tasks.post(tx, now, task_id=name, node=agreement.payer.partner, kind=TASK, head=head)
    task = tx.tasks.get(name)
    assert task is not None, "a task that was posted is there"
    return task


def _signed(task: Task) -> bytes:
    given = (task.reply_head or {})["raw"]
    try:
        return bytes.fromhex(str(given))
    except ValueError:
        return b""
