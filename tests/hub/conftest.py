"""Hubs for tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.alliance import Hub, hub_without_ports

collect_ignore = [] if os.environ.get("ECOHUB_TEST_POSTGRES") else ["test_postgres.py"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub without ports, with a broker, an insurer and a bank enrolled."""
    with hub_without_ports(tmp_path, "broker", "insurer", "bank") as made:
        yield made
