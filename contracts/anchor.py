"""Typed bindings of CheckpointAnchor.vy: the Merkle roots of audit logs, kept on a chain.

An anchored checkpoint binds whoever keeps the log: the contract holds one root for each anchored size, and sizes only
grow. That a later root extends an earlier one is checked here, off chain, by a consistency proof between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from contracts import abi, artifacts
from contracts.events import Event, decode
from contracts.keys import Address
from privacy import merkle

if TYPE_CHECKING:
    from contracts.chain import Chain, Log

NAME = "CheckpointAnchor"
IMMUTABLES = ("GOVERNOR",)
ANCHORED = abi.topic("Anchored(bytes32,uint256,bytes32)")  # topic 0 of the event that tells of a checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's state: number of leaves and the RFC 6962 tree hash over them."""

    size: int
    root: bytes


def origin_hash(origin: str) -> bytes:
    """The 32 bytes that stand for a log on the chain: keccak256 of the origin line of its checkpoints."""
    return keccak(origin.encode())


def constructor_data(governor: Address) -> bytes:
    """The constructor's argument."""
    return abi.encode([abi.address_word(governor)])


def set_submitter_data(origin: bytes, submitter: Address) -> bytes:
    """The governor says who may anchor a log; the zero address stops it. origin: see `origin_hash`."""
    return abi.calldata("setSubmitter(bytes32,address)", [origin, abi.address_word(submitter)])


def anchor_data(origin: bytes, checkpoint: Checkpoint) -> bytes:
    """The log's submitter anchors a checkpoint larger than every one before."""
    return abi.calldata("anchor(bytes32,uint256,bytes32)", [origin, checkpoint.size, checkpoint.root])


def events(logs: Sequence["Log"], contract: Address) -> tuple[Event, ...]:
    """The anchor's events among a receipt's logs. Raises MalformedChainAnswer for a log it cannot have written."""
    return decode(NAME, logs, contract)


def governor(chain: "Chain", contract: Address) -> Address:
    """Who names the submitters. Raises CodeDiffers unless the code is our artifact's."""
    return governor_of(chain.code(contract))


def governor_of(code: bytes) -> Address:
    """Who names the submitters, by the deployed code. Raises CodeDiffers unless it is our artifact's."""
    (found,) = artifacts.load(NAME).check_code(code, len(IMMUTABLES))
    return abi.address(found)


def submitter(chain: "Chain", contract: Address, origin: bytes) -> Address:
    """Who may anchor a log; the zero address where nobody may."""
    answer = chain.call(contract, abi.calldata("submitter(bytes32)", [origin]))
    return abi.address(abi.words(answer, 1)[0])


def newest(chain: "Chain", contract: Address, origin: bytes) -> Checkpoint | None:
    """A log's largest anchored checkpoint; None before the first."""
    size = abi.integer(abi.words(chain.call(contract, abi.calldata("size(bytes32)", [origin])), 1)[0])
    root = root_at(chain, contract, origin, size)
    return None if root is None else Checkpoint(size=size, root=root)


def root_at(chain: "Chain", contract: Address, origin: bytes, size: int) -> bytes | None:
    """The root anchored for a size of a log; None where that size was not anchored."""
    (found,) = abi.words(chain.call(contract, abi.calldata("root(bytes32,uint256)", [origin, size])), 1)
    return found if any(found) else None


def check_extends(anchored: Checkpoint, shown: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raises merkle.BadProof unless `shown` is the anchored checkpoint or one that only adds to it.

    proof: RFC 6962 section 2.1.2, from the anchored size to the one shown; empty for equal sizes.
    """
    merkle.verify_consistency(anchored.size, anchored.root, shown.size, shown.root, proof)
