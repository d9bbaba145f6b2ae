"""Nothing of a vault leaves its node: every value made unique, all that is handed to the transport recorded, searched.

Recorded is what leaves before it is sealed, encrypted or framed: the plain of each envelope, every reply and request in
clear, message ids, the Flower content, the enrolment. Searched are values, ids, rows and columns in all forms of
`tap_forms`. The same search must fail over builds that leak a column, an id's hash or a row (`launch_mutants`).

What may leave, and so is not searched for: counts, moments over all train rows, rounded scores, tokens, masked points,
and what the settlement reports are made of (times, kinds and amounts of events by token).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from federation.plan import TrainingPlan
from sandbox.world import parallel
from tests.support import launch, launch_alliance, launch_fixtures, launch_settle, tap, tap_canaries
from tests.support.launch import Plan
from tests.support.launch_alliance import PARTNERS, Alliance
from tests.support.tap_search import Patterns

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
SHOWN = 5


@dataclass
class Recording:
    """What the nodes of one alliance handed to their transport, and what must not be in it."""

    folder: Path
    vaults: Mapping[str, tap_canaries.Rows]
    patterns: Patterns

    def records(self, partner: str) -> list[tap.Record]:
        return list(tap.read(record_of(self.folder, partner)))


def record_of(folder: Path, partner: str) -> Path:
    return folder / f"tap-{partner}"


def assert_nothing_leaks(records: list[tap.Record], patterns: Patterns) -> None:
    """The canary test itself: fails naming what left in which kind of message."""
    found: Counter[str] = Counter()
    for kind, content in {(record.kind, record.content) for record in records}:
        found.update(f"{hit.label} in {kind}" for hit in patterns.search(content))
    shown = [f"{label} ({count} times)" for label, count in found.most_common(SHOWN)]
    assert not found, f"left the node: {'; '.join(shown)}"


def enrol_again(alliance: Alliance, partner: str) -> None:
    """Enrol under a tap: the one time that a node speaks on another port."""
    invite = alliance.call("operator", "invite", {"partner": partner})["invite"]
    config = str(alliance.world.node_config(partner))
    launch.run_recorded(record_of(alliance.folder, partner), "partner", "enrol", invite, "--config", config)


def matched(alliance: Alliance) -> tuple[list[Any], dict[str, str]]:
    """A count and an alignment: (both jobs, token → client of the alignment)."""
    count = alliance.run_job("data", "match", launch_alliance.match_body("count", "broker", "insurer"))
    align = alliance.run_job("data", "match", launch_alliance.match_body("align", "broker", "bank", "platform"))
    return [count, align], alliance.aligned("broker", align["digest"])


def settled(alliance: Alliance, alignment: str, order: Mapping[str, str]) -> None:
    """A month, up to the statement both confirmed; clients that were planted are among the referred."""
    month = launch_settle.month(alliance.folder, order.values())
    agreement = launch_settle.agree(alliance)
    launch_settle.report(alliance, agreement, month, alignment)
    identifier = launch_settle.close(alliance, month)
    launch_settle.confirm(alliance, identifier)
    assert launch_settle.settle(alliance, identifier) == "PROPOSED"
    alliance.call("operator", "checkpoint")


@pytest.fixture(scope="module")
def recorded(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The whole main job under taps; the processes have ended when this returns."""
    folder = tmp_path_factory.mktemp("c") / "w"
    alliance = launch_alliance.copy(launch_fixtures.founded(base), folder)
    vaults = tap_canaries.plant(alliance)
    with alliance:
        alliance.start("chain", "hub")
        parallel(PARTNERS, lambda partner: enrol_again(alliance, partner))
        alliance.start(*PARTNERS, plans={name: Plan(tap=record_of(folder, name)) for name in PARTNERS})
        for name in PARTNERS:
            alliance.node(name, "publish")
        matches, order = matched(alliance)
        trained = alliance.run_job("data", "train", launch_alliance.train_body(matches[1]["digest"]))
        settled(alliance, matches[1]["digest"], order)
    plan = TrainingPlan.from_body(trained["body"])
    return Recording(folder, vaults, tap_canaries.patterns(vaults, matches, plan, order))


@pytest.mark.parametrize("partner", PARTNERS)
def test_nothing_of_a_vault_leaves_its_node(recorded: Recording, partner: str) -> None:
    assert_nothing_leaks(recorded.records(partner), recorded.patterns)


@pytest.mark.parametrize("partner", PARTNERS)
def test_the_gate_sees_all_that_is_sealed_and_sent(recorded: Recording, partner: str) -> None:
    """Compared with what was watched at the sealing function and at the framing of the stream itself."""
    assert_the_gate_saw_all(recorded.records(partner))


def assert_the_gate_saw_all(records: list[tap.Record]) -> None:
    seen = Counter(hashlib.sha256(r.content).digest() for r in records if r.kind.startswith(tap.GATE))
    sent = Counter(hashlib.sha256(r.content).digest() for r in records if r.kind.startswith(tap.TRANSPORT))
    assert sent and not sent - seen, f"{(sent - seen).total()} contents went round the gate"


def test_the_record_holds_every_kind_of_content(recorded: Recording) -> None:
    kinds = {partner: {record.kind for record in recorded.records(partner)} for partner in PARTNERS}
    every = {"enrolment", "request/assets", "request/approval", "reply/ok", "envelope/match", "sealed", "id"}
    assert all(every <= found for found in kinds.values())
    assert all("envelope/train" in kinds[name] for name in ("broker", "bank", "platform"))
    assert "request/referrals" in kinds["platform"] and "request/events" in kinds["broker"]
    assert all("request/statement.confirm" in kinds[name] for name in ("broker", "platform"))


@pytest.mark.parametrize("place", ["hub", "chain", "handed", "people", "logs"])
def test_hub_chain_and_logs_hold_nothing_of_a_vault(recorded: Recording, place: str) -> None:
    files = [path for path in (recorded.folder / place).rglob("*") if path.is_file()]
    contents = [tap.Record(str(path.relative_to(recorded.folder)), path.read_bytes()) for path in files]
    assert contents
    assert_nothing_leaks(contents, recorded.patterns)


# --- the same search over builds that leak ---------------------------------------------------------------------------

LEAKING = {  # which node has which defect; the insurer takes part in the count alone
    "id hash": ("insurer", "an id, sha256, in hex in reply/"),
    "unmasked": ("bank", "an id as an unmasked point in envelope/match"),
    "column": ("bank", "bank's CHECKING as little-endian float64 in envelope/train"),
    "rounded column": ("platform", "platform's FOODHOME, rounded, as <i8 in envelope/train"),
    "row": ("platform", "as text in "),
}


@dataclass
class Leaked:
    records: dict[str, list[tap.Record]]  # by mutant
    patterns: Patterns


@pytest.fixture(scope="module")
def leaked(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Leaked:
    """Records of defective builds. A run that the other nodes refuse ends FAILED, but has leaked."""
    folder = tmp_path_factory.mktemp("m") / "w"
    alliance = launch_alliance.copy(launch_fixtures.founded(base), folder)
    vaults = tap_canaries.plant(alliance)
    records = {mutant: folder / f"tap-{mutant.replace(' ', '-')}" for mutant in LEAKING}

    def defective(mutant: str) -> dict[str, Plan]:
        return {LEAKING[mutant][0]: Plan(tap=records[mutant], mutants=(mutant,))}

    with alliance:
        alliance.start(plans=defective("id hash") | defective("unmasked"))
        matches, order = matched(alliance)
        plan = None
        for mutant in ("column", "rounded column", "row"):
            node = LEAKING[mutant][0]
            alliance.restart(node, defective(mutant)[node])
            body = launch_alliance.train_body(matches[1]["digest"])
            digest = alliance.propose("data", "train", body)
            alliance.approve(digest, ("broker", "bank", "platform"))
            plan = TrainingPlan.from_body(alliance.finished(digest)["body"])
            alliance.restart(node)
    assert plan is not None
    patterns = tap_canaries.patterns(vaults, matches, plan, order)
    return Leaked({mutant: list(tap.read(path)) for mutant, path in records.items()}, patterns)


@pytest.mark.parametrize("mutant", LEAKING)
def test_a_build_that_leaks_fails_the_same_search(leaked: Leaked, mutant: str) -> None:
    with pytest.raises(AssertionError, match="left the node: .*" + re.escape(LEAKING[mutant][1])):
        assert_nothing_leaks(leaked.records[mutant], leaked.patterns)
