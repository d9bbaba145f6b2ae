"""A cached list against plain sets: lists, additions, budget, time, restarts, and lengths that tell nothing."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi import cached, errors
from privacy.psi.cached.errors import EpochDiffers, EpochOver, ListTooLong, PointsSpent
from privacy.psi.oprf.packed import PackedIdentifiers
from privacy.psi.values import Outcome
from tests.support.cached import ENDS, NOW, RECEIVER, SENDER, Alliance, Pair, begun, clients
from tests.support.entropy import SeededEntropy

NUMBERS = st.sets(st.integers(0, 30), max_size=20)


@given(NUMBERS, st.lists(st.integers(0, 30), max_size=9, unique=True))
@settings(max_examples=25, deadline=None)
def test_the_shared_clients_are_those_of_plain_sets(large: set[int], small: list[int]) -> None:
    alliance = Alliance(clients(*large))
    result = alliance.run(clients(*small), points=9)
    assert result.outcome is Outcome.SHARED
    assert [small[row] for row in result.rows] == [number for number in small if number in large]


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.lists(st.integers(0, 30), max_size=6, unique=True))
@settings(max_examples=15, deadline=None)
def test_added_lists_over_several_jobs(batches: list[set[int]], small: list[int]) -> None:
    known = set(batches[0])
    alliance = Alliance(clients(*known))
    for batch in batches[1:]:
        fresh = sorted(batch - known)[:4]
        known |= set(fresh)
        # clients that stand in a list already may be named again
        assert alliance.sender.add(clients(*sorted(known))) == len(fresh)
        alliance.sender_ids = clients(*sorted(known, reverse=True))
        assert alliance.shared(clients(*small), points=6) == set(clients(*(known & set(small))))


def test_both_sides_end_with_one_transcript_and_the_sender_with_nothing() -> None:
    run = Alliance(clients(1, 2, 3)).pair(clients(3, 4)).run()
    sender, receiver = run.sessions[SENDER], run.sessions[RECEIVER]
    assert sender.result().outcome is Outcome.NOT_ENTITLED
    assert len(sender.result().rows) == 0
    assert sender.transcript(RECEIVER) == receiver.transcript(SENDER)
    assert sender.progress == receiver.progress == (5, 5)
    assert sender.phase == receiver.phase == "done"


def test_the_list_may_come_before_any_question() -> None:
    alliance = Alliance(clients(*range(18)))
    delivered = alliance.pair([], points=0).run()
    assert delivered.sessions[RECEIVER].done
    assert len(alliance.receiver.messages) == 3
    assert (alliance.sender.spent, alliance.receiver.asked) == (0, 0)
    alliance.sender_ids = []  # nothing to deliver any more: no identifiers are needed
    question = alliance.pair(clients(5, 50), points=2).run()
    assert question.sessions[RECEIVER].result().rows.tolist() == [0]
    assert len(question.delivered) == 2  # one message of points, one of evaluations


def test_below_the_minimum_no_row_is_shown() -> None:
    alliance = Alliance(clients(1, 2, 3))
    below = alliance.run(clients(2, 3, 9), minimum=3)
    assert (below.outcome, len(below.rows)) == (Outcome.BELOW_MINIMUM, 0)
    assert alliance.run(clients(2, 3, 9), minimum=2).outcome is Outcome.SHARED


@pytest.mark.parametrize("ids", [[b"\x00"], [b"a" * 256, b"a" * 255], [b"\xff\x00", b"\xff"], []])
def test_unusual_identifiers(ids: list[bytes]) -> None:
    assert Alliance([*ids, *clients(1)]).shared([*ids, *clients(7)]) == set(ids)


@pytest.mark.parametrize("ids", [[b""], [b"a" * 257], clients(1, 1)])
def test_identifiers_that_nobody_may_enter(ids: list[bytes]) -> None:
    with pytest.raises(errors.BadIdentifiers):
        begun(ids)
    with pytest.raises(errors.BadIdentifiers):
        Alliance(clients(1)).pair(ids)


def test_millions_may_come_packed() -> None:
    ids = PackedIdentifiers.of(clients(*range(20)))
    assert Alliance(ids).shared(clients(3, 33)) == set(clients(3))
    with pytest.raises(errors.BadIdentifiers):
        begun(PackedIdentifiers.of(clients(1, 2, 1)))


# -- sizes


def lengths(large: list[bytes], small: list[bytes]) -> list[tuple[str, int]]:
    alliance = Alliance(large)
    first = alliance.pair(small).run().delivered
    alliance.sender.add([])
    return [(name, len(message)) for name, message in [*first, *alliance.pair(small).run().delivered]]


def test_lengths_follow_from_the_terms_alone() -> None:
    expected = lengths(clients(*range(20)), clients(*range(6)))
    assert lengths([], []) == expected
    assert lengths(clients(1), clients(*range(30, 36))) == expected
    assert lengths(clients(*range(10)), clients(3)) == expected


def test_padding_stands_between_the_masks() -> None:
    """Were it at the end, the messages without a match would tell how long the list is."""
    epoch = begun(clients(*range(100)), slots=200)
    places = epoch.order(0).reshape(10, 20)
    assert sorted(places.ravel()) == list(range(200))
    assert all(3 <= (some < 100).sum() <= 17 for some in places)


def test_masks_do_not_follow_the_order_of_the_rows() -> None:
    one, other = Alliance(clients(*range(20))), Alliance(clients(*reversed(range(20))))
    one.run([], points=0)
    other.run([], points=0)
    assert one.receiver.messages == other.receiver.messages


def test_nothing_of_two_epochs_compares() -> None:
    masks = []
    for epoch, seed in ((1, "first"), (2, "second")):
        alliance = Alliance(clients(*range(20)), {"epoch": epoch, "seed": seed})
        alliance.run([], points=0)
        data = b"".join(alliance.receiver.messages)
        masks.append({data[i : i + 12] for i in range(0, len(data), 12)})
    assert len(masks[0]) == len(masks[1]) == 20
    assert not masks[0] & masks[1]


# -- the budget, and time


def test_every_point_is_booked_before_it_is_evaluated_and_none_comes_back() -> None:
    alliance = Alliance(clients(1, 2), {"points_max": 15})
    alliance.run(clients(1), points=6)
    broken = alliance.pair(clients(2), points=6)
    assert broken.step()
    assert (alliance.sender.left, alliance.sender.spent, alliance.receiver.asked) == (3, 12, 12)
    with pytest.raises(PointsSpent):
        alliance.pair(clients(1), points=4)
    assert (alliance.sender.left, alliance.receiver.asked) == (3, 12)
    assert alliance.shared(clients(1), points=3) == set(clients(1))
    assert alliance.sender.left == 0
    with pytest.raises(PointsSpent):
        alliance.pair([], points=1)


def test_the_sender_does_not_believe_the_receivers_books() -> None:
    alliance = Alliance(clients(1, 2), {"points_max": 6})
    alliance.run(clients(1), points=6)
    alliance.receiver.asked = 0
    with pytest.raises(PointsSpent):
        alliance.pair(clients(2), points=1)


def test_an_epoch_ends_in_time() -> None:
    alliance = Alliance(clients(1, 2))
    assert alliance.pair(clients(1), now=ENDS - timedelta(seconds=1)).run().sessions[RECEIVER].done
    for now in (ENDS, ENDS + timedelta(days=1)):
        with pytest.raises(EpochOver):
            alliance.pair(clients(1), now=now)
    pair = alliance.pair(clients(1))
    for name in (SENDER, RECEIVER):
        with pytest.raises(EpochOver):
            pair.restart(name, now=ENDS)


def test_an_epoch_that_was_ended_has_no_secret_left() -> None:
    alliance = Alliance(clients(1, 2))
    pair = alliance.pair(clients(1))
    pair.until("points", SENDER)
    alliance.sender.end()
    alliance.receiver.end()
    pair.step()
    with pytest.raises(EpochOver):
        pair.sessions[SENDER].work()
    with pytest.raises(EpochOver):
        alliance.sender.add([])
    with pytest.raises(EpochOver):
        alliance.sender.standing([])
    with pytest.raises(EpochOver):
        alliance.pair([], lists=1)
    stored = cached.SenderEpoch.load(alliance.sender.dump())
    assert stored.over and stored.lists == [] and stored.terms == alliance.sender.terms
    assert len(stored.dump()) < 1200
    assert cached.ReceiverEpoch.load(alliance.receiver.head(), []).over


# -- lists


def test_a_list_takes_no_more_than_its_places() -> None:
    with pytest.raises(ListTooLong):
        begun(clients(*range(21)))
    epoch = begun(clients(*range(20)))
    with pytest.raises(ListTooLong):
        epoch.add(clients(*range(18, 25)))
    assert len(epoch.lists) == 1
    assert [epoch.add(clients(20 + i)) for i in range(3)] == [1, 1, 1]
    with pytest.raises(EpochOver):
        epoch.add([])


def test_clients_that_left_are_counted_and_stop_a_delivery() -> None:
    alliance = Alliance(clients(1, 2, 3))
    alliance.sender_ids = clients(1, 3, 4)
    assert alliance.sender.size - alliance.sender.standing(alliance.sender_ids).sum() == 1
    with pytest.raises(EpochDiffers):
        alliance.pair(clients(1))
    assert alliance.sender.spent == 0


def test_a_delivery_that_broke_goes_on_in_another_job() -> None:
    alliance = Alliance(clients(*range(20)))
    broken = alliance.pair(clients(1, 2), points=2)
    broken.until("masks", RECEIVER)
    broken.step(lambda steps: f"deliver {RECEIVER}")
    assert len(alliance.receiver.messages) == 1
    alliance.sender_ids = clients(*reversed(range(20)))
    rest = alliance.pair(clients(*range(6))).run()
    assert rest.sessions[RECEIVER].result().rows.tolist() == list(range(6))
    assert rest.sessions[RECEIVER].progress == (4, 4)  # two of evaluations, two of masks


def test_jobs_that_do_not_fit_the_epoch() -> None:
    alliance = Alliance(clients(1, 2))
    with pytest.raises(EpochDiffers):
        alliance.pair(clients(1), lists=2)
    with pytest.raises(EpochDiffers):
        alliance.pair(clients(1), held=1)
    with pytest.raises(errors.BadSetup):
        alliance.pair(clients(1), lists=5)
    with pytest.raises(errors.BadSetup):
        alliance.pair(clients(1, 2, 3), points=2)
    assert alliance.sender.spent == 8  # the sender had no reason to refuse what the receiver refused


BAD_JOBS: list[dict[str, Any]] = [{"points": -1}, {"held": -1}, {"lists": 0}, {"minimum": -1}, {"context": b"short"}]


@pytest.mark.parametrize("change", BAD_JOBS)
def test_jobs_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(errors.BadSetup):
        Alliance(clients(1)).job(**change)


# -- restarts


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_order_of_steps_with_crashes_anywhere(data: st.DataObject) -> None:
    small = clients(*range(15, 26))
    alliance = Alliance(clients(*range(20)))
    pair = alliance.pair(small, points=18)
    while pair.steps():
        if crashed := data.draw(st.sampled_from(["", "", SENDER, RECEIVER])):
            pair.restart(crashed)
        pair.step(lambda steps: data.draw(st.sampled_from(steps)))
    assert pair.sessions[RECEIVER].result().rows.tolist() == [0, 1, 2, 3, 4]
    assert pair.sessions[SENDER].transcript(RECEIVER) == pair.sessions[RECEIVER].transcript(SENDER)
    assert alliance.sender.spent == 18


def record(crash_at: int, name: str) -> list[bytes]:
    """All messages of a job in which a step was done twice: before a crash that lost it, and after."""
    pair = Alliance(clients(*range(20))).pair(clients(1, 2, 3, 44, 55), points=6)
    for _ in range(crash_at):
        if not pair.step():
            break
    saved = pair.sessions[name].dump()
    alliance = pair.alliance
    heads = alliance.sender.dump(), alliance.receiver.head(), list(alliance.receiver.messages)
    if pair.sessions[name].ready:
        pair.sessions[name].work()  # made, and lost before it was stored
    alliance.sender = cached.SenderEpoch.load(heads[0])
    alliance.receiver = cached.ReceiverEpoch.load(heads[1], heads[2])
    for side in (SENDER, RECEIVER):
        dump = saved if side == name else pair.sessions[side].dump()
        pair.sessions[side] = cached.load(data=dump, epoch=pair.epoch(side), ids=pair.own(side), now=NOW)
    return [message for _, message in pair.run().delivered]


def test_a_step_that_is_repeated_gives_the_same_bytes() -> None:
    expected = record(0, RECEIVER)
    for step in range(1, 12):
        for name in (SENDER, RECEIVER):
            assert record(step, name) == expected


def test_other_identifiers_after_a_restart_are_refused() -> None:
    pair = Alliance(clients(1, 2)).pair(clients(1, 3))
    pair.ids = clients(1, 4)
    with pytest.raises(errors.IdentifiersChanged):
        pair.restart(RECEIVER)
    pair.alliance.sender_ids = clients(1, 3)
    with pytest.raises(EpochDiffers):
        pair.restart(SENDER)


def test_parts_of_the_state_that_do_not_fit_together() -> None:
    pair = Alliance(clients(*range(20))).pair(clients(1))
    pair.until("masks", RECEIVER)
    dump, alliance = pair.sessions[RECEIVER].dump(), pair.alliance
    pair.step(lambda steps: f"deliver {RECEIVER}")
    for data, epoch in (
        (dump, alliance.receiver),  # masks are there that the session has not seen
        (dump, alliance.sender),
        (pair.sessions[SENDER].dump(), alliance.receiver),
        (dump, cached.ReceiverEpoch(begun(clients(1), seed="another key").terms)),
        (dump[:-1], alliance.receiver),
    ):
        with pytest.raises(errors.BadState):
            cached.load(data=data, epoch=epoch, ids=clients(1), now=NOW)
    with pytest.raises(errors.BadState):
        cached.ReceiverEpoch.load(alliance.receiver.head(), [])
    for data in (b"", b"EP1\n", alliance.receiver.head(), alliance.sender.dump()[:-3]):
        with pytest.raises(errors.BadState):
            cached.SenderEpoch.load(data)


def test_a_finished_session_keeps_its_result_only() -> None:
    pair = Alliance(clients(*range(20))).pair(clients(1, 2, 99)).run()
    for name in (SENDER, RECEIVER):
        result = pair.sessions[name].result()
        pair.restart(name, now=ENDS)  # may be read after the epoch
        assert np.array_equal(pair.sessions[name].result().rows, result.rows)
        dump = pair.sessions[name].dump()
        assert len(dump) < 1500
        assert SeededEntropy(f"{name}1".encode())(32) not in dump


def test_the_result_waits() -> None:
    pair = Alliance(clients(1)).pair(clients(1))
    for session in pair.sessions.values():
        with pytest.raises(errors.NotFinished):
            session.result()
    with pytest.raises(errors.WrongPhase):
        pair.sessions[RECEIVER].start()


def test_threads_give_the_same_messages() -> None:
    def digests(pair: Pair) -> list[str]:
        return [hashlib.sha256(message).hexdigest() for _, message in pair.run().delivered]

    expected = digests(Alliance(clients(*range(20))).pair(clients(1, 2)))
    alliance = Alliance(clients(*range(20)))
    job = alliance.job()
    with ThreadPoolExecutor(2) as pool:
        pair = Pair(alliance, clients(1, 2), job)
        for name, session in pair.sessions.items():
            pair.sessions[name] = cached.load(
                data=session.dump(), epoch=pair.epoch(name), ids=pair.own(name), now=NOW, map=pool.map
            )
        assert digests(pair) == expected


# -- the terms


def test_terms_have_one_signed_form() -> None:
    terms = begun(clients(1)).terms
    body = terms.to_body()
    assert cached.Terms.from_body(body) == terms
    changes: list[dict[str, Any]] = [
        {"public": body["public"].upper()} if isinstance(body["public"], str) else {},
        {"ends": "2026-12-01T00:00:00Z"},
        {"ends": "soon"},
        {"context": "xy"},
        {"epoch": "1"},
        {"epoch": True},
        {"slots": 20.0},
        {"version": 2},
        {"public": "00" * 32},
        {"more": 1},
    ]
    for change in changes:
        with pytest.raises((errors.BadSetup, errors.BadPoint)):
            cached.Terms.from_body(body | change)
    for name in body:
        with pytest.raises(errors.BadSetup):
            cached.Terms.from_body({key: body[key] for key in body if key != name})


BAD_TERMS: list[dict[str, Any]] = [
    {"receiver": SENDER},
    {"sender": ""},
    {"epoch": 0},
    {"context": b"short"},
    {"slots": 0},
    {"slots": (1 << 27) + 1},
    {"addition_slots": 0},
    {"additions_max": -1},
    {"points_max": 0},
    {"points_max": 1 << 25},
    {"ends": ENDS.astimezone().replace(tzinfo=None)},
    {"ends": ENDS.replace(microsecond=1)},
    {"slots": 1 << 26, "addition_slots": 1 << 26, "additions_max": 1 << 12, "points_max": 1 << 24},
]


@pytest.mark.parametrize("change", BAD_TERMS)
def test_terms_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(errors.BadSetup):
        begun(clients(1), **change)


def test_the_bounds_of_the_largest_epochs() -> None:
    terms = begun([], slots=1 << 27, points_max=1 << 24, additions_max=0).terms
    assert terms.false_match_log2 == 27 + 24 - 96
    assert terms.key_bits == 114


def test_every_place_of_every_list_travels_once() -> None:
    terms = begun(clients(1), slots=20, addition_slots=9, masks_per_message=8).terms
    places = [terms.place(message) for message in range(terms.messages_of(3))]
    assert places == [(0, 0, 8), (0, 8, 16), (0, 16, 20), (1, 0, 8), (1, 8, 9), (2, 0, 8), (2, 8, 9)]
