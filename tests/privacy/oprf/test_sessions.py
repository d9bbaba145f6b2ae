"""Whole jobs against plain sets: results, edges, lengths, crashes, executors, real data."""

import csv
import gzip
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.normalise import normalise_column
from privacy.psi import oprf
from privacy.psi.errors import BadIdentifiers, BadSetup, BadState, IdentifiersChanged, NotFinished, WrongPhase
from privacy.psi.oprf.options import OPTIONS
from privacy.psi.values import Outcome
from tests.privacy.oprf.support import RECEIVER, SENDER, Pair, clients, head_of, made, payload_of, rewritten
from tests.support.shared_data import data_folder

SIDES = st.lists(st.integers(0, 40), unique=True, max_size=40)


@settings(max_examples=15)
@given(SIDES, SIDES, st.integers(1, 3), st.integers(2, 50), st.integers(0, 5), st.data())
def test_rows_equal_the_set_oracle_in_any_order_of_delivery(
    receiver: list[int], sender: list[int], parallel: int, bucket_keys: int, minimum: int, data: st.DataObject
) -> None:
    options = {"parallel": parallel, "bucket_keys": bucket_keys, "minimum": minimum}
    pair = Pair(clients(*receiver), clients(*sender), options)
    pair.run(lambda steps: data.draw(st.sampled_from(steps)))
    common = set(pair.receiver_ids) & set(pair.sender_ids)
    result = pair.sessions[RECEIVER].result()
    assert result.outcome is (Outcome.SHARED if len(common) >= minimum else Outcome.BELOW_MINIMUM)
    assert set(pair.shared()) == (common if len(common) >= minimum else set())
    assert result.rows.tolist() == sorted(set(result.rows.tolist()))
    assert result.rows.dtype == np.int64
    other = pair.sessions[SENDER].result()
    assert (other.outcome, len(other.rows)) == (Outcome.NOT_ENTITLED, 0)
    assert pair.sessions[RECEIVER].transcript() == pair.sessions[SENDER].transcript()


@pytest.mark.parametrize(("receiver", "sender"), [(0, 0), (1, 0), (0, 1), (1, 1), (3000, 1), (1, 3000), (2500, 3000)])
def test_sizes_that_differ(receiver: int, sender: int) -> None:
    pair = Pair(clients(*range(receiver)), clients(*range(sender)), {"bucket_keys": 700}).run()
    assert pair.shared() == clients(*range(min(receiver, sender)))


@pytest.mark.parametrize("option", list(OPTIONS))
def test_every_option_gives_the_rows(option: str) -> None:
    pair = Pair(clients(*range(300)), clients(*range(200, 450)), {"option": option, "bucket_keys": 120})
    steps = 0
    while pair.step():
        steps += 1
        if steps % 3 == 0:
            pair.sessions = {name: oprf.load(s.dump(), pair.ids(name)) for name, s in pair.sessions.items()}
    assert pair.shared() == clients(*range(200, 300))
    assert pair.sessions[RECEIVER].transcript() == pair.sessions[SENDER].transcript()


def test_identifiers_of_256_bytes_and_with_common_prefixes() -> None:
    longest = [b"acct:" + b"x" * 250 + bytes([i]) for i in range(40)]
    short = [item[:-i] for i, item in enumerate(longest, start=1)]
    pair = Pair(longest + short, longest[5:10] + short[20:30]).run()
    assert set(pair.shared()) == set(longest[5:10] + short[20:30])


@pytest.mark.parametrize(
    ("ids", "committed"), [([b"x" * 257], 1), ([b""], 1), ([b"one", b"one"], 2), ([b"one"], 2), (["text"], 1)]
)
def test_bad_identifiers_are_refused(ids: list[bytes], committed: int) -> None:
    with pytest.raises(BadIdentifiers):
        made("receiver", ids, counts={RECEIVER: committed, SENDER: 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"peer": RECEIVER},
        {"peer": "platform"},
        {"counts": {RECEIVER: 1}},
        {"counts": {RECEIVER: 1, SENDER: -1}},
        {"counts": {RECEIVER: 1, SENDER: 10_000_001}},
        {"counts": {RECEIVER: True, SENDER: 1}},
        {"counts": {RECEIVER: 1, SENDER: 1, "platform": 1}},
        {"context": b"short"},
        {"minimum": -1},
        {"parallel": 0},
        {"parallel": 257},
        {"bucket_keys": 0},
        {"option": "malicious"},
        {"bucket_keys": (1 << 20) + 1},
        {"counts": {RECEIVER: 1, SENDER: 9_000_000}, "bucket_keys": 1000},
    ],
)
def test_bad_setup_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSetup):
        made("receiver", clients(1), **changes)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(BadSetup):
        made("leader", clients(1))


def test_phases_progress_and_the_missing_result() -> None:
    pair = Pair(clients(*range(30)), clients(*range(30)), {"bucket_keys": 10})
    receiver, sender = pair.sessions[RECEIVER], pair.sessions[SENDER]
    assert (receiver.phase, sender.phase) == ("answer", "offer")
    assert made("receiver", clients(1)).phase == "start"
    assert receiver.progress == sender.progress == (0, 3)
    assert receiver.work() == sender.work() == []
    with pytest.raises(NotFinished):
        receiver.result()
    assert [item.message for item in receiver.start()] == list(pair.waiting[SENDER])  # nothing was received yet
    pair.until(SENDER, "matrix")
    assert receiver.phase in ("work", "tags")
    with pytest.raises(WrongPhase):
        receiver.start()
    with pytest.raises(WrongPhase):
        sender.start()
    pair.until(RECEIVER, "tags", 2)
    assert (receiver.progress, sender.progress) == ((2, 3), (3, 3))
    pair.run()
    assert (receiver.phase, sender.phase, receiver.progress) == ("done", "done", (3, 3))
    assert receiver.work() == []


def test_matrices_under_way_are_bounded() -> None:
    pair = Pair(clients(*range(100)), clients(*range(100)), {"bucket_keys": 10})
    pair.until(SENDER, "matrix")
    receiver = pair.sessions[RECEIVER]
    while receiver.ready:
        pair.post(receiver.work())
    assert [head_of(message)[0] for message in pair.waiting[SENDER]] == [("matrix", 0), ("matrix", 1)]
    assert pair.run().shared() == pair.receiver_ids


def shapes(pair: Pair) -> list[tuple[str, int]]:
    return [(recipient, len(message)) for recipient, message in pair.delivered]


def test_every_length_is_independent_of_what_the_sets_hold_and_share() -> None:
    base = clients(*range(60))
    longer = [b"acct:" + b"%0200d" % i for i in range(60)]
    others = [clients(*range(100, 160)), clients(*range(30, 90)), base, longer]
    lengths = {
        tuple(shapes(Pair(base, other, {"bucket_keys": 20}, seed=str(i)).run())) for i, other in enumerate(others)
    }
    assert len(lengths) == 1


def test_messages_show_no_identifier_and_tags_ascend() -> None:
    pair = Pair(clients(*range(60)), clients(*range(30, 90)), {"bucket_keys": 40}).run()
    size = pair.sessions[RECEIVER].sizes.tag_bytes
    for _, message in pair.delivered:
        assert b"cid:" not in message
        if head_of(message)[0][0] == "tags":
            payload = payload_of(message)
            tags = [payload[i : i + size] for i in range(0, len(payload), size)]
            assert tags == sorted(set(tags))


def test_two_jobs_with_equal_sets_share_no_tag() -> None:
    ids = clients(*range(50))
    runs = [Pair(ids, ids, {}, seed=seed).run() for seed in "ab"]
    tags = [payload_of(run.delivered[-1][1]) for run in runs]
    size = runs[0].sessions[RECEIVER].sizes.tag_bytes
    sets = [{tag[i : i + size] for i in range(0, len(tag), size)} for tag in tags]
    assert len(sets[0]) == len(sets[1]) == 50
    assert not sets[0] & sets[1]


# -- crashes


def test_a_job_goes_on_from_dumps_taken_after_every_step() -> None:
    pair = Pair(clients(*range(80)), clients(*range(40, 120)), {"bucket_keys": 30, "parallel": 2})
    steps = 0
    while pair.step():
        steps += 1
        pair.sessions = {name: oprf.load(s.dump(), pair.ids(name)) for name, s in pair.sessions.items()}
        assert steps < 200
    assert set(pair.shared()) == set(clients(*range(40, 80)))
    assert pair.sessions[RECEIVER].transcript() == pair.sessions[SENDER].transcript()


def test_a_matrix_made_again_from_an_old_dump_uses_other_streams() -> None:
    """The pad of the first matrix must not come again under other slots: it takes another attempt number."""
    pair = Pair(clients(*range(60)), clients(*range(60)))
    pair.until(RECEIVER, "answer")
    pair.step(lambda steps: f"deliver {RECEIVER}")
    old = pair.sessions[RECEIVER].dump()
    first = payload_of(pair.until(SENDER, "matrix"))
    again = []
    for _ in range(2):
        (out,) = oprf.load(old, pair.receiver_ids).work()
        again.append(payload_of(out.message))
    assert again[0] == again[1]
    assert (first[:4], again[0][:4]) == (bytes(4), bytes([0, 0, 0, 4]))
    same = np.frombuffer(first[4:], np.uint8) == np.frombuffer(again[0][4:], np.uint8)
    assert same.mean() < 0.02


def test_answers_to_one_offer_with_other_nonces_give_the_receiver_other_streams() -> None:
    """A sender that gets a receiver to begin again cannot have two placings of identifiers under the same pads."""
    pair = Pair(clients(*range(60)), clients(*range(60)))
    answer = pair.until(RECEIVER, "answer")
    old = pair.sessions[RECEIVER].dump()
    payload = payload_of(answer)
    sessions = [oprf.load(old, pair.receiver_ids) for _ in range(2)]
    sessions[0].receive(SENDER, answer)
    sessions[1].receive(SENDER, rewritten(answer, bytes([payload[0] ^ 1]) + payload[1:]))
    seeds = [session.state.seeds for session in sessions]
    columns = sessions[0].sizes.columns
    pairs = zip(*([value[i : i + 16] for i in range(0, len(value), 16)] for value in seeds), strict=True)
    assert len(seeds[0]) == len(seeds[1]) == 32 * columns
    assert all(first != second for first, second in pairs)


def test_answers_that_differ_in_one_base_transfer_open_no_sum_of_slots() -> None:
    """A receiver restored from a copy, answered otherwise under the same nonce: with the same masks and slots under
    other sums, the difference of two proofs would be a sum of slots in clear, and some forks all of them."""
    pair = Pair(clients(*range(60)), clients(*range(60)), {"option": "checked-listed"})
    answer = pair.until(RECEIVER, "answer")
    old, payload = pair.sessions[RECEIVER].dump(), payload_of(answer)
    forks = []
    for changed in (payload, payload[:32] + payload[64:96] + payload[32:64] + payload[96:]):
        session = oprf.load(old, pair.receiver_ids)
        session.receive(SENDER, rewritten(answer, changed))
        seeds = session.state.seeds
        (out,) = session.work()
        forks.append((session, {seeds[i : i + 16] for i in range(0, len(seeds), 16)}, payload_of(out.message)))
    (first, first_seeds, matrix), (second, second_seeds, other) = forks
    assert first.state.salt == second.state.salt, "identifiers are placed alike"
    assert matrix[:4] == other[:4], "the same attempt"
    assert not first_seeds & second_seeds, "every stream is another one"
    count = first.sizes.slots * 8
    drawn = [session._bucket(0).random(4, count + first.sizes.option.mask_bytes) for session in (first, second)]
    assert (drawn[0] == drawn[1]).mean() < 0.02, "filler and masks are others"


def test_a_restored_sender_that_answers_another_matrix_does_not_show_which_tags_are_random() -> None:
    pair = Pair(clients(*range(100, 160)), clients(*range(60)), {"bucket_keys": 20})
    message = pair.until(SENDER, "matrix")
    old, payload = pair.sessions[SENDER].dump(), payload_of(message)
    answers = []
    for changed in (payload, payload[:4] + bytes(len(payload) - 4)):
        sender = oprf.load(old, pair.sender_ids)
        sender.receive(RECEIVER, rewritten(message, changed))
        assert sender._hash().counts[0] < sender.sizes.sender_bucket, "some tags are random"
        (out,) = sender.work()
        size, tags = sender.sizes.tag_bytes, payload_of(out.message)
        answers.append({tags[i : i + size] for i in range(0, len(tags), size)})
    assert not answers[0] & answers[1]


def test_a_sender_from_a_dump_answers_the_same() -> None:
    pair = Pair(clients(*range(60)), clients(*range(60)))
    message = pair.until(SENDER, "matrix")
    answers = []
    for _ in range(2):
        loaded = oprf.load(pair.sessions[SENDER].dump(), pair.sender_ids)
        loaded.receive(RECEIVER, message)
        loaded = oprf.load(loaded.dump(), pair.sender_ids)
        answers += [item.message for item in loaded.work()]
        assert loaded.done
    assert answers[0] == answers[1]


def test_finished_dump_holds_no_secret_and_needs_no_identifiers() -> None:
    pair = Pair(clients(*range(20)), clients(*range(10, 30)))
    pair.until(RECEIVER, "tags")
    for name, session in pair.sessions.items():
        running = session.dump()
        assert not any(item in running for item in pair.ids(name))
    receiver = pair.sessions[RECEIVER]
    seed, seeds = receiver._seed, receiver.state.seeds
    assert seed in receiver.dump()
    assert seeds in receiver.dump()
    pair.run()
    for session in pair.sessions.values():
        finished = session.dump()
        assert seed not in finished
        assert seeds not in finished
        assert len(finished) < 2000
        again = oprf.load(finished, [])
        assert repr(again.result()) == repr(session.result())
        assert again.transcript() == session.transcript()


def test_load_refuses_other_identifiers_and_other_bytes() -> None:
    state = made("receiver", clients(1, 2, 3)).dump()
    for ids in (clients(1, 2), clients(1, 2, 4), clients(1, 3, 2), clients(1, 1, 2)):
        with pytest.raises(IdentifiersChanged):
            oprf.load(state, ids)
    two = made("receiver", [b"ab", b"c"]).dump()
    with pytest.raises(IdentifiersChanged):
        oprf.load(two, [b"a", b"bc"])
    for bad in (b"", state[:-1], state + b"\x00", state.replace(b'"version":1', b'"version":2')):
        with pytest.raises(BadState):
            oprf.load(bad, clients(1, 2, 3))


def test_buckets_run_in_processes() -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        options = {"parallel": 2, "bucket_keys": 1000, "begin": pool.submit}
        pair = Pair(clients(*range(4000)), clients(*range(1000, 5000)), options).run()
    assert set(pair.shared()) == set(clients(*range(1000, 4000)))


# -- real data


def scf_ids(folder: Path, party: str) -> tuple[bytes, ...]:
    with gzip.open(folder / f"party_{party}.csv.gz", "rt") as file:
        return normalise_column("resident_id", [line["client_id"] for line in csv.DictReader(file)]).ids


@pytest.mark.real_data
@pytest.mark.parametrize("partner", ["bank", "platform", "insurer"])
def test_the_broker_and_a_partner_share_as_many_as_published(partner: str) -> None:
    folder = data_folder("scf2022")
    counts = json.loads((folder / "parties.json").read_text())["counts"]
    sets = [scf_ids(folder, name) for name in ("broker", partner)]
    pair = Pair(*sets, {"bucket_keys": 1500, "parallel": 2}).run()
    assert len(pair.shared()) == counts[f"broker&{partner}"]
    assert set(pair.shared()) == set(sets[0]) & set(sets[1])


@pytest.mark.real_data
def test_febrl_pairs_that_exact_matching_can_find() -> None:
    folder = data_folder("febrl4")
    records: list[dict[bytes, str]] = []
    for name in ("a", "b"):
        with gzip.open(folder / f"dataset4{name}.csv.gz", "rt") as file:
            lines = list(csv.DictReader(file, skipinitialspace=True))
        records.append({line["soc_sec_id"].encode(): line["rec_id"].split("-")[1] for line in lines})
    pair = Pair(list(records[0]), list(records[1])).run()
    assert set(pair.shared()) == set(records[0]) & set(records[1])
    assert sum(records[0][item] == records[1][item] for item in pair.shared()) == 4561
