"""A dispute at the contract: a party's person says it, its node signs, the hub hands in; then the arbiter decides.

Hub, both nodes, the chain and the arbiter's command are real; the examiner looks at what came of it.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from contracts import settlement as chain_settlement
from contracts import transactions
from contracts.chain import Chain
from contracts.errors import ChainRefused, WindowClosed
from ecowire import evidence as bundles
from ecowire.status import RemoteFailure
from ecowire.stream import Message
from hub import dispatch, evidence, settlement_chain, wiring
from hub.payment_errors import PayoutNotSigned
from hub.settlement_courier import Courier
from hub.settlement_dispute_chain import TASK
from hub.settlement_errors import DisputeNotSigned, DisputeSignedOtherwise, StatementDisputedOnChain, StatementVoid
from hub.store_ledger import LedgerStore
from partner_node import cli_settlement, local_client
from partner_node.settlement_errors import NotDisputed, StatementDecided
from privacy.errors import Failure
from revenue_share.ledger import EntryState
from sandbox.examine.run import Report, examine
from tests.hub.alliance import ALLIANCE
from tests.hub.paying import OURS, THEIRS, booked
from tests.hub.settling import PAYER, REFERRER
from tests.hub.test_payment_chain import bank, on_chain, order_of, propose, record, settle
from tests.support.sandbox_chain import CHAIN_ID, KEYS, WINDOW, run, until
from tests.support.settling_nodes import PERSON, Month, month_of_nodes, refused
from tests.support.trusting import trust_of

REASON = "client 3 traded"
# what an examination without co-signed checkpoints can't say
UNWITNESSED = {"LOG_NOT_WITNESSED", "CHECKPOINT_MISSING", "COSIGNATURE_MISSING"}


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


def proposed(month: Month) -> str:
    """October on the chain, its window open; both nodes know."""
    identifier = month.october()
    month.confirm(identifier)
    assert settle(month, identifier) == "PROPOSED"
    month.deliver()
    return identifier


def say(month: Month, identifier: str, by: str = REFERRER) -> Any:
    """A party's person disputes line 2; the hub has the word."""
    given = {"statement": identifier, "reason": REASON, "lines": [2], "person": f"{PERSON} of {by}"}
    found = month.nodes[by].command("statement.dispute", **given)
    month.deliver()
    return found


def disputed(month: Month, by: str = REFERRER) -> str:
    """October, disputed at the contract by this party's account; both nodes know."""
    identifier = proposed(month)
    say(month, identifier, by)
    with pytest.raises(DisputeNotSigned):
        settle(month, identifier)
    month.deliver()
    assert settle(month, identifier) == "DISPUTED"
    month.deliver()
    return identifier


def dispute_at(month: Month, identifier: str) -> chain_settlement.Dispute:
    anchor = bytes.fromhex(record(month, identifier).anchor)
    found = chain_settlement.dispute(month.chain.chain, month.contract, anchor)
    assert found is not None
    return found


def resolve(month: Month, statement: str, *words: str, key: str = "arbiter") -> Any:
    """The arbiter's command; its result with exit status, output and errors."""
    file = month.folder / f"{key}.key"
    if not file.exists():
        KEYS[key].write(file)
    month.file("decision.txt", "the base of line 2 is that of the contract note")
    decision = ("--reason", str(month.folder / "decision.txt"))
    place = ("--endpoint", month.chain.server.endpoint, "--chain-id", str(CHAIN_ID), "--contract", month.contract)
    return run("resolve", *place, "--key", str(file), *decision, *words, statement)


def decided(month: Month, identifier: str, *words: str) -> Any:
    done = resolve(month, record(month, identifier).anchor, *words, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def examined(month: Month) -> Report:
    """The whole bundle with its chain, under the parties' own keys, without co-signed checkpoints."""
    chain = month.chain.chain
    entries = evidence.collect(month.hub.store, chain, month.hub.services.settings.chain)
    keys = {name: node.parts.node.keys for name, node in month.nodes.items()}
    trust = trust_of(month, keys, genesis=month.chain.ledger.genesis.digest)
    return examine(bundles.write(entries, alliance=ALLIANCE, period="2026-10"), trust)


def settlement_findings(report: Report) -> set[str]:
    return {finding.code for finding in report.findings} - UNWITNESSED


@pytest.mark.parametrize("by", [PAYER, REFERRER])
def test_a_partys_own_account_disputes_at_the_contract_once(month: Month, by: str) -> None:
    identifier = proposed(month)
    say(month, identifier, by)
    say(month, identifier, by)  # the same again is fine
    with pytest.raises(DisputeNotSigned, match="no answer yet"):
        settle(month, identifier)
    assert on_chain(month, identifier).state == "PROPOSED"
    month.deliver()
    assert settle(month, identifier) == "DISPUTED" == on_chain(month, identifier).state
    (said,) = month.command("statement", statement=identifier).head["disputes"]
    account = month.nodes[by].parts.node.keys.chain.address
    held = dispute_at(month, identifier)
    assert (held.party, held.reason.hex()) == (account, said["dispute"])
    assert said["document"]["body"]["lines"][0]["line"] == 2
    with pytest.raises(StatementDisputedOnChain, match=record(month, identifier).anchor):
        settle(month, identifier)
    month.deliver()
    sent = month.hub.store.read("test", lambda tx: LedgerStore(tx.session).intents(statement=identifier))
    assert [(one.kind, one.state) for one in sent] == [("propose", "DONE"), ("dispute", "DONE")]
    assert (sent[-1].sender, month.chain.chain.nonce(account)) == (account, 1)
    for name in (PAYER, REFERRER):
        shown = month.state(name, identifier)
        assert (shown["state"], shown["decision"]) == ("DISPUTED", "confirmed")
        assert [item["dispute"]["body"]["reason"] for item in shown["disputes"]] == [REASON]
        assert [item["request"] for item in shown["disputes"]] == ["ANSWERED" if name == by else None]
        with pytest.raises(StatementDecided):
            month.nodes[name].command("statement.dispute", statement=identifier, reason="again", person=PERSON)


def test_after_the_window_the_hub_refuses_and_names_its_end(month: Month) -> None:
    identifier = proposed(month)
    month.chain.chain.advance_time(WINDOW)
    say(month, identifier)
    ((request, failure),) = refused(month, REFERRER)
    closes = month.command("statement", statement=identifier).head["closes"]
    assert request.startswith("statement.dispute/") and failure["code"] == WindowClosed.code
    assert str(closes) in str(failure["en"])
    (shown,) = month.state(REFERRER, identifier)["disputes"]
    assert (shown["request"], shown["failure"]["code"]) == ("REFUSED", WindowClosed.code)
    assert month.command("statement", statement=identifier).head["disputes"] == []
    assert settle(month, identifier) == "FINAL"
    assert settlement_findings(examined(month)) == set()


def test_the_hub_takes_a_dispute_to_the_contract_by_itself(month: Month) -> None:
    identifier = proposed(month)
    endpoint = month.chain.server.endpoint
    courier = Courier(replace(month.hub.services, chain=lambda: Chain(endpoint, CHAIN_ID)))
    courier.start()
    try:
        say(month, identifier)
        until(lambda: month.deliver() or record(month, identifier).state == "DISPUTED")
    finally:
        courier.stop()
    assert on_chain(month, identifier).state == "DISPUTED"


def test_of_two_parties_that_dispute_the_one_whose_node_answers_is_handed_in(month: Month) -> None:
    identifier = proposed(month)
    say(month, identifier, REFERRER)
    month.hub.clock.forward(60)
    say(month, identifier, PAYER)
    with pytest.raises(DisputeNotSigned, match=REFERRER):
        settle(month, identifier)
    month._down(PAYER)
    assert settle(month, identifier) == "DISPUTED"
    assert dispute_at(month, identifier).party == month.nodes[PAYER].parts.node.keys.chain.address


def test_a_node_whose_person_said_nothing_signs_nothing(month: Month) -> None:
    identifier = proposed(month)
    head = {"statement": identifier, "dispute": "ab" * 32, "nonce": 0, "gas": 300_000, "gas_price": 0}
    reply = month.nodes[REFERRER].ask(Message(id="forged", kind=TASK, head=head))
    assert reply.head["code"] == NotDisputed.code


def test_another_transaction_than_was_asked_for_is_not_sent(month: Month) -> None:
    identifier = proposed(month)
    say(month, identifier)
    with pytest.raises(DisputeNotSigned):
        settle(month, identifier)
    (task,) = [t for t in month.hub.open_tasks(REFERRER) if t.kind == TASK]
    other = chain_settlement.dispute_data(bytes.fromhex(record(month, identifier).anchor), bytes(32))
    key = month.nodes[REFERRER].parts.node.keys.chain
    asked = {name: int(str(task.head[name])) for name in ("nonce", "gas", "gas_price")}
    raw, _ = transactions.sign(to=month.contract, data=other, chain_id=CHAIN_ID, key=key, **asked)
    reply = Message(id=f"{task.id}.r", kind="ok", head={"raw": raw.hex()}, reply_to=task.id)
    dispatch.take_answer(month.hub.services, wiring.ANSWERS, month.callers[REFERRER], reply)
    with pytest.raises(DisputeSignedOtherwise):
        settle(month, identifier)
    assert on_chain(month, identifier).state == "PROPOSED"


def answered(month: Month, task: Any, data: bytes, **changes: int) -> None:
    """The referrer's node answers what it was asked to sign with something of its own."""
    key = month.nodes[REFERRER].parts.node.keys.chain
    asked = {name: int(str(task.head[name])) for name in ("nonce", "gas", "gas_price")} | changes
    raw, _ = transactions.sign(to=month.contract, data=data, chain_id=CHAIN_ID, key=key, **asked)
    reply = Message(id=f"{task.id}.r", kind="ok", head={"raw": raw.hex()}, reply_to=task.id)
    dispatch.take_answer(month.hub.services, wiring.ANSWERS, month.callers[REFERRER], reply)


SPOILT: dict[str, dict[str, int]] = {
    "another call": {},
    "gas that no chain takes": {"gas": 20_000},
    "gas that runs out": {"gas": 40_000},
    "another fee": {"gas_price": 1},
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_party_that_spoils_its_own_dispute_does_not_hold_up_the_others(month: Month, spoilt: str) -> None:
    """The referrer objects first and its node signs something else: the payer's objection goes to the contract."""
    identifier = proposed(month)
    say(month, identifier, REFERRER)
    with pytest.raises(DisputeNotSigned):
        settle(month, identifier)
    (task,) = [t for t in month.hub.open_tasks(REFERRER) if t.kind == TASK]
    reason = bytes(32) if spoilt == "another call" else bytes.fromhex(str(task.head["dispute"]))
    data = chain_settlement.dispute_data(bytes.fromhex(record(month, identifier).anchor), reason)
    answered(month, task, data, **SPOILT[spoilt])
    say(month, identifier, PAYER)
    for _ in range(3):
        try:
            settle(month, identifier)
        except Failure:
            month.deliver()
    assert on_chain(month, identifier).state == "DISPUTED"
    assert dispute_at(month, identifier).party == month.nodes[PAYER].parts.node.keys.chain.address
    assert month.chain.chain.nonce(month.nodes[REFERRER].parts.node.keys.chain.address) == 0


def test_an_account_that_the_chain_does_not_admit_does_not_hold_up_the_others(month: Month) -> None:
    """The referrer's account has no fee: both objected and signed, the payer's is taken."""
    identifier = proposed(month)
    for by in (REFERRER, PAYER):
        say(month, identifier, by)
    with pytest.raises(DisputeNotSigned):
        settle(month, identifier)
    month.deliver()
    chain, account = month.chain.chain, month.nodes[REFERRER].parts.node.keys.chain.address

    class Poor:
        def __getattr__(self, name: str) -> Any:
            return getattr(chain, name)

        def send(self, raw: bytes) -> str:
            if transactions.decode(raw).sender == account:
                raise ChainRefused(why="insufficient funds for gas * price + value")
            return chain.send(raw)

    services: Any = replace(month.hub.services, chain=Poor)
    settlement_chain.settle(services, month.callers[PAYER], month.hub.clock(), {"statement": identifier})
    assert dispute_at(month, identifier).party == month.nodes[PAYER].parts.node.keys.chain.address


def test_another_fee_is_another_transaction_to_sign(month: Month) -> None:
    """The hub's people raise the fee while a node has the old one before it."""
    identifier = proposed(month)
    say(month, identifier)
    with pytest.raises(DisputeNotSigned):
        settle(month, identifier)
    settings = month.hub.services.settings
    dearer = replace(settings, chain=replace(settings.chain, gas_price=7))
    services: Any = replace(month.hub.services, settings=dearer)
    with pytest.raises(DisputeNotSigned):
        settlement_chain.settle(services, month.callers[PAYER], month.hub.clock(), {"statement": identifier})
    asked = [task.head["gas_price"] for task in month.hub.open_tasks(REFERRER) if task.kind == TASK]
    assert asked == [0, 7]


@pytest.mark.parametrize("by", [PAYER, REFERRER])
def test_a_dismissed_dispute_is_finalised_at_once_and_paid(month: Month, by: str) -> None:
    identifier = disputed(month, by)
    made = decided(month, identifier, "--dismissed")
    assert (made["state"], made["upheld"]) == ("PROPOSED", False)
    assert settle(month, identifier) == "PROPOSED"
    assert settle(month, identifier) == "FINAL"
    month.deliver()
    for details in (OURS, THEIRS):
        propose(month, details)
    month.command("pay", period="2026-10", format="pain.001")
    bank(month, booked(order_of(month, identifier)))
    with pytest.raises(PayoutNotSigned):
        settle(month, identifier)
    month.deliver()
    assert settle(month, identifier) == "PAID" == on_chain(month, identifier).state
    report = examined(month)
    assert (settlement_findings(report), report.held["disputes decided"]) == (set(), 1)


def test_an_upheld_dispute_makes_room_for_a_replacement_that_is_settled(month: Month) -> None:
    identifier = disputed(month)
    made = decided(month, identifier, "--upheld")
    assert (made["state"], made["upheld"]) == ("VOID", True)
    assert settle(month, identifier) == "VOID"
    with pytest.raises(StatementVoid):
        settle(month, identifier)
    month.deliver()
    month.earn("3,2026-10-07T14:00:00+08:00,commission,20.00,e3")
    new = month.close()
    old = record(month, identifier)
    place = record(month, new).body
    assert (place["sequence"], place["previous"], place["replaces"]) == (2, old.anchor, old.anchor)
    month.confirm(new)
    assert settle(month, new) == "PROPOSED"
    month.chain.chain.advance_time(WINDOW)
    assert settle(month, new) == "FINAL" == on_chain(month, new).state
    entries = month.hub.store.read("test", lambda tx: LedgerStore(tx.session).entries())
    assert [(one.subject, one.state) for one in entries] == [
        (identifier, EntryState.VOIDED),
        (new, EntryState.POSTED),
    ]
    assert settlement_findings(examined(month)) == set()


def test_an_objection_that_never_reached_the_contract_is_found(month: Month) -> None:
    """The hub held a dispute back: the window passed, the statement is final, the party's document is in the log."""
    identifier = proposed(month)
    say(month, identifier)
    month.chain.chain.advance_time(WINDOW)
    assert settle(month, identifier) == "FINAL"
    assert settlement_findings(examined(month)) == {"DISPUTE_IGNORED"}


def at_desk(month: Month, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """`ecohub partner …` at the referrer's node, where the hub answers at once."""
    node = month.nodes[REFERRER]

    def call(_: object, command: str, arguments: dict[str, Any]) -> Any:
        month.deliver()
        return node.command(command, **arguments)

    monkeypatch.setattr(local_client, "call", call)
    monkeypatch.setenv("ECOHUB_NODE", str(node.folder / "node.toml"))
    return CliRunner().invoke(cli_settlement.statement, list(words))


def test_the_command_says_that_the_hub_has_the_dispute(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = proposed(month)
    done = at_desk(month, monkeypatch, "dispute", identifier[:12], "--reason", REASON, "--line", "2:MISSING", "--json")
    assert done.exit_code == 0, done.exception
    shown = json.loads(done.stdout)
    assert (shown["statement"], shown["state"], shown["request"]) == (identifier, "PROPOSED", "ANSWERED")
    (said,) = month.state(PAYER, identifier)["disputes"]
    assert said["dispute"]["body"]["lines"][0]["code"] == "MISSING"


def test_the_command_names_the_end_of_a_window_that_is_over(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = proposed(month)
    month.chain.chain.advance_time(WINDOW)
    closes = str(month.command("statement", statement=identifier).head["closes"])
    done = at_desk(month, monkeypatch, "dispute", identifier, "--reason", REASON)
    assert isinstance(done.exception, RemoteFailure)
    assert done.exception.remote_code == WindowClosed.code and closes in done.exception.message()
