"""The messages of a secure sum as bytes: what is signed is canonical JSON, what is bulky is packed; all is checked.

Requests and replies, phase by phase (`Member` at one end, `Coordinator` at the other):

| phase | request | reply |
|---|---|---|
| deal | names of keys to make | `Dealt`: public parts, shares sealed for each other partner |
| hold | `Dealing`s for this holder | complaints |
| train … | the input itself (Flower records) | `Upload`: signed header, ciphertext |
| answer | the cohort's signed headers (and bodies where the engine needs them) | the answer, signed |
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.horizontal import keys
from federation.horizontal.errors import PhaseMalformed
from privacy import canonical, packing
from privacy.aggregation import PARTNERS_MAX, Slot
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId, parse_digest, parse_partner_id

VERSION = 1
KEYS_MAX = 64  # prepared at once
HEADER_BYTES_MAX = 2_048
SIGNATURE_BYTES = 64
LANES_MAX = 1 << 26
UPLOAD_LABEL = b"ecohub/horizontal/upload/v1\x00"
ANSWER_LABEL = b"ecohub/horizontal/answer/v1\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """A dealer's reply: for each key its public part; for each other partner its shares of all of them, sealed."""

    publics: Mapping[str, bytes]
    sealed: Mapping[PartnerId, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """One dealer's part of a hold request."""

    dealer: PartnerId
    publics: Mapping[str, bytes]
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A holder's word that it does not hold a dealer's key, and the code of why."""

    dealer: PartnerId
    key: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a member was given. digest: all of it in its slot (rule a); content: all of it, whatever the slot; body: the
    weights alone, whatever the slot."""

    digest: Digest
    content: Digest
    body: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a member signs about its upload. public and ciphertext are SHA-256 of those bytes."""

    slot: Slot
    partner: PartnerId
    input: Digest
    count: int
    public: Digest
    ciphertext: Digest

    def encode(self) -> bytes:
        return canonical.encode(
            {
                "version": VERSION,
                **self.slot.to_value(),
                "partner": self.partner,
                "input": self.input,
                "count": self.count,
                "public": self.public,
                "ciphertext": self.ciphertext,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHeader:
    """A header's canonical bytes and its signer's signature over the label and them."""

    data: bytes
    signature: bytes

    @property
    def message(self) -> bytes:
        return UPLOAD_LABEL + self.data

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.data).digest()

    def read(self) -> Header:
        """The header, unverified. Raises PhaseMalformed."""
        return _header(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A member's whole reply to an input."""

    header: SignedHeader
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A holder's reply: the engine's answer and the holder's signature over it, the slot and the cohort."""

    answer: bytes = field(repr=False)
    signature: bytes


def sha256(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


def cohort_digest(headers: Sequence[SignedHeader]) -> bytes:
    """What an answer is for: SHA-256 over the headers' digests in the order they were given."""
    return hashlib.sha256(b"".join(header.digest for header in headers)).digest()


def names_digest(partners: Sequence[str]) -> bytes:
    """Who is in a cohort, whatever the order."""
    value: list[canonical.Value] = [*sorted(partners)]
    return hashlib.sha256(canonical.encode(value)).digest()


def answer_message(slot: Slot, holder: str, cohort: bytes, answer: bytes) -> bytes:
    """The bytes a holder signs."""
    body = {**slot.to_value(), "holder": holder, "cohort": cohort.hex(), "answer": sha256(answer)}
    return ANSWER_LABEL + canonical.encode(body)


def share_header(job: str, dealer: str, holder: str, publics: Mapping[str, bytes]) -> dict[str, canonical.Value]:
    """What a sealed packet of shares is bound to: run, both ends, every key with its public part (rule d)."""
    return {
        "kind": "key-shares",
        "version": VERSION,
        "job": job,
        "dealer": dealer,
        "holder": holder,
        "keys": {key: sha256(data) for key, data in publics.items()},
    }


# --- deal -------------------------------------------------------------------------------------------------------------


def encode_deal(key_names: Sequence[str]) -> bytes:
    names: list[packing.Packed] = list(key_names)
    return packing.pack({"version": VERSION, "keys": names})


def decode_deal(data: bytes) -> tuple[str, ...]:
    names = _list(_fields(data, {"keys"})["keys"], KEYS_MAX)
    if not names or len(set(map(str, names))) != len(names):
        raise PhaseMalformed(why="names of keys, each once")
    return tuple(_key(name) for name in names)


def encode_dealt(dealt: Dealt) -> bytes:
    sealed: dict[str, packing.Packed] = {str(partner): data for partner, data in dealt.sealed.items()}
    return packing.pack({"version": VERSION, "publics": dict(dealt.publics), "sealed": sealed})


def decode_dealt(data: bytes) -> Dealt:
    fields = _fields(data, {"publics", "sealed"})
    sealed = {_partner(name): _bytes(value) for name, value in _dict(fields["sealed"], PARTNERS_MAX).items()}
    return Dealt(publics=_publics(fields["publics"]), sealed=sealed)


def encode_shares(shares: Mapping[str, bytes]) -> bytes:
    """The plain inside a sealed packet."""
    return packing.pack({"version": VERSION, "shares": dict(shares)})


def packet_bytes_max(count: int, share_bytes: int) -> int:
    """The most a sealed packet of `count` shares has: they, and room for their names, form, seal and signature."""
    return count * (share_bytes + 128) + 1_024


def decode_shares(data: bytes) -> dict[str, bytes]:
    return _publics(_fields(data, {"shares"})["shares"])


# --- hold -------------------------------------------------------------------------------------------------------------


def encode_hold(dealings: Sequence[Dealing]) -> bytes:
    items: list[packing.Packed] = [
        {"dealer": one.dealer, "publics": dict(one.publics), "sealed": one.sealed} for one in dealings
    ]
    return packing.pack({"version": VERSION, "dealings": items})


def decode_hold(data: bytes) -> tuple[Dealing, ...]:
    found = []
    for item in _list(_fields(data, {"dealings"})["dealings"], PARTNERS_MAX * KEYS_MAX):
        fields = _dict(item, 3, {"dealer", "publics", "sealed"})
        found.append(
            Dealing(
                dealer=_partner(fields["dealer"]), publics=_publics(fields["publics"]), sealed=_bytes(fields["sealed"])
            )
        )
    return tuple(found)


def encode_held(complaints: Sequence[Complaint]) -> bytes:
    items: list[packing.Packed] = [[one.dealer, one.key, one.code] for one in complaints]
    return packing.pack({"version": VERSION, "complaints": items})


def decode_held(data: bytes) -> tuple[Complaint, ...]:
    found = []
    for item in _list(_fields(data, {"complaints"})["complaints"], PARTNERS_MAX * KEYS_MAX):
        dealer, key, code = _list(item, 3, exact=True)
        if not isinstance(code, str) or not 0 < len(code) <= 80:
            raise PhaseMalformed(why="a complaint's code")
        found.append(Complaint(dealer=_partner(dealer), key=_key(key), code=code))
    return tuple(found)


# --- answer -----------------------------------------------------------------------------------------------------------


def encode_ask(slot: Slot, headers: Sequence[SignedHeader], bodies: Sequence[bytes] = ()) -> bytes:
    pairs: list[packing.Packed] = [[one.data, one.signature] for one in headers]
    name = keys.slot_name(slot)
    return packing.pack({"version": VERSION, "slot": name, "headers": pairs, "bodies": list(bodies)})


def decode_ask(data: bytes, job: Digest) -> tuple[Slot, tuple[SignedHeader, ...], tuple[bytes, ...]]:
    fields = _fields(data, {"slot", "headers", "bodies"})
    headers = tuple(
        signed_header(*_list(item, 2, exact=True)) for item in _list(fields["headers"], PARTNERS_MAX, exact=False)
    )
    bodies = tuple(_bytes(item) for item in _list(fields["bodies"], PARTNERS_MAX))
    return read_slot(fields["slot"], job), headers, bodies


def encode_answer(answer: Answer) -> bytes:
    return packing.pack({"version": VERSION, "answer": answer.answer, "signature": answer.signature})


def decode_answer(data: bytes) -> Answer:
    fields = _fields(data, {"answer", "signature"})
    return Answer(answer=_bytes(fields["answer"]), signature=_signature(fields["signature"]))


# --- parts ------------------------------------------------------------------------------------------------------------


def read_slot(name: Any, job: Digest) -> Slot:
    """Raises PhaseMalformed."""
    if not isinstance(name, str):
        raise PhaseMalformed(why="a slot's name")
    round_, attempt = keys.slot_order(name)
    return Slot(job=job, round=round_, attempt=attempt)


def signed_header(data: Any, signature: Any) -> SignedHeader:
    """A header that is read where it is verified. Raises PhaseMalformed for other sizes."""
    made = SignedHeader(data=_bytes(data), signature=_signature(signature))
    if len(made.data) > HEADER_BYTES_MAX:
        raise PhaseMalformed(why="the size of an upload's header")
    return made


def _header(data: bytes) -> Header:
    names = {"version", "job", "round", "attempt", "partner", "input", "count", "public", "ciphertext"}
    try:
        value = canonical.decode(data)
        if not isinstance(value, dict) or set(value) != names or value["version"] != VERSION:
            raise PhaseMalformed(why="the fields of an upload's header")
        count, round_, attempt = value["count"], value["round"], value["attempt"]
        if type(count) is not int or type(round_) is not int or type(attempt) is not int:
            raise PhaseMalformed(why="the numbers of an upload's header")
        if not 0 < count <= LANES_MAX:
            raise PhaseMalformed(why="the count of an upload's header")
        return Header(
            slot=read_slot(f"{round_}.{attempt}", parse_digest(value["job"])),
            partner=parse_partner_id(value["partner"]),
            input=parse_digest(value["input"]),
            count=count,
            public=parse_digest(value["public"]),
            ciphertext=parse_digest(value["ciphertext"]),
        )
    except PhaseMalformed:
        raise
    except Failure as failure:
        raise PhaseMalformed(why=failure.message()) from None


def _fields(data: bytes, names: set[str]) -> dict[str, packing.Packed]:
    try:
        value = packing.unpack(data)
    except packing.NotPacked as failure:
        raise PhaseMalformed(why=failure.message()) from None
    fields = _dict(value, len(names) + 1, names | {"version"})
    if type(fields["version"]) is not int or fields["version"] != VERSION:
        raise PhaseMalformed(why="its version")
    return fields


def _dict(value: packing.Packed, limit: int, names: set[str] | None = None) -> dict[str, packing.Packed]:
    if not isinstance(value, dict) or len(value) > limit or (names is not None and set(value) != names):
        raise PhaseMalformed(why="its fields")
    return value


def _list(value: packing.Packed, limit: int, exact: bool = False) -> list[packing.Packed]:
    if not isinstance(value, list) or len(value) > limit or (exact and len(value) != limit):
        raise PhaseMalformed(why="a list of the right length is expected")
    return value


def _publics(value: packing.Packed) -> dict[str, bytes]:
    found = {_key(name): _bytes(data) for name, data in _dict(value, KEYS_MAX).items()}
    if not found:
        raise PhaseMalformed(why="no key is named")
    return found


def _key(value: packing.Packed) -> str:
    if not isinstance(value, str):
        raise PhaseMalformed(why="a key's name")
    keys.check_key(value)
    return value


def _partner(value: packing.Packed) -> PartnerId:
    try:
        return parse_partner_id(value)
    except Failure as failure:
        raise PhaseMalformed(why=failure.message()) from None


def _bytes(value: packing.Packed) -> bytes:
    if not isinstance(value, bytes):
        raise PhaseMalformed(why="bytes are expected")
    return value


def _signature(value: packing.Packed) -> bytes:
    data = _bytes(value)
    if len(data) != SIGNATURE_BYTES:
        raise PhaseMalformed(why="a signature of 64 bytes is expected")
    return data
