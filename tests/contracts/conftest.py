"""The contract under test: the committed one, or the mutant that tests/contracts/mutants.py names."""

import os

import pytest

from tests.contracts.alliance import Alliance


@pytest.fixture
def alliance() -> Alliance:
    mutant = os.environ.get("ECOHUB_MUTANT")
    if mutant is None:
        return Alliance()
    from tests.contracts.mutants import artifact_of

    return Alliance(artifact_of(mutant))
