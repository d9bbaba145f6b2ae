"""An upload in another partner's name, and a dealing that is too large to be passed on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from flwr.app import ConfigRecord

from federation import records
from federation.grid import AllianceGrid
from federation.horizontal.coordinator import Event
from federation.horizontal.member import Member
from federation.horizontal.wire import Dealt, Upload
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal.parties import JOB, start
from tests.hostile.aggregation import CHEAT, TERMS, led, mixed, round_of, sign_again

LIMIT = 1 << 20  # bytes of a message, in the test of dealings


class InAnothersName(Member):
    """Writes the place of bank-c into the header of its ciphertext and signs all of it."""

    def upload(self, *given: Any) -> Upload:
        made = super().upload(*given)
        place = self.roster.place("bank-c")
        ciphertext = made.ciphertext[:8] + (1 << (place - 1)).to_bytes(8, "big") + made.ciphertext[16:]
        return sign_again(self, made, ciphertext)


def test_an_upload_in_anothers_name_leaves_only_its_uploader_out() -> None:
    """Else the honest bank-c, who comes later, is refused, and every answer of an honest holder looks astray."""
    events: list[Event] = []
    strategy, _ = round_of(mixed(InAnothersName, 5), events)
    assert strategy.last_sum is not None
    assert strategy.last_sum.cohort == ("bank-a", "bank-c", "bank-d", "bank-e")
    states = next(e.states for e in reversed(events) if e.phase == "train")
    assert {partner for partner, state in states.items() if state != "ok"} == {CHEAT}
    assert states[CHEAT] == "CIPHERTEXT_MALFORMED" and strategy.last_sum.wrong == ()


class Padding(Member):
    """Pads one public part so far that its own reply still fits a message."""

    def deal(self, key_names: Sequence[str]) -> Dealt:
        made = super().deal(key_names)
        spare = LIMIT - 1_500 - sum(map(len, (*made.publics.values(), *made.sealed.values())))
        first = next(iter(made.publics))
        return replace(made, publics={**made.publics, first: made.publics[first] + bytes(spare)})


def test_a_dealing_that_fills_a_message_leaves_its_dealer_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the request that takes all dealings to a holder is too large to be sent, and the run ends, naming nobody."""
    monkeypatch.setattr(records, "CONTENT_BYTES_MAX", LIMIT)
    events: list[Event] = []
    parties = mixed(Padding, 4)
    strategy = led(parties, events, prepare_rounds=1)
    grid: Any = AllianceGrid(MemoryChannel(parties.apps(TERMS)), JOB)
    strategy.train_round(grid, 1, start(), ConfigRecord())
    assert strategy.last_sum is not None and strategy.last_sum.cohort == ("bank-a", "bank-c", "bank-d")
    dealt = [event.states[CHEAT] for event in events if event.phase == "deal"]
    assert dealt == ["asked", "UPLOAD_MALFORMED"]
