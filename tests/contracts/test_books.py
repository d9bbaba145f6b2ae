"""The books' table of states and the contract: the same arrows by experiment, and the hub follows every one of them."""

from collections.abc import Callable

import pytest

from contracts import settlement
from contracts.errors import TransactionReverted
from hub.settlement_chain import FOLLOWED
from revenue_share.statement import TRANSITIONS, State
from tests.contracts.alliance import PAYOUT, REASON, Alliance
from tests.contracts.rig import fresh

ON_CHAIN = [state for state in settlement.STATES.values() if state != "NONE"]


def finalise(alliance: Alliance, statement: bytes) -> None:
    alliance.wait_until(max(alliance.closes(statement), alliance.time + 1))
    alliance.send("stranger", settlement.finalise_data(statement))


def resolve(upheld: bool) -> Callable[[Alliance, bytes], object]:
    return lambda alliance, statement: alliance.send("arbiter", settlement.resolve_data(statement, upheld, REASON))


# everything that can be done with a statement once it is entered, by who may
ACTIONS: dict[str, Callable[[Alliance, bytes], object]] = {
    "dispute": lambda a, s: a.send("referrer", settlement.dispute_data(s, REASON)),
    "uphold": resolve(True),
    "dismiss": resolve(False),
    "replace": lambda a, s: a.propose(replaces=s),
    "finalise": finalise,
    "pay": lambda a, s: a.send("broker", settlement.mark_paid_data(s, PAYOUT)),
    "acknowledge": lambda a, s: a.send("referrer", settlement.acknowledge_paid_data(s)),
}
WAYS = {
    "PROPOSED": (),
    "DISPUTED": ("dispute",),
    "VOID": ("dispute", "uphold"),
    "FINAL": ("finalise",),
    "PAID": ("finalise", "pay"),
    "ACKED": ("finalise", "pay", "acknowledge"),
}


def arrows() -> set[tuple[str, str]]:
    """Every change of state that an action makes, tried in every state."""
    found = set()
    for state, way in WAYS.items():
        for action in ACTIONS.values():
            alliance = fresh(Alliance)
            statement = alliance.propose()
            for step in way:
                ACTIONS[step](alliance, statement)
            assert alliance.state(statement) == state
            try:
                action(alliance, statement)
            except TransactionReverted:
                assert alliance.state(statement) == state
            found.add((state, alliance.state(statement)))
    return {(before, after) for before, after in found if before != after}


def reachable(state: str) -> set[str]:
    """The states that a statement can come to on the chain without the hub."""
    table = {one: {target.value for target in TRANSITIONS[State(one)]} & set(ON_CHAIN) for one in ON_CHAIN}
    seen, front = set(), {state}
    while front:
        front = {target for one in front for target in table[one]} - seen
        seen |= front
    return seen - {state}


def test_every_state_of_the_chain_is_one_of_the_books() -> None:
    assert set(WAYS) == set(ON_CHAIN) <= {state.value for state in State}


def test_contract_and_books_have_the_same_arrows() -> None:
    expected = {
        (state.value, target.value)
        for state, targets in TRANSITIONS.items()
        for target in targets
        if {state.value, target.value} <= set(ON_CHAIN)
    }
    assert arrows() == expected


def test_the_hub_follows_whatever_the_chain_may_do_without_it() -> None:
    expected = {(state, target) for state in ON_CHAIN for target in reachable(state)}
    assert set(FOLLOWED) == expected


@pytest.mark.parametrize(("books", "chain"), list(FOLLOWED), ids="-".join)
def test_the_hub_follows_by_arrows_of_the_books(books: str, chain: str) -> None:
    state = State(books)
    for target in FOLLOWED[books, chain]:
        assert target in TRANSITIONS[state]
        state = target
    assert state is State(chain)
