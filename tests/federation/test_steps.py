"""Which steps of a session can fire: the first in the table whose messages are in and whose predecessors are done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.vertical.messages import Outgoing
from federation.vertical.steps import Agenda, Needed, Step, Taken, needs


def nothing(_: Taken) -> list[Outgoing]:
    return []


def step(name: str, *, after: tuple[str, ...] = (), wants: tuple[Needed, ...] = ()) -> Step:
    return Step(name=name, phase=f"phase of {name}", needs=wants, after=after, act=nothing)


def plain_next(steps: list[Step], fired: set[str], came: set[Needed]) -> Step | None:
    """The rule itself, by looking at every step."""
    for one in steps:
        if one.name not in fired and fired >= set(one.after) and came >= set(one.needs):
            return one
    return None


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Step], list[Needed]]:
    """A table whose steps follow earlier and later ones, and its messages in the order of their arrival."""
    count = draw(st.integers(1, 12))
    places = st.integers(0, count - 1)
    steps, messages = list[Step](), list[Needed]()
    for place in range(count):
        wants = needs(f"kind {place}", ("bank", "platform")[: draw(st.integers(0, 2))])
        after = {f"step {other}" for other in draw(st.sets(places, max_size=3)) if other != place}
        steps.append(step(f"step {place}", after=tuple(sorted(after)), wants=wants))
        messages += wants
    return steps, draw(st.permutations(messages))


@given(tables())
def test_the_first_step_that_can_fire_is_the_next_one(made: tuple[list[Step], list[Needed]]) -> None:
    steps, messages = made
    agenda, fired, came = Agenda(steps), set[str](), set[Needed]()
    for message in [None, *messages]:
        if message is not None:
            came.add(message)
            agenda.came(message)
        while (found := agenda.next()) is not None:
            assert found is plain_next(steps, fired, came)
            agenda.fire(found.name)
            fired.add(found.name)
        assert plain_next(steps, fired, came) is None
        assert agenda.done == (len(fired) == len(steps))


@given(tables(), st.integers(0, 24))
def test_an_agenda_goes_on_where_another_was(made: tuple[list[Step], list[Needed]], stop: int) -> None:
    steps, messages = made
    agenda, inbox = Agenda(steps), set[Needed]()
    for message in messages[:stop]:
        agenda.came(message)
        inbox.add(message)
        while (found := agenda.next()) is not None:
            inbox -= set(found.needs)
            agenda.fire(found.name)
    again = Agenda(steps)
    again.restore(agenda.dump(), inbox)
    assert again.dump() == agenda.dump()
    assert again.phase == agenda.phase
    assert set(again.used()) == set(agenda.used())
    for message in messages[stop:]:
        for one in (agenda, again):
            one.came(message)
            while (found := one.next()) is not None:
                one.fire(found.name)
    assert again.dump() == agenda.dump()


def test_a_step_that_will_not_happen_holds_nobody_up_and_is_done_once() -> None:
    agenda = Agenda([step("round 2", wants=needs("sums", ["bank"])), step("end", after=("round 2",))])
    assert agenda.next() is None
    agenda.fire("round 2")
    found = agenda.next()
    assert found is not None and found.name == "end"
    with pytest.raises(AssertionError, match="has fired"):
        agenda.fire("round 2")


def test_a_skipped_step_is_not_done_when_its_message_comes_after_all() -> None:
    agenda = Agenda([step("round 2", wants=needs("sums", ["bank"])), step("end")])
    agenda.fire("round 2")
    agenda.came(("sums", "bank"))
    found = agenda.next()
    assert found is not None and found.name == "end"


def test_two_steps_of_one_name_are_no_table() -> None:
    with pytest.raises(AssertionError, match="its own"):
        Agenda([step("seed"), step("seed")])


def test_a_dump_of_another_table_is_refused() -> None:
    with pytest.raises(AssertionError, match="this table"):
        Agenda([step("seed")]).restore(b"\x00\x00", [])
