"""Messages of a secure sum come back as they went, and nothing else is taken for one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.horizontal import keys, wire
from federation.horizontal.errors import PhaseMalformed
from federation.horizontal.wire import Answer, Complaint, Dealing, Dealt, Header, SignedHeader
from privacy import canonical, packing
from privacy.aggregation import Slot
from privacy.ids import PartnerId
from tests.federation.horizontal.parties import JOB

A, B = PartnerId("bank-a"), PartnerId("bank-b")
SLOT = Slot(job=JOB, round=3, attempt=1)
HEADER = Header(slot=SLOT, partner=A, input=JOB, count=7, public=JOB, ciphertext=JOB)
SIGNED = SignedHeader(data=HEADER.encode(), signature=b"s" * 64)
DEALT = Dealt(publics={"3.0": b"p", "4.0": b"q"}, sealed={B: b"sealed"})
DEALINGS = (
    Dealing(dealer=A, publics={"3.0": b"p"}, sealed=b"x"),
    Dealing(dealer=B, publics={"3.0": b"r"}, sealed=b"y"),
)
COMPLAINTS = (Complaint(dealer=A, key="3.0", code="SHARE_WRONG"), Complaint(dealer=B, key="job", code="CANNOT_OPEN"))
ANSWER = Answer(answer=b"sum", signature=b"s" * 64)

MESSAGES: dict[str, tuple[bytes, Any, Any]] = {
    "deal": (wire.encode_deal(["3.0", "4.0"]), wire.decode_deal, ("3.0", "4.0")),
    "dealt": (wire.encode_dealt(DEALT), wire.decode_dealt, DEALT),
    "shares": (wire.encode_shares({"3.0": b"share"}), wire.decode_shares, {"3.0": b"share"}),
    "hold": (wire.encode_hold(DEALINGS), wire.decode_hold, DEALINGS),
    "held": (wire.encode_held(COMPLAINTS), wire.decode_held, COMPLAINTS),
    "ask": (
        wire.encode_ask(SLOT, [SIGNED], [b"body"]),
        lambda data: wire.decode_ask(data, JOB),
        (SLOT, (SIGNED,), (b"body",)),
    ),
    "answer": (wire.encode_answer(ANSWER), wire.decode_answer, ANSWER),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_comes_back(name: str) -> None:
    data, decode, value = MESSAGES[name]
    assert decode(data) == value


@pytest.mark.parametrize("name", MESSAGES)
def test_no_byte_can_change_unseen(name: str) -> None:
    """Every change of one byte is refused or read as another value; nothing but PhaseMalformed comes out."""
    data, decode, value = MESSAGES[name]
    for position in range(len(data)):
        for flip in (1, 0x20, 0x80):
            changed = data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :]
            try:
                assert decode(changed) != value
            except PhaseMalformed:
                continue


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_whole(name: str) -> None:
    data, decode, _ = MESSAGES[name]
    for cut in (data[:-1], data + b"\0", b"", data[:8]):
        with pytest.raises(PhaseMalformed):
            decode(cut)


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=200))
def test_random_bytes_are_refused(name: str, raw: bytes) -> None:
    with pytest.raises(PhaseMalformed):
        MESSAGES[name][1](raw)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("other", MESSAGES)
def test_one_message_is_not_another(name: str, other: str) -> None:
    if name != other:
        with pytest.raises(PhaseMalformed):
            MESSAGES[name][1](MESSAGES[other][0])


BAD: dict[str, tuple[Any, Any]] = {
    "no key": (wire.decode_deal, {"version": 1, "keys": []}),
    "a key twice": (wire.decode_deal, {"version": 1, "keys": ["1.0", "1.0"]}),
    "not a key": (wire.decode_deal, {"version": 1, "keys": ["1.0/x"]}),
    "a number for a key": (wire.decode_deal, {"version": 1, "keys": [1]}),
    "too many keys": (wire.decode_deal, {"version": 1, "keys": [f"{i}.0" for i in range(65)]}),
    "another version": (wire.decode_deal, {"version": 2, "keys": ["1.0"]}),
    "true for a version": (wire.decode_deal, {"version": True, "keys": ["1.0"]}),
    "an array for bytes": (wire.decode_shares, {"version": 1, "shares": {"1.0": np.zeros(3)}}),
    "no shares": (wire.decode_shares, {"version": 1, "shares": {}}),
    "a stranger's name": (wire.decode_dealt, {"version": 1, "publics": {"1.0": b""}, "sealed": {"BANK": b""}}),
    "a dealing cut": (wire.decode_hold, {"version": 1, "dealings": [{"dealer": "bank-a", "sealed": b""}]}),
    "a code too long": (wire.decode_held, {"version": 1, "complaints": [["bank-a", "1.0", "X" * 81]]}),
    "no code": (wire.decode_held, {"version": 1, "complaints": [["bank-a", "1.0", ""]]}),
    "a pair": (wire.decode_held, {"version": 1, "complaints": [["bank-a", "1.0"]]}),
    "a short signature": (wire.decode_answer, {"version": 1, "answer": b"", "signature": b"s"}),
}


@pytest.mark.parametrize("case", BAD)
def test_other_forms_are_refused(case: str) -> None:
    decode, value = BAD[case]
    with pytest.raises(PhaseMalformed):
        decode(packing.pack(value))


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0},
        {"count": True},
        {"count": wire.LANES_MAX + 1},
        {"round": -1},
        {"round": True},
        {"round": "3"},
        {"round": 100_001},
        {"attempt": 1_001},
        {"job": "x"},
        {"partner": "x y"},
        {"input": JOB.upper()},
        {"version": 2},
        {"extra": 1},
    ],
)
def test_a_header_holds_what_it_should(change: dict[str, Any]) -> None:
    value = canonical.decode(HEADER.encode())
    assert isinstance(value, dict)
    assert SignedHeader(data=HEADER.encode(), signature=b"").read() == HEADER
    with pytest.raises(PhaseMalformed):
        SignedHeader(data=canonical.encode({**value, **change}), signature=b"").read()


def test_a_header_is_canonical_and_small() -> None:
    with pytest.raises(PhaseMalformed):
        SignedHeader(data=HEADER.encode() + b" ", signature=b"").read()
    with pytest.raises(PhaseMalformed):
        wire.signed_header(b"x" * (wire.HEADER_BYTES_MAX + 1), bytes(64))


def test_what_is_signed_tells_its_kind_and_all_it_is_for() -> None:
    assert SIGNED.message == b"ecohub/horizontal/upload/v1\x00" + HEADER.encode()
    base = wire.answer_message(SLOT, A, b"c" * 32, b"answer")
    others = [
        wire.answer_message(Slot(job=JOB, round=4, attempt=1), A, b"c" * 32, b"answer"),
        wire.answer_message(SLOT, B, b"c" * 32, b"answer"),
        wire.answer_message(SLOT, A, b"d" * 32, b"answer"),
        wire.answer_message(SLOT, A, b"c" * 32, b"other"),
    ]
    assert len({base, *others}) == 5
    assert wire.names_digest([A, B]) == wire.names_digest([B, A]) != wire.names_digest([A])


# --- names of what a member keeps -------------------------------------------------------------------------------------


def test_names_are_prefix_free() -> None:
    names = [
        keys.own("1.0"),
        keys.own("job"),
        keys.share("1.0", A),
        keys.public("job"),
        keys.given("1.0"),
        keys.uploaded("1.0"),
        keys.used("1.0", A),
        keys.answered(JOB),
        keys.LATEST,
    ]
    assert not [(x, y) for x in names for y in names if x != y and y.startswith(x + "/")]


@pytest.mark.parametrize(
    "name", ["", "1", "1.", ".1", "01.0", "1.00", "-1.0", "1.0.0", "1000000.0", "١.0", " 1.0", "x"]
)
def test_a_slot_has_one_name(name: str) -> None:
    with pytest.raises(PhaseMalformed):
        keys.slot_order(name)


def test_older_slots_are_removed_and_what_was_used_is_remembered() -> None:
    made = {
        name: b""
        for slot in ("2.0", "9.0", "9.1", "10.0")
        for name in (keys.own(slot), keys.share(slot, A), keys.given(slot), keys.uploaded(slot), keys.used(slot, A))
    } | {keys.own("job"): b"", keys.share("job", A): b"", keys.answered(JOB): b"", keys.LATEST: b"9.0"}
    gone = set(keys.older(made, "9.1"))
    assert gone == {name for name in made if ("/2.0" in name or "/9.0" in name) and not name.startswith("used")}
