"""Between two rounds of a vertical run: the session in memory, what is stored of it and how often, and its end."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.orm import Session

from ecowire.stream import Message
from federation.errors import PartyFailed
from federation.vertical import Dump
from partner_node import round_keys
from partner_node.training_state import States
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode
from tests.partner_node.relay import DirectChannel
from tests.partner_node.test_training import aligned, plan_body, run, template, train

__all__ = ["aligned", "template"]  # fixtures
pytestmark = pytest.mark.slow_flow
Aligned = tuple[list[TestNode], str]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every run of which a session was restored, as often as it was."""
    found: list[str] = []
    load = States.load

    def counted(states: States, job: Any) -> Dump:
        found.append(job)
        return load(states, job)

    monkeypatch.setattr(States, "load", counted)
    return found


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Every piece that was stored; storing one twice fails."""
    found: dict[str, bytes] = {}
    keep_all = round_keys.keep_all

    def counted(session: Session, job: str, values: Mapping[str, bytes]) -> None:
        assert not found.keys() & values.keys(), "a piece is stored once"
        found.update(values)
        keep_all(session, job, values)

    monkeypatch.setattr(round_keys, "keep_all", counted)
    return found


def test_a_session_is_restored_after_a_restart_only(aligned: Aligned, loads: list[str]) -> None:
    nodes, match = aligned
    channel, _ = run(nodes, plan_body(nodes, match))
    assert loads == []
    nodes = list(channel.by_name.values())
    channel, _ = run(nodes, plan_body(nodes, match, nonce="01" * 16), restart=True)
    later = sum(request.head["round"] != 1 for _, request in channel.requests)
    assert len(loads) == later > 10


def test_hints_are_stored_once_and_go_with_the_run(aligned: Aligned, stored: dict[str, bytes]) -> None:
    """Of two feature holders' hints, the broker has both, the bank the platform's."""
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    channel = DirectChannel(nodes, alliance.approve(nodes, job))
    seen: Counter[str] = Counter()
    ask = channel._ask

    def look(asked: Any) -> None:
        ask(asked)
        seen.update(node.partner for node in nodes if holds(node, stored))

    channel._ask = look  # type: ignore[method-assign]
    train(nodes, body, channel)
    assert len(stored) == 3
    assert seen["broker"] > 1 and seen["bank"] > 1, "the search finds them while the run goes on"
    for node in nodes:
        assert node.parts.node.database.read(lambda session: round_keys.all_of(session, job)) == {}
        assert not holds(node, stored)


def test_a_round_that_was_not_committed_is_done_again_from_what_was(
    aligned: Aligned, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session in memory has moved on, its database has not: the next request must not meet it."""
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    channel = DirectChannel(nodes, alliance.approve(nodes, job))
    ask, failed = channel._ask, list[str]()

    def disturbed(asked: Any) -> None:
        node = channel.by_name[asked.node]
        if asked.head["round"] > 1:
            write = node.parts.node.database.write
            with monkeypatch.context() as patch:
                patch.setattr(node.parts.node.database, "write", full)
                with pytest.raises(OSError, match="full"):
                    ask(asked)
            assert node.parts.node.database.write == write
            failed.append(asked.node)
        ask(asked)

    channel._ask = disturbed  # type: ignore[method-assign]
    _, results = train(nodes, body, channel)
    assert set(results) == {"broker", "bank", "platform"}
    assert not any(isinstance(answer, Exception) for answer in channel.answers.values())
    last = {name: failed.count(name) for name in results}
    # every round was begun twice: first with the session in memory, then with what was restored
    assert len(loads) == sum(last.values()) > 10


def test_a_run_that_the_hub_ended_leaves_nothing_in_memory(aligned: Aligned) -> None:
    """Its state goes from the database with the word of the hub; keys and rows in memory go with it."""
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    channel = DirectChannel(nodes, alliance.approve(nodes, job))
    ask, training = channel._ask, nodes[1].parts.handlers["flower"].__self__._vertical  # type: ignore[attr-defined]

    def end_in_round_five(asked: Any) -> None:
        if (asked.node, asked.head["round"]) == ("bank", 5):
            assert training.states._live is not None and training._inputs is not None
            head: dict[str, Any] = {"job": job, "state": "CANCELLED", "reason": {}}
            nodes[1].ask(Message(id=f"{job[:32]}-ended", kind="job.ended", head=head))
            assert training.states._live is None and training._inputs is None
        ask(asked)

    channel._ask = end_in_round_five  # type: ignore[method-assign]
    with pytest.raises(PartyFailed, match="bank"):
        train(nodes, body, channel)


def full(*_: Any, **__: Any) -> None:
    raise OSError("the disk is full")


def test_a_consent_withdrawn_between_two_rounds_ends_the_run_and_its_pieces(
    aligned: Aligned, stored: dict[str, bytes]
) -> None:
    """The session in memory still has the client's row: it is not used any more."""
    nodes, match = aligned
    body = plan_body(nodes, match)
    job = alliance.propose(nodes, "train", body)
    channel = DirectChannel(nodes, alliance.approve(nodes, job))
    ask, held = channel._ask, list[bool]()

    def withdrawn(asked: Any) -> None:
        if asked.node == "broker" and not held and holds(nodes[0], stored):
            held.append(True)
            nodes[0].command("consent.withdraw", client_id=alliance.resident_id(3))
        ask(asked)

    channel._ask = withdrawn  # type: ignore[method-assign]
    with pytest.raises(PartyFailed, match="no longer"):
        train(nodes, body, channel)
    assert held == [True]
    assert not holds(nodes[0], stored)


def holds(node: TestNode, pieces: Mapping[str, bytes]) -> bool:
    """Whether the node's database files hold something of a piece; one look may hit the edge of a page."""
    parts = [piece[place:][:64] for piece in pieces.values() for place in range(0, len(piece) - 64, len(piece) // 9)]
    found = b"".join(path.read_bytes() for path in sorted((node.folder / "data").glob("node.db*")))
    return any(part in found for part in parts)
