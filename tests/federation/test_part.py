"""A party's part of a scorecard: read back as written, strict about anything else, and it scores as training did."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federation.errors import ColumnHasGaps, ColumnInfinite, ColumnMissing, ModelPartUnreadable, RowsDiffer
from federation.features import prepare
from federation.vertical.part import ModelPart, model_part
from privacy import packing
from privacy.errors import Failure

ROWS = 900
TRAIN = np.arange(ROWS) % 3 > 0
DRAW = np.random.default_rng(8)
TABLE = {
    "amount": np.rint(1000 * np.expm1(DRAW.normal(size=ROWS) * 4)),
    "age": DRAW.integers(18, 90, ROWS),
    "income": np.where(DRAW.random(ROWS) < 0.2, np.nan, DRAW.exponential(900.0, ROWS)),
    "visits": DRAW.poisson(3.0, ROWS).astype(float),
    "flag": DRAW.random(ROWS) < 0.3,
}
PREPARED = prepare(TABLE, [*TABLE], TRAIN, 50, binned=["income", "visits"], bins=4, coding=2)
OLDER = prepare(TABLE, [*TABLE], TRAIN, 50, binned=["income", "visits"], bins=4)  # the first coding
WEIGHTS = DRAW.normal(size=len(PREPARED.names))
PART = model_part("broker", PREPARED, WEIGHTS, -0.75)


def test_it_scores_the_rows_it_was_trained_on_as_training_did() -> None:
    expected = PREPARED.scaled @ WEIGHTS - 0.75
    assert PART.shares(TABLE, ROWS) == pytest.approx(expected, abs=1e-12)
    assert PART.points(TABLE, ROWS).shape == (ROWS, len(PART.names))
    assert PART.columns == tuple(TABLE)
    assert PART.names == PREPARED.names == ("amount", "age", *["income"] * 4, *["visits"] * 2, "flag")


def test_a_part_of_the_first_coding_is_written_and_scores_as_before() -> None:
    older = model_part("broker", OLDER, WEIGHTS, -0.75)
    written: Any = packing.unpack(older.encode())
    assert set(written["columns"][0]) == {"name", "wide", "mean", "deviation"} and written["columns"][0]["wide"] is True
    logs = np.sign(TABLE["amount"]) * np.log1p(np.abs(TABLE["amount"]))
    expected = np.rint((logs - logs[TRAIN].mean()) / logs[TRAIN].std() * 256) / 256 * WEIGHTS[0]
    assert ModelPart.decode(older.encode()).points(TABLE, ROWS)[:, 0] == pytest.approx(expected, abs=1e-12)
    unit: Any = packing.unpack(PART.encode())
    assert set(unit["columns"][0]) == {"name", "unit", "mean", "deviation"}


def test_one_client_scores_as_in_the_batch() -> None:
    whole = PART.shares(TABLE, ROWS)
    for row in (0, 17, ROWS - 1):
        one = {name: values[row : row + 1] for name, values in TABLE.items()}
        assert PART.shares(one, 1)[0] == whole[row]
    assert PART.shares({name: values[:0] for name, values in TABLE.items()}, 0).shape == (0,)


def test_it_is_read_back_as_it_was_written() -> None:
    again = ModelPart.decode(PART.encode())
    assert again.encode() == PART.encode()
    assert (again.partner, again.columns, again.digest) == (PART.partner, PART.columns, PART.digest)
    assert (again.shares(TABLE, ROWS) == PART.shares(TABLE, ROWS)).all()


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"age": np.full(2, np.nan)}, ColumnHasGaps),
        ({"income": np.full(2, np.inf)}, ColumnInfinite),
        ({"age": np.zeros(3)}, RowsDiffer),
    ],
    ids=["a gap where none is known", "infinite", "another number of rows"],
)
def test_rows_that_do_not_fit_are_refused(change: dict[str, Any], failure: type[Failure]) -> None:
    table = {name: values[:2] for name, values in TABLE.items()}
    assert len(PART.shares({**table, "income": np.full(2, np.nan), "other": np.zeros(7)}, 2)) == 2
    with pytest.raises(failure):
        PART.shares({**table, **change}, 2)
    with pytest.raises(ColumnMissing, match="flag"):
        PART.shares({name: values for name, values in table.items() if name != "flag"}, 2)


def setting(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda value: value | fields


def column(place: int, **fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The change of one column: 0 is wide in its unit, 1 plain, 2 is binned with the missing as a bin, 3 without."""

    def change(value: dict[str, Any]) -> dict[str, Any]:
        listed = list(value["columns"])
        listed[place] = listed[place] | fields
        return value | {"columns": listed}

    return change


def twice(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"columns": [value["columns"][0], *value["columns"][:1], *value["columns"][2:]]}


BAD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda _: 7,
    "a field too many": setting(extra=1),
    "another version": setting(version=2),
    "a version that is true": setting(version=True),
    "a partner that is none": setting(partner="NO PARTNER"),
    "a partner that is no text": setting(partner=3),
    "no columns": setting(columns=[]),
    "columns that are no list": setting(columns="amount"),
    "a column that is text": setting(columns=["amount"]),
    "a column twice": twice,
    "weights of another length": setting(weights=np.zeros(3)),
    "weights that are not finite": setting(weights=np.full(len(WEIGHTS), np.nan)),
    "weights of whole numbers": setting(weights=np.zeros(len(WEIGHTS), np.int64)),
    "weights in two dimensions": setting(weights=np.zeros((1, len(WEIGHTS)))),
    "an intercept that is a number": setting(intercept=1),
    "an infinite intercept": setting(intercept=np.array([np.inf])),
    "a name that is empty": column(0, name=""),
    "a name that is a number": column(0, name=1),
    "a long name": column(0, name="x" * 129),
    "a deviation of nothing": column(0, deviation=np.array([0.0])),
    "a mean that is not finite": column(0, mean=np.array([np.nan])),
    "wide as a number": column(1, wide=1),
    "a unit beside wide": column(1, unit=np.array([8.0])),
    "a unit below one": column(0, unit=np.array([0.5])),
    "a unit of one, which is written otherwise": column(0, unit=np.array([1.0])),
    "a unit that is a number": column(0, unit=8),
    "a plain column with edges": column(0, edges=np.zeros(1)),
    "edges that fall": column(2, edges=np.array([3.0, 2.0, 1.0])),
    "edges that are not finite": column(2, edges=np.array([1.0, 2.0, np.inf])),
    "an edge too few": column(2, edges=np.array([1.0, 2.0])),
    "a bin of the missing that is none": column(2, missing=9),
    "the missing in a bin between edges": column(2, missing=1),
    "a missing that is true": column(3, missing=True),
    "a reference that is none": column(2, reference=-1),
    "the reference elsewhere than the missing": column(3, reference=2, missing=1),
    "shares above one": column(3, means=np.array([0.5, 0.4, 0.3])),
    "a share of nothing": column(3, means=np.array([0.5, 0.0, 0.3])),
    "no shares": column(3, means=np.zeros(0)),
}


@pytest.mark.parametrize("case", BAD)
def test_anything_else_is_refused(case: str) -> None:
    value = packing.unpack(PART.encode())
    assert isinstance(value, dict)
    with pytest.raises(ModelPartUnreadable):
        ModelPart.decode(packing.pack(BAD[case](dict(value))))


def test_no_damaged_byte_is_taken_for_another_part() -> None:
    """Numbers may differ: their bytes are all legal. Everything else is refused, and what is read encodes the same."""
    data = PART.encode()
    draw = np.random.default_rng(1)
    for _ in range(400):
        broken = bytearray(data)
        broken[int(draw.integers(len(data)))] ^= int(draw.integers(1, 256))
        try:
            found = ModelPart.decode(bytes(broken))
        except ModelPartUnreadable:
            continue
        assert found.encode() == bytes(broken)
        assert found.digest != PART.digest
    for length in (0, 4, len(data) // 2, len(data) - 1):
        with pytest.raises(ModelPartUnreadable):
            ModelPart.decode(data[:length])
