"""The examiner on statements of version 2: amended terms, positions, an adjustment, a replaced draft.

Only the statements' own checks are run: what the log and the chain hold is examined in other tests.
"""

from collections.abc import Iterator
from itertools import count

import pytest

from ecowire import documents
from ecowire import evidence as bundles
from hub import evidence
from privacy import canonical
from sandbox.examine import places, statements
from sandbox.examine.case import open_case
from sandbox.examine.findings import Sheet
from tests.hub.alliance import ALLIANCE
from tests.partner_node.test_settlement_disputes import adjust, dispute
from tests.partner_node.test_settlement_terms import HALF, amended, settle
from tests.support.settling_nodes import Month, month_of_nodes
from tests.support.trusting import trust_of

Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    with month_of_nodes(tmp_path_factory.mktemp("life")) as made:
        amended(made, effective_from="2026-10-06", rules=HALF)
        first = made.october()
        settle(made, first)
        adjust(made, first, "-12.34")
        adjust(made, first, "50.00", decision="refuse")
        made.refer(4, time="2026-11-02T09:00:00+08:00")
        made.earn("4,2026-11-03T14:00:00+08:00,commission,20.00,n1", period="2026-11")
        made.hub.clock.now = made.hub.clock.now.replace(month=12, day=1)
        dispute(made, made.close("2026-11"))
        made.earn("4,2026-11-04T14:00:00+08:00,commission,30.00,n2", period="2026-11")
        settle(made, made.close("2026-11"))
        yield made


@pytest.fixture(scope="module")
def entries(month: Month) -> Entries:
    return evidence.collect(month.hub.store, None, month.hub.services.settings.chain)


def found(month: Month, entries: Entries) -> list[tuple[str, str]]:
    """(code, field) of the findings of the statements' checks."""
    trust = trust_of(month, {name: node.parts.node.keys for name, node in month.nodes.items()})
    sheet = Sheet()
    case = open_case(bundles.read(bundles.write(entries, alliance=ALLIANCE, period="2026-11")), trust, sheet)
    settled = statements.check(case)
    places.check(case, settled)
    return [(finding.code, str(dict(finding.to_value()).get("where", ""))) for finding in sheet.findings]


def of_statement(month: Month, entries: Entries, period: str, state: str) -> str:
    """The folder of the one statement of a period in a state."""
    listed = month.command("statements").head["statements"]
    (one,) = [s["statement"] for s in listed if (s["period"], s["state"]) == (period, state)]
    return f"statements/{one}"


def test_an_honest_life_holds(month: Month, entries: Entries) -> None:
    assert found(month, entries) == []
    folder = of_statement(month, entries, "2026-11", "FINAL")
    lines = [canonical.decode(line) for line in bundles.lines(entries[f"{folder}/lines.jsonl"])]
    assert [row["line"]["verdict"] for row in lines][-1] == "ADJUSTMENT"  # type: ignore[index,call-overload]


def test_an_adjustment_without_its_approval_is_no_line(month: Month, entries: Entries) -> None:
    left = {
        name: data
        for name, data in entries.items()
        if not (b'"adjustment-decision"' in data and b'"approve"' in data and name.startswith("documents/"))
    }
    assert len(left) == len(entries) - 1
    assert "STATEMENT_LINES_COUNT" in [code for code, _ in found(month, left)]


def test_an_amendment_that_is_not_there_changes_what_the_lines_should_be(month: Month, entries: Entries) -> None:
    left = {
        name: data for name, data in entries.items() if b'"amends"' not in data or not name.startswith("proposals/")
    }
    assert len(left) == len(entries) - 1
    codes = [code for code, _ in found(month, left)]
    assert "STATEMENT_LINE_DIFFERS" in codes and "STATEMENT_FIELD_DIFFERS" in codes


def test_an_amendment_that_was_refused_stands_beside_the_one_that_followed(month: Month, entries: Entries) -> None:
    ((name, data),) = [(n, d) for n, d in entries.items() if n.startswith("proposals/") and b'"amends"' in d]
    proposal = canonical.decode(data)
    assert isinstance(proposal, dict) and isinstance(proposal["body"], dict)
    bodies = ({**proposal["body"], "title": f"refused {number}"} for number in count())
    names = ((f"proposals/{documents.digest('agreement', body)}.json", body) for body in bodies)
    later, body = next((other, body) for other, body in names if other > name)  # it is read after the one that holds
    refused = {**proposal, "body": body, "state": "REFUSED", "approvals": []}
    assert found(month, {**entries, later: canonical.encode(refused)}) == []


@pytest.mark.parametrize("checker", ["fei", "", None], ids=["the maker", "nobody", "no leaf"])
def test_a_statement_that_one_person_made_and_sent_is_named(
    month: Month, entries: Entries, checker: str | None
) -> None:
    name, leaves = "audit/leaves.jsonl", []
    for line in bundles.lines(entries["audit/leaves.jsonl"]):
        leaf = canonical.decode(line)
        assert isinstance(leaf, dict) and isinstance(leaf["facts"], dict)
        if leaf["kind"] == "statement.released":
            if checker is None:
                leaf["kind"] = "statement.checked"
            leaf["facts"] = {**leaf["facts"], "person": checker or ""}
        leaves.append(leaf)
    codes = [code for code, _ in found(month, {**entries, name: bundles.jsonl([*leaves])})]
    assert codes == ["STATEMENT_ONE_HAND"] * 2  # the void draft was signed by nobody


@pytest.mark.parametrize("field", ["opening", "closing", "carried_forward_minor", "gross_minor"])
def test_another_step_than_the_books_give_is_named(month: Month, entries: Entries, field: str) -> None:
    name = of_statement(month, entries, "2026-11", "FINAL") + "/body.json"
    body = canonical.decode(entries[name])
    assert isinstance(body, dict)
    body[field] = body[field] + 1 if isinstance(body[field], int) else "ab" * 32
    codes = [code for code, where in found(month, {**entries, name: canonical.encode(body)}) if where == name]
    assert "STATEMENT_FIELD_DIFFERS" in codes
