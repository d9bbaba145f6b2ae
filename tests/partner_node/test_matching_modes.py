"""The modes of matching by ECDH at the nodes: who gets what, people's decisions between count and rows, sums."""

import csv
from pathlib import Path
from typing import Any

import pytest

from ecowire import documents
from ecowire.stream import Message
from partner_node import match_rows
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

SETS = {"broker": range(120), "bank": range(40, 160), "platform": range(30, 110)}
PAIR = ("broker", "bank")
SHARED = [n for n in range(40, 120) if n % 10]
COMMON = [n for n in range(40, 110) if n % 10]


def values_csv(numbers: range) -> str:
    return "\n".join(["client_id,LOANS", *(f"{alliance.resident_id(n)},{n * 100}" for n in numbers)]) + "\n"


@pytest.fixture
def nodes(tmp_path: Path) -> dict[str, TestNode]:
    """Broker, bank and platform; consent of all clients but multiples of ten; LOANS are 100 times the number."""
    clock, authority = MovableClock(), TestAuthority()
    made = {}
    for name, numbers in SETS.items():
        columns = {"LOANS": "C2"}
        made[name] = alliance.make_node(
            tmp_path, name, values_csv(numbers), columns=columns, clock=clock, authority=authority
        )
        alliance.consent(made[name], [n for n in numbers if n % 10])
    alliance.pin_all([*made.values()])
    return made


def started(nodes: dict[str, TestNode], *names: str, mode: str, restart: bool = False, **changes: Any) -> MatchRelay:
    chosen = [nodes[name] for name in names]
    body = alliance.match_body(chosen, mode=mode, **{"version": 2, "minimum": 50, **changes})
    job = alliance.propose(chosen, "match", body)
    return MatchRelay(chosen, job, alliance.approve(chosen, job), restart=restart)


def lines(node: TestNode, job: str) -> list[dict[str, str]]:
    path = node.folder / f"result-{job[:8]}.csv"
    node.command("match.result", job=job, file=str(path))
    with path.open(newline="") as found:
        return list(csv.DictReader(found))


def clients(numbers: list[int]) -> list[str]:
    return [alliance.resident_id(n) for n in numbers]


def told(relay: MatchRelay) -> dict[str, tuple[str, int | None]]:
    return {name: (result["body"]["outcome"], result["body"]["count"]) for name, result in relay.results.items()}


def decide(relay: MatchRelay, name: str, decision: str) -> Any:
    """A person's decision; then the hub asks for the node's next step."""
    node = relay.nodes[name]
    shown = node.command("match.decide", job=relay.job, decision=None)
    assert shown["count"] == len(SHARED)
    node.command("match.decide", job=relay.job, decision=decision, person="privacy officer")
    relay.more.add(name)
    return shown


@pytest.mark.parametrize("restart", [False, True])
def test_rows_come_after_the_count_only_if_both_agree(nodes: dict[str, TestNode], restart: bool) -> None:
    relay = started(nodes, *PAIR, mode="count-then-rows", restart=restart)
    assert relay.run() == {}, "both wait for their people"
    decide(relay, "bank", "agree")
    assert relay.run() == {}
    decide(relay, "broker", "agree")
    relay.run()
    assert told(relay) == {"broker": ("shared", len(SHARED)), "bank": ("gave rows", len(SHARED))}
    assert [line["client_id"] for line in lines(relay.nodes["broker"], relay.job)] == clients(SHARED)
    bank = relay.nodes["bank"].parts.node.database
    assert bank.read(lambda session: match_rows.of_job(session, relay.job)) == match_rows.NO_ROWS


@pytest.mark.parametrize("refuser", PAIR)
def test_one_refusal_is_enough(nodes: dict[str, TestNode], refuser: str) -> None:
    relay = started(nodes, *PAIR, mode="count-then-rows")
    relay.run()
    for name in PAIR:
        decide(relay, name, "refuse" if name == refuser else "agree")
    relay.run()
    assert told(relay) == dict.fromkeys(PAIR, ("refused", len(SHARED)))
    with pytest.raises(Failure) as refused:
        lines(nodes["broker"], relay.job)
    assert refused.value.code == "RESULT_WITHOUT_ROWS"


def test_a_decision_stands_and_goes_to_the_hub_signed(nodes: dict[str, TestNode]) -> None:
    relay = started(nodes, *PAIR, mode="count-then-rows")
    with pytest.raises(Failure) as early:
        nodes["bank"].command("match.decide", job=relay.job, decision="agree", person="p")
    assert early.value.code == "NOTHING_TO_DECIDE"
    relay.run()
    decide(relay, "bank", "agree")
    with pytest.raises(Failure) as other:
        nodes["bank"].command("match.decide", job=relay.job, decision="refuse", person="p")
    assert other.value.code == "ANSWERED_OTHERWISE"
    (sent,) = [m for m in nodes["bank"].parts.worker._outbox.pending() if m.kind == "match.decision"]
    body = sent.head["decision"]["body"]  # type: ignore[index, call-overload]
    assert (body["job"], body["decision"], body["count"]) == (relay.job, "agree", len(SHARED))


def test_below_the_minimum_nobody_is_asked_and_nobody_sees_a_number(nodes: dict[str, TestNode]) -> None:
    relay = started(nodes, *PAIR, mode="count-then-rows", minimum=len(SHARED) + 1)
    relay.run()
    assert told(relay) == dict.fromkeys(PAIR, ("below minimum", None))
    with pytest.raises(Failure):
        nodes["broker"].command("match.decide", job=relay.job, decision=None)


@pytest.mark.parametrize("side", PAIR)
@pytest.mark.parametrize("restart", [False, True])
def test_the_leader_learns_the_sum_of_either_sides_values(nodes: dict[str, TestNode], side: str, restart: bool) -> None:
    values = {"partner": side, "column": "LOANS", "bits": 20}
    relay = started(nodes, *PAIR, mode="sum", sum=values, restart=restart)
    relay.run()
    assert told(relay) == {"broker": ("shared", len(SHARED)), "bank": ("not entitled", len(SHARED))}
    totals = {name: result["body"]["total"] for name, result in relay.results.items()}
    assert totals == {"broker": sum(n * 100 for n in SHARED), "bank": None}
    assert relay.nodes["broker"].command("match.result", job=relay.job)["total"] == totals["broker"]


def test_values_that_cannot_be_added_up_are_refused_before_anything_leaves(nodes: dict[str, TestNode]) -> None:
    pair = [nodes[name] for name in PAIR]
    body = alliance.match_body(
        pair, mode="sum", version=2, minimum=50, sum={"partner": "bank", "column": "LOANS", "bits": 13}
    )
    job = alliance.propose(pair, "match", body)
    head = {"job": job, "approvals": alliance.approve(pair, job)}
    reply = nodes["bank"].ask(Message(id="start", kind="match.start", head=head))
    too_large = [n for n in SETS["bank"] if n % 10 and n * 100 >= 2**13]
    assert reply.head["code"] == "VALUES_NOT_WHOLE"
    assert str(len(too_large)) not in str(reply.head), "how many clients have so much is nobody else's business"


def test_clients_in_two_rows_have_no_value_and_how_many_they_are_stays_here(nodes: dict[str, TestNode]) -> None:
    pair = [nodes[name] for name in PAIR]
    path = nodes["bank"].folder / "clients.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *rows, *rows[:37]]) + "\n")
    values = {"partner": "bank", "column": "LOANS", "bits": 20}
    job = alliance.propose(pair, "match", alliance.match_body(pair, mode="sum", version=2, minimum=50, sum=values))
    head = {"job": job, "approvals": alliance.approve(pair, job)}
    reply = nodes["bank"].ask(Message(id="start", kind="match.start", head=head))
    assert reply.head["code"] == "SOURCE_DUPLICATE_IDS"
    said = f"{reply.head['en']} {reply.head['zh']}"
    assert not [word for word in ("37", "training", "训练") if word in said], "and a sum is no training"
    assert nodes["bank"].command("check-data", asset="clients")["assets"][0]["duplicates"] == 37


def test_a_hidden_alignment_shows_nobody_which_clients_are_shared(nodes: dict[str, TestNode]) -> None:
    relay = started(nodes, *PAIR, mode="align-hidden")
    relay.run()
    assert told(relay) == dict.fromkeys(PAIR, ("shared", len(SHARED)))
    spines = {name: lines(nodes[name], relay.job) for name in PAIR}
    assert [line["token"] for line in spines["broker"]] == [line["token"] for line in spines["bank"]]
    for name in PAIR:
        own = {line["client_id"] for line in spines[name] if line["client_id"]}
        assert own == set(clients([n for n in SETS[name] if n % 10]))
    assert len(spines["broker"]) == len([n for n in range(160) if n % 10])
    both = [a["client_id"] for a, b in zip(*spines.values(), strict=True) if a["client_id"] and b["client_id"]]
    assert sorted(both) == sorted(clients(SHARED)), "where both have a client it is the same one"


def test_a_second_commitment_at_the_end_changes_no_number(nodes: dict[str, TestNode]) -> None:
    """The bank signs another size, and the hub hands it over when the broker works out how many are shared."""
    relay = started(nodes, *PAIR, mode="align-hidden")
    own, true = relay.commitments
    signed = documents.parse(true, kind="match-commitment")
    other = documents.sign(
        signed.kind, {**signed.body, "count": 60}, signed.signer, nodes["bank"].parts.node.keys.signing
    )
    relay.step("broker")
    relay.step("bank")
    relay.commitments = [own, other.to_value()]
    relay.run()
    assert told(relay) == dict.fromkeys(PAIR, ("shared", len(SHARED)))


@pytest.mark.parametrize("restart", [False, True])
def test_three_parties_align_what_all_share(nodes: dict[str, TestNode], restart: bool) -> None:
    relay = started(nodes, *SETS, mode="align-all", restart=restart)
    relay.run()
    assert told(relay) == dict.fromkeys(SETS, ("shared", len(COMMON)))
    found = {name: lines(relay.nodes[name], relay.job) for name in SETS}
    names = [[(line["token"], line["client_id"]) for line in rows] for rows in found.values()]
    assert names[0] == names[1] == names[2]
    assert {client for _, client in names[0]} == set(clients(COMMON))


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "rows", "engine": "spu"},
        {"mode": "rows", "engine": "ecdh", "version": 1},
        {"mode": "rows", "engine": "ecdh", "both": "yes"},
        {"mode": "count", "engine": "oprf"},
        {"mode": "count", "both": True},
        {"mode": "rows", "engine": "oprf", "both": False},
        {"mode": "rows", "engine": "oprf", "version": 1},
        {"mode": "rows", "engine": "oprf", "version": 3},
        {"mode": "sum"},
        {"mode": "count", "sum": {"partner": "bank", "column": "LOANS", "bits": 20}},
        {"mode": "sum", "sum": {"partner": "insurer", "column": "LOANS", "bits": 20}},
        {"mode": "sum", "sum": {"partner": "bank", "column": "LOANS", "bits": 41}},
        {"mode": "sum", "sum": {"partner": "bank", "column": "LOANS", "bits": 20, "more": 1}},
        {"mode": "align-all"},
        {"mode": "labels"},
        {"mode": "rows", "engine": "oprf", "noise": {"epsilon_milli": 1000}},
    ],
    ids=str,
)
def test_a_body_that_no_session_fits_cannot_be_approved(nodes: dict[str, TestNode], changes: dict[str, Any]) -> None:
    pair = [nodes[name] for name in PAIR]
    job = alliance.propose(pair, "match", alliance.match_body(pair, **{"version": 2, "minimum": 50, **changes}))
    shown = nodes["bank"].command("job", job=job)
    assert (shown["discloses"], shown["blocked"]["code"]) == ([], "PROPOSAL_MALFORMED")
    with pytest.raises(Failure) as refused:
        nodes["bank"].command("approve", job=job, person="privacy officer")
    assert refused.value.code == "PROPOSAL_MALFORMED"
