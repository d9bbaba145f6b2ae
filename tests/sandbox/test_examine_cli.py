"""`ecohub-examine` as a person starts it: a fresh process, exit codes, tables and JSON, no hub code loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import tamper
from sandbox.examine import trust
from sandbox.processes import environment
from tests.sandbox import small_alliance as small

ENTRY = """
import sys
from sandbox.examine.__main__ import main
try:
    main()
finally:
    print(sorted(sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examine")
    books = small.settled_month()
    (folder / "bundle.zip").write_bytes(books.bundle())
    (folder / "trust.toml").write_text(trust.dump(small.trust(books)))
    (folder / "rewritten.zip").write_bytes(tamper.rewrite_as_hub(books.bundle(), small.LOG_KEY).data)
    (folder / "broken.zip").write_bytes(b"PK not a bundle")
    return folder


def examine(folder: Path, bundle: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", ENTRY, str(folder / bundle), "--trust", str(folder / "trust.toml"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment(COLUMNS="200"))


def test_an_honest_bundle_exits_0_and_loads_no_hub_node_or_flower(folder: Path) -> None:
    done = examine(folder, "bundle.zip")
    assert done.returncode == 0, done.stderr
    assert "no findings" in done.stdout
    for module in ("'hub", "'partner_node", "'flwr", "'sqlalchemy"):
        assert module not in done.stderr


def test_a_rewritten_bundle_exits_1_and_names_the_line_in_both_languages(folder: Path) -> None:
    done = examine(folder, "rewritten.zip")
    assert done.returncode == 1
    assert "STATEMENT_LINE_DIFFERS" in done.stdout
    chinese = examine(folder, "rewritten.zip", "--lang", "zh")
    assert "客户令牌" in chinese.stdout


def test_json_is_one_stable_document(folder: Path) -> None:
    first, second = (examine(folder, "rewritten.zip", "--json").stdout for _ in range(2))
    assert first == second
    report = json.loads(first)
    assert set(report) == {"alliance", "period", "clean", "findings", "held", "anchored"}
    assert report["clean"] is False
    assert set(report["findings"][0]) == {"code", "severity", "where", "en", "zh"}


def test_what_is_no_bundle_exits_5(folder: Path) -> None:
    done = examine(folder, "broken.zip")
    assert done.returncode == 5
    assert done.stderr.startswith("BUNDLE_MALFORMED: ")


def test_a_trust_file_that_is_no_text_exits_2_and_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes((folder / "bundle.zip").read_bytes())
    (tmp_path / "trust.toml").write_bytes(b"\xff\xfe")
    done = examine(tmp_path, "bundle.zip")
    assert done.returncode == 2
    assert done.stderr.startswith("TRUST_INVALID: ")


def test_a_missing_file_exits_2(folder: Path) -> None:
    assert examine(folder, "absent.zip").returncode == 2
