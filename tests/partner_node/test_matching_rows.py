"""Rows by the OPRF engine at the nodes: one side or both, resumed from any step, nothing for who is not entitled."""

import csv
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from partner_node import match_rows
from privacy import packing
from privacy.psi import rows as engine
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

SETS = {"broker": range(300), "bank": range(150, 500)}
SHARED = [n for n in range(150, 300) if n % 10]


@pytest.fixture
def pair(tmp_path: Path) -> list[TestNode]:
    """Broker (clients 0-299) and bank (150-499), with consent of all but multiples of ten."""
    clock, authority = MovableClock(), TestAuthority()
    nodes = []
    for name, numbers in SETS.items():
        csv_text = alliance.clients_csv(numbers)
        node = alliance.make_node(tmp_path, name, csv_text, columns={"SPEND": "C2"}, clock=clock, authority=authority)
        alliance.consent(node, [n for n in numbers if n % 10])
        nodes.append(node)
    alliance.pin_all(nodes)
    return nodes


@pytest.fixture
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many buckets of few clients, one a step: a job of several steps."""
    monkeypatch.setattr(engine, "BUCKET_KEYS", 32)
    monkeypatch.setattr(engine, "PARALLEL", 1)


def body(pair: list[TestNode], **changes: Any) -> Any:
    return alliance.match_body(pair, mode="rows", engine="oprf", version=2, **{"minimum": 50, **changes})


def run(pair: list[TestNode], *, restart: bool = False, **changes: Any) -> tuple[str, MatchRelay]:
    job = alliance.propose(pair, "match", body(pair, **changes))
    relay = MatchRelay(pair, job, alliance.approve(pair, job), restart=restart)
    relay.run()
    return job, relay


def row_map(node: TestNode, job: str, suffix: str = ".csv") -> list[tuple[int, str]]:
    path = node.folder / f"rows-{job[:8]}{suffix}"
    node.command("match.result", job=job, file=str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    if suffix == ".parquet":
        table = pyarrow.parquet.read_table(path).to_pydict()
        return list(zip(table["row"], table["client_id"], strict=True))
    with path.open(newline="") as lines:
        return [(int(line["row"]), line["client_id"]) for line in csv.DictReader(lines)]


def expected(node: TestNode) -> list[tuple[int, str]]:
    first = SETS[node.partner].start
    return [(n - first, alliance.resident_id(n)) for n in SHARED]


def test_the_leader_gets_its_rows_and_nobody_else_anything(pair: list[TestNode]) -> None:
    job, relay = run(pair)
    broker, bank = pair
    assert row_map(broker, job) == row_map(broker, job, ".parquet") == expected(broker)
    told = {name: (result["body"]["outcome"], result["body"]["count"]) for name, result in relay.results.items()}
    assert told == {"broker": ("shared", len(SHARED)), "bank": ("not entitled", None)}
    assert bank.parts.node.database.read(lambda s: match_rows.of_job(s, job)) == match_rows.NO_ROWS
    assert (
        relay.results["broker"]["body"]["transcripts"]["bank"] == relay.results["bank"]["body"]["transcripts"]["broker"]
    )


@pytest.mark.parametrize("restart", [False, pytest.param(True, marks=pytest.mark.slow_flow)])
@pytest.mark.usefixtures("small_buckets")
def test_both_get_their_rows_over_many_steps(pair: list[TestNode], restart: bool) -> None:
    job, relay = run(pair, restart=restart, both=True)
    assert min(relay.steps.values()) > 10
    for node in relay.nodes.values():
        assert row_map(node, job) == expected(node)


def test_below_the_minimum_no_rows_are_kept(pair: list[TestNode]) -> None:
    job, relay = run(pair, minimum=len(SHARED) + 1, both=True)
    for node in pair:
        assert relay.results[node.partner]["body"]["outcome"] == "below minimum"
        assert node.parts.node.database.read(lambda s: match_rows.of_job(s, job)) == match_rows.NO_ROWS


def matrices(node: TestNode) -> list[tuple[int, int, bytes]]:
    """(bucket, attempt, matrix) of every matrix that a receiver sealed, also of those that never left."""
    found = []
    for kind, plain in node.seen:
        message = packing.unpack(plain[1:]) if kind == "envelope/match" else None
        if isinstance(message, dict) and message["header"]["phase"] == "matrix":  # type: ignore[index, call-overload]
            payload = message["payload"]
            assert isinstance(payload, bytes)
            found.append((message["header"]["bucket"], int.from_bytes(payload[:4], "big"), payload[4:]))  # type: ignore[index, call-overload]
    return found


@pytest.mark.usefixtures("small_buckets")
def test_no_stream_makes_two_matrices_whether_the_node_dies_before_or_after_its_commit(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", body(pair))
    relay = MatchRelay(pair, job, alliance.approve(pair, job))
    for name in ("broker", "bank", "broker"):
        relay.step(name)
    broker = relay.nodes["broker"]
    request = relay.request("broker", [])
    lost = broker.parts.handlers["match.step"](request)  # computed, and dead before its commit
    again = broker.reopened()
    relay.nodes["broker"] = again
    reply = again.ask(request)  # committed, and dead before it was sent
    assert reply.body != lost.body
    relay.nodes["broker"] = again.reopened()
    assert relay.nodes["broker"].ask(request) == reply, "what was stored is sent, not made again"
    relay.run()
    sealed = matrices(broker)
    assert len({(bucket, attempt) for bucket, attempt, _ in sealed}) == len(sealed) > 8
    remade = [bucket for bucket, _, _ in sealed if [b for b, _, _ in sealed].count(bucket) > 1]
    assert remade, "the lost one was made again, under another number"
    assert row_map(relay.nodes["broker"], job) == expected(broker)
