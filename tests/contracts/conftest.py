"""The settlement contract under test."""

import pytest

from tests.contracts.alliance import Alliance


@pytest.fixture
def alliance() -> Alliance:
    return Alliance()
