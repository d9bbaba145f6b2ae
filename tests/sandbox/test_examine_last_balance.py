"""A last balance below the minimum: the hub draws it up, both nodes and the examiner compute the same."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ecowire import evidence as bundles
from hub import evidence, settlement_close
from privacy import canonical
from revenue_share.drawing import draw_up
from revenue_share.versions import SECOND
from tests.hub.settling import PAYER, REFERRER
from tests.partner_node.test_settlement_terms import settle
from tests.sandbox.test_examine_life import found
from tests.support.settling_nodes import Month, month_of_nodes

# ended on 31 October without a run-off: 61.73 + 5.00 of October lie below the minimum of 100.00
ENDED = {"valid_until": "2026-10-31", "exit": {"run_off_months": 0}, "minimum_payout_minor": 10_000}


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        made.activate(nonce="cd" * 32, **ENDED)
        yield made


def november(month: Month) -> str:
    """October settled with its balance carried, then November without a single report."""
    october = month.october()
    body = month.state(PAYER, october)["body"]
    assert (body["payable_minor"], body["carried_forward_minor"]) == (0, 6673)
    settle(month, october)
    month.hub.clock.now = month.hub.clock.now.replace(month=12, day=1)
    return month.close("2026-11")


def test_what_is_left_is_paid_and_everybody_computes_the_same(month: Month) -> None:
    last = november(month)
    for name in (PAYER, REFERRER):
        shown = month.state(name, last)
        assert (shown["check"], shown["differences"]) == ("matches", [])
        assert (shown["body"]["payable_minor"], shown["body"]["carried_forward_minor"]) == (6673, 0)
    settle(month, last)
    entries = evidence.collect(month.hub.store, None, month.hub.services.settings.chain)
    assert found(month, entries) == []
    rows = [canonical.decode(line) for line in bundles.lines(entries[f"statements/{last}/lines.jsonl"])]
    assert [row["line"]["verdict"] for row in rows] == [*["NO_EVENT"] * 3, "LAST_BALANCE"]  # type: ignore[index,call-overload]
    name = f"statements/{last}/body.json"
    body = canonical.decode(entries[name])
    assert isinstance(body, dict)
    carried = {**body, "gross_minor": 0, "payable_minor": 0, "carried_forward_minor": 6673}
    assert ("STATEMENT_FIELD_DIFFERS", name) in found(month, {**entries, name: canonical.encode(carried)})


def test_a_last_month_of_version_2_still_carries_its_balance_for_everybody(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement_close, "draw_up", partial(draw_up, version=SECOND))
    last = november(month)
    for name in (PAYER, REFERRER):
        shown = month.state(name, last)
        assert (shown["check"], shown["body"]["carried_forward_minor"]) == ("matches", 6673)
    settle(month, last)
    assert found(month, evidence.collect(month.hub.store, None, month.hub.services.settings.chain)) == []
