"""Every reason the contract can give has its failure, and the other way round."""

import re

import pytest

from contracts import artifacts, errors


def reasons_of_the_source() -> set[str]:
    return set(
        re.findall(r'^\s*assert .*, "([^"]+)"$', (artifacts.SOURCES / "Settlement.vy").read_text(), re.MULTILINE)
    )


def test_the_catalogue_has_exactly_the_reasons_of_the_contract() -> None:
    assert set(errors.REASONS) == reasons_of_the_source()


def test_every_assert_of_the_contract_gives_a_reason() -> None:
    source = (artifacts.SOURCES / "Settlement.vy").read_text()
    asserts = [line for line in source.splitlines() if line.strip().startswith("assert ")]
    assert len(asserts) == len(re.findall(r'assert .*, "[^"]+"$', source, re.MULTILINE))


@pytest.mark.parametrize("reason", sorted(errors.REASONS))
def test_a_reason_is_shown_in_both_languages(reason: str) -> None:
    failure = errors.reverted(reason)
    assert reason in failure.message("en")
    assert reason in failure.message("zh")


def test_an_unknown_reason_is_a_plain_revert() -> None:
    assert type(errors.reverted("something else")) is errors.TransactionReverted
    assert "no reason" in errors.reverted("").message()
