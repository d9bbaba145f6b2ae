"""A malicious proposer wants a person to approve something else than what the person believes to approve.

Attack 1: the proposal says "only a number is learned" and its fields say "align". Attack 2: control characters or
markup in a purpose repaint the lines on the approver's terminal. Attack 3: fields that nobody obeys, or an expiry that
makes one yes a standing permission. Attack 4: a party that took no part in the alignment joins the training.
"""

import io
from contextlib import redirect_stdout
from typing import Any

import pytest

from ecowire import documents, status
from ecowire.documents import Body
from ecowire.status import MalformedMessage
from ecowire.stream import FAILURE, Message
from hub import times as hub_times
from partner_node import cli, times
from partner_node.cli_common import Cli
from partner_node.errors import ProposalInvalid
from privacy.printable import printable
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode
from tests.partner_node.conftest import MakeNode
from tests.partner_node.relay import MatchRelay
from tests.partner_node.test_training import plan_body
from tests.support.revenue import agreement_body

FALSE = "The broker learns only a number. Nobody learns who is shared."


def screen(found: Any, lang: str = "en") -> str:
    """What the approver sees, as one line."""
    out = io.StringIO()
    with redirect_stdout(out):
        cli._describe(Cli(config=None, as_json=False, lang=lang), found)  # type: ignore[arg-type]
    return " ".join(out.getvalue().replace("│", " ").split())


def put(node: TestNode, kind: str, body: Body) -> Message:
    digest = documents.digest(kind, body)
    return node.ask(
        Message(id=f"p-{digest[:16]}", kind="proposal", head={"kind": kind, "digest": digest, "body": body})
    )


def test_a_false_disclosure_stands_below_what_the_node_says_itself(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair, mode="align", disclosure=[FALSE]))
    found = pair[1].command("job", job=job)
    said = " ".join(sentence["en"] for sentence in found["discloses"])
    assert "EVERY PARTY LEARNS WHICH" in said and "broker also learns WHICH of its clients each of bank has" in said
    assert FALSE not in said
    seen = screen(found)
    assert seen.index("EVERY PARTY LEARNS WHICH") < seen.index("the proposer says") < seen.index("learns only a number")
    assert "每一方获知" in screen(found, "zh")


def test_a_count_is_not_described_as_an_alignment(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair, mode="count", minimum=7))
    said = " ".join(sentence["en"] for sentence in pair[1].command("job", job=job)["discloses"])
    assert "WHICH" not in said and "fewer than 7" in said


def test_the_approver_of_a_plan_sees_every_column_that_leaves_by_it(make_node: MakeNode) -> None:
    nodes = [make_node(name, columns={"SPEND": "C2", "Y": "C2", "SAVING": "C2"}) for name in ("broker", "bank")]
    for node in nodes:
        alliance.consent(node, range(10))
    alliance.pin_all(nodes)
    match = alliance.propose(nodes, "match", alliance.match_body(nodes))
    MatchRelay(nodes, match, alliance.approve(nodes, match)).run()
    body = plan_of(nodes, match, disclosure=[FALSE])
    said = " ".join(s["en"] for s in nodes[1].command("job", job=alliance.propose(nodes, "train", body))["discloses"])
    assert "SPEND, SAVING" in said and "broker learns a share of each client's score" in said


CONTRACT = "0x" + "ab" * 20


@pytest.mark.parametrize(("contract", "described"), [(CONTRACT, True), ("0x" + "cd" * 20, False)])
def test_the_approver_of_an_agreement_sees_its_rate_and_contract(
    make_node: MakeNode, contract: str, described: bool
) -> None:
    broker, bank = make_node("broker"), make_node("bank")
    settings = bank.folder / "node.toml"
    settings.write_text(settings.read_text().replace("1337", f'1337\ncontract = "{CONTRACT}"'))
    bank = bank.reopened()
    parties = [
        {"partner": node.partner, "role": role, **{k: node.card().body[k] for k in ("signing", "sealing", "chain")}}
        for node, role in ((broker, "payer"), (bank, "referrer"))
    ]
    terms = {"chain_id": 1337, "contract": contract, "window_seconds": 60}
    body = agreement_body(parties=parties, settlement=terms, disclosure=["five per cent"])
    rules: Any = body["rules"]
    rules[0]["rate"] = "1/50"
    assert put(bank, "agreement", body).kind != FAILURE
    found = bank.command("job", job=documents.digest("agreement", body))
    said = " ".join(sentence["en"] for sentence in found["discloses"])
    assert ("1/50 of each commission" in said and contract in said) == described


def test_a_body_that_this_node_cannot_run_is_described_by_nobody(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair, engine="other", disclosure=[FALSE]))
    found = pair[1].command("job", job=job)
    assert found["discloses"] == [] and found["blocked"]["code"] == ProposalInvalid.code


@pytest.mark.parametrize(
    "text",
    ["joint profile\x1b[2K\x1b[1A", "a\nblocked: no", "a\u202etnuoc", "pro\u200bfile", "a\x9b2J", "a\x00"],
    ids=["escape", "line", "bidi", "zero width", "C1", "nul"],
)
@pytest.mark.parametrize("place", ["purpose", "disclosure", "asset", "field"])
def test_text_that_a_terminal_obeys_is_not_stored(pair: list[TestNode], text: str, place: str) -> None:
    body = alliance.match_body(pair)
    parties: Any = body["parties"]
    match place:
        case "asset":
            parties[0]["asset"] = text
        case "field":
            body[text] = 1
        case "disclosure":
            body["disclosure"] = [text]
        case _:
            body[place] = text
    reply = put(pair[1], "match", body)
    assert (reply.kind, reply.head["code"]) == (FAILURE, ProposalInvalid.code)
    assert pair[1].command("jobs")["jobs"] == []


def test_markup_is_shown_and_not_obeyed(pair: list[TestNode]) -> None:
    hidden = "[conceal]the broker learns who is shared[/conceal]"
    job = alliance.propose(pair, "match", alliance.match_body(pair, disclosure=[hidden]))
    assert "[conceal]" in screen(pair[1].command("job", job=job))


def test_a_refusal_of_the_other_side_cannot_repaint_the_terminal() -> None:
    head = {"code": "NO", "kind": "REFUSED", "en": "no\x1b[2Jdone\u202e", "zh": "否\x9b2J"}
    head["kind"] = next(iter(status.EXIT_CODE)).value
    failure = status.from_head(head)
    for lang in ("en", "zh"):
        assert failure.message(lang) == printable(failure.message(lang))
    assert "\x1b" not in failure.message("en") and "done" in failure.message("en")


@pytest.mark.parametrize(
    "change",
    [{"columns": ["SPEND"]}, {"label": {"partner": "bank"}}, {"kind": "train"}],
    ids=["columns", "label", "another kind"],
)
def test_a_match_with_fields_that_nobody_obeys_is_not_approved(pair: list[TestNode], change: Body) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair, **change))
    with pytest.raises(ProposalInvalid):
        pair[1].command("approve", job=job, person="officer")


def test_a_party_with_fields_that_nobody_obeys_is_not_approved(pair: list[TestNode]) -> None:
    body = alliance.match_body(pair)
    parties: Any = body["parties"]
    parties[1]["columns"] = ["SPEND"]
    job = alliance.propose(pair, "match", body)
    with pytest.raises(ProposalInvalid):
        pair[1].command("approve", job=job, person="officer")


def test_one_yes_is_no_standing_permission(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair, expires="2031-01-01T00:00:00Z"))
    with pytest.raises(ProposalInvalid, match="366 days"):
        pair[1].command("approve", job=job, person="officer")


def test_an_expiry_outside_the_calendar_is_a_malformed_one(pair: list[TestNode]) -> None:
    reply = put(pair[1], "match", alliance.match_body(pair, expires="9999-12-31T23:59:59-14:00"))
    assert reply.head["code"] == "MALFORMED_MESSAGE"
    for parse in (lambda text: times.parse(text, "expires"), hub_times.parse):
        with pytest.raises(MalformedMessage):
            parse("9999-12-31T23:59:59-14:00")


def test_a_stranger_to_the_alignment_does_not_join_the_training(make_node: MakeNode) -> None:
    columns = {"SPEND": "C2", "Y": "C2", "SAVING": "C2"}
    nodes = [make_node(name, columns=columns) for name in ("broker", "bank", "platform")]
    for node in nodes:
        alliance.consent(node, range(10))
    alliance.pin_all(nodes)
    match = alliance.propose(nodes[:2], "match", alliance.match_body(nodes[:2]))
    MatchRelay(nodes[:2], match, alliance.approve(nodes[:2], match)).run()
    inside = alliance.propose(nodes[:2], "train", plan_of(nodes[:2], match))
    nodes[1].command("approve", job=inside, person="officer")
    outside = alliance.propose(nodes, "train", plan_of(nodes, match))
    with pytest.raises(ProposalInvalid, match="platform took no part"):
        nodes[1].command("approve", job=outside, person="officer")


def plan_of(nodes: list[TestNode], match: str, **changes: Any) -> Body:
    """A plan over assets with the columns SPEND and SAVING, and Y at the broker."""
    body = plan_body(nodes, match, **changes)
    parties: Any = body["parties"]
    for party in parties:
        party["columns"] = ["SPEND", "SAVING"]
    return body
