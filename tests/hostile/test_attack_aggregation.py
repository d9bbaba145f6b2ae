"""A hub, alone or with some partners, against the rules of the secure sum (docs/aggregation.md, rules a-d).

Every attack runs twice: on members as they are, which refuse by name, and on members with the one rule taken out, where
it has to succeed (the victim's update is recovered exactly). So a rule that is lost fails its test.
"""

from typing import Any

import numpy as np
import pytest

from federation.horizontal import keys
from federation.horizontal.errors import (
    CohortChanged,
    CohortInvalid,
    InputNotGiven,
    KeyMissing,
    KeySpent,
    ShareForeign,
    SlotStale,
)
from federation.horizontal.member import Member
from federation.horizontal.wire import Upload
from privacy.ids import Digest
from privacy.threshold import RLWE_2048_48
from privacy.threshold.wire import HEADER_BYTES
from tests.hostile.aggregation import COUNT, VICTIM, Hub, given, slot, total, update_of, without

# --- a: the same input for all ----------------------------------------------------------------------------------------


def other_weights(member: type[Member]) -> np.ndarray:
    """Pasquini et al. (CCS 2022): the others get weights under which they learn nothing; their updates are known."""
    hub = Hub(4, member=member)
    hub.prepare(slot(1))
    weights = {p: "w" if p == VICTIM else "dead" for p in hub.partners}
    uploads = hub.upload(slot(1), weights)
    answers, refused = hub.ask_all(slot(1), list(uploads.values()))
    if refused:
        raise AssertionError(refused)
    known = total([p for p in hub.partners if p != VICTIM], "dead")
    return hub.open(list(uploads.values()), answers) - known


def test_other_weights_to_one_partner_isolate_its_update() -> None:
    with pytest.raises(AssertionError, match="INPUTS_DIFFER"):
        other_weights(Member)
    assert (other_weights(without("_check_inputs")) == update_of(VICTIM)).all()


def test_who_was_given_nothing_answers_nothing() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = []
    for partner in hub.partners[:3]:
        hub.members[partner].take(slot(1), given("w", slot(1)))
        uploads.append(hub.members[partner].upload(slot(1), update_of(partner)))
    with pytest.raises(InputNotGiven):
        hub.ask("bank-d", slot(1), uploads)


def test_other_input_in_the_same_slot_is_refused() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    member = hub.members[VICTIM]
    member.take(slot(1), given("w", slot(1)))
    member.take(slot(1), given("w", slot(1)))  # delivered twice
    with pytest.raises(SlotStale):
        member.take(slot(1), given("other", slot(1)))


# --- b: one opening for one key ---------------------------------------------------------------------------------------


def two_cohorts(member: type[Member]) -> np.ndarray:
    """The sum of all, then the sum of all but the victim, of the same uploads: answers that came late, and a retry."""
    hub = Hub(4, member=member)
    hub.prepare(slot(1))
    uploads = hub.upload(slot(1))
    everybody, others = list(uploads.values()), [uploads[p] for p in hub.partners if p != VICTIM]
    first, _ = hub.ask_all(slot(1), everybody)
    second, refused = hub.ask_all(slot(1), others)
    if refused:
        raise AssertionError(refused)
    return hub.open(everybody, first) - hub.open(others, second)


class KeepsShares(Member):
    """Answers, and forgets that it did."""

    def _spend(self, *args: Any) -> None:
        """Nothing is marked, nothing is removed."""


def test_two_openings_of_one_key_show_their_difference() -> None:
    with pytest.raises(AssertionError, match="KEY_SPENT"):
        two_cohorts(Member)
    assert (two_cohorts(KeepsShares) == update_of(VICTIM)).all()


@pytest.mark.parametrize(("rule", "code"), [("_check_unused", "COHORT_CHANGED"), ("_check_same_cohort", "KEY_SPENT")])
def test_each_guard_of_a_spent_key_stands_alone(rule: str, code: str) -> None:
    with pytest.raises(AssertionError, match=code):
        two_cohorts(without(rule))
    with pytest.raises(AssertionError, match="KEY_MISSING"):  # the shares themselves are gone
        two_cohorts(without("_check_unused", "_check_same_cohort"))


class Slotless(Member):
    """Keys go by number, as in the first prototype: any key dealt ahead serves any round."""

    def take(self, slot_: Any, given_: Any) -> None:
        self._store[keys.given(keys.slot_name(slot_))] = b'{"body":"%s","content":"%s","input":"%s"}' % (
            given_.body.encode(),
            given_.content.encode(),
            given_.digest.encode(),
        )

    def _check_slot(self, *args: Any) -> None: ...
    def _check_inputs(self, *args: Any) -> None: ...
    def _check_own(self, *args: Any) -> None: ...

    def _shares(self, name: str, cohort: Any) -> list[bytes]:
        return [self._share(keys.slot_name(h.slot), h.partner, h.public) for h in cohort]

    def _spend(self, *args: Any) -> None: ...


def mixed_retry(member: type[Member]) -> np.ndarray:
    """One new and three old keys, all nodes honest: the difference of the victim's two updates (prototype kh.py, 2)."""
    hub = Hub(4, member=member)
    hub.prepare(slot(1), slot(2))
    old = hub.upload(slot(1), "w1")
    first, _ = hub.ask_all(slot(1), list(old.values()))
    new = hub.upload(slot(2), "w2")
    mixed = [new[p] if p == VICTIM else old[p] for p in hub.partners]
    second, refused = hub.ask_all(slot(2), mixed)
    if refused:
        raise AssertionError(refused)
    return hub.open(mixed, second) - hub.open(list(old.values()), first)


def test_keys_of_two_rounds_in_one_cohort() -> None:
    with pytest.raises(AssertionError, match="COHORT_INVALID"):
        mixed_retry(Member)
    assert (mixed_retry(Slotless) == update_of(VICTIM, "w2") - update_of(VICTIM, "w1")).all()


def two_uploads(member: type[Member]) -> tuple[Upload, Upload]:
    """Two updates under one key: their difference opens without any key (kh.py, 3)."""
    hub = Hub(4, member=member)
    hub.prepare(slot(1))
    victim = hub.members[VICTIM]
    victim.take(slot(1), given("w", slot(1)))
    first, second = (victim.upload(slot(1), update_of(VICTIM, what), noisy=True) for what in ("w", "w2"))
    return first, second  # lanes with noise may differ for the same weights: it is the key alone that forbids it


class KeepsKey(Member):
    """Its own key stays after an upload."""

    def _spend_own(self, name: str) -> None: ...

    def _upload_key(self, name: str) -> Any:
        own = self._store[keys.own(name)]
        return Digest(own[: keys.DIGEST_BYTES].hex()), own[keys.DIGEST_BYTES :]


def coefficients(ciphertext: bytes) -> np.ndarray:
    """Of the lanes: the low 32 bits of all coefficients stand before their high 16."""
    count, first = (len(ciphertext) - HEADER_BYTES) // 6, RLWE_2048_48.check_lanes
    low = np.frombuffer(ciphertext, "<u4", count, HEADER_BYTES).astype(np.int64)
    high = np.frombuffer(ciphertext, "<u2", count, HEADER_BYTES + 4 * count).astype(np.int64)
    return (low + (high << 32))[first : first + COUNT]


def test_one_key_hides_one_update() -> None:
    with pytest.raises(KeySpent):
        two_uploads(Member)
    first, second = two_uploads(KeepsKey)
    words = [coefficients(upload.ciphertext) for upload in (first, second)]  # same key, same error: no secret is left
    difference = (((words[0] - words[1] + (1 << 15)) >> 16) + (1 << 31)) % (1 << 32) - (1 << 31)
    assert (difference == update_of(VICTIM) - update_of(VICTIM, "w2")).all()


def smaller_retry(member: type[Member]) -> np.ndarray:
    """Decision 0004: the round is called void after its answers left, and tried again with fresh keys without one."""
    hub = Hub(5, member=member)
    hub.prepare(slot(1))
    uploads = list(hub.upload(slot(1)).values())
    first, _ = hub.ask_all(slot(1), uploads)
    hub.prepare(slot(1, 1))
    again = hub.upload(slot(1, 1))
    others = [again[p] for p in hub.partners if p != VICTIM]
    second, refused = hub.ask_all(slot(1, 1), others, [p for p in hub.partners if p != VICTIM])
    if refused:
        raise AssertionError(refused)
    return hub.open(uploads, first) - hub.open(others, second)


def test_a_retry_over_the_same_weights_with_fewer_shows_who_is_missing() -> None:
    with pytest.raises(AssertionError, match="COHORT_CHANGED"):
        smaller_retry(Member)
    assert (smaller_retry(without("_check_same_cohort")) == update_of(VICTIM)).all()


def test_a_retry_with_the_same_partners_is_answered() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    hub.ask_all(slot(1), list(hub.upload(slot(1)).values()))
    hub.prepare(slot(1, 1))
    again = list(hub.upload(slot(1, 1)).values())
    answers, refused = hub.ask_all(slot(1, 1), again)
    assert not refused
    assert (hub.open(again, answers) == total(hub.partners)).all()


def test_the_same_weights_in_a_later_round_count_as_the_same() -> None:
    hub = Hub(4)
    hub.prepare(slot(1), slot(2))
    hub.ask_all(slot(1), list(hub.upload(slot(1)).values()))
    later = hub.upload(slot(2))
    others = [later[p] for p in hub.partners if p != VICTIM]
    _, refused = hub.ask_all(slot(2), others)
    assert set(refused.values()) == {CohortChanged.code}


# --- replayed rounds --------------------------------------------------------------------------------------------------


def test_a_round_that_is_over_stays_over() -> None:
    hub = Hub(4)
    hub.prepare(slot(1), slot(2))
    first = hub.upload(slot(1))
    hub.upload(slot(2), "w2")
    victim = hub.members[VICTIM]
    with pytest.raises(SlotStale):
        victim.take(slot(1), given("w", slot(1)))
    with pytest.raises(SlotStale):
        victim.upload(slot(1), update_of(VICTIM))
    with pytest.raises(SlotStale):
        hub.ask(VICTIM, slot(1), first.values())
    with pytest.raises(SlotStale):
        victim.deal(["1.1"])
    assert not [name for name in hub.parties.stores[VICTIM] if name.startswith(("own/1", "share/1"))]


def test_a_key_is_dealt_anew_only_before_it_is_used() -> None:
    """A hub that has a key dealt twice gets two keys, of which the first is gone; its holders don't take the second."""
    hub = Hub(4)
    hub.prepare(slot(1))
    own = hub.parties.stores[VICTIM][keys.own("1.0")]
    again = hub.members[VICTIM].deal(["1.0"])
    assert hub.parties.stores[VICTIM][keys.own("1.0")] != own
    complaints = hub.hold({VICTIM: again})
    assert {one.code for p, told in complaints.items() if p != VICTIM for one in told} == {"SHARE_FOREIGN"}
    uploads = hub.upload(slot(1))
    _, refused = hub.ask_all(slot(1), list(uploads.values()), [p for p in hub.partners if p != VICTIM])
    assert set(refused.values()) == {"SHARE_FOREIGN"}  # the victim's upload is under a key that nobody holds
    with pytest.raises(SlotStale):
        hub.members[VICTIM].deal(["1.0"])
    with pytest.raises(ShareForeign):
        hub.members[VICTIM].deal([keys.JOB_KEY])


def test_what_was_used_is_gone_before_the_answer_is_out() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = hub.upload(slot(1))
    store = hub.parties.stores[VICTIM]
    assert keys.own("1.0") not in store  # one upload, then the own key is gone
    assert len([name for name in store if name.startswith("share/1.0/")]) == 4
    hub.ask(VICTIM, slot(1), uploads.values())
    assert not [name for name in store if name.startswith(("share/", "own/"))]
    assert {name for name in store if name.startswith("used/")} == {keys.used("1.0", p) for p in hub.partners}


def test_a_refused_answer_spends_nothing() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = hub.upload(slot(1))
    before = dict(hub.parties.stores[VICTIM])
    with pytest.raises(CohortInvalid):
        hub.ask(VICTIM, slot(1), [uploads[VICTIM]])
    del hub.parties.stores[VICTIM][keys.share("1.0", "bank-b")]
    with pytest.raises(KeyMissing):
        hub.ask(VICTIM, slot(1), uploads.values())
    hub.parties.stores[VICTIM].update(before)
    assert hub.parties.stores[VICTIM] == before
    answers, refused = hub.ask_all(slot(1), list(uploads.values()))
    assert not refused
    assert (hub.open(list(uploads.values()), answers) == total(hub.partners)).all()
