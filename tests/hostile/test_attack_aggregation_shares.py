"""Partners who deal, upload or answer wrongly, and a hub that moves sealed shares about (rules d, e and g).

As before: refused by name as things are, and shown to succeed with the one check taken out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation.horizontal import lanes, wire
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.identity import KeyIdentity
from federation.horizontal.member import Member
from federation.horizontal.wire import Answer, Complaint, Dealing, Dealt, Upload
from privacy.aggregation import Lanes, RoundVoid, Slot
from privacy.ids import PartnerId
from privacy.threshold import Threshold
from tests.federation.horizontal.parties import plain_rounds
from tests.hostile.aggregation import CHEAT, TERMS, Hub, mixed, round_of, slot

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


class Slanders(Member):
    """Holds nothing and complains of everybody."""

    def hold(self, dealings: Sequence[Dealing]) -> tuple[Complaint, ...]:
        found = [Complaint(dealer=one.dealer, key=key, code="SHARE_WRONG") for one in dealings for key in one.publics]
        return tuple(found)


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

    def upload(self, slot_: Slot, values: Lanes, noisy: bool = False) -> Upload:
        huge = values.copy()
        huge[:3] = (1 << self.engine.value_bits) - 1
        return super().upload(slot_, huge, noisy)


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


def test_who_complains_of_everybody_is_left_out_itself() -> None:
    parties = mixed(Slanders, 5)
    strategy, arrays = round_of(parties)
    assert strategy.last_sum is not None
    assert strategy.last_sum.cohort == tuple(p for p in parties.roster.partners if p != CHEAT)
    assert strategy.coordinator.refused("1.0") == (CHEAT,)
    assert (arrays == expected(strategy.last_sum.cohort, parties.engine.value_bits)).all()


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
