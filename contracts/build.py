"""Compiles the Vyper sources into committed artifacts; `--check` recompiles and compares.

    python -m contracts.build            write contracts/artifacts/*.json
    python -m contracts.build --check    exit 1 if an artifact differs from its source

The only module that needs the compiler. The compiler's output is deterministic, so any difference is a stale artifact.
"""

import argparse
import hashlib
import sys

from contracts import artifacts
from privacy import canonical

EVM_VERSION = "shanghai"
CONTRACTS = ("Settlement",)


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


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Exit code 1: `--check` found a stale artifact."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args(arguments).check
    stale = 0
    for name in CONTRACTS:
        source = (artifacts.SOURCES / f"{name}.vy").read_text()
        fresh = artifacts.to_text(compile_source(name, source))
        path = artifacts.FOLDER / f"{name}.json"
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(fresh)
        elif not path.exists() or path.read_text() != fresh:
            stale += 1
            print(f"{path.name} is stale: run python -m contracts.build", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
