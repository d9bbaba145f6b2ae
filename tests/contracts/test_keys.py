"""Chain keys: addresses and signatures equal an independent library's; files of mode 0600; strict forms only."""

import os
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from contracts import keys
from contracts.errors import BadChainSignature, KeyFileInvalid, MalformedAddress
from contracts.keys import ORDER, Key
from tests.support.entropy import SeededEntropy

SECRETS = st.integers(1, ORDER - 1).map(lambda n: n.to_bytes(32, "big"))


@given(SECRETS, st.binary(min_size=32, max_size=32))
def test_address_and_signature_are_those_of_an_independent_library(secret: bytes, digest: bytes) -> None:
    theirs = Account.from_key(secret)
    assert keys.address(secret) == theirs.address
    signature = Key(secret).sign_digest(digest)
    assert signature == bytes(Account.unsafe_sign_hash(digest, secret).signature)
    assert keys.recover(digest, signature) == theirs.address


def test_an_address_has_the_case_of_eip_55() -> None:
    # the examples of EIP-55
    for text in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):
        assert keys.parse_address(text) == keys.parse_address(text.lower()) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0x",
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
        "0x" + "g" * 40,
        7,
    ],
)
def test_other_forms_of_an_address_are_refused(value: object) -> None:
    with pytest.raises(MalformedAddress):
        keys.parse_address(value)


def test_a_key_is_made_from_the_given_entropy() -> None:
    assert keys.generate(SeededEntropy(b"a")).address == keys.generate(SeededEntropy(b"a")).address
    assert keys.generate(SeededEntropy(b"a")).address != keys.generate(SeededEntropy(b"b")).address


def test_entropy_that_is_no_scalar_is_drawn_again() -> None:
    draws = iter([bytes(32), ORDER.to_bytes(32, "big"), b"\x07" * 32])
    assert keys.generate(lambda count: next(draws)).address == keys.address(b"\x07" * 32)


@pytest.mark.parametrize("secret", [b"", b"\x01" * 31, bytes(32), ORDER.to_bytes(32, "big")])
def test_what_is_no_scalar_is_no_key(secret: bytes) -> None:
    with pytest.raises(KeyFileInvalid):
        Key(secret)


def test_a_key_shows_its_address_only() -> None:
    key = Key(b"\x11" * 32)
    assert repr(key) == f"Key({key.address})"


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "chain.key"
    Key(b"\x11" * 32).write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.read(path).secret == b"\x11" * 32
    with pytest.raises(FileExistsError):
        Key(b"\x12" * 32).write(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileInvalid, match="0600"):
        keys.read(path)


@pytest.mark.parametrize("text", ["", "11" * 31, "zz" * 32, "0x" + "11" * 32, "11" * 33, "00" * 32])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "chain.key"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)
    with pytest.raises(KeyFileInvalid) as caught:
        keys.read(path)
    assert not text or text not in str(caught.value)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileInvalid):
        keys.read(tmp_path / "none.key")


@given(st.binary(min_size=0, max_size=70))
def test_arbitrary_bytes_are_refused_or_recover_some_account(signature: bytes) -> None:
    try:
        found = keys.recover(b"\x01" * 32, signature)
    except BadChainSignature:
        return
    assert len(signature) == 65
    assert keys.parse_address(found) == found
