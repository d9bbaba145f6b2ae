"""Mapping columns at a node: a real source, checks in place, what is kept and what is published; the command itself."""

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ecowire import documents
from federation.schema import offer, standard
from federation.schema.errors import ClassTooLow, FeatureUnknown, MappingOtherCatalogue, MappingUnreadable
from partner_node import errors, store_mappings
from partner_node.cli import partner
from partner_node.local import LocalServer
from privacy import canonical
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.alliance import TestNode
from tests.partner_node.conftest import MakeNode

CATALOGUE = standard.load()
CLASSES = {"CASH_FEN": "C2", "SEG": "C2", "SEX": "C2", "TIER": "C1", "DAYS": "C1", "PIN": "C3"}
GOOD = """catalogue = 1
[columns]
CASH_FEN = {feature = "invest_cash", factor = "1/100", missing = ["-1"]}
SEG = {feature = "invest_risk_level", categories = {A1 = "conservative", A2 = "balanced"}}
TIER = "client_city_tier"
DAYS = "invest_relation_days"
"""


def rows() -> str:
    """200 clients: cash in fen (one marked as missing), two segments, and a class of city."""
    lines = ["client_id,CASH_FEN,SEG,SEX,TIER,DAYS,PIN"]
    for n in range(200):
        cash = -1 if n == 7 else 1_000_000 + 10_000 * n
        tier = "first" if n % 2 else "second"
        lines.append(f"{alliance.resident_id(n)},{cash},A{n % 2 + 1},M,{tier},{40 * n},12{n:04d}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def node(make_node: MakeNode) -> TestNode:
    return opened(make_node("bank", rows(), CLASSES))


def opened(node: TestNode, *edits: tuple[str, str]) -> TestNode:
    """The node after its settings were changed; its asset is offered for a purpose of the catalogue."""
    path = node.folder / "node.toml"
    text = path.read_text()
    for old, new in (('purposes = ["joint profile"]', 'purposes = ["joint-profile"]'), *edits):
        text = text.replace(old, new)
    path.write_text(text)
    return node.reopened()


def check(node: TestNode, text: str, **more: Any) -> Any:
    path = node.folder / "mapping.toml"
    path.write_text(text)
    return node.command("mapping.check", asset="clients", file=str(path), **more)


def codes_of(found: Any, level: str = "stop") -> list[str]:
    return [finding["code"] for finding in found["findings"] if finding["level"] == level]


def published(node: TestNode) -> Any:
    node.command("publish")
    signed = documents.parse(node.parts.worker._outbox.pending()[-1].head["assets"], kind="assets")
    signed.verify(node.parts.node.keys.signing.public)
    (asset,) = signed.body["assets"]  # type: ignore[misc,union-attr]
    return asset


def test_a_mapping_is_checked_kept_and_published_without_a_figure(node: TestNode) -> None:
    found = check(node, GOOD)
    assert found["stored"] and not found["stopped"]
    cash = found["columns"][0]
    assert (cash["rows"], cash["missing"], cash["outside"]) == (200, 1, 0)
    asset = published(node)
    assert asset[offer.KEY] == {
        "catalogue": 1,
        "digest": CATALOGUE.digest,
        "features": {
            feature: {"column": column, "class": CLASSES[column], "purposes": ["joint-profile"]}
            for feature, column in [
                ("invest_cash", "CASH_FEN"),
                ("invest_risk_level", "SEG"),
                ("client_city_tier", "TIER"),
                ("invest_relation_days", "DAYS"),
            ]
        },
    }
    offer.check(asset)
    assert not any(text in json.dumps(asset) for text in ("1/100", "A1", "200", '-1"'))
    assert not any(kind.startswith("mapping") for kind, _ in node.seen)


def test_an_asset_without_mapping_is_published_as_before(node: TestNode) -> None:
    assert offer.KEY not in published(node)


def test_a_dry_run_keeps_nothing(node: TestNode) -> None:
    assert not check(node, GOOD, dry_run=True)["stored"]
    assert node.command("mapping.show")["mappings"] == []


def test_what_stops_keeps_what_was_there(node: TestNode) -> None:
    check(node, GOOD)
    found = check(node, GOOD + 'SEX = "invest_stock_value"\n')
    assert (found["stored"], codes_of(found)) == (False, ["MAPPING_NOT_NUMBERS"])
    assert found["coverage"][-1]["offered"] == ["invest_cash", "invest_risk_level", "invest_relation_days"]
    (kept,) = node.command("mapping.show", asset="clients")["mappings"]
    assert sorted(kept["columns"]) == ["CASH_FEN", "DAYS", "SEG", "TIER"]


def test_a_mapping_without_columns_takes_it_away(node: TestNode) -> None:
    check(node, GOOD)
    assert check(node, "catalogue = 1\n[columns]\n")["stored"]
    assert offer.KEY not in published(node)


def test_it_lasts_over_a_restart_and_gives_coverage(node: TestNode) -> None:
    check(node, GOOD)
    found = node.reopened().command("mapping.show")
    offered = {part["domain"]: part["offered"] for part in found["coverage"]}
    assert offered["client"] == ["client_city_tier"] and offered["banking"] == []
    assert offered["investment"] == ["invest_cash", "invest_risk_level", "invest_relation_days"]
    assert found["mappings"][0]["columns"]["CASH_FEN"]["factor"] == "1/100"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('CASH = "invest_cash"', "MAPPING_COLUMN_MISSING"),
        ('client_id = "invest_cash"', "MAPPING_COLUMN_IS_ID"),
        ('PIN = "invest_cash"', "MAPPING_CLASS_C3"),
        ('TIER = "client_occupation"', "MAPPING_CLASS_TOO_LOW"),
        ('SEX = {feature = "client_gender", categories = {M = "male"}}', "MAPPING_PURPOSE_NOT_ALLOWED"),
        ('SEG = "invest_risk_level"', "MAPPING_CATEGORIES_UNKNOWN"),
        ('SEG = "invest_cash"', "MAPPING_NOT_NUMBERS"),
        ('CASH_FEN = {feature = "invest_cash", missing = ["-1"]}', "MAPPING_UNIT_SUSPECT"),
        ('CASH_FEN = {feature = "card_count"}', "MAPPING_OUT_OF_RANGE"),
        ('DAYS = {feature = "invest_relation_days", factor = "1/7"}', "MAPPING_NOT_WHOLE"),
        ('SEG = {feature = "invest_risk_level", missing = ["A1", "A2"]}', "MAPPING_ALL_MISSING"),
        ('DAYS = "no_such_feature"', "MAPPING_FEATURE_UNKNOWN"),
    ],
)
def test_what_is_wrong_is_said_by_code_line_and_column(node: TestNode, line: str, code: str) -> None:
    found = check(node, f"catalogue = 1\n[columns]\n{line}\n")
    assert codes_of(found) == [code] and not found["stored"]
    (finding,) = [finding for finding in found["findings"] if finding["level"] == "stop"]
    assert (finding["line"], finding["column"]) == (3, line.partition(" ")[0])
    assert finding["zh"] != finding["en"] and "3" in finding["zh"]


def test_notes_do_not_stop(node: TestNode) -> None:
    found = check(node, 'catalogue = 1\n[columns]\nCASH_FEN = {feature = "invest_cash", factor = "1/100"}\n')
    assert found["stored"]
    assert codes_of(found, "note") == ["MAPPING_OUT_OF_RANGE"]  # the marker -1, which the line does not name
    fixed = check(
        node, "catalogue = 1\n[columns]\n" + 'SEX = {feature = "client_education", categories = {M = "bachelor"}}'
    )
    assert codes_of(fixed, "note") == ["MAPPING_CONSTANT"]


@pytest.mark.parametrize(
    ("text", "failure"),
    [("catalogue = 2\n[columns]\n", MappingOtherCatalogue), ("no = toml = file", MappingUnreadable)],
)
def test_a_file_that_is_no_mapping_is_refused(node: TestNode, text: str, failure: type[Failure]) -> None:
    with pytest.raises(failure):
        check(node, text)
    with pytest.raises(MappingUnreadable):
        node.command("mapping.check", asset="clients", file=str(node.folder / "none.toml"))
    with pytest.raises(errors.AssetUnknown):
        node.command("mapping.check", asset="staff", file=str(node.folder / "mapping.toml"))
    with pytest.raises(errors.CommandInvalid):
        check(node, GOOD, dry_run="yes")


def test_rules_are_checked_again_when_it_is_published(node: TestNode) -> None:
    check(node, GOOD)
    lowered = opened(node, ('"SEG" = "C2"', '"SEG" = "C1"'))
    with pytest.raises(ClassTooLow, match="line 4, column SEG"):
        lowered.command("publish")
    assert lowered.parts.worker._outbox.pending() == []


def test_a_feature_that_a_later_catalogue_lost_is_named(node: TestNode) -> None:
    columns = {"DAYS": {"feature": "invest_lost", "line": 9, "factor": "1", "categories": {}, "missing": []}}
    stored = store_mappings.Stored(asset="clients", catalogue=1, digest="ab" * 32, columns=columns, time="2026-10-01")
    node.parts.node.database.write("keep", lambda session: store_mappings.keep(session, stored))
    with pytest.raises(FeatureUnknown, match="line 9, column DAYS"):
        node.command("publish")


def test_sources_of_other_kinds_are_measured_alike(node: TestNode) -> None:
    plain = check(node, GOOD)["columns"]
    (node.folder / "clients.csv.gz").write_bytes(gzip.compress(rows().encode()))
    packed = opened(node, ('"clients.csv"', '"clients.csv.gz"'))
    assert check(packed, GOOD)["columns"] == plain


def test_names_are_proposed_and_nothing_is_kept(node: TestNode) -> None:
    found = node.command("mapping.suggest", asset="clients", lang="zh")
    assert found["suggested"] == {"CASH_FEN": "invest_cash", "SEX": "client_gender"}
    assert 'factor = "1/100"' in found["toml"]
    assert node.command("mapping.show")["mappings"] == []


@pytest.fixture
def config(node: TestNode) -> Iterator[Path]:
    """node.toml of a node whose commands are served on its socket."""
    socket = node.parts.node.settings.socket
    server = LocalServer(socket, node.parts.commands, node.parts.node.entropy, lambda: None)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    yield node.folder / "node.toml"
    server.shutdown()
    server.server_close()
    thread.join(5)


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(partner, ["map-columns", *arguments, "--config", str(config)])


def test_the_command_checks_keeps_and_shows(config: Path) -> None:
    file = config.parent / "mapping.toml"
    file.write_text(GOOD)
    assert "no column is mapped yet" in run(config).stdout
    assert "nothing was kept" in run(config, "clients", "--file", str(file), "--dry-run").stdout
    done = run(config, "clients", "--file", str(file), "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["stored"]
    shown = run(config, "clients", "--lang", "zh").stdout
    assert all(word in shown for word in ("CASH_FEN", "投资", "已映射", "3 / 20", "1 / 9"))
    assert canonical.encode(json.loads(run(config, "--json").stdout))


def test_the_command_ends_with_1_where_something_must_be_mended(config: Path) -> None:
    file = config.parent / "mapping.toml"
    file.write_text('catalogue = 1\n[columns]\nSEG = "invest_risk_level"\n')
    done = run(config, "clients", "--file", str(file), "--lang", "zh")
    assert done.exit_code == 1
    assert "须修正 MAPPING_CATEGORIES_UNKNOWN: 第 3 行，列 SEG" in done.stdout
    assert "'A1'" in done.stdout and "未保存" in done.stdout
    file.write_text("catalogue = 1\n[columns")
    failed = run(config, "clients", "--file", str(file)).exception
    assert isinstance(failed, Failure) and getattr(failed, "remote_code", "") == "MAPPING_FILE_UNREADABLE"


def test_the_command_proposes_to_a_new_file(config: Path) -> None:
    out = config.parent / "proposed.toml"
    assert run(config, "clients", "--suggest", "--out", str(out)).exit_code == 0
    assert '"CASH_FEN" = {feature = "invest_cash"' in out.read_text()
    again = run(config, "clients", "--suggest", "--out", str(out)).exception
    assert isinstance(again, Failure) and again.code == "OUTPUT_EXISTS"
    assert run(config, "clients", "--suggest").stdout == out.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--suggest"],
        ["--file", "m.toml"],
        ["clients", "--file", "m.toml", "--suggest"],
        ["clients", "--dry-run"],
        ["clients", "--out", "m.toml"],
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path / "node.toml", *arguments).exit_code == 2
