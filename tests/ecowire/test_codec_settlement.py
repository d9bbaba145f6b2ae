"""The disclosure of a statement: round trip, strictness, sealing; and the anchor of a statement."""

from typing import Any

import pytest

from contracts.errors import AnchorInvalid
from ecowire import codec_settlement, documents
from ecowire.codec_settlement import Disclosure
from ecowire.status import MalformedMessage
from privacy import canonical, packing
from privacy.errors import Failure
from privacy.ids import Digest
from privacy.seal import CannotOpen
from revenue_share import statement
from revenue_share.errors import StatementDiffers
from revenue_share.referral import EventReport, ReferralReport
from revenue_share.statement import Place
from tests.support.revenue import (
    OCTOBER,
    PAYER,
    REFERRER,
    agreement,
    allocate,
    event,
    referral,
    salts,
    sealing_key,
    signing_key,
)

TERMS = agreement()
REFERRALS = (referral(1), referral(2))
EVENTS = (event("e1", 1, 2000),)
LINES = allocate(TERMS, REFERRALS, EVENTS, OCTOBER)
MADE = statement.build(TERMS, OCTOBER, Place(), LINES, salts(2))
REFERRED = ReferralReport(agreement=TERMS.digest, alignment=Digest("ef" * 32), referrals=REFERRALS)
INCOME = EventReport(agreement=TERMS.digest, period=OCTOBER, currency="CNY", events=EVENTS)
DISCLOSED = Disclosure(
    body=MADE.body,
    lines=tuple(line.to_value() for line in LINES),
    salts=salts(2),
    events=(documents.sign("events", INCOME.to_body(), PAYER, signing_key(PAYER)),),
    referrals=(documents.sign("referrals", REFERRED.to_body(), REFERRER, signing_key(REFERRER)),),
)


def test_a_disclosure_is_read_back() -> None:
    assert codec_settlement.decode(DISCLOSED.encode()) == DISCLOSED
    assert DISCLOSED.id == MADE.id


def test_it_opens_for_its_recipient_under_its_statement_only() -> None:
    sealed = codec_settlement.sealed_for(DISCLOSED, REFERRER, sealing_key(REFERRER).public)
    opened = codec_settlement.open_disclosure(sealed, MADE.id, REFERRER, sealing_key(REFERRER))
    assert opened == DISCLOSED
    for name, recipient, key in (
        (MADE.id, PAYER, sealing_key(REFERRER)),
        (MADE.id, REFERRER, sealing_key(PAYER)),
        (Digest("00" * 32), REFERRER, sealing_key(REFERRER)),
    ):
        with pytest.raises(CannotOpen):
            codec_settlement.open_disclosure(sealed, name, recipient, key)


def parts(**changes: Any) -> bytes:
    found = packing.unpack(DISCLOSED.encode())
    assert isinstance(found, dict)
    return packing.pack({**found, **changes})


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"extra": b""}, MalformedMessage),
        ({"salts": b"short"}, MalformedMessage),
        ({"salts": "text"}, MalformedMessage),
        ({"total_salt": b""}, StatementDiffers),
        ({"salts": bytes(64)}, StatementDiffers),
        ({"statement": b"[]"}, MalformedMessage),
        ({"lines": b"{}"}, MalformedMessage),
        ({"lines": b"[1]"}, MalformedMessage),
        ({"lines": b"[ ]"}, canonical.NotCanonical),
        ({"events": canonical.encode([{"kind": "events"}])}, MalformedMessage),
        ({"events": canonical.encode([DISCLOSED.referrals[0].to_value()])}, MalformedMessage),
    ],
)
def test_another_form_is_refused(changes: dict[str, Any], failure: type[Failure]) -> None:
    with pytest.raises(failure):
        codec_settlement.decode(parts(**changes))


def test_a_statement_announced_as_another(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Disclosure(
        **{**{f: getattr(DISCLOSED, f) for f in DISCLOSED.__slots__}, "body": {**MADE.body, "version": 2}}
    )
    key = sealing_key(REFERRER)
    header: canonical.Value = {"statement": MADE.id, "recipient": REFERRER}
    from privacy import seal

    sealed = seal.seal(other.encode(), header, key.public)
    with pytest.raises(MalformedMessage):
        codec_settlement.open_disclosure(sealed, MADE.id, REFERRER, key)


def test_the_anchor_holds_the_commitments_and_no_figure() -> None:
    anchor = codec_settlement.anchor(MADE)
    assert anchor.root.hex() == MADE.lines_root
    assert (anchor.sequence, anchor.period, anchor.lines) == (1, 202610, 2)
    assert anchor.terms.hex() == TERMS.digest
    shown = codec_settlement.anchor_value(MADE)
    assert set(shown) == set(type(anchor).__dataclass_fields__)
    assert {name for name, value in shown.items() if isinstance(value, int)} == {"sequence", "period", "lines"}


def test_a_statement_without_lines_has_no_anchor() -> None:
    empty = statement.build(TERMS, OCTOBER, Place(), (), salts(0))
    with pytest.raises(AnchorInvalid):
        codec_settlement.anchor(empty)
