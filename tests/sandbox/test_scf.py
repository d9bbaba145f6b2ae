"""The public survey file becomes party files; anything else is refused by name."""

import csv
import gzip
import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from privacy import normalise
from sandbox import party_files, scf
from tests.support.shared_data import data_folder


def survey_text(rows: list[dict[str, str]], without: str = "") -> str:
    names = ["YY1", "Y1", "WGT", "AGECL", "NMMF", "STOCKS", "BOND"]
    names += [name for columns in party_files.COLUMNS.values() for name in columns]
    names = [name for name in names if name != without]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="1", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def archive(folder: Path, text: str, member: str = scf.MEMBER) -> Path:
    path = folder / "survey.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(member, text)
    return path


def households(count: int) -> list[dict[str, str]]:
    return [
        {"YY1": str(n), "Y1": f"{n}{copy}", "AGE": str(20 + n % 60), "NMMF": "0", "STOCKS": "0", "BOND": str(n * 1000)}
        for n in range(count)
        for copy in (1, 2, 3, 4, 5)
    ]


@pytest.mark.real_data
def test_the_public_file_gives_one_client_a_household(tmp_path: Path) -> None:
    counts = scf.convert(data_folder("scf2022") / "scfp2022excel.zip", tmp_path)
    known: dict[str, str] = {}
    for party in party_files.COLUMNS:
        with gzip.open(tmp_path / f"party_{party}.csv.gz", "rt") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == counts[party] == len({row["client_id"] for row in rows})
        assert not normalise.normalise_column("resident_id", [row["client_id"] for row in rows]).rejected
        assert not set(party_files.LEAKING) - {"WGT"} & set(rows[0])
        if party == "broker":
            known = {row["client_id"]: row["y_direct"] for row in rows}
    shares = Counter(known.values())
    assert shares["1"] / counts["broker"] == pytest.approx(0.378, abs=0.015)
    assert json.loads((tmp_path / "parties.json").read_text())["households"] == 4595


@pytest.mark.real_data
def test_converting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = data_folder("scf2022") / "scfp2022excel.zip"
    for name in ("first", "second"):
        scf.convert(source, tmp_path / name)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_labels_follow_the_holdings_and_only_implicate_one_counts(tmp_path: Path) -> None:
    scf.convert(archive(tmp_path, survey_text(households(400))), tmp_path / "out")
    with gzip.open(tmp_path / "out" / "party_broker.csv.gz", "rt") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == json.loads((tmp_path / "out" / "parties.json").read_text())["counts"]["broker"] < 400
    assert {row["y_direct"] for row in rows} == {"1"} or sum(row["y_direct"] == "0" for row in rows) == 1
    assert 0 < sum(row["y_direct100k"] == "1" for row in rows) < len(rows)


@pytest.mark.parametrize(
    ("text", "member", "why"),
    [
        (survey_text(households(2)), "other.csv", "no readable SCFP2022.csv"),
        (survey_text(households(2)), "../SCFP2022.csv", "no readable SCFP2022.csv"),
        (survey_text(households(2), without="MMDA"), scf.MEMBER, "no column MMDA"),
        (survey_text(households(2)) + "1,2,3\n", scf.MEMBER, "has 3 fields"),
        (survey_text([{"YY1": "1", "Y1": "11", "AGE": "forty"}]), scf.MEMBER, "not a number"),
        (survey_text([{"YY1": "1", "Y1": "11"}, {"YY1": "1", "Y1": "21"}]), scf.MEMBER, "appears twice"),
        ("", scf.MEMBER, "no column"),
        ("\x00é", scf.MEMBER, "not plain text"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, text: str, member: str, why: str) -> None:
    with pytest.raises(scf.SurveyFileRejected, match=why):
        scf.convert(archive(tmp_path, text, member), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_bomb_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scf, "MEMBER_BYTES_MAX", 1 << 20)
    with pytest.raises(scf.SurveyFileRejected, match="expands to more"):
        scf.convert(archive(tmp_path, "0" * (2 << 20)), tmp_path / "out")


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"not a zip")
    result = CliRunner().invoke(scf.import_scf, [str(tmp_path / "x.zip"), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, scf.SurveyFileRejected)
