"""Typed bindings of Settlement.vy: the anchor of a statement, its EIP-712 signatures, calldata, events and readers.

Everything but the readers is pure and imports no client, so a node signs and verifies with this module alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from contracts import abi, artifacts
from contracts.errors import AnchorInvalid, BadChainSignature, MalformedChainAnswer
from contracts.events import Event, decode
from contracts.keys import ZERO_ADDRESS, Address, Key, recover
from privacy import canonical

if TYPE_CHECKING:
    from contracts.chain import Chain, Log

NAME = "EcoHub Settlement"
VERSION = "1"
ZERO = bytes(32)
STATES = {0: "NONE", 1: "PROPOSED", 2: "DISPUTED", 4: "FINAL", 8: "PAID", 16: "ACKED", 32: "VOID"}
IMMUTABLES = ("DOMAIN", "GOVERNOR", "REGISTRAR", "BROKER", "ARBITER", "WINDOW")
WINDOW_SECONDS_MAX = 366 * 86400
PERIOD_MAX = 999912  # a partner that may settle every period
RECORD_WORDS = 4  # what `record(bytes32)` answers: partner, state, end of the window without pauses, payout

_TUPLE = "(bytes32,uint256,uint256,bytes32,bytes32,uint256,bytes32,bytes32,bytes32)"
_STATEMENT_TYPE = keccak(
    b"Statement(bytes32 partner,uint256 sequence,uint256 period,bytes32 previous,bytes32 root,uint256 lines,"
    b"bytes32 total,bytes32 terms,bytes32 replaces)"
)
_DISPUTED = abi.topic("Disputed(bytes32,address,bytes32)")
_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What the chain holds of one statement: the EIP-712 struct `Statement`. Raises AnchorInvalid when malformed."""

    partner: bytes  # 32: the partner's identifier on chain, see `partner_identifier`
    sequence: int  # counts the partner's statements from 1, without gaps
    period: int  # yyyymm
    previous: bytes  # 32: digest of the partner's statement before, zero for the first
    root: bytes  # 32: RFC 6962 tree hash of the salted lines
    lines: int  # number of lines
    total: bytes  # 32: salted commitment to the total
    terms: bytes  # 32: digest of the agreement
    replaces: bytes = ZERO  # 32: digest of the disputed or void statement this one replaces

    def __post_init__(self) -> None:
        for field in ("partner", "previous", "root", "total", "terms", "replaces"):
            value = getattr(self, field)
            if not isinstance(value, bytes) or len(value) != 32:
                raise AnchorInvalid(why=f"{field} must be 32 bytes")
        if not 1 <= self.sequence < 1 << 64 or not 1 <= self.lines < 1 << 64:
            raise AnchorInvalid(why="sequence and lines count from 1")
        if not 2000 <= self.period // 100 <= 9999 or not 1 <= self.period % 100 <= 12:
            raise AnchorInvalid(why="period must be yyyymm")
        if self.partner == ZERO:
            raise AnchorInvalid(why="partner is zero")
        if (self.sequence == 1) != (self.previous == ZERO):
            raise AnchorInvalid(why="only the first statement has no previous one")

    def words(self) -> list[abi.Word]:
        """The fields in the order of the struct."""
        head: list[abi.Word] = [self.partner, self.sequence, self.period, self.previous, self.root, self.lines]
        return [*head, self.total, self.terms, self.replaces]


def partner_identifier(partner: str, salt: bytes) -> bytes:
    """A partner's 32-byte identifier on chain: a digest of its id under a salt only the alliance knows."""
    return canonical.digest("ecohub/chain-partner/v1", [salt.hex(), partner])


def domain(chain_id: int, contract: Address) -> bytes:
    """The EIP-712 domain separator of one deployed contract."""
    name, version = keccak(NAME.encode()), keccak(VERSION.encode())
    return keccak(abi.encode([_DOMAIN_TYPE, name, version, chain_id, abi.address_word(contract)]))


def digest(anchor: Anchor, chain_id: int, contract: Address) -> bytes:
    """The 32 bytes both parties sign (EIP-712); they also name the statement in every other call."""
    struct = keccak(abi.encode([_STATEMENT_TYPE, *anchor.words()]))
    return keccak(b"\x19\x01" + domain(chain_id, contract) + struct)


def sign(anchor: Anchor, chain_id: int, contract: Address, key: bytes) -> bytes:
    """A party's 65-byte signature of a statement. key: 32 bytes."""
    return Key(key).sign_digest(digest(anchor, chain_id, contract))


def verify(anchor: Anchor, chain_id: int, contract: Address, signature: bytes, address: Address) -> None:
    """Raises BadChainSignature unless `address` signed exactly this anchor for this contract on this chain."""
    signer = recover(digest(anchor, chain_id, contract), signature)
    if signer != address or address == ZERO_ADDRESS:
        raise BadChainSignature(why="it was made by another account, or over another statement, contract or chain")


# --- calldata ---------------------------------------------------------------------------------------------------------


def constructor_data(
    governor: Address, broker: Address, arbiter: Address, window_seconds: int, registrar: Address | None = None
) -> bytes:
    """The constructor's arguments, to be appended to the artifact's bytecode. registrar: None is the governor."""
    accounts = (governor, registrar or governor, broker, arbiter)
    return abi.encode([*map(abi.address_word, accounts), window_seconds])


def set_signer_data(partner: bytes, signer: Address, until: int = PERIOD_MAX) -> bytes:
    """The registrar says who signs for a partner, and the last period (yyyymm) it may settle. Zero address: nobody."""
    return abi.calldata("setPartner(bytes32,address,uint256)", [partner, abi.address_word(signer), until])


def set_successor_data(successor: Address) -> bytes:
    """The governor names the contract that takes new statements from now on."""
    return abi.calldata("setSuccessor(address)", [abi.address_word(successor)])


def pause_data() -> bytes:
    return abi.calldata("pause()")


def unpause_data() -> bytes:
    return abi.calldata("unpause()")


def propose_data(anchor: Anchor, broker_signature: bytes, partner_signature: bytes) -> bytes:
    """Anybody submits a statement both parties signed."""
    tails = [abi.byte_string(broker_signature), abi.byte_string(partner_signature)]
    return abi.calldata(f"propose({_TUPLE},bytes,bytes)", anchor.words(), tails)


def dispute_data(statement: bytes, reason: bytes) -> bytes:
    """A party objects. reason: the 32-byte digest of its signed dispute document."""
    return abi.calldata("dispute(bytes32,bytes32)", [statement, reason])


def resolve_data(statement: bytes, upheld: bool, reason: bytes) -> bytes:
    """The arbiter decides. upheld: the statement becomes void."""
    return abi.calldata("resolve(bytes32,bool,bytes32)", [statement, upheld, reason])


def finalise_data(statement: bytes) -> bytes:
    """Anybody makes a statement final after its window."""
    return abi.calldata("finalise(bytes32)", [statement])


def mark_paid_data(statement: bytes, payout: bytes) -> bytes:
    """The broker records a payment. payout: 32-byte salted commitment to the bank's reference."""
    return abi.calldata("markPaid(bytes32,bytes32)", [statement, payout])


def acknowledge_paid_data(statement: bytes) -> bytes:
    """The partner says that the payment arrived."""
    return abi.calldata("ackPaid(bytes32)", [statement])


# --- events -----------------------------------------------------------------------------------------------------------


def events(logs: Sequence["Log"], contract: Address) -> tuple[Event, ...]:
    """The settlement events among a receipt's logs, in order. Logs of other contracts are left out.

    Raises MalformedChainAnswer for a log of this contract that its ABI does not know.
    """
    return decode("Settlement", logs, contract)


# --- readers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A statement on chain. `closes` (Unix seconds) is the end of its dispute window, pauses included."""

    partner: bytes
    state: str  # one of STATES; "NONE" for a digest the contract does not know
    closes: int
    payout: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """What a party said at the contract. `reason`: the digest of its signed dispute document, 32 bytes."""

    party: Address
    reason: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a settlement contract was deployed with."""

    governor: Address
    registrar: Address
    broker: Address
    arbiter: Address
    window_seconds: int


def deployment(chain: "Chain", contract: Address) -> Deployment:
    """Reads and checks a deployed contract. Raises CodeDiffers unless its code is our artifact's, for this chain."""
    found = artifacts.load("Settlement").check_code(chain.code(contract), len(IMMUTABLES))
    stored = dict(zip(IMMUTABLES, found, strict=True))
    if stored["DOMAIN"] != domain(chain.chain_id, contract):
        raise MalformedChainAnswer(why="the contract's EIP-712 domain is another chain's or contract's")
    return Deployment(
        governor=abi.address(stored["GOVERNOR"]),
        registrar=abi.address(stored["REGISTRAR"]),
        broker=abi.address(stored["BROKER"]),
        arbiter=abi.address(stored["ARBITER"]),
        window_seconds=abi.integer(stored["WINDOW"]),
    )


def state(chain: "Chain", contract: Address, statement: bytes, block: "int | str" = "latest") -> Record:
    """The record of a statement by its digest, now or as of an earlier block (number or tag)."""
    data = abi.calldata("record(bytes32)", [statement])
    partner, flag, _, payout = abi.words(chain.call(contract, data, block), RECORD_WORDS)
    if (number := abi.integer(flag)) not in STATES:
        raise MalformedChainAnswer(why="a statement state that does not exist")
    end = 0
    if number:
        data = abi.calldata("closes(bytes32)", [statement])
        end = abi.integer(abi.words(chain.call(contract, data, block), 1)[0])
    return Record(partner=partner, state=STATES[number], closes=end, payout=payout)


def dispute(chain: "Chain", contract: Address, statement: bytes) -> Dispute | None:
    """The dispute of a statement; the contract takes one at most. None where there was none."""
    logs = chain.logs(contract, 0, chain.head(), _DISPUTED)
    for event in events(logs, contract):
        if event["digest"] == statement:
            party, reason = event["party"], event["reason"]
            assert isinstance(party, str) and isinstance(reason, bytes), "the ABI gives an address and a digest"
            return Dispute(party=Address(party), reason=reason)
    return None


def last(chain: "Chain", contract: Address, partner: bytes) -> tuple[int, bytes]:
    """(number of a partner's statements, digest of its newest); (0, zero) before the first."""
    count = chain.call(contract, abi.calldata("sequence(bytes32)", [partner]))
    newest = chain.call(contract, abi.calldata("last(bytes32)", [partner]))
    return abi.integer(abi.words(count, 1)[0]), abi.words(newest, 1)[0]


def signer(chain: "Chain", contract: Address, partner: bytes) -> Address:
    """The account that signs for a partner; the zero address where none does."""
    answer = chain.call(contract, abi.calldata("signer(bytes32)", [partner]))
    return abi.address(abi.words(answer, 1)[0])


def paused(chain: "Chain", contract: Address) -> bool:
    return abi.boolean(abi.words(chain.call(contract, abi.calldata("paused()")), 1)[0])


def until(chain: "Chain", contract: Address, partner: bytes) -> int:
    """The last period (yyyymm) of statements that a partner may enter; 0: none."""
    answer = chain.call(contract, abi.calldata("until(bytes32)", [partner]))
    return abi.integer(abi.words(answer, 1)[0])


def successor(chain: "Chain", contract: Address) -> Address:
    """The contract that takes new statements instead of this one; the zero address while this one does."""
    return abi.address(abi.words(chain.call(contract, abi.calldata("successor()")), 1)[0])


def prove_line_data(anchor: Anchor, leaf: bytes, index: int, path: Sequence[bytes]) -> bytes:
    """The question whether a leaf hash stands at `index` of a statement."""
    words = [*anchor.words(), leaf, index]
    return abi.calldata(f"proveLine({_TUPLE},bytes32,uint256,bytes32[])", words, [abi.array(path)])


def proves_line(
    chain: "Chain", contract: Address, anchor: Anchor, leaf: bytes, index: int, path: Sequence[bytes]
) -> bool:
    """The contract's own answer whether a leaf hash stands at `index` of a statement that was entered."""
    answer = chain.call(contract, prove_line_data(anchor, leaf, index, path))
    return abi.boolean(abi.words(answer, 1)[0])
