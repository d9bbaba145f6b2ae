"""Labels at the hub: proposed in words of people, completed with the leader's figure alone, and never seen."""

from typing import Any

import click
import pytest

from hub import cli_match, cli_plan, matching
from hub.proposals import ProposalInvalid
from tests.hub.alliance import Hub
from tests.hub.relay import Script, approved
from tests.hub.test_drafts import PAIR, match

SEGMENT = {"partner": "insurer", "column": "SEGMENT", "bytes": 8}
TERMS: dict[str, Any] = {"mode": "labels", "engine": "oprf", "version": 2, "labels": SEGMENT}
SENDS = {"broker": [["insurer"], []], "insurer": [[], ["broker"]]}


def script(hub: Hub, **changes: Any) -> Script:
    return Script(hub, approved(hub, "broker", "insurer", **TERMS), SENDS, **changes)


def test_a_match_with_labels_ends_with_the_leaders_number_alone(hub: Hub) -> None:
    done = script(hub).run()
    assert done.state == "COMPLETED"
    results = hub.store.read("d", lambda tx: tx.jobs.documents(done.digest, "match-result"))
    assert {d.document.signer: d.document.body["count"] for d in results} == {"broker": 50, "insurer": None}


def test_too_few_shared_clients_complete_it_without_a_number(hub: Hub) -> None:
    assert script(hub, count=None).run().state == "COMPLETED"


@pytest.mark.parametrize("outcomes", [{"insurer": "shared"}, {"broker": "not entitled"}, {"broker": "gave rows"}])
def test_an_outcome_that_the_mode_has_not_ends_it(hub: Hub, outcomes: dict[str, str]) -> None:
    found = script(hub, outcomes=outcomes).run()
    assert (found.state, found.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


def test_a_number_below_the_minimum_ends_it(hub: Hub) -> None:
    found = script(hub, count=9).run()
    assert (found.state, found.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"labels": {**SEGMENT, "partner": "broker"}}, "labels.partner is the follower"),
        ({"labels": {**SEGMENT, "bytes": 65}}, "from 1 to 64"),
        ({"engine": "ecdh"}, "mode labels runs by engine oprf"),
        ({"both": True}, "unknown fields both"),
    ],
)
def test_the_hub_takes_no_body_that_the_nodes_refuse(hub: Hub, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ProposalInvalid, match=why):
        approved(hub, "broker", "insurer", **{**TERMS, **changes})


def test_three_parties_have_no_labels(hub: Hub) -> None:
    with pytest.raises(ProposalInvalid, match="takes 2 parties"):
        approved(hub, "broker", "insurer", "bank", **TERMS)


def test_a_draft_says_whose_column_is_given(hub: Hub) -> None:
    body = match(parties=PAIR, mode="labels", labels=SEGMENT)
    assert (body["version"], body["engine"]) == (2, "oprf")
    assert "AND OF EACH insurer's SEGMENT" in " ".join(map(str, body["disclosure"]))  # type: ignore[arg-type]
    assert hub.propose("match", body, matching.check).state == "PROPOSED"
    assert cli_plan.said(body["labels"]) == "partner insurer, column SEGMENT, bytes 8"
    assert all(cli_plan.MEANINGS["labels"])


@pytest.mark.parametrize(
    ("written", "column"),
    [("insurer:SEGMENT:8", "SEGMENT"), ("insurer:a:b:8", "a:b"), ("insurer:客户分层:8", "客户分层")],
)
def test_people_write_partner_column_and_bytes(written: str, column: str) -> None:
    assert cli_match._labels(written) == {"partner": "insurer", "column": column, "bytes": 8}


@pytest.mark.parametrize("written", ["", "insurer", "insurer:SEGMENT", "insurer:8", ":SEGMENT:8", "a:b:-1", "a:b:٣"])
def test_what_names_no_column_is_refused(written: str) -> None:
    with pytest.raises(click.UsageError, match="--label takes PARTNER:COLUMN:BYTES"):
        cli_match._labels(written)
