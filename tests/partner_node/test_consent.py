"""The consent desk: default deny, one client and purpose at a time, nothing granted that nobody approved."""

import sqlite3
from datetime import timedelta

import pytest

from partner_node import consent as consent_module
from partner_node import errors
from partner_node.consent import ConsentDesk
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.alliance import PURPOSE, START, TestNode
from tests.partner_node.conftest import MakeNode
from tests.partner_node.test_vault import desk_of, vault_of


def test_without_records_nobody_enters(make_node: MakeNode) -> None:
    pair = [make_node("broker"), make_node("bank")]
    alliance.pin_all(pair)
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    alliance.approve(pair, job)
    desk = desk_of(pair[0])
    grant = desk.grant(job, asset="clients", columns=(), now=START)
    with pytest.raises(errors.NoConsent):
        vault_of(pair[0], desk).identifiers(grant, START)


def test_consent_to_another_purpose_is_no_consent(make_node: MakeNode) -> None:
    pair = [make_node("broker"), make_node("bank")]
    alliance.pin_all(pair)
    alliance.consent(pair[0], range(10), purpose="newsletter")
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    alliance.approve(pair, job)
    desk = desk_of(pair[0])
    with pytest.raises(errors.NoConsent):
        vault_of(pair[0], desk).identifiers(desk.grant(job, asset="clients", columns=(), now=START), START)


def test_no_id_is_stored_with_the_records(pair: list[TestNode]) -> None:
    pair[0].parts.node.database.close()
    data = b"".join(path.read_bytes() for path in (pair[0].folder / "data").glob("node.db*"))
    for n in range(10):
        assert alliance.resident_id(n).encode() not in data


def test_a_grant_needs_this_nodes_own_approval(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    alliance.approve([pair[1]], job)
    with pytest.raises(errors.NotApproved):
        desk_of(pair[0]).grant(job, asset="clients", columns=(), now=START)
    pair[0].command("refuse", job=job, person="privacy officer", reason="not now")
    with pytest.raises(errors.NotApproved):
        desk_of(pair[0]).grant(job, asset="clients", columns=(), now=START)


def test_a_refusal_changes_nothing_and_is_recorded(pair: list[TestNode]) -> None:
    desk = desk_of(pair[0])
    with pytest.raises(errors.UnknownJob):
        desk.grant("ab" * 32, asset="clients", columns=(), now=START)
    job = alliance.approved_reading(pair, ["SPEND"])
    desk.grant(job, asset="clients", columns=("SPEND",), now=START)
    outcomes = [(job, outcome) for _, job, _, outcome in pair[0].parts.node.database.read(consent_module.answers)]
    assert outcomes[-2:] == [("ab" * 32, "UNKNOWN_JOB"), (job, "GRANTED")]


@pytest.mark.parametrize(
    ("columns", "changes", "failure"),
    [
        (["AGE"], {}, errors.ColumnNotOffered),
        (["PIN"], {}, errors.ColumnNotOffered),
        (["SPEND"], {"days": 30}, errors.JobExpired),
    ],
    ids=["not in the settings", "class C3", "job expired"],
)
def test_what_a_job_may_not_read(
    make_node: MakeNode, columns: list[str], changes: dict[str, int], failure: type[Failure]
) -> None:
    csv = "client_id,SPEND,PIN\n" + "".join(f"{alliance.resident_id(n)},1,2\n" for n in range(10))
    pair = [make_node(name, csv, {"SPEND": "C2", "PIN": "C3"}) for name in ("broker", "bank")]
    alliance.pin_all(pair)
    job = alliance.approved_reading(pair, columns)
    with pytest.raises(failure):
        desk_of(pair[0]).grant(
            job, asset="clients", columns=tuple(columns), now=START + timedelta(days=changes.get("days", 0))
        )


def test_a_column_that_the_job_does_not_name_is_not_granted(pair: list[TestNode]) -> None:
    job = alliance.propose(pair, "match", alliance.match_body(pair))
    alliance.approve(pair, job)
    with pytest.raises(errors.ColumnNotOffered, match="does not name"):
        desk_of(pair[0]).grant(job, asset="clients", columns=("SPEND",), now=START)


def test_withdrawing_one_purpose_or_all(pair: list[TestNode]) -> None:
    node = pair[0]
    alliance.consent(node, range(3), purpose="newsletter")
    assert node.command("consent.withdraw", client_id=alliance.resident_id(0), purpose="newsletter") == {"withdrawn": 1}
    assert node.command("consent.withdraw", client_id=alliance.resident_id(1)) == {"withdrawn": 2}
    assert node.command("consent.withdraw", client_id=alliance.resident_id(1)) == {"withdrawn": 0}
    counts = {row["purpose"]: row for row in node.command("consent.show")["purposes"]}
    assert (counts[PURPOSE]["valid"], counts[PURPOSE]["withdrawn"]) == (9, 1)
    assert (counts["newsletter"]["valid"], counts["newsletter"]["withdrawn"]) == (1, 2)
    records = node.command("consent.show", client_id=alliance.resident_id(1))["records"]
    assert [record["withdrawn"] is not None for record in records] == [True, True]


def test_a_new_record_replaces_a_withdrawal(pair: list[TestNode]) -> None:
    node = pair[0]
    node.command("consent.withdraw", client_id=alliance.resident_id(1))
    alliance.consent(node, [1])
    assert node.command("consent.show")["purposes"][0]["withdrawn"] == 0


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["client,purpose,until"], "header"),
        (["client_id,purpose,until", "123,p,2027-01-01"], "line 2"),
        (["client_id,purpose,until", f"{alliance.resident_id(1)},p,soon"], "line 2"),
        (["client_id,purpose,until", f"{alliance.resident_id(1)},p"], "line 2"),
        (["client_id,purpose,until", f"{alliance.resident_id(1)},p,2027-01-01,x"], "line 2"),
        (["client_id,purpose,until", f"{alliance.resident_id(1)},p,2027-01-01T00:00:00"], "line 2"),
    ],
    ids=["header", "id", "date", "short", "long", "no offset"],
)
def test_a_bad_file_imports_nothing(pair: list[TestNode], lines: list[str], why: str) -> None:
    good = f"{alliance.resident_id(77)},p,2027-01-01"
    desk: ConsentDesk = desk_of(pair[0])
    before = desk.summary(START)
    with pytest.raises(errors.ConsentFileInvalid, match=why) as raised:
        desk.import_file([f"{line}\n" for line in [*lines, good]], id_type="resident_id", now=START)
    assert desk.summary(START) == before
    assert alliance.resident_id(1) not in str(raised.value)


def test_the_revision_moves_with_every_change(pair: list[TestNode]) -> None:
    desk = desk_of(pair[0])
    first = desk.revision()
    pair[0].command("consent.withdraw", client_id=alliance.resident_id(1))
    second = desk.revision()
    alliance.consent(pair[0], [1])
    assert first < second < desk.revision()


def test_the_database_file_is_private(pair: list[TestNode]) -> None:
    path = pair[0].parts.node.settings.database
    assert path.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
