"""Nothing of a vault, and no update, leaves a node of a horizontal run: unique values, all that leaves, one search.

Recorded is what the gate sees and, beside it, what is truly sealed and handed to the stream. Searched are values, rows,
columns, labels and ids in all forms of `tap_forms`, and each node's own updates and sums as floats and as lanes. The
same search must fail over builds that leak. Counts and figures that a plan discloses are not searched for.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecowire.stream import Message
from federation.horizontal import mod
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.results import PartnerResult
from federation.horizontal.trainer import Trainer
from federation.horizontal.wire import Upload
from partner_node.horizontal_rules import PlanMember
from privacy import canonical, normalise, seal
from privacy.aggregation import Lanes, Slot
from tests.partner_node import alliance, horizontal
from tests.partner_node.alliance import TestNode
from tests.partner_node.horizontal import Run
from tests.support import tap_forms
from tests.support.tap_forms import Form
from tests.support.tap_search import Patterns

pytestmark = pytest.mark.slow_flow

BANKS = horizontal.BANKS[:3]


@dataclass
class Recording:
    """One run: what left each node, what its gate saw, and what must not be in it."""

    run: Run
    sealed: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in BANKS})
    framed: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in BANKS})
    secrets: list[Form] = field(default_factory=list)  # of what nodes computed
    asking: str = ""

    def leaving(self, name: str) -> list[bytes]:
        return self.sealed[name] + self.framed[name]

    def hits(self) -> Counter[str]:
        patterns = Patterns()
        patterns.update(self.secrets)
        for bank, node in enumerate(self.run.nodes):
            patterns.update(of_vault(node, bank))
        found: Counter[str] = Counter()
        for name in BANKS:
            for content in self.leaving(name):
                found.update(hit.label for hit in patterns.search(content))
        return found


def canaries(bank: int) -> str:
    """The bank's table with every number drawn for its cell alone, so that its digits occur nowhere else."""
    header, *lines = horizontal.table(bank).splitlines()
    draw = random.Random(f"canary {bank}")
    out = [header]
    for line in lines:
        client, age, income, region, bought = line.split(",")
        unique = [str(float(value) * (1 + draw.random() / 1000)) if value else "" for value in (age, income)]
        out.append(",".join([client, *unique, region, bought]))
    return "\n".join(out) + "\n"


def of_vault(node: TestNode, bank: int) -> Iterator[Form]:
    rows = [line.split(",") for line in (node.folder / "clients.csv").read_text().splitlines()[1:]]
    for client, *values in rows:
        yield from tap_forms.identifier(client, normalise.normalise("resident_id", client), [], "an id")
        for value in values[:2]:
            if value:
                yield from tap_forms.number(float(value), "a value")
                yield from tap_forms.disguised(float(value), "a value")
    for place in (0, 1):
        column = [float(row[1 + place]) for row in rows if row[1 + place]]
        yield from tap_forms.pairs(column, "a column")
    yield from tap_forms.pairs([float(v) for row in rows for v in row[1:3] if v], "a row")
    yield from tap_forms.flags([row[4] == "1" for row in rows], "the label")


def of_vector(values: Sequence[float], label: str) -> Iterator[Form]:
    for value in values:
        if value and not float(value).is_integer():
            yield from tap_forms.number(float(value), label)
    yield from tap_forms.pairs([float(value) for value in values], label)


def of_lanes(lanes: Lanes) -> Iterator[Form]:
    for first, second in pairwise(lanes.tolist()):
        if min(first, second) > 1 << 12:  # counts and empty limbs are small: no accident, but no secret of one node
            for kind in ("<i4", ">i4", "<i8", ">i8", "<f8"):
                yield np.array([first, second]).astype(kind).tobytes(), "lanes before they are hidden"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Recording]:
    """Make a run and lead it as far as it goes, under taps."""
    nodes = horizontal.make_banks(tmp_path, BANKS)
    for bank, node in enumerate(nodes):
        (node.folder / "clients.csv").write_text(canaries(bank))
    made = Recording(Run(nodes, horizontal.plan_body(nodes, personalise={"steps": 2, "rate_micro": 100_000})))
    sealing, fit, upload = seal.seal, Trainer.fit, PlanMember.upload

    def watched_seal(plain: bytes, *arguments: Any) -> bytes:
        made.sealed[made.asking].append(plain)
        return sealing(plain, *arguments)

    def watched_fit(self: Trainer, round_: int, parameters: Any, scaling: Any) -> Any:
        fitted = fit(self, round_, parameters, scaling)
        for before, move in zip(parameters, fitted.update, strict=True):
            made.secrets += of_vector(move.ravel().tolist(), "an update")
            made.secrets += of_vector((before + move).ravel().tolist(), "a model of one partner")
        return fitted

    def watched_upload(self: PlanMember, slot: Slot, lanes: Lanes, noisy: bool) -> Upload:
        made.secrets += of_lanes(lanes)
        return upload(self, slot, lanes, noisy)

    def asked(self: TestNode, request: Message) -> Message:
        """All of the worker's way of one request, up to the stream."""
        made.asking = self.partner
        replies: list[Message] = []
        self.parts.worker._send = lambda message: replies.append(message) is None
        self.parts.worker._work(request)
        made.framed[self.partner] += [canonical.encode(m.head) + m.body for m in replies]
        return next(message for message in replies if message.reply_to == request.id)

    monkeypatch.setattr(seal, "seal", watched_seal)
    monkeypatch.setattr(Trainer, "fit", watched_fit)
    monkeypatch.setattr(PlanMember, "upload", watched_upload)
    monkeypatch.setattr(TestNode, "ask", asked)

    def lead() -> Recording:
        try:
            made.run.lead()
        except QuorumMissing:  # the others refuse what a leaking build sends; it has left all the same
            made.run.events.clear()
        return made

    return lead


def test_nothing_of_a_vault_and_no_update_leaves(record: Callable[[], Recording]) -> None:
    made = record()
    assert made.run.events, "the run came to its end"
    assert len(made.secrets) > 200 and all(made.framed[name] and made.sealed[name] for name in BANKS)
    assert not made.hits()


def test_the_gate_sees_all_that_is_sealed_and_sent(record: Callable[[], Recording]) -> None:
    made = record()
    for node in made.run.nodes:
        seen = Counter(plain for _, plain in node.seen)
        assert not Counter(made.leaving(node.partner)) - seen
        assert {"envelope/share", "reply/ok"} <= {kind for kind, _ in node.seen}


def test_a_build_that_sends_lanes_in_clear_is_found(
    monkeypatch: pytest.MonkeyPatch, record: Callable[[], Recording]
) -> None:
    hidden = PlanMember.upload

    def leak(self: PlanMember, slot: Slot, lanes: Lanes, noisy: bool) -> Upload:
        made = hidden(self, slot, lanes, noisy)
        return Upload(header=made.header, ciphertext=lanes.tobytes())

    monkeypatch.setattr(PlanMember, "upload", leak)
    assert record().hits()["lanes before they are hidden"]


def test_a_build_that_tells_a_client_with_its_figures_is_found(
    monkeypatch: pytest.MonkeyPatch, record: Callable[[], Recording]
) -> None:
    told = PartnerResult.record

    def leak(self: PartnerResult) -> dict[str, Any]:
        return {**told(self), "example": alliance.resident_id(3)}

    monkeypatch.setattr(PartnerResult, "record", leak)
    assert record().hits()["an id as text"]


def test_a_build_that_sends_its_model_in_clear_is_found(
    monkeypatch: pytest.MonkeyPatch, record: Callable[[], Recording]
) -> None:
    content = mod.flower.upload_content
    fits: list[Any] = []
    fit = Trainer.fit

    def noted(self: Trainer, *arguments: Any) -> Any:
        fits.append(fit(self, *arguments))
        return fits[-1]

    def leak(upload: Upload, clear: Any) -> Any:
        raw = b"".join(values.tobytes() for values in fits[-1].update) if fits else b""
        return content(Upload(header=upload.header, ciphertext=upload.ciphertext + raw), clear)

    monkeypatch.setattr(Trainer, "fit", noted)
    monkeypatch.setattr(mod.flower, "upload_content", leak)
    assert record().hits()["an update as little-endian float64"], "in the first round both are the same"
