"""Transactions of the contract that a party's own account sends: its node signs them, the hub can only hand them in.

The node is asked with the account's next number. What it gives back is handed in if it is exactly the call it was asked
for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from contracts import transactions
from contracts.chain import GAS, Chain
from contracts.errors import MalformedTransaction
from contracts.keys import Address, parse_address
from hub import tasks
from hub.records import Head, Task
from hub.services import Services
from hub.store import Transaction
from hub.store_tasks import ANSWERED, OPEN
from privacy.errors import Failure
from privacy.ids import PartnerId
from revenue_share.agreement import Agreement, Party


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of the agreement's contract as the next transaction of a party's account."""

    partner: PartnerId
    account: Address
    chain_id: int
    nonce: int
    contract: Address
    data: bytes


def next_call(chain: Chain, agreement: Agreement, party: Party, data: bytes) -> Call:
    """The call as the chain would take it now."""
    account = parse_address(party.chain)
    return Call(
        partner=party.partner,
        account=account,
        chain_id=chain.chain_id,
        nonce=chain.nonce(account),
        contract=parse_address(agreement.contract),
        data=data,
    )


def obtain(
    services: Services,
    call: Call,
    kind: str,
    name: str,
    facts: Head,
    *,
    unsigned: Callable[[str], Failure],
    otherwise: Callable[[str], Failure],
) -> bytes:
    """The signed call, ready to be handed in; the node is asked where it has not been yet (see `ask`).

    Raises what `unsigned` makes of why there is nothing, and what `otherwise` makes of what differs.
    """
    raw, why = ask(services, call, kind, name, facts)
    if raw is None:
        raise unsigned(why)
    if what := fault(raw, call, services.settings.chain.gas_price):
        raise otherwise(what)
    return raw


def ask(services: Services, call: Call, kind: str, name: str, facts: Head) -> tuple[bytes | None, str]:
    """What the party's node signed, or None and why there is nothing; it is asked where it has not been yet.

    kind: of the task; name: the task's id but for the account's number, and the fee where there is one: another fee is
    another transaction; facts: what the node is shown of the call.
    """
    price = services.settings.chain.gas_price
    head: Head = {**facts, "nonce": call.nonce, "gas": GAS, "gas_price": price}
    task_id = f"{name}-{call.nonce}" + (f"-{price}" if price else "")
    task = services.store.run(f"{kind}.ask", lambda tx: _post(tx, task_id, call, kind, head, services.clock()))
    reply = task.reply_head or {}
    if task.state == ANSWERED and "raw" in reply:
        return _bytes(str(reply["raw"])), ""
    return None, "no answer yet" if task.state == OPEN else str(reply.get("code", "?"))


def fault(raw: bytes, call: Call, gas_price: int) -> str:
    """Why these bytes are not the signed call; empty where they are. gas_price: wei, as asked for.

    With less gas, or a smaller fee, a chain may leave it waiting for ever, and all that comes after it.
    """
    try:
        made = transactions.decode(raw)
    except MalformedTransaction as failure:
        return str(failure.facts["why"])
    wanted = (call.account, call.chain_id, call.nonce, call.contract, call.data, 0, GAS, gas_price)
    found = (made.sender, made.chain_id, made.nonce, made.to, made.data, made.value, made.gas, made.gas_price)
    same = found == wanted
    return "" if same else "another transaction than the one asked for"


def _post(tx: Transaction, task_id: str, call: Call, kind: str, head: Head, now: datetime) -> Task:
    tasks.post(tx, now, task_id=task_id, node=call.partner, kind=kind, head=head)
    task = tx.tasks.get(task_id)
    assert task is not None, "a task that was posted is there"
    return task


def _bytes(given: str) -> bytes:
    try:
        return bytes.fromhex(given)
    except ValueError:
        return b""
