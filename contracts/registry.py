"""Typed bindings of PartnerRegistry.vy: who signs for a partner, under which terms, and whether it may settle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts import abi, artifacts
from contracts.errors import MalformedChainAnswer
from contracts.events import Event, decode
from contracts.keys import Address

if TYPE_CHECKING:
    from contracts.chain import Chain, Log

NAME = "PartnerRegistry"
STATUSES = {0: "UNKNOWN", 1: "ACTIVE", 2: "SUSPENDED", 4: "EXITED"}
IMMUTABLES = ("GOVERNOR", "DELAY")
DELAY_SECONDS_MIN = 3600
DELAY_SECONDS_MAX = 30 * 86400


def constructor_data(governor: Address, delay_seconds: int) -> bytes:
    """The constructor's arguments. delay_seconds: how long a new signer waits, an hour to 30 days."""
    return abi.encode([abi.address_word(governor), delay_seconds])


def attach_data(settlement: Address) -> bytes:
    """The governor names a settlement contract that takes the registry's word."""
    return abi.calldata("attach(address)", [abi.address_word(settlement)])


def detach_data(settlement: Address) -> bytes:
    """The governor takes a contract off the list."""
    return abi.calldata("detach(address)", [abi.address_word(settlement)])


def publish_data(partner: bytes) -> bytes:
    """Anybody hands a partner's entry to the attached contracts again."""
    return abi.calldata("publish(bytes32)", [partner])


def register_data(partner: bytes, signer: Address, terms: bytes) -> bytes:
    """The governor enters a new partner. terms: 32-byte digest of its agreement."""
    return abi.calldata("register(bytes32,address,bytes32)", [partner, abi.address_word(signer), terms])


def set_terms_data(partner: bytes, terms: bytes) -> bytes:
    """The governor records a later version of the agreement."""
    return abi.calldata("setTerms(bytes32,bytes32)", [partner, terms])


def suspend_data(partner: bytes) -> bytes:
    """The governor, or the partner's own signer, stops it from entering statements."""
    return abi.calldata("suspend(bytes32)", [partner])


def resume_data(partner: bytes) -> bytes:
    """The governor ends a suspension."""
    return abi.calldata("resume(bytes32)", [partner])


def exit_data(partner: bytes, until: int) -> bytes:
    """The governor ends a partner. until: the last period (yyyymm) that accrues."""
    return abi.calldata("exit(bytes32,uint256)", [partner, until])


def rotate_data(partner: bytes, signer: Address) -> bytes:
    """The governor or the present signer names the account to come."""
    return abi.calldata("rotate(bytes32,address)", [partner, abi.address_word(signer)])


def cancel_rotation_data(partner: bytes) -> bytes:
    """The governor, or who began it, takes a rotation back."""
    return abi.calldata("cancelRotation(bytes32)", [partner])


def accept_rotation_data(partner: bytes) -> bytes:
    """The new account accepts, after the delay."""
    return abi.calldata("acceptRotation(bytes32)", [partner])


def events(logs: Sequence["Log"], contract: Address) -> tuple[Event, ...]:
    """The registry's events among a receipt's logs. Raises MalformedChainAnswer for a log it cannot have written."""
    return decode(NAME, logs, contract)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A partner's entry. `until` is the last period (yyyymm) of one that EXITED, else 0."""

    status: str  # one of STATUSES; "UNKNOWN" for one that was never entered
    signer: Address
    terms: bytes
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """The signer to come (the zero address: none), who named it, and from when on (Unix seconds) it may accept."""

    signer: Address
    by: Address
    effective: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a registry was deployed with."""

    governor: Address
    delay_seconds: int


def deployment(chain: "Chain", contract: Address) -> Deployment:
    """Reads and checks a deployed registry. Raises CodeDiffers unless its code is our artifact's."""
    governor, delay = artifacts.load(NAME).check_code(chain.code(contract), len(IMMUTABLES))
    return Deployment(governor=abi.address(governor), delay_seconds=abi.integer(delay))


def partner_of(answer: bytes) -> Partner:
    """The entry in the answer of `partner(bytes32)`."""
    status, signer, terms, until = abi.words(answer, 4)
    if (number := abi.integer(status)) not in STATUSES:
        raise MalformedChainAnswer(why="a partner status that does not exist")
    return Partner(status=STATUSES[number], signer=abi.address(signer), terms=terms, until=abi.integer(until))


def partner(chain: "Chain", contract: Address, identifier: bytes) -> Partner:
    """A partner's entry by its 32-byte identifier."""
    return partner_of(chain.call(contract, abi.calldata("partner(bytes32)", [identifier])))


def rotation(chain: "Chain", contract: Address, identifier: bytes) -> Rotation:
    """A partner's open rotation."""
    signer, by, effective = abi.words(chain.call(contract, abi.calldata("rotation(bytes32)", [identifier])), 3)
    return Rotation(signer=abi.address(signer), by=abi.address(by), effective=abi.integer(effective))
