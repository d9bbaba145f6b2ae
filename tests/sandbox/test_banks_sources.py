"""Banks' data folders: the same columns, nobody in two banks, nothing that hands the label over."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ecowire.outputs import OutputExists
from privacy import normalise
from sandbox import party_files
from sandbox.banks import files, sources
from sandbox.banks.files import Banks, BanksFolderInvalid
from tests.support.shared_data import data_folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Banks:
    return sources.generate(tmp_path_factory.mktemp("drawn") / "banks", households=1200)


def assert_well_formed(made: Banks) -> None:
    """What holds of every folder, wherever its clients come from."""
    assert files.read(made.folder) == made
    rows = {name: made.rows(name) for name in made.names}
    assert {name: len(found) for name, found in rows.items()} == dict(made.sizes)
    ids = [client for found in rows.values() for client in found]
    assert len(set(ids)) == len(ids), "no client of two banks"
    assert all(list(found) == sorted(found) for found in rows.values())
    normalised = normalise.normalise_column("resident_id", ids)
    assert (len(normalised.ids), normalised.unknown_region) == (len(ids), len(ids))
    for found in rows.values():
        assert {row[made.label] for row in found.values()} == set(made.classes)
        for column in made.columns:
            values = [row[column.name] for row in found.values() if row[column.name]]
            if column.kind == files.CATEGORY:
                assert set(values) <= set(column.levels), column.name
            else:
                assert all(isinstance(float(value), float) for value in values)


def test_a_seed_gives_the_same_banks_and_another_seed_others(drawn: Banks, tmp_path: Path) -> None:
    assert_well_formed(drawn)
    again = sources.generate(tmp_path / "again", households=1200)
    other = sources.generate(tmp_path / "other", households=1200, seed=7)
    for name in drawn.names:
        assert again.file(name).read_bytes() == drawn.file(name).read_bytes()
    assert not {*other.rows("bank-a")} & {*drawn.rows("bank-a")}


def test_banks_differ_in_size_and_age_and_have_unanswered_questions(drawn: Banks) -> None:
    ages = {}
    for name in drawn.names:
        rows = drawn.rows(name).values()
        ages[name] = sum(float(row["AGE"]) for row in rows) / len(rows)
        assert 0 < sum(row["FINLIT"] == "" for row in rows) < 0.1 * len(rows)
    assert list(ages.values()) == sorted(ages.values()), "older clients in later banks"
    assert list(drawn.sizes.values()) == sorted(drawn.sizes.values()), "and more of them"
    assert {column.name for column in drawn.columns if column.kind == files.CATEGORY} == {"OCCUPATION", "HOUSEHOLD"}


@pytest.mark.parametrize("count", [3, 20])
def test_as_many_banks_as_asked(count: int, tmp_path: Path) -> None:
    made = sources.generate(tmp_path / "banks", banks=count, households=6000)
    assert len(made.names) == count
    assert sum(made.sizes.values()) == 6000


def test_too_few_clients_for_that_many_banks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BanksFolderInvalid, match="fewer than"):
        sources.generate(tmp_path / "banks", banks=20, households=1000)
    assert not (tmp_path / "banks").exists()


def test_an_existing_folder_of_banks_is_never_overwritten(drawn: Banks) -> None:
    with pytest.raises(OutputExists):
        sources.generate(drawn.folder, households=1200)


def test_a_folder_that_is_something_else_is_refused(drawn: Banks, tmp_path: Path) -> None:
    with pytest.raises(BanksFolderInvalid, match="neither"):
        sources.prepare(tmp_path, tmp_path / "out")
    for path in drawn.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert sources.prepare(tmp_path, tmp_path / "out").sizes == drawn.sizes
    described = json.loads((tmp_path / files.DESCRIPTION).read_text())
    described["columns"].append({"name": "NO_SUCH_COLUMN", "kind": "number", "transform": "none"})
    (tmp_path / files.DESCRIPTION).write_text(json.dumps(described))
    with pytest.raises(BanksFolderInvalid, match="other columns"):
        files.read(tmp_path)
    (tmp_path / "bank-b.csv.gz").unlink()
    with pytest.raises(BanksFolderInvalid, match="FileNotFoundError"):
        files.read(tmp_path)


@pytest.mark.real_data
def test_the_survey_s_four_banks_use_no_column_that_holds_the_label(tmp_path: Path) -> None:
    made = sources.convert(data_folder("scf2022"), tmp_path / "scf")
    assert_well_formed(made)
    assert sum(made.sizes.values()) == 4595
    names = {column.name for column in made.columns}
    public = json.loads((data_folder("scf2022") / "parties.json").read_text())
    assert len(names) == 87 and names == {name for listed in public["columns"].values() for name in listed}
    assert not names & {*public["never_use_as_features"], *public["labels"]}
    assert set(made.names) == {name.replace("_", "-").lower() for name in party_files.HORIZONTAL_NODES}
    assert next(column for column in made.columns if column.name == "AGE").transform == "none"
    assert next(column for column in made.columns if column.name == "CHECKING").transform == "signed_log"


@pytest.mark.real_data
@pytest.mark.slow_flow
def test_the_campaign_s_five_banks_know_neither_the_call_s_duration_nor_the_job(tmp_path: Path) -> None:
    made = sources.convert(data_folder("uci_bank_marketing"), tmp_path / "uci")
    assert_well_formed(made)
    public = json.loads((data_folder("uci_bank_marketing") / "parties.json").read_text())
    assert len(made.names) == 5 and sum(made.sizes.values()) == public["rows"]["bank-additional-full.csv"] - 330
    names = {column.name for column in made.columns}
    assert names == {name for listed in public["vertical"].values() for name in listed} - {"job"}
    assert "duration" not in names and "duration" not in next(iter(made.rows("bank-a").values()))
    months = next(column for column in made.columns if column.name == "month")
    assert months.kind == files.CATEGORY and "may" in months.levels


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    options = ["--out", str(tmp_path / "b"), "--households", "1000", "--banks", "3", "--json"]
    result = CliRunner().invoke(sources.banks, options)
    assert result.exit_code == 0
    told = json.loads(result.output)
    assert told["origin"].startswith("synthetic") and sum(told["counts"].values()) == 1000
