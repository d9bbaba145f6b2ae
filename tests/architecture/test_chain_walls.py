"""Each EVM and the compiler stay behind one module, and the product needs no web3."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("hub", "partner_node", "federation", "contracts", "proto/ecowire", "revenue_share", "privacy", "sandbox")
ALLOWED = {
    "eth": {"sandbox/chain/evm.py"},
    "pyrevm": {"sandbox/chain/replay.py"},
    "vyper": {"contracts/build.py"},
    "web3": set(),
    "eth_account": set(),
    "boa": set(),
}


def imports(path: Path) -> Iterator[str]:
    """The top-level packages a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_each_engine_is_imported_where_it_is_wrapped_and_nowhere_else() -> None:
    found: dict[str, set[str]] = {package: set() for package in ALLOWED}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for package in set(imports(path)) & set(ALLOWED):
                found[package].add(str(path.relative_to(ROOT)))
    assert found == ALLOWED
