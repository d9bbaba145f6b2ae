"""Ids in equal steps: what somebody counts through is found whatever the type and step; clients are not."""

import random
from datetime import date, timedelta

import pytest

from partner_node.match_sequences import longest_run
from privacy.normalise import normalise
from tests.partner_node.alliance import resident_id


def phones(numbers: list[int]) -> list[bytes]:
    return [normalise("phone", f"13{number:09d}") for number in numbers]


def born(day: date) -> bytes:
    """The same region and sequence, another day of birth."""
    body = f"990001{day:%Y%m%d}001"
    weights = [pow(2, 17 - i, 11) for i in range(17)]
    check = "10X98765432"[sum(w * int(d) for w, d in zip(weights, body, strict=True)) % 11]
    return normalise("resident_id", body + check)


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 54_321])
def test_numbers_in_equal_steps_are_a_run(step: int) -> None:
    ids = phones([5 + step * i for i in range(150)])
    random.Random(1).shuffle(ids)
    assert longest_run(ids) == 150


def test_resident_ids_of_one_day_are_a_run_in_spite_of_check_characters() -> None:
    assert longest_run([normalise("resident_id", resident_id(n)) for n in range(200)]) == 200


def test_days_of_birth_that_are_counted_through_are_a_run_over_the_ends_of_months() -> None:
    first = date(1984, 1, 1)
    assert longest_run([born(first + timedelta(days=n)) for n in range(700)]) == 700


@pytest.mark.parametrize(
    ("id_type", "forms"),
    [
        ("email", [f"user{n:04d}@mail.example" for n in range(120)]),
        ("email", [f"a.{n}.b@mail.example" for n in range(120)]),
    ],
)
def test_addresses_with_a_number_in_them_are_a_run(id_type: str, forms: list[str]) -> None:
    assert longest_run([normalise(id_type, form) for form in forms]) == 120


def test_hong_kong_ids_and_credit_codes_are_a_run() -> None:
    assert longest_run([b"hkid:A%06d0" % n for n in range(110)]) == 110
    assert longest_run([b"uscc:91310000%08dXY" % n for n in range(9)]) == 9


@pytest.mark.parametrize(
    "ids",
    [
        [],
        phones([1]),
        [normalise("email", f"{name}@mail.example") for name in ("ann", "bob", "cy")],
        [normalise("account", f"62220000{n:08d}") for n in range(500)],
    ],
    ids=["none", "one", "no number", "accounts, which are issued in a row"],
)
def test_what_has_no_order_is_no_run(ids: list[bytes]) -> None:
    assert longest_run(ids) <= 1


@pytest.mark.parametrize("density", [0.001, 0.1, 0.5])
def test_real_clients_make_no_long_run(density: float) -> None:
    """Half of all numbers of a region is more than any partner has."""
    rows = random.Random(5)
    numbers = [n for n in range(200_000) if rows.random() < density]
    assert longest_run(phones(numbers)) <= 40


def test_a_break_ends_a_run() -> None:
    assert longest_run(phones([*range(50), *range(51, 101)])) == 50
