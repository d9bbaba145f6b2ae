"""A settled payment on the chain: the payer's node checks and signs, the hub hands in; neither believes the other."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts import settlement as chain_settlement
from contracts import transactions
from ecowire import codec_payout
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from hub import dispatch, payment_details, settlement_terms, wiring
from hub.payment_chain import TASK
from hub.payment_errors import PayoutNotSigned, PayoutSignedOtherwise
from hub.records import Head
from hub.settlement_errors import NotAcknowledged, SettleDone
from hub.store_ledger import LedgerStore
from hub.store_payments import PaymentStore
from partner_node import settlement_payout
from partner_node.settlement_errors import FeeRefused, OtherRole, PaidMarkRefused
from partner_node.settlement_transactions import GAS_PRICE_MAX
from tests.hub.paying import OURS, THEIRS, booked
from tests.hub.settling import CAI, FEI, PAYER, REFERRER
from tests.support.bank_files import IBAN, Booked, camt
from tests.support.sandbox_chain import KEYS, WINDOW
from tests.support.settling_nodes import Month, month_of_nodes


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


def settle(month: Month, identifier: str) -> str:
    return str(month.command("settle", statement=identifier).head["state"])


def final(month: Month) -> str:
    identifier = month.october()
    month.confirm(identifier)
    assert settle(month, identifier) == "PROPOSED"
    month.chain.chain.advance_time(WINDOW)
    assert settle(month, identifier) == "FINAL"
    month.deliver()
    return identifier


def bank(month: Month, *entries: Booked, opening: int = 1_000_000) -> None:
    data = base64.b64encode(camt(entries, opening=opening)).decode()
    month.command("bank.import", format="camt.053", account=IBAN, data=data)
    month.command("reconcile")


def order_of(month: Month, identifier: str) -> Any:
    return month.hub.store.read("test", lambda tx: PaymentStore(tx.session).orders(statement=identifier))[-1]


def propose(month: Month, details: Head) -> None:
    """An account, entered by one person and approved by another."""
    digest = month.hub.run(payment_details.propose, FEI, month.hub.now(), details).head["digest"]
    month.command("details.decide", by=CAI, digest=digest, decision="approve")


def paid(month: Month) -> str:
    """October, final, ordered, booked by the bank and matched; not marked on the chain yet."""
    identifier = final(month)
    for details in (OURS, THEIRS):
        propose(month, details)
    month.command("pay", period="2026-10", format="pain.001")
    bank(month, booked(order_of(month, identifier)))
    return identifier


def marked_and_returned(month: Month) -> tuple[str, Any]:
    """October, marked paid on the chain, whose payment came back after that; with the order that paid it."""
    identifier = paid(month)
    with pytest.raises(PayoutNotSigned):
        settle(month, identifier)
    month.deliver()
    assert settle(month, identifier) == "PAID"
    first = order_of(month, identifier)
    bank(month, booked(first, side="CRDT", return_reason="AC04", bank_reference="BACK"), opening=2_000_000)
    return identifier, first


def record(month: Month, identifier: str) -> Any:
    return month.hub.store.read("test", lambda tx: settlement_terms.get(tx, identifier))


def on_chain(month: Month, identifier: str) -> Any:
    return chain_settlement.state(month.chain.chain, month.contract, bytes.fromhex(record(month, identifier).anchor))


def task(month: Month) -> Any:
    return month.hub.store.read("test", lambda tx: tx.tasks.next_open(PAYER, 0)[0])


def test_a_paid_statement_is_marked_on_the_chain_by_the_payers_account(month: Month) -> None:
    identifier = paid(month)
    with pytest.raises(PayoutNotSigned):
        settle(month, identifier)
    assert on_chain(month, identifier).state == "FINAL"
    month.deliver()
    assert settle(month, identifier) == "PAID"
    found = on_chain(month, identifier)
    assert (found.state, found.payout.hex()) == ("PAID", order_of(month, identifier).payout)
    with pytest.raises(NotAcknowledged):
        settle(month, identifier)
    month.deliver()
    assert [month.state(name, identifier)["state"] for name in (PAYER, REFERRER)] == ["PAID", "PAID"]
    intents = month.hub.store.read("test", lambda tx: LedgerStore(tx.session).intents(statement=identifier))
    assert [one.kind for one in intents] == ["propose", "finalise", "pay"]
    assert intents[-1].sender == month.nodes[PAYER].parts.node.keys.chain.address


def test_a_final_statement_that_no_bank_paid_is_not_marked(month: Month) -> None:
    identifier = final(month)
    with pytest.raises(SettleDone):
        settle(month, identifier)
    assert task(month) is None


def test_a_payment_that_came_back_before_it_was_marked_is_not_marked(month: Month) -> None:
    identifier = paid(month)
    with pytest.raises(PayoutNotSigned):
        settle(month, identifier)
    month.deliver()
    order = order_of(month, identifier)
    bank(month, booked(order, side="CRDT", return_reason="AC04", bank_reference="BACK"), opening=2_000_000)
    with pytest.raises(SettleDone):
        settle(month, identifier)
    assert on_chain(month, identifier).state == "FINAL"


def test_a_payment_that_came_back_after_it_was_marked_is_paid_again_in_the_books_alone(month: Month) -> None:
    identifier, first = marked_and_returned(month)
    assert month.command("pay", period="2026-10").head["new"] is True
    second = order_of(month, identifier)
    assert (second.end_to_end_id, second.state) == (first.end_to_end_id + "-2", "ORDERED")
    bank(month, booked(second, bank_reference="AGAIN"), opening=3_000_000)
    assert order_of(month, identifier).state == "SETTLED"
    with pytest.raises(NotAcknowledged):  # the referrer's step, not a second marking
        settle(month, identifier)
    assert (found := on_chain(month, identifier)).state == "PAID"
    assert found.payout.hex() == first.payout != order_of(month, identifier).payout
    assert month.command("pay", period="2026-10").head["new"] is False


def test_one_reference_of_the_bank_for_two_statements_makes_two_commitments() -> None:
    booked_once = (("e", "BANKREF", "2026-11-12"),)
    same = {"salt": "ab" * 32, "currency": "CNY", "amount_minor": 5, "booked": booked_once}
    one, other = (codec_payout.Payout(end_to_end_id=name, **same) for name in ("a" * 32, "b" * 32))  # type: ignore[arg-type]
    assert one.commitment != other.commitment
    assert codec_payout.from_value(one.to_value()) == one


def test_what_another_key_signed_is_not_sent(month: Month) -> None:
    identifier = paid(month)
    with pytest.raises(PayoutNotSigned):
        settle(month, identifier)
    asked = task(month)
    payout = codec_payout.from_value(asked.head["payout"])
    data = chain_settlement.mark_paid_data(
        bytes.fromhex(record(month, identifier).anchor), bytes.fromhex(payout.commitment)
    )
    raw, _ = transactions.sign(
        to=month.contract,
        data=data,
        nonce=asked.head["nonce"],
        chain_id=month.chain.chain.chain_id,
        gas=100_000,
        gas_price=0,
        key=KEYS["submitter"],
    )
    answer = Message(id=f"{asked.id}/r", kind="ok", head={"raw": raw.hex()}, reply_to=asked.id)
    dispatch.take_answer(month.hub.services, wiring.ANSWERS, month.callers[PAYER], answer)
    with pytest.raises(PayoutSignedOtherwise):
        settle(month, identifier)
    assert on_chain(month, identifier).state == "FINAL"


@pytest.mark.parametrize("change", ["amount", "currency", "statement", "salt", "price", "gas"])
def test_the_node_marks_only_what_it_can_check(month: Month, change: str) -> None:
    identifier = paid(month)
    with pytest.raises(PayoutNotSigned):
        settle(month, identifier)
    head = dict(task(month).head)
    payout = dict(head["payout"])
    payout |= {
        "amount": {"amount_minor": payout["amount_minor"] - 1},
        "currency": {"currency": "HKD"},
        "statement": {"end_to_end_id": "0" * 32},
        "salt": {"salt": ""},
    }.get(change, {})
    head |= {"payout": payout} | {"price": {"gas_price": GAS_PRICE_MAX + 1}, "gas": {"gas": 10**9}}.get(change, {})
    with pytest.raises(FeeRefused if change in ("price", "gas") else PaidMarkRefused):
        settlement_payout.sign(month.nodes[PAYER].parts.node, Message(id="lie", kind=TASK, head=head))


def test_the_node_marks_nothing_before_it_is_final_and_only_as_the_payer(month: Month) -> None:
    identifier = month.october()
    payout = {"salt": "ab" * 32, "end_to_end_id": identifier[:32], "currency": "CNY", "amount_minor": 6673}
    booked_once = [{"entry": "e", "reference": "r", "booked": "2026-11-12"}]
    head = {"statement": identifier, "payout": {**payout, "booked": booked_once}, "nonce": 0, "gas": 0, "gas_price": 0}
    request = Message(id="early", kind=TASK, head=head)
    with pytest.raises(PaidMarkRefused):
        settlement_payout.sign(month.nodes[PAYER].parts.node, request)
    month.confirm(identifier)
    with pytest.raises(PaidMarkRefused):
        settlement_payout.sign(month.nodes[PAYER].parts.node, request)
    with pytest.raises(OtherRole):
        settlement_payout.sign(month.nodes[REFERRER].parts.node, request)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"salt": "", "end_to_end_id": "", "currency": "", "amount_minor": 1, "booked": []},
        {"salt": "", "end_to_end_id": "", "currency": "", "amount_minor": "1", "booked": [{}]},
        {
            **{"salt": "", "end_to_end_id": "", "currency": "", "amount_minor": True},
            "booked": [{"entry": "", "reference": "", "booked": ""}],
        },
        {
            **{"salt": 1, "end_to_end_id": "", "currency": "", "amount_minor": 1},
            "booked": [{"entry": "", "reference": "", "booked": ""}],
        },
    ],
)
def test_what_is_no_payout_is_refused(value: object) -> None:
    with pytest.raises(MalformedMessage):
        codec_payout.from_value(value)


def test_what_came_back_and_was_released_after_it_was_marked_is_still_owed(month: Month) -> None:
    identifier, first = marked_and_returned(month)
    month.command("pay", period="2026-10", format="pain.001")
    second = order_of(month, identifier).end_to_end_id
    told: Head = {"kind": "RELEASED", "orders": [second], "entries": [], "reason": "the bank refused the file"}
    match = month.command("match.propose", **told).head["match"]
    month.command("match.decide", by=CAI, match=match, decision="approve")
    assert month.command("pay", period="2026-10", format="pain.001").head["new"] is True
    assert order_of(month, identifier).end_to_end_id == first.end_to_end_id + "-3"
