"""The audit log: what it says can be checked by others, and it can only grow."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ecowire import checkpoints
from hub.audit import ChainRewritten, LeafUnknown, LogDamaged, check, consistency, inclusion
from hub.store import Transaction
from privacy import canonical, merkle, seal
from tests.hub.alliance import Hub

NOW = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)


def append(hub: Hub, count: int) -> None:
    for i in range(count):
        hub.run(lambda services, tx, i=i: services.log.append(tx, NOW, "test", f"subject-{i}", facts={"i": i}))


def test_a_leaf_is_canonical_json_with_its_index_kind_and_digest(hub: Hub) -> None:
    append(hub, 1)
    leaf = hub.store.read("leaf", lambda tx: tx.evidence.leaves()[-1])
    value = canonical.decode(leaf.data)
    assert isinstance(value, dict)
    assert set(value) == {"index", "time", "kind", "subject", "digest", "facts"}
    assert value["index"] == leaf.index
    assert leaf.hash == merkle.leaf_hash(leaf.data)


def test_a_leaf_goes_with_its_transaction(hub: Hub) -> None:
    before = hub.leaves()

    def body(tx: Transaction) -> None:
        hub.services.log.append(tx, NOW, "test", "never")
        raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        hub.store.run("test", body)
    assert hub.leaves() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(more=st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_checkpoints_prove_inclusion_and_growth_to_somebody_with_only_the_public_key(hub: Hub, more: list[int]) -> None:
    public = hub.services.log.key.public
    seen: list[checkpoints.Checkpoint] = []
    for count in more:
        append(hub, count)
        made = hub.run(lambda services, tx: services.log.checkpoint(tx, NOW))
        checkpoint = checkpoints.verify(made.note, public)
        assert checkpoint.origin == "ecohub/test-alliance/audit"
        for old in seen:
            proof = hub.store.read("p", lambda tx, o=old, s=checkpoint.size: consistency(tx, "audit", o.size, s))
            merkle.verify_consistency(old.size, old.root, checkpoint.size, checkpoint.root, proof)
        seen.append(checkpoint)
        shown = hub.store.read("i", lambda tx, s=checkpoint.size: inclusion(tx, s // 2))
        leaf = merkle.leaf_hash(canonical.encode(shown["leaf"]))
        proof = [bytes.fromhex(step) for step in shown["proof"]]
        merkle.verify_inclusion(checkpoint.root, checkpoint.size, checkpoint.size // 2, leaf, proof)


def test_the_same_size_is_the_same_checkpoint(hub: Hub) -> None:
    first = hub.run(lambda services, tx: services.log.checkpoint(tx, NOW))
    again = hub.run(lambda services, tx: services.log.checkpoint(tx, NOW.replace(year=2027)))
    assert first == again


def test_a_log_with_two_roots_at_one_size_is_a_broken_invariant(hub: Hub) -> None:
    append(hub, 3)
    hub.run(lambda services, tx: services.log.checkpoint(tx, NOW))
    with hub.store.engine.begin() as connection:
        connection.execute(text("UPDATE leaf SET hash = :h WHERE leaf_index = 1"), {"h": "00" * 32})
    with pytest.raises(AssertionError, match="two roots"):
        hub.run(lambda services, tx: services.log.checkpoint(tx, NOW))


DAMAGES = {
    "a changed leaf": "UPDATE leaf SET data = replace(data, 'subject-1', 'subject-9') WHERE leaf_index = (:size - 2)",
    "a changed hash": "UPDATE leaf SET hash = '00' || substr(hash, 3) WHERE leaf_index = 1",
    "a missing leaf": "DELETE FROM leaf WHERE leaf_index = 1",
    "a cut tail": "DELETE FROM leaf WHERE leaf_index = (:size - 1)",
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_hub_whose_log_was_changed_does_not_serve(hub: Hub, damage: str) -> None:
    append(hub, 3)
    made = hub.run(lambda services, tx: services.log.checkpoint(tx, NOW))
    hub.store.read("check", check)
    with hub.store.engine.begin() as connection:
        assert connection.execute(text(DAMAGES[damage]), {"size": made.size}).rowcount == 1
    with pytest.raises(LogDamaged):
        hub.store.read("check", check)


def test_a_log_that_was_rewritten_and_hashed_again_does_not_fit_its_checkpoint(hub: Hub) -> None:
    append(hub, 3)
    hub.run(lambda services, tx: services.log.checkpoint(tx, NOW))
    leaf = hub.store.read("leaf", lambda tx: tx.evidence.leaves()[2])
    data = leaf.data.replace(b'"kind"', b'"kinb"')
    with hub.store.engine.begin() as connection:
        values = {"data": data.decode(), "hash": merkle.leaf_hash(data).hex()}
        connection.execute(text("UPDATE leaf SET data = :data, hash = :hash WHERE leaf_index = 2"), values)
    with pytest.raises(LogDamaged, match="another root"):
        hub.store.read("check", check)


def test_another_key_does_not_sign_for_the_log(hub: Hub) -> None:
    made = hub.run(lambda services, tx: services.log.checkpoint(tx, NOW))
    with pytest.raises(seal.BadSignature):
        checkpoints.verify(made.note, seal.SigningKey(b"\x07" * 32).public)


def test_a_receipt_names_the_leaf_and_is_signed(hub: Hub) -> None:
    document = hub.parties["bank"].sign("assets", {"partner": "bank", "assets": []})
    receipt = hub.run(lambda services, tx: services.log.record(tx, NOW, document, "bank"))
    again = hub.run(lambda services, tx: services.log.record(tx, NOW, document, "bank"))
    receipt.verify(hub.services.log.key.public)
    assert (receipt.body["document"], receipt.signer) == (document.digest, "hub")
    assert again == receipt  # one document, one leaf
    leaf = hub.store.read("leaf", lambda tx: tx.evidence.leaf(receipt.body["index"]))
    assert leaf is not None and leaf.hash.hex() == receipt.body["leaf"]


def test_a_leaf_that_is_not_there_is_named(hub: Hub) -> None:
    with pytest.raises(LeafUnknown):
        hub.store.read("leaf", lambda tx: inclusion(tx, 10_000))


@pytest.mark.parametrize("change", ["another block", "a shorter chain"])
def test_a_chain_that_rewrites_a_block_is_found_out(hub: Hub, change: str) -> None:
    blocks = [bytes([n]) * 32 for n in range(5)]
    hub.run(lambda services, tx: services.log.chain_checkpoint(tx, NOW, blocks[:3]))
    grown = hub.run(lambda services, tx: services.log.chain_checkpoint(tx, NOW, blocks))
    assert grown.root == merkle.root([merkle.leaf_hash(block) for block in blocks])
    other = [*blocks[:3], b"\xff" * 32, *blocks[4:]] if change == "another block" else blocks[:4]
    with pytest.raises(ChainRewritten):
        hub.run(lambda services, tx: services.log.chain_checkpoint(tx, NOW, other))
