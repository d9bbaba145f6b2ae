"""A common order of the union: against plain sets, what each side sees, hostile and damaged messages, crashes."""

import csv
import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import psi
from privacy.errors import Failure
from privacy.psi import errors, group
from tests.privacy.test_psi_group import HOSTILE
from tests.privacy.test_psi_hostile import STRANGER, paused, refuse, waiting
from tests.support.matching import CONTEXT, Alliance, clients, records_of, rewritten
from tests.support.shared_data import data_folder

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
PADDED = [step for step in POINTS if "only" in PHASES[step]]


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


# -- hostile and damaged messages


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
    session = run.sessions[recipient]
    before = session.dump()
    for position in range(len(message)):
        for mask in (0x01, 0x80):
            damaged = message[:position] + bytes([message[position] ^ mask]) + message[position + 1 :]
            with pytest.raises(Failure):
                session.receive(sender, damaged)
    for damaged in (b"", message[:-1], message + b"\x00", message[: len(message) // 2], message * 2):
        with pytest.raises(Failure):
            session.receive(sender, damaged)
    assert session.dump() == before
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
