"""The evidence bundle: what the hub hands to a regulator, and the one reader and writer of it.

A bundle is a ZIP of STORED entries, sorted by name, with fixed timestamps: one content, one sequence of bytes. So a
reader can write the entries again and compare: any changed bit of the file shows, wherever it sits. Nothing in a bundle
is trusted: keys, genesis and co-signed checkpoints come from the parties (trust.toml).

Files ending in .jsonl hold one canonical JSON value a line ("\\n" after each); .json files hold one canonical value.

    manifest.json                   {"format","alliance","period","entries":{name:{"bytes","sha256"}}}
    cards/<partner>.json            Signed "card", for information: the examiner pins keys from trust.toml
    audit/leaves.jsonl              the audit log from index 0: line i is exactly leaf i's bytes (RFC 6962 leaf
                                    data): an object with at least "kind" and "digest" (of what it records)
    audit/checkpoints.jsonl         {"log":"audit"|"chain","note":text}, oldest first: every signed checkpoint
    audit/cosignatures.jsonl        Signed "cosignature" by a node, body {"log","origin","size","root",…}
    proposals/<digest>.json         {"kind","body","state","approvals":[Signed "approval"…]}; digest = documents.digest
    documents/<digest>.json         any other Signed document: assets, match-commitment, match-result, train-result, …
    events/<digest>.json            Signed "events" by the payer
    referrals/<digest>.json         Signed "referrals" by the referrer
    statements/<id>/body.json       the statement's canonical body
    statements/<id>/lines.jsonl     {"line":{…},"salt":hex 32 bytes}: line i with the salt of its leaf
    statements/<id>/salts.json      {"total":hex 32 bytes}: the salt of the total's commitment
    statements/<id>/signatures.json {"payer":hex 65 bytes,"referrer":hex 65 bytes,"state"}: EIP-712 over the anchor
    chain/genesis.json              the genesis document; its digest is pinned by trust.toml
    chain/blocks.jsonl              blocks from 0: {"number","hash","timestamp","header","transactions","receipts"}
    chain/contract.json             {"address","chain_id"}: must be those of trust.toml
    chain/anchor.json               {"address"}: the contract in which the hub anchors its logs, where it does
    ledger/entries.jsonl            {"id","subject","memo","state","reverses","postings":[{"account","asset","side",
                                    "amount_minor"}]}: journal entries of the period
    payments/payments.jsonl         {"statement","attempt","state","match","payout","commitment","entries",
                                    "returned_by","charge_minor"}: settled payments, each with what its commitment
                                    stands for (`codec_payout`), the match that took it back, what the bank kept of it
    payments/bank.jsonl             {"entry","currency","amount_minor","debit","suspended","match","kind","account"}:
                                    what the bank booked, whether it stood in suspense, where its match put it
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from privacy import canonical
from privacy.errors import Failure, Kind

FORMAT = "ecohub-evidence/1"
MANIFEST = "manifest.json"
ENTRIES_MAX = 20_000
ENTRY_BYTES_MAX = 256 << 20
BUNDLE_BYTES_MAX = 1 << 30
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}(/[a-z0-9][a-z0-9._-]{0,79}){0,3}")
_LOCAL_HEADER_BYTES = 30  # APPNOTE.TXT 6.3.10 section 4.3.7; no extra field is ever written
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BundleMalformed(Failure):
    code = "BUNDLE_MALFORMED"
    kind = Kind.INTEGRITY
    en = "the evidence bundle can't be read: {why}; ask the hub to export it again"
    zh = "证据包无法读取：{why}；请枢纽重新导出"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One entry that is not what the manifest says: altered, missing, or not listed."""

    name: str
    why: str  # "altered" | "missing" | "unlisted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The entries of a bundle by name, without the manifest, and what the manifest says."""

    alliance: str
    period: str
    entries: Mapping[str, bytes]
    damages: tuple[Damage, ...]
    exact: bool  # False: the file has other bytes than `write` gives for these entries

    def names(self, prefix: str, suffix: str = "") -> tuple[str, ...]:
        """The entry names under a prefix, sorted."""
        return tuple(name for name in sorted(self.entries) if name.startswith(prefix) and name.endswith(suffix))


def write(entries: Mapping[str, bytes], *, alliance: str, period: str) -> bytes:
    """The bytes of a bundle. The same entries give the same bytes on any machine.

    Raises BundleMalformed for a name that `read` would refuse and for sizes over the limits.
    """
    listed: dict[str, canonical.Value] = {}
    for name, data in entries.items():
        _check_name(name)
        if name == MANIFEST:
            raise BundleMalformed(why="the manifest is made here")
        listed[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = canonical.encode({"format": FORMAT, "alliance": alliance, "period": period, "entries": listed})
    _check_sizes([len(manifest), *map(len, entries.values())])
    return _zip({**entries, MANIFEST: manifest})


def read(data: bytes) -> Bundle:
    """The bundle of a file's bytes. What does not fit the manifest is listed in `damages`, so that it can be named.

    Raises BundleMalformed where there is no readable archive or manifest, a name points outside, repeats or is odd, an
    entry is compressed or encrypted, or a limit is passed.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise BundleMalformed(why=f"more than {BUNDLE_BYTES_MAX} bytes")
    found = dict(_slices(data))
    if MANIFEST not in found:
        raise BundleMalformed(why="no manifest.json")
    raw_manifest = found.pop(MANIFEST)
    alliance, period, listed = _manifest(raw_manifest)
    return Bundle(
        alliance=alliance,
        period=period,
        entries=found,
        damages=_compare(found, listed),
        exact=_zip({**found, MANIFEST: raw_manifest}) == data,
    )


def jsonl(values: list[canonical.Value] | tuple[canonical.Value, ...]) -> bytes:
    """One canonical value a line."""
    return b"".join(canonical.encode(value) + b"\n" for value in values)


def lines(data: bytes) -> list[bytes]:
    """The lines of a .jsonl entry without their line ends; a last line without one is kept as it is."""
    rows = data.split(b"\n")
    return rows[:-1] if rows[-1] == b"" else rows


def _zip(entries: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, entries[name])
    return out.getvalue()


def _slices(data: bytes) -> Iterator[tuple[str, bytes]]:
    # The bytes are sliced out of the file instead of read through zipfile, which stops at a wrong CRC: an altered
    # entry must still be decoded, or its altered record could not be named.
    try:
        infos = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, UnicodeDecodeError):
        raise BundleMalformed(why="not a ZIP archive") from None
    _check_sizes([info.file_size for info in infos])
    seen: set[str] = set()
    for info in infos:
        _check_name(info.orig_filename)
        if info.filename in seen:
            raise BundleMalformed(why="an entry appears twice")
        seen.add(info.filename)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise BundleMalformed(why="an entry is compressed or encrypted")
        start = info.header_offset + _LOCAL_HEADER_BYTES + len(info.filename)
        if info.header_offset < 0 or start + info.file_size > len(data):
            raise BundleMalformed(why="an entry lies outside the file")
        yield info.filename, data[start : start + info.file_size]


def _manifest(raw: bytes) -> tuple[str, str, Mapping[str, object]]:
    try:
        value = canonical.decode(raw)
    except canonical.NotCanonical:
        raise BundleMalformed(why="manifest.json is not canonical JSON") from None
    if not isinstance(value, dict) or set(value) != {"format", "alliance", "period", "entries"}:
        raise BundleMalformed(why="manifest.json has another form")
    if value["format"] != FORMAT:
        raise BundleMalformed(why="another format than " + FORMAT)
    alliance, period, listed = value["alliance"], value["period"], value["entries"]
    if not isinstance(alliance, str) or not isinstance(period, str) or not isinstance(listed, dict):
        raise BundleMalformed(why="manifest.json has another form")
    return alliance, period, listed


def _compare(found: Mapping[str, bytes], listed: Mapping[str, object]) -> tuple[Damage, ...]:
    damages = [Damage(name=name, why="unlisted") for name in found if name not in listed]
    for name, entry in listed.items():
        if name not in found:
            damages.append(Damage(name=name[:200], why="missing"))
            continue
        expected = {"bytes": len(found[name]), "sha256": hashlib.sha256(found[name]).hexdigest()}
        if entry != expected:
            damages.append(Damage(name=name, why="altered"))
    return tuple(sorted(damages, key=lambda damage: damage.name))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BundleMalformed(why="an entry name that is not allowed")


def _check_sizes(sizes: list[int]) -> None:
    if len(sizes) > ENTRIES_MAX:
        raise BundleMalformed(why=f"more than {ENTRIES_MAX} entries")
    if any(size > ENTRY_BYTES_MAX for size in sizes) or sum(sizes) > BUNDLE_BYTES_MAX:
        raise BundleMalformed(why="an entry or the whole is larger than allowed")
