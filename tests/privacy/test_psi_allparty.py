"""What all of three or more parties share: against plain sets, what the leader can see, hostile messages, crashes."""

import csv
import gzip
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import psi
from privacy.normalise import normalise_column
from privacy.psi import allparty, errors, group
from privacy.psi.oprf import okvs
from privacy.psi.oprf.errors import StoreUnsolvable
from tests.support.matching import CONTEXT, Alliance, clients, records_of
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

MODE = "align-all"
PARTIES = ["broker", "bank", "platform", "insurer"]
SIDES = st.lists(st.integers(0, 15), unique=True, max_size=12)
SETS = {"broker": clients(1, 2, 3, 4, 5), "bank": clients(3, 4, 5, 6), "platform": clients(2, 3, 4, 5, 9)}
COMMON = set(clients(3, 4, 5))
# as `Alliance` delivers them: sender, recipient, phase
STEPS = [
    ("broker", "bank", "pair-key"),
    ("broker", "bank", "leader-masked"),
    ("broker", "platform", "pair-key"),
    ("broker", "platform", "leader-masked"),
    ("bank", "broker", "pair-key"),
    ("bank", "platform", "pair-key"),
    ("platform", "broker", "pair-key"),
    ("platform", "broker", "leader-doubled"),
    ("platform", "broker", "store-seed"),
    ("platform", "broker", "store"),
    ("platform", "bank", "pair-key"),
    ("bank", "broker", "leader-doubled"),
    ("bank", "broker", "store-seed"),
    ("bank", "broker", "store"),
    ("broker", "bank", "rows"),
    ("broker", "platform", "rows"),
]
NUMBERS = range(len(STEPS))


def assert_right(run: Alliance) -> None:
    run.run()
    assert set(run.common("bank")) == COMMON
    assert run.common("broker") == run.common("bank") == run.common("platform")


@given(st.lists(SIDES, min_size=3, max_size=4), st.sampled_from([1, 2, 5, 8192]), st.integers(0, 3), st.data())
def test_rows_equal_the_set_oracle(sides: list[list[int]], chunk: int, minimum: int, data: st.DataObject) -> None:
    sets = {name: clients(*side) for name, side in zip(PARTIES, sides, strict=False)}
    run = Alliance(MODE, sets, minimum=minimum, points_per_message=chunk)
    run.run((lambda links: data.draw(st.sampled_from(links))) if chunk == 8192 else (lambda links: links[-1]))
    common = set.intersection(*(set(ids) for ids in sets.values()))
    outcome = psi.Outcome.SHARED if len(common) >= minimum else psi.Outcome.BELOW_MINIMUM
    leader, tokens = run.common("broker"), run.aligned("broker").tokens
    assert set(leader) == (common if outcome is psi.Outcome.SHARED else set())
    assert len(leader) == len(tokens) == len(set(tokens))
    assert list(tokens) == sorted(tokens)
    for name in sets:
        assert (run.common(name), run.aligned(name).tokens, run.aligned(name).outcome) == (leader, tokens, outcome)
        assert run.aligned(name).rows.dtype == np.int64
    for one, other in combinations(sets, 2):
        assert run.sessions[one].transcript(other) == run.sessions[other].transcript(one)


def test_more_clients_than_a_small_store_and_longest_identifiers() -> None:
    longest = [b"acct:" + b"x" * 249 + bytes([i // 256, i % 256]) for i in range(700)]
    sets = {"broker": longest[:500], "bank": longest[100:], "platform": longest[::2]}
    run = Alliance(MODE, sets, points_per_message=300).run()
    assert set(run.common("platform")) == set(longest[100:500:2])
    assert run.common("broker") == run.common("bank") == run.common("platform")


def test_two_parties_or_a_follower_that_is_not_told_of_another_are_refused() -> None:
    with pytest.raises(errors.BadSetup):
        Alliance(MODE, {"broker": clients(1), "bank": clients(1)})
    arguments: dict[str, Any] = {"mode": MODE, "ids": clients(1), "context": CONTEXT, "minimum": 0, "entropy": bytes}
    for counts, peers in (
        (dict.fromkeys(PARTIES, 1), ["bank", "platform"]),
        (dict.fromkeys(PARTIES[:3], 1 << 21), ["bank", "platform"]),
    ):
        with pytest.raises(errors.BadSetup):
            psi.create(role="leader", me="broker", peers=peers, counts=counts, **arguments)


@pytest.mark.parametrize("count", [-1, (1 << 20) + 1, 5_000_000, 1 << 40])
def test_a_count_that_the_mode_does_not_take_has_no_slots(count: int) -> None:
    """A budget asks for them before a session checks the counts: a partner's commitment may name any."""
    with pytest.raises(errors.BadSetup):
        allparty.store_slots(count)
    assert allparty.store_slots(1 << 20) > 1 << 20


def test_store_that_cannot_be_solved_is_tried_anew_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    solve, failing = okvs.solve, [2]

    def sometimes(*arguments: Any) -> Any:
        failing[0] -= 1
        return None if failing[0] >= 0 else solve(*arguments)

    monkeypatch.setattr(okvs, "solve", sometimes)
    assert_right(Alliance(MODE, SETS))
    failing[0] = 4
    with pytest.raises(StoreUnsolvable):
        Alliance(MODE, SETS).run()


# -- who can see what


def leaders_view(run: Alliance) -> dict[str, np.ndarray[Any, Any]]:
    """For each follower: what the leader looks up for its clients, less the function's value and their pair's share."""
    leader: Any = run.sessions["broker"]
    view = {}
    for peer in leader.setup.peers:
        doubled = leader._list(peer, leader._masked_points("broker", "leader-doubled"))
        outputs = leader._outputs(doubled, [leader._ids[i] for i in leader._order()])
        ids = [leader._ids[i] for i in leader._order()]
        view[peer] = leader._looked_up(peer, ids) ^ outputs[:, :2] ^ pair_share(leader, peer, ids)
    return view


def pair_share(session: Any, peer: str, ids: list[bytes]) -> np.ndarray[Any, Any]:
    (point,) = session._list(peer, allparty._PAIR_KEY)
    key = allparty.canonical.digest(
        "ecohub/psi-pair-key/1", [point.hex(), session._context, *sorted((session.setup.me, peer))]
    )
    return allparty._keyed(key, ids, allparty.SHARE_BYTES)


def four() -> Alliance:
    """Clients of every combination of four parties; the leader has all it is sent, and has not concluded yet."""
    sets = {name: clients(*[i for i in range(160) if i % 16 & 1 << place]) for place, name in enumerate(PARTIES)}
    run = Alliance(MODE, sets)
    leader: Any = run.sessions["broker"]
    while [at.phase for peer in PARTIES[1:] if (at := leader._expected(peer))] != ["store"]:
        run.deliver_one()
    ((sender, last),) = [(link[0], queue[0]) for link, queue in run.waiting.items() if queue and link[1] == "broker"]
    leader.state.taken[sender, "store"] = [records_of(last)]
    return run


def test_no_shares_of_fewer_than_all_followers_tell_the_leader_anything() -> None:
    """Before the last message: whatever the leader adds up but all, no client looks other than one nobody has."""
    run = four()
    view = leaders_view(run)
    common = ~np.bitwise_xor.reduce(list(view.values())).any(axis=1)
    assert np.count_nonzero(common) == len(set.intersection(*map(set, run.sets.values()))) == 10
    seen: list[bytes] = []
    for size in (1, 2):
        for chosen in combinations(view, size):
            total = np.bitwise_xor.reduce([view[name] for name in chosen])
            assert total.any(axis=1).all()
            seen += [row.tobytes() for row in total[~common]]
    assert len(set(seen)) == len(seen), "nor do two sums agree"


def test_a_follower_that_conspires_with_the_leader_gives_it_what_it_shares_with_the_others() -> None:
    """The limit that docs/matching.md states: with bank's pair keys, platform's store and insurer's are enough."""
    run = four()
    view = leaders_view(run)
    leader: Any = run.sessions["broker"]
    ids = [leader._ids[i] for i in leader._order()]
    bank: Any = run.sessions["bank"]
    total = view["platform"] ^ view["insurer"]
    total ^= pair_share(bank, "platform", ids) ^ pair_share(bank, "insurer", ids)
    found = {item for item, row in zip(ids, total, strict=True) if not row.any()}
    assert found == set.intersection(*(set(run.sets[name]) for name in ("broker", "platform", "insurer")))
    assert not found <= set(run.sets["bank"])


def test_every_slot_of_a_store_looks_random_with_or_without_a_client_in_it() -> None:
    """A slot that no client determines must not be told from the others: it would rule clients out."""
    run = Alliance(MODE, SETS).run()
    for step in (9, 13):
        data = records_of(run.delivered[step].message)
        slots = [data[i : i + 16] for i in range(0, len(data), 16)]
        assert len(set(slots)) == len(slots) == allparty.store_slots(5) == 320
        assert bytes(16) not in slots
        assert 0.45 < sum(byte.bit_count() for byte in data) / (8 * len(data)) < 0.55


def test_lengths_say_nothing_of_the_overlap() -> None:
    lengths = set()
    for shift, minimum in [(0, 1), (20, 1), (39, 1), (40, 1), (0, 41), (13, 0)]:
        sets = {name: clients(*range(i * shift, i * shift + 40)) for i, name in enumerate(PARTIES[:3])}
        run = Alliance(MODE, sets, minimum=minimum, points_per_message=16, seed=str(shift)).run()
        lengths.add(tuple((item.sender, item.recipient, len(item.message)) for item in run.delivered))
    assert len(lengths) == 1


def test_no_message_holds_an_identifier_or_its_hash_and_no_list_comes_twice() -> None:
    run = Alliance(MODE, SETS).run()
    tag = group.domain(CONTEXT)
    for item in run.delivered:
        for ids in SETS.values():
            for client in ids:
                assert client[4:] not in item.message
                assert group.hash_to_group(client, tag) not in item.message
    by_step = {STEPS[i]: records_of(run.delivered[i].message) for i in NUMBERS}
    masked = by_step["broker", "bank", "leader-masked"]
    assert masked == by_step["broker", "platform", "leader-masked"], "all followers get one list"
    others = [data for step, data in by_step.items() if step[2] in ("leader-doubled", "store", "rows")]
    assert len(set(others)) == len(others)


def test_masked_list_and_common_order_do_not_follow_the_leaders_rows() -> None:
    sets = {name: clients(*range(40)) for name in PARTIES[:3]}
    run = Alliance(MODE, sets)
    mask = run.sessions["broker"]._mask  # type: ignore[attr-defined]
    run.run()
    in_order = group.multiply_all(mask, group.hash_all(sets["broker"], group.domain(CONTEXT)))
    sent = records_of(run.delivered[1].message)
    assert sent != b"".join(in_order)
    assert {sent[i : i + 32] for i in range(0, len(sent), 32)} == set(in_order)
    assert sorted(run.aligned("broker").rows) == list(range(40)) != run.aligned("broker").rows.tolist()


# -- crashes


def test_restart_after_every_message_changes_no_byte() -> None:
    plain = Alliance(MODE, SETS, points_per_message=100).run()
    crashed = Alliance(MODE, SETS, points_per_message=100)
    for name in SETS:
        crashed.restart(name)
    while crashed.deliver_one():
        for name in SETS:
            crashed.restart(name)
    assert crashed.delivered == plain.delivered
    for name in SETS:
        assert repr(crashed.sessions[name].result()) == repr(plain.sessions[name].result())


def test_step_lost_before_its_commit_is_repeated_byte_for_byte() -> None:
    run = Alliance(MODE, SETS, points_per_message=100)
    for name in ("broker", "bank"):
        session = run.sessions[name]
        assert psi.load(session.dump(), SETS[name]).start() == session.start()
    while any(run.waiting.values()):
        kept = {name: session.dump() for name, session in run.sessions.items()}
        sent = {link: len(queue) for link, queue in run.waiting.items()}
        step = run.deliver_one()
        assert step is not None
        again = psi.load(kept[step.recipient], SETS[step.recipient])
        answers: dict[str, list[bytes]] = {}
        for item in again.receive(step.sender, step.message):
            answers.setdefault(item.recipient, []).append(item.message)
        for peer, messages in answers.items():
            back = (step.recipient, peer)
            assert messages == list(run.waiting[back])[sent.get(back, 0) :]
        assert again.dump() == run.sessions[step.recipient].dump()


def test_finished_dump_holds_no_key_no_tag_and_no_list() -> None:
    run = Alliance(MODE, SETS)
    seeds = {name: session._seed for name, session in run.sessions.items()}
    while ("bank", "tags") not in run.sessions["bank"].state.taken:
        run.deliver_one()
    tags = run.sessions["bank"].state.taken["bank", "tags"][0]
    run.run()
    for name, seed in seeds.items():
        finished = run.sessions[name].dump()
        assert seed not in finished
        assert tags[:16] not in finished
        assert repr(psi.load(finished, []).result()) == repr(run.sessions[name].result())


# -- real data


def real_ids(folder: Path, party: str) -> tuple[bytes, ...]:
    with gzip.open(folder / f"party_{party}.csv.gz", "rt") as file:
        return normalise_column("resident_id", [line["client_id"] for line in csv.DictReader(file)]).ids


@pytest.mark.real_data
def test_real_clients_of_all_four() -> None:
    folder = data_folder("scf2022")
    counts = json.loads((folder / "parties.json").read_text())["counts"]
    sets = {name: real_ids(folder, name) for name in PARTIES}
    run = Alliance(MODE, sets, minimum=200, points_per_message=1000).run()
    assert set(run.common("broker")) == set.intersection(*map(set, sets.values()))
    assert len(run.common("broker")) == counts["all4"]
    assert all(run.common(name) == run.common("broker") for name in PARTIES)


@pytest.mark.real_data
def test_real_file_with_errors_at_three_parties() -> None:
    """Febrl 4: the first file at two parties, the second at the third: the pairs exact matching can find."""
    folder = data_folder("febrl4")
    people = []
    for name in ("a", "b"):
        with gzip.open(folder / f"dataset4{name}.csv.gz", "rt") as file:
            lines = csv.DictReader(file, skipinitialspace=True)
            people.append({line["soc_sec_id"].encode(): line["rec_id"].split("-")[1] for line in lines})
    run = Alliance(MODE, {"broker": list(people[0]), "bank": list(people[1]), "platform": list(people[0])}).run()
    assert sum(people[0][item] == people[1][item] for item in run.common("platform")) == 4561
