"""Single scores at the hub: whose ask it passes on, that it ends once, and that it holds nothing of a client."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecowire import documents, envelopes
from ecowire.envelopes import Header
from ecowire.status import to_head
from ecowire.stream import FAILURE, Message
from hub import dispatch, proposals, scoring
from hub.identity import Caller
from hub.records import Proposal, Task
from hub.services import Reply
from partner_node.score_errors import ClientNotScored
from privacy import packing
from privacy.ids import Digest, PartnerId
from tests.hub import registry
from tests.hub.alliance import Hub, hub_without_ports

HOLDERS = ("bank", "platform")
ASK = Digest("ab" * 32)
UNTIL = "2026-10-01T08:10:00+00:00"
SECRET = b"the client and the share"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *registry.NAMES) as made:
        yield made


@pytest.fixture
def job(hub: Hub) -> Proposal:
    """A run with `scoring` whose model is released."""
    made = registry.completed(hub, plan={"scoring": {"clients_per_day": 5}})
    registry.release(hub, made)
    return made


def caller(hub: Hub, name: str) -> Caller:
    fingerprint = hub.store.read("c", lambda tx: tx.members.certificates(name))[-1].fingerprint
    return Caller(name=name, role="node", fingerprint=fingerprint)


def sealed(hub: Hub, sender: str, recipient: str, ask: Digest = ASK, sequence: int = 0) -> bytes:
    header = Header(job=ask, sender=PartnerId(sender), recipient=PartnerId(recipient), sequence=sequence)
    public = hub.parties[recipient].sealing.public
    return envelopes.make(SECRET, header=header, sealing_public=public, key=hub.parties[sender].signing)


def request(hub: Hub, job: Proposal, *, sender: str = "broker", body: Any = None, **changes: Any) -> Message:
    """A label holder's ask; `changes` are of what it signs, `body` is what it sends in place of the sealed asks."""
    asks = {holder: sealed(hub, sender, holder) for holder in HOLDERS} if body is None else body
    said = {
        "run": job.digest,
        "ask": ASK,
        "model": registry.model(hub, job).digest if job.state == proposals.COMPLETED else "d1" * 32,
        "until": UNTIL,
        "asks": {name: hashlib.sha256(one).hexdigest() for name, one in asks.items()},
        **changes,
    }
    signed = hub.parties[sender].sign("score-ask", said)
    return Message(id=f"score/{ASK}", kind="score.ask", head={"ask": signed.to_value()}, body=packing.pack(asks))


def ask(hub: Hub, message: Message, sender: str = "broker") -> Message:
    return dispatch.run_request(hub.services, scoring.NODE_REQUESTS, caller(hub, sender), message)


def open_of(hub: Hub, node: str, kind: str) -> list[Task]:
    return [task for task in hub.open_tasks(node) if task.kind == kind]


def answer(hub: Hub, holder: str, *, kind: str = "ok", head: Any = None) -> None:
    (task,) = open_of(hub, holder, "score")
    said = {"envelope": sealed(hub, holder, "broker").hex()} if head is None else head
    reply = Message(id=f"{task.id}/r", reply_to=task.id, kind=kind, head=said)
    dispatch.take_answer(hub.services, scoring.ANSWERS, caller(hub, holder), reply)


def told(hub: Hub) -> list[Task]:
    return open_of(hub, "broker", "score.answer")


def test_an_ask_goes_to_every_holder_and_its_answers_come_back_together(hub: Hub, job: Proposal) -> None:
    reply = ask(hub, request(hub, job))
    receipt = documents.parse(reply.head["receipt"], kind="receipt")
    receipt.verify(hub.services.log.key.public)
    for holder in HOLDERS:
        (task,) = open_of(hub, holder, "score")
        assert (task.head, task.job) == ({"run": job.digest, "ask": ASK}, "")
    answer(hub, "platform")
    assert not told(hub)
    answer(hub, "bank")
    (done,) = told(hub)
    found: Any = packing.unpack(done.body or b"")
    assert done.head == {"run": job.digest, "ask": ASK}
    assert {name: envelopes.read_header(one).sender for name, one in found.items()} == {n: n for n in HOLDERS}


def test_the_hub_holds_nothing_of_client_or_share(hub: Hub, job: Proposal) -> None:
    ask(hub, request(hub, job))
    for holder in HOLDERS:
        answer(hub, holder)
    files = list(hub.settings.dir.glob("hub.db*"))
    assert files and not any(SECRET in file.read_bytes() for file in files)


def test_the_first_refusal_ends_an_ask_and_later_answers_change_nothing(hub: Hub, job: Proposal) -> None:
    ask(hub, request(hub, job))
    head = to_head(ClientNotScored(partner="bank"))
    answer(hub, "bank", kind=FAILURE, head=head)
    (done,) = told(hub)
    assert done.head == {"run": job.digest, "ask": ASK, "partner": "bank", "failure": head}
    answer(hub, "platform")
    assert told(hub) == [done]


@pytest.mark.parametrize("head", [{}, {"envelope": "zz"}, {"envelope": 7}, {"envelope": "00" * 9000}], ids=str)
def test_an_answer_that_is_no_share_counts_as_a_refusal(hub: Hub, job: Proposal, head: Any) -> None:
    ask(hub, request(hub, job))
    answer(hub, "bank", head=head)
    (done,) = told(hub)
    assert done.head["failure"]["code"] == "SCORE_ANSWER_MALFORMED"  # type: ignore[index,call-overload]


def test_an_ask_that_is_sent_again_is_the_same(hub: Hub, job: Proposal) -> None:
    message = request(hub, job)
    first = ask(hub, message)
    leaves = len(hub.leaves())
    assert ask(hub, message).head == first.head
    assert (len(hub.leaves()), len(open_of(hub, "bank", "score"))) == (leaves, 1)


def test_asks_are_leaves_that_say_nothing_of_a_client_and_no_documents_of_the_run(hub: Hub, job: Proposal) -> None:
    before = hub.store.read("d", lambda tx: len(tx.jobs.documents(job.digest)))
    ask(hub, request(hub, job))
    (leaf,) = hub.store.read("l", lambda tx: tx.evidence.leaves(kind="score-ask"))
    assert (leaf.subject, job.digest.encode() in leaf.data) == (ASK, True)
    assert hub.store.read("d", lambda tx: len(tx.jobs.documents(job.digest))) == before


def refusal(reply: Message) -> str:
    assert reply.kind == FAILURE
    return str(reply.head["code"])


def test_only_the_label_holder_of_a_completed_run_with_scoring_asks(hub: Hub, job: Proposal) -> None:
    plain = registry.completed(hub, 2)
    assert refusal(ask(hub, request(hub, plain))) == "SCORING_REFUSED"
    asks = {"platform": sealed(hub, "bank", "platform"), "broker": sealed(hub, "bank", "broker")}
    assert refusal(ask(hub, request(hub, job, sender="bank", body=asks), "bank")) == "SCORING_REFUSED"
    assert refusal(ask(hub, request(hub, job, run="ee" * 32))) == "SCORING_REFUSED"
    assert not open_of(hub, "bank", "score")


def test_a_model_that_is_another_not_released_or_taken_back_scores_nobody(hub: Hub, job: Proposal) -> None:
    assert "not the run's" in str(ask(hub, request(hub, job, model="ee" * 32)).head["en"])
    other = registry.completed(hub, 2, plan={"scoring": {"clients_per_day": 5}})
    assert "REGISTERED" in str(ask(hub, request(hub, other)).head["en"])
    hub_retires: Reply = registry.command(hub, "model.retire", {"name": registry.NAME, "reason": "complaints"})
    assert hub_retires.kind == "ok"
    assert "RETIRED" in str(ask(hub, request(hub, job, until="2026-10-01T08:11:00+00:00")).head["en"])


BAD: dict[str, dict[str, Any]] = {
    "one holder only": {"body": "one"},
    "another holder too": {"body": "more"},
    "other bytes than were signed": {"asks": {"bank": "00" * 32, "platform": "00" * 32}},
    "an address of another": {"body": "swapped"},
    "a second envelope of the ask": {"body": "second"},
    "no bytes": {"body": "text", "asks": {"bank": "00" * 32, "platform": "00" * 32}},
    "an end without end": {"until": "9" * 41},
    "a field more": {"note": "x"},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_an_ask_of_another_form_is_refused(hub: Hub, job: Proposal, change: dict[str, Any]) -> None:
    asks = {holder: sealed(hub, "broker", holder) for holder in HOLDERS}
    bodies: dict[str, Any] = {
        "one": {"bank": asks["bank"]},
        "more": {**asks, "broker": asks["bank"]},
        "swapped": {"bank": asks["platform"], "platform": asks["bank"]},
        "second": {**asks, "bank": sealed(hub, "broker", "bank", sequence=1)},
    }
    given = dict(change)
    name = given.pop("body", None)
    if name == "text":
        good = request(hub, job, **given)
        message = Message(id=good.id, kind=good.kind, head=good.head, body=packing.pack(dict.fromkeys(HOLDERS, "x")))
    else:
        message = request(hub, job, body=bodies[name] if name else None, **given)
    assert refusal(ask(hub, message)) == "SCORE_ASK_MALFORMED"
    assert not open_of(hub, "bank", "score")


def test_an_ask_under_another_partners_signature_is_refused(hub: Hub, job: Proposal) -> None:
    message = request(hub, job)
    assert refusal(ask(hub, message, "bank")) == "BAD_SIGNATURE"


def test_of_a_holder_that_left_the_alliance_no_share_is_asked(hub: Hub, job: Proposal) -> None:
    hub.store.run("leave", lambda tx: tx.members.set_partner_state(PartnerId("bank"), "REVOKED"))
    assert refusal(ask(hub, request(hub, job))) == "SCORING_PARTNER_GONE"
