"""Which transactions the sandbox chain takes. The EVM behind it checks less: it runs transactions of foreign chains."""

from contracts import transactions
from contracts.transactions import Transaction
from sandbox.chain.errors import (
    FeeNotZero,
    ForeignChain,
    GasOutOfRange,
    InsufficientFunds,
    NonceOutOfOrder,
    NotAdmitted,
    SenderNotAllowed,
)
from sandbox.chain.genesis import Genesis

INITCODE_BYTES_MAX = 49_152  # EIP-3860
_GAS_BASE, _GAS_CREATE, _GAS_ZERO, _GAS_BYTE, _GAS_INITCODE_WORD = 21_000, 32_000, 4, 16, 2


def admit(raw: bytes, genesis: Genesis) -> Transaction:
    """The checks that need no state; returns the decoded transaction.

    Raises MalformedTransaction (size, type, form, replay protection, high s, signature), ForeignChain,
    SenderNotAllowed, FeeNotZero, GasOutOfRange, NotAdmitted (EIP-3860).
    """
    found = transactions.decode(raw)
    if found.chain_id != genesis.chain_id:
        raise ForeignChain(found=found.chain_id, expected=genesis.chain_id)
    if found.sender not in genesis.senders:
        raise SenderNotAllowed(sender=found.sender)
    if found.gas_price:
        raise FeeNotZero(price=found.gas_price)
    if found.to is None and len(found.data) > INITCODE_BYTES_MAX:
        raise NotAdmitted(why=f"a deployment's code has at most {INITCODE_BYTES_MAX} bytes")
    least, most = intrinsic_gas(found), genesis.transaction_gas_max
    if found.gas < least:
        raise GasOutOfRange(why="intrinsic gas too low", gas=found.gas, least=least, most=most)
    if found.gas > most:
        raise GasOutOfRange(why="exceeds block gas limit", gas=found.gas, least=least, most=most)
    return found


def in_order(found: Transaction, nonce: int, balance: int) -> None:
    """The checks against the sender's next nonce and balance (wei). Raises NonceOutOfOrder, InsufficientFunds."""
    if found.nonce != nonce:
        why = "nonce too low" if found.nonce < nonce else "nonce too high"
        raise NonceOutOfOrder(why=why, expected=nonce, found=found.nonce)
    if found.value > balance:
        raise InsufficientFunds(sender=found.sender)


def intrinsic_gas(found: Transaction) -> int:
    """What a transaction costs before it runs (EIP-2028, EIP-3860)."""
    zeros = found.data.count(0)
    gas = _GAS_BASE + zeros * _GAS_ZERO + (len(found.data) - zeros) * _GAS_BYTE
    if found.to is None:
        gas += _GAS_CREATE + (len(found.data) + 31) // 32 * _GAS_INITCODE_WORD
    return gas
