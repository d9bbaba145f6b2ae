"""The bindings of registry, anchor and governor over JSON-RPC, and what they refuse."""

from collections.abc import Iterator

import pytest

from contracts import abi, anchor, artifacts, governor, registry, settlement
from contracts.anchor import Checkpoint
from contracts.build import CONTRACTS
from contracts.chain import Log
from contracts.errors import CodeDiffers, MalformedChainAnswer
from contracts.governor import Membership, Operation
from contracts.keys import ZERO_ADDRESS, Address
from contracts.registry import Partner, Rotation
from contracts.settlement import ZERO
from privacy import merkle
from tests.support.sandbox_chain import KEYS, PARTNER, WINDOW, Local, local

ACCOUNTS = {role: key.address for role, key in KEYS.items()}
DELAY = 7200
TERMS = b"\x44" * 32


@pytest.fixture
def served() -> Iterator[Local]:
    with local() as one:
        yield one


def deploy(served: Local, name: str, arguments: bytes) -> Address:
    return served.chain.deploy(artifacts.load(name), arguments, KEYS["governor"].secret)


def send(served: Local, role: str, contract: Address, data: bytes) -> tuple[Log, ...]:
    return served.chain.execute(contract, data, KEYS[role].secret).logs


def test_a_log_is_anchored_and_read_back(served: Local) -> None:
    chain, origin = served.chain, anchor.origin_hash("ecohub/audit/test")
    contract = deploy(served, anchor.NAME, anchor.constructor_data(ACCOUNTS["governor"]))
    assert anchor.governor(chain, contract) == ACCOUNTS["governor"]
    assert anchor.submitter(chain, contract, origin) == ZERO_ADDRESS
    assert anchor.newest(chain, contract, origin) is None
    send(served, "governor", contract, anchor.set_submitter_data(origin, ACCOUNTS["submitter"]))
    assert anchor.submitter(chain, contract, origin) == ACCOUNTS["submitter"]
    leaves = [merkle.leaf_hash(bytes([i])) for i in range(5)]
    first, second = (Checkpoint(size=size, root=merkle.root(leaves[:size])) for size in (3, 5))
    for checkpoint in (first, second):
        (told,) = anchor.events(send(served, "submitter", contract, anchor.anchor_data(origin, checkpoint)), contract)
        assert (told["size"], told["root"]) == (checkpoint.size, checkpoint.root)
    assert anchor.newest(chain, contract, origin) == second
    assert [anchor.root_at(chain, contract, origin, size) for size in (3, 4, 5)] == [first.root, None, second.root]
    anchor.check_extends(first, second, merkle.consistency_proof(leaves, 3))


def test_a_decision_of_the_governor_is_read_before_it_is_approved(served: Local) -> None:
    chain, members = served.chain, [ACCOUNTS[role] for role in ("broker", "referrer", "submitter")]
    contract = deploy(served, governor.NAME, governor.constructor_data(2, DELAY, members))
    assert governor.delay_seconds(chain, contract) == DELAY
    assert governor.membership(chain, contract) == Membership(threshold=2, members=tuple(members), epoch=1)
    accounts = contract, ACCOUNTS["broker"], ACCOUNTS["arbiter"]
    governed = deploy(served, "Settlement", settlement.constructor_data(*accounts, WINDOW))
    send(served, "submitter", contract, governor.pause_data(governed))
    release = settlement.unpause_data()
    told = governor.events(send(served, "broker", contract, governor.propose_data(governed, release)), contract)
    assert [event.name for event in told] == ["OperationProposed", "Approved"]
    assert governor.call_data(chain, contract, 1) == release
    send(served, "referrer", contract, governor.approve_data(1))
    found = governor.operation(chain, contract, 1)
    assert found == Operation(
        target=governed, proposer=members[0], epoch=1, alarm=1, approvals=2, ready=found.ready, state="OPEN"
    )
    chain.advance_time(DELAY)
    send(served, "submitter", contract, governor.execute_data(1))
    assert not settlement.paused(chain, governed)
    assert governor.operation(chain, contract, 1).state == "EXECUTED"
    assert governor.operation(chain, contract, 2).state == "NONE"


def test_an_entry_of_the_registry_is_read_back(served: Local) -> None:
    chain = served.chain
    contract = deploy(served, registry.NAME, registry.constructor_data(ACCOUNTS["governor"], DELAY))
    assert registry.deployment(chain, contract).delay_seconds == DELAY
    nobody = Partner(status="UNKNOWN", signer=ZERO_ADDRESS, terms=ZERO, until=0)
    assert registry.partner(chain, contract, PARTNER) == nobody
    logs = send(served, "governor", contract, registry.register_data(PARTNER, ACCOUNTS["referrer"], TERMS))
    assert [event.name for event in registry.events(logs, contract)] == ["Registered"]
    send(served, "referrer", contract, registry.rotate_data(PARTNER, ACCOUNTS["submitter"]))
    coming = registry.rotation(chain, contract, PARTNER)
    assert coming == Rotation(signer=ACCOUNTS["submitter"], by=ACCOUNTS["referrer"], effective=coming.effective)
    assert coming.effective - DELAY <= int(chain.head_time().timestamp())


def test_another_contracts_code_is_noticed(served: Local) -> None:
    contract = deploy(served, anchor.NAME, anchor.constructor_data(ACCOUNTS["governor"]))
    for read in (registry.deployment, governor.delay_seconds, settlement.deployment):
        with pytest.raises(CodeDiffers):
            read(served.chain, contract)
    with pytest.raises(CodeDiffers):
        anchor.governor(served.chain, ACCOUNTS["governor"])


@pytest.mark.parametrize("answer", [b"", bytes(96), abi.encode([3, 0, 0, 0]), abi.encode([1, 2**160, 0, 0])])
def test_an_entry_that_cannot_be_is_refused(answer: bytes) -> None:
    with pytest.raises(MalformedChainAnswer):
        registry.partner_of(answer)


@pytest.mark.parametrize("answer", [bytes(192), abi.encode([0, 0, 0, 0, 0, 0, 3])])
def test_an_operation_that_cannot_be_is_refused(answer: bytes) -> None:
    with pytest.raises(MalformedChainAnswer):
        governor.operation_of(answer)


DYNAMIC = abi.encode([], [abi.byte_string(b"five!")])


@pytest.mark.parametrize(
    "answer",
    [b"", bytes(32), DYNAMIC[:-1], DYNAMIC + bytes(32), bytes(31) + b"\x40" + DYNAMIC[32:], DYNAMIC[:-1] + b"\x01"],
)
def test_a_byte_string_in_another_form_is_refused(answer: bytes) -> None:
    assert abi.dynamic_bytes(DYNAMIC) == b"five!"
    with pytest.raises(MalformedChainAnswer):
        abi.dynamic_bytes(answer)


ARRAY = abi.encode([], [abi.array([ZERO, TERMS])])


@pytest.mark.parametrize("answer", [b"", ARRAY[:-1], ARRAY + bytes(32), bytes(32) + ARRAY[32:], ARRAY[:63] + b"\xff"])
def test_an_array_in_another_form_is_refused(answer: bytes) -> None:
    assert abi.dynamic_words(ARRAY) == [ZERO, TERMS]
    with pytest.raises(MalformedChainAnswer):
        abi.dynamic_words(answer)


@pytest.mark.parametrize("name", CONTRACTS)
def test_events_and_errors_carry_no_text(name: str) -> None:
    events = [entry for entry in artifacts.load(name).abi if entry["type"] == "event"]
    types = {field["type"] for entry in events for field in entry["inputs"]}
    assert events
    assert types <= {"bytes32", "uint256", "address", "bool"}


@pytest.mark.parametrize("binding", [registry, anchor, governor], ids=lambda module: module.NAME)
def test_a_log_that_a_contract_cannot_have_written_is_refused(binding: object) -> None:
    log = Log(address=ACCOUNTS["broker"], topics=(abi.topic("Finalised(bytes32)"), ZERO), data=b"")
    assert binding.events([log], ACCOUNTS["arbiter"]) == ()  # type: ignore[attr-defined]
    with pytest.raises(MalformedChainAnswer):
        binding.events([log], ACCOUNTS["broker"])  # type: ignore[attr-defined]
