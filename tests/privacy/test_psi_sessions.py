"""Matching sessions against a plain set oracle: results, edges, what each message shows, crashes, real data."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import merkle, psi
from privacy.normalise import normalise_column
from privacy.psi import group
from privacy.psi.errors import BadIdentifiers, BadSetup, BadState, IdentifiersChanged, NotFinished, WrongPhase
from privacy.psi.randomness import keyed_stream, permutation
from tests.support.entropy import SeededEntropy
from tests.support.matching import CONTEXT, Alliance, clients, records_of
from tests.support.shared_data import data_folder

PARTIES = ["broker", "bank", "platform", "insurer"]
SIDES = st.lists(st.integers(0, 15), unique=True, max_size=12)


@given(SIDES, SIDES, st.integers(1, 5), st.integers(0, 4))
def test_count_equals_the_set_oracle(leader: list[int], follower: list[int], chunk: int, minimum: int) -> None:
    sets = {"broker": clients(*leader), "insurer": clients(*follower)}
    run = Alliance("count", sets, minimum=minimum, points_per_message=chunk).run()
    shared = len(set(leader) & set(follower))
    if shared < minimum:
        assert run.count() == psi.CountResult(outcome=psi.Outcome.BELOW_MINIMUM, count=None)
    else:
        assert run.count() == psi.CountResult(outcome=psi.Outcome.SHARED, count=shared)
    assert run.sessions["insurer"].result() == psi.CountResult(outcome=psi.Outcome.NOT_ENTITLED, count=None)


@given(st.lists(SIDES, min_size=2, max_size=4), st.integers(1, 5), st.integers(0, 3), st.data())
def test_align_equals_the_set_oracle(sides: list[list[int]], chunk: int, minimum: int, data: st.DataObject) -> None:
    sets = {name: clients(*side) for name, side in zip(PARTIES, sides, strict=False)}
    run = Alliance("align", sets, minimum=minimum, points_per_message=chunk)
    run.run(lambda links: data.draw(st.sampled_from(links)))
    common = set.intersection(*(set(ids) for ids in sets.values()))
    outcome = psi.Outcome.SHARED if len(common) >= minimum else psi.Outcome.BELOW_MINIMUM
    leader = run.common("broker")
    tokens = run.aligned("broker").tokens
    assert set(leader) == (common if outcome is psi.Outcome.SHARED else set())
    assert len(leader) == len(tokens) == len(set(tokens))
    assert list(tokens) == sorted(tokens)
    for name in sets:
        assert (run.common(name), run.aligned(name).tokens, run.aligned(name).outcome) == (leader, tokens, outcome)
        assert run.aligned(name).rows.dtype == np.int64
        assert run.sessions[name].transcript("broker" if name != "broker" else "bank") == (
            run.sessions["broker"].transcript(name if name != "broker" else "bank")
        )


def test_longest_identifiers_match() -> None:
    longest = [b"acct:" + b"x" * 250 + bytes([i]) for i in range(3)]
    assert all(len(item) == 256 for item in longest)
    run = Alliance("align", {"broker": longest, "bank": longest[1:]}).run()
    assert set(run.common("bank")) == set(longest[1:])


@pytest.mark.parametrize(
    ("ids", "committed"),
    [
        ([b"x" * 257], 1),
        ([b""], 1),
        ([b"one", b"one"], 2),
        ([b"one"], 2),
        (["text"], 1),
    ],
)
def test_bad_identifiers_are_refused(ids: list[bytes], committed: int) -> None:
    with pytest.raises(BadIdentifiers):
        session("leader", ids=ids, counts={"broker": committed, "bank": 0})


def session(role: str = "leader", **changes: object) -> psi.Session:
    arguments: dict[str, object] = {
        "mode": "count",
        "role": role,
        "me": "broker",
        "peers": ["bank"],
        "ids": clients(1),
        "counts": {"broker": 1, "bank": 0},
        "context": CONTEXT,
        "minimum": 1,
        "entropy": SeededEntropy(b"session"),
    }
    return psi.create(**arguments | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "labels"},
        {"both": True},
        {"mode": "rows", "both": 1},
        {"mode": "rows", "peers": ["bank", "platform"], "counts": {"broker": 1, "bank": 0, "platform": 0}},
        {"role": "hub"},
        {"peers": []},
        {"peers": ["broker"]},
        {"peers": ["bank", "bank"]},
        {"peers": ["bank", "platform"], "counts": {"broker": 1, "bank": 0, "platform": 0}},
        {"mode": "align", "role": "follower", "peers": ["bank", "platform"], "counts": dict.fromkeys(PARTIES, 1)},
        {"peers": ["platform"]},
        {"counts": {"bank": 0}},
        {"counts": {"broker": 1, "bank": -1}},
        {"counts": {"broker": 1, "bank": (1 << 22) + 1}},
        {"counts": {"broker": 1, "bank": True}},
        {"context": b"short"},
        {"minimum": -1},
        {"points_per_message": 0},
    ],
)
def test_bad_setup_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadSetup):
        session(**changes)  # type: ignore[arg-type]


def test_phases_and_the_missing_result() -> None:
    run = Alliance("align", {"broker": clients(1, 2), "bank": clients(2, 3)})
    phases = [(run.sessions["broker"].phase, run.sessions["bank"].phase)]
    with pytest.raises(NotFinished):
        run.sessions["broker"].result()
    while run.deliver_one():
        phases.append((run.sessions["broker"].phase, run.sessions["bank"].phase))
    assert phases == [
        ("follower-masked", "leader-masked"),
        ("follower-masked", "rows"),
        ("leader-doubled", "rows"),
        ("done", "rows"),
        ("done", "done"),
    ]
    with pytest.raises(WrongPhase):
        run.sessions["broker"].start()


@pytest.mark.parametrize("mode", ["count", "align"])
def test_lengths_say_nothing_of_the_overlap(mode: str) -> None:
    lengths = set()
    for shift, minimum in [(0, 1), (20, 1), (39, 1), (40, 1), (0, 41), (13, 0)]:
        sets = {"broker": clients(*range(40)), "bank": clients(*range(shift, shift + 40))}
        run = Alliance(mode, sets, minimum=minimum, points_per_message=16, seed=str(shift)).run()
        lengths.add(tuple((item.sender, len(item.message)) for item in run.delivered))
    assert len(lengths) == 1


def test_no_message_holds_an_identifier_or_its_hash() -> None:
    sets = {"broker": clients(*range(30)), "bank": clients(*range(15, 45))}
    run = Alliance("align", sets).run()
    tag = group.domain(CONTEXT)
    for ids in sets.values():
        for item in ids:
            for message in run.delivered:
                assert item not in message.message
                assert item[4:] not in message.message
                assert group.hash_to_group(item, tag) not in message.message


def points(run: Alliance, number: int) -> list[bytes]:
    data = records_of(run.delivered[number].message)
    return [data[i : i + 32] for i in range(0, len(data), 32)]


@pytest.mark.parametrize("mode", ["count", "align"])
def test_count_answer_is_shuffled_and_align_answer_is_not(mode: str) -> None:
    """The leader of a count must not be able to tell which of its points came back doubled where."""
    sets = {"broker": clients(*range(50)), "insurer": clients(*range(50))}
    run = Alliance(mode, sets)
    key = run.sessions["insurer"]._key("broker")  # type: ignore[attr-defined]
    run.run()
    in_order = group.multiply_all(key, points(run, 0))
    assert set(points(run, 2)) == set(in_order)
    assert (points(run, 2) == in_order) is (mode == "align")


def test_every_follower_sees_its_own_key_and_order() -> None:
    run = Alliance("align", {"broker": clients(*range(9)), "bank": clients(1), "platform": clients(1)}).run()
    to_bank, to_platform = points(run, 0), points(run, 1)
    assert not set(to_bank) & set(to_platform)
    leader = Alliance("align", {"broker": clients(*range(9)), "bank": clients(1)}).sessions["broker"]
    assert leader._order("bank").tolist() != leader._order("platform").tolist()  # type: ignore[attr-defined]


def test_another_context_gives_other_points_under_the_same_keys() -> None:
    sets = {"broker": clients(*range(9)), "bank": clients(1)}
    first, second = Alliance("count", sets).run(), Alliance("count", sets, context=CONTEXT + b"2").run()
    assert not set(points(first, 0)) & set(points(second, 0))


# -- crashes


@pytest.mark.parametrize("mode", ["count", "align"])
def test_restart_after_every_message_changes_no_byte(mode: str) -> None:
    sets = {"broker": clients(*range(12)), "bank": clients(*range(4, 20))}
    if mode == "align":
        sets["platform"] = clients(*range(2, 9))
    plain = Alliance(mode, sets, points_per_message=5).run()
    crashed = Alliance(mode, sets, points_per_message=5)
    for name in sets:
        crashed.restart(name)
    while crashed.deliver_one():
        for name in sets:
            crashed.restart(name)
    assert crashed.delivered == plain.delivered
    for name in sets:
        assert crashed.sessions[name].phase == "done"
        assert repr(crashed.sessions[name].result()) == repr(plain.sessions[name].result())
        for peer in {"broker": ["bank"]}.get(name, ["broker"]):
            assert crashed.sessions[name].transcript(peer) == plain.sessions[name].transcript(peer)


@pytest.mark.parametrize("mode", ["count", "align"])
def test_a_step_lost_before_its_commit_is_repeated_byte_for_byte(mode: str) -> None:
    sets = {"broker": clients(*range(12)), "bank": clients(*range(4, 20))}
    run = Alliance(mode, sets, points_per_message=5)
    before = run.sessions["broker"].start()
    assert psi.load(run.sessions["broker"].dump(), sets["broker"]).start() == before
    while any(run.waiting.values()):
        kept = {name: session.dump() for name, session in run.sessions.items()}
        sent = {link: list(queue) for link, queue in run.waiting.items()}
        step = run.deliver_one()
        assert step is not None
        again = psi.load(kept[step.recipient], sets[step.recipient])
        answers = again.receive(step.sender, step.message)
        new = list(run.waiting.get((step.recipient, step.sender), []))
        old = sent.get((step.recipient, step.sender), [])
        assert [item.message for item in answers] == new[len(old) :]
        assert again.dump() == run.sessions[step.recipient].dump()


def test_finished_dump_holds_no_key_no_list_and_needs_no_identifiers() -> None:
    sets = {"broker": clients(*range(12)), "bank": clients(*range(4, 20))}
    run = Alliance("align", sets)
    while not run.sessions["bank"].done:
        running = run.sessions["bank"].dump()
        seed = run.sessions["bank"]._seed
        assert seed in running
        assert not any(item in running for item in sets["bank"])
        run.deliver_one()
    finished = run.sessions["bank"].dump()
    assert len(seed) == 32
    assert seed not in finished
    assert not any(point in finished for number in range(3) for point in points(run, number))
    assert repr(psi.load(finished, []).result()) == repr(run.sessions["bank"].result())


def test_load_refuses_other_identifiers_and_other_bytes() -> None:
    run = Alliance("count", {"broker": clients(1, 2, 3), "bank": clients(2)})
    state = run.sessions["broker"].dump()
    for ids in (clients(1, 2), clients(1, 2, 4), clients(1, 3, 2), clients(1, 1, 2)):
        with pytest.raises(IdentifiersChanged):
            psi.load(state, ids)
    for bad in (b"", state[:-1], state + b"\x00", state.replace(b'"version":1', b'"version":2')):
        with pytest.raises(BadState):
            psi.load(bad, clients(1, 2, 3))


# -- shuffles, commitments


def test_permutation_is_uniform() -> None:
    seen = Counter(tuple(permutation(4, keyed_stream(b"seed", str(i))).tolist()) for i in range(4800))
    assert len(seen) == 24
    assert sum((n - 200) ** 2 / 200 for n in seen.values()) < 56  # chi-square, 23 degrees: p < 0.0002 beyond


def test_permutation_draws_again_at_a_tie() -> None:
    tied = np.array([5, 1, 5], "<u8").tobytes()
    fresh = np.array([9, 7, 8], "<u8").tobytes()
    draws = iter([tied, fresh])
    assert permutation(3, lambda count: next(draws)).tolist() == [1, 2, 0]
    assert permutation(0, keyed_stream(b"s", "l")).tolist() == []


def test_streams_differ_by_seed_label_and_call() -> None:
    read = keyed_stream(b"s" * 32, "order")
    outputs = [read(32), read(32), keyed_stream(b"s" * 32, "key")(32), keyed_stream(b"t" * 32, "order")(32)]
    assert len(set(outputs)) == 4
    assert keyed_stream(b"s" * 32, "order")(32) == outputs[0]


def test_commitment_binds_the_set_and_hides_it() -> None:
    ids, salt = clients(3, 1, 2), b"s" * 32
    root = psi.commitment(ids, salt)
    assert root == psi.commitment(sorted(ids), salt)
    assert len({root, psi.commitment(ids, b"t" * 32), psi.commitment(ids[1:], salt)}) == 3
    assert root != merkle.root([merkle.leaf_hash(item) for item in sorted(ids)])
    assert psi.commitment([], salt) == merkle.EMPTY_ROOT
    with pytest.raises(BadIdentifiers):
        psi.commitment([b"one", b"one"], salt)
    with pytest.raises(AssertionError):
        psi.commitment(ids, b"short")


# -- real data


def real_ids(folder: Path, party: str) -> tuple[bytes, ...]:
    with gzip.open(folder / f"party_{party}.csv.gz", "rt") as file:
        return normalise_column("resident_id", [line["client_id"] for line in csv.DictReader(file)]).ids


@pytest.mark.real_data
def test_real_count_of_broker_and_insurer() -> None:
    folder = data_folder("scf2022")
    run = Alliance("count", {name: real_ids(folder, name) for name in ("broker", "insurer")}, minimum=100).run()
    assert run.count().count == 2185


@pytest.mark.real_data
def test_real_alignment_of_broker_bank_and_platform() -> None:
    folder = data_folder("scf2022")
    sets = {name: real_ids(folder, name) for name in ("broker", "bank", "platform")}
    run = Alliance("align", sets, minimum=200, points_per_message=1000).run()
    common = set.intersection(*map(set, sets.values()))
    assert len(common) > 2000
    assert set(run.common("broker")) == common
    assert run.common("broker") == run.common("bank") == run.common("platform")
    assert len(set(run.aligned("platform").tokens)) == len(common)
