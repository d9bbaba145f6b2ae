"""Flows run real processes on loopback: see tests.support.launch_alliance."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import launch_fixtures, launch_once
from tests.support.launch_alliance import Alliance


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder, in which the one alliance is set up that all flows copy."""
    return launch_once.shared_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    """A running copy of its own for each module."""
    with launch_fixtures.running(base, tmp_path_factory.mktemp("a") / "w") as made:
        yield made
