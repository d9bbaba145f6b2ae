"""Typed bindings of Governor.vy: k of n members act on the other contracts together, after a delay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts import abi, artifacts
from contracts.errors import MalformedChainAnswer
from contracts.events import Event, decode
from contracts.keys import Address

if TYPE_CHECKING:
    from contracts.chain import Chain, Log

NAME = "Governor"
STATES = {0: "NONE", 1: "OPEN", 2: "EXECUTED", 4: "CANCELLED"}
IMMUTABLES = ("DELAY",)
DELAY_SECONDS_MIN = 3600
DELAY_SECONDS_MAX = 30 * 86400
EXPIRY_SECONDS = 14 * 86400
MEMBERS_MAX = 16
DATA_BYTES_MAX = 640


def _addresses(accounts: Sequence[Address]) -> bytes:
    return abi.array([abi.address_word(account) for account in accounts])


def constructor_data(threshold: int, delay_seconds: int, members: Sequence[Address]) -> bytes:
    """The constructor's arguments. threshold: k, at least 2. delay_seconds: an hour to 30 days."""
    return abi.encode([threshold, delay_seconds], [_addresses(members)])


def set_members_data(threshold: int, members: Sequence[Address]) -> bytes:
    """A new membership; to be proposed with the governor itself as the target."""
    return abi.calldata("setMembers(uint256,address[])", [threshold], [_addresses(members)])


def propose_data(target: Address, data: bytes) -> bytes:
    """A member proposes a call, and approves it."""
    return abi.calldata("propose(address,bytes)", [abi.address_word(target)], [abi.byte_string(data)])


def approve_data(operation: int) -> bytes:
    """A member stands behind an operation."""
    return abi.calldata("approve(uint256)", [operation])


def revoke_data(operation: int) -> bytes:
    """A member takes its approval back."""
    return abi.calldata("revoke(uint256)", [operation])


def cancel_data(operation: int) -> bytes:
    """The proposer ends an operation for good."""
    return abi.calldata("cancel(uint256)", [operation])


def execute_data(operation: int) -> bytes:
    """A member carries an operation out, after the delay."""
    return abi.calldata("execute(uint256)", [operation])


def pause_data(target: Address) -> bytes:
    """Any member pauses a governed contract at once."""
    return abi.calldata("pause(address)", [abi.address_word(target)])


def events(logs: Sequence["Log"], contract: Address) -> tuple[Event, ...]:
    """The governor's events among a receipt's logs. Raises MalformedChainAnswer for a log it cannot have written."""
    return decode(NAME, logs, contract)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A proposed call. `ready` (Unix seconds) is 0 while fewer than k members approve; it is void in a later epoch."""

    target: Address
    proposer: Address
    epoch: int
    alarm: int
    approvals: int
    ready: int
    state: str  # one of STATES; "NONE" for a number that no operation has


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who governs: k of the members; `epoch` counts the memberships."""

    threshold: int
    members: tuple[Address, ...]
    epoch: int


def delay_seconds(chain: "Chain", contract: Address) -> int:
    """Seconds between the k-th approval and execution. Raises CodeDiffers unless the code is our artifact's."""
    (delay,) = artifacts.load(NAME).check_code(chain.code(contract), len(IMMUTABLES))
    return abi.integer(delay)


def membership(chain: "Chain", contract: Address) -> Membership:
    """The present members and k."""
    members = abi.dynamic_words(chain.call(contract, abi.calldata("allMembers()")))
    threshold, epoch = (
        abi.integer(abi.words(chain.call(contract, abi.calldata(signature)), 1)[0])
        for signature in ("threshold()", "epoch()")
    )
    return Membership(threshold=threshold, members=tuple(map(abi.address, members)), epoch=epoch)


def operation_of(answer: bytes) -> Operation:
    """The operation in the answer of `operation(uint256)`."""
    target, proposer, epoch, alarm, approvals, ready, flag = abi.words(answer, 7)
    if (state := abi.integer(flag)) not in STATES:
        raise MalformedChainAnswer(why="an operation state that does not exist")
    return Operation(
        target=abi.address(target),
        proposer=abi.address(proposer),
        epoch=abi.integer(epoch),
        alarm=abi.integer(alarm),
        approvals=abi.integer(approvals),
        ready=abi.integer(ready),
        state=STATES[state],
    )


def operation(chain: "Chain", contract: Address, number: int) -> Operation:
    """An operation by its number, counted from 1."""
    return operation_of(chain.call(contract, abi.calldata("operation(uint256)", [number])))


def call_data(chain: "Chain", contract: Address, number: int) -> bytes:
    """The call an operation would make: what a member reads before it approves."""
    return abi.dynamic_bytes(chain.call(contract, abi.calldata("callData(uint256)", [number])))
