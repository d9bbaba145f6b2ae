"""`ecohub partner labels` over the socket of a node whose commands are served, for people (en, zh) and machines."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from partner_node.cli import partner
from partner_node.local import LocalServer
from privacy.errors import Failure
from tests.partner_node import alliance, labels
from tests.partner_node.alliance import TestNode, resident_id
from tests.partner_node.conftest import MakeNode

RULES = ["--rules", str(labels.EXAMPLE), "--risk-column", "RISK"]


@pytest.fixture
def node(make_node: MakeNode) -> Iterator[TestNode]:
    made = make_node("broker", labels.source(), labels.COLUMNS)
    alliance.consent(made, range(labels.CLIENTS))
    server = LocalServer(made.parts.node.settings.socket, made.parts.commands, made.parts.node.entropy, lambda: None)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def job(node: TestNode, make_node: MakeNode) -> str:
    return labels.finished(node, labels.plan_body([node, make_node("bank")]), labels.matrix())


def run(node: TestNode, *arguments: str) -> Result:
    return CliRunner().invoke(partner, ["labels", *arguments, "--config", str(node.folder / "node.toml")])


def refused(node: TestNode, *arguments: str) -> str:
    failure = run(node, *arguments).exception
    assert isinstance(failure, Failure)
    return str(getattr(failure, "remote_code", failure.code))


def test_from_rules_to_a_file_an_opt_out_and_the_history(node: TestNode, job: str, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    done = run(node, "deliver", job[:8], *RULES, "--format", "csv", "--excel", "--to", str(out), "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    found = json.loads(done.stdout)
    assert found["file"] == str(out) and out.read_bytes().startswith(b"\xef\xbb\xbf")
    shown = run(node, "deliver", job, *RULES, "--format", "csv", "--to", str(out), "--lang", "zh").stdout
    assert all(word in shown for word in ("risk_appetite", "SUITABILITY", "为同一次交付", "第 1 次交付"))
    told = run(node, "opt-out", "add", resident_id(38), resident_id(39)).stdout
    assert "2 of 2 clients changed" in told
    shown = run(node, "deliver", job, *RULES, "--format", "sqlite").stdout
    assert "OPTED_OUT" in shown and "delivery 2 is in" in shown
    shown = run(node, "history", "--lang", "zh").stdout
    assert all(word in shown for word in ("序号", "joint", "sqlite"))
    assert [d["number"] for d in json.loads(run(node, "history", "--json").stdout)["deliveries"]] == [1, 2]


def test_refusals_are_told_with_their_reasons(node: TestNode, job: str) -> None:
    run(node, "deliver", job, *RULES)
    assert "SUITABILITY" in run(node, "refused").stdout
    shown = run(node, "refused", "--client", resident_id(39), "--lang", "zh").stdout
    assert "适当性" in shown and "未知" in shown
    found = json.loads(run(node, "refused", "--client", resident_id(39), "--delivery", "1", "--json").stdout)
    assert {row["label"] for row in found["refused"]} == {"high_net_worth_potential", "risk_appetite"}
    assert "no label was refused" in run(node, "refused", "--client", resident_id(500)).stdout


def test_opt_outs_are_listed_imported_and_removed(node: TestNode, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text(f"client_id\n{resident_id(1)}\n")
    assert json.loads(run(node, "opt-out", "import", str(path), "--json").stdout) == {"clients": 1, "changed": 1}
    assert "1 clients want no labels" in run(node, "opt-out", "list").stdout
    assert "拒绝标签" in run(node, "opt-out", "list", "--client", resident_id(1), "--lang", "zh").stdout
    assert run(node, "opt-out", "remove", resident_id(1)).exit_code == 0
    assert json.loads(run(node, "opt-out", "list", "--json").stdout)["opted_out"] == 0
    path.write_text("client_id\nnobody\n")
    assert refused(node, "opt-out", "import", str(path)) == "OPT_OUT_FILE_INVALID"


def test_rules_are_checked_without_a_node(tmp_path: Path) -> None:
    def check(file: Path, *more: str) -> Result:
        return CliRunner().invoke(partner, ["labels", "rules", "check", str(file), *more])

    found = json.loads(check(labels.EXAMPLE, "--json").stdout)
    assert (found["name"], len(found["labels"])) == ("joint-profile", 7)
    assert "适用于风险等级" in check(labels.EXAMPLE, "--lang", "zh").stdout.replace("\n", "")
    wrong = tmp_path / "rules.toml"
    wrong.write_text(labels.EXAMPLE.read_text().replace("risk_level = 3 ", "risk_level = 9 "))
    failure = check(wrong).exception
    assert isinstance(failure, Failure)
    assert failure.code == "LABEL_RULES_INVALID" and "labels[0].risk_level" in failure.message("zh")


def test_what_stops_a_delivery_is_named_by_its_code(node: TestNode, job: str, tmp_path: Path) -> None:
    assert refused(node, "deliver", "ee" * 32, *RULES) == "UNKNOWN_JOB"
    assert refused(node, "deliver", job, "--rules", str(tmp_path / "none"), "--risk-column", "RISK") == (
        "LABEL_RULES_UNREADABLE"
    )
    assert refused(node, "deliver", job, "--rules", str(labels.EXAMPLE), "--risk-column", "PIN") == "COLUMN_NOT_OFFERED"
    assert refused(node, "refused") == "LABELS_NOT_DELIVERED"
    assert run(node, "deliver", job, *RULES, "--excel").exit_code == 2
    assert run(node, "deliver", job, "--rules", str(labels.EXAMPLE)).exit_code == 2
