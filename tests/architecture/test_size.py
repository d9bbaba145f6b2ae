"""The size budget: files of at most 400 lines, functions of at most 70 (ARCHITECTURE, section 3)."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("privacy", "revenue_share", "federation", "contracts", "proto", "hub", "partner_node", "sandbox", "benchmarks")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


def sources() -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    # generated code and migrations, which list every table once and are never edited, are not for reading top to bottom
    return [p for p in found if not p.stem.endswith(("_pb2", "_pb2_grpc")) and "migrations" not in p.parts]


def test_files_stay_within_their_budget() -> None:
    long = {str(p.relative_to(ROOT)): n for p in sources() if (n := len(p.read_text().splitlines())) > FILE_LINES_MAX}
    assert not long


def test_functions_stay_within_their_budget() -> None:
    long = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert not long
