"""What the demo needs before it starts: a data folder that is one, a period that is over, a folder that is short."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from ecowire.outputs import OutputExists
from partner_node.errors import SocketPathTooLong
from sandbox import synthetic
from sandbox.demo import demo
from sandbox.demo_story import DataFolderInvalid, last_month, read_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    synthetic.generate(made, households=200)
    return made


def test_a_synthetic_folder_says_so(folder: Path) -> None:
    data = read_data(folder)
    assert data.synthetic
    assert "WGT" in data.headers["broker"]
    assert "WGT" not in data.columns["broker"]
    assert len(data.client_ids("bank")) == json.loads((folder / "parties.json").read_text())["counts"]["bank"]


@pytest.mark.parametrize("broken", ["parties.json", "party_bank.csv.gz"])
def test_a_folder_without_a_file_is_refused(folder: Path, tmp_path: Path, broken: str) -> None:
    for path in folder.iterdir():
        if path.name != broken:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataFolderInvalid):
        read_data(tmp_path)


def test_a_column_that_is_described_and_missing_is_named(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    described = json.loads((folder / "parties.json").read_text())
    described["columns"]["bank"].append("NO_SUCH_COLUMN")
    (tmp_path / "parties.json").write_text(json.dumps(described))
    with pytest.raises(DataFolderInvalid, match="NO_SUCH_COLUMN"):
        read_data(tmp_path)


@pytest.mark.parametrize(
    ("now", "period"),
    [
        (datetime(2026, 11, 22, tzinfo=UTC), "2026-10"),
        (datetime(2026, 1, 15, tzinfo=UTC), "2025-12"),
        (datetime(2026, 10, 31, 15, 59, tzinfo=UTC), "2026-09"),
        (datetime(2026, 10, 31, 16, 0, tzinfo=UTC), "2026-10"),  # it is November in Shanghai
    ],
)
def test_the_period_is_the_last_month_that_is_over_in_shanghai(now: datetime, period: str) -> None:
    assert last_month(now) == period


def test_the_demo_refuses_a_full_folder_and_a_long_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(CliRunner().invoke(demo, ["--out", str(tmp_path)]).exception, OutputExists)
    result = CliRunner().invoke(demo, ["--out", str(tmp_path / ("x" * 90))])
    assert isinstance(result.exception, SocketPathTooLong)
