"""Moments as equations: who knows many columns of few rows could solve for another party's column, row by row."""

from typing import Any

import numpy as np
import pytest

from federation import equations
from federation.equations import Group
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


def test_two_runs_that_differ_by_fifty_clients_tell_each_of_them() -> None:
    """The attack, by a label holder with 62 columns: sums over 50 clients, of which each run alone tells nothing.

    Each keeps the quarter. The two ways in which the bank standardised its column are two unknowns more.
    """
    whole, wide = tables(), 62
    plan = plan_of(wide)
    left = np.flatnonzero(~plan.test_mask(whole["bank"].tokens))[:50]
    without = {
        name: Table(
            tokens=tuple(np.delete(np.array(table.tokens), left).tolist()),
            columns={column: np.delete(values, left) for column, values in table.columns.items()},
            label=None if table.label is None else np.delete(table.label, left),
        )
        for name, table in whole.items()
    }
    raw = np.column_stack([whole["broker"].columns[name] for name in NAMES[:wide]])
    sums, told = [], []
    for found in (whole, without):
        parties = pump(plan, found)
        broker, moments = parties["broker"], parties["broker"]._moments_of("train")  # type: ignore[union-attr]
        train = ~plan.test_mask(found["broker"].tokens)
        own = np.column_stack([found["broker"].columns[name] for name in NAMES[:wide]])[train]
        scaled = broker._matrices["train"] / SCALE
        # own values as they are, times the bank's: by the own scale, which is known
        told.append(own.std(axis=0) * moments.gram[:wide, wide] + own.mean(axis=0) * moments.sums[wide])
        assert np.abs(scaled - (own - own.mean(axis=0)) / own.std(axis=0)).max() <= 1 / SCALE
        sums.append(own.sum(axis=0))
    unknown = np.column_stack([raw[left].T, told[1], -sums[1]])
    solved = np.linalg.lstsq(unknown, told[0], rcond=None)[0]
    column, train = np.asarray(whole["bank"].columns["saving"]), ~plan.test_mask(whole["bank"].tokens)
    truth = (column[left] - column[train].mean()) / column[train].std()
    assert np.abs(solved[:50] - truth).max() < 0.2 and np.corrcoef(solved[:50], truth)[0, 1] > 0.99


def test_the_rule_of_equations_finds_these_two_runs() -> None:
    plan, names = plan_of(62), tokens(ROWS)
    test = plan.test_mask(names)
    once, again = np.where(test, -1, 0), np.where(test, -1, 0)
    again[np.flatnonzero(~test)[:50]] = -1
    each = Group(count=62 + 2, parts=(0,))
    assert equations.within(equations.cells_of([once]), [each], party.ROWS_PER_COLUMN), "a run alone keeps the quarter"
    both = [Group(count=62 + 2, parts=(0, 1))]
    assert not equations.within(equations.cells_of([once, again]), both, party.ROWS_PER_COLUMN)
