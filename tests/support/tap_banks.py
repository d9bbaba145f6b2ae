"""Canaries in banks' files, and the patterns that would give a bank's rows or its own update away.

What a bank contributes is worked out again by an oracle that owns all rows: the unprotected run gives the joint
weights of every round, and each bank's trainer what it makes of them.
"""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from federation import tabular
from federation.horizontal import terms
from federation.horizontal.checkpoint import Checkpoint
from federation.horizontal.trainer import Trainer
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows, Scaling
from privacy import normalise
from sandbox import world
from sandbox.banks import plain
from sandbox.banks.files import ID_COLUMN, NUMBER, Banks
from tests.support import tap_forms
from tests.support.tap_forms import Form
from tests.support.tap_search import Patterns

EXAMPLES = 6


def plant(data: Banks, seed: int = 11) -> Banks:
    """Make every number of every bank a canary, in place: no other cell has its digits or its bits."""
    draw = np.random.default_rng(seed)
    numbers = {column.name for column in data.columns if column.kind == NUMBER}
    for name in data.names:
        rows = data.rows(name)
        for row in rows.values():
            for column in numbers:
                if row[column]:
                    row[column] = repr(float(row[column]) * (1 + draw.random() / 1000) + (draw.random() + 1) / 2000)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(next(iter(rows.values()))), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
        data.file(name).write_bytes(gzip.compress(text.getvalue().encode()))
    return data


def patterns(data: Banks, plan: HorizontalPlan, tables: Mapping[str, Rows]) -> Patterns:
    """All that must not be found. tables: the rows that each node reads."""
    found = Patterns()
    keys = [(word.encode(), word[:16]) for word in ("ecohub", world.ALLIANCE, world.PURPOSE, plan.digest)]
    states: list[Checkpoint] = []
    finished = plain.rerun(plan, tables, states.append)
    for name in data.names:
        rows = data.rows(name)
        for client in rows:
            found.update(tap_forms.identifier(client, normalise.normalise("resident_id", client), keys, "an id"))
        found.update(_cells(name, data, rows))
        found.update(_matrix(name, plan, tables[name], finished.model.scaling))
        trainer = Trainer(plan, name, tables[name])
        found.update(_contributions(name, plan, trainer, states))
        scored = finished.model.chances(tables[name])[:, 1]
        found.update(tap_forms.pairs(scored.tolist(), f"{name}'s scores"))
    return found


def _cells(name: str, data: Banks, rows: Mapping[str, Mapping[str, str]]) -> Iterator[Form]:
    for number, row in enumerate(rows.values()):
        values = {c.name: float(row[c.name]) for c in data.columns if c.kind == NUMBER and row[c.name]}
        assert ID_COLUMN not in values and data.label not in values
        for column, value in values.items():
            yield from tap_forms.number(value, f"{name}'s {column}")
            if number < EXAMPLES:
                yield from tap_forms.disguised(value, f"{name}'s {column}")
        yield from tap_forms.pairs([*values.values()], f"a row of {name}")


def _matrix(name: str, plan: HorizontalPlan, table: Rows, scaling: Scaling) -> Iterator[Form]:
    """Columns and rows as the model sees them, whole and by part; the label by part."""
    read = tabular.read_inputs(plan.columns, table)
    numbers = tabular.number_inputs(plan.columns)
    scaled = scaling.apply(read.values)
    label = tabular.read_label(plan.label_column, plan.classes, table) == 1
    part = tabular.parts(table.keys, plan.split)
    for row in scaled[:, numbers]:
        yield from tap_forms.pairs(row[row != 0.0].tolist(), f"a scaled row of {name}")  # 0: missing
    for mask in (np.ones(len(part), bool), *(part == one for one in (tabular.TRAIN, tabular.VALIDATION, tabular.TEST))):
        yield from tap_forms.flags(label[mask].tolist(), f"{name}'s label")
        for column in np.flatnonzero(numbers):
            for values in (read.values[mask, column], scaled[mask, column]):
                known = values[np.isfinite(values) & (values != 0.0)]
                yield from tap_forms.pairs(known.tolist(), f"{name}'s column {column}")


def _contributions(name: str, plan: HorizontalPlan, trainer: Trainer, states: list[Checkpoint]) -> Iterator[Form]:
    """What a bank alone puts into each sum: statistics, every round's update, the figures of its test rows."""
    bits = plan.new_engine().value_bits
    encode = terms.update_terms(plan, bits).encode
    yield from tap_forms.quantised(trainer.statistics().tolist(), f"{name}'s lanes of the statistics")
    for before, after in pairwise(states):
        scaling = before.statistics.scaling
        fitted = trainer.fit(after.round, before.parameters, scaling)
        assert fitted.loss is not None
        change = np.concatenate([values.ravel() for values in fitted.update])
        moved = change + np.concatenate([values.ravel() for values in before.parameters])
        for values, what in ((moved, "weights"), (change, "update")):
            telling = values[values != 0.0]  # the weight of a level that nobody has stays 0
            yield from tap_forms.pairs(telling.tolist(), f"{name}'s {what}")
            for value in telling:
                yield from tap_forms.number(float(value), f"{name}'s {what}")
        lanes = encode(change, fitted.examples, {terms.LOSS: fitted.loss}, bits, None)
        yield from tap_forms.quantised(lanes.tolist(), f"{name}'s lanes of round {after.round}")
    last = states[-1]
    _, lanes = trainer.finish(last.parameters, last.statistics.scaling, last.round)
    yield from tap_forms.quantised(lanes.tolist(), f"{name}'s lanes of the figures")
