"""Columns that set one client apart: what their holder reads from its own exact moments, and who keeps it from that.

A holder's node leaves such columns out (rule e), for whoever brings them by mistake or at a label holder's wish. That
rule is the holder's own: one that takes it out of its node reads labels, and with one feature holder nobody can tell
(design, h: semi-honest in what columns it brings). Only a second holder, who multiplies its columns, sees them.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation import features, rarity
from federation.errors import MomentsImplausible
from federation.plan import TRAIN, TrainingPlan
from federation.vertical import Outgoing
from federation.vertical.messages import decode
from tests.federation.alliance import Tables, body, pump, synthetic

TABLES, COLUMNS = synthetic(rows=1200)
TRAINED = ~TrainingPlan.from_body(body(COLUMNS)).test_mask(TABLES["broker"].tokens)
VICTIMS = np.flatnonzero(TRAINED)[[3, 40, 77, 205]]


def one_client(victim: int) -> dict[str, np.ndarray]:
    return {"alone": (np.arange(1200) == victim).astype(np.int64)}


def all_but_one(victim: int) -> dict[str, np.ndarray]:
    """Two columns of many clients each, which differ in one."""
    many = np.arange(1200) % 3 == 0
    without = many & (np.arange(1200) != victim)
    with_ = without | (np.arange(1200) == victim)
    return {"with": with_.astype(np.int64), "without": without.astype(np.int64)}


ATTACKS = {"a column of one client": one_client, "two columns that differ in one client": all_but_one}


def brought(victim: int, attack: Any, *parties: str) -> tuple[TrainingPlan, Tables]:
    """A plan in which the bank brings the attack's columns beside its own."""
    extra = attack(victim)
    tables = TABLES | {"bank": replace(TABLES["bank"], columns={**TABLES["bank"].columns, **extra})}
    columns = {name: list(COLUMNS[name]) for name in parties}
    columns["bank"] += list(extra)
    return TrainingPlan.from_body(body(columns, bootstrap=100)), tables


def trained(plan: TrainingPlan, tables: Tables) -> tuple[Any, dict[str, int]]:
    """The parties at the end, and of each column of the bank its moment with the label as ±1."""
    found: list[np.ndarray] = []

    def note(sender: str, out: Outgoing) -> Outgoing:
        kind, content = decode(sender, plan.digest, out.message)
        if (kind, sender) == ("moments", "bank"):
            found.append(content["parts"][TRAIN]["target"])  # type: ignore[index, call-overload, arg-type]
        return out

    parties = pump(plan, tables, tamper=note)
    return parties, dict(zip(parties["bank"]._prepared.names, found[0].tolist(), strict=True))


def label_read(parties: Any, moments: dict[str, int], extra: list[str]) -> int:
    """The one client's label, ±1, from the bank's own matrix and moments: the only one that whole counts allow.

    A column of low and high values has Σ y x = low Σ y + (high − low) Σ_high y; all sums of y are tried.
    """
    matrix, names = parties["bank"]._matrices[TRAIN], parties["bank"]._prepared.names
    levels = {names[place]: level for place, level in features.binary_levels(matrix).items()}
    fitting = set()
    for total in range(-len(matrix), len(matrix) + 1, 2):
        sums = []
        for name in extra:
            low, high, count = levels[name]
            of_high, rest = divmod(moments[name] - low * total, high - low)
            if rest or abs(of_high) > count or (of_high - count) % 2:
                break
            sums.append(of_high)
        else:
            fitting.add(sums[0] - sum(sums[1:]))
    (label,) = fitting & {-1, 1}
    return label


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_columns_that_set_one_client_apart_are_left_out(attack: Any) -> None:
    plan, tables = brought(VICTIMS[0], attack, "broker", "bank")
    parties, moments = trained(plan, tables)
    assert len(moments.keys() & attack(0).keys()) == len(attack(0)) - 1  # of the two, one may stand
    assert len(parties["bank"].result().reasons) == 1


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_holder_that_takes_the_rule_out_reads_labels_and_nobody_can_tell(
    attack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rarity, "rare", lambda *_: "")
    monkeypatch.setattr(rarity, "near_copy", lambda *_: "")
    for victim in VICTIMS:
        plan, tables = brought(victim, attack, "broker", "bank")
        parties, moments = trained(plan, tables)
        truth = 1 if np.asarray(TABLES["broker"].label)[victim] == 1 else -1
        assert label_read(parties, moments, list(attack(0))) == truth
        assert parties["broker"].done  # the run ended as any other


def test_another_holder_refuses_a_column_of_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """It multiplies the bank's columns and is told how many rows each sets apart, which the products must bear out."""
    monkeypatch.setattr(rarity, "rare", lambda *_: "")
    plan, tables = brought(VICTIMS[0], one_client, "broker", "bank", "platform")
    with pytest.raises(MomentsImplausible, match="rarer than the plan allows"):
        pump(plan, tables)
