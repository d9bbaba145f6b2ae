"""Where the real data sets are read in place, and what happens where they are absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("ECOHUB_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def data_folder(name: str) -> Path:
    """The folder of a real data set. Absent: an error in CI (CI=true), a skip with its reason elsewhere."""
    folder = ROOT / name
    if not folder.is_dir():
        if os.environ.get("CI"):
            raise AssertionError(f"the real data set {name} is missing: {folder}")
        pytest.skip(f"the real data set {name} is not on this machine ({folder})")
    return folder
