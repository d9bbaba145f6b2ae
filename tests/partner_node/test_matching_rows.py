"""Rows at the nodes by both engines: one side or both, resumed from any step, nothing for who is not entitled."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from partner_node import match_rows
from privacy import packing
from privacy.errors import Failure
from privacy.psi import factory
from privacy.psi import job as terms
from privacy.psi import rows as engine
from tests.hostile.matching import CLIENTS, RULES, Scene
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

SETS = {"broker": range(300), "bank": range(150, 500)}
SHARED = [n for n in range(150, 300) if n % 10]
by_either_engine = pytest.mark.parametrize("by", terms.MODES["rows"].engines)


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
    fields = {"engine": "oprf", "minimum": 50, **changes}
    return alliance.match_body(pair, mode="rows", version=2, **fields)


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


@by_either_engine
def test_the_leader_gets_its_rows_and_nobody_else_anything(pair: list[TestNode], by: str) -> None:
    job, relay = run(pair, engine=by)
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


@pytest.mark.parametrize("restart", [False, True])
def test_by_ecdh_both_get_their_rows(pair: list[TestNode], monkeypatch: pytest.MonkeyPatch, restart: bool) -> None:
    monkeypatch.setitem(factory.create.__kwdefaults__, "points_per_message", 64)
    job, relay = run(pair, restart=restart, engine="ecdh", both=True)
    for node in relay.nodes.values():
        assert row_map(node, job) == expected(node)
    told = {name: (result["body"]["outcome"], result["body"]["count"]) for name, result in relay.results.items()}
    assert told == dict.fromkeys(SETS, ("shared", len(SHARED)))


def test_by_ecdh_the_same_messages_leave_a_node_that_died_before_its_commit(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", body(pair, engine="ecdh", both=True))
    relay = MatchRelay(pair, job, alliance.approve(pair, job))
    for name in ("broker", "bank"):
        relay.step(name)
    request = relay.request("broker", list(relay.boxes["broker"]))
    relay.nodes["broker"].parts.handlers["match.step"](request)  # computed, and dead before its commit
    relay.nodes["broker"] = relay.nodes["broker"].reopened()
    relay.step("broker")
    _, first, again = [plain for kind, plain in pair[0].seen if kind == "envelope/match"]
    assert first == again, "a repeated step shows the peer nothing new"
    relay.run()
    for node in relay.nodes.values():
        assert row_map(node, job) == expected(node)


@by_either_engine
def test_an_engine_that_a_node_does_not_know_yet_is_refused_by_name(
    pair: list[TestNode], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """A node of another version has another table of engines: nobody can approve there, and it says why."""
    other = tuple(name for name in terms.MODES["rows"].engines if name != by)
    monkeypatch.setitem(terms.MODES, "rows", replace(terms.MODES["rows"], engines=other))  # type: ignore[arg-type]
    job = alliance.propose(pair, "match", body(pair, engine=by))
    with pytest.raises(Failure, match=f"mode rows runs by engine {other[0]}") as refused:
        alliance.approve(pair, job)
    assert refused.value.code == "PROPOSAL_MALFORMED"


# --- the guards, by either engine


@by_either_engine
def test_a_person_looked_up_by_name_and_a_number_less_names_are_refused(tmp_path: Path, by: str) -> None:
    scene = Scene(tmp_path, CLIENTS[1:200], CLIENTS[:100])
    asked = {"mode": "rows", "engine": by, "version": 2}
    assert scene.match(**asked) == 99
    scene.enter(scene.broker, CLIENTS[:200])
    assert scene.match(**asked) == "MATCH_SETS_TOO_ALIKE"
    assert scene.match() == "MATCH_SETS_TOO_ALIKE"


@by_either_engine
def test_minimum_alarm_and_jobs_of_a_month_hold(tmp_path: Path, by: str) -> None:
    rules = {"bank": "minimum = 5", "broker": "minimum = 5\njobs_per_month = 1"}
    scene = Scene(tmp_path, CLIENTS[:200], CLIENTS[:100], rules)
    asked = {"mode": "rows", "engine": by, "version": 2}
    assert scene.match(**asked, minimum=4) == "MATCH_MINIMUM_TOO_SMALL"
    assert scene.match(**asked) == 100
    (line,) = scene.bank.command("matching.records")["matches"]
    assert line["slots"] == 200 if by == "ecdh" else line["slots"] > 200
    (alarm,) = scene.broker.command("matching.records")["alarms"]
    assert (alarm["kind"], alarm["percent"]) == ("high", 100)
    assert scene.match(**asked) == "MATCH_ALARM_STANDS"
    scene.broker.command("matching.clear", partner="bank", person="officer", reason="the same clients, as agreed")
    assert scene.match(**asked) == "MATCH_JOBS_SPENT"


def test_by_ecdh_the_identifiers_of_a_month_are_the_committed_ones(tmp_path: Path) -> None:
    rules = {"bank": f"{RULES}\npeer_identifiers_per_month = 400"}
    scene = Scene(tmp_path, CLIENTS[:200], CLIENTS[:100], rules)
    asked = {"mode": "rows", "engine": "ecdh", "version": 2}
    assert [scene.match(**asked) for _ in range(3)] == [100, 100, "MATCH_IDENTIFIERS_SPENT"]


@by_either_engine
def test_below_the_minimum_no_rows_are_kept(pair: list[TestNode], by: str) -> None:
    job, relay = run(pair, minimum=len(SHARED) + 1, both=True, engine=by)
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
