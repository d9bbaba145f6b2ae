"""After payment: the referrer's person says that the money came, its node signs that, the hub hands it in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import transactions
from ecowire.stream import Message
from hub import dispatch, wiring
from hub.settlement_acknowledge import TASK
from hub.settlement_errors import (
    AcknowledgementNotSigned,
    AcknowledgementSignedOtherwise,
    NotAcknowledged,
    SettleDone,
)
from hub.store_ledger import LedgerStore
from partner_node import settlement_errors
from partner_node.settlement_errors import NotPaidYet, OtherRole
from tests.hub.settling import PAYER, REFERRER
from tests.hub.test_payment_chain import on_chain, paid, settle
from tests.support.sandbox_chain import CHAIN_ID, KEYS
from tests.support.settling_nodes import PERSON, Month, month_of_nodes


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


def marked(month: Month) -> str:
    """October, paid, and marked so on the chain; both nodes know."""
    identifier = paid(month)
    with pytest.raises(Exception, match="is paid"):
        settle(month, identifier)
    month.deliver()
    assert settle(month, identifier) == "PAID"
    month.deliver()
    return identifier


def acknowledge(month: Month, identifier: str) -> None:
    month.nodes[REFERRER].command("statement.acknowledge", statement=identifier, person=PERSON)
    month.deliver()


def test_the_referrer_acknowledges_and_the_chain_shows_it(month: Month) -> None:
    identifier = marked(month)
    with pytest.raises(NotAcknowledged, match=REFERRER):
        settle(month, identifier)
    acknowledge(month, identifier)
    acknowledge(month, identifier)  # the same again is fine
    with pytest.raises(AcknowledgementNotSigned, match="no answer yet"):
        settle(month, identifier)
    month.deliver()
    assert settle(month, identifier) == "ACKED" == on_chain(month, identifier).state
    with pytest.raises(SettleDone):
        settle(month, identifier)
    month.deliver()
    assert [month.state(name, identifier)["state"] for name in (PAYER, REFERRER)] == ["ACKED", "ACKED"]
    sent = month.hub.store.read("test", lambda tx: LedgerStore(tx.session).intents(statement=identifier))[-1]
    assert (sent.kind, sent.state) == ("acknowledge", "DONE")
    assert sent.sender == month.nodes[REFERRER].parts.node.keys.chain.address
    kinds = [kind for kind, subject in month.hub.leaves() if subject == identifier]
    assert kinds[-2:] == ["acknowledgement", "statement.acked"]


def test_what_is_not_paid_is_not_acknowledged_and_only_the_referrer_does(month: Month) -> None:
    identifier = paid(month)
    with pytest.raises(NotPaidYet):
        month.nodes[REFERRER].command("statement.acknowledge", statement=identifier, person=PERSON)
    with pytest.raises(OtherRole):
        month.nodes[PAYER].command("statement.acknowledge", statement=identifier, person=PERSON)


def test_a_node_whose_person_said_nothing_signs_nothing(month: Month) -> None:
    identifier = marked(month)
    head = {"statement": identifier, "nonce": 0, "gas": 300_000, "gas_price": 0}
    reply = month.nodes[REFERRER].ask(Message(id="forged", kind=TASK, head=head))
    assert reply.head["code"] == settlement_errors.NotAcknowledged.code


def test_another_transaction_than_was_asked_for_is_not_sent(month: Month) -> None:
    identifier = marked(month)
    acknowledge(month, identifier)
    with pytest.raises(AcknowledgementNotSigned):
        settle(month, identifier)
    (task,) = [t for t in month.hub.open_tasks(REFERRER) if t.kind == TASK]
    raw, _ = transactions.sign(
        to=month.contract,
        data=b"",
        nonce=int(str(task.head["nonce"])),
        chain_id=CHAIN_ID,
        gas=100_000,
        gas_price=0,
        key=KEYS["referrer"],
    )
    reply = Message(id=f"{task.id}.r", kind="ok", head={"raw": raw.hex()}, reply_to=task.id)
    dispatch.take_answer(month.hub.services, wiring.ANSWERS, month.callers[REFERRER], reply)
    with pytest.raises(AcknowledgementSignedOtherwise):
        settle(month, identifier)
    assert on_chain(month, identifier).state == "PAID"
