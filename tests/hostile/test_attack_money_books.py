"""A fen too little or too much by way of the order of things: the chain and the books apart, SQL below the code.

Attack 1: income reported while a statement is disputed on the chain is receipted and then counted nowhere. Attack 2: a
finance person cancels an approved agreement, and what was earned under it can never be settled. Attack 3: the payer
marks a statement paid on the chain before the hub has looked: the books could never follow, nor any later period.
Attack 4: SQL that replaces or adds rows where only UPDATE and DELETE are forbidden. Attack 5: a chain set back.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from contracts import settlement as chain_settlement
from hub import jobs, proposals
from hub.chain_errors import ChainSetBack
from hub.settlement_errors import JournalDiffers, NothingToPay, PeriodClosed
from hub.store_settlement import StatementRecord
from revenue_share.ledger import EntryState
from tests.hub.settling import CAI, FEI, NOVEMBER, OCTOBER, PAYER, REFERRER, Settling, settling
from tests.support.revenue import event, referral
from tests.support.sandbox_chain import KEYS, local


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Settling]:
    with settling(tmp_path) as made:
        made.report_october()
        yield made


def on_chain(month: Settling, who: str, data: bytes) -> None:
    """Somebody acts on the contract without the hub."""
    month.chain.chain.execute(month.contract, data, KEYS[who].secret)


def anchor(record: StatementRecord) -> bytes:
    return bytes.fromhex(record.anchor)


# --- 1: reports during a dispute on the chain


def test_no_income_is_taken_for_a_statement_that_is_disputed_on_the_chain(month: Settling) -> None:
    record = month.confirmed()
    month.settle(record)
    on_chain(month, "referrer", chain_settlement.dispute_data(anchor(record), bytes(32)))
    assert month.settle(record) == "DISPUTED"
    with pytest.raises(PeriodClosed):  # the arbiter may dismiss: then this statement stands as it is
        month.report_events([event("late", 1, 5_000_000)])
    on_chain(month, "arbiter", chain_settlement.resolve_data(anchor(record), False, bytes(32)))
    month.settle(record)
    assert month.settle(record) == "FINAL"


def test_after_an_upheld_dispute_the_period_is_open_again(month: Settling) -> None:
    record = month.confirmed()
    month.settle(record)
    on_chain(month, "referrer", chain_settlement.dispute_data(anchor(record), bytes(32)))
    month.settle(record)
    on_chain(month, "arbiter", chain_settlement.resolve_data(anchor(record), True, bytes(32)))
    assert month.settle(record) == "VOID"
    month.report_events([event("late", 1, 5_000_000)])
    again = month.close()
    assert (again.body["replaces"], again.body["sequence"]) == (record.anchor, 2)
    assert again.body["total_minor"] == 6673 + 250_000


# --- 2: agreements


def test_an_agreement_in_force_is_not_ended_by_one_person(month: Settling) -> None:
    record = month.confirmed()
    with pytest.raises(proposals.ProposalState):
        month.hub.run(jobs.cancel, FEI, month.hub.now(), {"digest": month.agreement.digest})
    month.settle(record)
    month.pass_window()
    assert month.settle(record) == "FINAL"


# --- 3: others go on without the hub


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("booked", ["PROPOSED", "FINAL"])
def test_the_books_follow_a_statement_that_was_paid_on_the_chain_without_them(
    month: Settling, booked: str, acknowledged: bool
) -> None:
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    if booked == "FINAL":
        month.settle(record)
    else:
        on_chain(month, "broker", chain_settlement.finalise_data(anchor(record)))
    on_chain(month, "broker", chain_settlement.mark_paid_data(anchor(record), b"\x01" * 32))
    if acknowledged:
        on_chain(month, "referrer", chain_settlement.acknowledge_paid_data(anchor(record)))
    assert month.settle(record) == ("ACKED" if acknowledged else "PAID")
    assert [entry.state for entry in month.entries()] == [EntryState.POSTED]
    with pytest.raises(NothingToPay):  # the broker says that it was paid: no file orders it again
        month.command("pay", period=OCTOBER)
    month.report_events([event("n1", 1, 100, time="2026-11-02T06:00:00Z")], period=NOVEMBER)
    month.hub.clock.now = datetime(2026, 12, 2, tzinfo=UTC)
    assert month.close(NOVEMBER).body["previous"] == record.anchor


# --- 4: below the code


def sql(month: Settling, statement: str, **values: Any) -> None:
    month.hub.store.run("test", lambda tx: tx.session.execute(text(statement), values))


def final(month: Settling) -> StatementRecord:
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    month.settle(record)
    month.command("pay", period=OCTOBER)
    return month.record(record.id)


TRANSFER = "(entry, transfer_index, debit, credit, asset, amount_minor) SELECT id, {index}, 'expense:partner_share', "
TRANSFER += "'liability:payable:platform-a', 'CNY', 999999 FROM journal_entry"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO journal_transfer " + TRANSFER.format(index=0),
        "INSERT INTO journal_transfer " + TRANSFER.format(index=1),
        "INSERT OR REPLACE INTO statement_line SELECT statement, line_index, '{}', salt FROM statement_line",
        "INSERT OR REPLACE INTO payment_order SELECT end_to_end_id, statement, attempt, file, creditor, currency, "
        "amount_minor + 1, due, account, counterparty, name, details, state, settled_by, ended_by, payout, payout_salt "
        "FROM payment_order",
        "UPDATE payment_order SET amount_minor = amount_minor + 1",
        "UPDATE payment_order SET counterparty = 'ELSEWHERE'",
        "UPDATE payment_order SET state = 'RETURNED', ended_by = NULL",
        "DELETE FROM payment_order",
        "INSERT OR REPLACE INTO payment_file SELECT digest, period, number, x'00', created_at, format "
        "FROM payment_file",
        "INSERT OR REPLACE INTO payment_file SELECT 'ff' || substr(digest, 3), period, number, x'00', created_at, "
        "format FROM payment_file",
        "UPDATE payment_file SET data = x'00'",
        "INSERT OR REPLACE INTO journal_entry SELECT id, number, subject, 'other', period, 'PENDING', reverses, "
        "created_at, NULL FROM journal_entry",
        "INSERT OR REPLACE INTO report SELECT digest, number, kind, agreement, partner, period, '{}', receipt, "
        "received_at FROM report",
        "INSERT OR REPLACE INTO statement SELECT id, number, agreement, period, 'DRAFT', body, total_salt, anchor, "
        "closes_at, created_at, changed_at FROM statement",
        "UPDATE statement SET body = '{}'",
        "UPDATE statement SET anchor = 'ff' || substr(anchor, 3)",
        "UPDATE statement SET state = 'DRAFT'",
        "UPDATE statement SET state = 'VOID'",
        "DELETE FROM statement",
    ],
)
def test_replacing_or_adding_rows_is_refused_as_changing_them_is(month: Settling, statement: str) -> None:
    final(month)
    with pytest.raises(IntegrityError, match=r"append-only|posted or voided once|keeps its"):
        sql(month, statement)


def test_an_amount_slipped_into_a_pending_entry_is_not_posted(month: Settling) -> None:
    record = month.confirmed()
    month.settle(record)
    sql(month, "INSERT INTO journal_transfer " + TRANSFER.format(index=1))
    month.pass_window()
    with pytest.raises(JournalDiffers):
        month.settle(record)
    assert [entry.state for entry in month.entries()] == [EntryState.PENDING]


def test_a_draft_does_not_become_final_by_one_word_of_sql(month: Settling) -> None:
    month.confirmed()
    with pytest.raises(IntegrityError):
        sql(month, "UPDATE statement SET state = 'FINAL'")


# --- 5: a chain set back to an older state


def test_a_chain_that_was_set_back_stops_settlement_by_name(month: Settling) -> None:
    record = month.confirmed()
    month.settle(record)
    with local() as older:  # the same contract at the same address, without the statement
        assert older.deploy_settlement() == month.contract
        on_older = chain_settlement.set_signer_data(
            bytes.fromhex(str(record.body["partner_commitment"])), KEYS["referrer"].address
        )
        older.chain.execute(month.contract, on_older, KEYS["governor"].secret)
        behind = month.chain.chain
        month.chain.chain = older.chain
        try:
            with pytest.raises(ChainSetBack, match="newest copy of the ledger"):
                month.settle(record)
            other = second_agreement(month, older)
            with pytest.raises(ChainSetBack):
                month.settle(other)
        finally:
            month.chain.chain = behind


def second_agreement(month: Settling, chain: Any) -> StatementRecord:
    """A draft of another agreement, of which the older chain state knows as much as the books: nothing."""
    first = month.agreement
    month.activate(nonce="cd" * 32)
    second = month.agreement
    assert second.digest != first.digest
    month.report_referrals([referral(4)])
    month.report_events([event("x1", 4, 100)])
    (made,) = month.command("close", period=OCTOBER, agreement=second.digest).head["statements"]
    month.command("release", by=CAI, statement=made["statement"])
    record = month.record(made["statement"])
    for name in (PAYER, REFERRER):
        month.confirm(record, name)
    return record
