"""The generator: vectors of NIST SP 800-38A, and streams that never meet."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privacy.psi.oprf import aes
from privacy.psi.oprf.aes import Stream

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
# SP 800-38A, F.5.1 CTR-AES128.Encrypt: its counter block is not one of ours, so its blocks are checked one by one
CTR_BLOCKS = {
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff": "ec8cdf7398607cb0f2d21675ea9ea1e4",
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdff00": "362b7c3c6773516318a077d7fc5073ae",
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdff01": "6a2cc3787889374fbeb4c81b17ba6c44",
}


def block(counter: bytes) -> bytes:
    """One output block of AES-128, by the cipher's block call alone."""
    return Cipher(algorithms.AES128(KEY), modes.ECB()).encryptor().update(counter)


def test_cipher_is_that_of_the_standard() -> None:
    for counter, output in CTR_BLOCKS.items():
        assert block(bytes.fromhex(counter)).hex() == output


def test_stream_is_the_cipher_of_bucket_attempt_and_counter() -> None:
    stream = aes.expand(KEY, Stream(bucket=0x01020304, attempt=0x0A0B0C0D), 16 * 300)[0].tobytes()
    for counter in (0, 1, 255, 256, 299):
        expected = block(bytes.fromhex("010203040a0b0c0d") + counter.to_bytes(8, "big"))
        assert stream[16 * counter : 16 * counter + 16] == expected


def test_mask_of_the_mask_is_the_data_and_works_in_place() -> None:
    data = np.arange(1000, dtype=np.uint8)
    out = np.empty_like(data)
    stream = Stream(bucket=3, attempt=1)
    aes.mask(KEY, stream, data, out)
    assert (out == (data ^ aes.expand(KEY, stream, 1000)[0])).all()
    aes.mask(KEY, stream, out, out)
    assert (out == data).all()


def test_every_seed_bucket_and_attempt_has_its_own_stream() -> None:
    seen = {
        aes.expand(seed, Stream(bucket=bucket, attempt=attempt), 64)[0].tobytes()[i : i + 16]
        for seed in (KEY, bytes(16))
        for bucket in (0, 1, 256, 2**32 - 1)
        for attempt in (0, 1, 256, 2**32 - 1)
        for i in range(0, 64, 16)
    }
    assert len(seen) == 2 * 4 * 4 * 4


@pytest.mark.parametrize(("bucket", "attempt"), [(-1, 0), (2**32, 0), (0, -1), (0, 2**32)])
def test_numbers_that_would_wrap_round_are_a_defect(bucket: int, attempt: int) -> None:
    with pytest.raises(AssertionError):
        Stream(bucket=bucket, attempt=attempt)
