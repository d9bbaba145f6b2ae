"""A common order of the union: against plain sets, what each side sees, hostile and damaged messages, crashes."""

import csv
import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import psi
from privacy.psi import errors, group
from tests.support.matching import CONTEXT, Alliance, clients, records_of
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

MODE = "align-hidden"
SIDES = st.lists(st.integers(0, 15), unique=True, max_size=12)
PAIR = {"broker": clients(1, 2, 3, 4, 5), "bank": clients(3, 4, 5, 6)}
PHASES = (
    *("leader-masked", "follower-masked", "leader-tripled", "leader-doubled"),
    *("follower-tripled", "sizes", "follower-only", "leader-only", "follower-only-tripled", "spine", "spine"),
)
STEPS = range(len(PHASES))
POINTS = [step for step in STEPS if PHASES[step] not in ("sizes", "spine")]
FULL = [step for step in POINTS if "only" not in PHASES[step]]


def spine(run: Alliance, name: str) -> psi.SpineResult:
    result = run.sessions[name].result()
    assert isinstance(result, psi.SpineResult)
    return result


def places(run: Alliance) -> dict[str, dict[bytes, str]]:
    """For each party the token of each of its clients."""
    found = {}
    for name, ids in run.sets.items():
        result = spine(run, name)
        found[name] = {item: result.tokens[place] for item, place in zip(ids, result.rows.tolist(), strict=True)}
    return found


def split(data: bytes) -> list[bytes]:
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def points(run: Alliance, step: int) -> list[bytes]:
    return split(records_of(run.delivered[step].message))


@given(SIDES, SIDES, st.integers(1, 5), st.integers(0, 4), st.data())
def test_spine_equals_the_set_oracle(
    leader: list[int], follower: list[int], chunk: int, minimum: int, data: st.DataObject
) -> None:
    sets = {"broker": clients(*leader), "bank": clients(*follower)}
    run = Alliance(MODE, sets, minimum=minimum, points_per_message=chunk)
    run.run(lambda links: data.draw(st.sampled_from(links)))
    results = [spine(run, name) for name in sets]
    assert results[0].tokens == results[1].tokens
    assert run.sessions["broker"].transcript("bank") == run.sessions["bank"].transcript("broker")
    if len(set(leader) & set(follower)) < minimum:
        for result in results:
            assert (result.outcome, result.rows.tolist(), result.tokens) == (psi.Outcome.BELOW_MINIMUM, [], ())
        return
    assert list(results[0].tokens) == sorted(set(results[0].tokens))
    found = places(run)
    token_of = found["broker"] | found["bank"]
    assert token_of == found["bank"] | found["broker"], "a shared client has one place"
    assert sorted(token_of.values()) == list(results[0].tokens), "every client of the union has a place of its own"
    assert set(token_of) == set(sets["broker"]) | set(sets["bank"])
    assert all(result.rows.dtype == np.int64 for result in results)


def test_phases_of_both_sides() -> None:
    run = Alliance(MODE, PAIR)
    phases = [(run.sessions["broker"].phase, run.sessions["bank"].phase)]
    while run.deliver_one():
        phases.append((run.sessions["broker"].phase, run.sessions["bank"].phase))
    first = ("follower-masked", "leader-masked")
    to_leader = [(phase, "follower-tripled") for phase in ("follower-masked", "leader-tripled", "leader-doubled")]
    to_follower = [("follower-only-tripled", phase) for phase in ("follower-tripled", "sizes", "follower-only")]
    last = [("follower-only-tripled", "leader-only"), ("follower-only-tripled", "spine"), ("spine", "spine")]
    assert phases == [first, *to_leader, *to_follower, *last, ("done", "spine"), ("done", "done")]
    assert len(run.delivered) == len(PHASES)


def test_longest_identifiers_and_one_client_each() -> None:
    longest = [b"acct:" + b"x" * 250 + bytes([i]) for i in range(2)]
    for bank, union in ((longest[:1], 1), (longest[1:], 2)):
        run = Alliance(MODE, {"broker": longest[:1], "bank": bank}).run()
        assert len(spine(run, "broker").tokens) == union


def test_only_two_parties_take_part() -> None:
    with pytest.raises(errors.BadSetup):
        Alliance(MODE, PAIR | {"platform": clients(1)})


# -- what messages show


def test_lengths_say_nothing_of_the_overlap() -> None:
    lengths = set()
    for shift, minimum in [(0, 1), (20, 1), (39, 1), (40, 1), (0, 41), (13, 0)]:
        sets = {"broker": clients(*range(40)), "bank": clients(*range(shift, shift + 40))}
        run = Alliance(MODE, sets, minimum=minimum, points_per_message=16, seed=str(shift)).run()
        lengths.add(tuple((item.sender, len(item.message)) for item in run.delivered))
    assert len(lengths) == 1


def test_no_message_holds_an_identifier_its_hash_or_a_token() -> None:
    sets = {"broker": clients(*range(30)), "bank": clients(*range(15, 45))}
    run = Alliance(MODE, sets).run()
    tag = group.domain(CONTEXT)
    tokens = [bytes.fromhex(token) for token in spine(run, "bank").tokens]
    for sent in run.delivered:
        assert not any(token in sent.message for token in tokens)
        for ids in sets.values():
            for item in ids:
                assert item[4:] not in sent.message
                assert group.hash_to_group(item, tag) not in sent.message


def test_no_two_lists_of_a_run_share_a_point() -> None:
    """Else the clients of one could be traced to those of another."""
    run = Alliance(MODE, {"broker": clients(*range(20)), "bank": clients(*range(10, 30))}).run()
    seen: dict[bytes, int] = {}
    for step in POINTS:
        for point in set(points(run, step)) - {bytes(32)}:
            assert point not in seen, (PHASES[step], PHASES[seen[point]])
            seen[point] = step


def test_what_could_be_traced_by_its_order_is_sorted() -> None:
    """The leader's points doubled, and both differences: in the order received they would tell who is shared."""
    run = Alliance(MODE, {"broker": clients(*range(40)), "bank": clients(*range(20, 60))})
    masks = {name: session._stream("key mask") for name, session in run.sessions.items()}  # type: ignore[attr-defined]
    keys = {name: group.draw_scalar(stream) for name, stream in masks.items()}
    run.run()
    doubled, only_follower, only_leader = points(run, 3), points(run, 6)[:20], points(run, 7)[:20]
    for listed in (doubled, only_follower, only_leader):
        assert listed == sorted(listed)
    in_order = group.multiply_all(keys["bank"], points(run, 0))
    assert set(doubled) == set(in_order)
    assert doubled != in_order
    kept = [point for point in group.multiply_all(keys["broker"], points(run, 1)) if point in set(only_follower)]
    assert len(kept) == 20
    assert only_follower != kept


def test_masked_lists_stand_in_an_order_that_only_their_owner_knows() -> None:
    sets = {"broker": clients(*range(40)), "bank": clients(*range(20, 60))}
    run = Alliance(MODE, sets)
    keys = {
        name: group.draw_scalar(session._stream("key mask"))  # type: ignore[attr-defined]
        for name, session in run.sessions.items()
    }
    run.run()
    for name, step in (("broker", 0), ("bank", 1)):
        in_order = group.multiply_all(keys[name], group.hash_all(sets[name], group.domain(CONTEXT)))
        assert set(points(run, step)) == set(in_order)
        assert points(run, step) != in_order


def test_five_multiplications_a_client_and_side(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    multiply = group.multiply

    def counted(scalar: bytes, point: bytes) -> bytes:
        nonlocal count
        count += 1
        return multiply(scalar, point)

    monkeypatch.setattr(group, "multiply", counted)
    Alliance(MODE, {"broker": clients(*range(20)), "bank": clients(*range(10, 30))}).run()
    # masked, doubled, tripled, the token's: four of every client's points; two more of those that only one side has
    assert count == 4 * 40 + 2 * 20


# -- crashes


def test_restart_after_every_message_changes_no_byte() -> None:
    sets = {"broker": clients(*range(12)), "bank": clients(*range(4, 20))}
    plain = Alliance(MODE, sets, points_per_message=5).run()
    crashed = Alliance(MODE, sets, points_per_message=5)
    for name in sets:
        crashed.restart(name)
    while crashed.deliver_one():
        for name in sets:
            crashed.restart(name)
    assert crashed.delivered == plain.delivered
    for name in sets:
        assert repr(crashed.sessions[name].result()) == repr(plain.sessions[name].result())
    assert crashed.sessions["bank"].transcript("broker") == plain.sessions["broker"].transcript("bank")


def test_step_lost_before_its_commit_is_repeated_byte_for_byte() -> None:
    run = Alliance(MODE, PAIR, points_per_message=2)
    while any(run.waiting.values()):
        kept = {name: session.dump() for name, session in run.sessions.items()}
        sent = {link: len(queue) for link, queue in run.waiting.items()}
        step = run.deliver_one()
        assert step is not None
        again = psi.load(kept[step.recipient], PAIR[step.recipient])
        answers = again.receive(step.sender, step.message)
        back = (step.recipient, step.sender)
        assert [item.message for item in answers] == list(run.waiting.get(back, []))[sent.get(back, 0) :]
        assert again.dump() == run.sessions[step.recipient].dump()


def test_finished_dump_holds_no_key_and_no_list() -> None:
    run = Alliance(MODE, PAIR)
    seeds = {name: session._seed for name, session in run.sessions.items()}
    run.run()
    for name, seed in seeds.items():
        finished = run.sessions[name].dump()
        assert seed not in finished
        assert not any(point in finished for step in FULL for point in points(run, step))
        assert repr(psi.load(finished, []).result()) == repr(run.sessions[name].result())


# -- real data


@pytest.mark.real_data
def test_real_union_of_two_files_with_errors() -> None:
    """Febrl 4: the 4 561 pairs that exact matching of one number can find, and nobody else, in one place."""
    folder = data_folder("febrl4")
    people: dict[str, dict[bytes, str]] = {}
    for name, party in (("a", "broker"), ("b", "bank")):
        with gzip.open(folder / f"dataset4{name}.csv.gz", "rt") as file:
            lines = csv.DictReader(file, skipinitialspace=True)
            people[party] = {line["soc_sec_id"].encode(): line["rec_id"].split("-")[1] for line in lines}
    sets = {party: list(known) for party, known in people.items()}
    run = Alliance(MODE, sets, minimum=1000).run()
    found = places(run)
    client_at = {token: item for item, token in found["bank"].items()}
    both = {item for item, token in found["broker"].items() if token in client_at}
    assert both == set(sets["broker"]) & set(sets["bank"])
    assert all(client_at[found["broker"][item]] == item for item in both)
    assert sum(people["broker"][item] == people["bank"][item] for item in both) == 4561
    assert len(spine(run, "broker").tokens) == len(set(sets["broker"]) | set(sets["bank"]))
