"""Anchors, EIP-712 digests and signatures: equal to the contract's and to an independent library's."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from contracts import abi, artifacts, settlement
from contracts.chain import Log
from contracts.errors import AnchorInvalid, BadChainSignature, MalformedChainAnswer
from contracts.keys import ORDER, ZERO_ADDRESS
from contracts.settlement import ZERO, Anchor
from tests.contracts.alliance import CHAIN_ID, KEYS, Alliance

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = KEYS["stranger"].address
BROKER = KEYS["broker"]
FIELDS = [
    ("partner", "bytes32"),
    ("sequence", "uint256"),
    ("period", "uint256"),
    ("previous", "bytes32"),
    ("root", "bytes32"),
    ("lines", "uint256"),
    ("total", "bytes32"),
    ("terms", "bytes32"),
    ("replaces", "bytes32"),
]
ANCHOR = Anchor(
    partner=b"\x01" * 32,
    sequence=2,
    period=202610,
    previous=b"\x02" * 32,
    root=b"\x03" * 32,
    lines=17,
    total=b"\x04" * 32,
    terms=b"\x05" * 32,
)
WORD = st.binary(min_size=32, max_size=32).filter(any)
ANCHORS = st.builds(
    Anchor,
    partner=WORD,
    sequence=st.integers(2, 2**64 - 1),
    period=st.builds(lambda year, month: year * 100 + month, st.integers(2000, 9999), st.integers(1, 12)),
    previous=WORD,
    root=WORD,
    lines=st.integers(1, 2**64 - 1),
    total=WORD,
    terms=WORD,
    replaces=st.just(ZERO) | WORD,
)


def typed_data(anchor: Anchor, chain_id: int, contract: str) -> tuple[dict, dict, dict]:
    domain = {"name": "EcoHub Settlement", "version": "1", "chainId": chain_id, "verifyingContract": contract}
    types = {"Statement": [{"name": name, "type": kind} for name, kind in FIELDS]}
    return domain, types, {name: getattr(anchor, name) for name, _ in FIELDS}


@given(ANCHORS, st.integers(1, 2**31 - 1))
def test_the_signature_is_the_one_an_independent_library_makes(anchor: Anchor, chain_id: int) -> None:
    theirs = Account.sign_typed_data(BROKER.secret, *typed_data(anchor, chain_id, CONTRACT))
    assert settlement.digest(anchor, chain_id, CONTRACT) == bytes(theirs.message_hash)
    assert settlement.sign(anchor, chain_id, CONTRACT, BROKER.secret) == bytes(theirs.signature)


def test_the_digest_is_the_contracts() -> None:
    alliance = Alliance()
    tuple_type = "(bytes32,uint256,uint256,bytes32,bytes32,uint256,bytes32,bytes32,bytes32)"
    for anchor in (ANCHOR, replace(ANCHOR, replaces=b"\x09" * 32), replace(ANCHOR, lines=2**63, period=999912)):
        answer = alliance.read(abi.selector(f"digestOf({tuple_type})") + abi.encode(anchor.words()))
        assert answer == settlement.digest(anchor, CHAIN_ID, alliance.contract)
    assert alliance.read(abi.selector("DOMAIN()")) == settlement.domain(CHAIN_ID, alliance.contract)


def test_a_known_answer_fixes_the_digest() -> None:
    # message_hash of eth_account 0.14.0, Account.sign_typed_data(key, *typed_data(ANCHOR, 20261, CONTRACT))
    assert CONTRACT == "0xa143C96c4A51877343c4DD77fd62584Fd7f25dB4"
    assert (
        settlement.digest(ANCHOR, 20261, CONTRACT).hex()
        == "54af1881768ab694e6adb154364df9bffcda6f5eb84e4f7b41c1d7fef29d250e"
    )


def test_a_signature_verifies_and_says_nothing() -> None:
    signature = settlement.sign(ANCHOR, CHAIN_ID, CONTRACT, BROKER.secret)
    assert settlement.verify(ANCHOR, CHAIN_ID, CONTRACT, signature, BROKER.address) is None


CHANGES = [
    {"partner": b"\x09" * 32},
    {"sequence": 3},
    {"period": 202611},
    {"previous": b"\x09" * 32},
    {"root": b"\x09" * 32},
    {"lines": 18},
    {"total": b"\x09" * 32},
    {"terms": b"\x09" * 32},
    {"replaces": b"\x09" * 32},
]


@pytest.mark.parametrize("change", CHANGES, ids=[next(iter(c)) for c in CHANGES])
def test_a_signature_covers_every_field(change: dict) -> None:
    signature = settlement.sign(ANCHOR, CHAIN_ID, CONTRACT, BROKER.secret)
    with pytest.raises(BadChainSignature):
        settlement.verify(replace(ANCHOR, **change), CHAIN_ID, CONTRACT, signature, BROKER.address)


def test_a_signature_holds_on_one_chain_for_one_contract_by_one_account() -> None:
    signature = settlement.sign(ANCHOR, CHAIN_ID, CONTRACT, BROKER.secret)
    for chain_id, contract, account in (
        (CHAIN_ID + 1, CONTRACT, BROKER.address),
        (CHAIN_ID, KEYS["governor"].address, BROKER.address),
        (CHAIN_ID, CONTRACT, KEYS["referrer"].address),
        (CHAIN_ID, CONTRACT, ZERO_ADDRESS),
    ):
        with pytest.raises(BadChainSignature):
            settlement.verify(ANCHOR, chain_id, contract, signature, account)


def _forms(signature: bytes) -> dict[str, bytes]:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return {
        "empty": b"",
        "64 bytes": signature[:64],
        "66 bytes": signature + b"\x00",
        "high s": signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]]),
        "v 0 or 1": signature[:64] + bytes([signature[64] - 27]),
        "other parity": signature[:64] + bytes([55 - signature[64]]),
        "r zero": bytes(32) + signature[32:],
        "s zero": signature[:32] + bytes(32) + signature[64:],
        "r over the order": ORDER.to_bytes(32, "big") + signature[32:],
    }


@pytest.mark.parametrize("form", list(_forms(bytes(64) + b"\x1b")))
def test_only_the_strict_form_of_a_signature_verifies(form: str) -> None:
    signature = settlement.sign(ANCHOR, CHAIN_ID, CONTRACT, BROKER.secret)
    with pytest.raises(BadChainSignature):
        settlement.verify(ANCHOR, CHAIN_ID, CONTRACT, _forms(signature)[form], BROKER.address)


@pytest.mark.parametrize(
    "change",
    [
        {"partner": b"\x01" * 31},
        {"partner": ZERO},
        {"root": "00" * 32},
        {"sequence": 0},
        {"sequence": 2**64},
        {"lines": 0},
        {"period": 202613},
        {"period": 202600},
        {"period": 2026},
        {"previous": ZERO},
        {"sequence": 1},
    ],
    ids=str,
)
def test_a_malformed_anchor_does_not_exist(change: dict) -> None:
    with pytest.raises(AnchorInvalid):
        replace(ANCHOR, **change)


def test_a_partners_identifier_depends_on_the_salt() -> None:
    assert settlement.partner_identifier("bank", b"one") != settlement.partner_identifier("bank", b"two")
    assert settlement.partner_identifier("bank", b"one") != settlement.partner_identifier("insurer", b"one")


def test_names_and_types_are_those_of_the_abi() -> None:
    (propose,) = (e for e in artifacts.load("Settlement").abi if e.get("name") == "propose")
    assert [(c["name"], c["type"]) for c in propose["inputs"][0]["components"]] == FIELDS


def test_calldata_selectors_are_functions_of_the_abi() -> None:
    from eth_utils.abi import function_abi_to_4byte_selector

    known = {
        bytes(function_abi_to_4byte_selector(entry)): entry["name"]
        for entry in artifacts.load("Settlement").abi
        if entry["type"] == "function"
    }
    made = [
        settlement.set_signer_data(ZERO, CONTRACT),
        settlement.set_successor_data(CONTRACT),
        settlement.pause_data(),
        settlement.unpause_data(),
        settlement.propose_data(ANCHOR, bytes(65), bytes(65)),
        settlement.dispute_data(ZERO, ZERO),
        settlement.resolve_data(ZERO, True, ZERO),
        settlement.finalise_data(ZERO),
        settlement.mark_paid_data(ZERO, ZERO),
        settlement.acknowledge_paid_data(ZERO),
    ]
    names = ["setPartner", "setSuccessor", "pause", "unpause", "propose", "dispute", "resolve", "finalise"]
    names += ["markPaid", "ackPaid"]
    assert [known[data[:4]] for data in made] == names
    writing = {e["name"] for e in artifacts.load("Settlement").abi if _writes(e)}
    assert writing == set(names)


def _writes(entry: dict) -> bool:
    return entry["type"] == "function" and entry["stateMutability"] == "nonpayable"


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((), b""),
        ((b"\x01" * 32,), b""),
        ((abi.topic("Finalised(bytes32)"),), b""),
        ((abi.topic("Finalised(bytes32)"), ZERO), b"\x00" * 32),
        ((abi.topic("PausedSet(bool)"),), b"\x00" * 31 + b"\x02"),
        ((abi.topic("PartnerSet(bytes32,address,uint256)"), ZERO, b"\x01" * 32), ZERO),
    ],
)
def test_a_log_that_the_contract_cannot_have_written_is_refused(topics: tuple[bytes, ...], data: bytes) -> None:
    with pytest.raises(MalformedChainAnswer):
        settlement.events([Log(address=CONTRACT, topics=topics, data=data)], CONTRACT)


def test_logs_of_other_contracts_are_left_out() -> None:
    assert settlement.events([Log(address=BROKER.address, topics=(), data=b"")], CONTRACT) == ()


def test_a_node_signs_without_loading_a_client_or_an_evm() -> None:
    code = (
        "import sys, contracts.settlement; wanted = 'web3 eth_account eth pyrevm vyper http.client rlp'.split(); "
        "print([name for name in wanted if name in sys.modules])"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "[]", done.stderr
