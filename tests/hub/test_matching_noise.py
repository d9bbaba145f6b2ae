"""Counts with noise at the hub: proposed in words of people, and reported with the statement that belongs to them."""

from dataclasses import replace
from typing import Any

import click
import pytest

from ecowire.stream import Message
from hub import cli_match
from hub.proposals import ProposalInvalid
from privacy.noise import CountNoise
from tests.hub.alliance import Hub
from tests.hub.relay import Script, approved
from tests.hub.test_matching import COUNT

TERMS = {"epsilon_milli": 500, "delta_log10": -9}
STATEMENT = {**CountNoise(epsilon_milli=500, delta_log10=-9).statement()}


def ended(hub: Hub, statement: Any, **changes: Any) -> Any:
    """A count whose results say this of noise; None: nothing."""
    script = Script(hub, approved(hub, "broker", "insurer", **changes), COUNT)

    def change(node: str, message: Message) -> Message | None:
        value = message.head.get("result")
        if not isinstance(value, dict) or statement is None:
            return message
        body = {**value["body"], "noise": statement}  # type: ignore[dict-item]
        return replace(
            message, head={**message.head, "result": hub.parties[node].sign("match-result", body).to_value()}
        )

    script.change = change
    return script.run()


def test_an_estimate_with_its_statement_completes_the_match(hub: Hub) -> None:
    assert ended(hub, STATEMENT, version=2, noise=TERMS).state == "COMPLETED"


@pytest.mark.parametrize("statement", [None, {}, {**STATEMENT, "off_by_at_most": 1}, {**STATEMENT, "epsilon_milli": 1}])
def test_an_estimate_without_it_does_not(hub: Hub, statement: Any) -> None:
    found = ended(hub, statement, version=2, noise=TERMS)
    assert (found.state, found.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


def test_an_exact_count_speaks_of_no_noise(hub: Hub) -> None:
    found = ended(hub, STATEMENT)
    assert (found.state, found.reason["code"]) == ("FAILED", "MATCH_DOCUMENT_INVALID")


@pytest.mark.parametrize("changes", [{"mode": "count-then-rows", "version": 2}, {"version": 1}, {"mode": "align"}])
def test_other_figures_take_no_noise(hub: Hub, changes: dict[str, Any]) -> None:
    with pytest.raises(ProposalInvalid, match="noise goes with mode count"):
        approved(hub, "broker", "insurer", noise=TERMS, **changes)


@pytest.mark.parametrize(
    ("written", "epsilon_milli", "delta_log10"),
    [("0.5", 500, -9), ("1", 1000, -9), ("0.05:-12", 50, -12), ("10", 10_000, -9), ("0.125:-7", 125, -7)],
)
def test_people_write_epsilon_in_decimals(written: str, epsilon_milli: int, delta_log10: int) -> None:
    assert cli_match._noise(written) == {"epsilon_milli": epsilon_milli, "delta_log10": delta_log10}


@pytest.mark.parametrize("written", ["", ".5", "0.0005", "-1", "1:9", "1:", "1:-", "x", "٣", "1e3"])
def test_what_is_no_epsilon_is_refused(written: str) -> None:
    with pytest.raises(click.UsageError):
        cli_match._noise(written)
