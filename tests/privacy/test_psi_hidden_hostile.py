"""A common order of the union: hostile and damaged messages are named failures, and no client gets a wrong place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_scalar_invert

from privacy.errors import Failure
from privacy.psi import errors, group
from tests.privacy.test_psi_group import HOSTILE
from tests.privacy.test_psi_hidden import FULL, MODE, PAIR, PHASES, POINTS, STEPS, places, points, spine, split
from tests.privacy.test_psi_hostile import STRANGER, paused
from tests.support.damage import assert_refused, flipped
from tests.support.entropy import SeededEntropy
from tests.support.matching import CONTEXT, Alliance, clients, records_of, refuse, rewritten, waiting

PADDED = [step for step in POINTS if "only" in PHASES[step]]


def assert_right(run: Alliance) -> None:
    run.run()
    found = places(run)
    assert {item for item in found["broker"] if found["bank"].get(item) == found["broker"][item]} == set(
        clients(3, 4, 5)
    )
    assert len(spine(run, "bank").tokens) == 6


@pytest.mark.parametrize("step", STEPS)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(step: int) -> None:
    run = paused(MODE, step, PAIR)
    sender, recipient, message = waiting(run)
    assert_refused(run.sessions[recipient], sender, message, flipped(message))
    assert_right(run)


@pytest.mark.parametrize("step", POINTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_point_in_a_well_formed_message(name: str, step: int) -> None:
    run = paused(MODE, step, PAIR)
    message = waiting(run)[2]
    error = refuse(run, Failure, rewritten(message, HOSTILE[name] + records_of(message)[32:]))
    if len(HOSTILE[name]) == 32:
        padding = HOSTILE[name] == bytes(32) and step in PADDED
        assert isinstance(error, errors.BadRows if padding else errors.BadPoint)


def test_hostile_point_among_the_leaders_doubled_ones_is_refused_at_once() -> None:
    """Below the minimum nothing would use it, and in an earlier chunk it would spoil the list for good."""
    run = Alliance(MODE, PAIR, minimum=5, points_per_message=2)
    while b"leader-doubled" not in waiting(run)[2]:
        run.deliver_one()
    message = waiting(run)[2]
    refuse(run, errors.BadPoint, rewritten(message, records_of(message)[:32] + HOSTILE["small order 1"]))


@pytest.mark.parametrize(("step", "own"), [(7, 4), (8, 2)])
def test_own_client_among_those_of_the_other_alone_is_refused(step: int, own: int) -> None:
    """A point that came back for a client of the recipient's stands in the difference too."""
    run = paused(MODE, step, PAIR)
    message = waiting(run)[2]
    refuse(run, errors.BadRows, rewritten(message, points(run, own)[0] + records_of(message)[32:]))


@pytest.mark.parametrize("step", FULL)
def test_repeated_points_are_refused(step: int) -> None:
    run = paused(MODE, step, PAIR)
    message = waiting(run)[2]
    records = records_of(message)
    refuse(run, errors.RepeatedPoint, rewritten(message, records[:32] + records[:-32]))


@pytest.mark.parametrize("step", PADDED)
def test_difference_that_is_not_what_the_sizes_say_is_refused(step: int) -> None:
    run = paused(MODE, step, {"broker": clients(*range(5)), "bank": clients(*range(2, 8))})
    message = waiting(run)[2]
    listed = split(records_of(message))
    count = sum(point != bytes(32) for point in listed)
    assert 1 < count < len(listed) - 1
    empty = bytes(32)
    for edited in (
        [listed[1], *listed[1:]],
        [*listed[:count], STRANGER, *listed[count + 1 :]],
        [*listed[: count - 1], empty, *listed[count:]],
        [*listed[: count - 1], empty, listed[count - 1], *listed[count + 1 :]],
        [empty] * len(listed),
    ):
        refuse(run, errors.BadRows, rewritten(message, b"".join(edited)))


def sizes(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


@pytest.mark.parametrize(
    "record",
    [
        sizes(2, 1, 2),  # unknown outcome
        sizes(0, 0, 2),  # would make four shared clients of one side, three of the other
        sizes(0, 1, 1),
        sizes(0, 3, 4),  # one shared client, below the minimum
        sizes(0, 5, 6),  # more than the follower has
        sizes(0, 2**32 - 1, 2**32 - 2),
        sizes(1, 1, 2),  # below the minimum and yet sizes
        sizes(1, 0, 2),
    ],
)
def test_sizes_that_cannot_be_are_refused(record: bytes) -> None:
    run = Alliance(MODE, PAIR, minimum=2)
    for _ in range(5):
        run.deliver_one()
    refuse(run, errors.BadRows, rewritten(waiting(run)[2], record))
    assert_right(run)


@pytest.mark.parametrize("step", [9, 10])
def test_other_digest_of_the_spine_is_refused(step: int) -> None:
    run = paused(MODE, step, PAIR)
    refuse(run, errors.BadRows, rewritten(waiting(run)[2], bytes(32)))
    assert_right(run)


def test_outcome_changed_on_the_way_gives_nobody_a_spine() -> None:
    run = paused(MODE, 5, PAIR)
    queue = run.waiting["broker", "bank"]
    queue[0] = rewritten(queue[0], sizes(1, 0, 0))
    queue[1] = rewritten(queue[1], bytes(len(records_of(queue[1]))))
    queue[2] = rewritten(queue[2], bytes(len(records_of(queue[2]))))
    for _ in range(3):
        run.deliver_one()
    with pytest.raises(errors.BadRows):  # the true leader waits for what only the follower has
        run.run()
    assert not any(session.done for session in run.sessions.values())


CHANGES: list[tuple[dict[str, object], type[Failure]]] = [
    ({"phase": "leader-masked"}, errors.WrongPhase),
    ({"phase": "spine"}, errors.WrongPhase),
    ({"role": "leader"}, errors.WrongRole),
    ({"mode": "align"}, errors.ForeignMessage),
    ({"context": "00" * 32}, errors.ForeignMessage),
    ({"sender": "platform"}, errors.ForeignMessage),
    ({"recipient": "platform"}, errors.ForeignMessage),
    ({"count": 5}, errors.CountDiffers),
    ({"chunks": 2}, errors.MalformedMessage),
    ({"chunk": 1}, errors.MissingChunk),
    ({"chunk": -1}, errors.RepeatedChunk),
    ({"records": b""}, errors.MalformedMessage),
]


@pytest.mark.parametrize(("changes", "failure"), CHANGES)
def test_header_that_lies_is_refused(changes: dict[str, object], failure: type[Failure]) -> None:
    run = paused(MODE, 1, PAIR)
    refuse(run, failure, rewritten(waiting(run)[2], changes=changes))


@pytest.mark.parametrize("step", STEPS)
def test_no_other_message_of_the_run_or_of_another_job_is_taken_in_its_place(step: int) -> None:
    finished, foreign = Alliance(MODE, PAIR).run(), Alliance(MODE, PAIR, context=b"another job's digest").run()
    run = paused(MODE, step, PAIR)
    _, recipient, _ = waiting(run)
    for number, item in enumerate(finished.delivered):
        if item.recipient == recipient and number != step:
            refuse(run, errors.WrongPhase, item.message)
        elif item.recipient != recipient:  # reflected
            refuse(run, errors.WrongRole, item.message)
    refuse(run, errors.ForeignMessage, foreign.delivered[step].message)
    refuse(run, errors.ForeignMessage, finished.delivered[step].message, sender="hub")
    assert_right(run)


def test_missing_and_repeated_chunks_are_refused_in_every_list() -> None:
    run = Alliance(MODE, PAIR, points_per_message=2)
    while True:
        link = next((link for link, queue in run.waiting.items() if queue), None)
        if link is None:
            break
        queue = run.waiting[link]
        if len(queue) > 1:
            refuse(run, Failure, queue[1])
        delivered = run.deliver_one()
        assert delivered is not None
        session = run.sessions[delivered.recipient]
        before = session.dump()
        with pytest.raises(Failure):
            session.receive(delivered.sender, delivered.message)
        assert session.dump() == before
    assert_right(run)


@given(st.sampled_from(POINTS), st.integers(0, 3), st.booleans())
def test_other_valid_point_never_puts_two_clients_in_one_place(step: int, place: int, reflected: bool) -> None:
    """An authenticated party may send another valid point: the run fails, or a shared client counts as two."""
    run = paused(MODE, step, PAIR)
    sender, recipient, message = waiting(run)
    listed = split(records_of(message))
    listed[place] = points(run, 0)[0] if reflected and step else STRANGER
    run.waiting[sender, recipient][0] = rewritten(message, b"".join(listed))
    try:
        run.run()
    except Failure:
        assert step > 0
    for session in run.sessions.values():
        if not session.done:
            return
    found = places(run)
    assert spine(run, "broker").tokens == spine(run, "bank").tokens
    owner: dict[str, bytes] = {}
    for name in PAIR:
        for item, token in found[name].items():
            assert owner.setdefault(token, item) == item


@pytest.mark.parametrize("step", [2, 3, 4, 7, 8])
def test_point_swapped_in_what_came_back_is_caught_by_the_spine(step: int) -> None:
    """Nobody has a result then: the two sides' unions differ."""
    run = paused(MODE, step, PAIR)
    sender, recipient, message = waiting(run)
    run.waiting[sender, recipient][0] = rewritten(message, STRANGER + records_of(message)[32:])
    with pytest.raises(errors.BadRows):
        run.run()
    assert not any(session.done for session in run.sessions.values())


def test_limit_a_leader_that_deviates_learns_which_of_its_clients_are_shared() -> None:
    """What docs/matching.md states of this mode: it takes parties whose software follows the protocol."""
    run = paused(MODE, 4, PAIR)
    leader: Any = run.sessions["broker"]
    in_order = leader._taken("leader-tripled")  # H(x)^abtr
    doubled = sorted(leader._taken("leader-doubled"))
    blind = group.draw_scalar(SeededEntropy(b"blind"))
    asked = group.multiply_all(blind, doubled)[: len(PAIR["bank"])]
    strangers = group.hash_all(clients(*range(50, 55)), group.domain(CONTEXT))
    queue = run.waiting["broker", "bank"]
    queue[1] = rewritten(queue[1], sizes(0, 4, 5))
    queue[2] = rewritten(queue[2], b"".join(asked))
    queue[3] = rewritten(queue[3], b"".join(strangers))
    for _ in range(4):
        run.deliver_one()
    answer = split(records_of(run.waiting["bank", "broker"][0]))
    opened = leader._times("spine", group.multiply_all(crypto_core_ed25519_scalar_invert(blind), answer))
    shared = set(leader._taken("follower-masked")) & set(doubled)
    found = {
        PAIR["broker"][leader._order()[in_order.index(known)]]
        for point, known in zip(doubled, opened, strict=False)
        if point in shared
    }
    assert found
    assert found <= set(clients(3, 4, 5))
