"""The example network for Hyperledger Besu is the sandbox chain's own example in Besu's words."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import rlp

from contracts import artifacts, blocks
from contracts.keys import parse_address
from sandbox.chain import genesis
from tests.support.sandbox_chain import ROOT

FOLDER = ROOT / "docs" / "examples" / "chain"
EIP_170_BYTES = 24_576


@pytest.fixture(scope="module")
def ours() -> genesis.Genesis:
    return genesis.read(FOLDER / "genesis.json")


@pytest.fixture(scope="module")
def besu() -> Any:
    return json.loads((FOLDER / "besu-qbft-genesis.json").read_text())


def test_chain_number_start_gas_and_balances_are_the_same(ours: genesis.Genesis, besu: Any) -> None:
    assert besu["config"]["chainId"] == ours.chain_id
    assert int(besu["timestamp"], 16) == ours.timestamp
    assert int(besu["gasLimit"], 16) == ours.gas_limit
    alloc = {parse_address("0x" + account): int(item["balance"], 16) for account, item in besu["alloc"].items()}
    assert alloc == dict(ours.alloc)


def test_all_forks_up_to_that_of_the_contracts_hold_from_the_start_and_none_later(
    ours: genesis.Genesis, besu: Any
) -> None:
    forks = {name: at for name, at in besu["config"].items() if name.endswith(("Block", "Time"))}
    assert forks == {"berlinBlock": 0, "londonBlock": 0, f"{genesis.FORK}Time": 0}
    assert artifacts.load("Settlement").evm_version == genesis.FORK == ours.to_body()["fork"]


def test_transactions_cost_nothing_and_code_has_the_size_of_the_sandbox_chain(besu: Any) -> None:
    assert besu["config"]["zeroBaseFee"] is True
    assert besu["config"]["contractSizeLimit"] == EIP_170_BYTES
    assert len(artifacts.load("Settlement").runtime) < EIP_170_BYTES


def test_the_allow_list_is_that_of_the_genesis(ours: genesis.Genesis) -> None:
    listed = tomllib.loads((FOLDER / "besu-permissions.toml").read_text())
    assert set(listed) == {"accounts-allowlist"}
    assert {parse_address(account) for account in listed["accounts-allowlist"]} == ours.senders


def test_block_0_says_that_it_is_qbfts_and_names_the_validators(besu: Any) -> None:
    assert bytes.fromhex(besu["mixHash"][2:]) == blocks.BFT_MIX
    vanity, validators, vote, round_number, seals = rlp.decode(bytes.fromhex(besu["extraData"][2:]), strict=True)
    assert (vanity, vote, round_number, seals) == (bytes(32), [], b"", [])
    assert len(validators) >= 4, "fewer can't bear one that fails"
    assert all(len(validator) == 20 for validator in validators)
    assert besu["config"]["qbft"]["blockperiodseconds"] >= 1


def test_no_key_stands_in_the_example() -> None:
    for path in Path(FOLDER).iterdir():
        assert "private" not in path.read_text().lower(), path.name
