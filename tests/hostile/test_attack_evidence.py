"""A hub that wants to deny later what it took, and a peer that wants a stream's other end to run out of memory.

Attack 1: "ok" without a receipt; the node believes its dispute or report is on record and holds no proof. Attack 2: at
a later enrolment the hub names a new log key and disowns every receipt and checkpoint under the old one. Attack 3: two
nodes are shown two logs. Attack 4: many messages of full size are begun on one stream and none is finished.
"""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ecowire import checkpoints, documents, limits
from ecowire.checkpoints import Checkpoint
from ecowire.status import MessageTooLarge
from ecowire.stream import FAILURE, Assembler, Message, to_frames
from ecowire.v1 import alliance_pb2 as pb
from partner_node import enrolment
from partner_node.errors import MembershipDiffers
from privacy import merkle
from tests.partner_node.alliance import ALLIANCE, LOG_KEY, TestNode
from tests.partner_node.conftest import MakeNode
from tests.partner_node.harbour import harbour, prepare


def test_an_ok_without_a_receipt_is_kept_as_a_refusal(pair: list[TestNode]) -> None:
    node = pair[0]
    node.command("publish")
    outbox = node.parts.worker._outbox
    (request,) = outbox.pending()
    outbox.settle(request.reply("ok", {}))
    (refused,) = node.command("status")["refused"]
    assert (refused["request"], refused["failure"]["code"]) == (request.id, "MALFORMED_MESSAGE")
    assert node.command("status")["outbox"] == {"REFUSED": 1}


def test_an_ok_with_the_receipt_is_an_answer(pair: list[TestNode]) -> None:
    node = pair[0]
    node.command("publish")
    outbox = node.parts.worker._outbox
    (request,) = outbox.pending()
    assets: Any = request.head["assets"]
    body: documents.Body = {"document": documents.parse(assets).digest, "index": 1, "time": "2026-10-01T08:00:00.000Z"}
    receipt = documents.sign("receipt", body, "hub", LOG_KEY).to_value()  # type: ignore[arg-type]
    outbox.settle(request.reply("ok", {"receipt": receipt}))
    assert node.command("status")["outbox"] == {"ANSWERED": 1}


def test_a_later_enrolment_does_not_change_the_pinned_log_key(tmp_path: Path) -> None:
    with harbour(tmp_path) as hub:
        settings = prepare(hub, "bank")
        pinned = enrolment.membership(settings)
        certificate = (settings.keys / "tls.pem").read_bytes()
        renewed = enrolment.enrol(settings, hub.command("invite", partner="bank")["invite"])
        assert renewed == pinned and (settings.keys / "tls.pem").read_bytes() != certificate, "renewing works"
        certificate = (settings.keys / "tls.pem").read_bytes()
        hub.stop()
        (hub.settings.keys / "log.key").write_text("77" * 32 + "\n")
        hub.start()
        with pytest.raises(MembershipDiffers):
            enrolment.enrol(settings, hub.command("invite", partner="bank")["invite"])
        assert enrolment.membership(settings) == pinned
        assert (settings.keys / "tls.pem").read_bytes() == certificate


def note(leaves: list[bytes]) -> str:
    checkpoint = Checkpoint(origin=f"ecohub/{ALLIANCE}/audit", size=len(leaves), root=merkle.root(leaves))
    return checkpoints.sign(checkpoint, LOG_KEY)


def cosign(node: TestNode, leaves: list[bytes], old: int) -> Message:
    proof: Any = [item.hex() for item in merkle.consistency_proof(leaves, old)] if old else []
    head: Any = {"log": "audit", "checkpoint": note(leaves), "proof": proof, "old_size": old}
    return node.ask(Message(id=f"c-{len(leaves)}-{leaves[0].hex()[:8]}-{old}", kind="audit.cosign", head=head))


def test_a_forked_log_never_gets_both_signatures_again(make_node: MakeNode) -> None:
    """At first contact each node signs what it is shown; from then on no node follows the other's branch."""
    one, two = make_node("bank"), make_node("platform")
    branch = {name: [merkle.leaf_hash(f"{name}{i}".encode()) for i in range(6)] for name in "ab"}
    for node, name in ((one, "a"), (two, "b")):
        assert cosign(node, branch[name][:3], 0).kind == "ok"
    for node, name in ((one, "b"), (two, "a")):
        for old in (0, 3):
            for size in (2, 3, 6):
                if old <= size:
                    reply = cosign(node, branch[name][:size], old)
                    assert (reply.kind, reply.head["code"]) == (FAILURE, "CHECKPOINT_REFUSED")
    assert cosign(one, branch["a"], 3).kind == "ok"
    shown = [node.command("trust.export")["toml"] for node in (one, two)]
    assert merkle.root(branch["a"]).hex() in shown[0] and merkle.root(branch["b"][:3]).hex() in shown[1]


def begin(number: int, size: int) -> pb.Frame:
    sha256 = hashlib.sha256(b"").digest()
    return pb.Frame(begin=pb.Begin(id=f"m{number}", kind="flood", head=b"{}", size=size, sha256=sha256))


def test_a_stream_cannot_hold_many_messages_of_full_size() -> None:
    assembler = Assembler()
    assert assembler.feed(begin(0, limits.BODY_BYTES_MAX)) is None
    with pytest.raises(MessageTooLarge):
        assembler.feed(begin(1, limits.BODY_BYTES_MAX))


def test_finished_messages_make_room_again() -> None:
    assembler, message = Assembler(), Message(id="m", kind="k", body=bytes(3 << 20))
    for _ in range(2 * limits.OPEN_BYTES_MAX // len(message.body) // 8):
        frames = [assembler.feed(frame) for frame in to_frames(message)]
        assert frames[-1] == message
    assert assembler._announced == 0
