"""Every state is kept: after a restart any question may still name any block, and proofs lead to that block's root."""

from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
from trie import HexaryTrie

from contracts.chain import Chain
from contracts.keys import raw_address
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEEPER, KEYS, Local, keeper_story, local

WORDS = [7, 0, 2**256 - 1, 0, 5]
CONTRACT, RAWS = keeper_story(WORDS)
EXPECTED = [None, 0, *WORDS]  # what the keeper holds after each block; None: not there yet
SUBMITTER, GOVERNOR = KEYS["submitter"].address, KEYS["governor"].address


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A chain that was stopped and opened again."""
    path = tmp_path_factory.mktemp("history") / "ledger.db"
    with local(path=path) as first:
        for raw in RAWS:
            first.chain.send(raw)
    with local(path=path) as again:
        yield again


@pytest.fixture(scope="module", params=["chain", "reader"])
def chain(served: Local, request: pytest.FixtureRequest) -> Iterator[Chain]:
    server = served.server if request.param == "chain" else served.reader
    with Chain(server.endpoint, CHAIN_ID) as one:
        yield one


def word(value: int) -> str:
    return "0x" + value.to_bytes(32, "big").hex()


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_each_block_answers_with_its_own_state(chain: Chain, number: int) -> None:
    held, tag = EXPECTED[number], hex(number)
    assert chain.ask("eth_call", {"to": CONTRACT}, tag) == ("0x" if held is None else word(held))
    assert chain.ask("eth_getStorageAt", CONTRACT, "0x0", tag) == word(held or 0)
    assert chain.ask("eth_getTransactionCount", SUBMITTER, tag) == hex(number)
    assert chain.ask("eth_getCode", CONTRACT, tag) == ("0x" if held is None else "0x" + KEEPER[9:].hex())
    assert chain.ask("eth_getBalance", GOVERNOR, tag) == hex(10**18)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_each_block_proves_its_own_state(chain: Chain, number: int) -> None:
    held = EXPECTED[number]
    root = bytes.fromhex(chain.block(number).state_root[2:])
    found = chain.ask("eth_getProof", CONTRACT, ["0x0"], hex(number))
    leaf = proved(root, raw_address(CONTRACT), found["accountProof"])
    if held is None:
        assert leaf == b""
        return
    _, _, storage_root, code_hash = rlp.decode(leaf)
    assert code_hash == keccak(KEEPER[9:])
    assert "0x" + storage_root.hex() == found["storageHash"]
    (slot,) = found["storageProof"]
    value = proved(storage_root, bytes(32), slot["proof"]) if slot["proof"] else b""
    assert int.from_bytes(rlp.decode(value) if value else b"", "big") == held == int(slot["value"], 16)


def proved(root: bytes, key: bytes, nodes: list[str]) -> bytes:
    """The value that a proof leads to, or nothing where it proves absence."""
    decoded = [rlp.decode(bytes.fromhex(node[2:])) for node in nodes]
    return bytes(HexaryTrie.get_from_proof(root, keccak(key), decoded))


def test_a_proof_of_one_block_does_not_hold_at_another(chain: Chain) -> None:
    from trie.exceptions import BadTrieProof

    nodes = chain.ask("eth_getProof", CONTRACT, ["0x0"], "0x2")["accountProof"]
    with pytest.raises(BadTrieProof):
        proved(bytes.fromhex(chain.block(3).state_root[2:]), raw_address(CONTRACT), nodes)


def test_logs_of_old_blocks_are_found_after_a_restart(chain: Chain) -> None:
    for i, value in enumerate(WORDS):
        (log,) = chain.logs(CONTRACT, i + 2, i + 2)
        assert log.topics == (value.to_bytes(32, "big"),)
    assert [log.topics[0] for log in chain.logs(CONTRACT, 0, chain.head())] == [
        value.to_bytes(32, "big") for value in WORDS
    ]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_call_at_an_old_block_has_that_blocks_number_and_time(chain: Chain, number: int) -> None:
    # NUMBER, TIMESTAMP, each returned by code that is run as a deployment
    for opcode, expected in (("43", number), ("42", int(chain.block(number).time.timestamp()))):
        answer: Any = chain.ask("eth_call", {"data": f"0x{opcode}5f5260205ff3"}, hex(number))
        assert int(answer, 16) == expected


def test_the_genesis_digest_stands_in_block_0(chain: Chain) -> None:
    assert chain.ask("eth_getBlockByNumber", "0x0", False)["extraData"] == "0x" + GENESIS.digest
