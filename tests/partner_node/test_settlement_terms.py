"""Amended terms, positions from month to month, events with facts and late ones: hub and both nodes, each by itself."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from hub import drafts_finance, settlement, settlement_close
from hub.drafts import DraftIncomplete
from hub.settlement_errors import AgreementAmends, AmendmentOpen
from partner_node import store_settlement
from partner_node.settlement_errors import ReportFileInvalid
from partner_node.tables_settlement import PositionRow, ReportRow
from privacy.ids import Digest
from revenue_share import drawing, statement
from revenue_share.errors import AmendmentInvalid
from revenue_share.versions import SECOND
from tests.hub.settling import PAYER, REFERRER
from tests.support.entropy import SeededEntropy
from tests.support.sandbox_chain import WINDOW
from tests.support.settling_nodes import CLIENTS, PERSON, Month, month_of_nodes

HALF = [
    {
        "id": "first-month-commission",
        "kind": "percent_of_base",
        "event": "commission",
        "rate": "1/10",
        "months_from_referral": 1,
    }
]


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


def amended(month: Month, approve: tuple[str, ...] = (PAYER, REFERRER), **given: Any) -> Digest:
    """Propose a later version and let these nodes' people approve it."""
    latest = month.command("terms", agreement=month.agreement).head["versions"][-1]
    body = drafts_finance.amendment(latest["body"], latest["digest"], given, month.hub.now(), SeededEntropy(b"amend"))
    made = month.hub.propose("agreement", body, settlement.KIND.check)
    month.deliver()
    for name in approve:
        month.nodes[name].command("approve", job=made.digest, person=PERSON)
    month.deliver()
    return Digest(made.digest)


def settle(month: Month, identifier: str) -> None:
    month.confirm(identifier)
    month.command("settle", statement=identifier)
    month.chain.chain.advance_time(WINDOW)
    assert month.command("settle", statement=identifier).head["state"] == "FINAL"
    month.deliver()


def november(month: Month, *events: str) -> str:
    """A settled October, then a November with these events; its statement."""
    settle(month, month.october())
    month.refer(4, time="2026-11-02T09:00:00+08:00")
    month.earn(*events, period="2026-11")
    month.hub.clock.now = month.hub.clock.now.replace(month=12, day=1)
    return month.close("2026-11")


def test_the_version_in_force_at_the_event_prices_it(month: Month) -> None:
    later = amended(month, effective_from="2026-10-06", rules=HALF)
    assert later != month.agreement
    identifier = month.october()  # 5 % of 1234.57 on the 5th, 10 % of 100.10 on the 6th
    for name in (PAYER, REFERRER):
        shown = month.state(name, identifier)
        assert (shown["check"], shown["differences"]) == ("matches", [])
        assert shown["total_minor"] == 6173 + 1001
        assert shown["body"]["terms"] == [month.agreement, later]
        assert shown["body"]["agreement"] == month.agreement
    made = statement.from_body(month.state(PAYER, identifier)["body"])
    assert made.terms_commitment != month.agreement
    settle(month, identifier)


def test_a_version_that_begins_after_the_month_is_not_in_force(month: Month) -> None:
    amended(month, effective_from="2026-11-01", rules=HALF)
    shown = month.state(REFERRER, month.october())
    assert (shown["check"], shown["total_minor"], shown["body"]["terms"]) == ("matches", 6673, [month.agreement])


def test_a_version_that_the_hub_leaves_out_is_missed_by_the_node_that_approved_it(month: Month) -> None:
    amended(month, approve=(REFERRER,), effective_from="2026-10-01", rules=HALF)
    identifier = month.october()
    assert month.state(PAYER, identifier)["check"] == "matches"
    assert "TERMS" in [item["what"] for item in month.state(REFERRER, identifier)["differences"]]


def test_one_version_follows_the_latest_one_at_a_time(month: Month) -> None:
    first = amended(month, approve=(), effective_from="2026-10-06", rules=HALF)
    with pytest.raises(AmendmentOpen):
        amended(month, effective_from="2026-10-07", rules=HALF)
    for name in (PAYER, REFERRER):
        month.nodes[name].command("approve", job=first, person=PERSON)
    month.deliver()
    with pytest.raises(AmendmentInvalid, match="effective_from"):
        amended(month, effective_from="2026-10-06", rules=HALF)
    with pytest.raises(AgreementAmends):
        month.command("close", period="2026-10", agreement=first)
    assert [v["digest"] for v in month.command("terms", agreement=month.agreement).head["versions"]][1] == first


@pytest.mark.parametrize("given", [{"rules": HALF}, {"effective_from": "2026-10-06", "currency": "HKD"}])
def test_what_is_not_amended_is_said(month: Month, given: dict[str, Any]) -> None:
    with pytest.raises(DraftIncomplete):
        amended(month, **given)


def test_each_month_opens_with_what_the_one_before_closed_with(month: Month) -> None:
    second = november(month, "4,2026-11-03T14:00:00+08:00,commission,20.00,n1")
    first = month.command("statements").head["statements"][0]["statement"]
    for name in (PAYER, REFERRER):
        shown = month.state(name, second)
        assert (shown["check"], shown["differences"]) == ("matches", [])
        assert shown["body"]["opening"] == month.state(name, first)["body"]["closing"]


@pytest.mark.parametrize("reports", [True, False], ids=["replayed", "disclosed"])
def test_a_node_that_lost_its_position_finds_it_again(month: Month, reports: bool) -> None:
    settle(month, month.october())
    node = month.nodes[REFERRER].parts.node

    def lose(session: Any) -> None:
        session.execute(delete(PositionRow))
        if not reports:
            session.execute(delete(ReportRow).where(ReportRow.kind == "events"))

    node.database.write("lose", lose)
    month.refer(4, time="2026-11-02T09:00:00+08:00")
    month.earn("4,2026-11-03T14:00:00+08:00,commission,20.00,n1", period="2026-11")
    month.hub.clock.now = month.hub.clock.now.replace(month=12, day=1)
    second = month.close("2026-11")
    assert month.state(REFERRER, second)["check"] == "matches"
    assert node.database.read(lambda session: store_settlement.position(session, second)) is not None


def test_a_statement_of_version_2_is_followed_by_one_of_version_3(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(settlement_close, "draw_up", partial(drawing.draw_up, version=SECOND))
        first = month.october()
    assert [month.state(name, first)["check"] for name in (PAYER, REFERRER)] == ["matches", "matches"]
    settle(month, first)
    month.hub.clock.now = month.hub.clock.now.replace(month=12, day=1)
    second = month.close("2026-11")
    for name in (PAYER, REFERRER):
        shown = month.state(name, second)
        assert (shown["check"], shown["body"]["version"]) == ("matches", 3)


def test_a_hub_that_goes_back_to_an_earlier_version_is_not_followed(
    month: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(month, month.october())
    month.hub.clock.now = month.hub.clock.now.replace(month=12, day=1)
    monkeypatch.setattr(settlement_close, "draw_up", partial(drawing.draw_up, version=SECOND))
    second = month.close("2026-11")
    for name in (PAYER, REFERRER):
        (told,) = month.state(name, second)["differences"]
        assert (told["what"], told["stated"], told["computed"]) == ("VERSION", "2", "3")


def test_an_event_that_was_reported_too_late_is_priced_by_the_terms_of_its_day(month: Month) -> None:
    amended(month, effective_from="2026-11-01", rules=HALF, late_days=31)
    late = "2,2026-10-30T14:00:00+08:00,commission,200.00,late1"
    second = november(month, "4,2026-11-03T14:00:00+08:00,commission,20.00,n1", late)
    shown = month.state(REFERRER, second)
    assert (shown["check"], shown["total_minor"]) == ("matches", 1000 + 200)
    versions = {line["event"]: line["rule_version"] for line in shown["line_values"] if line["event"]}
    assert versions == {"n1": 2, "late1": 1}


def test_columns_beyond_the_five_are_facts(month: Month) -> None:
    month.refer(1)
    path = month.file(
        "facts.csv",
        f"client_id,time,kind,amount,event_id,scale,reason\n{_client(1)},2026-10-05T14:00:00+08:00,commission,12.34,e1,1,\n",
    )
    found = month.nodes[PAYER].command("events.report", file=path, agreement=month.agreement, period="2026-10")
    assert found["events"] == 1
    month.deliver()
    (line,) = month.state(REFERRER, month.close())["line_values"]
    assert (line["base_minor"], line["amount_minor"]) == (1234, 6)  # 123.4 fen; 5 % of it is 6.17


@pytest.mark.parametrize(
    ("column", "cell"), [("bonus", "1"), ("scale", "7"), ("scale", "x"), ("completion_ppm", "-1"), ("event_id", "e2")]
)
def test_an_unknown_fact_or_one_of_another_form_is_refused_with_its_line(month: Month, column: str, cell: str) -> None:
    month.refer(1)
    row = f"{_client(1)},2026-10-05T14:00:00+08:00,commission,1.00,e1,{cell}"
    path = month.file("facts.csv", f"client_id,time,kind,amount,event_id,{column}\n{row}\n")
    with pytest.raises(ReportFileInvalid):
        month.nodes[PAYER].command("events.report", file=path, agreement=month.agreement, period="2026-10")


def _client(number: int) -> str:
    return str(CLIENTS[number - 1])
