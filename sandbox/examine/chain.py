"""The settlement chain: the genesis the parties pinned, blocks linked, run again in a second EVM, states compared
with the statements, hashes with the checkpoints that the nodes co-signed.

What the contract holds at the end is read from the second EVM, never from the first one's results.
"""

import json
from collections.abc import Mapping, Set

from contracts import abi, artifacts, settlement
from contracts.keys import Address
from privacy import canonical, merkle
from privacy.errors import Failure
from sandbox.chain import genesis
from sandbox.chain.replay import Replay, ReplayBlock, Replayed, replay
from sandbox.examine import anchors, logs
from sandbox.examine import blocks as exported
from sandbox.examine.anchors import Anchored
from sandbox.examine.blocks import Block
from sandbox.examine.case import Case
from sandbox.examine.statements import Recomputed

CHAIN = "chain"
GENESIS = "chain/genesis.json"
CONTRACT = "chain/contract.json"
# what the chain may hold where the books have a state that the contract does not know, or knows only sometimes
ALLOWED = {
    "DRAFT": ("NONE",),
    "DISPUTED": ("NONE", "DISPUTED"),
    "VOID": ("NONE", "VOID"),
    "FINAL": ("FINAL", "PAID", "ACKED"),  # the broker and the partner go on without the hub
    "PAID": ("PAID", "ACKED"),
}


def check(case: Case, settled: tuple[Recomputed, ...], paid: Mapping[str, Set[str]]) -> dict[str, Anchored]:
    """Check the chain of the bundle against trust, the recomputed statements, and the payments' commitments.

    Gives the last anchored checkpoint of each log that has one.
    """
    if GENESIS not in case.bundle.entries and case.bundle.entries.get(exported.NAME):
        case.sheet.add("CHAIN_NOT_EXAMINED", exported.NAME)
        return {}
    data = case.bundle.entries.get(GENESIS, b"")
    digest = exported.genesis_digest(data)
    if digest != case.trust.genesis:
        case.sheet.add("CHAIN_OTHER_GENESIS", GENESIS, found=digest or "none")
        return {}
    case.sheet.holds("genesis")
    _check_named_contract(case)
    found = exported.read(case)
    hashes = [merkle.leaf_hash(block.header.hash) for block in found]
    logs.check_witnessed(case, CHAIN, hashes)
    replayed = _replay(case, genesis.from_body(json.loads(data)), found)
    if replayed is None:
        return {}
    evm, ran = replayed
    anchored = anchors.check(case, evm, ran, {CHAIN: merkle.Tree(hashes), logs.AUDIT: logs.tree(case)})
    _check_contract(case, evm, settled)
    for one in settled:
        _check_state(case, evm, one, paid.get(one.id, set()))
    _check_foreign(case, found, settled)
    _note_dismissed(case, found)
    return anchored


def _check_named_contract(case: Case) -> None:
    named = case.bundle.entries.get(CONTRACT)
    pinned: canonical.Value = {"address": case.trust.contract, "chain_id": case.trust.chain_id}
    if named is not None and named != canonical.encode(pinned):
        case.sheet.add("CHAIN_OTHER_CONTRACT", CONTRACT)


def _replay(case: Case, begun: genesis.Genesis, found: list[Block]) -> tuple[Replay, list[tuple[str, Replayed]]] | None:
    """The second EVM after all blocks, and what each transaction did there, by its place; None where it stopped.

    Each outcome is compared with its receipt.
    """
    again = [
        ReplayBlock(number=block.header.number, time=block.header.time, transactions=block.transactions)
        for block in found[1:]
    ]
    try:
        done, evm = replay(begun, again)
    except Failure as failure:
        case.sheet.add("CHAIN_BROKEN", exported.NAME, why=failure.message())
        return None
    stored = [(block, i) for block in found for i in range(len(block.transactions))]
    places = [f"{block.where} transaction {i}" for block, i in stored]
    for result, where, (block, i) in zip(done, places, stored, strict=True):
        if result.succeeded != block.receipts[i].succeeded:
            case.sheet.add("CHAIN_REPLAY_DIFFERS", where, what="its outcome")
        elif result.logs != block.receipts[i].logs:
            case.sheet.add("CHAIN_REPLAY_DIFFERS", where, what="its events")
        else:
            case.sheet.holds("transactions replayed")
    return evm, list(zip(places, done, strict=True))


def _check_contract(case: Case, evm: Replay, settled: tuple[Recomputed, ...]) -> None:
    """The pinned contract holds our code, made for this chain, with the payer's own account as the broker's."""
    contract = case.trust.contract
    names = settlement.IMMUTABLES
    found = artifacts.load("Settlement").check_code(evm.code(contract), len(names))
    stored = dict(zip(names, found, strict=True))
    if stored["DOMAIN"] != settlement.domain(case.trust.chain_id, contract):
        case.sheet.add("CHAIN_BROKEN", "contract", why="its EIP-712 domain is another chain's or contract's")
    for one in settled:
        payer, referrer = one.agreement.payer.partner, one.agreement.referrer.partner
        pairs = ((payer, abi.address(stored["BROKER"])), (referrer, _signer(evm, contract, one.partner)))
        for partner, account in pairs:
            pinned = case.trust.signers.get(partner)
            if pinned is not None and pinned.chain != account:
                case.sheet.add("KEY_NOT_PINNED", "contract", key="chain", partner=partner)
            else:
                case.sheet.holds("accounts on chain")


def _check_state(case: Case, evm: Replay, one: Recomputed, paid: Set[str]) -> None:
    answer = evm.call(case.trust.contract, abi.selector("record(bytes32)") + one.digest)
    record = abi.words(answer, settlement.RECORD_WORDS)
    state = settlement.STATES.get(abi.integer(record[1]), "UNKNOWN")
    if state in ALLOWED.get(one.state, (one.state,)):
        case.sheet.holds("statements on chain")
    else:
        case.sheet.add("STATEMENT_NOT_ON_CHAIN", one.where, state=one.state, found=state)
    if paid and any(record[-1]) and record[-1].hex() not in paid:
        case.sheet.add("PAYMENT_DIFFERS", one.where, order=one.id[:16], what="the commitment on the chain")


def _check_foreign(case: Case, found: list[Block], settled: tuple[Recomputed, ...]) -> None:
    known = {one.digest for one in settled}
    for block in found:
        for i, receipt in enumerate(block.receipts):
            for event in settlement.events(receipt.logs, case.trust.contract):
                digest = event["digest"] if event.name == "Proposed" else None
                if isinstance(digest, bytes) and digest not in known:
                    case.sheet.add("CHAIN_EVENT_UNKNOWN", f"{block.where} transaction {i}", digest=digest.hex())


def _note_dismissed(case: Case, found: list[Block]) -> None:
    """Which disputes the arbiter dismissed: the contract takes one of a statement, and decides it once."""
    disputed: dict[bytes, str] = {}
    for receipt in (receipt for block in found for receipt in block.receipts):
        for event in settlement.events(receipt.logs, case.trust.contract):
            digest, reason = (dict(event.values).get(name) for name in ("digest", "reason"))
            if not isinstance(digest, bytes) or not isinstance(reason, bytes):
                continue
            if event.name == "Disputed":
                disputed[digest] = reason.hex()
            elif event.name == "Resolved" and not event["upheld"]:
                case.dismissed[digest] = disputed.get(digest, "")


def _signer(evm: Replay, contract: Address, partner: bytes) -> Address:
    answer = evm.call(contract, abi.selector("signer(bytes32)") + partner)
    return abi.address(abi.words(answer, 1)[0])
