"""The vault: no read without a grant that holds, only granted columns of rows with consent, named failures."""

import gzip
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sqlalchemy import create_engine, text

from partner_node import errors, moment_values, sources
from partner_node.consent import ConsentDesk
from partner_node.errors import AlignmentTooOld, GrantRefused, NoConsent
from partner_node.grants import INSPECTION, Grant, authenticate
from partner_node.settings import Asset
from partner_node.vault import Vault
from privacy.errors import Failure
from privacy.normalise import normalise
from tests.partner_node import alliance
from tests.partner_node.alliance import PURPOSE, START, TestNode
from tests.partner_node.conftest import MakeNode

SECRET, CLIENT_KEY = b"\x01" * 32, b"\x02" * 32


def desk_of(node: TestNode, secret: bytes = SECRET) -> ConsentDesk:
    part = node.parts.node
    return ConsentDesk(settings=part.settings, database=part.database, secret=secret, client_key=part.keys.consent)


def vault_of(node: TestNode, desk: ConsentDesk) -> Vault:
    return Vault(node.parts.node.settings.assets, desk.gate)


@pytest.fixture
def job(pair: list[TestNode]) -> str:
    digest = alliance.propose(pair, "match", alliance.match_body(pair))
    alliance.approve(pair, digest)
    return digest


@pytest.fixture
def desk(pair: list[TestNode]) -> ConsentDesk:
    return desk_of(pair[0])


@pytest.fixture
def vault(pair: list[TestNode], desk: ConsentDesk) -> Vault:
    return vault_of(pair[0], desk)


@pytest.fixture
def grant(desk: ConsentDesk, job: str) -> Grant:
    return desk.grant(job, asset="clients", columns=(), now=START)


def test_a_grant_opens_the_ids_of_clients_with_consent(pair: list[TestNode], vault: Vault, grant: Grant) -> None:
    pair[0].command("consent.withdraw", client_id=alliance.resident_id(3))
    found = vault.identifiers(grant, START)
    assert [item.decode() for item in found.ids] == [f"cid:{alliance.resident_id(n)}" for n in range(10) if n != 3]
    assert found.without_consent == 1
    assert found.unknown_region == 10


@pytest.mark.parametrize(
    "spoil",
    [
        lambda grant: None,
        lambda grant: "a grant",
        lambda grant: replace(grant, job="00" * 32),
        lambda grant: replace(grant, purpose="advertising"),
        lambda grant: replace(grant, columns=("SPEND",)),
        lambda grant: replace(grant, expires="2099-01-01T00:00:00+00:00"),
        lambda grant: replace(grant, asset="staff"),
        lambda grant: replace(grant, mac=bytes(32)),
        lambda grant: replace(grant, mac=authenticate(b"\x09" * 32, grant.signed_part())),
    ],
    ids=["missing", "text", "job", "purpose", "columns", "expiry", "asset", "no mac", "foreign"],
)
def test_any_other_grant_is_refused(vault: Vault, grant: Grant, spoil: Any) -> None:
    for read in (
        lambda: vault.identifiers(spoil(grant), START),
        lambda: vault.features(spoil(grant), [], START),
        lambda: vault.clients(spoil(grant), [], START),
    ):
        with pytest.raises(GrantRefused):
            read()


def test_a_grant_of_another_process_is_refused(pair: list[TestNode], vault: Vault, job: str) -> None:
    foreign = desk_of(pair[0], secret=b"\x07" * 32).grant(job, asset="clients", columns=(), now=START)
    with pytest.raises(GrantRefused, match="consent desk"):
        vault.identifiers(foreign, START)


def test_a_grant_ends_with_its_job(vault: Vault, grant: Grant) -> None:
    with pytest.raises(GrantRefused, match="expired"):
        vault.identifiers(grant, START + timedelta(days=30))


def test_an_inspection_grant_reads_no_row_and_a_jobs_grant_inspects_nothing(
    vault: Vault, desk: ConsentDesk, grant: Grant
) -> None:
    inspection = desk.inspection("clients", START)
    assert inspection.job == INSPECTION
    for read in (vault.identifiers, lambda g, now: vault.features(g, [], now)):
        with pytest.raises(GrantRefused):
            read(inspection, START)
    with pytest.raises(GrantRefused):
        vault.inspect(grant, START)
    assert vault.inspect(inspection, START).rows == 10


def test_only_granted_columns_in_the_asked_order(pair: list[TestNode], vault: Vault, desk: ConsentDesk) -> None:
    plan = train_like(pair)
    grant = desk.grant(plan, asset="clients", columns=("SPEND",), now=START)
    keys = desk.gate.row_keys([f"cid:{alliance.resident_id(n)}".encode() for n in (5, 2)])
    found = vault.features(grant, keys, START)
    assert list(found) == ["SPEND"]
    assert found["SPEND"].tolist() == [5.5, 2.5]
    clients = vault.clients(grant, keys, START)
    assert clients.client_ids == (alliance.resident_id(5), alliance.resident_id(2))
    assert clients.until == ("2027-01-01T00:00:00+00:00",) * 2


def train_like(pair: list[TestNode]) -> str:
    return alliance.approved_reading(pair, ["SPEND"])


MIXED = ["LEVEL", "SPEND", "WON"]


@pytest.fixture
def mixed(make_node: MakeNode, tmp_path: Path) -> tuple[TestNode, Vault, Grant]:
    """A node whose asset has numbers and texts, some missing, and a grant for its columns; client 6 has no consent."""
    cells = ["3,1.5,yes", " high,,no", "0012,2,", ",3,no", "true,4,yes", "NA,5,no", "7,6,yes"]
    lines = [f"{alliance.resident_id(n)},{line}" for n, line in enumerate(cells)]
    text = "\n".join(["client_id,LEVEL,SPEND,WON", *lines]) + "\n"
    nodes = [make_node("broker", csv=text, columns=dict.fromkeys(MIXED, "C2")), make_node("bank")]
    alliance.consent(nodes[0], range(6), until="2027-01-01")
    alliance.consent(nodes[0], [2], until="2026-12-01")
    alliance.pin_all(nodes)
    desk = desk_of(nodes[0])
    grant = desk.grant(alliance.approved_reading(nodes, MIXED), asset="clients", columns=MIXED, now=START)
    return nodes[0], vault_of(nodes[0], desk), grant


def test_all_consenting_rows_in_the_order_of_their_keys(mixed: tuple[TestNode, Vault, Grant]) -> None:
    node, vault, grant = mixed
    found = vault.rows(grant, {"LEVEL", "WON"}, START)
    assert list(found.row_keys) == sorted(found.row_keys)
    keys = desk_of(node).gate.row_keys([f"cid:{alliance.resident_id(n)}".encode() for n in range(6)])
    place = [found.row_keys.index(key) for key in keys]
    assert [str(found.columns["LEVEL"][i]) for i in place] == ["3", "high", "0012", "", "true", "NA"]
    assert [str(found.columns["WON"][i]) for i in place] == ["yes", "no", "", "no", "yes", "no"]
    assert [repr(float(found.columns["SPEND"][i])) for i in place] == ["1.5", "nan", "2.0", "3.0", "4.0", "5.0"]
    assert found.without_consent == 1
    assert found.until == "2026-12-01T00:00:00+00:00"


def test_the_order_of_the_file_does_not_matter(mixed: tuple[TestNode, Vault, Grant]) -> None:
    node, vault, grant = mixed
    before = vault.rows(grant, {"LEVEL", "WON"}, START)
    path = node.folder / "clients.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(lines)]) + "\n")
    after = vault.rows(grant, {"LEVEL", "WON"}, START)
    assert after.row_keys == before.row_keys
    assert all(np.array_equal(after.columns[n], before.columns[n]) for n in ("LEVEL", "WON"))


def test_rows_need_a_grant_consent_and_one_row_a_client(mixed: tuple[TestNode, Vault, Grant]) -> None:
    node, vault, grant = mixed
    with pytest.raises(GrantRefused):
        vault.rows(replace(grant, columns=("SPEND",)), (), START)
    with pytest.raises(errors.SourceColumnNotNumeric):
        vault.rows(grant, {"WON"}, START)
    path = node.folder / "clients.csv"
    path.write_text(path.read_text() + f"{alliance.resident_id(1)},3,1,yes\n")
    with pytest.raises(errors.SourceDuplicateIds):
        vault.rows(grant, {"LEVEL", "WON"}, START)
    for n in range(6):
        node.command("consent.withdraw", client_id=alliance.resident_id(n))
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(NoConsent):
        vault.rows(grant, {"LEVEL", "WON"}, START)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2, None], ["1", "2", ""]),
        ([1.0, 2.5, None], ["1", "2.5", ""]),
        ([True, False, None], ["True", "False", ""]),
        (["a", " b ", ""], ["a", "b", ""]),
        ([float("nan"), float("inf"), 1e300], ["", "inf", "1e+300"]),
    ],
)
def test_levels_of_a_typed_source_are_written_as_in_a_file(tmp_path: Path, values: list[Any], texts: list[str]) -> None:
    path = tmp_path / "typed.parquet"
    pyarrow.parquet.write_table(pa.table({"id": ["x", "y", "z"], "LEVEL": values}), path)
    asset = Asset(
        name="typed", source=str(path), table=None, id_column="id", id_type="account", purposes=("p",), columns={}
    )
    assert sources.texts(asset, sources.load(asset, ["LEVEL"], ["LEVEL"]), "LEVEL").tolist() == texts


def test_a_client_who_withdrew_makes_the_alignment_old(pair: list[TestNode], vault: Vault, desk: ConsentDesk) -> None:
    grant = desk.grant(train_like(pair), asset="clients", columns=("SPEND",), now=START)
    keys = desk.gate.row_keys([f"cid:{alliance.resident_id(n)}".encode() for n in (5, 2)])
    pair[0].command("consent.withdraw", client_id=alliance.resident_id(2))
    with pytest.raises(AlignmentTooOld):
        vault.features(grant, keys, START)


def test_expired_consent_is_no_consent(pair: list[TestNode], desk: ConsentDesk, vault: Vault, grant: Grant) -> None:
    alliance.consent(pair[0], range(10), until="2026-10-02")
    with pytest.raises(NoConsent):
        vault.identifiers(grant, START + timedelta(days=2))


GOOD = "\n".join(["client_id,SPEND", *(f"{alliance.resident_id(n)},{n}" for n in range(10))]) + "\n"


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        (None, errors.SourceMissing),
        (b"", errors.SourceUnreadable),
        (b"client_id,SPEND\n", errors.SourceEmpty),
        (b"customer,SPEND\n1,2\n", errors.SourceColumnMissing),
        (b"client_id,client_id\n1,2\n", errors.SourceUnreadable),
        (b"client_id,SPEND\n1,2,3\n", errors.SourceUnreadable),
        ("client_id,SPEND\n李,2\n".encode("gbk"), errors.SourceUnreadable),
        (b"client_id,SPEND\n12345,2\n", NoConsent),
    ],
    ids=["no file", "nothing", "no rows", "wrong column", "repeated column", "ragged", "not UTF-8", "malformed ids"],
)
def test_bad_sources_have_names(
    pair: list[TestNode], vault: Vault, grant: Grant, content: bytes | None, failure: type[Failure]
) -> None:
    path = pair[0].folder / "clients.csv"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(failure) as raised:
        vault.identifiers(grant, START)
    assert raised.value.message("en") != raised.value.message("zh")
    assert "李" not in raised.value.message("zh")


def test_malformed_ids_are_counted_by_reason(pair: list[TestNode], vault: Vault, desk: ConsentDesk) -> None:
    (pair[0].folder / "clients.csv").write_text(
        GOOD + "123,1\n99000119800230001X,1\n,1\n" + GOOD.splitlines()[1] + "\n"
    )
    found = vault.inspect(desk.inspection("clients", START), START)
    assert found.rejected == {"LENGTH": 1, "DATE": 1, "MISSING": 1}
    assert (found.duplicates, found.identifiers, found.rows) == (1, 10, 14)
    assert found.consents == {PURPOSE: 10}


def test_duplicate_clients_cant_be_trained_on(pair: list[TestNode], vault: Vault, desk: ConsentDesk) -> None:
    (pair[0].folder / "clients.csv").write_text(GOOD + GOOD.splitlines()[1] + "\n")
    grant = desk.grant(train_like(pair), asset="clients", columns=("SPEND",), now=START)
    with pytest.raises(errors.SourceDuplicateIds):
        vault.features(grant, [], START)


@pytest.mark.parametrize(("cell", "seen"), [("", "nan"), ("1e3", "1000.0")])
def test_missing_values_are_not_numbers_and_text_is_refused(
    pair: list[TestNode], vault: Vault, desk: ConsentDesk, cell: str, seen: str
) -> None:
    path = pair[0].folder / "clients.csv"
    lines = GOOD.splitlines()
    path.write_text("\n".join([*lines[:-1], f"{lines[-1].split(',')[0]},{cell}"]) + "\n")
    grant = desk.grant(train_like(pair), asset="clients", columns=("SPEND",), now=START)
    keys = desk.gate.row_keys([f"cid:{alliance.resident_id(9)}".encode()])
    assert str(vault.features(grant, keys, START)["SPEND"][0]) == seen
    path.write_text("\n".join([*lines[:-1], f"{lines[-1].split(',')[0]},much"]) + "\n")
    with pytest.raises(errors.SourceColumnNotNumeric) as raised:
        vault.features(grant, keys, START)
    assert "much" not in str(raised.value)


def same_rows(asset: Asset, gate: Any, grant: Grant) -> list[bytes]:
    return list(Vault([asset], gate).identifiers(grant, START).ids)


def test_all_kinds_of_sources_read_alike(pair: list[TestNode], desk: ConsentDesk, grant: Grant, tmp_path: Path) -> None:
    (asset,) = pair[0].parts.node.settings.assets
    expected = same_rows(asset, desk.gate, grant)
    packed = tmp_path / "clients.csv.gz"
    packed.write_bytes(gzip.compress((pair[0].folder / "clients.csv").read_bytes()))
    ids = [alliance.resident_id(n) for n in range(10)]
    columns = tmp_path / "clients.parquet"
    pyarrow.parquet.write_table(pa.table({"client_id": ids, "SPEND": [1.0] * 10}), columns)
    url = f"sqlite:///{tmp_path / 'core.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text('CREATE TABLE "client table" (client_id TEXT, "SPEND" REAL)'))
        for client in ids:
            connection.execute(text('INSERT INTO "client table" VALUES (:client, 1)'), {"client": client})
    engine.dispose()
    for source, table in ((str(packed), None), (str(columns), None), (url, "client table")):
        assert same_rows(replace(asset, source=source, table=table), desk.gate, grant) == expected
    with pytest.raises(errors.SourceMissing):
        same_rows(replace(asset, source=url, table="no such table"), desk.gate, grant)


def test_row_keys_are_this_nodes_own(pair: list[TestNode]) -> None:
    first, second = (desk_of(node).gate.row_keys([b"cid:1"]) for node in pair)
    assert first != second
    assert desk_of(pair[0]).gate.row_keys([b"cid:1"]) == first


def test_a_survey_counts_every_row_under_an_inspection_grant_and_no_other(
    pair: list[TestNode], vault: Vault, desk: ConsentDesk, grant: Grant
) -> None:
    inspection = desk.inspection("clients", START)
    assert vault.survey(inspection, {"SPEND": len}, START) == {"SPEND": 10}
    with pytest.raises(errors.SourceColumnMissing):
        vault.survey(inspection, {"INCOME": len}, START)
    with pytest.raises(GrantRefused, match="grant of its own"):
        vault.survey(grant, {"SPEND": len}, START)


def test_tags_say_which_values_are_others_than_before_and_no_more(
    pair: list[TestNode], vault: Vault, desk: ConsentDesk, grant: Grant
) -> None:
    inspection = desk.inspection("clients", START)
    ids = [normalise("resident_id", alliance.resident_id(number)) for number in (0, 3, 5)]
    keys = [*desk.gate.row_keys(ids), b"\x07" * 32]
    before = vault.tags(inspection, ["SPEND"], keys, 0x9E3779B97F4A7C15, START)["SPEND"]
    assert before.dtype == np.uint32 and (before[:3] > 0).all() and before[3] == moment_values.GONE
    source = Path(pair[0].parts.node.settings.asset("clients").source)
    head, *rows = source.read_text().splitlines()
    client, *cells = rows[3].split(",")
    source.write_text("\n".join([head, *rows[:3], ",".join([client, *("98765" for _ in cells)]), *rows[4:]]) + "\n")
    after = vault.tags(inspection, ["SPEND"], keys, 0x9E3779B97F4A7C15, START)["SPEND"]
    assert (before == after).tolist() == [True, False, True, True]
    assert 98765 not in after
    with pytest.raises(GrantRefused, match="grant of its own"):
        vault.tags(grant, ["SPEND"], keys, 1, START)
