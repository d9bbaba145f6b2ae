"""A malicious hub sends heads of every shape: a node answers each with a named failure, never with an internal error,
and what it stored of them can be shown to a person."""

import io
import random
from contextlib import redirect_stdout
from typing import Any

import pytest

from ecowire import checkpoints, documents
from ecowire.checkpoints import Checkpoint
from ecowire.stream import FAILURE, Message
from partner_node import cli
from partner_node.approvals import KINDS
from partner_node.cli_common import Cli
from partner_node.errors import ProposalInvalid
from privacy import canonical, merkle
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.alliance import ALLIANCE, LOG_KEY, TestNode

ROUNDS = 25
ODD: list[Any] = [None, True, 0, -1, canonical.INTEGER_MAX, "", "x", "a" * 64, [], [[]], {}, {"a": 1}, ["x"], [None]]


def changed(value: Any, draw: random.Random) -> Any:
    """The value with one part of another shape, missing or repeated."""
    if not value or not isinstance(value, dict | list) or draw.random() < 0.2:
        return draw.choice(ODD)
    made = dict(value) if isinstance(value, dict) else list(value)
    place = draw.choice(list(made)) if isinstance(made, dict) else draw.randrange(len(made))
    if draw.random() < 0.15:
        del made[place]
    else:
        made[place] = changed(made[place], draw)
    return made


def heads(nodes: list[TestNode]) -> dict[str, Any]:
    """A head of each kind of request as an honest hub would send it."""
    job = alliance.propose(nodes, "match", alliance.match_body(nodes))
    approvals = alliance.approve(nodes, job)
    leaves = [merkle.leaf_hash(b"leaf")]
    checkpoint = Checkpoint(origin=f"ecohub/{ALLIANCE}/audit", size=1, root=merkle.root(leaves))
    receipt = documents.sign("receipt", {"document": job, "index": 1}, "hub", LOG_KEY).to_value()  # type: ignore[arg-type]
    return {
        "match.start": {"job": job, "approvals": approvals},
        "match.step": {"job": job, "commitments": approvals, "sequence": 0},
        "flower": {"run": job, "round": 1, "phase": "x", "approvals": approvals},
        "audit.cosign": {
            "log": "audit",
            "checkpoint": checkpoints.sign(checkpoint, LOG_KEY),
            "proof": ["ab" * 32],
            "old_size": 0,
        },
        "receipt": {"receipt": receipt},
        "settlement.referrals": {"report": receipt},
        "settlement.statement": {"statement": job, "agreement": job},
        "settlement.final": {"statement": job, "state": "FINAL", "transactions": [job]},
    }


def test_no_head_causes_an_internal_error(pair: list[TestNode]) -> None:
    draw, node = random.Random(7), pair[1]
    for kind, head in heads(pair).items():
        for number in range(ROUNDS):
            made = changed(head, draw)
            if isinstance(made, dict):
                reply = node.ask(Message(id=f"{kind}-{number}", kind=kind, head=made, body=b"no body of this kind"))
                assert reply.head.get("code") != "INTERNAL", (kind, made)


def test_every_stored_proposal_can_be_shown(pair: list[TestNode]) -> None:
    draw, node, shown = random.Random(8), pair[1], 0
    for number in range(4 * ROUNDS):
        body = changed(alliance.match_body(pair), draw)
        if not isinstance(body, dict):
            continue
        for kind in KINDS:
            digest = documents.digest(kind, body)
            head: Any = {"kind": kind, "digest": digest, "body": body}
            reply = node.ask(Message(id=f"{number}-{kind}", kind="proposal", head=head))
            assert reply.head.get("code") != "INTERNAL", body
            if reply.kind != FAILURE:
                shown += 1
                with redirect_stdout(io.StringIO()):
                    cli._describe(Cli(config=None, as_json=False, lang="en"), node.command("job", job=digest))  # type: ignore[arg-type]
    assert shown > ROUNDS


@pytest.mark.parametrize("disclosure", [7, {"a": 1}, [7], "a sentence"])
def test_a_disclosure_is_sentences(pair: list[TestNode], disclosure: Any) -> None:
    with pytest.raises(AssertionError, match=ProposalInvalid.code):
        alliance.propose(pair, "match", alliance.match_body(pair, disclosure=disclosure))


@pytest.mark.parametrize("state", [["x"], {}, {"a": 1}, 7, None])
def test_a_statements_state_is_a_text(pair: list[TestNode], state: Any) -> None:
    head = {"statement": "ab" * 32, "state": state, "transactions": []}
    reply = pair[1].ask(Message(id="final", kind="settlement.final", head=head))
    assert (reply.kind, reply.head["code"]) == (FAILURE, "MALFORMED_MESSAGE")


def test_a_partys_columns_that_are_no_list_are_shown_as_none(pair: list[TestNode]) -> None:
    body = alliance.match_body(pair)
    parties: Any = body["parties"]
    parties[0]["columns"] = 7
    job = alliance.propose(pair, "match", body)
    with redirect_stdout(io.StringIO()) as out:
        cli._describe(Cli(config=None, as_json=False, lang="en"), pair[1].command("job", job=job))  # type: ignore[arg-type]
    assert job[:16] in out.getvalue()
    with pytest.raises(Failure):
        pair[1].command("approve", job=job, person="officer")
