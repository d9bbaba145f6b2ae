"""Signatures and sealed messages: RFC 8032 and RFC 9180 known answers, and every altered byte."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy import canonical, seal

# RFC 8032 section 7.1, test 2
RFC8032_SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
RFC8032_PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
RFC8032_SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
HEADER: seal.canonical.Value = {"job": "j", "sender": "bank", "recipient": "broker"}


def test_signature_equals_the_rfc_8032_vector() -> None:
    key = seal.SigningKey(bytes.fromhex(RFC8032_SEED))
    assert key.public.hex() == RFC8032_PUBLIC
    assert key.sign(b"\x72").hex() == RFC8032_SIGNATURE


def test_sealed_bytes_open_for_their_recipient_only() -> None:
    recipient, other = seal.SealingKey(b"\x01" * 32), seal.SealingKey(b"\x02" * 32)
    sealed = seal.seal(b"points", HEADER, recipient.public)
    assert len(sealed) == len(b"points") + seal.SEAL_OVERHEAD_BYTES
    assert recipient.open(sealed, HEADER) == b"points"
    with pytest.raises(seal.CannotOpen):
        other.open(sealed, HEADER)
    with pytest.raises(seal.CannotOpen):
        recipient.open(sealed, {**HEADER, "job": "k"})  # type: ignore[dict-item]


def test_every_altered_byte_of_a_sealed_message_is_refused() -> None:
    recipient = seal.SealingKey(b"\x01" * 32)
    sealed = seal.seal(b"some plain text", HEADER, recipient.public)
    for i in range(len(sealed)):
        altered = bytearray(sealed)
        altered[i] ^= 0x20
        with pytest.raises(seal.CannotOpen):
            recipient.open(bytes(altered), HEADER)
    for length in range(len(sealed)):
        with pytest.raises(seal.CannotOpen):
            recipient.open(sealed[:length], HEADER)


def test_every_altered_byte_of_a_signature_is_refused() -> None:
    key = seal.SigningKey(b"\x03" * 32)
    signature = key.sign(b"message")
    seal.verify(key.public, signature, b"message", signer="bank", what="approval")
    for i in range(len(signature)):
        altered = bytearray(signature)
        altered[i] ^= 1
        with pytest.raises(seal.BadSignature):
            seal.verify(key.public, bytes(altered), b"message", signer="bank", what="approval")
    with pytest.raises(seal.BadSignature):
        seal.verify(key.public, signature, b"messagf", signer="bank", what="approval")


# RFC 7748 section 6.1: two private keys, and the secret that they share
RFC7748_FIRST = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
RFC7748_SECOND = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
RFC7748_SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def test_two_keys_share_one_key_for_each_context() -> None:
    first, second = (seal.SealingKey(bytes.fromhex(text)) for text in (RFC7748_FIRST, RFC7748_SECOND))
    lower, upper = sorted((first.public, second.public))
    info = b"ecohub/shared-key/v1\x00" + lower + upper + canonical.encode({"run": "r"})
    expected = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(bytes.fromhex(RFC7748_SHARED))
    assert first.shared_key(second.public, {"run": "r"}) == expected
    assert second.shared_key(first.public, {"run": "r"}) == expected
    third = seal.SealingKey(b"\x02" * 32)
    others = [first.shared_key(second.public, {"run": "q"}), first.shared_key(third.public, {"run": "r"})]
    assert len({expected, *others}) == 3


def test_no_key_is_shared_with_a_point_of_small_order() -> None:
    with pytest.raises(seal.KeyUnfit):
        seal.SealingKey(b"\x01" * 32).shared_key(bytes(32), {"run": "r"})


def test_keys_do_not_show_themselves() -> None:
    seed = b"\x07" * 32
    for text in (repr(seal.SigningKey(seed)), repr(seal.SealingKey(seed))):
        assert seed.hex() not in text
