"""The hub's audit log: leaves, signed checkpoints, proofs and receipts.

RFC 6962 Merkle tree over the leaves' canonical bytes. A leaf is appended inside the transaction of what it records, so
neither exists without the other. There is no way to change or remove a leaf here; that nobody did it elsewhere is what
the nodes' co-signatures over checkpoints prove.
"""

from dataclasses import dataclass
from datetime import datetime

from ecowire import checkpoints, documents
from hub import times
from hub.records import Checkpoint, Head, Leaf
from hub.store import Transaction
from privacy import canonical, merkle, seal
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId

HUB = PartnerId("hub")
AUDIT, CHAIN = "audit", "chain"
FACTS_BYTES_MAX = 4096


class LeafUnknown(Failure):
    code = "LEAF_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "the audit log has no leaf {index}; it has {size} leaves"
    zh = "存证日志没有第 {index} 条记录，目前共 {size} 条"


class LogDamaged(Failure):
    code = "LOG_DAMAGED"
    kind = Kind.INTEGRITY
    en = "the audit log is not what was signed: {why}; stop, keep this database as evidence, restore the last backup"
    zh = "存证日志与签名内容不符：{why}；请停止服务、保留该数据库作为证据并恢复最近备份"


class ChainRewritten(Failure):
    code = "CHAIN_REWRITTEN"
    kind = Kind.INTEGRITY
    en = "block {number} of the chain is another one than first seen: settlement must stop until this is explained"
    zh = "链上第 {number} 区块与首次所见不同：在查明原因前必须停止结算"


@dataclass(frozen=True, slots=True)
class Log:
    """The log's name and signing key. `origin` also names the chain's checkpoints, with "/chain" after it."""

    alliance: str
    key: seal.SigningKey

    def origin(self, log: str) -> str:
        """The C2SP origin of this alliance's audit or chain log."""
        return f"ecohub/{self.alliance}/{log}"

    def append(
        self, tx: Transaction, now: datetime, kind: str, subject: str, *, digest: str = "", facts: Head | None = None
    ) -> Leaf:
        """Append one leaf: what happened (kind) to what (subject), the digest of the document it records, small facts.

        Without a document the digest is that of the facts.
        """
        facts = facts or {}
        index = tx.evidence.size()
        value: Head = {
            "index": index,
            "time": times.iso(now),
            "kind": kind,
            "subject": subject,
            "digest": digest or documents.digest("facts", facts),
            "facts": facts,
        }
        data = canonical.encode(value)
        assert len(data) <= FACTS_BYTES_MAX, "a leaf holds small facts; documents go in by digest"
        leaf = Leaf(index=index, time=now, kind=kind, subject=subject, data=data, hash=merkle.leaf_hash(data))
        tx.evidence.add_leaf(leaf)
        return leaf

    def receipt(self, leaf: Leaf, document: documents.Signed, now: datetime) -> documents.Signed:
        """The hub's signed word that a party's document stands in the log at this leaf."""
        body: documents.Body = {
            "log": self.origin(AUDIT),
            "index": leaf.index,
            "leaf": leaf.hash.hex(),
            "document": document.digest,
            "kind": document.kind,
            "signer": document.signer,
            "time": times.iso(now),
        }
        return documents.sign("receipt", body, HUB, self.key)

    def record(
        self, tx: Transaction, now: datetime, document: documents.Signed, subject: str, facts: Head | None = None
    ) -> documents.Signed:
        """Append the leaf of a party's signed document, once, and give the receipt for it."""
        digest = document.digest  # once: it is a hash of the whole document
        for known in tx.evidence.leaves(kind=document.kind, subject=subject):
            value = canonical.decode(known.data)
            assert isinstance(value, dict) and isinstance(value["facts"], dict)
            if value["digest"] == digest and value["facts"].get("signer") == document.signer:
                return self.receipt(known, document, known.time)
        facts = {"signer": document.signer, **(facts or {})}
        leaf = self.append(tx, now, document.kind, subject, digest=digest, facts=facts)
        return self.receipt(leaf, document, now)

    def checkpoint(self, tx: Transaction, now: datetime) -> Checkpoint:
        """Sign the audit log as it stands. The same size twice is the same checkpoint."""
        hashes = tx.evidence.leaf_hashes(tx.evidence.size())
        return self._sign(tx, now, AUDIT, hashes)

    def chain_checkpoint(self, tx: Transaction, now: datetime, block_hashes: list[bytes]) -> Checkpoint:
        """Sign the chain's blocks 0…n-1 by hash. Raises ChainRewritten where one differs from what was seen."""
        seen = tx.evidence.blocks()
        for number, (old, new) in enumerate(zip(seen, block_hashes, strict=False)):
            if old != new:
                raise ChainRewritten(number=number)
        if len(block_hashes) < len(seen):
            raise ChainRewritten(number=len(block_hashes))
        tx.evidence.add_blocks(len(seen), block_hashes[len(seen) :])
        return self._sign(tx, now, CHAIN, [merkle.leaf_hash(block) for block in block_hashes])

    def _sign(self, tx: Transaction, now: datetime, log: str, hashes: list[bytes]) -> Checkpoint:
        root = merkle.root(hashes)
        known = tx.evidence.checkpoint(log, len(hashes))
        if known is not None:
            assert known.root == root, f"the {log} log has two roots at size {len(hashes)}"
            return known
        note = checkpoints.sign(checkpoints.Checkpoint(origin=self.origin(log), size=len(hashes), root=root), self.key)
        made = Checkpoint(log=log, size=len(hashes), root=root, note=note, time=now)
        tx.evidence.add_checkpoint(made)
        return made


def check(tx: Transaction) -> None:
    """Compare the stored log with the checkpoints that were signed over it; called before a hub serves.

    Raises LogDamaged where a leaf, its hash or the log's length is another one. What this can't see is a database put
    back as a whole: the nodes' co-signed checkpoints show that.
    """
    tree = merkle.Tree()
    for index, leaf in enumerate(tx.evidence.leaves()):
        if leaf.index != index or merkle.leaf_hash(leaf.data) != leaf.hash:
            raise LogDamaged(why=f"leaf {index} was changed or is missing")
        tree.append(leaf.hash)
    for checkpoint in tx.evidence.checkpoints():
        if checkpoint.log != AUDIT:
            continue
        if checkpoint.size > tree.size:
            raise LogDamaged(why=f"it has {tree.size} leaves, {checkpoint.size} were signed")
        if tree.root(checkpoint.size) != checkpoint.root:
            raise LogDamaged(why=f"the first {checkpoint.size} leaves have another root")


def log_hashes(tx: Transaction, log: str, size: int) -> list[bytes]:
    """The leaf hashes below a checkpoint of this size. In the chain log leaf i is the hash of block i."""
    if log == CHAIN:
        return [merkle.leaf_hash(block) for block in tx.evidence.blocks()[:size]]
    return tx.evidence.leaf_hashes(size)


def consistency(tx: Transaction, log: str, old_size: int, size: int) -> list[bytes]:
    """The proof that the first `old_size` leaves are a prefix of the log at `size` (RFC 6962 section 2.1.2)."""
    return merkle.consistency_proof(log_hashes(tx, log, size), old_size)


def inclusion(tx: Transaction, index: int) -> Head:
    """One leaf with its inclusion proof in the log as it stands. Raises LeafUnknown."""
    size = tx.evidence.size()
    leaf = tx.evidence.leaf(index)
    if leaf is None:
        raise LeafUnknown(index=index, size=size)
    hashes = tx.evidence.leaf_hashes(size)
    proof = merkle.inclusion_proof(hashes, index)
    return {
        "index": index,
        "leaf": canonical.decode(leaf.data),
        "leaf_hash": leaf.hash.hex(),
        "size": size,
        "root": merkle.root(hashes).hex(),
        "proof": [step.hex() for step in proof],
    }
