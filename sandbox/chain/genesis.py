"""The genesis file: what a sandbox chain is before its first block.

    {"alloc": {"0x…": "1000"}, "chain_id": 20261, "fork": "shanghai", "gas_limit": 60000000,
     "senders": ["0x…"], "timestamp": 1767225600}

`alloc` gives balances in wei as decimal text, `senders` the only accounts whose transactions are admitted; neither can
change later. Its digest is a document digest (kind "chain-genesis") and stands in the genesis block's extra data, so
the hash of block 0 fixes every line of the file.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import MalformedAddress
from contracts.keys import Address, parse_address
from ecowire import documents
from privacy.ids import Digest
from sandbox.chain.errors import GenesisInvalid

FORK = "shanghai"
KIND = "chain-genesis"
GAS_LIMIT = 60_000_000
_FIELDS = {"alloc", "chain_id", "fork", "gas_limit", "senders", "timestamp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """A checked genesis. timestamp: Unix seconds; alloc: (account, wei) in account order."""

    chain_id: int
    timestamp: int
    gas_limit: int
    senders: frozenset[Address]
    alloc: tuple[tuple[Address, int], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.chain_id < 1 << 31:
            raise GenesisInvalid(why="chain_id must be 1 to 2^31 - 1")
        if not 0 < self.timestamp < 1 << 40:
            raise GenesisInvalid(why="timestamp must be Unix seconds")
        if not 1_000_000 <= self.gas_limit <= 1_000_000_000:
            raise GenesisInvalid(why="gas_limit must be 1 million to 1000 million")
        if not self.senders:
            raise GenesisInvalid(why="senders is empty: nobody could send a transaction")

    @property
    def transaction_gas_max(self) -> int:
        """Half a block: fuller blocks would raise the base fee above zero (EIP-1559)."""
        return self.gas_limit // 2

    def to_body(self) -> documents.Body:
        return {
            "alloc": {account: str(wei) for account, wei in self.alloc},
            "chain_id": self.chain_id,
            "fork": FORK,
            "gas_limit": self.gas_limit,
            "senders": [*sorted(self.senders)],
            "timestamp": self.timestamp,
        }

    @property
    def digest(self) -> Digest:
        return documents.digest(KIND, self.to_body())


def from_body(body: object) -> Genesis:
    """The genesis of decoded JSON. Raises GenesisInvalid."""
    if not isinstance(body, dict) or set(body) != _FIELDS:
        raise GenesisInvalid(why=f"the fields must be {', '.join(sorted(_FIELDS))}")
    numbers = [body[name] for name in ("chain_id", "timestamp", "gas_limit")]
    if any(not isinstance(value, int) or isinstance(value, bool) for value in numbers):
        raise GenesisInvalid(why="chain_id, timestamp and gas_limit must be integers")
    if body["fork"] != FORK:
        raise GenesisInvalid(why=f"fork must be {FORK}")
    if not isinstance(body["senders"], list) or not isinstance(body["alloc"], dict):
        raise GenesisInvalid(why="senders must be a list and alloc an object")
    try:
        senders = [parse_address(value) for value in body["senders"]]
        alloc = {parse_address(account): _wei(wei) for account, wei in body["alloc"].items()}
    except MalformedAddress as error:
        raise GenesisInvalid(why=error.message("en")) from None
    if len(set(senders)) != len(senders) or len(alloc) != len(body["alloc"]):
        raise GenesisInvalid(why="an account is named twice")
    return Genesis(
        chain_id=body["chain_id"],
        timestamp=body["timestamp"],
        gas_limit=body["gas_limit"],
        senders=frozenset(senders),
        alloc=tuple(sorted(alloc.items())),
    )


def read(path: Path) -> Genesis:
    """The genesis of a file. Raises GenesisInvalid."""
    try:
        return from_body(json.loads(path.read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise GenesisInvalid(why=f"{path.name}: {type(error).__name__}") from None


def write(genesis: Genesis, path: Path) -> None:
    """Write a genesis file, whole or not at all. Raises GenesisInvalid where there is one already."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(genesis.to_body(), indent=2, sort_keys=True) + "\n")
    try:
        os.link(part, path)
    except FileExistsError:
        raise GenesisInvalid(why=f"{path.name} exists already and is kept") from None
    finally:
        part.unlink()


def _wei(value: object) -> int:
    if not isinstance(value, str) or not value.isdecimal() or not value.isascii() or len(value) > 78:
        raise GenesisInvalid(why="a balance must be decimal text in wei")
    if (wei := int(value)) >= 1 << 255:
        raise GenesisInvalid(why="a balance is too large")
    return wei
