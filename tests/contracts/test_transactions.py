"""Transactions: equal to an independent library's; every second form of one is refused."""

import pytest
import rlp
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from contracts import transactions
from contracts.errors import MalformedTransaction
from contracts.keys import ORDER, Key, checksum

KEY = Key(b"\x21" * 32)
TO = checksum(b"\x42" * 20)


def signed(**changes: object) -> bytes:
    fields = {"to": TO, "data": b"\x01\x02", "nonce": 3, "chain_id": 777, "gas": 90_000, "gas_price": 0, "key": KEY}
    return transactions.sign(**{**fields, **changes})[0]  # type: ignore[arg-type]


@given(
    st.none() | st.binary(min_size=20, max_size=20),
    st.binary(max_size=300),
    st.integers(0, 2**63),
    st.integers(1, 2**31 - 1),
    st.integers(21_000, 2**40),
    st.integers(0, 2**60),
)
def test_a_transaction_is_the_one_an_independent_library_makes(
    to: bytes | None, data: bytes, nonce: int, chain_id: int, gas: int, price: int
) -> None:
    target = None if to is None else checksum(to)
    raw, tx_hash = transactions.sign(
        to=target, data=data, nonce=nonce, chain_id=chain_id, gas=gas, gas_price=price, key=KEY
    )
    fields = {"nonce": nonce, "gasPrice": price, "gas": gas, "value": 0, "data": data, "chainId": chain_id}
    theirs = Account.sign_transaction(fields | {"to": target or b""}, KEY.secret)
    assert raw == bytes(theirs.raw_transaction)
    assert tx_hash == "0x" + bytes(theirs.hash).hex()
    found = transactions.decode(raw)
    assert (found.sender, found.chain_id, found.nonce, found.gas) == (KEY.address, chain_id, nonce, gas)
    assert (found.to, found.data, found.gas_price, found.value, found.hash) == (target, data, price, 0, tx_hash)


def _with(index: int, value: bytes) -> bytes:
    fields = rlp.decode(signed())
    fields[index] = value
    return rlp.encode(fields)


def _high_s() -> bytes:
    fields = rlp.decode(signed())
    v = int.from_bytes(fields[6], "big")
    fields[6] = (v - 1 if v % 2 == 0 else v + 1).to_bytes(2, "big")
    fields[8] = (ORDER - int.from_bytes(fields[8], "big")).to_bytes(32, "big")
    return rlp.encode(fields)


MALFORMED = {
    "empty": b"",
    "text": b"hello",
    "cut": signed()[:-1],
    "followed by a byte": signed() + b"\x00",
    "type 1": b"\x01" + signed(),
    "type 2": b"\x02" + signed(),
    "a list of nothing": rlp.encode([]),
    "eight fields": rlp.encode(rlp.decode(signed())[:8]),
    "ten fields": rlp.encode([*rlp.decode(signed()), b""]),
    "a list as field": rlp.encode([*rlp.decode(signed())[:8], [b""]]),
    "long form of a length": b"\xf8\x02\x80\x80",
    "nonce with a leading zero": _with(0, b"\x00\x03"),
    "nonce zero as a byte": _with(0, b"\x00"),
    "recipient of 19 bytes": _with(3, b"\x42" * 19),
    "value of 33 bytes": _with(4, b"\x01" * 33),
    "v 27: no chain": _with(6, b"\x1b"),
    "v 28: no chain": _with(6, b"\x1c"),
    "v 0": _with(6, b""),
    "r zero": _with(7, b""),
    "s zero": _with(8, b""),
    "r over the order": _with(7, ORDER.to_bytes(32, "big")),
    "high s": _high_s(),
    "gas over 64 bits": _with(2, b"\x01" + bytes(8)),
    "too large": signed(data=bytes(transactions.BYTES_MAX)),
}


@pytest.mark.parametrize("name", list(MALFORMED))
def test_a_malformed_transaction_is_refused(name: str) -> None:
    with pytest.raises(MalformedTransaction):
        transactions.decode(MALFORMED[name])


def test_a_transaction_without_replay_protection_by_another_library_is_refused() -> None:
    fields = {"nonce": 0, "gasPrice": 0, "gas": 21_000, "value": 0, "data": b"", "to": TO}
    raw = bytes(Account.sign_transaction(fields, KEY.secret).raw_transaction)
    with pytest.raises(MalformedTransaction, match="names no chain"):
        transactions.decode(raw)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedTransaction):
        transactions.decode(raw)


@given(st.integers(0, len(signed()) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_another_transaction(place: int, bit: int) -> None:
    raw = bytearray(signed())
    raw[place] ^= 1 << bit
    try:
        found = transactions.decode(bytes(raw))
    except MalformedTransaction:
        return
    assert found.hash != transactions.hash_of(signed())
    assert found.sender != KEY.address
