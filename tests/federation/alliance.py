"""Plans, tables and parties for the tests of joint training: seeded data, or the real data set where it is present."""

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecowire import envelopes
from ecowire.envelopes import Header
from federation import features
from federation.apps import make_client_app
from federation.features import Prepared, Table
from federation.plan import TrainingPlan
from federation.vertical import FeatureHolder, LabelHolder, Outgoing, open_session
from privacy import seal
from privacy.ids import PartnerId
from tests.support.entropy import SeededEntropy

Tables = dict[str, Table]
Tamper = Callable[[str, Outgoing], Outgoing]  # (sender, message) -> what arrives instead


def body(columns: Mapping[str, list[str]], **changes: Any) -> dict[str, Any]:
    """The body of a valid "train" proposal; the first party of `columns` holds the label."""
    leader = next(iter(columns))
    parties = [
        {
            "partner": partner,
            "role": "label_holder" if partner == leader else "feature_holder",
            "asset": "clients",
            "id_column": "client_id",
            "columns": list(names),
        }
        for partner, names in columns.items()
    ]
    return {
        "parties": parties,
        "purpose": "profile",
        "expires": "2026-12-31T00:00:00Z",
        "nonce": "00" * 16,
        "disclosure": ["the broker learns moments and rounded scores"],
        "alignment": "ab" * 32,
        "model": "moments",
        "label": {"partner": leader, "asset": "clients", "column": "label"},
        "ridge_milli": 1000,
        "test_ppm": 300_000,
        "split_salt": "11" * 16,
        "minimum_rows": 200,
        "rare_rows": 50,
        "cell_minimum": 10,
        "score_step_log2": -4,
        "bootstrap": 200,
        "score_budget": 100,
        "valid_days": 90,
        **changes,
    }


def tokens(count: int, seed: int = 0) -> tuple[str, ...]:
    return tuple(hashlib.sha256(f"{seed}/{i}".encode()).hexdigest()[:32] for i in range(count))


def synthetic(rows: int = 2000, seed: int = 5) -> tuple[Tables, dict[str, list[str]]]:
    """Three parties whose columns share hidden causes: amounts with heavy tails, 0/1 columns, small scores."""
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=(rows, 3))
    columns: dict[str, dict[str, np.ndarray]] = {}
    for index, partner in enumerate(("broker", "bank", "platform")):
        mix = draw.normal(size=(3, 6)) * 0.8
        raw = hidden @ mix + draw.normal(size=(rows, 6))
        columns[partner] = {
            "amount": np.rint(np.expm1(np.abs(raw[:, 0]) * 4) * np.sign(raw[:, 0])),
            "score": raw[:, 1],
            "visits": np.floor(np.abs(raw[:, 2]) * 3).astype(np.int64),
            "flag": (raw[:, 3] > 0.5).astype(np.int8),
            "uncommon": raw[:, 4] > 1.6 - 0.2 * index,
            "level": np.rint(raw[:, 5]),
        }
    odds = hidden @ np.array([1.2, -0.9, 0.8]) - 0.4
    label = (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    names = tokens(rows, seed)
    tables = {
        partner: Table(tokens=names, columns=own, label=label if partner == "broker" else None)
        for partner, own in columns.items()
    }
    return tables, {partner: list(own) for partner, own in columns.items()}


def households(folder: Path, label: str = "y_direct") -> tuple[Tables, dict[str, list[str]]]:
    """Broker, bank and platform of the real data set, over their common clients."""
    layout = json.loads((folder / "parties.json").read_text())
    columns = {partner: layout["columns"][partner] for partner in ("broker", "bank", "platform")}
    rows = {}
    for partner in columns:
        with gzip.open(folder / f"party_{partner}.csv.gz", "rt", newline="") as file:
            rows[partner] = {row["client_id"]: row for row in csv.DictReader(file)}
    common = sorted(set.intersection(*(set(found) for found in rows.values())))
    names = tuple(hashlib.sha256(client.encode()).hexdigest()[:32] for client in common)

    def column(partner: str, name: str) -> np.ndarray:
        return np.array([float(rows[partner][client][name]) for client in common])

    tables = {
        partner: Table(
            tokens=names,
            columns={name: column(partner, name) for name in own},
            label=column(partner, label) if partner == "broker" else None,
        )
        for partner, own in columns.items()
    }
    return tables, columns


def sessions(plan: TrainingPlan, tables: Tables, **spent_before: int) -> dict[str, LabelHolder | FeatureHolder]:
    return {
        partner: open_session(
            plan,
            partner,
            tables[partner],
            SeededEntropy(partner.encode()),
            spent_before=spent_before.get(partner, 0),
        )
        for partner in plan.partners
    }


def pump(
    plan: TrainingPlan, tables: Tables, *, tamper: Tamper | None = None, restart: bool = False
) -> dict[str, LabelHolder | FeatureHolder]:
    """Carry all messages until none is left. restart: every session is dumped and restored after every message."""
    open_ = sessions(plan, tables)
    entropy = {partner: SeededEntropy(partner.encode() + b"again") for partner in open_}
    queue = [(partner, out) for partner in open_ for out in open_[partner].start()]
    while queue:
        sender, out = queue.pop(0)
        if tamper is not None:
            out = tamper(sender, out)
        recipient = out.recipient
        answers = open_[recipient].receive(sender, out.message)
        if restart:
            stored = open_[recipient].dump()
            fresh = open_session(plan, recipient, tables[recipient], entropy[recipient])
            open_[recipient] = fresh.restore(stored)
            assert open_[recipient].dump() == stored
        queue += [(recipient, answer) for answer in answers]
    return open_


class Node:
    """A party as a node runs it: one session, envelopes sealed to and signed for each peer."""

    def __init__(self, plan: TrainingPlan, partner: str, table: Table) -> None:
        self.plan, self.partner = plan, partner
        self.session = open_session(plan, partner, table, SeededEntropy(partner.encode()))
        self.app = make_client_app(self.participate)
        self._sent: dict[str, int] = {}
        self._taken: dict[str, int] = {}

    def participate(
        self, round_: int, head: dict[str, Any], incoming: list[bytes]
    ) -> tuple[list[bytes], bool, str, dict[str, Any] | None]:
        assert head["round"] == round_
        out = self.session.start() if round_ == 1 else []
        for envelope in incoming:
            sender = envelopes.read_header(envelope).sender
            expect = self._header(sender, self.partner, self._taken)
            plain = envelopes.open_envelope(
                envelope, expect=expect, sender_public=_signing(sender).public, key=_sealing(self.partner)
            )
            out += self.session.receive(sender, plain)
        made = [
            envelopes.make(
                one.message,
                header=self._header(self.partner, one.recipient, self._sent),
                sealing_public=_sealing(one.recipient).public,
                key=_signing(self.partner),
            )
            for one in out
        ]
        done = self.session.done
        return made, done, self.session.phase, self.session.result().record() if done else None

    def _header(self, sender: str, recipient: str, counters: dict[str, int]) -> Header:
        peer = recipient if sender == self.partner else sender
        number = counters.get(peer, 0)
        counters[peer] = number + 1
        return Header(job=self.plan.digest, sender=PartnerId(sender), recipient=PartnerId(recipient), sequence=number)


def prepared(plan: TrainingPlan, tables: Tables) -> dict[str, Prepared]:
    """Every party's model values, the label holder's first, as its session makes them."""
    tokens = tables[plan.label_holder].tokens
    train, parts = ~plan.test_mask(tokens), plan.parts(tokens)
    return {
        brings.partner: features.prepare(
            tables[brings.partner].columns,
            brings.columns,
            train,
            plan.rare_rows,
            parts,
            binned=brings.binned,
            bins=plan.bins,
            coding=plan.coding,
        )
        for brings in map(plan.party, (plan.label_holder, *plan.holders))
    }


def _signing(partner: str) -> seal.SigningKey:
    return seal.SigningKey(hashlib.sha256(b"sign" + partner.encode()).digest())


def _sealing(partner: str) -> seal.SealingKey:
    return seal.SealingKey(hashlib.sha256(b"seal" + partner.encode()).digest())
