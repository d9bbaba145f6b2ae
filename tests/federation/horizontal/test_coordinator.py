"""The hub's side without Flower: who may take part, what is believed of a reply, and what a resumed run knows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation.horizontal import keys, wire
from federation.horizontal.coordinator import Coordinator, Event
from federation.horizontal.errors import PartnerRefused, QuorumMissing
from federation.horizontal.keyring import Keyring
from federation.horizontal.wire import Complaint, Dealing, Dealt, Upload
from privacy import packing
from privacy.aggregation import Slot
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from tests.federation.horizontal.parties import JOB, Parties, roster

A, B, C, D = map(PartnerId, ("bank-a", "bank-b", "bank-c", "bank-d"))
INPUT = wire.Input(digest=Digest("11" * 32), content=Digest("12" * 32), body=Digest("22" * 32))
COUNT = 5
Tamper = Callable[[str, PartnerId, bytes], "bytes | Failure | None"]


def slot(round_: int, attempt: int = 0) -> Slot:
    return Slot(job=JOB, round=round_, attempt=attempt)


class Line:
    """Members at the other end of an exchange; `tamper` may change a reply, drop it (None) or make it a failure."""

    def __init__(self, parties: Parties, tamper: Tamper = lambda phase, partner, data: data) -> None:
        self.parties, self.tamper = parties, tamper
        self.asked: list[tuple[str, PartnerId]] = []

    def __call__(self, phase: str, slot_: Slot, requests: Mapping[PartnerId, bytes]) -> Iterable[Any]:
        for partner, data in requests.items():
            self.asked.append((phase, partner))
            reply = self.tamper(phase, partner, self._answer(phase, partner, data))
            if reply is not None:
                yield partner, reply

    def _answer(self, phase: str, partner: PartnerId, data: bytes) -> bytes:
        member = self.parties.members[partner]
        if phase == "deal":
            return wire.encode_dealt(member.deal(wire.decode_deal(data)))
        if phase == "hold":
            return wire.encode_held(member.hold(wire.decode_hold(data)))
        slot_, headers, bodies = wire.decode_ask(data, JOB)
        return wire.encode_answer(member.answer(slot_, headers, bodies))

    def uploads(self, slot_: Slot, partners: Iterable[PartnerId]) -> Iterable[tuple[PartnerId, Upload]]:
        for partner in partners:
            member = self.parties.members[partner]
            member.take(slot_, INPUT)
            yield partner, member.upload(slot_, np.full(COUNT, member.roster.place(partner), np.int64))


def coordinator(parties: Parties, events: list[Event] | None = None, **options: Any) -> Coordinator:
    on_event = (lambda event: None) if events is None else events.append
    options = {"prepare_rounds": 2, **options}
    return Coordinator(parties.roster, parties.engine, parties.verifier, JOB, on_event=on_event, **options)


def summed(made: Coordinator, line: Line, slot_: Slot, asked: tuple[PartnerId, ...]) -> list[int]:
    ready = made.prepare(slot_, asked, line)
    gathered = made.gather(slot_, INPUT, ready, line.uploads(slot_, ready), COUNT, "train")
    return made.open(gathered, ready, line).lanes.tolist()


def test_a_sum_from_start_to_end() -> None:
    parties = Parties(roster(4))
    assert summed(coordinator(parties), Line(parties), slot(1), parties.roster.partners) == [1 + 2 + 3 + 4] * COUNT


def short_publics(data: bytes) -> bytes:
    dealt = wire.decode_dealt(data)
    return wire.encode_dealt(Dealt(publics={"9.0": b"x"}, sealed=dealt.sealed))


def fewer_packets(data: bytes) -> bytes:
    dealt = wire.decode_dealt(data)
    return wire.encode_dealt(Dealt(publics=dealt.publics, sealed=dict(list(dealt.sealed.items())[1:])))


def padded_public(data: bytes) -> bytes:
    dealt = wire.decode_dealt(data)
    return wire.encode_dealt(replace(dealt, publics={key: public + b"0" for key, public in dealt.publics.items()}))


def padded_packet(data: bytes) -> bytes:
    dealt = wire.decode_dealt(data)
    return wire.encode_dealt(replace(dealt, sealed={**dealt.sealed, A: dealt.sealed[A] + bytes(2_000)}))


REFUSAL = PartnerRefused(partner=B, party_code="DISK_FULL", party_en="no", party_zh="否")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (short_publics, "UPLOAD_MALFORMED"),
        (fewer_packets, "UPLOAD_MALFORMED"),
        (padded_public, "UPLOAD_MALFORMED"),
        (padded_packet, "UPLOAD_MALFORMED"),
        (lambda data: b"", "PHASE_MALFORMED"),
        (lambda data: REFUSAL, "DISK_FULL"),
        (lambda data: None, "no answer"),
    ],
)
def test_a_dealer_without_a_proper_dealing_does_not_upload(change: Callable[[bytes], Any], code: str) -> None:
    parties, events = Parties(roster(4)), []
    line = Line(parties, lambda phase, partner, data: change(data) if (phase, partner) == ("deal", B) else data)
    ready = coordinator(parties, events).prepare(slot(1), parties.roster.partners, line)
    assert ready == (A, C, D)
    assert [event.states[B] for event in events if event.phase == "deal"] == ["asked", code]


def test_too_few_dealers_are_told_with_their_reasons() -> None:
    parties = Parties(roster(3))
    line = Line(parties, lambda phase, partner, data: REFUSAL if (phase, partner) == ("deal", B) else data)
    with pytest.raises(QuorumMissing, match=r"bank-b \(DISK_FULL\)"):
        coordinator(parties).prepare(slot(1), parties.roster.partners, line)


@pytest.mark.parametrize("what", ["random", "unsigned", "of another slot", "cut"])
def test_an_answer_that_is_not_one_is_not_counted(what: str) -> None:
    parties, events = Parties(roster(4)), []

    def change(data: bytes) -> bytes:
        true = wire.decode_answer(data)
        if what == "random":
            return wire.encode_answer(wire.Answer(answer=bytes(len(true.answer)), signature=true.signature))
        if what == "unsigned":
            return wire.encode_answer(wire.Answer(answer=true.answer, signature=bytes(64)))
        if what == "cut":
            short = true.answer[:-1]
            return wire.encode_answer(wire.Answer(answer=short, signature=signed(short)))
        other = parties.identity(B).sign(wire.answer_message(slot(2), B, bytes(32), true.answer))
        return wire.encode_answer(wire.Answer(answer=true.answer, signature=other))

    headers: list[Any] = []

    def signed(answer: bytes) -> bytes:
        message = wire.answer_message(slot(1), B, wire.cohort_digest(headers), answer)
        return parties.identity(B).sign(message)

    def tamper(phase: str, partner: PartnerId, data: bytes) -> bytes:
        return change(data) if (phase, partner) == ("answer", B) else data

    made, line = coordinator(parties, events), Line(parties, tamper)
    ready = made.prepare(slot(1), parties.roster.partners, line)
    gathered = made.gather(slot(1), INPUT, ready, line.uploads(slot(1), ready), COUNT, "train")
    headers += gathered.headers
    assert made.open(gathered, ready, line).lanes.tolist() == [10] * COUNT  # three of four are enough
    assert events[-1].states[B] in {"BAD_SIGNATURE", "ANSWER_MALFORMED"}
    assert {state for partner, state in events[-1].states.items() if partner != B} == {"ok"}


def test_too_few_answers_are_told_with_their_reasons() -> None:
    parties = Parties(roster(4))
    lost = {B: None, C: REFUSAL}
    line = Line(parties, lambda phase, p, data: lost.get(p, data) if phase == "answer" else data)
    with pytest.raises(QuorumMissing) as caught:
        summed(coordinator(parties), line, slot(1), parties.roster.partners)
    assert caught.value.facts["missing"] == "bank-b (no answer), bank-c (DISK_FULL)"
    assert caught.value.facts["needed"] == 3


def test_an_event_has_the_failure_behind_a_code() -> None:
    parties, events = Parties(roster(4)), []
    made, line = coordinator(parties, events), Line(parties)
    ready = made.prepare(slot(1), parties.roster.partners, line)
    sent = [(p, REFUSAL if p == B else upload) for p, upload in line.uploads(slot(1), ready)]
    gathered = made.gather(slot(1), INPUT, ready, sent, COUNT, "train")
    assert events[-1].failures == {B: REFUSAL}
    line.tamper = lambda phase, partner, data: REFUSAL if partner == D else data
    made.open(gathered, ready, line)
    assert (events[-1].phase, events[-1].failures) == ("answer", {D: REFUSAL})


def test_uploads_count_once_and_from_those_asked() -> None:
    parties, events = Parties(roster(5)), []
    made, line = coordinator(parties, events), Line(parties)
    ready = made.prepare(slot(1), parties.roster.partners, line)
    sent = list(line.uploads(slot(1), ready))
    asked = ready[:4]
    gathered = made.gather(slot(1), INPUT, asked, [*sent, *sent], COUNT, "train")
    assert gathered.partners == asked


def test_who_was_away_gets_its_shares_later() -> None:
    parties = Parties(roster(4))
    made, line = coordinator(parties), Line(parties)
    assert summed(made, line, slot(1), (A, B, C)) == [1 + 2 + 3] * COUNT
    line.asked.clear()
    ready = made.prepare(slot(2), parties.roster.partners, line)
    assert ready == parties.roster.partners
    assert ("deal", D) in line.asked and ("hold", D) in line.asked
    assert ("deal", A) not in line.asked  # had keys for this round already
    fresh = wire.Input(digest=Digest("33" * 32), content=Digest("34" * 32), body=Digest("44" * 32))
    for partner in ready:
        parties.members[partner].take(slot(2), fresh)
    sent = [(p, parties.members[p].upload(slot(2), np.ones(COUNT, np.int64))) for p in ready]
    gathered = made.gather(slot(2), fresh, ready, sent, COUNT, "train")
    assert made.open(gathered, (B, C, D), line).lanes.tolist() == [4] * COUNT  # bank-d holds what was dealt without it


def test_a_resumed_run_knows_keys_packets_complaints_and_cohorts() -> None:
    parties = Parties(roster(4))
    first, line = coordinator(parties), Line(parties)
    assert summed(first, line, slot(1), (A, B, C)) == [6] * COUNT
    state = packing.unpack(packing.pack(first.state()))
    assert isinstance(state, dict)
    second = coordinator(parties)
    second.restore(state)
    assert packing.pack(second.state()) == packing.pack(first.state())
    assert second.bound_cohort(INPUT.body) == (A, B, C)
    line.asked.clear()
    assert second.prepare(slot(2), (A, B, C, D), line) == (A, B, C, D)
    assert ("deal", A) not in line.asked


# --- complaints -------------------------------------------------------------------------------------------------------


def ring(complaints: dict[PartnerId, list[PartnerId]], partners: tuple[PartnerId, ...] = (A, B, C, D)) -> Keyring:
    """complaints: holder -> dealers it complains of."""
    made = Keyring(partners)
    for dealer in partners:
        others = [p for p in partners if p != dealer]
        made.take(dealer, Dealt(publics={"1.0": dealer.encode()}, sealed=dict.fromkeys(others, b"x")))
    for holder in partners:
        packets = made.waiting(holder)
        told = [Complaint(dealer=d, key="1.0", code="SHARE_WRONG") for d in complaints.get(holder, [])]
        made.held(holder, packets, told)
        assert made.waiting(holder) == ()
    return made


@pytest.mark.parametrize(
    ("complaints", "out"),
    [
        ({}, ()),
        ({A: [B]}, (B,)),  # one against one: the dealer
        ({A: [B], C: [B], D: [B]}, (B,)),
        ({B: [A, C, D]}, (B,)),  # who complains of everybody
        ({B: [A, C, D], A: [B], C: [B], D: [B]}, (B,)),
        ({A: [B], C: [D]}, (B, D)),
    ],
)
def test_a_complaint_has_a_wrong_end(complaints: Any, out: tuple[PartnerId, ...]) -> None:
    made = ring(complaints)
    assert made.refused("1.0") == out
    assert [p for p in (A, B, C, D) if not made.usable("1.0", p)] == list(out)
    assert made.refused("2.0") == ()


def test_a_complaint_about_a_key_that_was_not_sent_means_nothing() -> None:
    made = ring({})
    packet = Dealing(dealer=A, publics={"1.0": b"bank-a"}, sealed=b"x")
    made.held(B, [packet], [Complaint(dealer=C, key="1.0", code="X"), Complaint(dealer=A, key="7.0", code="X")])
    assert made.refused("1.0") == made.refused("7.0") == ()


def test_old_keys_are_forgotten_and_the_jobs_key_is_not() -> None:
    made = Keyring((A, B))
    made.take(A, Dealt(publics={"1.0": b"", "2.0": b""}, sealed={B: b"x"}))
    made.take(B, Dealt(publics={keys.JOB_KEY: b""}, sealed={A: b"y"}))
    made.forget_before("2.0")
    assert made.needs(A, "1.0") and not made.needs(A, "2.0") and not made.needs(B, keys.JOB_KEY)
    assert len(made.waiting(B)) == 1  # the packet has a key of round 2 in it
    made.forget_before("3.0")
    assert made.waiting(B) == () and len(made.waiting(A)) == 1


# --- uploads whose partner signed something else ----------------------------------------------------------------------

ELSE: dict[str, dict[str, Any]] = {
    "another partner": {"partner": A},
    "another round": {"slot": slot(2)},
    "another run": {"slot": Slot(job=Digest("99" * 32), round=1, attempt=0)},
    "another input": {"input": Digest("77" * 32)},
    "another length": {"count": COUNT + 1},
    "another key": {"public": Digest("77" * 32)},
    "other bytes": {"ciphertext": Digest("77" * 32)},
}


@pytest.mark.parametrize("what", ELSE)
def test_an_upload_whose_header_says_something_else_is_left_out(what: str) -> None:
    parties, events = Parties(roster(4)), []
    made, line = coordinator(parties, events), Line(parties)
    ready = made.prepare(slot(1), parties.roster.partners, line)
    sent = dict(line.uploads(slot(1), ready))
    data = replace(sent[B].header.read(), **ELSE[what]).encode()
    signed = wire.SignedHeader(data=data, signature=parties.identity(B).sign(wire.UPLOAD_LABEL + data))
    sent[B] = Upload(header=signed, ciphertext=sent[B].ciphertext)
    gathered = made.gather(slot(1), INPUT, ready, sent.items(), COUNT, "train")
    assert gathered.partners == (A, C, D)
    assert events[-1].states[B] == "UPLOAD_MALFORMED"


def test_a_cohort_that_was_decided_is_not_opened_with_less() -> None:
    """Executed again, the hub finds one upload of the decided cohort gone: nothing is opened."""
    parties = Parties(roster(5))
    cohort = [str(p) for p in parties.roster.partners[:4]]
    made, line = coordinator(parties, decide=lambda name, make: cohort), Line(parties)
    ready = made.prepare(slot(1), parties.roster.partners, line)
    sent = [(p, upload) for p, upload in line.uploads(slot(1), ready) if p != B]
    with pytest.raises(QuorumMissing, match=r"cohort of round 1\.0"):
        made.gather(slot(1), INPUT, ready, sent, COUNT, "train")
