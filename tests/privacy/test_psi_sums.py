"""Sums against plain ones, on either side's values; what the sides see of them; values and totals that are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import psi
from privacy.psi import elgamal, errors
from privacy.psi.discrete_log import discrete_log
from privacy.psi.sums import SumFollowerAdding, SumFollowerHolding, SumLeaderAdding, SumLeaderHolding
from tests.support.counting import KINDS, PAIR, SUM_OF_FOLLOWER, SUM_OF_LEADER, prepared, total
from tests.support.entropy import SeededEntropy
from tests.support.matching import CONTEXT, Alliance, clients, records_of, rewritten, waiting

SUMS = KINDS[1:]
LEDGER = st.dictionaries(st.integers(0, 15), st.integers(0, 2**16 - 1), max_size=10)
NUMBERS = st.lists(st.integers(0, 15), unique=True, max_size=10)


@given(LEDGER, NUMBERS, st.booleans(), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=40)
def test_sum_equals_the_plain_one(
    ledger: dict[int, int], numbers: list[int], leads: bool, chunk: int, minimum: int
) -> None:
    own, other = clients(*ledger), clients(*numbers)
    sets = {"broker": own if leads else other, "bank": other if leads else own}
    run = Alliance(
        "sum",
        sets,
        minimum=minimum,
        points_per_message=chunk,
        value_side="broker" if leads else "bank",
        bits=16,
        values=list(ledger.values()),
    ).run()
    shared = set(ledger) & set(numbers)
    if len(shared) < minimum:
        below = psi.SumResult(outcome=psi.Outcome.BELOW_MINIMUM, count=None, total=None)
        assert total(run, "broker") == total(run, "bank") == below
        return
    expected = sum(ledger[number] for number in shared)
    assert total(run, "broker") == psi.SumResult(outcome=psi.Outcome.SHARED, count=len(shared), total=expected)
    assert total(run, "bank") == psi.SumResult(outcome=psi.Outcome.NOT_ENTITLED, count=len(shared), total=None)


def test_largest_values() -> None:
    ids = clients(*range(4))
    run = Alliance("sum", {"broker": ids, "bank": ids}, value_side="bank", bits=24, values=[2**24 - 1] * 4).run()
    assert total(run, "broker").total == 4 * (2**24 - 1)


def test_one_class_for_each_part() -> None:
    kinds = {
        (type(run.sessions[name]), name)
        for run in (prepared(SUM_OF_LEADER), prepared(SUM_OF_FOLLOWER))
        for name in PAIR
    }
    assert kinds == {
        (SumLeaderHolding, "broker"),
        (SumFollowerAdding, "bank"),
        (SumLeaderAdding, "broker"),
        (SumFollowerHolding, "bank"),
    }


# -- what the sides see


def upto(kind: str, phase: str, minimum: int = 0) -> Alliance:
    run = prepared(kind, minimum=minimum)
    while f'"{phase}"'.encode() not in waiting(run)[2]:
        assert run.deliver_one()
    return run


@pytest.mark.parametrize("minimum", [0, 4])
def test_a_follower_that_opens_the_leaders_sum_sees_a_random_element(minimum: int) -> None:
    run = upto(SUM_OF_FOLLOWER, "total", minimum)
    bank = run.sessions["bank"]
    assert isinstance(bank, SumFollowerHolding)
    opened = elgamal.decrypt(bank._value_key(), records_of(waiting(run)[2]))
    assert discrete_log(opened, 5 * 2**10) is None
    seen = {opened}
    for seed in range(3):
        again = prepared(SUM_OF_FOLLOWER, minimum=minimum, seed=str(seed))
        while b'"total"' not in waiting(again)[2]:
            assert again.deliver_one()
        bank = again.sessions["bank"]
        assert isinstance(bank, SumFollowerHolding)
        seen.add(elgamal.decrypt(bank._value_key(), records_of(waiting(again)[2])))
    assert len(seen) == 4


def rerandomisers(run: Alliance) -> set[bytes]:
    """What the adder may have added to the first halves of the ciphertexts it took: one for every subset."""
    masked = next(item for item in run.delivered if item.sender == run.value_side and b'-masked"' in item.message)
    records = records_of(masked.message)
    sums = {elgamal.IDENTITY}
    for start in range(0, len(records), 96):
        sums |= {elgamal.add(one, records[start + 32 : start + 64]) for one in sums}
    assert len(sums) == 2 ** (len(records) // 96)
    travelled = records_of(waiting(run)[2])
    return {elgamal.subtract(travelled[:32], one) for one in sums}


@pytest.mark.parametrize(("kind", "shown"), [(SUM_OF_LEADER, True), (SUM_OF_FOLLOWER, False)])
def test_the_sum_that_travels_is_a_fresh_ciphertext(kind: str, shown: bool) -> None:
    """No sum of some of the ciphertexts that the holder made: it could tell which were added."""
    run = upto(kind, "total")
    holder = run.sessions[run.value_side]
    assert isinstance(holder, SumLeaderHolding | SumFollowerHolding)
    assert elgamal.IDENTITY not in rerandomisers(run)
    plain = elgamal.decrypt(holder._value_key(), records_of(waiting(run)[2]))
    assert (discrete_log(plain, 5 * 2**10) is not None) is shown


@pytest.mark.parametrize("kind", SUMS)
def test_below_the_minimum_no_sum_travels(kind: str) -> None:
    run = upto(kind, "total", minimum=4)
    holder = run.sessions[run.value_side]
    assert isinstance(holder, SumLeaderHolding | SumFollowerHolding)
    assert discrete_log(elgamal.decrypt(holder._value_key(), records_of(waiting(run)[2])), 5 * 2**10) is None


def test_below_the_minimum_the_follower_opens_nothing() -> None:
    """Even what the leader sends in spite of it is answered by an element that has nothing to do with it."""
    run, enough = upto(SUM_OF_FOLLOWER, "total", minimum=4), upto(SUM_OF_FOLLOWER, "total")
    bank = run.sessions["bank"]
    assert isinstance(bank, SumFollowerHolding)
    asked = records_of(waiting(enough)[2])
    (answer,) = bank.receive("broker", rewritten(waiting(run)[2], asked))
    key = prepared(SUM_OF_FOLLOWER).sessions["bank"]
    assert isinstance(key, SumFollowerHolding)
    assert records_of(answer.message) != elgamal.decrypt(key._value_key(), asked)
    assert total(run, "bank").outcome is psi.Outcome.BELOW_MINIMUM


@pytest.mark.parametrize("kind", SUMS)
def test_randomness_is_bound_to_the_lists_received(kind: str) -> None:
    """A session restored from an older dump and shown other lists makes its ciphertext from other randomness."""
    first, other = upto(kind, "total"), prepared(kind, PAIR | {"broker": clients(1, 2, 3, 4, 9)})
    while b'"total"' not in waiting(other)[2]:
        assert other.deliver_one()
    assert rerandomisers(first) & rerandomisers(upto(kind, "total"))
    assert not rerandomisers(first) & rerandomisers(other)


def test_no_value_and_no_key_in_any_message() -> None:
    for kind in SUMS:
        run = prepared(kind)
        holder = run.sessions[run.value_side]
        assert isinstance(holder, SumLeaderHolding | SumFollowerHolding)
        secret = holder._value_key().scalar
        points = [elgamal.times_base(elgamal.small_scalar(value)) for value in run.values]
        run.run()
        for item in run.delivered:
            assert secret not in item.message
            assert not any(point in item.message for point in points)


# -- refusals


def session(**changes: object) -> psi.Session:
    arguments: dict[str, object] = {
        "mode": "sum",
        "role": "leader",
        "me": "broker",
        "peers": ["bank"],
        "ids": clients(1, 2),
        "counts": {"broker": 2, "bank": 1},
        "context": CONTEXT,
        "minimum": 1,
        "entropy": SeededEntropy(b"session"),
        "value_side": "broker",
        "bits": 8,
        "values": [1, 2],
    }
    return psi.create(**arguments | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"value_side": ""},
        {"value_side": "platform"},
        {"bits": 0},
        {"bits": 41},
        {"bits": True},
        {"mode": "count"},
        {"mode": "count-then-rows", "values": []},
        {"peers": ["bank", "platform"], "counts": {"broker": 2, "bank": 1, "platform": 1}},
    ],
)
def test_bad_setup_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(errors.BadSetup):
        session(**changes)


@pytest.mark.parametrize(
    "values", [[], [1], [1, 2, 3], [1, -1], [1, 256], [1, True], [1, 2.0], [1, "2"], [1, None], [1, 2**300]]
)
def test_bad_values_are_refused(values: list[object]) -> None:
    with pytest.raises(errors.BadValues) as caught:
        session(values=values)
    assert "256" not in str(caught.value).replace("2^8", "")


def test_values_of_the_wrong_side_are_refused() -> None:
    with pytest.raises(errors.BadValues):
        session(value_side="bank")
    with pytest.raises(errors.BadValues):
        session(mode="count", value_side="", bits=0)


def test_load_refuses_other_values() -> None:
    state = session().dump()
    assert psi.load(state, clients(1, 2), values=[1, 2]).dump() == state
    for other in ([1, 3], [2, 1], [], [1], [1, 256]):
        with pytest.raises(errors.IdentifiersChanged):
            psi.load(state, clients(1, 2), values=other)


@pytest.mark.parametrize("kind", SUMS)
def test_a_sum_beyond_what_was_agreed_is_refused(kind: str) -> None:
    """A value side that encrypts a larger value, or a follower that opens another element: no figure."""
    phase = "total" if kind == SUM_OF_LEADER else "opened-total"
    run = upto(kind, phase)
    sender, recipient, message = waiting(run)
    leader = run.sessions["broker"]
    records = records_of(message)
    huge = elgamal.add(records[-32:], elgamal.times_base(elgamal.small_scalar(2**13)))
    before = leader.dump()
    with pytest.raises(errors.BadTotal):
        leader.receive(sender, rewritten(message, records[:-32] + huge))
    assert leader.dump() == before
    assert recipient == "broker"
    run.run()
    assert total(run, "broker").total is not None
