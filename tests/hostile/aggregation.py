"""A hub that may do anything with what passes through it, against real members. It has no key of an honest partner."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from flwr.app import ConfigRecord
from flwr.serverapp.strategy import FedAvg

from federation.grid import LocalGrid
from federation.horizontal import keys, wire
from federation.horizontal.coordinator import Event
from federation.horizontal.identity import KeyIdentity
from federation.horizontal.lanes import Update
from federation.horizontal.member import Member
from federation.horizontal.strategy import HomomorphicStrategy
from federation.horizontal.wire import Answer, Complaint, Dealing, Dealt, Input, SignedHeader, Upload
from privacy.aggregation import Lanes, Roster, Slot
from privacy.errors import Failure
from privacy.ids import PartnerId
from tests.federation.horizontal.parties import JOB, MemberClass, Parties, roster, start, vector
from tests.support.entropy import SeededEntropy

COUNT = 40
TERMS = Update(clip=4.0, examples_max=1000, metrics={"loss": 50.0})
CHEAT = PartnerId("bank-b")
VICTIM = PartnerId("bank-a")


def slot(round_: int, attempt: int = 0) -> Slot:
    return Slot(job=JOB, round=round_, attempt=attempt)


def given(what: str, slot_: Slot) -> Input:
    """What a member is given: some weights (named `what`) in a slot."""
    return Input(
        digest=wire.sha256(f"{what}/{keys.slot_name(slot_)}".encode()),
        content=wire.sha256(what.encode()),
        body=wire.sha256(what.encode()),
    )


def update_of(partner: str, weights: str = "w") -> Lanes:
    """Local training is deterministic: the same weights, the same update. 20-bit numbers."""
    raw = SeededEntropy(f"{partner}/{weights}".encode())(COUNT * 4)
    return (np.frombuffer(raw, "<u4") >> 12).astype(np.int64)


class Hub:
    """Relays honestly unless a test makes it do otherwise."""

    def __init__(
        self, count: int, colluders: int = 1, member: MemberClass = Member, among: Roster | None = None
    ) -> None:
        made = Roster(partners=names(count), colluders=colluders) if among is None else among
        self.parties = Parties(made, member=member)
        self.members: Mapping[PartnerId, Member] = self.parties.members
        self.partners = made.partners
        self.engine = self.parties.engine
        self.dealt: dict[PartnerId, Dealt] = {}

    def deal(self, *slots: Slot) -> dict[PartnerId, Dealt]:
        names = [keys.slot_name(one) for one in slots]
        self.dealt = {p: member.deal(names) for p, member in self.members.items()}
        return self.dealt

    def hold(self, dealt: Mapping[PartnerId, Dealt] | None = None) -> dict[PartnerId, tuple[Complaint, ...]]:
        """Hand everybody the others' shares; who complained of what."""
        source = self.dealt if dealt is None else dealt
        return {
            holder: member.hold(
                [
                    Dealing(dealer=dealer, publics=one.publics, sealed=one.sealed[holder])
                    for dealer, one in source.items()
                    if dealer != holder
                ]
            )
            for holder, member in self.members.items()
        }

    def prepare(self, *slots: Slot) -> None:
        self.deal(*slots)
        assert not any(self.hold().values())

    def upload(self, slot_: Slot, weights: Mapping[str, str] | str = "w") -> dict[PartnerId, Upload]:
        """Give everybody weights (its own name of weights each, where a mapping is given) and take the uploads."""
        uploads = {}
        for partner, member in self.members.items():
            what = weights if isinstance(weights, str) else weights[partner]
            member.take(slot_, given(what, slot_))
            uploads[partner] = member.upload(slot_, update_of(partner, what))
        return uploads

    def ask(self, holder: str, slot_: Slot, cohort: Iterable[Upload]) -> Answer:
        return self.members[PartnerId(holder)].answer(slot_, [upload.header for upload in cohort])

    def ask_all(
        self, slot_: Slot, cohort: Sequence[Upload], holders: Iterable[str] | None = None
    ) -> tuple[dict[PartnerId, bytes], dict[PartnerId, str]]:
        """Answers, and the codes of those who refused."""
        answers: dict[PartnerId, bytes] = {}
        refused: dict[PartnerId, str] = {}
        for holder in map(PartnerId, holders or self.partners):
            try:
                answers[holder] = self.ask(holder, slot_, cohort).answer
            except Failure as failure:
                refused[holder] = failure.code
        return answers, refused

    def open(self, cohort: Sequence[Upload], answers: Mapping[PartnerId, bytes]) -> Lanes:
        adder = self.engine.adder(COUNT, cohort[0].header.read().slot)
        for upload in cohort:
            adder.add(upload.ciphertext, upload.header.read().partner)
        return self.engine.open(adder.total(), COUNT, len(cohort), answers).lanes


def names(count: int) -> tuple[PartnerId, ...]:
    return tuple(PartnerId(f"bank-{letter}") for letter in "abcdefghijkl"[:count])


def total(partners: Iterable[str], weights: str = "w") -> Lanes:
    """What an honest sum of these partners is."""
    return np.sum([update_of(p, weights) for p in partners], axis=0)


# --- whole rounds with one partner that cheats ------------------------------------------------------------------------


def mixed(cheat: type[Member], count: int) -> Parties:
    """Partners of whom CHEAT is of another class."""

    def member(roster_: Any, engine: Any, identity: KeyIdentity, *rest: Any) -> Member:
        return (cheat if identity.me == CHEAT else Member)(roster_, engine, identity, *rest)

    return Parties(roster(count), member=member)


def led(parties: Parties, events: list[Event] | None = None, **options: Any) -> HomomorphicStrategy:
    return HomomorphicStrategy(
        FedAvg(fraction_evaluate=0.0),
        parties.roster,
        parties.engine,
        parties.verifier,
        JOB,
        TERMS,
        patience_seconds=0.2,
        on_event=(lambda event: None) if events is None else events.append,
        **options,
    )


def round_of(
    parties: Parties, events: list[Event] | None = None, **options: Any
) -> tuple[HomomorphicStrategy, np.ndarray]:
    strategy = led(parties, events, **options)
    arrays, _ = strategy.train_round(LocalGrid(parties.apps(TERMS), JOB), 1, start(), ConfigRecord())
    return strategy, vector(arrays)


def without(*rules: str) -> type[Member]:
    """Members with these checks taken out."""

    def skipped(self: Member, *args: Any) -> None:
        """The rule is gone."""

    return type("Mutant", (Member,), dict.fromkeys(rules, skipped))


def sign_again(member: Member, upload: Upload, ciphertext: bytes) -> Upload:
    """The upload with other bytes, signed by its own partner, who then also takes it for its own."""
    made = replace(upload.header.read(), ciphertext=wire.sha256(ciphertext))
    data = made.encode()
    header = SignedHeader(data=data, signature=member._identity.sign(wire.UPLOAD_LABEL + data))
    member._store[keys.uploaded(keys.slot_name(made.slot))] = header.digest
    return Upload(header=header, ciphertext=ciphertext)
