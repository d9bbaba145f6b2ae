"""Rows after a count: against plain sets, whoever decides what and when, and every lie about a decision."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import psi
from privacy.errors import Failure
from privacy.psi import errors
from privacy.psi.count_then_rows import DECISION
from privacy.psi.counted import Counting
from tests.support.counting import AGREE, PAIR, ROWS, decide, finish, paused, prepared, rows, step
from tests.support.matching import Alliance, clients, records_of, rewritten, waiting

SIDES = st.lists(st.integers(0, 15), unique=True, max_size=12)
DECISIONS = st.fixed_dictionaries({name: st.sampled_from(["agree", "refuse"]) for name in PAIR})
COUNTED = 6  # messages until both have counted


def session(run: Alliance, name: str) -> psi.CountThenRows:
    found = run.sessions[name]
    assert isinstance(found, psi.CountThenRows)
    return found


@given(SIDES, SIDES, st.integers(1, 5), st.integers(0, 4), DECISIONS)
def test_rows_equal_the_set_oracle(
    leader: list[int], follower: list[int], chunk: int, minimum: int, decisions: dict[str, str]
) -> None:
    sets = {"broker": clients(*leader), "bank": clients(*follower)}
    run = finish(prepared(ROWS, sets, minimum=minimum, chunk=chunk), decisions)
    shared = set(leader) & set(follower)
    own, other = rows(run, "broker"), rows(run, "bank")
    assert other.rows.tolist() == []
    if len(shared) < minimum:
        assert (own.outcome, own.count, own.rows.tolist()) == (psi.Outcome.BELOW_MINIMUM, None, [])
        assert (other.outcome, other.count) == (psi.Outcome.BELOW_MINIMUM, None)
    elif decisions == AGREE:
        assert (own.outcome, own.count) == (psi.Outcome.SHARED, len(shared))
        assert own.rows.tolist() == [i for i, number in enumerate(leader) if number in shared]
        assert (other.outcome, other.count) == (psi.Outcome.GAVE_ROWS, len(shared))
    else:
        assert (own.outcome, own.count, own.rows.tolist()) == (psi.Outcome.REFUSED, len(shared), [])
        assert (other.outcome, other.count) == (psi.Outcome.REFUSED, len(shared))
    assert run.sessions["broker"].transcript("bank") == run.sessions["bank"].transcript("broker")


def test_the_count_is_shown_and_nothing_moves_until_people_decide() -> None:
    run = prepared(ROWS)
    for name in PAIR:
        with pytest.raises(errors.NotFinished):
            session(run, name).counted()
    while run.deliver_one():
        pass
    assert len(run.delivered) == COUNTED
    for name in PAIR:
        assert session(run, name).phase == DECISION
        assert session(run, name).counted() == 3
        with pytest.raises(errors.NotFinished):
            session(run, name).result()


@pytest.mark.parametrize("first", ["broker", "bank"])
@pytest.mark.parametrize("second", ["agree", "refuse"])
def test_either_side_may_decide_first(first: str, second: str) -> None:
    run = prepared(ROWS)
    while run.deliver_one():
        pass
    (other,) = set(PAIR) - {first}
    assert decide(run, {first: "agree"})
    while run.deliver_one():
        pass
    assert session(run, first).phase != DECISION
    assert session(run, other).phase == DECISION
    assert not session(run, first).done
    for name in PAIR:
        run.restart(name)
    assert decide(run, {other: second})
    while run.deliver_one():
        pass
    assert len(rows(run, "broker").rows) == (3 if second == "agree" else 0)
    assert rows(run, "bank").outcome is (psi.Outcome.GAVE_ROWS if second == "agree" else psi.Outcome.REFUSED)


@pytest.mark.parametrize("number", range(COUNTED))
def test_nobody_decides_before_the_count(number: int) -> None:
    run = paused(ROWS, number)
    for name in PAIR:
        if session(run, name).phase != DECISION:
            before = session(run, name).dump()
            for act in (session(run, name).agree, session(run, name).refuse):
                with pytest.raises(errors.WrongPhase):
                    act()
            assert session(run, name).dump() == before


def test_a_decision_stands() -> None:
    run = prepared(ROWS)
    while run.deliver_one():
        pass
    decide(run)
    for name in PAIR:
        for act in (session(run, name).agree, session(run, name).refuse):
            with pytest.raises(errors.WrongPhase):
                act()
    run.restart("broker")
    with pytest.raises(errors.WrongPhase):
        session(run, "broker").agree()
    finish(run)
    for name in PAIR:
        with pytest.raises(errors.WrongPhase):
            session(run, name).refuse()
        assert session(run, name).counted() == 3


def test_below_the_minimum_nobody_is_asked() -> None:
    run = prepared(ROWS, minimum=4)
    while run.deliver_one():
        assert DECISION not in {item.phase for item in run.sessions.values()}
    for name in PAIR:
        assert session(run, name).done
        assert session(run, name).counted() is None
        with pytest.raises(errors.WrongPhase):
            session(run, name).agree()


@pytest.mark.parametrize(
    "decisions", [{"broker": a, "bank": b} for a in ("agree", "refuse") for b in ("agree", "refuse")]
)
@pytest.mark.parametrize("minimum", [0, 4])
def test_the_key_travels_only_if_both_agreed(decisions: dict[str, str], minimum: int) -> None:
    run = prepared(ROWS, minimum=minimum)
    bank = run.sessions["bank"]
    assert isinstance(bank, Counting)
    key = bank._shuffle_key()
    finish(run, decisions)
    given = [key in item.message for item in run.delivered]
    both = decisions == AGREE and minimum == 0
    assert given == [False] * 7 + [both]


Edit = Callable[[bytes], bytes]
LIES: list[tuple[str, str, Edit]] = [
    ("leader-decision", "no such decision", lambda r: b"\x00\x00\x00\x04" + r[4:]),
    ("leader-decision", "none at all", lambda r: bytes(4) + r[4:]),
    ("leader-decision", "one client more", lambda r: r[:7] + b"\x04" + r[8:]),
    ("leader-decision", "below the minimum", lambda r: b"\x00\x00\x00\x03" + bytes(36)),
    ("leader-decision", "a key", lambda r: r[:8] + b"k" * 32),
    ("follower-decision", "no such decision", lambda r: b"\xff\xff\xff\xff" + r[4:]),
    ("follower-decision", "one client fewer", lambda r: r[:7] + b"\x02" + r[8:]),
    ("follower-decision", "below the minimum", lambda r: b"\x00\x00\x00\x03" + bytes(36)),
    ("follower-decision", "another key", lambda r: r[:8] + b"k" * 32),
    ("follower-decision", "no key", lambda r: r[:8] + bytes(32)),
    ("follower-decision", "refused, with the key", lambda r: b"\x00\x00\x00\x02" + r[4:]),
]


@pytest.mark.parametrize(("phase", "lie", "edit"), LIES)
def test_a_decision_that_lies_is_refused(phase: str, lie: str, edit: Edit) -> None:
    run = prepared(ROWS)
    while run.deliver_one():
        pass
    decide(run)
    while f'"{phase}"'.encode() not in waiting(run)[2]:
        assert step(run)
    sender, recipient, message = waiting(run)
    before = run.sessions[recipient].dump()
    with pytest.raises(errors.BadDecision):
        run.sessions[recipient].receive(sender, rewritten(message, edit(records_of(message))))
    assert run.sessions[recipient].dump() == before
    finish(run)
    assert rows(run, "broker").rows.tolist() == [2, 3, 4]


def test_rows_that_this_side_refused_are_not_taken() -> None:
    """A follower that gives its key all the same: the leader's people said no, so there is no result with rows."""
    run, other = prepared(ROWS), finish(prepared(ROWS))
    while run.deliver_one():
        pass
    decide(run, {"broker": "refuse", "bank": "agree"})
    while waiting(run)[1] != "broker":
        assert step(run)
    sender, recipient, _ = waiting(run)
    with pytest.raises(errors.BadDecision):
        run.sessions[recipient].receive(sender, other.delivered[-1].message)


def test_a_decision_before_the_leaders_people_decided_is_refused() -> None:
    run, other = prepared(ROWS), finish(prepared(ROWS), {"broker": "agree", "bank": "refuse"})
    while run.deliver_one():
        pass
    before = run.sessions["broker"].dump()
    with pytest.raises(errors.WrongPhase):
        run.sessions["broker"].receive("bank", other.delivered[-1].message)
    assert run.sessions["broker"].dump() == before
    finish(run)


def test_a_follower_below_the_minimum_believes_no_leader() -> None:
    """A leader that claims to have counted enough is not given the key."""
    run, other = prepared(ROWS, minimum=4), finish(prepared(ROWS))
    while waiting(run)[1] != "bank" or b'"leader-decision"' not in waiting(run)[2]:
        assert step(run)
    with pytest.raises(Failure):
        run.sessions["bank"].receive("broker", other.delivered[-2].message)
    assert b'"leader-decision"' in other.delivered[-2].message
    finish(run)
    assert rows(run, "bank").outcome is psi.Outcome.BELOW_MINIMUM


@pytest.mark.parametrize("phase", ["leader-decision", "follower-decision"])
@pytest.mark.parametrize("status", [1, 2])
def test_below_the_minimum_there_is_nothing_to_decide(phase: str, status: int) -> None:
    run = prepared(ROWS, minimum=4)
    while f'"{phase}"'.encode() not in waiting(run)[2]:
        assert step(run)
    sender, recipient, message = waiting(run)
    with pytest.raises(errors.BadDecision):
        run.sessions[recipient].receive(sender, rewritten(message, bytes([0, 0, 0, status]) + bytes(36)))
    finish(run)
