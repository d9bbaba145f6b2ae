"""The month of one agreement in the hub's books and on a real chain: reports, close, confirm, settle, pay."""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from contracts.errors import BadChainSignature, WindowOpen
from contracts.keys import ZERO_ADDRESS
from ecowire import codec_settlement
from ecowire.status import MalformedMessage
from ecowire.stream import Message, to_frames
from hub import settlement, settlement_chain, settlement_release
from hub.chain_errors import ChainSetBack, ChainStepUnderWay
from hub.records import Head
from hub.settlement_case import Case
from hub.settlement_errors import (
    AgreementNotActive,
    AgreementOtherContract,
    AgreementUnknown,
    AlreadyConfirmed,
    ChainDisagrees,
    EarlierPeriodOpen,
    EarlierStatementOpen,
    LaterPeriodClosed,
    NothingToClose,
    NothingToPay,
    NotInThisRole,
    PeriodClosed,
    PeriodNotOver,
    ReportRepeats,
    SettleDone,
    SignerNotRegistered,
    StatementAmbiguous,
    StatementDisputed,
    StatementNotConfirmed,
    StatementNotOpen,
    StatementUnknown,
    StatementVoid,
    TokensNotReferred,
)
from privacy import seal
from privacy.ids import Period
from revenue_share.errors import AgreementInvalid, ReportInvalid
from revenue_share.ledger import EntryState
from revenue_share.referral import REPORT_ROWS_MAX
from revenue_share.statement import NO_DIGEST
from tests.hub.settling import AFTER_OCTOBER, NOVEMBER, OCTOBER, PAYER, REFERRER, Settling, settling
from tests.support.revenue import agreement_body, event, referral
from tests.support.sandbox_chain import CHAIN_ID, KEYS, WINDOW, local


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Settling]:
    with settling(tmp_path) as made:
        yield made


# --- agreements


def test_an_agreement_of_another_contract_is_not_proposed(month: Settling) -> None:
    other = {"chain_id": CHAIN_ID, "contract": "0x" + "99" * 20, "window_seconds": WINDOW}
    parties = [{"partner": PAYER, "role": "payer"}, {"partner": REFERRER, "role": "referrer"}]
    with pytest.raises(AgreementOtherContract):
        month.hub.propose("agreement", agreement_body(parties=parties, settlement=other), settlement.KIND.check)
    with pytest.raises(AgreementInvalid):
        month.hub.propose("agreement", agreement_body(parties=parties, rules=[]), settlement.KIND.check)


# --- reports


def test_a_report_is_taken_once_and_answered_with_the_same_receipt(month: Settling) -> None:
    document = month.report_referrals([referral(1), referral(2)])
    before = len(month.hub.leaves())
    again = month.bring("referrals", REFERRER, {"report": document.to_value()})
    assert again.head["accepted"] == 2
    assert len(month.hub.leaves()) == before
    assert again.head["receipt"]["body"]["document"] == document.digest


def test_the_payers_node_is_told_which_tokens_to_answer_for(month: Settling) -> None:
    document = month.report_referrals([referral(1)])
    task = month.hub.store.read("test", lambda tx: tx.tasks.get(f"referrals-{document.digest}"))
    assert (task.node, task.kind) == (PAYER, "settlement.referrals")
    assert task.head == {"report": document.to_value()}


@pytest.mark.parametrize("signer", [PAYER, "bank"])
def test_only_the_referrer_reports_referrals(month: Settling, signer: str) -> None:
    with pytest.raises(NotInThisRole):
        month.report_referrals([referral(1)], signer=signer)


@pytest.mark.parametrize("signer", [REFERRER, "bank"])
def test_only_the_payer_reports_events(month: Settling, signer: str) -> None:
    month.report_referrals([referral(1)])
    with pytest.raises(NotInThisRole):
        month.report_events([event("e1", 1, 100)], signer=signer)


def test_a_report_signed_by_another_than_the_node_that_brings_it(month: Settling) -> None:
    document = month.report_referrals([referral(1)])
    with pytest.raises(NotInThisRole):
        month.bring("referrals", PAYER, {"report": document.to_value()})


def test_a_report_whose_content_was_changed(month: Settling) -> None:
    document = month.report_referrals([referral(1)]).to_value()
    document["body"] = {**document["body"], "referrals": [referral(7).to_value()]}
    with pytest.raises(seal.BadSignature):
        month.bring("referrals", REFERRER, {"report": document})


def test_tokens_and_events_are_reported_once(month: Settling) -> None:
    month.report_october()
    with pytest.raises(ReportRepeats):
        month.report_referrals([referral(3), referral(4)])
    with pytest.raises(ReportRepeats):
        month.report_events([event("e2", 2, 99), event("e9", 1, 1)])
    month.report_referrals([referral(4)])  # nothing of the refused report was taken


def test_events_of_clients_that_were_not_referred_are_not_taken(month: Settling) -> None:
    month.report_referrals([referral(1)])
    with pytest.raises(TokensNotReferred):
        month.report_events([event("e1", 1, 100), event("e2", 8, 100)])


def test_events_in_another_currency(month: Settling) -> None:
    month.report_referrals([referral(1)])
    with pytest.raises(ReportInvalid):
        month.report_events([event("e1", 1, 100)], currency="HKD")


def test_a_report_under_an_unknown_or_unapproved_agreement(month: Settling) -> None:
    parties = [{"partner": PAYER, "role": "payer"}, {"partner": REFERRER, "role": "referrer"}]
    terms = {"chain_id": CHAIN_ID, "contract": month.contract, "window_seconds": WINDOW}
    body = agreement_body(parties=parties, settlement=terms, nonce="cd" * 32)
    open_one = month.hub.propose("agreement", body, settlement.KIND.check)
    who = month.hub.parties[REFERRER]
    for digest, failure in ((open_one.digest, AgreementNotActive), ("00" * 32, AgreementUnknown)):
        report = {"agreement": digest, "alignment": "ef" * 32, "referrals": [referral(1).to_value()]}
        with pytest.raises(failure):
            month.bring("referrals", REFERRER, {"report": who.sign("referrals", report).to_value()})


def test_the_longest_report_fits_a_message_and_one_row_more_is_refused(month: Settling) -> None:
    first = month.report_referrals([referral(i) for i in range(REPORT_ROWS_MAX)])
    rows = [event(f"e{i:063d}", i, -(10**15), kind="k" * 64) for i in range(REPORT_ROWS_MAX)]
    second = month.report_events(rows)
    for document in (first, second):
        head: Head = {"report": document.to_value()}
        assert len(list(to_frames(Message(id="x", kind=document.kind, head=head)))) == 1
    with pytest.raises(ReportInvalid):
        month.report_referrals([referral(REPORT_ROWS_MAX + i) for i in range(REPORT_ROWS_MAX + 1)])


# --- close


def test_closing_makes_statement_entry_leaf_and_sealed_tasks_together(month: Settling) -> None:
    month.report_october()
    record = month.close()
    assert [line["amount_minor"] for line in month.lines(record)] == [6173, 500, 0]
    assert (record.state, record.body["total_minor"], record.body["sequence"]) == ("DRAFT", 6673, 1)
    (entry,) = month.entries()
    assert (entry.subject, entry.state) == (record.id, EntryState.PENDING)
    assert [(p.account, p.side.value, p.amount_minor) for p in entry.postings] == [
        ("expense:partner_share", "DEBIT", 6673),
        ("liability:payable:platform-a", "CREDIT", 6673),
    ]
    assert ("statement", record.id) in month.hub.leaves()
    for name in (PAYER, REFERRER):
        task = month.hub.store.read("test", lambda tx, n=name: tx.tasks.get(settlement_release.task_id(record, n)))
        opened = codec_settlement.open_disclosure(task.body, record.id, name, month.hub.parties[name].sealing)
        assert opened.body == record.body
        assert len(opened.lines) == len(opened.salts.lines) == 3
        other = month.hub.parties[PAYER if name == REFERRER else REFERRER]
        with pytest.raises(seal.CannotOpen):
            codec_settlement.open_disclosure(task.body, record.id, name, other.sealing)


def test_a_period_is_closed_after_it_is_over(month: Settling) -> None:
    month.report_october()
    month.hub.clock.now = datetime(2026, 10, 31, 15, 59, 59, tzinfo=UTC)
    with pytest.raises(PeriodNotOver):
        month.command("close", period=OCTOBER)
    month.hub.clock.now = datetime(2026, 10, 31, 16, 0, tzinfo=UTC)  # 1 November in Shanghai
    assert len(month.command("close", period=OCTOBER).head["statements"]) == 1


def test_closing_twice_makes_no_second_statement(month: Settling) -> None:
    month.report_october()
    record = month.close()
    with pytest.raises(PeriodClosed):
        month.command("close", period=OCTOBER)
    with pytest.raises(PeriodClosed):
        month.command("close", period=OCTOBER, agreement=month.agreement.digest[:12])
    assert len(month.command("statements").head["statements"]) == 1
    with pytest.raises(PeriodClosed):
        month.report_events([event("late", 1, 100)])
    assert month.record(record.id) == record


def test_nothing_reported_nothing_to_close(month: Settling) -> None:
    month.hub.clock.now = AFTER_OCTOBER
    with pytest.raises(NothingToClose):
        month.command("close", period=OCTOBER)


def test_a_month_that_was_passed_over_is_not_closed_any_more(month: Settling) -> None:
    month.report_october()
    month.close()
    september = Period("2026-09")
    for head in ({}, {"agreement": month.agreement.digest}):
        with pytest.raises(LaterPeriodClosed):
            month.command("close", period=september, **head)
    with pytest.raises(LaterPeriodClosed):  # nothing would ever count it
        month.report_events([event("late", 1, 100, "2026-09-30T00:30:00Z")], period=september)


def test_a_month_with_events_is_not_passed_over(month: Settling) -> None:
    month.report_october()
    month.hub.clock.now = datetime(2026, 12, 2, tzinfo=UTC)
    with pytest.raises(EarlierPeriodOpen):
        month.command("close", period=NOVEMBER)
    assert len(month.command("close", period=OCTOBER).head["statements"]) == 1


def test_the_next_period_waits_for_the_one_before(month: Settling) -> None:
    month.report_october()
    month.close()
    month.report_events([event("n1", 2, 100, "2026-11-01T00:30:00Z")], period=NOVEMBER)
    month.hub.clock.now = datetime(2026, 12, 2, tzinfo=UTC)
    with pytest.raises(EarlierStatementOpen):
        month.command("close", period=NOVEMBER)


# --- confirm and dispute


def test_a_confirmation_is_taken_once_and_must_be_the_partys_own(month: Settling) -> None:
    month.report_october()
    record = month.close()
    first = month.confirm(record, REFERRER)
    assert month.confirm(record, REFERRER).head == first.head
    with pytest.raises(AlreadyConfirmed):
        month.confirm(record, REFERRER, person="somebody else")
    with pytest.raises(NotInThisRole):
        month.confirm(record, "bank")
    assert ("confirmation", record.id) in month.hub.leaves()


def test_a_confirmation_with_anothers_chain_signature(month: Settling) -> None:
    month.report_october()
    record = month.close()
    anchor = codec_settlement.anchor(settlement.terms.value_of(record))
    foreign = chain_settlement.sign(anchor, CHAIN_ID, month.contract, KEYS["broker"].secret)
    with pytest.raises(BadChainSignature):
        month.confirm(record, REFERRER, signature="0x" + foreign.hex())
    elsewhere = chain_settlement.sign(anchor, CHAIN_ID + 1, month.contract, KEYS["referrer"].secret)
    with pytest.raises(BadChainSignature):
        month.confirm(record, REFERRER, signature="0x" + elsewhere.hex())
    for malformed in ("0x12", "zz", 7):
        with pytest.raises(MalformedMessage):
            month.confirm(record, REFERRER, signature=malformed)


def test_an_unknown_statement(month: Settling) -> None:
    for name in ("00" * 32, "abc", "", None):
        with pytest.raises(StatementUnknown):
            month.command("statement", statement=name)


def test_a_disputed_draft_opens_the_period_and_is_replaced(month: Settling) -> None:
    month.report_october()
    old = month.close()
    month.confirm(old, PAYER)
    receipt = month.dispute(old, REFERRER).head["receipt"]
    assert month.dispute(old, REFERRER).head["receipt"] == receipt
    assert month.record(old.id).state == "DISPUTED"
    with pytest.raises(StatementNotOpen):
        month.confirm(old, REFERRER)
    with pytest.raises(StatementDisputed, match=f"close {OCTOBER} --agreement {month.agreement.digest[:16]}"):
        month.settle(old)
    month.report_events([event("e3", 3, 2000)])
    new = month.close()
    assert new.body["total_minor"] == 6773
    assert (new.body["sequence"], new.body["replaces"]) == (1, NO_DIGEST)  # the chain never saw the old one
    assert month.record(old.id).state == "VOID"
    with pytest.raises(StatementVoid):
        month.settle(old)
    told = [(node, head["state"]) for node, head in announced(month) if head["statement"] == old.id]
    assert [state for node, state in told if node == PAYER] == ["DISPUTED", "VOID"]
    assert [entry.state for entry in month.entries()] == [EntryState.VOIDED, EntryState.PENDING]
    with pytest.raises(StatementNotOpen):
        month.confirm(old, REFERRER)


# --- settle


def test_a_statement_goes_over_the_chain_and_the_journal_is_posted(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    assert month.settle(record) == "PROPOSED"
    proposed = month.record(record.id)
    on_chain = chain_settlement.state(month.chain.chain, month.contract, bytes.fromhex(record.anchor))
    assert (on_chain.state, on_chain.closes) == ("PROPOSED", int(proposed.closes_at.timestamp()))
    with pytest.raises(WindowOpen) as caught:
        month.settle(record)
    assert "it ends at" in caught.value.message()
    assert [entry.state for entry in month.entries()] == [EntryState.PENDING]
    month.pass_window()
    assert month.settle(record) == "FINAL"
    assert [entry.state for entry in month.entries()] == [EntryState.POSTED]
    with pytest.raises(SettleDone):
        month.settle(record)
    kinds = [kind for kind, subject in month.hub.leaves() if subject == record.id]
    signed = ["statement", "statement.released", "confirmation", "confirmation"]
    assert kinds == [*signed, "statement.proposed", "statement.final"]
    books = month.command("ledger").head
    shown = [(item["account"], item["asset"], item["closing_minor"]) for item in books["balances"]]
    assert shown == [("expense:partner_share", "CNY", 6673), ("liability:payable:platform-a", "CNY", -6673)]
    assert books["pending"] == []


def test_both_nodes_are_told_of_each_state_with_the_transactions(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    month.settle(record)
    for name in (PAYER, REFERRER):
        told = [head for node, head in announced(month) if node == name]
        assert [head["state"] for head in told] == ["PROPOSED", "FINAL"]
        assert [len(head["transactions"]) for head in told] == [1, 2]


def announced(month: Settling) -> list[tuple[str, Head]]:
    found = month.hub.store.read("test", lambda tx: tx.tasks.of_job("", kind="settlement.final"))
    return [(task.node, task.head) for task in found]


@pytest.mark.parametrize("signed", [(), (PAYER,), (REFERRER,)])
def test_settling_needs_both_confirmations(month: Settling, signed: tuple[str, ...]) -> None:
    month.report_october()
    record = month.close()
    for name in signed:
        month.confirm(record, name)
    with pytest.raises(StatementNotConfirmed) as caught:
        month.settle(record)
    missing = {PAYER, REFERRER} - set(signed)
    assert all(name in caught.value.message() for name in missing)


def test_the_second_month_follows_the_first_and_brings_its_debt_forward(month: Settling) -> None:
    month.report_referrals([referral(1, "2026-10-20T00:00:00Z")])
    month.report_events([event("e1", 1, -2000, "2026-10-25T00:00:00Z")])
    first = month.confirmed()
    assert (first.body["total_minor"], first.body["payable_minor"]) == (-100, 0)
    month.settle(first)
    month.pass_window()
    assert month.settle(first) == "FINAL"
    month.report_events([event("n1", 1, 9000, "2026-11-03T00:00:00Z")], period=NOVEMBER)
    month.hub.clock.now = datetime(2026, 12, 2, tzinfo=UTC)
    second = month.confirmed(NOVEMBER)
    assert (second.body["sequence"], second.body["previous"]) == (2, first.anchor)
    assert (second.body["total_minor"], second.body["brought_forward_minor"]) == (450, -100)
    assert second.body["payable_minor"] == 350
    month.settle(second)
    month.pass_window()
    assert month.settle(second) == "FINAL"
    books = {line["account"]: line["closing_minor"] for line in month.command("ledger").head["balances"]}
    assert (books["liability:payable:platform-a"], books["liability:accrued:platform-a"]) == (-350, 0)


def test_a_chain_that_knows_a_statement_the_books_call_a_draft_stops_settlement(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    anchor = codec_settlement.anchor(settlement.terms.value_of(record))
    signatures = [
        chain_settlement.sign(anchor, CHAIN_ID, month.contract, KEYS[r].secret) for r in ("broker", "referrer")
    ]
    behind = chain_settlement.propose_data(anchor, *signatures)
    month.chain.chain.execute(month.contract, behind, KEYS["broker"].secret)
    with pytest.raises(ChainDisagrees) as caught:
        month.settle(record)
    assert (caught.value.facts["chain"], caught.value.facts["books"]) == ("PROPOSED", "NONE")
    assert month.record(record.id).state == "DRAFT"


def test_books_that_another_hub_moved_since_they_were_read_are_no_disagreement(
    month: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    month.report_october()
    record = month.confirmed()
    agree = settlement_chain.agree

    def late(chain: Chain, case: Case) -> None:
        monkeypatch.undo()
        month.settle(record)
        agree(chain, case)

    monkeypatch.setattr(settlement_chain, "agree", late)
    with pytest.raises(ChainStepUnderWay):
        month.settle(record)
    assert month.record(record.id).state == "PROPOSED"


def test_a_statement_that_somebody_else_finalised_is_posted_once(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    data = chain_settlement.finalise_data(bytes.fromhex(record.anchor))
    month.chain.chain.execute(month.contract, data, KEYS["broker"].secret)
    assert month.settle(record) == "FINAL"
    assert [entry.state for entry in month.entries()] == [EntryState.POSTED]
    with pytest.raises(SettleDone):
        month.settle(record)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_chain_that_forgot_a_statement_stops_settlement(month: Settling, steps: int) -> None:
    month.report_october()
    record = month.confirmed()
    month.settle(record)
    if steps == 2:
        month.pass_window()
        month.settle(record)
    state = month.record(record.id).state
    with local() as other:  # the same accounts and contract address, another history
        assert other.deploy_settlement() == month.contract
        partner = bytes.fromhex(str(record.body["partner_commitment"]))
        data = chain_settlement.set_signer_data(partner, KEYS["referrer"].address)
        other.chain.execute(month.contract, data, KEYS["governor"].secret)
        month.hub.services = replace(month.services, chain=lambda: other.chain)
        with pytest.raises(ChainSetBack) as caught:
            month.settle(record)
    assert caught.value.facts["nonce"] == steps - 1
    assert month.record(record.id).state == state


def test_a_referrer_account_changed_on_the_chain_stops_settlement(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    partner = bytes.fromhex(str(record.body["partner_commitment"]))
    data = chain_settlement.set_signer_data(partner, KEYS["submitter"].address)
    month.chain.chain.execute(month.contract, data, KEYS["governor"].secret)
    with pytest.raises(ChainDisagrees) as caught:
        month.settle(record)
    assert caught.value.facts["what"] == "referrer account"


def test_a_dispute_on_the_chain_is_followed_until_its_replacement_is_settled(month: Settling) -> None:
    month.report_october()
    old = month.confirmed()
    month.settle(old)
    digest, reason = bytes.fromhex(old.anchor), bytes(31) + b"\x01"
    disputing = chain_settlement.dispute_data(digest, reason)
    month.chain.chain.execute(month.contract, disputing, KEYS["referrer"].secret)
    assert month.settle(old) == "DISPUTED"  # what happened on the chain is this call's step
    with pytest.raises(StatementNotOpen):
        month.settle(old)
    with pytest.raises(EarlierStatementOpen):  # the arbiter has not decided yet
        month.command("close", period=OCTOBER, agreement=month.agreement.digest)
    month.chain.chain.execute(
        month.contract, chain_settlement.resolve_data(digest, True, reason), KEYS["arbiter"].secret
    )
    assert month.settle(old) == "VOID"
    assert [entry.state for entry in month.entries()] == [EntryState.VOIDED]
    month.report_events([event("e3", 3, 2000)])
    new = month.confirmed()
    assert (new.body["sequence"], new.body["previous"], new.body["replaces"]) == (2, old.anchor, old.anchor)
    month.settle(new)
    month.pass_window()
    assert month.settle(new) == "FINAL"


def test_a_dismissed_dispute_is_settled_at_once(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    month.settle(record)
    digest, reason = bytes.fromhex(record.anchor), bytes(31) + b"\x01"
    month.chain.chain.execute(month.contract, chain_settlement.dispute_data(digest, reason), KEYS["broker"].secret)
    assert month.settle(record) == "DISPUTED"
    dismissed = chain_settlement.resolve_data(digest, False, reason)
    month.chain.chain.execute(month.contract, dismissed, KEYS["arbiter"].secret)
    assert month.settle(record) == "PROPOSED"
    assert month.settle(record) == "FINAL"
    told = [head["state"] for node, head in announced(month) if node == REFERRER]
    assert told == ["PROPOSED", "DISPUTED", "PROPOSED", "FINAL"]


# --- pay


def final(month: Settling) -> str:
    month.report_october()
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    month.settle(record)
    return record.id


def test_a_final_statement_is_paid_once(month: Settling) -> None:
    identifier = final(month)
    first = month.command("pay", period=OCTOBER)
    assert (first.head["new"], first.head["payments"], first.head["number"]) == (True, 1, 1)
    (row,) = list(csv.DictReader(io.StringIO(first.body.decode(), newline="")))
    assert row == {
        "end_to_end_id": identifier[:32],
        "debtor": "broker",
        "creditor": "platform-a",
        "creditor_name": "The platform-a",
        "amount": "66.73",
        "amount_minor": "6673",
        "currency": "CNY",
        "period": "2026-10",
        "statement": identifier,
        "agreement": month.agreement.digest,
        **{"debtor_account": "", "creditor_account": "", "due": "2026-11-02"},  # no approved accounts yet
    }
    again = month.command("pay", period=OCTOBER)
    assert (again.head["new"], again.body) == (False, first.body)
    assert first.head["file"] == hashlib.sha256(first.body).hexdigest()
    assert [kind for kind, _ in month.hub.leaves()].count("payment.file") == 1


def test_nothing_to_pay_before_a_statement_is_final(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    month.settle(record)
    with pytest.raises(NothingToPay):
        month.command("pay", period=OCTOBER)


def test_a_statement_of_nothing_is_settled_and_not_paid(month: Settling) -> None:
    month.report_referrals([referral(1)])
    record = month.confirmed()
    assert record.body["total_minor"] == 0
    assert month.entries() == ()
    month.settle(record)
    month.pass_window()
    assert month.settle(record) == "FINAL"
    with pytest.raises(NothingToPay):
        month.command("pay", period=OCTOBER)


# --- views


def test_the_statement_view_shows_lines_checks_and_transactions(month: Settling) -> None:
    identifier = final(month)
    shown = month.command("statement", statement=identifier[:10])
    assert shown.head["checks"] == {PAYER: None, REFERRER: None}
    assert shown.head["confirmed"] == [PAYER, REFERRER]
    assert [(t["kind"], t["state"]) for t in shown.head["transactions"]] == [("propose", "DONE"), ("finalise", "DONE")]
    assert shown.body.count(b'"verdict"') == 3


def test_an_ambiguous_prefix(month: Settling) -> None:
    month.report_october()
    record = month.close()

    def twins(tx):
        from hub.tables_settlement import StatementRow

        row = tx.session.get(StatementRow, record.id)
        twin = {c.key: getattr(row, c.key) for c in StatementRow.__table__.columns}
        twin |= {"id": record.id[:63] + ("0" if record.id[-1] != "0" else "1"), "number": 99, "anchor": "00" * 32}
        tx.session.add(StatementRow(**twin | {"state": "VOID"}))

    month.hub.store.run("test", twins)
    with pytest.raises(StatementAmbiguous):
        month.command("statement", statement=record.id[:20])


def test_an_account_that_the_governor_has_not_named_is_asked_for_with_the_command(month: Settling) -> None:
    month.report_october()
    record = month.confirmed()
    partner = bytes.fromhex(record.body["partner_commitment"])
    nobody = chain_settlement.set_signer_data(partner, ZERO_ADDRESS)
    month.chain.chain.execute(month.contract, nobody, KEYS["governor"].secret)
    with pytest.raises(SignerNotRegistered) as caught:
        month.settle(record)
    account = KEYS["referrer"].address
    where = f"--contract {month.contract} --partner {partner.hex()} --signer {account} --terms {month.agreement.digest}"
    assert where in caught.value.message("en") and where in caught.value.message("zh")
    named = chain_settlement.set_signer_data(partner, account)
    month.chain.chain.execute(month.contract, named, KEYS["governor"].secret)
    assert month.settle(record) == "PROPOSED"
