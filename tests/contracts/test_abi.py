"""The ABI's words and tails equal eth_abi's; what comes back is length-checked."""

import eth_abi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import abi
from contracts.errors import MalformedChainAnswer
from contracts.keys import checksum

WORD = st.binary(min_size=32, max_size=32)
UINT = st.integers(0, 2**256 - 1)


@given(WORD, UINT, st.booleans(), st.binary(max_size=100), st.binary(max_size=100), st.lists(WORD, max_size=5))
def test_arguments_are_encoded_as_by_eth_abi(
    word: bytes, number: int, truth: bool, first: bytes, second: bytes, many: list[bytes]
) -> None:
    ours = abi.encode([word, number, truth], [abi.byte_string(first), abi.byte_string(second), abi.array(many)])
    kinds = ["bytes32", "uint256", "bool", "bytes", "bytes", "bytes32[]"]
    assert ours == eth_abi.encode(kinds, [word, number, truth, first, second, many])


@given(st.binary(min_size=20, max_size=20))
def test_addresses_are_words(raw: bytes) -> None:
    word = abi.address_word(checksum(raw))
    assert word == eth_abi.encode(["address"], [checksum(raw)])
    assert abi.address(word) == checksum(raw)


def test_selectors_and_topics() -> None:
    # the ERC-20 standard's, seen on every chain
    assert abi.selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert abi.topic("Transfer(address,address,uint256)").hex().startswith("ddf252ad1be2c89b")


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33), bytes(64)])
def test_another_number_of_words_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedChainAnswer):
        abi.words(data, 1)


def test_padding_must_be_zero() -> None:
    with pytest.raises(MalformedChainAnswer):
        abi.address(b"\x01" + bytes(31))
    with pytest.raises(MalformedChainAnswer):
        abi.boolean(bytes(31) + b"\x02")


@given(st.text(max_size=60))
def test_a_revert_reason_is_read(text: str) -> None:
    data = abi.selector("Error(string)") + eth_abi.encode(["string"], [text])
    assert abi.revert_reason(data) == text


@given(st.binary(max_size=100))
def test_any_other_revert_data_has_no_reason(data: bytes) -> None:
    assert abi.revert_reason(data) == ""
    assert len(abi.revert_reason(abi.selector("Error(string)") + data)) <= 200
