"""The main job while every process dies before and after each kind of its commits, once each: 58 deaths.

`test_crash` looks closely at a few places; this one asks whether any place was forgotten. People repeat the command
that broke off. The end is that of a calm day: the same clients, every round once, the month worked out by hand, logs
that every node co-signs.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import world
from tests.support import launch_alliance, launch_fixtures, launch_settle
from tests.support.launch_alliance import PARTNERS, wait
from tests.support.launch_storm import HUB_COMMIT, NODE_COMMIT, Storm, around

pytestmark = [pytest.mark.flow, pytest.mark.full]
TRAINERS = ("broker", "bank", "platform")
LIVES = {
    "hub": around(
        HUB_COMMIT, "command.propose", "request.approval", "tasks.answer", "matching.advance", "training.start",
        "training.post", "training.progress", "training.complete", "request.referrals", "request.events",
        "command.close", "request.statement.confirm", "chain.intent", "chain.outcome", "witness.checkpoint",
    ),
    "bank": around(NODE_COMMIT, "proposal", "decide", "match.start", "match.step", "flower", "audit.cosign"),
    "platform": around(NODE_COMMIT, "settle request", "ack", "report referrals", "settlement.statement", "confirm"),
    "broker": around(NODE_COMMIT, "settlement.referrals", "report events", "settlement.final"),
}  # fmt: skip


@pytest.fixture(scope="module")
def storm(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    calm = launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("s") / "w")
    with Storm(calm.world, LIVES) as made:
        made.begin()
        yield made


@pytest.mark.timeout(600)
def test_the_main_job_survives_a_death_at_every_commit(storm: Storm) -> None:
    known = [set(launch_alliance.rows(storm.world.partners[name].source)) for name in TRAINERS]
    expected = {client for client in set.intersection(*known) if world.consents(client)}
    align = storm.run_job("data", "match", launch_alliance.match_body("align", *TRAINERS))
    order = storm.aligned("broker", align["digest"])
    assert set(order.values()) == expected
    trained = storm.run_job("data", "train", launch_alliance.train_body(align["digest"]))
    assert [item["round"] for item in trained["progress"]["rounds"]] == [
        *range(1, len(trained["progress"]["rounds"]) + 1)
    ]

    month = launch_settle.month(storm.folder, order.values())
    agreement = launch_settle.agree(storm)
    launch_settle.report(storm, agreement, month, align["digest"])
    identifier = launch_settle.close(storm, month)
    launch_settle.confirm(storm, identifier)
    for state in ("PROPOSED", "FINAL"):
        wait(lambda state=state: reached(storm, identifier, state), f"the statement to be {state}")
        if state == "PROPOSED":
            launch_settle.pass_window(storm)
    books = storm.call("finance", "ledger")
    total = launch_settle.TOTAL_FEN
    assert {b["account"]: (b["debit_minor"], b["credit_minor"]) for b in books["balances"]} == {
        "expense:partner_share": (total, 0),
        "liability:payable:platform": (0, total),
    }
    assert not books["pending"] and len(books["entries"]) == 1
    wait(lambda: cosigned(storm), "every node's co-signatures and all deaths")
    assert not any(storm.left.values()), f"never died: {storm.left}; died: {storm.deaths}"


def reached(storm: Storm, identifier: str, state: str) -> bool:
    """Whether a statement is in a state; otherwise the next step is asked for."""
    if launch_settle.line(storm, identifier)["state"] == state:
        return True
    launch_settle.settle(storm, identifier)
    return False


def cosigned(storm: Storm) -> bool:
    made = storm.call("operator", "checkpoint")["checkpoints"]
    return all(set(item["cosigned"]) == set(PARTNERS) for item in made) and not any(storm.left.values())
