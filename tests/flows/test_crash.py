"""kill -9 at named places, then a restart: the work goes on, and nothing is counted twice.

Each end state is compared with what does not crash: set intersection, an uninterrupted run over the same clients, a
month worked out by hand. The places are calls of named functions inside the processes (`launch.Fault`): just before or
just after a commit, where a crash would hurt most. The tests of this module are one story and run in order.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from contracts import keys
from contracts import settlement as chain_settlement
from contracts.chain import Chain
from contracts.keys import parse_address
from federation.plan import TrainingPlan
from privacy.errors import Failure
from sandbox import world
from tests.support import launch, launch_alliance, launch_fixtures, launch_settle
from tests.support.launch import Fault, Plan
from tests.support.launch_alliance import PARTNERS, Alliance, wait

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
TRAINERS = ("broker", "bank", "platform")
# about five requests for each list instead of one, so that a party can die in the middle of a stream
SMALL_NODE = Plan(mutants=("small messages",))
SMALL_HUB = Plan(settings={"hub.match_envelopes:STEP_BYTES_MAX": 10_000})
SMALL = {"hub": SMALL_HUB, **dict.fromkeys(TRAINERS, SMALL_NODE)}
LEAVES = "select kind, json_extract(data, '$.digest', '$.facts') from leaf where subject = '{subject}'"
NODE_COMMIT = "partner_node.database:Database.write"
HUB_COMMIT = "hub.store:Store.run"


def node_dies(when: str, request: str, call: int) -> Plan:
    """Before the commit nothing has left the house; after it the reply's bytes are stored and not yet sent."""
    return Plan(mutants=SMALL_NODE.mutants, faults=(Fault(at=NODE_COMMIT, first=request, when=when, call=call),))


def hub_dies(when: str, use_case: str, call: int = 1) -> Plan:
    return Plan(settings=SMALL_HUB.settings, faults=(Fault(at=HUB_COMMIT, first=use_case, when=when, call=call),))


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("k") / "w") as made:
        made.start(plans=SMALL)
        yield made


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    """What earlier steps found."""
    return {}


def rows(alliance: Alliance, query: str) -> list[Any]:
    """What the hub's database holds, read beside the running hub."""
    with closing(sqlite3.connect(f"file:{alliance.world.hub_folder / 'hub.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def assert_counted_once(alliance: Alliance, job: str) -> None:
    """Of one job: documents, envelopes, requests and audit leaves stand in the hub's books once."""
    for what, query in {
        "document": f"select kind, signer from document where job = '{job}'",
        "envelope": f"select sender, recipient, sequence from envelope where job = '{job}'",
        "request": f"select kind, node, head from task where job = '{job}'",
        "leaf": LEAVES.format(subject=job),
    }.items():
        repeated = [key for key, count in Counter(rows(alliance, query)).items() if count > 1]
        assert not repeated, f"{what} counted twice: {repeated[:3]}"


def test_matching_goes_on_where_every_party_and_the_hub_died(alliance: Alliance, story: dict[str, Any]) -> None:
    known = [set(launch_alliance.rows(alliance.world.partners[name].source)) for name in TRAINERS]
    expected = {client for client in set.intersection(*known) if world.consents(client)}
    digest = alliance.propose("data", "match", launch_alliance.match_body("align", *TRAINERS))
    lives = {
        # the hub: with envelopes waiting, before it stores an answer, and after it stored one, not yet acknowledged
        "hub": [hub_dies("before", "tasks.answer", 12), hub_dies("after", "tasks.answer", 6)],
        "bank": [node_dies("after", "match.step", 2)],
        "platform": [node_dies("before", "match.step", 3)],
        "broker": [node_dies("after", "match.step", 3)],
    }
    for name in ("hub", *TRAINERS):
        alliance.restart(name, lives[name].pop(0))
    alliance.approve(digest, TRAINERS)
    left: list[int] = []

    def look(name: str) -> None:
        """What the dead hub leaves on disk: envelopes that it has and nobody got yet."""
        if name == "hub":
            assert rows(alliance, f"select state from proposal where digest = '{digest}'") == [("RUNNING",)]
            ((waiting,),) = rows(alliance, f"select count(data) from envelope where job = '{digest}'")
            left.append(waiting)

    job = alliance.nurse(digest, lives, SMALL, look)
    assert len(left) == 2 and max(left) > 0, "the hub died in the middle of a stream"
    requests = sum(phase["requests"] for phase in job["phases"])
    assert requests > 20, "the lists were streamed, else nobody died in the middle"
    orders = {name: alliance.aligned(name, digest) for name in TRAINERS}
    assert set(orders["broker"].values()) == expected
    assert orders["broker"] == orders["bank"] == orders["platform"]
    assert_counted_once(alliance, digest)
    story["alignment"] = digest


def trained(job: Any) -> dict[str, Any]:
    """What must not depend on crashes: the figures and the weights that the parties signed."""
    (record,) = [
        d["body"]["record"] for d in job["documents"] if (d["kind"], d["signer"]) == ("train-result", "broker")
    ]
    measured = {tuple(v["holders"]): (v["auc"]["value_ppm"], v["log_loss"]["value_ppm"]) for v in record["variants"]}
    return {"measured": measured, "weights": record["weights_digests"], "train": record["train_rows"]}


def test_training_goes_on_and_equals_an_uninterrupted_run(alliance: Alliance, story: dict[str, Any]) -> None:
    calm = alliance.run_job("data", "train", launch_alliance.train_body(story["alignment"]))
    digest = alliance.propose("data", "train", launch_alliance.train_body(story["alignment"]))
    lives = {
        # as it has asked for a round; then, having walked through that again, before it asks for a later one
        "hub": [hub_dies("after", "training.post", 4), hub_dies("before", "training.post", 11)],
        "bank": [node_dies("before", "flower", 4), node_dies("after", "flower", 2)],
        "broker": [node_dies("after", "flower", 5)],
    }
    for name in lives:
        alliance.restart(name, lives[name].pop(0))
    alliance.approve(digest, TRAINERS)
    asked: list[int] = []

    def look(name: str) -> None:
        """How many requests of the newest round stand in the dead hub's books."""
        if name == "hub":
            heads = rows(alliance, f"select head from task where job = '{digest}' and kind = 'flower'")
            rounds = [json.loads(head)["round"] for (head,) in heads]
            asked.append(rounds.count(max(rounds)))

    job = alliance.nurse(digest, lives, SMALL, look)
    assert len(asked) == 2 and 0 < asked[1] < len(TRAINERS), "once it died with a round asked of some and not of others"
    assert trained(job) == trained(calm)
    assert label_matrix(alliance, digest) == label_matrix(alliance, calm["digest"])
    rounds = [item["round"] for item in job["progress"]["rounds"]]
    assert rounds == [*range(1, len(rounds) + 1)] == [item["round"] for item in calm["progress"]["rounds"]]
    assert_counted_once(alliance, digest)
    plan = TrainingPlan.from_body(job["body"])
    for holder in plan.holders:
        spent = {entry["run"]: entry["disclosed"] for entry in alliance.node(holder, "quota")["score_vectors"]}
        assert spent == dict.fromkeys((calm["digest"], digest), plan.score_vectors(holder)), "booked once for each run"


def label_matrix(alliance: Alliance, run: str) -> Any:
    file = alliance.world.node_folder("broker") / "results" / f"label-matrix-{run[:16]}.parquet"
    return pyarrow.parquet.read_table(file, columns=["token", "client_id", "score", "decile"])


def test_a_report_waits_in_a_killed_node_and_is_counted_once(alliance: Alliance, story: dict[str, Any]) -> None:
    order = alliance.aligned("broker", story["alignment"])
    month, agreement = launch_settle.month(alliance.folder, order.values()), launch_settle.agree(alliance)
    alliance.stop("hub")
    sent = launch_settle.report_referrals(alliance, agreement, month, story["alignment"])
    alliance.process("platform").kill()
    # the hub answers, but the node dies before it notes that: it will send the report again
    alliance.start("platform", plans={"platform": node_dies("before", "settle request", 1)})
    assert alliance.node("platform", "status")["outbox"]["OPEN"] == 1
    alliance.process("hub").start()
    alliance.process("platform").wait_killed()
    alliance.start("platform")
    launch_settle.delivered(alliance, "platform")
    again = launch_settle.report_referrals(alliance, agreement, month, story["alignment"])
    assert (sent["referrals"], again["referrals"], again["already_reported"]) == (5, 0, 5)
    wait(lambda: launch_settle.report_events(alliance, agreement, month), "the referrals to reach the payer")
    launch_settle.delivered(alliance, "broker")
    assert rows(alliance, "select kind, count(*) from report group by kind order by kind") == [
        ("events", 1),
        ("referrals", 1),
    ]
    story |= {"month": month, "agreement": agreement}


def test_a_hub_killed_between_journal_and_chain_settles_once(alliance: Alliance, story: dict[str, Any]) -> None:
    identifier = launch_settle.close(alliance, story["month"])
    launch_settle.confirm(alliance, identifier)
    # decided and committed, not sent; then sent, and dead before the receipt; then dead before the outcome's commit
    settle_over_deaths(alliance, identifier, "PROPOSED", hub_dies("after", "chain.intent"))
    launch_settle.pass_window(alliance)
    sent = Plan(faults=(Fault(at="contracts.chain:Chain.send", when="after"),))
    settle_over_deaths(alliance, identifier, "FINAL", sent, hub_dies("before", "chain.outcome"))

    found, _ = alliance.call_body("finance", "statement", {"statement": identifier})
    assert [(item["kind"], item["state"]) for item in found["transactions"]] == [
        ("propose", "DONE"),
        ("finalise", "DONE"),
    ]
    (entry,) = found["entries"]
    assert (entry["state"], found["total_minor"]) == ("POSTED", launch_settle.TOTAL_FEN)
    books = alliance.call("finance", "ledger")
    assert len(books["entries"]) == 1 and not books["pending"]
    assert sum(b["debit_minor"] for b in books["balances"]) == launch_settle.TOTAL_FEN
    assert on_chain(alliance) == (2, {"Proposed": 1, "Finalised": 1})
    leaves = rows(alliance, LEAVES.format(subject=identifier))
    assert len(leaves) > 4 and max(Counter(leaves).values()) == 1, "each step has one leaf"


def settle_over_deaths(alliance: Alliance, identifier: str, state: str, *deaths: Plan) -> None:
    """One step of settlement, during which the hub dies by plan and is started again; nobody asks a second time."""
    first, *later = deaths
    alliance.restart("hub", first)
    with pytest.raises(Failure):  # the call breaks off
        launch_settle.settle(alliance, identifier)
    alliance.process("hub").wait_killed()
    for plan in later:
        alliance.process("hub").plan = plan
        alliance.process("hub").start()
        alliance.process("hub").wait_killed()
    alliance.start("hub")
    wait(lambda: launch_settle.line(alliance, identifier)["state"] == state, f"the statement to be {state}")


def on_chain(alliance: Alliance) -> tuple[int, dict[str, int]]:
    """(transactions of the hub's account, reverted ones too; how often each step of statements stands on the chain)."""
    contract = parse_address(alliance.world.contract)
    submitter = keys.read(alliance.world.hub_folder / "keys" / "submitter.key").address
    with Chain(alliance.world.endpoint, world.CHAIN_ID) as chain:
        logs, sent = chain.logs(contract, 0, chain.head()), chain.nonce(submitter)
    names = [event.name for event in chain_settlement.events(logs, contract)]
    return sent, {name: names.count(name) for name in ("Proposed", "Finalised")}


def test_every_process_still_works_after_all_deaths(alliance: Alliance) -> None:
    made = alliance.call("operator", "checkpoint")["checkpoints"]
    assert all(set(item["cosigned"]) == set(PARTNERS) for item in made), "no log was rewritten by a restart"
    assert launch.answers(alliance.world.node_folder("insurer") / "node.sock")
