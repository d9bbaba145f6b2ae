"""The same protocol on an engine whose one dealer makes one key for the whole job, which holders keep."""

from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord
from flwr.serverapp.strategy import FedAvg

from federation.grid import AllianceGrid, LocalGrid
from federation.horizontal import keys
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import (
    CohortInvalid,
    KeyDealtBefore,
    KeySpent,
    QuorumMissing,
    ShareForeign,
    UploadMalformed,
)
from federation.horizontal.strategy import HomomorphicStrategy
from federation.horizontal.wire import Complaint
from privacy import packing
from privacy.ids import PartnerId
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal.parties import JOB, UPDATE, Parties, plain_rounds, roster, start, vector

paillier = pytest.importorskip("privacy.paillier.engine")
pytest.importorskip("gmpy2")

DEALER = PartnerId("bank-b")


@pytest.fixture(autouse=True)
def small_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paillier, "_BITS_MIN", 512)


@pytest.fixture
def parties() -> Parties:
    members = roster(4)
    return Parties(members, engine=paillier.Paillier(members, DEALER, bits=512))


def led(parties: Parties, **options: Any) -> HomomorphicStrategy:
    inner = FedAvg(fraction_evaluate=0.0)
    engine = paillier.Paillier(parties.roster, DEALER, bits=512)
    return HomomorphicStrategy(
        inner, parties.roster, engine, parties.verifier, JOB, UPDATE, patience_seconds=0.2, **options
    )


def test_rounds_equal_sums_of_plain_integers_bit_for_bit(parties: Parties) -> None:
    events: list[Event] = []
    result = led(parties, on_event=events.append).start(LocalGrid(parties.apps(), JOB), start(), num_rounds=3)
    expected = plain_rounds(parties.roster.partners, 3, UPDATE, parties.engine.value_bits)
    assert (vector(result.arrays) == expected).all()
    assert [set(event.states) for event in events if event.phase == "deal"] == [{DEALER}, {DEALER}]  # once for the job
    assert all(keys.share(keys.JOB_KEY, DEALER) in store for store in parties.stores.values())


def test_a_resumed_hub_knows_that_the_key_is_dealt(parties: Parties) -> None:
    channel = MemoryChannel(parties.apps())
    first = led(parties)
    arrays, _ = first.train_round(AllianceGrid(channel, JOB), 1, start(), ConfigRecord())
    second, state = led(parties), packing.unpack(packing.pack(first.state()))
    assert isinstance(state, dict)
    second.restore(state)
    arrays, _ = second.train_round(AllianceGrid(channel, JOB), 2, arrays, ConfigRecord())
    assert (vector(arrays) == plain_rounds(parties.roster.partners, 2, UPDATE, parties.engine.value_bits)).all()


def test_without_its_dealer_there_is_no_key(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.horizontal.presence.GRACE_SECONDS", 0.05)
    channel = MemoryChannel(parties.apps())
    channel.disconnected = {DEALER}
    with pytest.raises(QuorumMissing, match="bank-b deals"):
        led(parties).train_round(AllianceGrid(channel, JOB), 1, start(), ConfigRecord())


def test_a_holder_answers_once_and_over_the_uploads_that_were_signed(parties: Parties) -> None:
    strategy = led(parties)
    asked: dict[str, Any] = {}
    member = parties.members[PartnerId("bank-a")]
    answer = member.answer

    def watched(slot: Any, headers: Any, bodies: Any = ()) -> Any:
        asked.update(slot=slot, headers=headers, bodies=list(bodies))
        with pytest.raises(CohortInvalid):
            answer(slot, headers, bodies[:-1])
        with pytest.raises(UploadMalformed):
            answer(slot, headers, [bodies[1], *bodies[1:]])
        return answer(slot, headers, bodies)

    member.answer = watched  # type: ignore[method-assign]
    strategy.train_round(LocalGrid(parties.apps(), JOB), 1, start(), ConfigRecord())
    with pytest.raises(KeySpent):
        answer(asked["slot"], asked["headers"], asked["bodies"])
    assert np.frombuffer(asked["bodies"][0], np.uint8).size


def test_the_jobs_key_is_dealt_anew_only_before_it_is_used(parties: Parties) -> None:
    dealer = parties.members[DEALER]
    first = dealer.deal([keys.JOB_KEY])
    assert dealer.deal([keys.JOB_KEY]).publics != first.publics  # the first reply was lost
    fresh = Parties(parties.roster, engine=parties.engine)
    led(fresh).train_round(LocalGrid(fresh.apps(), JOB), 1, start(), ConfigRecord())
    with pytest.raises(KeyDealtBefore):
        fresh.members[DEALER].deal([keys.JOB_KEY])
    with pytest.raises(ShareForeign):
        fresh.members[PartnerId("bank-a")].deal([keys.JOB_KEY])
    with pytest.raises(ShareForeign):
        fresh.members[DEALER].deal(["2.0"])


def test_too_few_holders_of_the_jobs_key(parties: Parties) -> None:
    """Nobody but the dealer kept its share: no round is begun with it."""
    for partner, member in parties.members.items():
        if partner != DEALER:
            member.hold = lambda dealings: tuple(  # type: ignore[method-assign]
                Complaint(dealer=one.dealer, key=key, code="SHARE_WRONG") for one in dealings for key in one.publics
            )
    with pytest.raises(QuorumMissing, match="bank-b deals"):  # three complaints: the dealer is out
        led(parties, attempts=1).train_round(LocalGrid(parties.apps(), JOB), 1, start(), ConfigRecord())
    fresh = Parties(parties.roster, engine=parties.engine)
    channel = MemoryChannel(fresh.apps())
    channel.silent = {"bank-c", "bank-d"}
    with pytest.raises(QuorumMissing, match=r"round 1\.0 needs 3 partners and has 2"):
        led(fresh, attempts=1).train_round(AllianceGrid(channel, JOB), 1, start(), ConfigRecord())
