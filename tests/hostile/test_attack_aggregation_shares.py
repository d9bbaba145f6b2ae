"""Partners who deal, upload or answer wrongly, and a hub that moves sealed shares about (rules d, e and g).

As before: refused by name as things are, and shown to succeed with the one check taken out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from federation.grid import LocalGrid
from federation.horizontal import lanes, wire
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.identity import KeyIdentity
from federation.horizontal.lanes import Update
from federation.horizontal.member import Member
from federation.horizontal.strategy import HomomorphicStrategy
from federation.horizontal.wire import Answer, Complaint, Dealing, Dealt, Upload
from privacy.aggregation import Lanes, RoundVoid, Slot
from privacy.errors import Failure
from privacy.ids import PartnerId
from privacy.threshold import Threshold, public_seed
from tests.federation.horizontal.parties import JOB, Parties, client, plain_rounds, roster, start, vector
from tests.hostile.aggregation import Hub, slot

TERMS = Update(clip=4.0, examples_max=1000, metrics={"loss": 50.0})
CHEAT = PartnerId("bank-b")


# --- d: shares go where they were sealed for --------------------------------------------------------------------------


def moved(hub: Hub, change: Callable[[Dealing, Dealt], Dealing]) -> tuple[Complaint, ...]:
    """bank-c gets bank-a's packet, changed on the way."""
    dealt = hub.dealt[PartnerId("bank-a")]
    honest = Dealing(dealer=PartnerId("bank-a"), publics=dealt.publics, sealed=dealt.sealed[PartnerId("bank-c")])
    return hub.members[PartnerId("bank-c")].hold([change(honest, dealt)])


MOVES: Mapping[str, Callable[[Dealing, Dealt], Dealing]] = {
    "to another holder": lambda one, dealt: replace(one, sealed=dealt.sealed[PartnerId("bank-b")]),
    "as another dealer's": lambda one, dealt: replace(one, dealer=PartnerId("bank-d")),
    "for another round": lambda one, dealt: replace(one, publics={"7.0": one.publics["1.0"]}),
    "for another attempt": lambda one, dealt: replace(one, publics={"1.1": one.publics["1.0"]}),
    "with another public part": lambda one, dealt: replace(one, publics={"1.0": one.publics["1.0"][:-1] + b"\0"}),
    "a byte altered": lambda one, dealt: replace(one, sealed=b"\0" + one.sealed[1:]),
    "cut": lambda one, dealt: replace(one, sealed=one.sealed[:50]),
    "nothing": lambda one, dealt: replace(one, sealed=b""),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_share_opens_only_as_what_it_was_sealed_for(move: str) -> None:
    hub = Hub(4)
    hub.deal(slot(1))
    complaints = moved(hub, MOVES[move])
    assert {one.code for one in complaints} <= {"BAD_SIGNATURE", "CANNOT_OPEN"}
    assert complaints
    assert not [name for name in hub.parties.stores[PartnerId("bank-c")] if "bank-a" in name]


def test_a_share_of_another_run_is_refused() -> None:
    here, there = Hub(4), Hub(4)
    for member in there.members.values():
        member.job = wire.sha256(b"another run")
    here.deal(slot(1))
    there.dealt = {p: member.deal(["1.0"]) for p, member in there.members.items()}
    foreign = Dealing(
        dealer=PartnerId("bank-a"),
        publics=there.dealt[PartnerId("bank-a")].publics,
        sealed=there.dealt[PartnerId("bank-a")].sealed[PartnerId("bank-c")],
    )
    assert [c.code for c in here.members[PartnerId("bank-c")].hold([foreign])] == ["BAD_SIGNATURE"]


class LaxIdentity(KeyIdentity):
    """Seals without saying for what."""

    def seal(self, recipient: str, plain: bytes, header: Any) -> bytes:
        return super().seal(recipient, plain, {})

    def open(self, sender: str, sealed: bytes, header: Any) -> bytes:
        return super().open(sender, sealed, {})


class LaxMember(Member):
    """Opens packets under any header and takes the shares in them for those of the keys it was told."""

    def __init__(self, roster_: Any, engine: Any, identity: KeyIdentity, *rest: Any) -> None:
        identity.__class__ = LaxIdentity
        super().__init__(roster_, engine, identity, *rest)

    def _open_shares(self, dealing: Dealing) -> dict[str, bytes]:
        shares = wire.decode_shares(self._identity.open(dealing.dealer, dealing.sealed, {}))
        return dict(zip(dealing.publics, shares.values(), strict=True))


def test_without_the_sealed_header_an_old_share_serves_another_round() -> None:
    hub = Hub(4, member=LaxMember)
    hub.deal(slot(1))
    assert moved(hub, MOVES["for another round"]) == ()
    assert "share/7.0/bank-a" in hub.parties.stores[PartnerId("bank-c")]


def test_a_share_is_held_once_under_one_name() -> None:
    """A dealer that deals one key twice, with two public parts, is complained about; the same packet again is not."""
    hub = Hub(4)
    hub.prepare(slot(1))
    first = hub.dealt[PartnerId("bank-a")]
    packet = Dealing(dealer=PartnerId("bank-a"), publics=first.publics, sealed=first.sealed[PartnerId("bank-c")])
    assert hub.members[PartnerId("bank-c")].hold([packet]) == ()
    hub.parties.stores[PartnerId("bank-a")].clear()  # the dealer starts over
    again = hub.members[PartnerId("bank-a")].deal(["1.0"])
    other = Dealing(dealer=PartnerId("bank-a"), publics=again.publics, sealed=again.sealed[PartnerId("bank-c")])
    assert [c.code for c in hub.members[PartnerId("bank-c")].hold([other])] == ["SHARE_FOREIGN"]


# --- e: wrong shares, answers and uploads, in whole rounds ------------------------------------------------------------


class WrongShares(Member):
    """Deals shares that lie on no polynomial: each is altered, and what is public about the key is kept."""

    def deal(self, key_names: Sequence[str]) -> Dealt:
        engine, self.engine = self.engine, _Altered(self.engine)
        try:
            return super().deal(key_names)
        finally:
            self.engine = engine


class _Altered:
    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def deal(self, me: str, entropy: Any) -> Any:
        made = self._engine.deal(me, entropy)
        shares = {p: _flip(share) for p, share in made.shares.items()}
        return replace(made, shares=shares)


def _flip(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


class WrongAnswers(Member):
    """Answers with one coefficient off, signed all the same."""

    def answer(self, slot_: Slot, headers: Any, bodies: Any = ()) -> Answer:
        true = super().answer(slot_, headers, bodies)
        wrong = _flip(true.answer)
        message = wire.answer_message(slot_, self.me, wire.cohort_digest(headers), wrong)
        return Answer(answer=wrong, signature=self._identity.sign(message))


class OtherKey(Member):
    """Encrypts under a key that it never dealt, and signs that it is the dealt one."""

    def _upload_key(self, name: str) -> Any:
        public, _ = super()._upload_key(name)
        return public, self.engine.deal(self.me, self._entropy).secret


class BeyondItsClip(Member):
    """Its code cuts nothing: lanes at the far end."""

    def upload(self, slot_: Slot, values: Lanes) -> Upload:
        huge = values.copy()
        huge[:3] = (1 << self.engine.value_bits) - 1
        return super().upload(slot_, huge)


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


def expected(partners: Sequence[str], bits: int) -> np.ndarray:
    """What a round of these partners gives, as sums of plain integers in the same fixed point."""
    return plain_rounds(partners, 1, TERMS, bits)


def test_a_wrong_share_is_complained_about_and_its_dealer_left_out() -> None:
    events: list[Event] = []
    parties = mixed(WrongShares, 5)
    strategy, arrays = round_of(parties, events)
    assert strategy.last_sum is not None
    assert strategy.last_sum.cohort == tuple(p for p in parties.roster.partners if p != CHEAT)
    assert (arrays == expected(strategy.last_sum.cohort, parties.engine.value_bits)).all()
    assert CHEAT in strategy.coordinator.refused("1.0")


def test_a_wrong_share_that_nobody_checks_voids_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Threshold, "accept", lambda *args: None)
    with pytest.raises((RoundVoid, QuorumMissing)):
        round_of(mixed(WrongShares, 5), attempts=1)


def test_a_wrong_answer_is_named_where_answers_allow_it() -> None:
    parties = mixed(WrongAnswers, 7)  # threshold 5 of 7: one wrong answer among seven is located
    strategy, arrays = round_of(parties)
    assert strategy.last_sum is not None
    assert strategy.last_sum.wrong == (CHEAT,)
    assert (arrays == expected(parties.roster.partners, parties.engine.value_bits)).all()


def test_a_wrong_answer_voids_the_round_where_it_cannot_be_named() -> None:
    with pytest.raises(RoundVoid):
        round_of(mixed(WrongAnswers, 3), attempts=1)


def test_an_upload_under_another_key_voids_the_round() -> None:
    events: list[Event] = []
    with pytest.raises(RoundVoid):
        round_of(mixed(OtherKey, 4), events, attempts=2)
    assert {event.attempt for event in events} == {0, 1}  # tried again with fresh keys from everybody


def test_an_update_beyond_its_norm_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RoundVoid, match="norm"):
        round_of(mixed(BeyondItsClip, 4), attempts=1)
    monkeypatch.setattr(lanes.Update, "_check_norm", lambda *args: None)
    _, poisoned = round_of(mixed(BeyondItsClip, 4), attempts=1)
    assert np.abs(poisoned).max() > 2 * np.abs(expected(("bank-a", "bank-c", "bank-d"), 30)).max()


# --- g and the edges: what an application or a node may not send ------------------------------------------------------


def reply(**changes: Any) -> RecordDict:
    base = {"w": np.ones(2), "b": np.ones(1)} | changes.pop("arrays", {})
    figures = {"num-examples": 50, "loss": 1.0} | changes.pop("metrics", {})
    arrays = ArrayRecord({name: Array(np.asarray(value)) for name, value in base.items() if value is not None})
    records: dict[str, Any] = {
        "arrays": arrays,
        "metrics": MetricRecord({k: v for k, v in figures.items() if v is not None}),
    }
    return RecordDict(records | changes)


BAD_REPLIES: Mapping[str, Callable[[], RecordDict]] = {
    "not a number": lambda: reply(arrays={"w": np.array([np.nan, 0.0])}),
    "infinite": lambda: reply(arrays={"w": np.array([np.inf, 0.0])}),
    "another shape": lambda: reply(arrays={"w": np.ones((2, 1))}),
    "another width": lambda: reply(arrays={"w": np.ones(2, np.float32)}),
    "whole numbers": lambda: reply(arrays={"w": np.ones(2, np.int64)}),
    "one array less": lambda: reply(arrays={"b": None}),
    "one array more": lambda: reply(arrays={"c": np.ones(1)}),
    "a metric less": lambda: reply(metrics={"loss": None}),
    "a metric more": lambda: reply(metrics={"accuracy": 0.5}),
    "a list for a metric": lambda: reply(metrics={"loss": [1.0, 2.0]}),
    "no examples": lambda: reply(metrics={"num-examples": None}),
    "fewer than no examples": lambda: reply(metrics={"num-examples": -1}),
    "half an example": lambda: reply(metrics={"num-examples": 1.5}),
    "a metric that is no number": lambda: reply(metrics={"loss": float("nan")}),
    "something in clear": lambda: reply(clear=ConfigRecord({"rows": 3})),
    "nothing": RecordDict,
}


@pytest.mark.parametrize("case", BAD_REPLIES)
def test_what_an_application_may_not_send_does_not_leave_its_node(case: str) -> None:
    parties, events = Parties(roster(4)), []
    apps = parties.apps(TERMS)
    apps[CHEAT] = client(parties.members[CHEAT], TERMS, lambda message, context: BAD_REPLIES[case]())
    strategy = led(parties, events)
    strategy.train_round(LocalGrid(apps, JOB), 1, start(), ConfigRecord())
    states = next(e.states for e in reversed(events) if e.phase == "train")
    assert states[CHEAT] in {"UPDATE_REFUSED", "VALUE_NOT_FINITE"}
    assert strategy.last_sum is not None
    assert CHEAT not in strategy.last_sum.cohort


def tampered(change: Callable[[RecordDict], RecordDict]) -> tuple[HomomorphicStrategy, list[Event]]:
    """A round in which CHEAT's reply to "train" is replaced behind its mod."""
    parties, events = Parties(roster(4)), []
    apps: dict[str, Any] = dict(parties.apps(TERMS))
    real = apps[CHEAT]

    def behind(message: Message, context: Context) -> Message:
        kind = message.metadata.message_type
        answer = real(message=message, context=context)
        return Message(change(answer.content), reply_to=message) if kind == "train" else answer

    apps[CHEAT] = behind
    strategy = led(parties, events)
    strategy.train_round(LocalGrid(apps, JOB), 1, start(), ConfigRecord())
    return strategy, events


def upload(**changes: Any) -> Callable[[RecordDict], RecordDict]:
    def change(content: RecordDict) -> RecordDict:
        fields = dict(content["upload"].items())
        return RecordDict({"upload": ConfigRecord(fields | {k: make(fields) for k, make in changes.items()})})

    return change


BAD_UPLOADS: Mapping[str, Callable[[RecordDict], RecordDict]] = {
    "random bytes": upload(ciphertext=lambda fields: np.random.default_rng(1).bytes(len(fields["ciphertext"]))),
    "a byte altered": upload(ciphertext=lambda fields: fields["ciphertext"][:-1] + b"\x01"),
    "cut": upload(ciphertext=lambda fields: fields["ciphertext"][:-1]),
    "no signature": upload(signature=lambda fields: bytes(64)),
    "a short signature": upload(signature=lambda fields: b""),
    "another header": upload(header=lambda fields: fields["header"].replace(b'"attempt":0', b'"attempt":1')),
    "no header": upload(header=lambda fields: b"{}"),
    "a long header": upload(header=lambda fields: fields["header"] + b" " * 4096),
    "arrays in clear": lambda content: reply(),
    "an empty reply": lambda content: RecordDict(),
}


@pytest.mark.parametrize("case", BAD_UPLOADS)
def test_a_malformed_upload_is_left_out_by_name(case: str) -> None:
    strategy, events = tampered(BAD_UPLOADS[case])
    states = next(e.states for e in reversed(events) if e.phase == "train")
    assert states[CHEAT] in {"UPLOAD_MALFORMED", "PHASE_MALFORMED", "BAD_SIGNATURE"}
    assert strategy.last_sum is not None
    assert strategy.last_sum.cohort == ("bank-a", "bank-c", "bank-d")


def test_an_upload_of_an_older_round_is_left_out() -> None:
    parties, events, kept = Parties(roster(4)), [], []
    apps: dict[str, Any] = dict(parties.apps(TERMS))
    real = apps[CHEAT]

    def stale(message: Message, context: Context) -> Message:
        answer = real(message=message, context=context)
        if message.metadata.message_type != "train":
            return answer
        kept.append(answer.content)
        return Message(kept[0], reply_to=message)

    apps[CHEAT] = stale
    strategy, grid = led(parties, events), LocalGrid(apps, JOB)
    arrays, _ = strategy.train_round(grid, 1, start(), ConfigRecord())
    assert strategy.last_sum is not None
    assert CHEAT in strategy.last_sum.cohort
    strategy.train_round(grid, 2, arrays, ConfigRecord())
    assert CHEAT not in strategy.last_sum.cohort
    assert next(e.states for e in reversed(events) if e.phase == "train")[CHEAT] == "UPLOAD_MALFORMED"


def test_lanes_beyond_their_bits_do_not_leave() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    member = hub.members[CHEAT]
    member.take(slot(1), wire.Input(digest=JOB, body=JOB))
    top = 1 << member.engine.value_bits
    for bad in (np.array([top]), np.array([-1]), np.zeros((1, 1), np.int64), np.zeros(0, np.int64), np.zeros(3)):
        with pytest.raises(Failure) as caught:
            member.upload(slot(1), bad)
        assert caught.value.code == "UPDATE_REFUSED"
    assert member.upload(slot(1), np.array([top - 1]))


def test_engines_of_another_job_do_not_fit() -> None:
    """The public matrix is of the job: an upload made for another job's matrix opens to nothing."""
    parties = Parties(roster(3))
    other = Threshold(parties.roster, public_seed(wire.sha256(b"another run")))
    parties.members[CHEAT].engine = other
    with pytest.raises((RoundVoid, QuorumMissing)):
        round_of(parties, attempts=1)


def test_a_line_is_still_learnt_beside_a_cheat() -> None:
    parties = mixed(WrongAnswers, 7)
    strategy = led(parties)
    result = strategy.start(LocalGrid(parties.apps(TERMS, None), JOB), start(), num_rounds=8)
    assert np.abs(vector(result.arrays) - np.array([2.0, -1.0, 0.5])).max() < 0.05
