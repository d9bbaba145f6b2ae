"""The SQLite table that a CRM reads: labels written by client and label, withdrawn where they no longer stand."""

import csv
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from federation.labels import parse
from partner_node import labels_table
from partner_node.labels_errors import LabelTableUnfit
from partner_node.labels_files import COLUMNS
from tests.partner_node import alliance, labels
from tests.partner_node.alliance import TestNode, resident_id
from tests.partner_node.conftest import MakeNode

PAGE = Path(__file__).resolve().parents[2] / "docs" / "labels.md"


@pytest.fixture
def node(make_node: MakeNode) -> TestNode:
    made = make_node("broker", labels.source(), labels.COLUMNS)
    alliance.consent(made, range(labels.CLIENTS))
    return made


@pytest.fixture
def job(node: TestNode, make_node: MakeNode) -> str:
    return labels.finished(node, labels.plan_body([node, make_node("bank")]), labels.matrix())


def deliver(node: TestNode, job: str, path: Path, **changes: Any) -> Any:
    given = {"run": job, "format": "sqlite", "to": str(path), **labels.DEFINITE, **changes}
    return node.command("labels.deliver", **given)


def ask(path: Path, query: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def states(path: Path, number: int) -> dict[str, tuple[str, str | None]]:
    """A client's labels with state and reason."""
    query = "SELECT label, state, withdrawn_reason FROM client_label WHERE client_id = ?"
    return {label: (state, reason) for label, state, reason in ask(path, query, resident_id(number))}


def other_rules(node: TestNode) -> str:
    """Rules of another name, with labels of their own."""
    path = node.folder / "other.toml"
    text = labels.EXAMPLE.read_text().replace('name = "joint-profile"', 'name = "other"')
    for name in ("high_net_worth_potential", "first_investment", "risk_appetite"):
        text = text.replace(f'"{name}"', f'"other_{name}"')
    path.write_text(text)
    return str(path)


def test_the_table_has_every_label_once_and_the_counts_of_the_delivery(
    node: TestNode, job: str, tmp_path: Path
) -> None:
    path = tmp_path / "crm.sqlite"
    found = deliver(node, job, path)
    told = {(row["label"], row["class"]): row["clients"] for row in found["labels"]}
    counted = ask(path, "SELECT label, \"class\", count(*) FROM client_label WHERE state = 'given' GROUP BY 1, 2")
    assert {(label, class_): count for label, class_, count in counted} == told
    assert [row[1] for row in ask(path, "PRAGMA table_info(client_label)")] == [*COLUMNS, *labels_table.STATE]
    assert path.stat().st_mode & 0o777 == 0o600
    before = ask(path, "SELECT * FROM client_label ORDER BY 1, 2")
    assert deliver(node, job, path)["withdrawn"] == 0
    assert ask(path, "SELECT * FROM client_label ORDER BY 1, 2") == before


def test_an_opt_out_is_seen_as_withdrawn_and_what_was_said_is_erased(node: TestNode, job: str, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    deliver(node, job, path)
    given = states(path, 38)
    assert given == {"high_net_worth_potential": ("given", None)}
    node.command("labels.opt_out.add", client_ids=[resident_id(38)])
    assert deliver(node, job, path)["withdrawn"] == 1
    assert states(path, 38) == {"high_net_worth_potential": ("withdrawn", "OPTED_OUT")}
    query = 'SELECT "class", decile, reason_en, reason_zh, withdrawn_at FROM client_label WHERE client_id = ?'
    assert ask(path, query, resident_id(38)) == [(None, None, "", "", "2026-10-01T08:00:00+00:00")]
    node.command("labels.opt_out.remove", client_ids=[resident_id(38)])
    deliver(node, job, path)
    assert states(path, 38) == given


def test_each_withdrawal_names_its_reason(node: TestNode, job: str, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    deliver(node, job, path)
    node.command("consent.withdraw", client_id=resident_id(38))
    table = node.folder / "clients.csv"
    table.write_text(table.read_text().replace(f"{resident_id(35)},65,C4", f"{resident_id(35)},65,C1"))
    deliver(node, job, path)
    assert states(path, 38)["high_net_worth_potential"] == ("withdrawn", "CONSENT_ENDED")
    assert states(path, 35)["risk_appetite"] == ("withdrawn", "SUITABILITY")
    rules = node.folder / "rules.toml"
    rules.write_text(labels.EXAMPLE.read_text().replace("version = 1", "version = 2").replace('"0.35"', '"0.45"'))
    deliver(node, job, path, rules=str(rules))
    assert states(path, 16)["first_investment"] == ("withdrawn", "NOT_GIVEN")


def test_labels_of_other_rules_stand_unless_their_client_is_closed(node: TestNode, job: str, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    deliver(node, job, path)
    deliver(node, job, path, rules=other_rules(node))
    assert set(states(path, 31).values()) == {("given", None)} and len(states(path, 31)) == 2
    node.command("labels.opt_out.add", client_ids=[resident_id(31)])
    node.command("consent.withdraw", client_id=resident_id(38))
    assert deliver(node, job, path)["withdrawn"] == 4, "both labels of both clients, also those of the other rules"
    assert set(states(path, 31).values()) == {("withdrawn", "OPTED_OUT")}
    assert set(states(path, 38).values()) == {("withdrawn", "CONSENT_ENDED")}


def test_a_crms_own_tables_stay(node: TestNode, job: str, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE contact (id TEXT); INSERT INTO contact VALUES ('x')")
    deliver(node, job, path)
    assert ask(path, "SELECT id FROM contact") == [("x",)]
    assert ask(path, "SELECT count(*) > 0 FROM client_label") == [(1,)]


def test_a_table_of_another_form_is_left_alone(node: TestNode, job: str, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE client_label (client_id TEXT, label TEXT)")
    with pytest.raises(LabelTableUnfit, match="other columns"):
        deliver(node, job, path)
    path.write_text("this is no database, but a text that is long enough to be looked at")
    with pytest.raises(LabelTableUnfit, match="not a database"):
        deliver(node, job, path)
    assert node.command("labels.history") == {"deliveries": [], "files": []}


def test_a_table_that_is_locked_by_its_reader_keeps_what_it_had(
    node: TestNode, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "crm.sqlite"
    deliver(node, job, path)
    node.command("labels.opt_out.add", client_ids=[resident_id(38)])
    monkeypatch.setattr(labels_table, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LabelTableUnfit, match="locked"):
            deliver(node, job, path)
    assert states(path, 38)["high_net_worth_potential"] == ("given", None)
    found = deliver(node, job, path)
    assert (found["number"], found["withdrawn"]) == (2, 1)


def test_one_table_takes_every_run_by_default(node: TestNode, job: str) -> None:
    found = node.command("labels.deliver", run=job, format="sqlite", **labels.DEFINITE)
    assert Path(found["file"]) == node.parts.node.settings.results.resolve() / "client-labels.sqlite"


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_explains_every_column_in_its_order() -> None:
    table = page().partition("| column | example | meaning |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == [*COLUMNS, *labels_table.STATE]
    (line,) = csv.reader([re.findall(r"(?m)^990000.*$", page())[0]])
    assert len(line) == len(COLUMNS)


def test_the_pages_questions_are_answered_by_the_table(node: TestNode, job: str, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    deliver(node, job, path)
    node.command("labels.opt_out.add", client_ids=[resident_id(38)])
    found = deliver(node, job, path)
    usable, withdrawn = re.findall(r"```sql\n(.*?)```", page(), re.DOTALL)
    today = usable.replace("'now'", "'2026-10-01'")
    assert len(ask(path, today)) == sum(row["clients"] for row in found["labels"])
    assert ask(path, usable.replace("'now'", "'2027-10-01'")) == []
    assert [row[:3] for row in ask(path, withdrawn)] == [(resident_id(38), "high_net_worth_potential", "OPTED_OUT")]


def test_the_pages_rules_are_rules() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", page(), re.DOTALL)
    assert [label.name for label in parse(block.encode(), "page.toml").labels] == [
        "high_net_worth_potential",
        "risk_appetite",
    ]
