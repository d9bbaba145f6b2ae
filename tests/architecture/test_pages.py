"""The pages for the roles name only what exists: commands with their options, codes, files that are read as shown."""

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

import federation
import hub
import partner_node
import sandbox
from hub import bank_csv, drafts, drafts_finance
from hub.drafts import Directory
from partner_node import settings
from privacy.errors import all_failures
from privacy.psi.job import MODES, MatchJob
from revenue_share.agreement import Agreement
from revenue_share.movements import ExceptionClass
from sandbox import party_files
from sandbox.cli import ecohub
from sandbox.examine import trust
from sandbox.examine.findings import CATALOGUE
from sandbox.reference import walk

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "partner.md",
    "data-team.md",
    "finance.md",
    "regulator.md",
    "data.md",
    "deploy.md",
    "profile.md",
    "profile-features.md",
    "labels.md",
)
COMMANDS = {" ".join(path): command for path, command in walk(ecohub, ("ecohub",))}
ENVIRONMENT = {"ECOHUB_LANG", "ECOHUB_NODE", "ECOHUB_PERSON"}


def text(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def tables(page: str) -> list[dict[str, Any]]:
    """The page's TOML examples, in order."""
    return [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text(page), re.DOTALL)]


def calls(page: str) -> Iterator[tuple[str, list[str]]]:
    """(command, its options) of every `ecohub …` on a page; the words after # are a comment."""
    for found in re.finditer(r"ecohub [a-z][^`\n]*", text(page)):
        path, *words = found[0].partition(" #")[0].split()
        while words and f"{path} {words[0]}" in COMMANDS:
            path = f"{path} {words.pop(0)}"
        yield path, re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(words))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_on_a_page_exists(page: str) -> None:
    named = list(calls(page))
    assert named
    for path, options in named:
        command = COMMANDS[path]
        assert not (isinstance(command, click.Group) and options), f"{path} is a group"
        assert set(options) <= {option for parameter in command.params for option in parameter.opts}, path


@pytest.mark.parametrize("page", PAGES)
def test_every_code_on_a_page_exists(page: str) -> None:
    for room in (federation, hub, partner_node, sandbox):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if "migrations" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    known = {failure.code for failure in all_failures()} | set(CATALOGUE) | ENVIRONMENT
    known |= {kind.value for kind in ExceptionClass}  # of reconciliation
    known |= {column for columns in party_files.COLUMNS.values() for column in columns}  # of the synthetic alliance
    sources = ("doctor_hub", "doctor_checks", "settlement_check", "labels_table")
    pure = ("revenue_share/referral", "privacy/normalise", "federation/labels/apply")  # verdicts, reasons of rejection
    quoted = [ROOT / f"{name}.py" for name in (*(f"partner_node/{name}" for name in sources), *pure)]
    known |= {code for file in quoted for code in re.findall(r'"([A-Z][A-Z_]+)"', file.read_text())}
    assert set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text(page))) <= known


def test_every_finding_is_explained_to_the_regulator() -> None:
    explained = set(re.findall(r"`([A-Z_]+)`", text("regulator.md")))
    checks = [file for file in (ROOT / "sandbox" / "examine").glob("*.py") if file.name != "findings.py"]
    used = {code for file in checks for code in re.findall(r'"([A-Z_]+)"', file.read_text())} & set(CATALOGUE)
    assert len(used) > 30
    assert used <= explained


def test_the_node_reads_the_example_of_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", text("partner.md"), re.DOTALL)[0])
    assert settings.load(file).assets[0].columns == {"CHECKING": "C2"}


def test_the_example_of_a_match_is_one_with_every_line_that_is_commented_out_too() -> None:
    (block,) = [
        found for found in re.findall(r"```toml\n(.*?)```", text("data-team.md"), re.DOTALL) if "mode =" in found
    ]
    offered = {"body": {"assets": [{"name": "clients", "id_column": "client_id", "columns": {}}]}}
    directory = Directory([{"partner": name, "assets": offered} for name in ("broker", "bank")])
    for uncommented in ("", "engine", "normaliser", "both", "sum", "labels", "noise", "cached"):
        lines = [
            line.removeprefix("# ") if line.startswith(f"# {uncommented} =") else line for line in block.split("\n")
        ]
        given = tomllib.loads("\n".join(lines))
        assert not uncommented or uncommented in given
        given["expires"] = given["expires"].isoformat()
        modes = {"both": "rows", "sum": "sum", "labels": "labels", "noise": "count", "cached": "cached"}
        given["mode"] = modes.get(uncommented, given["mode"])
        for party in given["parties"]:
            party |= {"signing": "", "sealing": "", "chain": ""}
        body = drafts.match(given, directory, datetime(2026, 11, 1, tzinfo=UTC), bytes)
        assert MatchJob.from_body(body).mode == given["mode"]


def test_the_modes_on_the_page_run_by_the_engines_that_it_says() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| `([a-z, ]+)` \|$", text("data-team.md"), re.MULTILINE)
    assert dict(rows) == {mode: ", ".join(rule.engines) for mode, rule in MODES.items()}


def test_the_example_of_a_banks_profile_reads_its_file() -> None:
    _, given = tables("finance.md")
    header = ",".join(given["columns"].values()).encode("gbk")
    row = b'20261112,"1,065.28",,"8,934.72",F1,,6217,A,'
    statement = bank_csv.read(header + b"\n" + row + b"\n", bank_csv.of_tree(given), "62220202")
    assert [entry.signed_minor for entry in statement.entries] == [-106528]


def test_the_example_of_an_agreement_is_one() -> None:
    given, _ = tables("finance.md")
    given["nonce"] = "ab" * 32
    body = drafts_finance.agreement(given, given["settlement"], datetime(2026, 11, 1, tzinfo=UTC), bytes)
    for number, party in enumerate(body["parties"]):
        party |= {"signing": f"{number}" * 64, "sealing": f"{number + 2}" * 64, "chain": "0x" + f"{number}" * 40}
    assert Agreement.from_body(body).window_seconds == 259_200


def test_the_example_of_a_trust_file_has_its_form() -> None:
    (given,) = tables("regulator.md")
    assert set(given["alliance"]) == {"authority_sha256", "log_key", "origin"}
    assert set(given["genesis"]) == {"digest", "chain_id", "contract"}
    for row, kind in ((given["signer"][0], trust.Signer), (given["cosigned"][0], trust.Cosigned)):
        assert tuple(row) == tuple(kind.__dataclass_fields__)
