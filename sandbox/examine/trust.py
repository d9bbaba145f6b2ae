"""trust.toml: what a regulator believes because the parties said it themselves, and nothing from the bundle.

Each node exports its own part (`ecohub partner trust export`); `merge` puts the parts together and refuses parts that
contradict each other. Keys are public; hex throughout.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.keys import Address, parse_address
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId, parse_partner_id

LOGS = ("audit", "chain")
TEXT_BYTES_MAX = 1 << 20
_ALLIANCE = ("authority_sha256", "log_key", "origin")
_GENESIS = ("digest", "chain_id", "contract")
_SIGNER = ("partner", "signing", "sealing", "chain")
_COSIGNED = ("partner", "log", "size", "root")


class TrustInvalid(Failure):
    code = "TRUST_INVALID"
    kind = Kind.INVALID
    en = "trust.toml is not valid: {why}; each node exports its part with `ecohub partner trust export`"
    zh = "trust.toml 无效：{why}；各节点用 `ecohub partner trust export` 导出各自部分"


class TrustConflict(Failure):
    code = "TRUST_CONFLICT"
    kind = Kind.INTEGRITY
    en = "the parties contradict each other about {what}; examine nothing before they have explained why"
    zh = "各方关于 {what} 的说法互相矛盾；查明原因前不要进行核验"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A party's public keys: Ed25519 signing and X25519 sealing (32 bytes each), chain address."""

    partner: PartnerId
    signing: bytes
    sealing: bytes
    chain: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint that a node co-signed and kept: log, size, root (32 bytes)."""

    partner: PartnerId
    log: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The merged word of the parties. `origin` is the audit log's name; the chain log's ends in /chain instead."""

    authority_sha256: str
    log_key: bytes
    origin: str
    genesis: str
    chain_id: int
    contract: Address
    signers: Mapping[str, Signer]
    cosigned: tuple[Cosigned, ...]

    def log_origin(self, log: str) -> str:
        """The C2SP origin of a log of this alliance."""
        return self.origin.removesuffix("/audit") + "/" + log


def read(path: Path) -> str:
    """The text of a file. Raises TrustInvalid, naming it, where it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrustInvalid(why=f"{path.name} can't be read as UTF-8 text ({type(error).__name__})") from None


def load(text: str) -> Trust:
    """The trust of one merged document. Raises TrustInvalid for missing or malformed parts."""
    return merge([text])


def merge(parts: Iterable[str]) -> Trust:
    """The trust of the parts of several parties.

    Raises TrustInvalid for a malformed part or where something nobody states is missing, TrustConflict where two parts
    say different things of one matter.
    """
    alliance: dict[str, Any] = {}
    genesis: dict[str, Any] = {}
    signers: dict[str, Signer] = {}
    cosigned: dict[tuple[str, str, int], Cosigned] = {}
    for text in parts:
        part = _parse(text)
        _agree(alliance, part.get("alliance", {}), _ALLIANCE, "alliance")
        _agree(genesis, part.get("genesis", {}), _GENESIS, "genesis")
        for row in part.get("signer", []):
            signer = _signer(row)
            if signers.setdefault(signer.partner, signer) != signer:
                raise TrustConflict(what=f"the keys of {signer.partner}")
        for row in part.get("cosigned", []):
            seen = _cosigned(row)
            if cosigned.setdefault((seen.partner, seen.log, seen.size), seen) != seen:
                raise TrustConflict(what=f"the {seen.log} log at size {seen.size}")
    _same_roots(cosigned.values())
    missing = [name for name in _ALLIANCE if name not in alliance] + [n for n in _GENESIS if n not in genesis]
    if missing or not signers:
        raise TrustInvalid(why=f"no part states {(missing or ['signer'])[0]}")
    return Trust(
        authority_sha256=_hex(alliance["authority_sha256"], 32, "authority_sha256").hex(),
        log_key=_hex(alliance["log_key"], 32, "log_key"),
        origin=str(alliance["origin"]),
        genesis=_hex(genesis["digest"], 32, "genesis digest").hex(),
        chain_id=_whole(genesis["chain_id"], "chain_id"),
        contract=_address(genesis["contract"]),
        signers=signers,
        cosigned=tuple(cosigned.values()),
    )


def dump(trust: Trust) -> str:
    """The TOML text of a trust, which `load` reads back."""
    out = [
        "# What the parties of the alliance say themselves. Public keys and digests only.",
        "[alliance]",
        *_pairs(authority_sha256=trust.authority_sha256, log_key=trust.log_key.hex(), origin=trust.origin),
        "\n[genesis]",
        *_pairs(digest=trust.genesis, chain_id=trust.chain_id, contract=trust.contract),
    ]
    for signer in sorted(trust.signers.values(), key=lambda s: s.partner):
        keys = {"signing": signer.signing.hex(), "sealing": signer.sealing.hex(), "chain": signer.chain}
        out += ["\n[[signer]]", *_pairs(partner=signer.partner, **keys)]
    for seen in sorted(trust.cosigned, key=lambda c: (c.partner, c.log, c.size)):
        out += ["\n[[cosigned]]", *_pairs(partner=seen.partner, log=seen.log, size=seen.size, root=seen.root.hex())]
    return "\n".join(out) + "\n"


def _pairs(**values: str | int) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in values.items()]


def _parse(text: str) -> dict[str, Any]:
    if len(text.encode(errors="replace")) > TEXT_BYTES_MAX:
        raise TrustInvalid(why=f"more than {TEXT_BYTES_MAX} bytes")
    try:
        part = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise TrustInvalid(why="not TOML") from None
    if unknown := set(part) - {"alliance", "genesis", "signer", "cosigned"}:
        raise TrustInvalid(why=f"unknown part {min(unknown)[:40]}")
    for name in ("signer", "cosigned"):
        if not isinstance(part.get(name, []), list):
            raise TrustInvalid(why=f"[[{name}]] is a list of tables")
    return part


def _agree(known: dict[str, Any], said: Any, names: tuple[str, ...], what: str) -> None:
    if not isinstance(said, dict) or set(said) - set(names):
        raise TrustInvalid(why=f"[{what}] takes {', '.join(names)} only")
    for name, value in said.items():
        if value in ("", 0):
            continue  # the party does not know it yet
        if known.setdefault(name, value) != value:
            raise TrustConflict(what=f"{what}.{name}")


def _same_roots(cosigned: Iterable[Cosigned]) -> None:
    roots: dict[tuple[str, int], bytes] = {}
    for seen in cosigned:
        if roots.setdefault((seen.log, seen.size), seen.root) != seen.root:
            raise TrustConflict(what=f"the {seen.log} log at size {seen.size}: the hub showed two histories")


def _signer(row: Any) -> Signer:
    fields = _fields(row, _SIGNER, "signer")
    return Signer(
        partner=parse_partner_id(fields["partner"]),
        signing=_hex(fields["signing"], 32, "signing"),
        sealing=_hex(fields["sealing"], 32, "sealing"),
        chain=_address(fields["chain"]),
    )


def _cosigned(row: Any) -> Cosigned:
    fields = _fields(row, _COSIGNED, "cosigned")
    if fields["log"] not in LOGS:
        raise TrustInvalid(why="log is audit or chain")
    return Cosigned(
        partner=parse_partner_id(fields["partner"]),
        log=fields["log"],
        size=_whole(fields["size"], "size"),
        root=_hex(fields["root"], 32, "root"),
    )


def _fields(row: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(row, dict) or set(row) != set(names):
        raise TrustInvalid(why=f"[[{what}]] takes exactly {', '.join(names)}")
    return row


def _hex(value: Any, length: int, what: str) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * length or set(value) - set("0123456789abcdef"):
        raise TrustInvalid(why=f"{what} is {2 * length} hex digits")
    return bytes.fromhex(value)


def _whole(value: Any, what: str) -> int:
    if type(value) is not int or not 0 < value < 2**53:
        raise TrustInvalid(why=f"{what} is a positive whole number")
    return value


def _address(value: Any) -> Address:
    try:
        return parse_address(value)
    except Failure:
        raise TrustInvalid(why="an account is 0x and 40 hex digits, checksummed") from None
