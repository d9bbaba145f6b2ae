"""The synthetic alliance: same layout as the public data, well-formed ids of nobody, dependent columns."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from privacy import normalise
from sandbox import party_files, synthetic
from tests.support.shared_data import data_folder

Table = dict[str, dict[str, str]]


def read_party(folder: Path, party: str) -> tuple[list[str], Table]:
    with gzip.open(folder / f"party_{party}.csv.gz", "rt") as stream:
        reader = csv.DictReader(stream)
        names = list(reader.fieldnames or ())
        return names, {row["client_id"]: row for row in reader}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("synthetic")
    synthetic.generate(made)
    return made


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_clients(folder: Path, tmp_path: Path) -> None:
    synthetic.generate(tmp_path / "again")
    synthetic.generate(tmp_path / "other", seed=synthetic.SEED + 1)
    for file in sorted(path.name for path in folder.iterdir()):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    other = set(read_party(tmp_path / "other", "broker")[1])
    assert not other & set(read_party(folder, "broker")[1])


def test_ids_are_sorted_well_formed_and_of_no_region(folder: Path) -> None:
    for party in party_files.COLUMNS:
        ids = list(read_party(folder, party)[1])
        assert ids == sorted(ids)
        result = normalise.normalise_column("resident_id", ids)
        assert len(result.ids) == len(ids)
        assert result.rejected == {}
        assert result.unknown_region == len(ids)


def test_the_layout_is_the_public_data_s(folder: Path) -> None:
    public = data_folder("scf2022")
    theirs = json.loads((public / "parties.json").read_text())
    ours = json.loads((folder / "parties.json").read_text())
    assert {**ours, "origin": "", "counts": {}, "year": 0, "id": ""}.items() >= {
        **theirs, "origin": "", "counts": {}, "year": 0, "id": "",
    }.items()  # fmt: skip
    assert ours["counts"].keys() == theirs["counts"].keys()
    for party in party_files.COLUMNS:
        assert read_party(folder, party)[0] == read_party(public, party)[0]


def test_coverage_is_near_what_parties_json_says(folder: Path) -> None:
    counts = json.loads((folder / "parties.json").read_text())["counts"]
    for party, percent in party_files.COVERAGE_PERCENT.items():
        assert counts[party] == pytest.approx(synthetic.HOUSEHOLDS * percent / 100, rel=0.04)


def test_every_column_varies_and_flags_are_flags(folder: Path) -> None:
    for party in party_files.COLUMNS:
        names, rows = read_party(folder, party)
        for name in names[1:]:
            assert len({row[name] for row in rows.values()}) > 1, name
    _, bank = read_party(folder, "bank")
    assert {row["SAVED"] for row in bank.values()} == {"0", "1"}
    assert any("." in row["WAGEINC"] for row in bank.values())
    assert any(row["BUSSEFARMINC"].startswith("-") for row in bank.values())


def test_partners_add_what_the_broker_can_not_see(folder: Path) -> None:
    tables = {party: read_party(folder, party)[1] for party in ("broker", "bank", "platform")}
    common = sorted(set.intersection(*map(set, tables.values())))
    y = np.array([int(tables["broker"][client]["y_direct"]) for client in common])
    matrix = {}
    for party, rows in tables.items():
        names = party_files.COLUMNS[party]
        matrix[party] = standardised([[float(rows[client][name]) for name in names] for client in common])
    alone = cross_validated_auc(matrix["broker"], y)
    joint = cross_validated_auc(np.hstack(list(matrix.values())), y)
    assert 0.82 < alone < 0.86
    assert 0.855 < joint < 0.89
    assert joint - alone > 0.02


def test_the_command_says_synthetic(tmp_path: Path) -> None:
    result = CliRunner().invoke(synthetic.synthetic, ["--out", str(tmp_path / "s"), "--households", "200", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["origin"].startswith("synthetic")
    assert "synthetic" in json.loads((tmp_path / "s" / "parties.json").read_text())["origin"]


def standardised(rows: list[list[float]]) -> np.ndarray:
    matrix = np.array(rows)
    wide = np.abs(matrix).max(axis=0) > 100
    matrix[:, wide] = np.sign(matrix[:, wide]) * np.log1p(np.abs(matrix[:, wide]))
    return (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)


def cross_validated_auc(matrix: np.ndarray, y: np.ndarray) -> float:
    fold = np.random.default_rng(0).permutation(len(y)) % 5
    return float(
        np.mean(
            [auc(matrix[fold == k] @ ridge_logistic(matrix[fold != k], y[fold != k]), y[fold == k]) for k in range(5)]
        )
    )


def ridge_logistic(matrix: np.ndarray, y: np.ndarray) -> np.ndarray:
    weights, offset = np.zeros(matrix.shape[1]), 0.0
    for _ in range(12):
        p = 1 / (1 + np.exp(-(matrix @ weights + offset)))
        hessian = (matrix * (p * (1 - p))[:, None]).T @ matrix + np.eye(matrix.shape[1])
        weights = weights - np.linalg.solve(hessian, matrix.T @ (p - y) + weights)
        offset -= float((p - y).sum() / (p * (1 - p)).sum())
    return weights


def auc(score: np.ndarray, y: np.ndarray) -> float:
    rank = np.empty(len(y))
    rank[np.argsort(score)] = np.arange(1, len(y) + 1)
    ones = int(y.sum())
    return float((rank[y == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(y) - ones)))
