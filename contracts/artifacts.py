"""Loads a committed contract artifact and checks that it is whole and made from the source beside it."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contracts.errors import ArtifactInvalid, CodeDiffers
from privacy import canonical

SOURCES = Path(__file__).parent
FOLDER = SOURCES / "artifacts"
_TEXTS = ("name", "compiler", "evm_version", "source_sha256", "integrity", "bytecode", "bytecode_runtime", "digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A compiled contract. `runtime` is followed on chain by the immutables, 32 bytes each."""

    name: str
    compiler: str
    evm_version: str
    source_sha256: str
    integrity: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    runtime: bytes
    digest: str

    def check_code(self, code: bytes, immutables: int) -> tuple[bytes, ...]:
        """The immutables (32 bytes each) behind deployed code. Raises CodeDiffers for other code."""
        size = len(self.runtime)
        if code[:size] != self.runtime or len(code) != size + 32 * immutables:
            raise CodeDiffers(contract=self.name)
        return tuple(code[size + 32 * i : size + 32 * (i + 1)] for i in range(immutables))


def digest(body: dict[str, canonical.Value]) -> str:
    """The digest of an artifact's fields without "digest", as 64 hex digits."""
    return canonical.digest("ecohub/artifact/v1", body).hex()


def to_text(value: dict[str, canonical.Value]) -> str:
    """The committed form: sorted keys, two spaces."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@cache
def load(name: str) -> Artifact:
    """The artifact of a contract ("Settlement").

    Raises ArtifactInvalid for a missing or altered file, or one made from another source than the one installed.
    """
    try:
        value = json.loads((FOLDER / f"{name}.json").read_text())
        source = (SOURCES / f"{name}.vy").read_bytes()
    except (OSError, ValueError):
        raise ArtifactInvalid(contract=name, why="missing or unreadable") from None
    return parse(name, value, hashlib.sha256(source).hexdigest())


def parse(name: str, value: Any, source_sha256: str) -> Artifact:
    """The artifact of decoded JSON, checked against the source's SHA-256. Raises ArtifactInvalid."""
    if not isinstance(value, dict) or set(value) != {*_TEXTS, "abi"} or not isinstance(value["abi"], list):
        raise ArtifactInvalid(contract=name, why="other fields")
    if not all(isinstance(value[text], str) for text in _TEXTS) or value["name"] != name:
        raise ArtifactInvalid(contract=name, why="field types")
    if digest({key: item for key, item in value.items() if key != "digest"}) != value["digest"]:
        raise ArtifactInvalid(contract=name, why="its digest differs")
    if value["source_sha256"] != source_sha256:
        raise ArtifactInvalid(contract=name, why="it was made from another source")
    return Artifact(
        name=name,
        compiler=value["compiler"],
        evm_version=value["evm_version"],
        source_sha256=value["source_sha256"],
        integrity=value["integrity"],
        abi=tuple(value["abi"]),
        bytecode=bytes.fromhex(value["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(value["bytecode_runtime"].removeprefix("0x")),
        digest=value["digest"],
    )
