"""Hostile and damaged messages: every one is a named failure that changes nothing, and no row is ever wrong."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import psi
from privacy.errors import Failure
from privacy.psi import errors, group
from privacy.psi.wire import Listing
from tests.privacy.test_psi_group import HOSTILE
from tests.support.damage import assert_refused, flipped
from tests.support.entropy import SeededEntropy
from tests.support.matching import CONTEXT, Alliance, clients, records_of, refuse, rewritten, waiting

SETS = {"broker": clients(1, 2, 3, 4, 5), "bank": clients(3, 4, 5, 6), "platform": clients(2, 3, 4, 9)}
PAIR = {name: SETS[name] for name in ("broker", "bank")}
STRANGER = group.hash_to_group(b"a point nobody masked", group.domain(b"elsewhere elsewhere"))


def paused(mode: str, before: int, sets: dict[str, list[bytes]] | None = None, chunk: int = 8192) -> Alliance:
    """A run whose next message to deliver is number `before`."""
    run = Alliance(mode, sets or PAIR, points_per_message=chunk)
    for _ in range(before):
        assert run.deliver_one()
    return run


# count and align of a pair: 0 leader-masked, 1 follower-masked, 2 leader-doubled, 3 rows (align)
STEPS = [("count", 0), ("count", 1), ("count", 2), ("align", 0), ("align", 1), ("align", 2), ("align", 3)]


@pytest.mark.parametrize(("mode", "step"), STEPS)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(mode: str, step: int) -> None:
    run = paused(mode, step)
    sender, recipient, message = waiting(run)
    assert_refused(run.sessions[recipient], sender, message, flipped(message))
    run.run()
    if mode == "count":
        assert run.count().count == 3
    else:
        assert set(run.common("bank")) == set(clients(3, 4, 5))


@pytest.mark.parametrize(("mode", "step"), [("count", 0), ("count", 1), ("count", 2), ("align", 2)])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_point_in_a_well_formed_message(name: str, mode: str, step: int) -> None:
    run = paused(mode, step)
    message = waiting(run)[2]
    records = records_of(message)
    error = refuse(run, Failure, rewritten(message, HOSTILE[name] + records[32:]))
    if len(HOSTILE[name]) == 32:
        assert isinstance(error, errors.BadPoint)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_repeated_points_are_refused(step: int) -> None:
    for mode in ("count", "align"):
        run = paused(mode, step)
        message = waiting(run)[2]
        records = records_of(message)
        refuse(run, errors.RepeatedPoint, rewritten(message, records[:32] + records[:-32]))


def test_repeated_points_in_two_chunks_are_refused() -> None:
    run = paused("count", 1, chunk=2)
    first = run.delivered[0].message
    refuse(run, errors.RepeatedChunk, first)
    second = waiting(run)[2]
    assert run.deliver_one()
    last = waiting(run)[2]
    refuse(run, errors.RepeatedPoint, rewritten(last, records_of(second)[: len(records_of(last))]))


CHANGES: list[tuple[dict[str, object], type[Failure]]] = [
    ({"phase": "leader-doubled"}, errors.WrongPhase),
    ({"phase": "rows"}, errors.WrongPhase),
    ({"role": "leader"}, errors.WrongRole),
    ({"role": "hub"}, errors.WrongRole),
    ({"mode": "align"}, errors.ForeignMessage),
    ({"context": "00" * 32}, errors.ForeignMessage),
    ({"sender": "platform"}, errors.ForeignMessage),
    ({"recipient": "platform"}, errors.ForeignMessage),
    ({"count": 3}, errors.CountDiffers),
    ({"count": 5}, errors.CountDiffers),
    ({"count": -1}, errors.CountDiffers),
    ({"chunks": 2}, errors.MalformedMessage),
    ({"chunks": 0}, errors.MalformedMessage),
    ({"chunk": 1}, errors.MissingChunk),
    ({"chunk": -1}, errors.RepeatedChunk),
    ({"psi": 2}, errors.MalformedMessage),
    ({"psi": True}, errors.MalformedMessage),
    ({"count": "4"}, errors.MalformedMessage),
    ({"count": True}, errors.MalformedMessage),
    ({"phase": None}, errors.MalformedMessage),
    ({"digest": "00" * 32}, errors.MalformedMessage),
    ({"records": b""}, errors.MalformedMessage),
    ({"records": "text"}, errors.MalformedMessage),
    ({"extra": 1}, errors.MalformedMessage),
]


@pytest.mark.parametrize(("changes", "failure"), CHANGES)
def test_header_that_lies_is_refused(changes: dict[str, object], failure: type[Failure]) -> None:
    run = paused("count", 1)
    refuse(run, failure, rewritten(waiting(run)[2], changes=changes))


def test_missing_chunk_repeated_chunk_and_early_phase() -> None:
    run = paused("count", 0, chunk=2)
    first, second, third = (item.message for item in run.sessions["broker"].start())
    refuse(run, errors.MissingChunk, second)
    assert run.deliver_one()
    refuse(run, errors.RepeatedChunk, first)
    refuse(run, errors.MissingChunk, third)
    assert run.deliver_one()
    assert run.deliver_one()
    doubled = list(run.waiting["bank", "broker"])[-1]
    refuse(run, errors.WrongPhase, doubled)


def test_message_of_another_job_or_to_another_party_is_refused() -> None:
    run = paused("align", 1, SETS)
    _, _, message = waiting(run)
    other = Alliance("align", SETS, context=b"another job's digest")
    refuse(run, errors.ForeignMessage, other.sessions["broker"].start()[0].message)
    to_bank, to_platform = (item.message for item in run.sessions["broker"].start())
    assert message == to_platform
    refuse(run, errors.ForeignMessage, to_bank)
    refuse(run, errors.ForeignMessage, message, sender="bank")
    refuse(run, errors.ForeignMessage, message, sender="hub")


def test_reflected_messages_and_two_leaders_are_refused() -> None:
    run = paused("count", 0)
    leader = run.sessions["broker"]
    own = leader.start()[0].message
    with pytest.raises(errors.WrongRole):
        leader.receive("bank", own)
    counts = {name: len(ids) for name, ids in PAIR.items()}
    rival = Alliance("count", {"bank": PAIR["bank"], "broker": PAIR["broker"]})
    assert rival.sessions["bank"].setup.counts == counts
    with pytest.raises(errors.WrongRole):
        leader.receive("bank", rival.sessions["bank"].start()[0].message)


def test_answer_before_the_start_is_refused() -> None:
    """A leader taken back to before its start (state lost) must start again, not skip ahead."""
    run = paused("count", 1)
    _, _, answer = waiting(run)
    twin = psi.create(
        mode="count",
        role="leader",
        me="broker",
        peers=["bank"],
        ids=PAIR["broker"],
        counts={name: len(ids) for name, ids in PAIR.items()},
        context=CONTEXT,
        minimum=0,
        entropy=SeededEntropy(b"broker"),
    )
    assert twin.phase == "start"
    with pytest.raises(errors.WrongPhase):
        twin.receive("bank", answer)
    assert twin.start() == Alliance("count", PAIR).sessions["broker"].start()
    assert twin.receive("bank", answer) == []


def test_nothing_is_taken_after_the_end() -> None:
    run = paused("align", 4)
    for item in run.delivered:
        with pytest.raises(errors.WrongPhase):
            run.sessions[item.recipient].receive(item.sender, item.message)


@given(st.integers(0, 2), st.integers(0, 3), st.sampled_from(["count", "align"]))
def test_a_swapped_valid_point_can_lose_a_row_and_never_add_one(step: int, place: int, mode: str) -> None:
    """An authenticated party may send another valid point than the honest one: at worst its client does not match."""
    run = paused(mode, step)
    sender, recipient, message = waiting(run)
    records = records_of(message)
    forged = rewritten(message, records[: 32 * place] + STRANGER + records[32 * place + 32 :])
    run.waiting[sender, recipient][0] = forged
    run.run()
    if mode == "count":
        assert run.count().count in (2, 3)
    else:
        rows = run.common("bank")
        assert rows == run.common("broker")
        assert set(rows) <= set(clients(3, 4, 5))
        assert len(rows) >= 2


@pytest.mark.parametrize("mode", ["count", "align"])
def test_reflecting_the_leaders_points_gains_no_match(mode: str) -> None:
    """A follower that copies the leader's list into both answers is not told that it shares every client."""
    run = paused(mode, 1, {"broker": clients(1, 2, 3, 4), "bank": clients(11, 12, 13, 14)})
    copied = records_of(run.delivered[0].message)
    queue = run.waiting["bank", "broker"]
    queue[0], queue[1] = rewritten(queue[0], copied), rewritten(queue[1], copied)
    run.run()
    assert (run.count().count if mode == "count" else len(run.aligned("broker").rows)) == 0


# -- rows

Edit = Callable[[list[bytes]], Sequence[bytes]]
ROWS: list[tuple[str, Edit]] = [
    ("unknown status", lambda r: [b"\x00\x00\x00\x02" + r[0][4:], *r[1:]]),
    ("head not empty", lambda r: [r[0][:-1] + b"\x01", *r[1:]]),
    ("longer than the list", lambda r: [r[0][:4] + b"\x00\x00\x00\x09" + r[0][8:], *r[1:]]),
    ("row in the padding", lambda r: [r[0][:7] + b"\x02" + r[0][8:], *r[1:]]),
    ("padding as a row", lambda r: [r[0][:7] + b"\x04" + r[0][8:], *r[1:]]),
    ("below the minimum with rows", lambda r: [b"\x00\x00\x00\x01" + r[0][4:], *r[1:]]),
    ("fewer than the minimum", lambda r: [r[0][:7] + b"\x01" + r[0][8:], r[1], *[bytes(20)] * 3]),
    ("position out of range", lambda r: [r[0], b"\x00\x00\x00\x04" + r[1][4:], *r[2:]]),
    ("position repeated", lambda r: [r[0], r[2][:4] + r[1][4:], *r[2:]]),
    ("token repeated", lambda r: [r[0], r[1][:4] + r[2][4:], *r[2:]]),
    ("tokens descend", lambda r: [r[0], r[2], r[1], *r[3:]]),
]


@pytest.mark.parametrize(("name", "edit"), ROWS)
def test_malformed_rows_are_refused(name: str, edit: Edit) -> None:
    run = Alliance("align", PAIR, minimum=2)
    while run.sessions["broker"].phase != "done":
        run.deliver_one()
    message = waiting(run)[2]
    data = records_of(message)
    rows = [data[i : i + 20] for i in range(0, len(data), 20)]
    assert len(rows) == 5, "head, three rows and one of padding"
    refuse(run, errors.BadRows, rewritten(message, b"".join(edit(rows))))


def test_below_the_minimum_nobody_has_rows_and_all_say_so() -> None:
    run = Alliance("align", SETS, minimum=3).run()
    for name in SETS:
        result = run.aligned(name)
        assert (result.outcome, result.rows.tolist(), result.tokens) == (psi.Outcome.BELOW_MINIMUM, [], ())


def test_oversized_message_is_refused_before_it_is_read() -> None:
    run = paused("count", 0)
    message = waiting(run)[2]
    error = refuse(run, errors.MalformedMessage, rewritten(message, bytes(32) * 9000))
    assert "at most" in str(error)
    assert Listing(phase="x", count=0, record_bytes=32).chunks(10) == 1  # an empty list is one empty message


def test_no_failure_names_an_identifier_or_a_point() -> None:
    run = paused("count", 0)
    message = waiting(run)[2]
    point = records_of(message)[:32]
    error = refuse(run, errors.BadPoint, rewritten(message, HOSTILE["off the curve"] + records_of(message)[32:]))
    for text in (error.message("en"), error.message("zh")):
        assert point.hex() not in text
        assert HOSTILE["off the curve"].hex() not in text
