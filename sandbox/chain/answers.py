"""Rows of the ledger as JSON-RPC objects."""

from typing import Any

import rlp

from contracts import transactions
from sandbox.chain.evm import decode_header, receipt_fields
from sandbox.chain.hexes import data, optional, quantity
from sandbox.chain.rows import BlockRow, LogRow, TxRow


def block(row: BlockRow, txs: list[TxRow], *, full: bool) -> dict[str, Any]:
    """A block with its transactions' hashes, or with the transactions themselves."""
    fields = [rlp.decode(row.header), [rlp.decode(tx.raw) for tx in txs], [], []]
    listed = [transaction(tx, row.hash) if full else data(tx.hash) for tx in txs]
    return _header(decode_header(row)) | {
        "hash": data(row.hash),
        "size": quantity(len(rlp.encode(fields))),
        "totalDifficulty": "0x0",
        "uncles": [],
        "withdrawals": [],
        "transactions": listed,
    }


def pending_block(header: Any) -> dict[str, Any]:
    """The block being built: its number, parent and time; what only a sealed block has is null."""
    unsealed = dict.fromkeys(("hash", "nonce", "logsBloom", "miner"))
    return _header(header) | unsealed | {"transactions": [], "uncles": []}


def transaction(tx: TxRow, block_hash: bytes) -> dict[str, Any]:
    found = transactions.decode(tx.raw)
    return {
        "hash": data(tx.hash),
        "type": "0x0",
        "chainId": quantity(found.chain_id),
        "blockHash": data(block_hash),
        "blockNumber": quantity(tx.number),
        "transactionIndex": quantity(tx.position),
        "from": data(tx.sender),
        "to": optional(tx.recipient),
        "nonce": quantity(found.nonce),
        "gas": quantity(found.gas),
        "gasPrice": quantity(found.gas_price),
        "value": quantity(found.value),
        "input": data(found.data),
        "v": quantity(found.v),
        "r": quantity(found.r),
        "s": quantity(found.s),
    }


def receipt(tx: TxRow, logs: list[LogRow], block_hash: bytes) -> dict[str, Any]:
    cumulative, bloom = receipt_fields(tx.receipt)
    return {
        "transactionHash": data(tx.hash),
        "type": "0x0",
        "blockHash": data(block_hash),
        "blockNumber": quantity(tx.number),
        "transactionIndex": quantity(tx.position),
        "from": data(tx.sender),
        "to": optional(tx.recipient),
        "status": quantity(tx.status),
        "gasUsed": quantity(tx.gas_used),
        "cumulativeGasUsed": quantity(cumulative),
        "effectiveGasPrice": quantity(transactions.decode(tx.raw).gas_price),
        "contractAddress": optional(tx.contract if tx.status else None),
        "logsBloom": data(bloom),
        "logs": [log(row, block_hash) for row in logs],
    }


def log(row: LogRow, block_hash: bytes) -> dict[str, Any]:
    return {
        "address": data(row.address),
        "topics": [data(topic) for topic in _topics(row.topics)],
        "data": data(row.data),
        "blockHash": data(block_hash),
        "blockNumber": quantity(row.number),
        "transactionHash": data(row.tx),
        "transactionIndex": quantity(row.position),
        "logIndex": quantity(row.log_index),
        "removed": False,
    }


def exported(row: BlockRow, txs: list[TxRow]) -> dict[str, Any]:
    """A block for the evidence bundle: header and receipts as RLP, transactions as they were sent."""
    return {
        "number": row.number,
        "hash": data(row.hash),
        "timestamp": row.timestamp,
        "header": data(row.header),
        "transactions": [data(tx.raw) for tx in txs],
        "receipts": [data(tx.receipt) for tx in txs],
    }


def matches(topics: bytes, wanted: list[list[bytes]]) -> bool:
    """Whether a log's topics fit a filter: at each place one of the wanted ones, or any where none is named."""
    found = _topics(topics)
    if len(found) < len(wanted):
        return False
    return all(not place or found[i] in place for i, place in enumerate(wanted))


def _topics(joined: bytes) -> list[bytes]:
    return [joined[i : i + 32] for i in range(0, len(joined), 32)]


def _header(header: Any) -> dict[str, Any]:
    return {
        "number": quantity(header.block_number),
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.uncles_hash),
        "miner": data(header.coinbase),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transaction_root),
        "receiptsRoot": data(header.receipt_root),
        "withdrawalsRoot": data(header.withdrawals_root),
        "logsBloom": data(header.bloom.to_bytes(256, "big")),
        "difficulty": quantity(header.difficulty),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
    }
