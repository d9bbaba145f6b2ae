"""Whoever gets a node's disk later, or silences a job, must not find a finished job's keys.

Attack 1: the session's seed is read out of the database's write-ahead log after the job ended. With it every client of
the other side's masked list could be tested against guessed ids (docs/matching.md, section 4).
Attack 2: the hub starts a job, cancels it (nodes are not told) and leaves its keys lying until a far expiry.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from ecowire.stream import Message
from partner_node import sessions, upkeep
from privacy import packing
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode
from tests.partner_node.relay import MatchRelay


@pytest.fixture
def running(pair: list[TestNode]) -> tuple[list[TestNode], MatchRelay]:
    """A match after the leader's first step: both have their keys."""
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    relay = MatchRelay(pair, job, alliance.approve(pair, job))
    relay.step("broker")
    return pair, relay


def secret_of(node: TestNode, job: str) -> bytes:
    """The 32 bytes from which all keys and shuffles of the running session follow."""
    kept = node.parts.node.database.read(lambda session: sessions.load(session, job))
    assert kept is not None
    state = packing.unpack(kept.state)
    assert isinstance(state, dict) and isinstance(state["psi"], bytes)
    inner = packing.unpack(state["psi"])
    assert isinstance(inner, dict)
    seed = inner["seed"]
    assert isinstance(seed, bytes) and len(seed) == 32
    return seed


def files_with(folder: Path, secret: bytes) -> list[str]:
    return [path.name for path in sorted((folder / "data").glob("node.db*")) if secret in path.read_bytes()]


def test_no_file_of_the_node_holds_the_seed_once_the_match_is_done(
    running: tuple[list[TestNode], MatchRelay],
) -> None:
    nodes, relay = running
    secret = secret_of(nodes[0], relay.job)
    assert files_with(nodes[0].folder, secret), "the search finds the seed while the match runs"
    while waiting := [name for name, box in relay.boxes.items() if box]:
        for name in waiting:
            relay.step(name)
    assert relay.results
    assert files_with(nodes[0].folder, secret) == []


def test_no_file_holds_the_seed_once_the_match_broke(running: tuple[list[TestNode], MatchRelay]) -> None:
    nodes, relay = running
    secret = secret_of(nodes[0], relay.job)
    head = {"job": relay.job, "commitments": relay.commitments, "sequence": 1}
    broken = nodes[0].ask(Message(id="break", kind="match.step", head=head, body=packing.pack([b"no envelope"])))
    assert broken.kind == "failure"
    assert files_with(nodes[0].folder, secret) == []


def test_a_job_that_falls_silent_loses_its_keys_before_it_expires(
    running: tuple[list[TestNode], MatchRelay],
) -> None:
    nodes, relay = running
    database, start = nodes[0].parts.node.database, nodes[0].clock.now
    secret = secret_of(nodes[0], relay.job)
    assert upkeep.drop_ended(database, start + upkeep.IDLE - timedelta(minutes=1)) == 0
    assert upkeep.drop_ended(database, start + upkeep.IDLE + timedelta(minutes=1)) == 1
    assert start + upkeep.IDLE < start + timedelta(days=6), "the job itself expires only after six days and more"
    assert files_with(nodes[0].folder, secret) == []
