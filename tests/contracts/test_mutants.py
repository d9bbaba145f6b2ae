"""The mutation gate as a test: one contract rule taken away, at least one test of the rules fails."""

import pytest

from tests.contracts.mutants import EFFECTS, mutants, source_of, survives


def test_every_mutant_alters_the_source() -> None:
    names = mutants()
    assert len(names) > 40
    assert len({source_of(name) for name in names}) == len(names) == len(EFFECTS) + sum(n[0] == "a" for n in names)


@pytest.mark.full
@pytest.mark.parametrize("mutant", mutants())
def test_a_mutant_is_found(mutant: str) -> None:
    assert not survives(mutant)
