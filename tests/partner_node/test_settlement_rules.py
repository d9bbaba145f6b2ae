"""Agreements of other kinds of rules through hub and both nodes: events of no client, and points for a friend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from partner_node.settlement_errors import ReportFileInvalid
from tests.hub.settling import PAYER, REFERRER
from tests.support.revenue import rule
from tests.support.settling_nodes import CLIENTS, Month, month_of_nodes

HEADER = "client_id,time,kind,amount,event_id"
RULES = [
    rule("fixed_per_event", "visits", amount_minor=50, referred=False),
    rule("points", "friend-opened", points=100, redeem_event="redeem", expires_months=12),
]


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        made.activate(rules=RULES)
        yield made


def report(month: Month, column: str, *rows: str) -> dict[str, int]:
    path = month.file("events.csv", "\n".join([f"{HEADER},{column}", *rows]) + "\n")
    found = month.nodes[PAYER].command("events.report", file=path, agreement=month.agreement, period="2026-10")
    month.deliver()
    return dict(found)


def test_an_event_of_no_client_needs_no_referral(month: Month) -> None:
    """12 visits x 50 fen = 6.00 in a statement that has no client at all."""
    assert report(month, "count", ",2026-10-05T14:00:00+08:00,visits,0.00,v1,12")["events"] == 1
    identifier = month.close()
    for name in (PAYER, REFERRER):
        shown = month.state(name, identifier)
        assert (shown["check"], shown["total_minor"]) == ("matches", 600)
    (line,) = shown["line_values"]
    assert line["token"] == "0" * 32


def test_points_for_a_friend_are_told_by_client_ids_and_are_no_money(month: Month) -> None:
    month.refer(1, 2)
    row = "{},2026-10-05T14:00:00+08:00,friend-opened,0.00,{},{}"
    counted = report(
        month,
        "friend",
        row.format(CLIENTS[0], "p1", CLIENTS[1]),
        row.format(CLIENTS[0], "p2", CLIENTS[0]),
        row.format(CLIENTS[0], "p3", CLIENTS[2]),  # not referred: it has no token here
    )
    assert (counted["events"], counted["not_referred"]) == (2, 1)
    shown = month.state(REFERRER, month.close())
    assert (shown["check"], shown["total_minor"]) == ("matches", 0)
    found = {line["event"]: (line["verdict"], line["amount_minor"]) for line in shown["line_values"] if line["event"]}
    assert found == {"p1": ("COUNTED", 100), "p2": ("SELF_REFERRAL", 0)}


def test_a_friend_that_is_no_client_id_is_refused_with_its_line(month: Month) -> None:
    month.refer(1)
    with pytest.raises(ReportFileInvalid) as caught:
        report(month, "friend", f"{CLIENTS[0]},2026-10-05T14:00:00+08:00,friend-opened,0.00,p1,nobody")
    assert caught.value.facts["line"] == 2
