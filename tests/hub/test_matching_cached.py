"""Key epochs at the hub: proposed in words of people, completed with the leader's figure alone, never seen."""

from typing import Any

import click
import pytest

from hub import cli_epoch, cli_jobs, cli_plan, drafts, matching, words
from hub.cli_common import Cli
from hub.drafts import DraftIncomplete
from hub.proposals import ProposalInvalid
from privacy.psi.cached.session import EVALUATIONS, MASKS, POINTS
from tests.hub.alliance import Hub
from tests.hub.relay import Script, approved
from tests.hub.test_drafts import NOW, PAIR, match

EPOCH: dict[str, Any] = {
    "epoch": 1,
    "slots": 4096,
    "addition_slots": 64,
    "additions_max": 4,
    "points_max": 1000,
    "ends": "2026-12-01T00:00:00+00:00",
}
TERMS: dict[str, Any] = {"mode": "cached", "engine": "ecdh", "version": 2, "cached": EPOCH}
SENDS = {"broker": [["insurer"], []], "insurer": [[], ["broker"]]}
NOTHING = dict.fromkeys(("epoch", "epoch_of", "places", "points", "later", "epoch_ends"))


def script(hub: Hub, **changes: Any) -> Script:
    return Script(hub, approved(hub, "broker", "insurer", **TERMS), SENDS, **changes)


def test_a_match_of_an_epoch_ends_with_the_leaders_number_alone(hub: Hub) -> None:
    done = script(hub).run()
    assert done.state == "COMPLETED"
    results = hub.store.read("d", lambda tx: tx.jobs.documents(done.digest, "match-result"))
    assert {d.document.signer: d.document.body["count"] for d in results} == {"broker": 50, "insurer": None}


@pytest.mark.parametrize("outcomes", [{"insurer": "shared"}, {"broker": "not entitled"}])
def test_an_outcome_that_the_mode_has_not_ends_it(hub: Hub, outcomes: dict[str, str]) -> None:
    found = script(hub, outcomes=outcomes).run()
    assert (found.state, found.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cached": {**EPOCH, "epoch": 0}}, "epoch is a whole number"),
        ({"cached": {**EPOCH, "more": 1}}, "an epoch has the fields"),
        ({"cached": None}, "an epoch has the fields"),
        ({"engine": "oprf"}, "mode cached runs by engine ecdh"),
        ({"both": True}, "unknown fields both"),
    ],
)
def test_the_hub_takes_no_body_that_the_nodes_refuse(hub: Hub, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ProposalInvalid, match=why):
        approved(hub, "broker", "insurer", **{**TERMS, **changes})


def test_an_epoch_needs_its_field(hub: Hub) -> None:
    with pytest.raises(ProposalInvalid, match="missing fields cached"):
        approved(hub, "broker", "insurer", mode="cached", engine="ecdh", version=2)


def test_a_draft_is_completed_and_says_what_an_epoch_costs(hub: Hub) -> None:
    body: Any = match(parties=PAIR, mode="cached", cached={"epoch": 1, "slots": 1 << 20})
    assert body["cached"] == {
        "epoch": 1,
        "slots": 1 << 20,
        "addition_slots": 1 << 14,
        "additions_max": 12,
        "points_max": 100_000,
        "ends": "2026-12-30T00:00:00+00:00",
    }
    assert (body["version"], body["engine"]) == (2, "ecdh")
    assert "insurer's key leaks" in " ".join(body["disclosure"])
    assert hub.propose("match", body, matching.check).state == "PROPOSED"
    assert cli_plan.said(body["cached"]).startswith("addition_slots 16384")
    assert all(cli_plan.MEANINGS["cached"])


@pytest.mark.parametrize("given", [None, {}, {"epoch": 1}, {"slots": 5}], ids=str)
def test_number_and_places_are_peoples(given: Any) -> None:
    with pytest.raises(DraftIncomplete, match="--epoch and --places"):
        match(parties=PAIR, mode="cached", cached=given)


def test_the_same_key_keeps_the_epochs_end() -> None:
    earlier = {"nonce": "00", "expires": "x", "cached": EPOCH}
    again = drafts.given_again(earlier, {"mode": "cached", "cached": {"epoch": 1, "slots": 4096}})
    assert again["cached"] == {"epoch": 1, "slots": 4096, "ends": EPOCH["ends"]}
    assert drafts.epoch({**again["cached"], "ends": "2026-12-01T08:00:00+08:00"}, NOW)["ends"] == EPOCH["ends"]


def test_people_write_options() -> None:
    cli = Cli(config=None, as_json=False, lang="en")
    given = NOTHING | {"epoch": 2, "places": 10, "points": 5, "later": "3:64", "epoch_ends": "2027-01-01T00:00:00Z"}
    assert cli_epoch.field(cli, given) == {
        "epoch": 2,
        "slots": 10,
        "points_max": 5,
        "additions_max": 3,
        "addition_slots": 64,
        "ends": "2027-01-01T00:00:00Z",
    }
    assert cli_epoch.field(cli, NOTHING) is None


@pytest.mark.parametrize("written", ["3", "3:", ":3", "a:b", "3:-1", "٣:1"])
def test_what_is_no_later_list_is_refused(written: str) -> None:
    with pytest.raises(click.UsageError, match="--later takes LISTS:PLACES"):
        cli_epoch.field(Cli(config=None, as_json=False, lang="en"), NOTHING | {"later": written})


def test_an_earlier_jobs_epoch_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(config=None, as_json=False, lang="en")
    jobs = {"a": {"body": {"mode": "cached", "cached": EPOCH}}, "b": {"body": {"mode": "rows"}}}
    monkeypatch.setattr(cli_jobs, "job_of", lambda _, job: jobs[job])
    assert cli_epoch.field(cli, NOTHING | {"epoch_of": "a"}) == EPOCH
    with pytest.raises(click.UsageError, match="none of its terms"):
        cli_epoch.field(cli, NOTHING | {"epoch_of": "a", "epoch": 2})
    with pytest.raises(click.UsageError, match="has no key epoch"):
        cli_epoch.field(cli, NOTHING | {"epoch_of": "b"})


@pytest.mark.parametrize("phase", [POINTS, EVALUATIONS, MASKS])
def test_every_phase_has_its_chinese_word(phase: str) -> None:
    assert words.phase(phase, "zh") != phase
