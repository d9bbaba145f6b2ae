"""Published assets: schema, classes, bands; never a row, never before every column has a class."""

import json

import pytest

from ecowire import documents
from partner_node import errors
from partner_node.catalogue import band
from tests.partner_node import alliance
from tests.partner_node.alliance import PURPOSE
from tests.partner_node.conftest import MakeNode


def test_what_is_published_holds_no_row_and_no_exact_count(make_node: MakeNode) -> None:
    node = make_node("bank", alliance.clients_csv(range(237)))
    alliance.consent(node, range(200))
    node.command("publish")
    (request,) = node.parts.worker._outbox.pending()
    signed = documents.parse(request.head["assets"], kind="assets")
    signed.verify(node.parts.node.keys.signing.public)
    assert signed.body["assets"] == [
        {
            "name": "clients",
            "id_column": "client_id",
            "id_type": "resident_id",
            "columns": {"SPEND": "C2"},
            "types": {"SPEND": "double"},
            "rows": "100-499",
            "purposes": [PURPOSE],
        }
    ]
    text = json.dumps(signed.body)
    assert "237" not in text
    assert "200" not in text


def test_a_column_without_a_class_is_not_published(make_node: MakeNode) -> None:
    csv = "client_id,SPEND,PIN\n" + f"{alliance.resident_id(1)},1,1234\n"
    node = make_node("bank", csv)
    with pytest.raises(errors.SourceColumnUnclassified, match="PIN"):
        node.command("publish")
    assert node.parts.worker._outbox.pending() == []
    assert node.command("check-data")["assets"][0]["unclassified"] == ["PIN"]


def test_a_classified_column_that_is_not_there_is_not_published(make_node: MakeNode) -> None:
    node = make_node("bank", columns={"SPEND": "C2", "INCOME": "C2"})
    with pytest.raises(errors.SourceColumnMissing, match="INCOME"):
        node.command("publish")
    assert node.command("check-data")["assets"][0]["absent"] == ["INCOME"]


def test_the_report_counts_what_is_wrong(make_node: MakeNode) -> None:
    good = [f"{alliance.resident_id(n)},{n}" for n in range(5)]
    lines = ["client_id,SPEND", *good, good[0], "123,1", f"{alliance.resident_id(7)},"]
    node = make_node("bank", "\n".join(lines) + "\n")
    alliance.consent(node, [0, 1])
    (report,) = node.command("check-data", asset="clients")["assets"]
    assert report == {
        "name": "clients",
        "rows": 8,
        "identifiers": 6,
        "duplicates": 1,
        "rejected": {"LENGTH": 1},
        "unknown_region": 6,
        "missing": {"SPEND": 1},
        "consents": {PURPOSE: 2},
        "unclassified": [],
        "absent": [],
    }


def test_an_unknown_asset_is_named(make_node: MakeNode) -> None:
    with pytest.raises(errors.AssetUnknown):
        make_node("bank").command("check-data", asset="staff")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(0, "0-99"), (99, "0-99"), (100, "100-499"), (4999, "1000-4999"), (5000, "5000-9999"), (10**8, "10000000+")],
)
def test_bands(rows: int, expected: str) -> None:
    assert band(rows) == expected


@pytest.mark.parametrize("by_job", [False, True])
def test_malformed_ids_are_listed_for_the_nodes_own_people_and_never_sent(make_node: MakeNode, by_job: bool) -> None:
    bad = {2: "123", 4: "990000198001010011", 5: "１１０１０１１９９９１３０１００1X"}
    rows = [bad.get(n, alliance.resident_id(n)) for n in range(7)]
    node = make_node("bank", "\n".join(["client_id,SPEND", *(f"{value},1" for value in rows)]) + "\n")
    name = "clients"
    if by_job:
        name = alliance.propose([node], "match", alliance.match_body([node]))
    path = node.folder / "rejected.csv"
    found = node.command("rejected", of=name, file=str(path))
    assert found["rows"] == 3 == sum(found["rejected"].values())
    lines = path.read_text().splitlines()
    assert lines[0] == "row,reason,value"
    assert [int(line.split(",")[0]) for line in lines[1:]] == [*bad]
    assert [line.rpartition(",")[2] for line in lines[1:]] == [*bad.values()]
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(value.encode() in plain for value in bad.values() for _, plain in node.seen)
