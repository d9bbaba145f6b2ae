"""The logs' checkpoints in the anchor contract, read from the second EVM, against the records of the bundle.

The hub can sign any tree and every checkpoint again. What it can't take back is a root that it handed to a contract: it
stands in blocks whose hashes the nodes co-signed. So the first `size` records must give each anchored root (RFC 6962
section 2.1), and the log must reach to each anchored size.

Which contracts count? Those with our code to which the hub handed in, whatever the bundle names, so that naming another
contract or none hides nothing. The hub's accounts are those that handed statements to the contract pinned by the
parties, the parties' own left out, or checkpoints to the anchor that the bundle names. Another account may deploy an
anchor of its own and put anything in: that is told, with how many of its roots are not the bundle's, and is no error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from contracts import anchor, settlement
from contracts.chain import Log
from contracts.errors import CodeDiffers
from contracts.keys import Address, parse_address
from privacy import merkle
from privacy.errors import Failure
from sandbox.chain.replay import Replay, Replayed
from sandbox.examine import forms
from sandbox.examine.case import Case, decode
from sandbox.examine.trust import LOGS

NAMED = "chain/anchor.json"
AUDIT = "audit"
Ran = Sequence[tuple[str, Replayed]]  # place in the bundle, what the transaction did in the second EVM


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """A checkpoint that an account handed in: of this log, its first `size` records have this root (32 bytes)."""

    where: str
    log: str
    size: int
    root: bytes
    contract: Address
    account: Address

    def to_value(self, records: int) -> dict[str, str | int]:
        """The report's form, beside the number of records that the bundle has."""
        root = self.root.hex()
        return {"size": self.size, "records": records, "root": root, "contract": self.contract, "where": self.where}


def check(case: Case, evm: Replay, ran: Ran, trees: Mapping[str, merkle.Tree]) -> dict[str, Anchored]:
    """Check every checkpoint that the hub anchored; the last one of each log. trees: the bundle's records by log."""
    named = _named(case, evm)
    found = list(_all(case, evm, ran))
    own = _accounts(case, ran) - _parties(case) | {one.account for one in found if one.contract == named}
    _tell_of_others(case, [one for one in found if one.account not in own], trees)
    last: dict[str, Anchored] = {}
    for log in LOGS:
        mine = [one for one in found if one.log == log and one.account in own]
        _check_order(case, mine)
        _check_roots(case, mine, trees[log])
        if mine:
            last[log] = mine[-1]
    if named is not None and not any(one.contract == named and one.log == AUDIT for one in found):
        case.sheet.add("LOG_NOT_ANCHORED", NAMED, log=AUDIT, contract=named)
    return last


def _named(case: Case, evm: Replay) -> Address | None:
    """The anchor that the bundle names, where it names one that holds our code."""
    if NAMED not in case.bundle.entries:
        return None
    value = decode(case, NAMED, case.bundle.entries[NAMED])
    if value is None or not forms.exact(case, NAMED, value, {"address"}):
        return None
    try:
        contract = parse_address(value["address"])
    except Failure as failure:
        case.sheet.add("RECORD_UNREADABLE", NAMED, why=failure.message())
        return None
    if not _is_ours(evm, contract):
        case.sheet.add("ANCHOR_NOT_FOUND", NAMED, contract=contract)
        return None
    return contract


def _all(case: Case, evm: Replay, ran: Ran) -> Iterator[Anchored]:
    """Every checkpoint of this alliance's logs in a contract of our code, in the chain's order."""
    origins = {anchor.origin_hash(case.trust.log_origin(log)): log for log in LOGS}
    ours: dict[Address, bool] = {}
    for where, one in ran:
        for entry in one.logs:
            if not _tells(entry, origins) or not ours.setdefault(entry.address, _is_ours(evm, entry.address)):
                continue
            (event,) = anchor.events([entry], entry.address)
            size, root = event["size"], event["root"]
            assert isinstance(size, int) and isinstance(root, bytes), "by the ABI"
            log, told = origins[entry.topics[1]], entry.address
            yield Anchored(where=where, log=log, size=size, root=root, contract=told, account=one.sender)


def _tells(entry: Log, origins: Mapping[bytes, str]) -> bool:
    """Whether it is one that our code writes; a constructor may have logged anything before."""
    topics = entry.topics
    form = (len(topics), len(entry.data)) == (3, 32)
    return form and topics[0] == anchor.ANCHORED and topics[1] in origins


def _is_ours(evm: Replay, contract: Address) -> bool:
    try:
        anchor.governor_of(evm.code(contract))
    except CodeDiffers:
        return False
    return True


def _accounts(case: Case, ran: Ran) -> set[Address]:
    """The accounts that handed statements to the contract pinned by the parties."""
    return {
        one.sender
        for _, one in ran
        if any(event.name == "Proposed" for event in settlement.events(one.logs, case.trust.contract))
    }


def _parties(case: Case) -> set[Address]:
    """The parties' own accounts: one may hand in what both signed, and none of its roots may accuse the hub by that."""
    return {signer.chain for signer in case.trust.signers.values()}


def _tell_of_others(case: Case, anchored: Sequence[Anchored], trees: Mapping[str, merkle.Tree]) -> None:
    """One warning for each account, contract and log: who can't be told for the hub may be anybody."""
    groups: dict[tuple[Address, Address, str], list[Anchored]] = {}
    for one in anchored:
        groups.setdefault((one.account, one.contract, one.log), []).append(one)
    for (account, contract, log), group in groups.items():
        tree = trees[log]
        differing = sum(one.size > tree.size or tree.root(one.size) != one.root for one in group)
        facts: dict[str, str | int] = {"account": account, "contract": contract, "log": log}
        facts |= {"count": len(group), "differing": differing}
        case.sheet.add("ANCHOR_OF_OTHER", group[0].where, **facts)


def _check_order(case: Case, anchored: Sequence[Anchored]) -> None:
    """One contract takes growing sizes only; so must all of them together."""
    before = 0
    for one in anchored:
        if one.size < before:
            case.sheet.add("ANCHOR_SIZES_SHRINK", one.where, log=one.log, size=one.size, before=before)
        before = max(before, one.size)


def _check_roots(case: Case, anchored: Sequence[Anchored], tree: merkle.Tree) -> None:
    """One finding for all roots that differ: the smallest size tells most. One for all sizes beyond the log."""
    held, differing, beyond = 0, [], []
    for one in sorted(anchored, key=lambda one: one.size):
        if one.size > tree.size:
            beyond.append(one)
        elif tree.root(one.size) != one.root:
            differing.append(one)
        else:
            case.sheet.holds("anchored roots")
            held = held if differing else one.size
    if differing:
        one = differing[0]
        facts: dict[str, str | int] = {"log": one.log, "size": one.size, "contract": one.contract}
        facts |= {"first": held, "last": one.size - 1, "count": len(differing)}
        case.sheet.add("ANCHOR_ROOT_DIFFERS", one.where, **facts)
    if beyond:
        one = beyond[-1]
        facts = {"log": one.log, "size": one.size, "contract": one.contract, "found": tree.size}
        case.sheet.add("ANCHOR_BEYOND_LOG", one.where, **facts)
