"""The settlement contract under test."""

import pytest

from tests.contracts.alliance import Alliance
from tests.contracts.rig import fresh


@pytest.fixture
def alliance() -> Alliance:
    return fresh(Alliance)
