"""The genesis file: strict, canonical, fixed by the hash of block 0."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.chain import genesis
from sandbox.chain.errors import GenesisInvalid
from sandbox.chain.evm import Ledger
from sandbox.chain.store import Store
from tests.support.sandbox_chain import GENESIS, KEYS, OUTSIDER

BODY = GENESIS.to_body()


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    genesis.write(GENESIS, path)
    assert genesis.read(path) == GENESIS
    with pytest.raises(GenesisInvalid, match="exists"):
        genesis.write(GENESIS, path)


def test_the_digest_does_not_depend_on_spelling() -> None:
    lower = {**BODY, "senders": [sender.lower() for sender in reversed(BODY["senders"])]}
    assert genesis.from_body(lower).digest == GENESIS.digest


def test_a_known_answer_fixes_the_digest() -> None:
    # SHA-256("ecohub/chain-genesis/v1" || 0x00 || canonical JSON), computed with hashlib and json alone
    assert GENESIS.digest == "efa2969d6d311eb5441eb5b9dd9f6acc33758cc169f384461f72a7fa41d6738a"


CHANGES = [
    {"chain_id": 0},
    {"chain_id": 2**31},
    {"chain_id": True},
    {"chain_id": "1"},
    {"timestamp": 0},
    {"timestamp": 1.5},
    {"gas_limit": 10},
    {"gas_limit": 10**10},
    {"fork": "london"},
    {"senders": []},
    {"senders": "all"},
    {"senders": ["0x12"]},
    {"senders": [KEYS["broker"].address, KEYS["broker"].address.lower()]},
    {"alloc": []},
    {"alloc": {"0x12": "1"}},
    {"alloc": {KEYS["broker"].address: 1}},
    {"alloc": {KEYS["broker"].address: "-1"}},
    {"alloc": {KEYS["broker"].address: "1e3"}},
    {"alloc": {KEYS["broker"].address: "9" * 78}},
    {"alloc": {KEYS["broker"].address: "1", KEYS["broker"].address.lower(): "2"}},
    {"extra": 1},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_another_form_is_refused(change: dict) -> None:
    with pytest.raises(GenesisInvalid):
        genesis.from_body({**BODY, **change})


@pytest.mark.parametrize("field", sorted(BODY))
def test_every_field_is_needed(field: str) -> None:
    with pytest.raises(GenesisInvalid, match=field):
        genesis.from_body({name: value for name, value in BODY.items() if name != field})


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_that_is_no_genesis_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(text)
    with pytest.raises(GenesisInvalid):
        genesis.read(path)
    with pytest.raises(GenesisInvalid, match="absent"):
        genesis.read(tmp_path / "absent.json")


def _hash(begun: genesis.Genesis) -> bytes:
    store = Store(None)
    found = Ledger(store, begun).head().hash
    store.close()
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 7},
        {"timestamp": 1},
        {"gas_limit": 50_000_000},
        {"senders": GENESIS.senders | {OUTSIDER.address}},
        {"alloc": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_of_block_0_fixes_every_field(change: dict) -> None:
    assert _hash(replace(GENESIS, **change)) != _hash(GENESIS)


def test_the_genesis_block_carries_the_digest() -> None:
    store = Store(None)
    header = Ledger(store, GENESIS).header(0)
    store.close()
    assert header is not None
    assert header.extra_data.hex() == GENESIS.digest
    assert json.loads(json.dumps(BODY)) == BODY
