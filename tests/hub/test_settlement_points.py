"""Points in the hub's journal: booked with their statement, posted and voided with it, shown in their own unit."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ecowire import evidence as bundles
from hub import client, evidence, settlement_close
from hub.settlement_errors import JournalDiffers
from hub.store_ledger import LedgerStore
from hub.store_settlement import StatementRecord
from privacy import canonical
from revenue_share import accounts, ledger
from revenue_share.drawing import draw_up
from revenue_share.referral import RevenueEvent
from revenue_share.versions import SECOND
from sandbox.examine import ledger as examined
from sandbox.examine import places, statements
from sandbox.examine.case import open_case
from sandbox.examine.findings import Sheet
from tests.hub.alliance import ALLIANCE
from tests.hub.settling import NOVEMBER, OCTOBER, PAYER, REFERRER, Settling, settling
from tests.hub.test_cli_ledger import finance
from tests.support.revenue import event, referral, rule
from tests.support.trusting import trust_of

BACK = {"window_days": 60, "mode": "full"}
RULES = [
    rule("points", "friend", points=100, redeem_event="redeem", expires_months=1, clawback=BACK),
    rule("percent_of_base", "commission", rate="1/20"),
]
# 3 x 100 granted, 150 redeemed and 100 taken back: 50 of the event b are open, until 6 November
EARNED = [
    event("a", 1, 0, "2026-10-05T06:00:00Z", "friend"),
    event("b", 1, 0, "2026-10-06T06:00:00Z", "friend"),
    event("r", 1, 0, "2026-10-07T06:00:00Z", "redeem", points=150),
    event("c", 2, 0, "2026-10-08T06:00:00Z", "friend"),
    event("x", 2, 0, "2026-10-09T06:00:00Z", "friend", reverses="c"),
    event("m", 2, 123457),
]
# 30 of them are redeemed on 3 November, 20 expire on the 6th, 100 are granted on the 8th
LATER = [
    event("s", 1, 0, "2026-11-03T06:00:00Z", "redeem", points=30),
    event("d", 2, 0, "2026-11-08T06:00:00Z", "friend"),
]


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settling]:
    with settling(tmp_path) as made:
        made.activate(rules=RULES, attribution_days=366, nonce="cd" * 32)
        made.report_referrals([referral(1), referral(2)])

        def call(_: Any, command: str, head: Any, idempotency_key: str) -> Any:
            reply = made.command(command, **(head or {}))
            return reply.head, reply.body

        monkeypatch.setattr(client, "load", lambda config: None)
        monkeypatch.setattr(client, "call", call)
        yield made


def final(month: Settling, period: str, events: list[RevenueEvent]) -> StatementRecord:
    month.report_events(events, period)
    if period == NOVEMBER:
        month.hub.clock.now = month.hub.clock.now.replace(month=12)
    record = month.confirmed(period)
    month.settle(record)
    month.pass_window()
    assert month.settle(record) == "FINAL"
    return record


def points_of(month: Settling) -> dict[str, int]:
    """The posted points by account, debits positive."""
    balances = month.hub.store.read("test", lambda tx: LedgerStore(tx.session).balances())
    return {one.account: one.net_minor for one in balances if one.asset == accounts.POINTS}


def test_points_are_pending_with_their_statement_and_posted_with_it(month: Settling) -> None:
    month.report_events(EARNED)
    record = month.confirmed()
    (entry,) = month.entries()
    assert (entry.state.value, {p.asset for p in entry.postings}) == ("PENDING", {"CNY", "POINTS"})
    assert points_of(month) == {}
    month.settle(record)
    month.pass_window()
    month.settle(record)
    assert points_of(month) == {"points:issued": 200, "points:liability": -50, "points:redeemed": -150}
    assert record.body["points"] == {
        "brought_forward": 0,
        "opened": 0,
        "earned": 300,
        "redeemed": 150,
        "taken_back": 100,
        "expired": 0,
        "carried_forward": 50,
    }
    assert [e.postings for e in month.entries()] == [entry.postings]


def test_the_second_month_goes_on_from_what_is_owed(month: Settling) -> None:
    final(month, OCTOBER, EARNED)
    final(month, NOVEMBER, LATER)
    assert points_of(month) == {
        "points:issued": 300,
        "points:liability": -100,
        "points:redeemed": -180,
        "points:expired": -20,
    }


def test_points_of_a_void_draft_are_voided_with_it(month: Settling) -> None:
    month.report_events(EARNED)
    month.dispute(month.close(), REFERRER)
    month.report_events([event("late", 2, 0, "2026-10-20T06:00:00Z", "friend")])
    month.close()
    assert [entry.state.value for entry in month.entries()] == ["VOIDED", "PENDING"]
    owed = [ledger.points_owed([entry]) for entry in month.entries()]
    assert owed == [50, 150] and points_of(month) == {}


def test_an_agreement_of_before_opens_its_points_with_the_first_statement_that_books_them(
    month: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """October is drawn up as it was before points were booked; its posted entry stays what it is."""
    with monkeypatch.context() as patched:
        patched.setattr(settlement_close, "draw_up", partial(draw_up, version=SECOND))
        record = final(month, OCTOBER, EARNED)
    (old,) = month.entries()
    assert (record.body["version"], {p.asset for p in old.postings}) == (2, {"CNY"})
    body = final(month, NOVEMBER, LATER).body
    assert (body["version"], body["points"]["opened"], body["points"]["carried_forward"]) == (3, 50, 100)
    assert month.entries()[0] == old
    assert month.entries()[1].memo == "revenue share 2026-11; 50 points open from earlier months are booked with it"
    assert points_of(month) == {
        "points:issued": 150,
        "points:liability": -100,
        "points:redeemed": -30,
        "points:expired": -20,
    }


def test_points_that_the_journal_does_not_owe_are_not_carried_on(month: Settling) -> None:
    record = final(month, OCTOBER, EARNED)
    names = (accounts.POINTS_LIABILITY, accounts.POINTS_REDEEMED, accounts.POINTS)
    forged = ledger.transfer("forged", record.id, "forged", NOVEMBER, *names, 1)
    month.hub.run(lambda services, tx: LedgerStore(tx.session).post(forged, month.hub.now()))
    month.report_events(LATER, NOVEMBER)
    month.hub.clock.now = month.hub.clock.now.replace(month=12)
    with pytest.raises(JournalDiffers):
        month.draft(NOVEMBER)


def test_the_ledger_shows_points_in_their_own_unit(month: Settling) -> None:
    final(month, OCTOBER, EARNED)
    shown = finance("ledger").output
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in shown.splitlines()
        if line.startswith("│ points:")
    }
    assert rows["points:issued"] == ["POINTS", "0", "300", "100", "200"]
    assert rows["points:liability"] == ["POINTS", "0", "250", "300", "-50"]
    found = json.loads(finance("ledger", "--account", "points:redeemed", "--period", NOVEMBER, "--json").output)
    assert [(line["asset"], line["opening_minor"]) for line in found["balances"]] == [("POINTS", -150)]
    for form in ("csv", "xlsx"):
        assert month.command("export", what="ledger", format=form).body
    table = month.command("export", what="ledger", format="csv").body.decode().splitlines()
    assert [line.rsplit(",", 4)[1:] for line in table if "points:redeemed" in line] == [
        ["points:redeemed", "POINTS", "0", "150"]
    ]


@pytest.mark.parametrize(
    ("lang", "told"),
    [
        ("en", "0 + 300 earned - 150 redeemed - 100 taken back - 0 expired = 50"),
        ("zh", "0 + 获得 300 - 兑换 150 - 追回 100 - 过期 0 = 50"),
    ],
)
def test_a_statement_shows_what_it_did_to_points(month: Settling, lang: str, told: str) -> None:
    month.report_events(EARNED)
    shown = finance("statement", month.draft().id, "--lang", lang).output
    assert told in " ".join(shown.replace("│", " ").split())  # a narrow screen breaks the cell in two


# --- the examiner


def found(month: Settling, entries: dict[str, bytes]) -> list[str]:
    """The codes of what the examiner finds in statements and journal."""
    trust = trust_of(month, {name: month.hub.parties[name] for name in (PAYER, REFERRER)})
    sheet = Sheet()
    case = open_case(bundles.read(bundles.write(entries, alliance=ALLIANCE, period=NOVEMBER)), trust, sheet)
    settled = statements.check(case)
    places.check(case, settled)
    examined.check(case, settled)
    return [finding.code for finding in sheet.findings]


@pytest.mark.parametrize("first", ["with points", "without"])
def test_the_examiner_finds_the_points_of_the_journal_and_every_lie_about_them(
    month: Settling, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    with monkeypatch.context() as patched:
        if first == "without":
            patched.setattr(settlement_close, "draw_up", partial(draw_up, version=SECOND))
        final(month, OCTOBER, EARNED)
    record = final(month, NOVEMBER, LATER)
    entries = evidence.collect(month.hub.store, None, month.hub.services.settings.chain)
    assert found(month, entries) == []
    lied = {}
    for name, change in (("ledger/entries.jsonl", _one_more_redeemed), (f"statements/{record.id}/body.json", _earned)):
        lied[name] = found(month, {**entries, name: change(entries[name])})
    assert lied["ledger/entries.jsonl"] == ["JOURNAL_ENTRY_DIFFERS", "JOURNAL_POINTS_DIFFER"]
    assert "STATEMENT_FIELD_DIFFERS" in lied[f"statements/{record.id}/body.json"]


def test_the_examiner_names_a_statement_of_an_earlier_version_than_the_one_before(
    month: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    final(month, OCTOBER, EARNED)
    monkeypatch.setattr(settlement_close, "draw_up", partial(draw_up, version=SECOND))
    final(month, NOVEMBER, LATER)
    entries = evidence.collect(month.hub.store, None, month.hub.services.settings.chain)
    assert found(month, entries) == ["STATEMENT_FIELD_DIFFERS", "JOURNAL_POINTS_DIFFER"]


def _one_more_redeemed(data: bytes) -> bytes:
    """The journal with one point more redeemed in the last entry: it balances still."""
    rows: list[Any] = [canonical.decode(line) for line in bundles.lines(data)]
    for posting in rows[-1]["postings"]:
        if posting["account"] == "points:redeemed" or (posting["account"], posting["side"]) == (
            "points:liability",
            "DEBIT",
        ):
            posting["amount_minor"] += 1
    return bundles.jsonl(rows)


def _earned(data: bytes) -> bytes:
    """A body that says one point more was earned and carried forward."""
    body: Any = canonical.decode(data)
    for name in ("earned", "carried_forward"):
        body["points"][name] += 1
    return canonical.encode(body)
