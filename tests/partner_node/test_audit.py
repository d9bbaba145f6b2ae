"""The node as a witness: only a log that extends what it co-signed gets its signature."""

from typing import Any

import pytest

from ecowire import checkpoints, documents
from ecowire.checkpoints import Checkpoint
from ecowire.stream import FAILURE, Message
from partner_node import store
from privacy import merkle, seal
from tests.partner_node.alliance import ALLIANCE, LOG_KEY, TestNode
from tests.partner_node.conftest import MakeNode

HASHES = [merkle.leaf_hash(bytes([n])) for n in range(40)]
OTHER = [merkle.leaf_hash(bytes([n, n])) for n in range(40)]


@pytest.fixture
def node(make_node: MakeNode) -> TestNode:
    return make_node("bank")


def note(hashes: list[bytes], *, log: str = "audit", key: seal.SigningKey = LOG_KEY, origin: str = "") -> str:
    made = Checkpoint(origin=origin or f"ecohub/{ALLIANCE}/{log}", size=len(hashes), root=merkle.root(hashes))
    return checkpoints.sign(made, key)


def ask(
    node: TestNode, hashes: list[bytes], old: int, *, text: str = "", log: str = "audit", **changes: Any
) -> Message:
    proof: Any = [item.hex() for item in merkle.consistency_proof(hashes, old)] if old <= len(hashes) else []
    head = {"log": log, "checkpoint": text or note(hashes, log=log), "proof": proof, "old_size": old, **changes}
    return node.ask(Message(id=f"cosign-{log}-{len(hashes)}-{old}-{hash(str(head))}", kind="audit.cosign", head=head))


def test_a_growing_log_is_co_signed(node: TestNode) -> None:
    for old, size in ((0, 3), (3, 8), (8, 9), (9, 40)):
        reply = ask(node, HASHES[:size], old)
        signed = documents.parse(reply.head["cosignature"], kind="cosignature")
        signed.verify(node.parts.node.keys.signing.public)
        assert (signed.body["size"], signed.body["root"]) == (size, merkle.root(HASHES[:size]).hex())
    last = node.parts.node.database.read(lambda s: store.last_cosigned(s, "audit"))
    assert last is not None
    assert last.size == 40


def test_the_same_checkpoint_gets_the_same_signature(node: TestNode) -> None:
    first = ask(node, HASHES[:3], 0)
    again = ask(node, HASHES[:3], 3)
    assert again.head == first.head


def test_the_logs_are_apart(node: TestNode) -> None:
    ask(node, HASHES[:20], 0)
    assert ask(node, HASHES[:2], 0, log="chain").kind != FAILURE


@pytest.mark.parametrize(
    ("request_for", "why"),
    [
        (lambda node: ask(node, HASHES[:5], 5), "this node co-signed 8"),
        (lambda node: ask(node, OTHER[:8], 8), "does not extend"),
        (lambda node: ask(node, OTHER[:20], 8), "does not extend"),
        (lambda node: ask(node, HASHES[:20], 0), "must start at 8"),
        (lambda node: ask(node, HASHES[:20], 9), "must start at 8"),
        (lambda node: ask(node, HASHES[:20], 8, proof=[]), "does not extend"),
        (lambda node: ask(node, HASHES[:20], 8, proof="none"), "no consistency proof"),
        (lambda node: ask(node, HASHES[:20], 8, proof=["00" * 32] * 3), "does not extend"),
        (lambda node: ask(node, HASHES[:20], 8, log="diary"), "no such log"),
        (lambda node: ask(node, HASHES[:20], 8, text=note(HASHES[:20], log="chain")), "its origin"),
        (lambda node: ask(node, HASHES[:20], 8, text=note(HASHES[:20], origin="elsewhere")), "its origin"),
    ],
    ids=[
        "shrunk",
        "forked",
        "forked later",
        "early proof",
        "late proof",
        "no proof",
        "text",
        "wrong proof",
        "no log",
        "other log",
        "stranger",
    ],
)
def test_any_other_log_is_refused(node: TestNode, request_for: Any, why: str) -> None:
    ask(node, HASHES[:8], 0)
    reply = request_for(node)
    assert (reply.kind, reply.head["code"]) == (FAILURE, "CHECKPOINT_REFUSED")
    assert why in reply.head["en"]
    last = node.parts.node.database.read(lambda s: store.last_cosigned(s, "audit"))
    assert last is not None
    assert last.size == 8
    assert ask(node, HASHES[:9], 8).kind != FAILURE


def test_another_key_than_the_pinned_one_is_refused(node: TestNode) -> None:
    reply = ask(node, HASHES[:3], 0, text=note(HASHES[:3], key=seal.SigningKey(b"\x22" * 32)))
    assert reply.head["code"] == "BAD_SIGNATURE"


def receipt(document: str, key: seal.SigningKey = LOG_KEY, signer: str = "hub") -> Any:
    body: documents.Body = {"document": document, "index": 1, "time": "2026-10-01T08:00:00.000Z"}
    return documents.sign("receipt", body, signer, key).to_value()  # type: ignore[arg-type]


def test_receipts_are_kept(node: TestNode) -> None:
    made = receipt("ab" * 32)
    assert node.ask(Message(id="r", kind="receipt", head={"receipt": made})).kind == "ok"
    assert node.command("receipts") == {"receipts": [made]}


@pytest.mark.parametrize(
    "made", [receipt("ab" * 32, seal.SigningKey(b"\x22" * 32)), receipt("ab" * 32, signer="broker"), {}, None]
)
def test_a_receipt_that_does_not_hold_is_refused(node: TestNode, made: Any) -> None:
    assert node.ask(Message(id="r", kind="receipt", head={"receipt": made})).kind == FAILURE
    assert node.command("receipts") == {"receipts": []}


def test_a_receipt_for_another_document_marks_the_request(node: TestNode) -> None:
    node.command("publish")
    (request,) = node.parts.worker._outbox.pending()
    node.parts.worker._outbox.settle(request.reply("ok", {"receipt": receipt("ab" * 32)}))
    (refused,) = node.command("status")["refused"]
    assert refused["failure"]["code"] == "RECEIPT_REFUSED"
    assert node.command("status")["receipts"] == 0
