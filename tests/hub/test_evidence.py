"""The bundle: what was logged is in it, byte for byte, and somebody with the public key alone can check it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ecowire import checkpoints, documents, evidence
from hub import evidence as hub_evidence
from hub import witness
from hub.evidence import EvidenceMoving
from hub.records import Head
from hub.settings import ChainSettings
from privacy import canonical, merkle
from tests.hub.alliance import OPERATOR, Hub, Party, hub_without_ports, party
from tests.hub.relay import caller
from tests.hub.test_matching import count
from tests.sandbox.small_alliance import MiniChain


def bundle(hub: Hub) -> evidence.Bundle:
    reply = hub_evidence.bundle(hub.services, OPERATOR, hub.now(), {"period": "2026-10"})
    assert reply.head["bytes"] == len(reply.body)
    return evidence.read(reply.body)


def test_a_bundle_holds_the_log_and_everything_the_log_speaks_of(hub: Hub) -> None:
    done = count(hub).run()
    hub.run(lambda services, tx: services.log.checkpoint(tx, hub.now()))
    found = bundle(hub)
    assert found.exact
    assert found.damages == ()
    leaves = evidence.lines(found.entries["audit/leaves.jsonl"])
    (note,) = evidence.lines(found.entries["audit/checkpoints.jsonl"])
    value: Any = canonical.decode(note)
    checkpoint = checkpoints.verify(value["note"], hub.services.log.key.public)
    assert merkle.root([merkle.leaf_hash(leaf) for leaf in leaves]) == checkpoint.root
    known = {name.rsplit("/", 1)[1].removesuffix(".json") for name in found.entries}
    approvals: Any = canonical.decode(found.entries[f"proposals/{done.digest}.json"])
    known |= {documents.parse(item).digest for item in approvals["approvals"]}
    for leaf in leaves:
        told: Any = canonical.decode(leaf)
        assert told["digest"] in known or told["digest"] == documents.digest("facts", told["facts"]), told


def test_every_document_stands_under_its_digest_and_holds(hub: Hub) -> None:
    count(hub).run()
    found = bundle(hub)
    names = found.names("documents/")
    assert len(names) == 3 + 2 + 2  # cards, commitments, results
    for name in names:
        signed = documents.decode(found.entries[name])
        assert name == f"documents/{signed.digest}.json"
        signed.verify(hub.parties[signed.signer].signing.public)


def test_the_same_books_give_the_same_bytes(hub: Hub) -> None:
    count(hub).run()
    replies = [hub_evidence.bundle(hub.services, OPERATOR, hub.now(), {"period": "2026-10"}) for _ in range(2)]
    assert replies[0] == replies[1]


class ChainOf:
    """A chain client over a ledger in memory; only what the evidence asks."""

    def __init__(self, mini: MiniChain) -> None:
        self.mini = mini
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    def head(self) -> int:
        return int(self.mini.ledger.head().number)

    def block(self, number: int) -> Any:
        block = self.mini.blocks()[number]
        parent = self.mini.blocks()[number - 1]["hash"] if number else "0x" + "00" * 32
        return SimpleNamespace(hash=block["hash"], parent=parent)

    def ask(self, method: str, wanted: dict[str, int]) -> Any:
        assert method == "sandbox_export"
        blocks = self.mini.blocks()[wanted["from"] : wanted["to"] + 1]
        return {"genesis": self.mini.genesis.to_body(), "blocks": blocks}


def test_the_chain_is_exported_with_its_genesis_as_the_examiner_reads_it(hub: Hub) -> None:
    from sandbox.examine import blocks as examined

    mini = MiniChain()
    entries = hub_evidence.collect(hub.store, ChainOf(mini), ChainSettings(contract="0x00", chain_id=1))  # type: ignore[arg-type]
    lines = [canonical.decode(line) for line in evidence.lines(entries["chain/blocks.jsonl"])]
    assert lines == mini.blocks()
    assert examined.genesis_digest(entries["chain/genesis.json"]) == documents.digest(
        "chain-genesis", mini.genesis.to_body()
    )


def test_books_that_will_not_hold_still_give_no_bundle(hub: Hub) -> None:
    class Busy(ChainOf):
        def head(self) -> int:
            hub.run(lambda services, tx: services.log.append(tx, hub.now(), "meanwhile", "x"))
            return super().head()

    with pytest.raises(EvidenceMoving):
        hub_evidence.collect(hub.store, Busy(MiniChain()), ChainSettings())  # type: ignore[arg-type]


def test_books_that_moved_once_are_read_again(hub: Hub) -> None:
    moved: list[int] = []

    class Once(ChainOf):
        def head(self) -> int:
            if not moved:
                hub.run(lambda services, tx: services.log.append(tx, hub.now(), "meanwhile", "x"))
            moved.append(1)
            return super().head()

    entries = hub_evidence.collect(hub.store, Once(MiniChain()), ChainSettings())  # type: ignore[arg-type]
    assert b'"meanwhile"' in entries["audit/leaves.jsonl"]
    assert len(moved) == 2


# --- checkpoints and co-signatures


def cosign(hub: Hub, name: str, *, key: Party | None = None, **changes: object) -> str:
    """A node's answer to its oldest open request to co-sign; the task's state afterwards."""
    from hub import dispatch
    from hub.store_tasks import OPEN

    tasks = [t for t in hub.store.read("t", lambda tx: tx.tasks.of_job("")) if t.kind == "audit.cosign"]
    task = next(t for t in tasks if t.node == name and t.state == OPEN)
    checkpoint = checkpoints.verify(task.head["checkpoint"], hub.services.log.key.public)
    proof = task.head["proof"]
    assert isinstance(proof, list)
    old = task.head["old_size"]
    assert isinstance(old, int)
    hashes = hub.store.read("h", lambda tx: tx.evidence.leaf_hashes(old))
    merkle.verify_consistency(
        old, merkle.root(hashes), checkpoint.size, checkpoint.root, [bytes.fromhex(str(step)) for step in proof]
    )
    body: Head = {
        "log": task.head["log"],
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "time": "now",
    }
    signer = replace(hub.parties[name], signing=key.signing) if key else hub.parties[name]
    signed = signer.sign("cosignature", {**body, **changes})  # type: ignore[dict-item]
    from ecowire.stream import Message

    reply = Message(id=task.id, kind=task.kind).reply("ok", {"cosignature": signed.to_value()})
    dispatch.take_answer(hub.services, witness.ANSWERS, caller(hub, name), reply)
    found = hub.store.read("t", lambda tx: tx.tasks.get(task.id))
    assert found is not None
    return found.state


def checkpoint(hub: Hub) -> None:
    witness.make(hub.services, OPERATOR, hub.now(), {})


def test_nodes_are_asked_with_a_proof_from_what_each_co_signed_last(hub: Hub) -> None:
    checkpoint(hub)
    assert cosign(hub, "bank") == "ANSWERED"
    count(hub).run()
    checkpoint(hub)
    assert cosign(hub, "bank") == "ANSWERED"  # its proof starts where it signed; the helper verifies it
    assert cosign(hub, "broker") == "ANSWERED"  # its first one: from nothing
    sizes = [(c.partner, c.size) for c in hub.store.read("c", lambda tx: tx.evidence.cosignatures("audit"))]
    assert [partner for partner, _ in sizes] == ["bank", "broker", "bank"]
    found = bundle(hub)
    assert len(evidence.lines(found.entries["audit/cosignatures.jsonl"])) == 3


@pytest.mark.parametrize("changes", [{"root": "00" * 32}, {"size": 1}, {"log": "chain"}, {"origin": "other"}])
def test_a_co_signature_of_something_else_is_not_kept(hub: Hub, changes: dict[str, object]) -> None:
    checkpoint(hub)
    assert cosign(hub, "bank", **changes) == "FAILED"
    assert hub.store.read("c", lambda tx: tx.evidence.cosignatures()) == ()


def test_a_co_signature_under_another_key_is_not_kept(hub: Hub) -> None:
    checkpoint(hub)
    assert cosign(hub, "bank", key=party("bank", b"forger")) == "FAILED"
    assert hub.store.read("c", lambda tx: tx.evidence.cosignatures()) == ()


def test_a_node_that_was_away_is_asked_one_by_one_with_proofs_that_fit(hub: Hub) -> None:
    """Three checkpoints while the node is away: its first answer brings the newest request, from where it is now."""
    for _ in range(3):
        hub.run(lambda services, tx: services.log.append(tx, hub.now(), "test", "x"))
        checkpoint(hub)
    opened = [t for t in hub.store.read("t", lambda tx: tx.tasks.of_job("")) if t.node == "bank" and t.state == "OPEN"]
    assert [t.kind for t in opened] == ["audit.cosign"]
    assert cosign(hub, "bank") == "ANSWERED"
    assert cosign(hub, "bank") == "ANSWERED"  # the helper verifies each proof from what was signed before
    sizes = [c.size for c in hub.store.read("c", lambda tx: tx.evidence.cosignatures("audit"))]
    assert len(sizes) == 2
    newest = hub.store.read("c", lambda tx: tx.evidence.last_checkpoint("audit"))
    assert newest is not None
    assert sizes[-1] == newest.size


def test_a_refusal_to_co_sign_is_shown(hub: Hub) -> None:
    checkpoint(hub)
    cosign(hub, "bank", key=party("bank", b"forger"))
    (shown,) = witness.make(hub.services, OPERATOR, hub.now(), {}).head["checkpoints"]  # type: ignore[misc, union-attr]
    assert shown["refused"]["bank"]["code"] == "BAD_SIGNATURE"  # type: ignore[index, call-overload]
    assert shown["cosigned"] == []  # type: ignore[index, call-overload]


def test_the_same_checkpoint_is_asked_for_once(hub: Hub) -> None:
    checkpoint(hub)
    before = hub.store.read("t", lambda tx: len(tx.tasks.of_job("")))
    checkpoint(hub)
    assert hub.store.read("t", lambda tx: len(tx.tasks.of_job(""))) == before


def test_a_chain_checkpoint_fetches_new_blocks_only_and_notices_a_rewrite(tmp_path: Path) -> None:
    from hub.audit import ChainRewritten

    with hub_without_ports(tmp_path, "bank") as hub:
        mini = MiniChain()
        fetched: list[int] = []
        opened: list[ChainOf] = []

        def dial(chain: ChainOf) -> Any:
            opened.append(chain)
            return chain

        class Counting(ChainOf):
            def block(self, number: int) -> Any:
                fetched.append(number)
                return super().block(number)

        settings = replace(hub.settings, chain=ChainSettings(endpoint="x", chain_id=1))
        services = replace(hub.services, settings=settings, chain=lambda: dial(Counting(mini)))
        witness.make(services, OPERATOR, hub.now(), {})
        made = hub.store.read("c", lambda tx: tx.evidence.last_checkpoint("chain"))
        assert made is not None
        assert made.root == merkle.root([merkle.leaf_hash(bytes.fromhex(str(b["hash"])[2:])) for b in mini.blocks()])
        fetched.clear()
        witness.make(services, OPERATOR, hub.now(), {})
        assert fetched == [made.size - 1]

        class Rewritten(ChainOf):
            def block(self, number: int) -> Any:
                return SimpleNamespace(hash="0x" + "ee" * 32, parent="0x" + "00" * 32)

        rewritten = replace(services, chain=lambda: dial(Rewritten(mini)))
        with pytest.raises(ChainRewritten):
            witness.make(rewritten, OPERATOR, hub.now(), {})
        assert [chain.closed for chain in opened] == [1, 1, 1], (
            "every connection to the chain is closed, also after a failure"
        )
