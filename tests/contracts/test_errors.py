"""Every reason the contracts can give has its failure, and the other way round."""

import re

import pytest

from contracts import artifacts, errors
from contracts.build import CONTRACTS

REASON = re.compile(r', "([^"]+)"$')


def asserts(name: str) -> list[str]:
    """The checks of a contract's source, one a line."""
    lines = map(str.strip, (artifacts.SOURCES / f"{name}.vy").read_text().splitlines())
    return [line.partition("  #")[0] for line in lines if line.startswith("assert ")]


def test_the_catalogue_has_exactly_the_reasons_of_the_contracts() -> None:
    given = {found.group(1) for name in CONTRACTS for line in asserts(name) if (found := REASON.search(line))}
    assert set(errors.REASONS) == given


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_assert_gives_a_reason(name: str) -> None:
    assert asserts(name)
    assert [line for line in asserts(name) if not REASON.search(line)] == []


@pytest.mark.parametrize("reason", sorted(errors.REASONS))
def test_a_reason_is_shown_in_both_languages(reason: str) -> None:
    failure = errors.reverted(reason)
    assert reason in failure.message("en")
    assert reason in failure.message("zh")


def test_an_unknown_reason_is_a_plain_revert() -> None:
    assert type(errors.reverted("something else")) is errors.TransactionReverted
    assert "no reason" in errors.reverted("").message()
