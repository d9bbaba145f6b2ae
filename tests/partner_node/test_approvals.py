"""Jobs and approvals: exactly this digest, keys only from pinned cards, everybody's yes before taking part."""

import json
from datetime import timedelta
from typing import Any

import pytest

from ecowire import documents
from ecowire.documents import Body
from ecowire.status import MalformedMessage
from ecowire.stream import FAILURE, Message
from partner_node import errors
from partner_node.approvals import check_card
from privacy import seal
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode
from tests.partner_node.conftest import MakeNode


def send(node: TestNode, body: Body, *, digest: str | None = None, kind: str = "match", name: str = "p") -> Message:
    head: Body = {"kind": kind, "digest": digest or documents.digest(kind, body), "body": body}
    return node.ask(Message(id=name, kind="proposal", head=head))


def test_a_changed_body_is_not_stored(pair: list[TestNode]) -> None:
    body = alliance.match_body(pair)
    reply = send(pair[0], {**body, "minimum": 2}, digest=documents.digest("match", body))
    assert (reply.kind, reply.head["code"]) == (FAILURE, "DIGEST_DIFFERS")
    assert pair[0].command("jobs") == {"jobs": []}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"parties": []}, "PROPOSAL_MALFORMED"),
        ({"parties": "all"}, "PROPOSAL_MALFORMED"),
        ({"purpose": ""}, "PROPOSAL_MALFORMED"),
        ({"expires": "tomorrow"}, "MALFORMED_MESSAGE"),
        ({"expires": "2026-10-08T00:00:00"}, "MALFORMED_MESSAGE"),
    ],
)
def test_a_malformed_proposal_is_refused(pair: list[TestNode], change: Body, code: str) -> None:
    assert send(pair[0], {**alliance.match_body(pair), **change}).head["code"] == code


def test_an_unknown_kind_is_refused(pair: list[TestNode]) -> None:
    assert send(pair[0], alliance.match_body(pair), kind="lottery").head["code"] == "PROPOSAL_MALFORMED"


@pytest.mark.parametrize("key", ["signing", "sealing", "chain"])
def test_another_key_in_our_name_is_refused(pair: list[TestNode], key: str) -> None:
    body = alliance.match_body(pair)
    parties: Any = body["parties"]
    parties[0][key] = parties[1][key]
    assert send(pair[0], body).head["code"] == "OWN_KEY_DIFFERS"


def test_a_job_of_others_is_refused(make_node: MakeNode, pair: list[TestNode]) -> None:
    stranger = make_node("insurer")
    assert send(stranger, alliance.match_body(pair)).head["code"] == "NOT_A_PARTY"


def test_an_unpinned_peer_blocks_the_approval_and_says_so(make_node: MakeNode) -> None:
    pair = [make_node("broker"), make_node("bank")]
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    assert pair[0].command("job", job=job)["blocked"]["code"] == "PEER_NOT_PINNED"
    with pytest.raises(errors.PeerNotPinned):
        pair[0].command("approve", job=job, person="privacy officer")
    alliance.pin_all(pair)
    assert pair[0].command("job", job=job)["blocked"] is None
    alliance.approve(pair, job)


@pytest.mark.parametrize("key", ["signing", "sealing", "chain"])
def test_a_peers_other_key_blocks_the_approval(pair: list[TestNode], key: str) -> None:
    body = alliance.match_body(pair)
    parties: Any = body["parties"]
    parties[1][key] = parties[0][key]
    send(pair[0], body)
    with pytest.raises(errors.PeerKeyDiffers):
        pair[0].command("approve", job=documents.digest("match", body), person="privacy officer")


def test_an_expired_job_is_not_approved(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    pair[0].clock.now += timedelta(days=8)
    with pytest.raises(errors.JobExpired):
        pair[0].command("approve", job=job, person="privacy officer")
    assert pair[0].command("refuse", job=job, person="privacy officer", reason="late")["decision"] == "refuse"


def test_a_decision_is_taken_once(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    first = pair[0].command("approve", job=job[:8], person="privacy officer")
    pair[0].clock.now += timedelta(hours=1)
    assert pair[0].command("approve", job=job, person="somebody else") == first
    with pytest.raises(errors.AlreadyDecided):
        pair[0].command("refuse", job=job, person="privacy officer", reason="changed my mind")


def test_prefixes_name_one_job_or_none(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    for name, failure in ((job[:7], errors.UnknownJob), ("0" * 64, errors.UnknownJob), ("%" * 8, errors.UnknownJob)):
        with pytest.raises(failure):
            pair[0].command("job", job=name)
    assert pair[0].command("job", job=job[:8])["job"] == job


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda pair, job, given: given[:1], "NOT_APPROVED"),
        (lambda pair, job, given: [given[0], given[0]], "NOT_APPROVED"),
        (lambda pair, job, given: [given[0], {**given[1], "signature": "00" * 64}], "BAD_SIGNATURE"),
        (lambda pair, job, given: [given[0], {**given[1], "signer": "broker"}], "BAD_SIGNATURE"),
        (lambda pair, job, given: [given[0], signed(pair[1], proposal="00" * 32)], "NOT_APPROVED"),
        (lambda pair, job, given: [given[0], signed(pair[1], proposal=job, decision="refuse")], "NOT_APPROVED"),
        (lambda pair, job, given: [given[0], signed(pair[1], proposal=job, kind="train")], "NOT_APPROVED"),
        (lambda pair, job, given: [given[0], signed(pair[1], proposal=job, partner="broker")], "NOT_APPROVED"),
        (lambda pair, job, given: [given[0], signed(pair[0], proposal=job, signer="bank")], "BAD_SIGNATURE"),
        (lambda pair, job, given: "yes", "MALFORMED_MESSAGE"),
    ],
    ids=[
        "one only",
        "twice the same",
        "no signature",
        "other signer",
        "other job",
        "refusal",
        "other kind",
        "other partner named",
        "forged",
        "text",
    ],
)
def test_a_match_starts_only_with_everybodys_approval(pair: list[TestNode], spoil: Any, code: str) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    given = spoil(pair, job, alliance.approve(pair, job))
    reply = pair[0].ask(Message(id="s", kind="match.start", head={"job": job, "approvals": given}))
    assert reply.head["code"] == code


def signed(
    node: TestNode, *, proposal: str, decision: str = "approve", kind: str = "match", signer: str = "", **more: str
) -> Any:
    """An approval; as earlier versions signed it where no `partner` is given."""
    body: Body = {"proposal": proposal, "kind": kind, "decision": decision, "reason": "", "person": "p", "time": "t"}
    body.update(more)
    keys = node.parts.node.keys
    return documents.sign("approval", body, (signer or node.partner), keys.signing).to_value()  # type: ignore[arg-type]


def test_approvals_of_one_person_at_one_second_differ_by_partner(pair: list[TestNode]) -> None:
    given: Any = alliance.approve(pair, alliance.propose(pair, "match", alliance.match_body(pair)))
    assert [approval["body"]["partner"] for approval in given] == [node.partner for node in pair]
    assert len({documents.parse(approval, kind="approval").digest for approval in given}) == 2


def test_an_approval_of_an_earlier_version_still_counts(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    given = [alliance.approve(pair, job)[0], signed(pair[1], proposal=job)]
    reply = pair[0].ask(Message(id="s", kind="match.start", head={"job": job, "approvals": given}))
    assert reply.kind != FAILURE, reply.head


def test_a_key_that_changed_after_approval_stops_the_match(pair: list[TestNode], make_node: MakeNode) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    given = alliance.approve(pair, job)
    renewed = make_node("bank2").parts.node.keys.card("bank", "Bank")  # type: ignore[arg-type]
    with pytest.raises(errors.CardAlreadyPinned):
        pair[0].command("pin", card=renewed.to_value())
    pair[0].command("pin", card=renewed.to_value(), replace=True)
    reply = pair[0].ask(Message(id="s", kind="match.start", head={"job": job, "approvals": given}))
    assert reply.head["code"] == "PEER_KEY_DIFFERS"


def test_an_approved_job_that_expired_is_not_run(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    given = alliance.approve(pair, job)
    pair[0].clock.now += timedelta(days=8)
    reply = pair[0].ask(Message(id="s", kind="match.start", head={"job": job, "approvals": given}))
    assert reply.head["code"] == "JOB_EXPIRED"


@pytest.mark.parametrize(
    ("spoil", "failure"),
    [
        (lambda card: {**card, "signature": "00" * 64}, seal.BadSignature),
        (lambda card: {**card, "body": {**card["body"], "sealing": "00" * 32}}, seal.BadSignature),
        (lambda card: {**card, "signer": "broker"}, MalformedMessage),
        (lambda card: {**card, "body": {**card["body"], "more": 1}}, MalformedMessage),
        (lambda card: {**card, "body": {**card["body"], "signing": "00"}}, Failure),
        (lambda card: {**card, "body": {**card["body"], "chain": "0x00"}}, Failure),
        (lambda card: {**card, "kind": "approval"}, MalformedMessage),
        (lambda card: "card", MalformedMessage),
    ],
)
def test_only_a_whole_card_is_pinned(pair: list[TestNode], spoil: Any, failure: type[Failure]) -> None:
    card = json.loads(pair[1].card().encode())
    assert check_card(card).signer == "bank"
    with pytest.raises(failure):
        check_card(spoil(card))


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "rows"},
        {"engine": "clear"},
        {"normaliser": 1},
        {"minimum": 0},
        {"id_type": "phone"},
    ],
)
def test_a_match_that_cant_run_here_is_not_approved(pair: list[TestNode], change: Body) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair, **change))
    with pytest.raises(errors.ProposalInvalid):
        pair[0].command("approve", job=job, person="privacy officer")


def test_a_purpose_that_the_asset_is_not_offered_for_is_refused(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair, purpose="advertising"))
    with pytest.raises(errors.PurposeNotOffered):
        pair[0].command("approve", job=job, person="privacy officer")


def ended(node: TestNode, job: str, state: str = "CANCELLED", **reason: Any) -> Message:
    said: Body = {"code": state, "person": "dana", **reason}
    return node.ask(
        Message(id=f"{job[:32]}-ended", kind="job.ended", head={"job": job, "state": state, "reason": said})
    )


def test_a_cancelled_job_is_shown_as_such_and_not_approved_any_more(pair: list[TestNode]) -> None:
    node = pair[0]
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    assert node.command("jobs")["jobs"][0]["state"] == "OPEN"
    assert ended(node, job).kind != FAILURE
    (line,) = node.command("jobs")["jobs"]
    assert (line["state"], line["reason"]["person"]) == ("CANCELLED", "dana")
    assert node.command("job", job=job)["blocked"]["code"] == "JOB_ENDED"
    with pytest.raises(errors.JobEnded, match="CANCELLED"):
        node.command("approve", job=job, person="privacy officer")


def test_the_end_of_a_job_that_never_came_here_is_taken_and_not_kept(pair: list[TestNode]) -> None:
    assert ended(pair[0], "ab" * 32).kind != FAILURE
    assert pair[0].command("jobs") == {"jobs": []}


@pytest.mark.parametrize(
    "change", [{"state": "WON"}, {"en": "\x1b[2J"}, {"en": "x" * 9000}], ids=["state", "terminal codes", "length"]
)
def test_a_malformed_end_is_refused(pair: list[TestNode], change: dict[str, Any]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    assert ended(pair[0], job, **change).head["code"] == "MALFORMED_MESSAGE"
