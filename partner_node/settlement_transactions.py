"""What this node signs for the contract when the hub asks: one call, from its own account, at a fee within its limit.

The hub names the account's next number and the fee; it can't make the call, nor choose another contract.
"""

from contracts import transactions
from contracts.chain import GAS
from contracts.keys import parse_address
from ecowire.documents import Body
from ecowire.status import MalformedMessage
from partner_node.node import Answer, Node
from partner_node.settlement_errors import FeeRefused
from partner_node.settlement_terms import check_contract, own_party
from revenue_share.agreement import Agreement

GAS_PRICE_MAX = 200 * 10**9  # wei: the fee of a million gas stays below a fifth of a coin


def check_role(node: Node, agreement: Agreement, role: str = "") -> None:
    """Raises OtherRole, OtherContract unless this node has the role (any where empty), the agreement its contract."""
    own_party(agreement, node, role)
    check_contract(agreement, node)


def signed(node: Node, agreement: Agreement, data: bytes, head: Body, statement_id: str) -> Answer:
    """The signed transaction, as hex in the answer's `raw`. Raises MalformedMessage, FeeRefused over the limit."""
    nonce, gas, price = (_whole(head.get(field)) for field in ("nonce", "gas", "gas_price"))
    if gas > GAS or price > GAS_PRICE_MAX:
        raise FeeRefused(statement=statement_id[:16])
    raw, _ = transactions.sign(
        to=parse_address(agreement.contract),
        data=data,
        nonce=nonce,
        chain_id=agreement.chain_id,
        gas=gas,
        gas_price=price,
        key=node.keys.chain,
    )
    return Answer(head={"raw": raw.hex()})


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise MalformedMessage(why="a whole number is expected")
    return value
