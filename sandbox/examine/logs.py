"""The audit log: its leaves against the documents, the hub's checkpoints, and what the nodes co-signed.

The hub can sign any tree. What it can't do is make a node's own last co-signed root fit another one: the first `size`
leaves of the bundle must give exactly the root that each node kept (trust.toml), RFC 6962 section 2.1. Several
co-signed sizes narrow down where a change lies.
"""

from ecowire import checkpoints, documents
from privacy import merkle
from privacy.errors import Failure
from privacy.ids import Digest
from sandbox.examine import forms
from sandbox.examine.case import HUB, Case, parse_signed, records
from sandbox.examine.findings import Facts
from sandbox.examine.signatures import verify
from sandbox.examine.trust import LOGS

AUDIT = "audit"
STATEMENT_KIND = "statement"


def check(case: Case) -> None:
    """Leaves, checkpoints, co-signatures and receipts of the audit log."""
    hashes = _hashes(case)
    check_witnessed(case, AUDIT, hashes)
    _check_leaves(case)
    _check_receipts(case, hashes)
    _check_logged(case)


def tree(case: Case) -> merkle.Tree:
    """The audit log's tree over the records of the bundle."""
    return merkle.Tree(_hashes(case))


def _hashes(case: Case) -> list[bytes]:
    return [merkle.leaf_hash(leaf.data) for leaf in case.leaves]


def check_witnessed(case: Case, log: str, hashes: list[bytes]) -> None:
    """A log's checkpoints, the co-signatures in the bundle, and the roots that the nodes kept themselves."""
    tree = merkle.Tree(hashes)
    noted = _check_checkpoints(case, log, tree)
    agreed = _check_cosignatures(case, log, tree, max((size for size in noted if size <= tree.size), default=0))
    pinned = sorted((c for c in case.trust.cosigned if c.log == log), key=lambda c: (c.size, c.partner))
    if not pinned:
        case.sheet.add("LOG_NOT_WITNESSED", f"{log} log", log=log)
    for seen in pinned:
        where = f"{log} log, co-signed by {seen.partner} at {seen.size}"
        if seen.size not in noted:
            case.sheet.add("CHECKPOINT_MISSING", where, partner=seen.partner, size=seen.size, log=log)
        if seen.size > tree.size:
            case.sheet.add("LOG_TRUNCATED", where, partner=seen.partner, size=seen.size, log=log, found=tree.size)
        elif tree.root(seen.size) != seen.root:
            first = max((size for size in agreed if size < seen.size), default=0)
            facts: Facts = {"log": log, "partner": seen.partner, "size": seen.size}
            case.sheet.add("LOG_REWRITTEN", where, first=first, last=seen.size - 1, **facts)
        else:
            case.sheet.holds("co-signed roots")
            agreed.add(seen.size)


def _check_checkpoints(case: Case, log: str, tree: merkle.Tree) -> set[int]:
    """Every checkpoint: signed by the log's key, over the root its records give. The sizes that it signed."""
    noted: set[int] = set()
    seen: set[str] = set()
    for where, _, value in records(case, "audit/checkpoints.jsonl"):
        if value is None or not forms.exact(case, where, value, {"log", "note"}):
            continue
        if value["log"] not in LOGS:
            case.sheet.add("RECORD_UNREADABLE", where, why="there is no such log")
        if value["log"] != log:
            continue
        try:
            checkpoint = checkpoints.verify(value.get("note"), case.trust.log_key)
        except Failure as failure:
            case.sheet.add("CHECKPOINT_INVALID", where, why=failure.message())
            continue
        noted.add(checkpoint.size)
        if not forms.once(case, seen, where, checkpoint.size):
            continue
        if checkpoint.origin != case.trust.log_origin(log):
            case.sheet.add("CHECKPOINT_INVALID", where, why=f"it is of {checkpoint.origin}")
        elif checkpoint.size > tree.size or tree.root(checkpoint.size) != checkpoint.root:
            case.sheet.add("CHECKPOINT_ROOT_DIFFERS", where, log=log, size=checkpoint.size)
        else:
            case.sheet.holds("checkpoints")
    return noted


def _check_cosignatures(case: Case, log: str, tree: merkle.Tree, newest: int) -> set[int]:
    """The sizes at which a node's own signature stands over the root that the bundle's records give."""
    agreed: set[int] = set()
    signed_newest: set[str] = set()
    repeated: set[str] = set()
    for where, _, value in records(case, "audit/cosignatures.jsonl"):
        signed = parse_signed(case, where, value) if value is not None else None
        if signed is None or not _is_cosignature(case, where, signed) or signed.body["log"] != log:
            continue
        size, root = signed.body.get("size"), signed.body.get("root")
        if not forms.once(case, repeated, where, [signed.signer, size]) or not verify(case, where, signed):
            continue
        if type(size) is not int or not 0 <= size <= tree.size or root != tree.root(size).hex():
            case.sheet.add("CHECKPOINT_ROOT_DIFFERS", where, log=log, size=str(size)[:20])
            continue
        case.sheet.holds("co-signatures")
        agreed.add(size)
        if size == newest:
            signed_newest.add(signed.signer)
    for partner in sorted(set(case.trust.signers) - signed_newest) if newest else ():
        case.sheet.add("COSIGNATURE_MISSING", f"{log} log", log=log, size=newest, partner=partner)
    return agreed


def _is_cosignature(case: Case, where: str, signed: documents.Signed) -> bool:
    """Whether a party says it of one of this alliance's logs; the hub's own word over its log would be no witness."""
    log = signed.body.get("log")
    origin = case.trust.log_origin(log) if isinstance(log, str) and log in LOGS else None
    if signed.kind == "cosignature" and signed.signer != HUB and origin and signed.body.get("origin") == origin:
        return True
    case.sheet.add("COSIGNATURE_INVALID", where)
    return False


def _check_leaves(case: Case) -> None:
    """Each leaf stands at its index and records something that is in the bundle, or small facts of its own."""
    known = {signed.digest for signed in case.signed.values()} | set(case.proposals)
    known |= {approval.digest for proposal in case.proposals.values() for approval in proposal.approvals}
    known |= {Digest(name.split("/")[1]) for name in case.bundle.names("statements/", "/body.json")}
    for place, leaf in enumerate(case.leaves):
        if leaf.value is None:
            continue
        if leaf.value.get("index") != place:
            case.sheet.add("LEAF_OUT_OF_ORDER", leaf.where, index=str(leaf.value.get("index"))[:20], place=place)
        facts, digest = leaf.value.get("facts"), leaf.text("digest")
        own = documents.digest("facts", facts) if isinstance(facts, dict) else ""
        if digest in known or digest == own:
            case.sheet.holds("leaves")
        else:
            told: Facts = {"index": place, "kind": leaf.text("kind")[:64], "digest": digest[:64]}
            case.sheet.add("LEAF_WITHOUT_DOCUMENT", leaf.where, **told)


def _check_receipts(case: Case, hashes: list[bytes]) -> None:
    seen: set[str] = set()
    for name, receipt in case.of_kind("receipt"):
        forms.once(case, seen, name, receipt.body.get("index"))
        index, leaf = receipt.body.get("index"), receipt.body.get("leaf")
        if receipt.signer != HUB or type(index) is not int:
            continue
        if not 0 <= index < len(hashes) or hashes[index].hex() != leaf:
            signer = str(receipt.body.get("signer"))[:32]
            case.sheet.add(
                "LEAF_DIFFERS_FROM_RECEIPT", f"audit/leaves.jsonl record {index}, {name}", index=index, signer=signer
            )
        else:
            case.sheet.holds("receipts")


def _check_logged(case: Case) -> None:
    """Nothing in the bundle that the log does not know: proposals, approvals, reports, results, statements."""
    logged = {leaf.text("digest") for leaf in case.leaves}
    wanted: list[tuple[str, str, str]] = []
    for name, signed in case.signed.items():
        if signed.kind not in ("receipt", "card"):
            wanted.append((name, signed.kind, signed.digest))
    for proposal in case.proposals.values():
        wanted.append((proposal.where, proposal.kind, proposal.digest))
        wanted += [(proposal.where, approval.kind, approval.digest) for approval in proposal.approvals]
    for name in case.bundle.names("statements/", "/body.json"):
        wanted.append((name, STATEMENT_KIND, name.split("/")[1]))
    for where, kind, digest in wanted:
        if digest in logged:
            case.sheet.holds("logged documents")
        else:
            case.sheet.add("NOT_LOGGED", where, kind=kind, digest=digest)
