"""Two attacks on an evidence bundle, for demonstrations: one flipped byte, and a hub that holds every hub key.

Neither needs a partner's key, and neither can have one: that is why both are found.
"""

from dataclasses import dataclass

from ecowire import checkpoints, evidence
from privacy import canonical, merkle, seal
from privacy.errors import Failure, Kind

RAISED_MINOR = 100_000
LEAVES, CHECKPOINTS = "audit/leaves.jsonl", "audit/checkpoints.jsonl"
COSIGNATURES, JOURNAL = "audit/cosignatures.jsonl", "ledger/entries.jsonl"


class NothingToTamper(Failure):
    code = "NOTHING_TO_TAMPER"
    kind = Kind.NOT_FOUND
    en = "the bundle holds no statement line with an amount"
    zh = "证据包中没有带金额的结算单明细"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampered:
    """An altered bundle and what was altered in it, so that a report can be checked against the truth."""

    data: bytes
    file: str
    record: int
    what: str


def flip_byte(data: bytes) -> Tampered:
    """One bit of one amount of a statement line, in a copy of the file."""
    bundle = evidence.read(data)
    name, index, line = _target(bundle)
    mark = b'"amount_minor":'
    digits = line.index(mark) + len(mark)
    while line[digits + 1 : digits + 2].isdigit():
        digits += 1
    at = data.index(line) + digits  # the last digit: with another lowest bit it is a digit still
    altered = bytearray(data)
    altered[at] ^= 0x01
    return Tampered(data=bytes(altered), file=name, record=index, what=f"one bit at byte {at:,} of the file")


def rewrite_as_hub(data: bytes, log_key: seal.SigningKey) -> Tampered:
    """Raise one amount and make everything fit again that the hub can make: total, root, commitments, statement id,
    journal, audit leaves, every checkpoint signed anew with the log's key, and the manifest.

    What parties signed is left as it is, since a changed copy would only show sooner; co-signatures that no longer fit
    are left out.
    """
    bundle = evidence.read(data)
    name, index, _ = _target(bundle)
    folder = name.rsplit("/", 1)[0]
    entries = dict(bundle.entries)
    rows = _objects(entries[name])
    line = rows[index]["line"]
    amount = _amount(line)
    assert isinstance(line, dict), "an amount stands in an object"
    line["amount_minor"] = amount + RAISED_MINOR
    entries[name] = evidence.jsonl([*rows])
    body = _refit(_object(entries[f"{folder}/body.json"]), rows, _object(entries[f"{folder}/salts.json"]))
    entries[f"{folder}/body.json"] = canonical.encode(body)
    before, after = folder.split("/")[1], canonical.digest("ecohub/statement/v1", body).hex()
    entries[JOURNAL] = _journal(entries[JOURNAL].replace(before.encode(), after.encode()), after, body)
    entries[LEAVES] = entries[LEAVES].replace(before.encode(), after.encode())
    entries[CHECKPOINTS] = _sign_again(entries, log_key)
    entries[COSIGNATURES] = _fitting(entries)
    return Tampered(
        data=evidence.write(
            {key.replace(before, after): value for key, value in entries.items()},
            alliance=bundle.alliance,
            period=bundle.period,
        ),
        file=name.replace(before, after),
        record=index,
        what=f"{amount} fen became {amount + RAISED_MINOR} fen, and the hub signed everything again",
    )


def _target(bundle: evidence.Bundle) -> tuple[str, int, bytes]:
    """(file, record, bytes) of the first statement line that pays something."""
    for name in bundle.names("statements/", "/lines.jsonl"):
        for index, row in enumerate(evidence.lines(bundle.entries[name])):
            line = _object(row).get("line")
            if isinstance(line, dict) and isinstance(line.get("amount_minor"), int) and line["amount_minor"] != 0:
                return name, index, row
    raise NothingToTamper


def _refit(
    body: dict[str, canonical.Value], rows: list[dict[str, canonical.Value]], salts: dict[str, canonical.Value]
) -> dict[str, canonical.Value]:
    leaves = [merkle.leaf_hash(bytes.fromhex(str(row["salt"])) + canonical.encode(row["line"])) for row in rows]
    total = sum(_amount(row["line"]) for row in rows)
    brought = body["brought_forward_minor"]
    assert isinstance(brought, int)
    commitment: canonical.Value = {"salt": salts["total"], "total_minor": total, "currency": body["currency"]}
    return {
        **body,
        "lines_root": merkle.root(leaves).hex(),
        "total_minor": total,
        "payable_minor": max(0, total + brought),
        "carried_forward_minor": min(0, total + brought),
        "total_commitment": canonical.digest("ecohub/total-commitment/v1", commitment).hex(),
    }


def _journal(data: bytes, statement: str, body: dict[str, canonical.Value]) -> bytes:
    """The entries of the statement at its new total."""
    out: list[canonical.Value] = []
    for entry in _objects(data):
        postings = entry["postings"]
        assert isinstance(postings, list), "an entry has postings"
        if entry["subject"] == statement:
            amount = {"amount_minor": body["total_minor"]}
            entry = {**entry, "postings": [{**p, **amount} for p in postings if isinstance(p, dict)]}
        out.append(entry)
    return evidence.jsonl(out)


def _sign_again(entries: dict[str, bytes], log_key: seal.SigningKey) -> bytes:
    leaves = [merkle.leaf_hash(line) for line in evidence.lines(entries[LEAVES])]
    out: list[canonical.Value] = []
    for row in _objects(entries[CHECKPOINTS]):
        old = checkpoints.parse(row["note"])
        if row["log"] == "audit":
            made = checkpoints.Checkpoint(origin=old.origin, size=old.size, root=merkle.root(leaves[: old.size]))
            row = {**row, "note": checkpoints.sign(made, log_key)}
        out.append(row)
    return evidence.jsonl(out)


def _fitting(entries: dict[str, bytes]) -> bytes:
    """The co-signatures that still fit the logs."""
    leaves = [merkle.leaf_hash(line) for line in evidence.lines(entries[LEAVES])]
    kept: list[canonical.Value] = []
    for signed in _objects(entries[COSIGNATURES]):
        body = signed["body"]
        assert isinstance(body, dict), "a co-signature has a body"
        size = body["size"]
        assert isinstance(size, int), "a co-signature has a size"
        if body["log"] == "chain" or body["root"] == merkle.root(leaves[:size]).hex():
            kept.append(signed)
    return evidence.jsonl(kept)


def _amount(line: canonical.Value) -> int:
    amount = line["amount_minor"] if isinstance(line, dict) else None
    assert isinstance(amount, int), "a line has a whole amount"
    return amount


def _object(data: bytes) -> dict[str, canonical.Value]:
    value = canonical.decode(data)
    assert isinstance(value, dict), "records of a bundle are objects"
    return value


def _objects(data: bytes) -> list[dict[str, canonical.Value]]:
    return [_object(line) for line in evidence.lines(data)]
