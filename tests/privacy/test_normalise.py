"""Identifiers: the standards' own examples, every single-digit error, every disguise, and the real columns."""

import csv
import gzip
import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import normalise
from privacy.normalise import IdRejected, Reason, UnknownIdType, normalise_column, region_known
from tests.support.shared_data import data_folder

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "normalise.json").read_text())
WIDE = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
INVISIBLE = [
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\u2060",
    " ",
    "\u3000",
    "\u00a0",
    "\t",
    "-",
    "\u2010",
    "\u2014",
    "－",
]


def check_character(body: str) -> str:
    """ISO 7064 MOD 11-2 by its recursive method (section 7.1), where the product uses the weights."""
    product = 0
    for digit in body:
        product = (product + int(digit)) * 2 % 11
    return "0123456789X"[(1 - product) % 11]


def resident_ids() -> st.SearchStrategy[str]:
    regions = st.from_regex(r"[1-9][0-9]{5}", fullmatch=True)
    births = st.dates(date(1900, 1, 1), date(2099, 12, 31)).map(lambda day: day.strftime("%Y%m%d"))
    bodies = st.builds(lambda r, d, n: f"{r}{d}{n:03d}", regions, births, st.integers(0, 999))
    return bodies.map(lambda body: body + check_character(body))


@pytest.mark.parametrize(("id_type", "raw", "canonical"), VECTORS["accepted"])
def test_accepted(id_type: str, raw: str, canonical: str) -> None:
    assert VECTORS["version"] == normalise.VERSION
    assert normalise.normalise(id_type, raw) == canonical.encode()


@pytest.mark.parametrize(("id_type", "raw", "reason"), VECTORS["rejected"])
def test_rejected(id_type: str, raw: str, reason: str) -> None:
    with pytest.raises(IdRejected) as caught:
        normalise.normalise(id_type, raw)
    assert caught.value.reason == reason


@given(resident_ids())
def test_well_formed_number_is_its_own_form(number: str) -> None:
    assert normalise.normalise("resident_id", number) == b"cid:" + number.encode()


@given(resident_ids(), st.data())
def test_disguises_do_not_matter(number: str, data: st.DataObject) -> None:
    text = "".join(
        data.draw(st.sampled_from([char, char.translate(WIDE), char.lower()]))
        + data.draw(st.sampled_from(["", *INVISIBLE]))
        for char in number
    )
    assert normalise.normalise("resident_id", text) == b"cid:" + number.encode()


@given(resident_ids(), st.integers(0, 17), st.sampled_from("0123456789X"))
def test_no_single_error_passes(number: str, position: int, char: str) -> None:
    changed = number[:position] + char + number[position + 1 :]
    if changed != number:
        with pytest.raises(IdRejected):
            normalise.normalise("resident_id", changed)


@given(resident_ids(), st.integers(0, 16))
def test_no_transposition_passes(number: str, position: int) -> None:
    changed = number[:position] + number[position + 1] + number[position] + number[position + 2 :]
    if changed != number:
        with pytest.raises(IdRejected):
            normalise.normalise("resident_id", changed)


def test_fifteen_digits_become_the_eighteen_of_the_same_person() -> None:
    day = date(1900, 1, 1)
    while day.year < 2000:
        short = "990105" + day.strftime("%y%m%d") + "002"
        body = "990105" + day.strftime("%Y%m%d") + "002"
        assert normalise.normalise("resident_id", short) == f"cid:{body}{check_character(body)}".encode()
        day += timedelta(days=17)


@given(st.text(max_size=300), st.sampled_from(["resident_id", "phone", "email", "uscc", "hk_id", "account"]))
def test_any_text_is_rejected_or_canonical(raw: str, id_type: str) -> None:
    found: bytes | IdRejected
    try:
        found = normalise.normalise(id_type, raw)
    except IdRejected as error:
        found = error
    if isinstance(found, IdRejected):
        assert str(found) == str(IdRejected(found.reason))  # the message depends on the reason alone
        return
    assert found.isascii()
    assert len(found) <= 256
    body = found.split(b":", 1)[1].decode()
    assert normalise.normalise(id_type, body) == found  # canonical bytes are a fixed point


def test_types_never_meet() -> None:
    tags = {normalise.normalise(case[0], case[1]).split(b":")[0] for case in VECTORS["accepted"]}
    assert tags == {b"cid", b"phone", b"email", b"uscc", b"hkid", b"acct"}


def test_column_keeps_first_rows_and_counts_the_rest() -> None:
    first, second, foreign = "11010519491231002X", "440524188001010014", "990001195207070400"
    values = [
        first,
        None,
        "１１０１０５194912310021",
        foreign,
        f" {first.lower()} ",
        float("nan"),
        17,
        "",
        second,
        foreign,
    ]
    found = normalise_column("resident_id", values)
    assert found.ids == tuple(b"cid:" + text.encode() for text in (first, foreign, second))
    assert found.rows.tolist() == [0, 3, 8]
    assert found.rows.dtype == np.int64
    assert found.rejected == {Reason.MISSING: 3, Reason.CHECKSUM: 1, Reason.NOT_TEXT: 1}
    assert (found.unknown_region, found.duplicates) == (1, 2)
    assert len(found.ids) + found.duplicates + sum(found.rejected.values()) == len(values)


def test_empty_column() -> None:
    found = normalise_column("phone", [])
    assert (found.ids, found.rows.tolist(), found.rejected, found.duplicates) == ((), [], {}, 0)


def test_too_long_is_refused_before_any_work() -> None:
    with pytest.raises(IdRejected) as caught:
        normalise.normalise("account", "\ufdfa" * 257)
    assert caught.value.reason == Reason.TOO_LONG


def test_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(UnknownIdType, match="resident_id"):
        normalise_column("passport", ["1"])


def test_regions() -> None:
    for number, known in [("11010519491231002X", True), ("83000019900101001X", True), ("990001195207070400", False)]:
        assert region_known(b"cid:" + number.encode()) is known
    assert region_known(b"cid:911124198108030024")  # a foreign permanent resident: 9, province, nationality
    assert not region_known(b"cid:166666195207070400")


def test_every_reason_has_both_languages() -> None:
    for reason in Reason:
        error = IdRejected(reason)
        assert reason.value in error.message("en")
        assert error.message("zh").isascii() is False
        assert "{" not in error.message("en") + error.message("zh")


@pytest.mark.real_data
@pytest.mark.parametrize(("party", "count"), [("broker", 3665), ("bank", 3911), ("platform", 3383), ("insurer", 2748)])
def test_real_columns_are_well_formed(party: str, count: int) -> None:
    with gzip.open(data_folder("scf2022") / f"party_{party}.csv.gz", "rt") as file:
        found = normalise_column("resident_id", [line["client_id"] for line in csv.DictReader(file)])
    assert (len(found.ids), found.unknown_region, found.rejected, found.duplicates) == (count, count, {}, 0)
