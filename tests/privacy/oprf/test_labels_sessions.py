"""Whole jobs of mode labels against plain dicts: results, edges, lengths, crashes, executors, real data."""

import csv
import gzip
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.errors import BadIdentifiers, BadSetup, BadState, IdentifiersChanged, NotFinished
from privacy.psi.oprf import labels_factory
from privacy.psi.oprf.errors import BadLabels
from privacy.psi.oprf.labels_sessions import LabelsResult, LabelsSession
from privacy.psi.oprf.options import OPTIONS
from privacy.psi.oprf.packed import PackedIdentifiers
from privacy.psi.values import Outcome
from tests.privacy.oprf.labels_support import LABEL_BYTES, LabelsPair, labelled, labels_for, made_labels
from tests.privacy.oprf.support import RECEIVER, SENDER, clients, head_of, payload_of
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

SIDES = st.lists(st.integers(0, 40), unique=True, max_size=40)


def pair_of(receiver: range, sender: range, options: dict[str, Any] | None = None, seed: str = "") -> LabelsPair:
    theirs = clients(*sender)
    return LabelsPair(clients(*receiver), theirs, options or {}, seed, labels=labelled(theirs))


@settings(max_examples=15)
@given(SIDES, SIDES, st.integers(1, 3), st.integers(2, 50), st.integers(0, 5), st.integers(4, 64), st.data())
def test_labels_equal_the_dict_oracle_in_any_order_of_delivery(
    receiver: list[int],
    sender: list[int],
    parallel: int,
    bucket_keys: int,
    minimum: int,
    label_bytes: int,
    data: st.DataObject,
) -> None:
    options = {"parallel": parallel, "bucket_keys": bucket_keys, "minimum": minimum}
    theirs = clients(*sender)
    pair = LabelsPair(clients(*receiver), theirs, options, labels=labelled(theirs), label_bytes=label_bytes)
    pair.run(lambda steps: data.draw(st.sampled_from(steps)))
    expected = pair.expected()
    result = pair.sessions[RECEIVER].result()
    assert isinstance(result, LabelsResult)
    assert result.outcome is (Outcome.SHARED if len(expected) >= minimum else Outcome.BELOW_MINIMUM)
    assert pair.found() == (expected if len(expected) >= minimum else {})
    assert result.rows.tolist() == sorted(set(result.rows.tolist()))
    assert result.labels.shape == (len(result.rows), label_bytes)
    other = pair.sessions[SENDER].result()
    assert isinstance(other, LabelsResult)
    assert (other.outcome, len(other.rows), other.labels.shape) == (Outcome.NOT_ENTITLED, 0, (0, label_bytes))
    assert pair.sessions[RECEIVER].transcript() == pair.sessions[SENDER].transcript()


@pytest.mark.parametrize(("receiver", "sender"), [(0, 0), (1, 0), (0, 1), (1, 1), (3000, 1), (1, 3000), (2500, 3000)])
def test_sizes_that_differ(receiver: int, sender: int) -> None:
    pair = pair_of(range(receiver), range(sender), {"bucket_keys": 700}).run()
    assert pair.found() == pair.expected()
    assert len(pair.found()) == min(receiver, sender)


@pytest.mark.parametrize("option", list(OPTIONS))
def test_every_option_gives_the_labels_from_dumps_taken_after_every_step(option: str) -> None:
    pair = pair_of(range(300), range(200, 450), {"option": option, "bucket_keys": 120, "parallel": 2})
    while pair.step():
        pair.reload(RECEIVER)
        pair.reload(SENDER)
    assert pair.found() == pair.expected()
    assert len(pair.found()) == 100
    assert pair.sessions[RECEIVER].transcript() == pair.sessions[SENDER].transcript()
    pair.reload(RECEIVER)
    assert pair.found() == pair.expected()


def test_identifiers_of_256_bytes_and_labels_of_64() -> None:
    ids = [b"acct:" + b"x" * 250 + bytes([i]) for i in range(40)]
    labels = {item: bytes([i + 1]) * 64 for i, item in enumerate(ids)}
    pair = LabelsPair(ids[:20], ids[10:], labels=labels, label_bytes=64).run()
    assert pair.found() == {item: labels[item] for item in ids[10:20]}


def test_packed_identifiers() -> None:
    ids = clients(*range(100))
    pair = LabelsPair(ids, ids, labels=labelled(ids))
    pair.sessions[SENDER] = made_labels("sender", PackedIdentifiers.of(ids), pair.own_labels(SENDER))
    assert pair.run().found() == labelled(ids)


# -- what is refused at once


@pytest.mark.parametrize(
    "labels",
    [
        None,
        [b"A"] * 3,
        np.zeros((2, LABEL_BYTES), np.uint8),
        np.zeros((4, LABEL_BYTES), np.uint8),
        np.zeros((3, LABEL_BYTES + 1), np.uint8),
        np.zeros((3, LABEL_BYTES), np.int8),
        np.zeros((3, LABEL_BYTES), np.uint16),
        np.zeros(3 * LABEL_BYTES, np.uint8),
    ],
)
def test_labels_of_another_form_are_refused(labels: Any) -> None:
    with pytest.raises(BadLabels):
        made_labels("sender", clients(1, 2, 3), labels)


def test_a_receiver_brings_no_labels() -> None:
    with pytest.raises(BadLabels):
        made_labels("receiver", clients(1), labels_for([b"A"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"label_bytes": 0},
        {"label_bytes": 65},
        {"peer": RECEIVER},
        {"context": b"short"},
        {"minimum": -1},
        {"option": "malicious"},
        {"counts": {RECEIVER: 1, SENDER: 10_000_001}},
    ],
)
def test_bad_setup_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSetup):
        made_labels("receiver", clients(1), None, **changes)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(BadSetup):
        made_labels("leader", clients(1), None)


def test_bad_identifiers_are_refused() -> None:
    with pytest.raises(BadIdentifiers):
        made_labels("sender", [b"one", b"one"], labels_for([b"A", b"B"]))


# -- what is seen


def shapes(pair: LabelsPair) -> list[tuple[str, int]]:
    return [(recipient, len(message)) for recipient, message in pair.delivered]


def test_every_length_is_independent_of_what_the_sets_hold_and_share_and_of_labels() -> None:
    base = clients(*range(60))
    longer = [b"acct:" + b"%0200d" % i for i in range(60)]
    lengths = set()
    for number, ids in enumerate([clients(*range(100, 160)), clients(*range(30, 90)), base, longer]):
        for value in (b"", b"A", b"other"):
            labels = dict.fromkeys(ids, value)
            pair = LabelsPair(base, ids, {"bucket_keys": 20}, f"{number}{value!r}", labels=labels).run()
            lengths.add(tuple(shapes(pair)))
    assert len(lengths) == 1


def test_messages_show_no_identifier_and_no_label() -> None:
    ids = clients(*range(60))
    pair = LabelsPair(ids, ids, {"bucket_keys": 40}, labels=dict.fromkeys(ids, b"LABEL")).run()
    assert len(pair.found()) == 60
    for _, message in pair.delivered:
        assert b"cid:" not in message
        assert b"LABEL" not in message


def test_two_jobs_with_equal_sets_and_labels_share_no_slot() -> None:
    runs = [pair_of(range(50), range(50), seed=seed).run() for seed in "ab"]
    size = runs[0].sessions[RECEIVER].sizes.tag_bytes
    slots = [payload_of(run.delivered[-1][1])[4:] for run in runs]
    sets = [{part[i : i + size] for i in range(0, len(part), size)} for part in slots]
    assert not sets[0] & sets[1]


def test_phases_and_progress() -> None:
    pair = pair_of(range(30), range(30), {"bucket_keys": 10})
    receiver, sender = pair.sessions[RECEIVER], pair.sessions[SENDER]
    with pytest.raises(NotFinished):
        receiver.result()
    pair.until(RECEIVER, "labels", 2)
    assert (receiver.progress, sender.progress, sender.phase) == ((2, 3), (3, 3), "done")
    pair.run()
    assert (receiver.phase, receiver.progress) == ("done", (3, 3))
    assert isinstance(receiver, LabelsSession)
    assert receiver.transcript(SENDER) == receiver.transcript() == sender.transcript()
    assert "L0" not in repr(receiver.result())


# -- crashes


def test_a_sender_from_a_dump_answers_the_same() -> None:
    pair = pair_of(range(60), range(60))
    message = pair.until(SENDER, "matrix")
    dump = pair.sessions[SENDER].dump()
    answers = []
    for _ in range(2):
        session = labels_factory.load(dump, pair.sender_ids, pair.own_labels(SENDER))
        session.receive(RECEIVER, message)
        (out,) = session.work()
        answers.append(out.message)
    assert answers[0] == answers[1]
    assert head_of(answers[0])[0] == ("labels", 0)


def test_other_labels_or_identifiers_are_refused_at_load() -> None:
    """A pad serves one label: other ones under the same pads would show how they differ."""
    ids = clients(1, 2, 3)
    labels = labels_for([b"A", b"B", b"C"])
    dump = made_labels("sender", ids, labels).dump()
    assert labels_factory.load(dump, ids, labels.copy()).phase == "offer"
    for changed in (labels_for([b"A", b"B", b"D"]), labels_for([b"B", b"A", b"C"])):
        with pytest.raises(IdentifiersChanged):
            labels_factory.load(dump, ids, changed)
    with pytest.raises(IdentifiersChanged):
        labels_factory.load(dump, clients(1, 3, 2), labels)
    for missing in (None, labels[:2]):
        with pytest.raises(BadLabels):
            labels_factory.load(dump, ids, missing)


def test_other_bytes_are_refused_at_load() -> None:
    state = made_labels("receiver", clients(1, 2), None).dump()
    plain = state.replace(b'"labels_version":1', b'"labels_version":2')
    for bad in (b"", state[:-1], state + b"\x00", plain, state.replace(b'"label_bytes":5', b'"label_bytes":0')):
        assert bad != state
        with pytest.raises(BadState):
            labels_factory.load(bad, clients(1, 2), None)


def test_dumps_hold_no_identifier_and_no_label_of_the_sender_and_end_without_secrets() -> None:
    pair = pair_of(range(40), range(20, 60), {"bucket_keys": 20})
    pair.until(RECEIVER, "labels", 1)
    for name, session in pair.sessions.items():
        dump = session.dump()
        assert not any(item in dump for item in pair.ids(name))
    assert not any(label in pair.sessions[SENDER].dump() for label in labelled(list(pair.sender_ids)).values())
    receiver = pair.sessions[RECEIVER]
    seed, seeds = receiver._seed, receiver.state.seeds
    assert seeds in receiver.dump()
    pair.run()
    for session in pair.sessions.values():
        finished = session.dump()
        assert seed not in finished
        assert seeds not in finished
        again = labels_factory.load(finished, [], None)
        assert repr(again.result()) == repr(session.result())
        assert again.dump() == finished
        assert again.transcript() == session.transcript()


def test_below_the_minimum_no_label_is_kept() -> None:
    pair = pair_of(range(40), range(35, 75), {"minimum": 6, "bucket_keys": 20}).run()
    receiver = pair.sessions[RECEIVER]
    assert receiver.result().outcome is Outcome.BELOW_MINIMUM
    assert pair.found() == {}
    for label in pair.expected().values():
        assert label not in receiver.dump()
    pair.reload(RECEIVER)
    assert pair.found() == {}


def test_buckets_run_in_processes() -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        options = {"parallel": 2, "bucket_keys": 1000, "begin": pool.submit}
        pair = pair_of(range(4000), range(1000, 5000), options).run()
    assert pair.found() == pair.expected()
    assert len(pair.found()) == 3000


# -- real data


@pytest.mark.real_data
def test_febrl_clients_get_the_number_that_the_other_list_has() -> None:
    folder = data_folder("febrl4")
    lists: list[dict[bytes, dict[str, str]]] = []
    for name in ("a", "b"):
        with gzip.open(folder / f"dataset4{name}.csv.gz", "rt") as file:
            lines = list(csv.DictReader(file, skipinitialspace=True))
        lists.append({line["soc_sec_id"].encode(): line for line in lines})
    mine, theirs = lists
    labels = {item: line["rec_id"].split("-")[1].encode() for item, line in theirs.items()}
    pair = LabelsPair(list(mine), list(theirs), labels=labels, label_bytes=8).run()
    found = pair.found()
    assert found == {item: labels[item] for item in mine if item in theirs}
    assert sum(mine[item]["rec_id"].split("-")[1].encode() == label for item, label in found.items()) == 4561
