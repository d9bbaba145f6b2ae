"""What all of three or more parties share: hostile and damaged messages are named failures, and add no row."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import packing, psi
from privacy.errors import Failure
from privacy.psi import errors
from tests.privacy.test_psi_allparty import COMMON, MODE, NUMBERS, SETS, STEPS, assert_right
from tests.privacy.test_psi_group import HOSTILE
from tests.privacy.test_psi_hostile import STRANGER, paused
from tests.support.damage import assert_refused, flipped
from tests.support.matching import CONTEXT, Alliance, records_of, refuse, rewritten, waiting

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

POINTS = [i for i in NUMBERS if STEPS[i][2] in ("pair-key", "leader-masked", "leader-doubled")]
LISTS = [i for i in POINTS if STEPS[i][2] != "pair-key"]
ROWS = [i for i in NUMBERS if STEPS[i][2] == "rows"]


def test_steps_are_what_the_tests_below_take_them_for() -> None:
    run = Alliance(MODE, SETS).run()
    found = []
    for item in run.delivered:
        head: Any = packing.unpack(item.message)
        found.append((item.sender, item.recipient, head["phase"]))
    assert found == STEPS


@pytest.mark.parametrize("step", NUMBERS)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(step: int) -> None:
    run = paused(MODE, step, SETS)
    sender, recipient, message = waiting(run)
    assert_refused(run.sessions[recipient], sender, message, flipped(message, [0x01]))
    assert_right(run)


@pytest.mark.parametrize("step", POINTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_point_in_a_well_formed_message(name: str, step: int) -> None:
    run = paused(MODE, step, SETS)
    message = waiting(run)[2]
    error = refuse(run, Failure, rewritten(message, HOSTILE[name] + records_of(message)[32:]))
    if len(HOSTILE[name]) == 32:
        assert isinstance(error, errors.BadPoint)


@pytest.mark.parametrize("step", LISTS)
def test_repeated_points_are_refused(step: int) -> None:
    run = paused(MODE, step, SETS)
    message = waiting(run)[2]
    records = records_of(message)
    refuse(run, errors.RepeatedPoint, rewritten(message, records[:32] + records[:-32]))


@pytest.mark.parametrize("step", NUMBERS)
def test_no_other_message_of_the_run_or_of_another_job_is_taken_in_its_place(step: int) -> None:
    finished, foreign = Alliance(MODE, SETS).run(), Alliance(MODE, SETS, context=b"another job's digest").run()
    run = paused(MODE, step, SETS)
    sender, recipient, _ = waiting(run)
    for number, item in enumerate(finished.delivered):
        if number != step:
            same = (item.sender, item.recipient) == (sender, recipient)
            refuse(run, errors.WrongPhase if same else Failure, item.message)
    refuse(run, errors.ForeignMessage, foreign.delivered[step].message)
    refuse(run, errors.ForeignMessage, finished.delivered[step].message, sender="hub")
    assert_right(run)


def test_a_follower_cannot_speak_for_another_or_as_the_leader() -> None:
    run = paused(MODE, 5, SETS)  # bank's pair key for platform
    message = waiting(run)[2]
    refuse(run, errors.WrongRole, rewritten(message, changes={"role": "leader"}))
    refuse(run, errors.WrongRole, rewritten(message, changes={"role": "leader"}), sender="bank")
    refuse(run, errors.ForeignMessage, rewritten(message, changes={"sender": "insurer"}))
    refuse(run, errors.WrongRole, message, sender="broker")


def test_missing_and_repeated_chunks_are_refused_in_every_list() -> None:
    run = Alliance(MODE, SETS, points_per_message=3)
    while links := [link for link, queue in run.waiting.items() if queue]:
        queue = run.waiting[links[0]]
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


def test_answer_before_the_start_is_refused() -> None:
    """Every party of this mode speaks first: one whose state was lost must start again."""
    run = paused(MODE, 0, SETS)
    message = waiting(run)[2]
    twin = psi.create(
        mode=MODE,
        role="follower",
        me="bank",
        peers=["broker", "platform"],
        ids=SETS["bank"],
        counts={name: len(ids) for name, ids in SETS.items()},
        context=CONTEXT,
        minimum=0,
        entropy=bytes,
    )
    assert twin.phase == "start"
    with pytest.raises(errors.WrongPhase):
        twin.receive("broker", message)
    assert [item.recipient for item in twin.start()] == ["broker", "platform"]
    assert twin.receive("broker", message) == []


@given(st.sampled_from([i for i in NUMBERS if i not in ROWS]), st.integers(0, 3), st.booleans())
def test_other_valid_record_can_lose_a_row_and_never_adds_one(step: int, place: int, reflected: bool) -> None:
    """An authenticated party may send another point or slot than the honest one: at worst clients do not match."""
    run = paused(MODE, step, SETS)
    sender, recipient, message = waiting(run)
    records = records_of(message)
    width = 16 if STEPS[step][2].startswith("store") else 32
    place = 0 if len(records) == width else place
    other = records_of(run.delivered[1].message)[:width] if reflected and step > 1 else STRANGER[:width]
    forged = records[: width * place] + other + records[width * place + width :]
    run.waiting[sender, recipient][0] = rewritten(message, forged)
    try:
        run.run()
    except Failure:  # two records alike, or a follower that the leader's rows no longer fit
        return
    rows = run.common("broker")
    assert set(rows) <= COMMON
    assert run.common("bank") == run.common("platform") == rows


EDITS: dict[str, Callable[[list[bytes]], Sequence[bytes]]] = {
    "unknown status": lambda r: [b"\x00\x00\x00\x02" + r[0][4:], *r[1:]],
    "head not empty": lambda r: [r[0][:-1] + b"\x01", *r[1:]],
    "longer than the list": lambda r: [r[0][:4] + b"\x00\x00\x00\x09" + r[0][8:], *r[1:]],
    "row in the padding": lambda r: [r[0][:7] + b"\x02" + r[0][8:], *r[1:]],
    "padding as a row": lambda r: [r[0][:7] + b"\x04" + r[0][8:], *r[1:]],
    "below the minimum with rows": lambda r: [b"\x00\x00\x00\x01" + r[0][4:], *r[1:]],
    "fewer than the minimum": lambda r: [r[0][:7] + b"\x01" + r[0][8:], r[1], *[bytes(32)] * 3],
    "tag of nobody": lambda r: [r[0], b"\x5a" * 16 + r[1][16:], *r[2:]],
    "tag repeated": lambda r: [r[0], r[2][:16] + r[1][16:], *r[2:]],
    "token repeated": lambda r: [r[0], r[1][:16] + r[2][16:], *r[2:]],
    "tokens descend": lambda r: [r[0], r[2], r[1], *r[3:]],
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("step", ROWS)
def test_malformed_rows_are_refused(name: str, step: int) -> None:
    run = Alliance(MODE, SETS, minimum=2)
    for _ in range(step):
        run.deliver_one()
    message = waiting(run)[2]
    data = records_of(message)
    rows = [data[i : i + 32] for i in range(0, len(data), 32)]
    assert len(rows) == 5, "head, three rows and one of padding"
    refuse(run, errors.BadRows, rewritten(message, b"".join(EDITS[name](rows))))
    assert_right(run)
