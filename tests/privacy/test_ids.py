"""Identifiers: only well-formed ones exist."""

from collections.abc import Callable

import pytest

from privacy import ids

GOOD: list[tuple[Callable[[object], str], str]] = [
    (ids.parse_partner_id, "bank-a"),
    (ids.parse_digest, "0" * 64),
    (ids.parse_client_token, "a" * 32),
    (ids.parse_period, "2026-10"),
    (ids.parse_key_id, "0123456789abcdef"),
]
BAD: list[tuple[Callable[[object], str], object]] = [
    (ids.parse_partner_id, "Bank"),
    (ids.parse_partner_id, "a"),
    (ids.parse_partner_id, "../x"),
    (ids.parse_partner_id, "bank\n"),
    (ids.parse_partner_id, None),
    (ids.parse_digest, "0" * 63),
    (ids.parse_digest, "G" * 64),
    (ids.parse_client_token, "A" * 32),
    (ids.parse_period, "2026-13"),
    (ids.parse_period, "1999-01"),
    (ids.parse_key_id, 5),
]


@pytest.mark.parametrize(("parse", "value"), GOOD)
def test_a_well_formed_identifier_is_taken(parse: Callable[[object], str], value: str) -> None:
    assert parse(value) == value


@pytest.mark.parametrize(("parse", "value"), BAD)
def test_a_malformed_identifier_is_refused_in_both_languages(parse: Callable[[object], str], value: object) -> None:
    with pytest.raises(ids.MalformedIdentifier) as refusal:
        parse(value)
    assert refusal.value.message("zh") != refusal.value.message("en")
