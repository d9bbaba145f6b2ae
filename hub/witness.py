"""Checkpoints and who co-signs them: the log's own statement goes to every node, with a proof from its last one.

A node signs only what extends what it signed before; its co-signature is verified under its registered key and kept.
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime

from contracts.chain import Chain
from ecowire import documents
from ecowire.status import MalformedMessage
from hub import audit, tasks
from hub.identity import Caller
from hub.records import Checkpoint, Cosignature, Head, Task
from hub.services import ANY, OPERATOR, Command, Reply, Services, only, whole
from hub.store import Transaction
from hub.store_tasks import FAILED, OPEN
from privacy import canonical
from privacy.ids import PartnerId

COSIGN = "audit.cosign"


def make(services: Services, caller: Caller, now: datetime, head: Head) -> Reply:
    """Checkpoint both logs, wait until the connected nodes have co-signed. Raises ChainRewritten, ChainUnavailable."""
    only(head)
    hashes = _block_hashes(services)

    def body(tx: Transaction) -> list[Checkpoint]:
        made = [services.log.chain_checkpoint(tx, now, hashes)] if hashes else []
        made.append(services.log.checkpoint(tx, now))
        for checkpoint in made:
            ask_all(tx, now, checkpoint)
        return made

    made = services.store.run("witness.checkpoint", body)
    connected = sorted(services.connected())
    services.waiters.wait([_task_id(c, node) for c in made for node in connected], services.settings.cosign_seconds)
    return Reply(head={"checkpoints": services.store.read("witness.show", lambda tx: [_show(tx, c) for c in made])})


def ask_all(tx: Transaction, now: datetime, checkpoint: Checkpoint) -> None:
    """Ask every partner's node to co-sign a checkpoint, connected or not."""
    for partner in tx.members.partners():
        if partner.state == "ACTIVE":
            _ask(tx, now, checkpoint, partner.id)


def cosigned(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
    """Keep a node's co-signature. Raises MalformedMessage or BadSignature where it is not one of this checkpoint."""
    document = documents.parse((task.reply_head or {}).get("cosignature"), kind="cosignature")
    partner = tx.members.partner(task.node)
    assert partner is not None, "only partners are asked"
    log, size = str(task.head["log"]), whole(document.body, "size")
    checkpoint = tx.evidence.checkpoint(log, size)
    expected = (task.node, log, services.log.origin(log), checkpoint.root.hex() if checkpoint else None)
    found = (document.signer, document.body.get("log"), document.body.get("origin"), document.body.get("root"))
    if found != expected or f"-{size}-" not in task.id:
        raise MalformedMessage(why="a co-signature of another checkpoint")
    document.verify(partner.signing_public)
    made = Cosignature(log=log, size=size, partner=task.node, document=document, received_at=now)
    tx.evidence.add_cosignature(made)
    newest = tx.evidence.last_checkpoint(log)
    if newest is not None:
        _ask(tx, now, newest, task.node)  # what was signed while this node was away or busy


def inclusion(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """One leaf with its inclusion proof."""
    only(head, "index")
    return Reply(head=audit.inclusion(tx, whole(head, "index")))


def _ask(tx: Transaction, now: datetime, checkpoint: Checkpoint, node: PartnerId) -> None:
    """Ask a node to co-sign, unless it has, was asked before, or has not answered an older request.

    One request of a log at a time: a proof starts at what the node signed last, which an open request may change.
    """
    old, task_id = tx.evidence.cosigned_size(checkpoint.log, node), _task_id(checkpoint, node)
    open_ = tx.tasks.count("", kind=COSIGN, node=node, state=OPEN, phase=checkpoint.log)
    if open_ or old >= checkpoint.size or tx.tasks.get(task_id) is not None:
        return
    proof = audit.consistency(tx, checkpoint.log, old, checkpoint.size)
    head: Head = {
        "log": checkpoint.log,
        "checkpoint": checkpoint.note,
        "proof": [step.hex() for step in proof],
        "old_size": old,
    }
    tasks.post(tx, now, task_id=task_id, node=node, kind=COSIGN, head=head, phase=checkpoint.log)


def _task_id(checkpoint: Checkpoint, node: str) -> str:
    return f"cosign-{checkpoint.log}-{checkpoint.size}-{node}"


def _block_hashes(services: Services) -> list[bytes]:
    """All block hashes of the configured chain, or none where no chain is configured.

    Blocks name their parents, so a known last block vouches for those before it: only newer ones are fetched.
    """
    if not services.settings.chain.endpoint:
        return []
    seen = services.store.read("witness.blocks", lambda tx: tx.evidence.blocks())
    with closing(services.chain()) as chain:
        return _hashes_of(chain, seen)


def _hashes_of(chain: Chain, seen: Sequence[bytes]) -> list[bytes]:
    head = chain.head()
    if head + 1 < len(seen) or (seen and _hash(chain.block(len(seen) - 1).hash) != seen[-1]):
        return [_hash(chain.block(number).hash) for number in range(head + 1)]  # the log names the first that differs
    hashes = list(seen)
    for number in range(len(seen), head + 1):
        block = chain.block(number)
        if hashes and _hash(block.parent) != hashes[-1]:
            raise audit.ChainRewritten(number=number)
        hashes.append(_hash(block.hash))
    return hashes


def _hash(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _show(tx: Transaction, checkpoint: Checkpoint) -> canonical.Value:
    signed = tx.evidence.cosignatures(checkpoint.log, checkpoint.size)
    refused: Head = {}
    for partner in tx.members.partners():
        task = tx.tasks.get(_task_id(checkpoint, partner.id))
        if task is not None and task.state == FAILED:
            refused[partner.id] = task.reply_head or {}
    return {
        "log": checkpoint.log,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "note": checkpoint.note,
        "cosigned": [item.partner for item in signed],
        "refused": refused,
    }


COMMANDS = {
    "checkpoint": Command(roles=(OPERATOR,), call=make),
    "audit": Command(roles=ANY, run=inclusion, changes=False),
}
ANSWERS = {COSIGN: cosigned}
