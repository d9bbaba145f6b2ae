"""The banks' plan file and the peer on pooled rows."""

import hmac
import tomllib
from typing import Any

import numpy as np
import pytest

from federation import tabular
from federation.models import network
from federation.plan_horizontal import HorizontalPlan
from privacy.normalise import normalise
from sandbox.banks import plan, pooled, sources
from sandbox.banks.files import Banks
from sandbox.world import consents


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Banks:
    return sources.generate(tmp_path_factory.mktemp("b") / "banks")


def read(banks: Banks, **changes: Any) -> HorizontalPlan:
    """The plan with what the proposing side fills in."""
    fields = plan.draft(banks, **changes)
    parties = [{**party, "asset": "clients", "id_column": "client_id"} for party in fields["parties"]]
    drawn = {"expires": "2027-01-01T00:00:00Z", "nonce": "ab" * 16, "disclosure": ["a sum"], "valid_days": 90}
    split = {**fields["split"], "salt": "5a" * 16}
    return HorizontalPlan.from_body(
        {**fields, **drawn, "kind": "train", "version": 1, "parties": parties, "split": split}
    )


def keys(banks: Banks) -> dict[str, bytes]:
    return {name: bytes([number]) * 32 for number, name in enumerate(banks.names)}


def test_the_plan_file_says_what_was_drafted_and_is_a_plan(banks: Banks) -> None:
    fields = plan.draft(banks)
    assert tomllib.loads(plan.toml(fields)) == fields
    made = read(banks)
    assert made.partners == banks.names
    assert made.layers == (plan.inputs(banks), 1)
    assert made.examples_max >= max(banks.sizes.values())


def test_the_peer_sees_the_rows_of_each_node(banks: Banks) -> None:
    found = pooled.tables(banks, keys(banks))
    for name, rows in found.items():
        source = {client: row for client, row in banks.rows(name).items() if consents(client)}
        key = keys(banks)[name]
        by_key = {hmac.digest(key, normalise("resident_id", client), "sha256"): row for client, row in source.items()}
        assert list(rows.keys) == sorted(by_key)
        assert list(rows.label) == [by_key[one][banks.label] for one in rows.keys]
        ages = [float(by_key[one]["AGE"]) for one in rows.keys]
        assert rows.columns["AGE"].tolist() == ages
        unanswered = np.array([by_key[one]["FINLIT"] == "" for one in rows.keys])
        assert (np.isnan(rows.columns["FINLIT"]) == unanswered).all() and unanswered.any()


def test_the_peer_is_trained_on_all_rows_but_tested_on_test_rows_alone(banks: Banks) -> None:
    made, tables = read(banks), pooled.tables(banks, keys(banks))
    peer = pooled.fit(made, tables)
    tested = {name: int((tabular.parts(rows.keys, made.split) == tabular.TEST).sum()) for name, rows in tables.items()}
    assert peer.test_rows == tested
    assert 0.83 < peer.overall < 0.90
    blank = network.initial(made.layers, b"")
    unscaled = tabular.unscaled(made.columns)
    assert pooled.measure(made, tables, blank, unscaled).overall == 0.5, "a model that says nothing"


def test_a_larger_peer_is_the_plan_s_own_family(banks: Banks) -> None:
    training = {"rounds": 20, "steps": 10, "batch": 64, "rate_micro": 50_000, "l2_micro": 1_000, "hidden": [8]}
    made = read(banks, model="mlp", training=training)
    assert 0.8 < pooled.fit(made, pooled.tables(banks, keys(banks))).overall < 0.92
