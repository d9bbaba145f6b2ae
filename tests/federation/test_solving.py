"""Moments as equations: who knows many columns of few rows could solve for another party's column, row by row."""

from typing import Any

import numpy as np
import pytest

from federation.errors import ColumnsTellRows
from federation.features import Table
from federation.plan import TrainingPlan, order_digest
from federation.vertical import open_session, party
from federation.vertical.assembly import SCALE
from federation.vertical.messages import Content, encode
from tests.federation.alliance import Tables, body, pump, tokens
from tests.support.entropy import SeededEntropy

ROWS, WIDE = 500, 190
NAMES = [f"c{number}" for number in range(WIDE)]
COLUMNS = {"broker": NAMES, "bank": ["saving", "debt"]}
VALIDATION = {"folds": 2, "ridge_path_milli": [1_000]}


def tables() -> Tables:
    draw = np.random.default_rng(8)
    label = draw.integers(0, 2, ROWS)
    own = {name: draw.normal(size=ROWS) for name in NAMES}
    theirs = {"saving": draw.normal(size=ROWS), "debt": draw.normal(size=ROWS) + label}
    names = tokens(ROWS)
    return {
        "broker": Table(tokens=names, columns=own, label=label),
        "bank": Table(tokens=names, columns=theirs),
    }


def plan_of(width: int, **changes: Any) -> TrainingPlan:
    return TrainingPlan.from_body(body({**COLUMNS, "broker": NAMES[:width]}, minimum_rows=200, **changes))


def test_with_as_many_columns_as_rows_moments_are_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack, by a label holder that follows the protocol: every value of both columns in every fold."""
    monkeypatch.setattr(party, "ROWS_PER_COLUMN", 0.5)
    plan, found = plan_of(WIDE, validation=VALIDATION), tables()
    parties = pump(plan, found)
    broker, bank = parties["broker"], parties["bank"]
    for part in plan.train_parts:
        own = broker._matrices[part] / SCALE
        known = np.vstack([own.T, np.ones(len(own))])
        moments = broker._moments_of(part)  # type: ignore[union-attr]
        sides = np.vstack([moments.gram[:WIDE, WIDE:], moments.sums[WIDE:]])
        solved = np.linalg.lstsq(known, sides, rcond=None)[0]
        assert np.abs(solved - bank._matrices[part] / SCALE).max() < 1 / SCALE


@pytest.mark.parametrize("validation", [None, VALIDATION], ids=["whole", "folds"])
def test_columns_are_at_most_a_quarter_of_every_parts_rows(validation: dict[str, Any] | None) -> None:
    options = {"validation": validation} if validation else {}
    parts = plan_of(2, **options).parts(tokens(ROWS))
    limit = min(int(mask.sum()) for mask in parts.values()) // 4 - 2
    own = tables()["broker"]
    assert len(open_session(plan_of(limit, **options), "broker", own, SeededEntropy(b"x")).names["broker"]) == limit
    with pytest.raises(ColumnsTellRows, match=f"{limit + 1} columns and bins of broker"):
        open_session(plan_of(limit + 1, **options), "broker", own, SeededEntropy(b"x"))


def test_a_party_looks_at_the_columns_of_the_others_before_anything_is_multiplied() -> None:
    plan, table = plan_of(100), tables()["bank"]
    bank = open_session(plan, "bank", table, SeededEntropy(b"x"))
    bank.start()
    content: Content = {"commitment": bytes(32), "order": order_digest(table.tokens), "columns": [*NAMES[:100]]}
    with pytest.raises(ColumnsTellRows, match="100 columns and bins of broker"):
        bank.receive("broker", encode(plan.digest, "commit", content))
