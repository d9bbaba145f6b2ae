"""Disputes line by line with evidence, their answers, and adjustments that both parties agree on."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.settlement_errors import DisputeNotAnswered
from partner_node import settlement_errors
from partner_node.errors import CommandInvalid
from partner_node.settlement_errors import LineNotThere, NothingToAnswer, OtherRole
from revenue_share.dispute import DisputeInvalid
from tests.hub.settling import PAYER, REFERRER
from tests.partner_node.test_settlement_terms import settle
from tests.support.settling_nodes import PERSON, Month, month_of_nodes, refused


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


def dispute(month: Month, identifier: str, *lines: Any, by: str = REFERRER) -> Any:
    given = {"statement": identifier, "reason": "two lines are wrong", "lines": list(lines), "person": PERSON}
    found = month.nodes[by].command("statement.dispute", **given)
    month.deliver()
    return found


def answer(month: Month, identifier: str, by: str = PAYER, **lines: bool) -> None:
    given = [{"line": int(n[1:]), "accepted": yes, "reason": "we looked"} for n, yes in lines.items()]
    month.nodes[by].command("statement.answer", statement=identifier, lines=given, person=PERSON)
    month.deliver()


def adjust(month: Month, identifier: str, amount: str, *, decision: str = "approve", line: int = 0) -> str:
    given = {"statement": identifier, "line": line, "amount": amount, "reason": "a fee was left out"}
    made = month.nodes[PAYER].command("adjustment.propose", **given, person=PERSON)["adjustment"]
    month.deliver()
    if decision:
        month.nodes[REFERRER].command("adjustment.decide", adjustment=made, decision=decision, person=PERSON)
        month.deliver()
    return str(made)


def adjustments(month: Month, identifier: str) -> list[tuple[str, int]]:
    lines = month.state(REFERRER, identifier)["line_values"]
    return [(line["event"], line["amount_minor"]) for line in lines if line["verdict"] == "ADJUSTMENT"]


def test_each_disputed_line_has_its_code_its_words_and_the_digest_of_its_evidence(month: Month) -> None:
    identifier = month.october()
    file = month.file("contract.txt", "the fee schedule")
    first = {"line": 0, "code": "AMOUNT", "reason": "the base was 2345.67", "evidence": file, "what": "fee schedule"}
    dispute(month, identifier, first, {"line": 2, "code": "MISSING", "reason": "client 3 traded"})
    (shown,) = month.state(PAYER, identifier)["disputes"]
    one, two = shown["dispute"]["body"]["lines"]
    sha256 = hashlib.sha256(b"the fee schedule").hexdigest()
    assert one["evidence"] == {"sha256": sha256, "bytes": 16, "what": "fee schedule"}
    assert (two["code"], two["reason"], two["evidence"]) == ("MISSING", "client 3 traded", None)
    for node in month.nodes.values():
        assert b"the fee schedule" not in b"".join(plain for _, plain in node.seen), "the file stays at home"
    (at_hub,) = month.command("statement", statement=identifier).head["disputes"]
    assert at_hub["document"] == shown["dispute"] and at_hub["answer"] is None


def test_every_disputed_line_is_answered_before_the_next_close(month: Month) -> None:
    identifier = month.october()
    dispute(month, identifier, {"line": 0, "code": "RATE", "reason": "6 %"}, {"line": 2, "reason": "traded"})
    with pytest.raises(DisputeNotAnswered, match="lines 0, 2"):
        month.close()
    with pytest.raises(CommandInvalid, match="lines 2"):
        answer(month, identifier, n0=True)
    with pytest.raises(NothingToAnswer):
        answer(month, identifier, by=REFERRER, n0=True, n2=True)
    answer(month, identifier, n0=False, n2=True)
    for name in (PAYER, REFERRER):
        (shown,) = month.state(name, identifier)["disputes"]
        assert [line["accepted"] for line in shown["answer"]["body"]["lines"]] == [False, True]
    with pytest.raises(NothingToAnswer):
        answer(month, identifier, n0=False, n2=True)
    month.earn("3,2026-10-07T14:00:00+08:00,commission,10.00,e3")
    assert month.state(REFERRER, month.close())["check"] == "matches"


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        ({"line": 9, "reason": "x"}, LineNotThere),
        ({"line": 0, "code": "BAD", "reason": "x"}, DisputeInvalid),
        ({"line": 0, "reason": "x" * 501}, DisputeInvalid),
        ({"line": 0, "reason": "x", "evidence": "/no/such/file"}, CommandInvalid),
    ],
)
def test_a_dispute_that_is_none(month: Month, line: Any, failure: type[Exception]) -> None:
    identifier = month.october()
    with pytest.raises(failure):
        dispute(month, identifier, line)
    assert month.state(REFERRER, identifier)["decision"] == ""


def test_an_approved_adjustment_is_a_line_of_the_next_draft_and_of_no_other(month: Month) -> None:
    month.refer(1, time="2026-09-01T09:00:00+08:00")
    month.earn("1,2026-09-05T14:00:00+08:00,commission,40.00,s1", period="2026-09")
    first = month.close("2026-09")
    settle(month, first)
    made = adjust(month, first, "12.34")
    refused_one = adjust(month, first, "99.00", decision="refuse")
    undecided = adjust(month, first, "77.00", decision="")
    month.refer(4)
    month.earn("4,2026-10-03T14:00:00+08:00,commission,20.00,n1")
    second = month.close()
    for name in (PAYER, REFERRER):
        shown = month.state(name, second)
        assert (shown["check"], shown["differences"], shown["total_minor"]) == ("matches", [], 100 + 1234)
    assert adjustments(month, second) == [(made, 1234)]
    line = month.state(PAYER, second)["line_values"][-1]
    assert f"line 0 of statement {first[:16]}: CNY 12.34 (a fee was left out)" in line["reason_en"]
    settle(month, second)
    month.hub.clock.now = month.hub.clock.now.replace(month=12, day=1)
    month.refer(5, time="2026-11-01T09:00:00+08:00")
    third = month.close("2026-11")
    assert adjustments(month, third) == [] and month.state(REFERRER, third)["check"] == "matches"
    decisions = {a["adjustment"]: a["decision"] for a in month.nodes[PAYER].command("adjustment.list")["adjustments"]}
    assert decisions == {made: "approve", refused_one: "refuse", undecided: None}


def test_a_replaced_draft_gives_its_adjustment_back(month: Month) -> None:
    old = month.october()
    made = adjust(month, old, "-5.00")
    dispute(month, old)
    new = month.close()
    assert adjustments(month, new) == [(made, -500)]
    assert month.state(PAYER, new)["total_minor"] == 6673 - 500
    dispute(month, new)
    assert adjustments(month, month.close()) == [(made, -500)]


def test_only_the_payer_adjusts_and_only_the_referrer_decides(month: Month) -> None:
    identifier = month.october()
    given = {"statement": identifier, "line": 0, "amount": "1.00", "reason": "mine", "person": PERSON}
    with pytest.raises(OtherRole):
        month.nodes[REFERRER].command("adjustment.propose", **given)
    made = adjust(month, identifier, "1.00", decision="")
    with pytest.raises(OtherRole):
        month.nodes[PAYER].command("adjustment.decide", adjustment=made, decision="approve", person=PERSON)
    with pytest.raises(settlement_errors.AdjustmentNotHere):
        month.nodes[REFERRER].command("adjustment.decide", adjustment="00" * 32, decision="approve", person=PERSON)
    with pytest.raises(LineNotThere):
        month.nodes[PAYER].command("adjustment.propose", **{**given, "line": 7})
    with pytest.raises(DisputeInvalid):
        month.nodes[PAYER].command("adjustment.propose", **{**given, "amount": "0.00"})
    assert refused(month, PAYER) == refused(month, REFERRER) == []
