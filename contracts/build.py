"""Compiles the Vyper sources into committed artifacts and their manifest; `--check` recompiles and compares.

    python -m contracts.build            write contracts/artifacts/*.json
    python -m contracts.build --check    exit 1 if a file differs from what its source gives

The only module that needs the compiler. The compiler's output is deterministic, so any difference is a stale file.
"""

import argparse
import hashlib
import sys
from collections.abc import Mapping

from contracts import artifacts
from privacy import canonical

EVM_VERSION = "shanghai"
CONTRACTS = ("CheckpointAnchor", "Governor", "PartnerRegistry", "Settlement")
MANIFEST = "manifest.json"


def compile_source(name: str, source: str) -> dict[str, canonical.Value]:
    """The artifact of one contract's source text, as its JSON object."""
    import vyper
    from vyper.compiler import compile_code
    from vyper.compiler.settings import Settings

    wanted = ["abi", "bytecode", "bytecode_runtime", "integrity"]
    out = compile_code(
        source,
        contract_path=f"{name}.vy",
        output_formats=wanted,
        settings=Settings(evm_version=EVM_VERSION),
    )
    body: dict[str, canonical.Value] = {
        "name": name,
        "compiler": f"vyper {vyper.__version__}",
        "evm_version": EVM_VERSION,
        "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
        "integrity": out["integrity"],
        "abi": out["abi"],
        "bytecode": out["bytecode"],
        "bytecode_runtime": out["bytecode_runtime"],
    }
    return body | {"digest": artifacts.digest(body)}


def manifest(made: Mapping[str, dict[str, canonical.Value]]) -> dict[str, canonical.Value]:
    """What a verifier compares deployed code with, without the artifacts: one entry a contract.

    `runtime_sha256` is that of the code without the immutables, which Vyper appends; `runtime_bytes` says where they
    begin.
    """
    contracts: dict[str, canonical.Value] = {}
    for name, body in made.items():
        runtime = bytes.fromhex(str(body["bytecode_runtime"]).removeprefix("0x"))
        contracts[name] = {
            "integrity": body["integrity"],
            "source_sha256": body["source_sha256"],
            "runtime_sha256": hashlib.sha256(runtime).hexdigest(),
            "runtime_bytes": len(runtime),
        }
    one = next(iter(made.values()))
    return {"compiler": one["compiler"], "evm_version": one["evm_version"], "contracts": contracts}


def files() -> dict[str, str]:
    """The text of every committed file, by name, as the present sources and compiler give it."""
    sources = {name: (artifacts.SOURCES / f"{name}.vy").read_text() for name in CONTRACTS}
    made = {name: compile_source(name, source) for name, source in sources.items()}
    texts = {f"{name}.json": artifacts.to_text(body) for name, body in made.items()}
    return texts | {MANIFEST: artifacts.to_text(manifest(made))}


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Exit code 1: `--check` found a stale file, or one that no source gives."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args(arguments).check
    fresh = files()
    if not check:
        artifacts.FOLDER.mkdir(exist_ok=True)
        for name, text in fresh.items():
            (artifacts.FOLDER / name).write_text(text)
        return 0
    present = {path.name: path.read_text() for path in artifacts.FOLDER.glob("*.json")}
    stale = sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))
    for name in stale:
        print(f"{name} is stale: run python -m contracts.build", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
