"""The hub hands in its log's checkpoints by itself: each once, over crashes and absences; settlement never waits."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from contracts import anchor as contract_anchor
from contracts import artifacts
from contracts.anchor import Checkpoint
from contracts.chain import Chain
from contracts.errors import ChainUnavailable, MalformedAddress, ReceiptTimeout
from contracts.keys import Address
from hub import evidence, partners, settlement, times, witness
from hub.anchor_errors import AnchoringStopped, AnchorNotOurs, AnchorOfAnother
from hub.audit import AUDIT, LogDamaged
from hub.checkpoint_anchor import Anchoring, bring_up, check_at_start, look
from hub.identity import Caller
from hub.services import Services
from hub.store_ledger import DONE, OPEN, LedgerStore
from privacy import merkle
from privacy.errors import Failure
from tests.hub.ledgers import POSTGRES, empty
from tests.hub.settling import Settling, settling
from tests.hub.test_chain_outbox import Cut, PowerCut, failing, intents
from tests.support.sandbox_chain import KEYS, until

ROOT = b"\x11" * 32
SERVER = pytest.mark.skipif(not POSTGRES, reason="ECOHUB_TEST_POSTGRES names no server")
BOTH = pytest.mark.parametrize("one", ["", pytest.param(POSTGRES, marks=SERVER)], indirect=True, ids=["file", "server"])


@dataclass
class Anchored:
    """A month whose hub has an anchor."""

    month: Settling
    contract: Address

    @property
    def services(self) -> Services:
        return self.month.services

    @property
    def size(self) -> int:
        """Of the log."""
        return int(self.month.hub.store.read("test", lambda tx: tx.evidence.size()))

    def grow(self) -> None:
        """One record more."""
        self.month.hub.invite(f"partner-{self.size}")

    def point_to(self, contract: Address, **changes: Any) -> None:
        """What [chain] anchor names."""
        self.contract, settings = contract, self.services.settings
        chain = replace(settings.chain, anchor=contract, **changes)
        self.month.hub.services = replace(self.services, settings=replace(settings, chain=chain))

    def put(self, size: int, root: bytes = ROOT) -> None:
        """Somebody with the submitter's key hands in a checkpoint, past the hub."""
        data = contract_anchor.anchor_data(origin(self.services), Checkpoint(size=size, root=root))
        self.month.chain.chain.execute(self.contract, data, KEYS["submitter"].secret)

    def told(self) -> list[tuple[int, bytes]]:
        """What the chain holds, in its order."""
        chain = self.month.chain.chain
        events = contract_anchor.events(chain.logs(self.contract, 0, chain.head()), self.contract)
        return [(event["size"], event["root"]) for event in events if event.name == "Anchored"]  # type: ignore[misc]

    def root(self, size: int) -> bytes:
        hashes = self.month.hub.store.read("test", lambda tx: tx.evidence.leaf_hashes(size))
        return merkle.root(hashes)

    def status(self) -> Any:
        return self.month.hub.store.read("test", lambda tx: self.services.anchoring.view(tx, self.contract))


def origin(services: Services) -> bytes:
    return contract_anchor.origin_hash(services.log.origin(AUDIT))


def deploy(month: Settling, submitter: Address = KEYS["submitter"].address) -> Address:
    chain, governor = month.chain.chain, KEYS["governor"]
    contract = chain.deploy(
        artifacts.load(contract_anchor.NAME), contract_anchor.constructor_data(governor.address), governor.secret
    )
    chain.execute(contract, contract_anchor.set_submitter_data(origin(month.services), submitter), governor.secret)
    return contract


@pytest.fixture
def one(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Anchored]:
    """On SQLite, or in the server's emptied database where a test asks for that too."""
    url = getattr(request, "param", "")
    if url:
        empty(url)
    with settling(tmp_path, **({"database": url} if url else {})) as month:
        month.report_october()
        made = Anchored(month=month, contract=deploy(month))
        made.point_to(made.contract)
        yield made


@BOTH
def test_the_whole_log_is_handed_in_once_and_again_when_it_grew(one: Anchored) -> None:
    first = one.size
    assert bring_up(one.services) == first
    head = one.month.chain.chain.head()
    assert bring_up(one.services) == first
    assert one.month.chain.chain.head() == head
    one.grow()
    assert bring_up(one.services) == first + 1
    assert one.told() == [(size, one.root(size)) for size in (first, first + 1)]
    assert [(i.kind, i.checkpoint, i.statement, i.state) for i in intents(one.month)] == [
        ("anchor", (AUDIT, first), None, DONE),
        ("anchor", (AUDIT, first + 1), None, DONE),
    ]


def test_what_is_anchored_was_signed_and_every_node_is_asked_to_co_sign_it(one: Anchored) -> None:
    size = bring_up(one.services)
    signed = one.month.hub.store.read("test", lambda tx: tx.evidence.checkpoint(AUDIT, size))
    assert signed is not None and signed.root == one.root(size)
    for node in ("broker", "platform-a", "bank"):
        asked = [task for task in one.month.hub.open_tasks(node) if task.kind == witness.COSIGN]
        assert [task.head["checkpoint"] for task in asked] == [signed.note]


def test_anchoring_adds_no_record(one: Anchored) -> None:
    before = one.size
    look(one.services)
    assert one.size == before
    assert one.status()["since"] is None


POINTS = ("call", "anchor.checkpoint", "nonce", "sign", "chain.intent", "send", "receipt", "chain.outcome")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", POINTS)
def test_a_crash_anywhere_anchors_each_size_once(one: Anchored, name: str, when: str) -> None:
    chain = Cut(one.month.chain.chain, name, when)
    broken = replace(one.services, store=Cut(one.services.store, name, when), chain=lambda: chain)  # type: ignore[arg-type]
    with pytest.raises(PowerCut):
        bring_up(broken)
    decided = [i.raw for i in intents(one.month)]
    one.grow()
    settlement.resume_at_start(one.services)
    bring_up(one.services)
    assert one.told() == [(size, one.root(size)) for size in sorted({size for size, _ in one.told()})]
    assert one.told()[-1][0] == one.size
    assert [i.state for i in intents(one.month)] == [DONE] * len(one.told())
    assert [i.raw for i in intents(one.month)][: len(decided)] == decided


@BOTH
def test_settlement_goes_on_over_a_checkpoint_on_its_way(one: Anchored) -> None:
    record = one.month.confirmed()
    chain = Cut(one.month.chain.chain, "send", "after")
    with pytest.raises(PowerCut):
        bring_up(replace(one.services, chain=lambda: chain))  # type: ignore[arg-type]
    assert [i.state for i in intents(one.month)] == [OPEN]
    assert one.month.settle(record) == "PROPOSED"
    assert [(i.kind, i.state) for i in intents(one.month)] == [("anchor", DONE), ("propose", DONE)]


def test_settlement_goes_on_where_the_governor_named_another_submitter(one: Anchored) -> None:
    """Also over a checkpoint that was decided before: it is refused for good, and nothing waits for it."""
    record = one.month.confirmed()
    with pytest.raises(PowerCut):
        bring_up(replace(one.services, store=Cut(one.services.store, "chain.intent", "after")))  # type: ignore[arg-type]
    data = contract_anchor.set_submitter_data(origin(one.services), KEYS["broker"].address)
    one.month.chain.chain.execute(one.contract, data, KEYS["governor"].secret)
    assert one.month.settle(record) == "PROPOSED"
    assert [(i.kind, i.state) for i in intents(one.month)] == [("anchor", "FAILED"), ("propose", DONE)]
    look(one.services)
    assert one.status()["failure"] == AnchorOfAnother.code
    one.month.pass_window()
    assert one.month.settle(record) == "FINAL"
    assert one.told() == []


@pytest.mark.parametrize(
    ("name", "failure", "after"),
    [
        ("call", ChainUnavailable(endpoint="x", why="gone"), False),
        ("send", ChainUnavailable(endpoint="x", why="gone"), False),
        ("send", ChainUnavailable(endpoint="x", why="gone"), True),
        ("receipt", ReceiptTimeout(transaction="0x", seconds=60), True),
    ],
)
def test_a_chain_that_is_away_is_told_once_with_since_when_and_tried_again(
    one: Anchored, caplog: pytest.LogCaptureFixture, name: str, failure: Failure, after: bool
) -> None:
    caplog.set_level(logging.INFO, "hub.checkpoint_anchor")
    bring_up(one.services)
    anchored = one.size
    one.month.hub.clock.forward(60)
    since = times.iso(one.month.hub.now())
    one.grow()
    one.month.hub.clock.forward(3600)
    one.grow()
    for _ in range(3):
        look(failing(one.month, name, failure, after=after))
    status = one.status()
    assert (status["size"], status["records"], status["since"]) == (anchored, anchored + 2, since)
    assert status["failure"] == failure.code
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1 and since in warnings[0] and str(failure) in warnings[0]
    look(one.services)
    assert one.status() == {
        "contract": one.contract, "size": one.size, "records": one.size, "since": None, "failure": None,
    }  # fmt: skip
    assert "anchored again" in caplog.records[-1].getMessage()
    assert [size for size, _ in one.told()] == [anchored, one.size]


def test_the_books_say_what_is_anchored_until_the_contract_was_asked(one: Anchored) -> None:
    size = bring_up(one.services)
    one.services.anchoring.size = None  # a hub that has just been started, its chain away
    one.grow()
    assert (one.status()["size"], one.status()["records"]) == (size, size + 1)
    one.point_to(deploy(one.month))
    assert one.status()["size"] is None
    one.services.anchoring.size = 0
    assert one.status()["size"] == 0


def test_the_successor_of_an_anchor_takes_the_same_size_again(one: Anchored) -> None:
    size = bring_up(one.services)
    one.point_to(deploy(one.month))
    assert bring_up(one.services) == size
    assert one.told() == [(size, one.root(size))]
    assert [i.state for i in intents(one.month)] == [DONE, DONE]


def test_what_somebody_put_by_hand_is_not_handed_in_again(one: Anchored) -> None:
    one.put(one.size, one.root(one.size))
    look(one.services)
    assert intents(one.month) == ()
    assert (one.status()["size"], one.status()["since"]) == (one.size, None)


# --- at the start -----------------------------------------------------------------------------------------------------


def test_a_start_takes_an_anchor_that_fits(one: Anchored) -> None:
    check_at_start(one.services)
    bring_up(one.services)
    check_at_start(one.services)


def test_a_start_refuses_an_address_without_an_anchor_and_says_what_to_do(one: Anchored) -> None:
    for contract in (one.month.contract, KEYS["broker"].address):
        one.point_to(contract)
        with pytest.raises(AnchorNotOurs, match="ecohub sandbox chain anchor deploy") as caught:
            check_at_start(one.services)
        assert contract in caught.value.message("zh") and "hub.toml" in caught.value.message("en")
    one.point_to(Address("0x12"))
    with pytest.raises(MalformedAddress):
        check_at_start(one.services)


def test_a_start_refuses_an_anchor_of_another_account_and_gives_the_governors_command(one: Anchored) -> None:
    one.point_to(deploy(one.month, submitter=KEYS["broker"].address))
    with pytest.raises(AnchorOfAnother) as caught:
        check_at_start(one.services)
    for sentence in (caught.value.message("en"), caught.value.message("zh")):
        command = f"anchor submitter --anchor {one.contract} --origin {one.services.log.origin(AUDIT)}"
        assert f"{command} --account {KEYS['submitter'].address}" in sentence
        assert KEYS["governor"].address in sentence and KEYS["broker"].address in sentence


@pytest.mark.parametrize(("beyond", "why"), [(0, "another root"), (1, "leaves, [0-9]+ are anchored")])
def test_a_log_that_is_not_the_anchored_one_is_damaged(one: Anchored, beyond: int, why: str) -> None:
    one.put(one.size + beyond)
    with pytest.raises(LogDamaged, match=f"{why}.* in {one.contract}|{why} than the one anchored in {one.contract}"):
        check_at_start(one.services)
    look(one.services)
    assert one.status()["failure"] == LogDamaged.code
    assert intents(one.month) == ()


def test_a_start_does_not_wait_for_a_chain_that_is_away(one: Anchored, caplog: pytest.LogCaptureFixture) -> None:
    check_at_start(failing(one.month, "code", ChainUnavailable(endpoint="x", why="gone")))
    assert "as soon as the chain answers" in caplog.text


# --- the thread, the bundle, the schema -------------------------------------------------------------------------------


def test_the_thread_anchors_at_once_and_at_every_periods_end(one: Anchored) -> None:
    one.point_to(one.contract, anchor_seconds=1)
    thread = Anchoring(one.services)
    thread.start()
    try:
        until(lambda: len(one.told()) == 1)
        one.grow()
        until(lambda: len(one.told()) == 2)
    finally:
        thread.stop()
    assert one.told()[-1][0] == one.size


def test_an_error_that_nobody_foresaw_is_in_the_status_and_the_next_look_goes_on(one: Anchored) -> None:
    one.point_to(one.contract, anchor_seconds=1)
    away = [RuntimeError("a bug")]

    def chain() -> Chain:
        if away:
            raise away[0]
        return one.month.chain.chain

    thread = Anchoring(replace(one.services, chain=chain))
    thread.start()
    try:
        until(lambda: one.status()["failure"] == AnchoringStopped.code)
        away.clear()
        until(lambda: one.status()["failure"] is None)
    finally:
        thread.stop()
    assert one.told() == [(one.size, one.root(one.size))]


def test_without_an_anchor_nothing_is_different(one: Anchored) -> None:
    contract = one.contract
    one.point_to(Address(""))
    head = one.month.chain.chain.head()
    check_at_start(failing(one.month, "code", AssertionError("it was asked")))
    thread = Anchoring(one.services)
    thread.start()
    thread.stop()
    assert one.month.chain.chain.head() == head
    assert "chain/anchor.json" not in evidence.chain_entries(one.month.chain.chain, one.services.settings.chain)
    one.point_to(contract)
    entries = evidence.chain_entries(one.month.chain.chain, one.services.settings.chain)
    assert entries["chain/anchor.json"] == b'{"address":"%s"}' % contract.encode()


def test_status_tells_of_the_anchor_where_there_is_one(one: Anchored) -> None:
    certificates = one.month.hub.store.read("test", lambda tx: tx.members.certificates())
    oda = next(found for found in certificates if found.name == "oda")
    caller = Caller(name="oda", role="operator", fingerprint=oda.fingerprint)
    look(one.services)
    told = one.month.hub.run(partners.whoami, caller, one.month.hub.now(), {}).head
    assert told["anchor"]["size"] == one.size
    one.point_to(Address(""))
    assert "anchor" not in one.month.hub.run(partners.whoami, caller, one.month.hub.now(), {}).head


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "anchor", "statement": None, "checkpoint": None},
        {"kind": "anchor", "statement": "s", "checkpoint": (AUDIT, 1)},
        {"kind": "propose", "statement": None, "checkpoint": None},
        {"kind": "propose", "statement": None, "checkpoint": (AUDIT, 1)},
        {"kind": "anchor", "statement": None, "checkpoint": (AUDIT, 10**6)},  # a checkpoint that nobody signed
    ],
)
def test_the_schema_takes_transactions_of_a_statement_or_of_a_signed_checkpoint(
    one: Anchored, fields: dict[str, Any]
) -> None:
    bring_up(one.services)
    (done,) = intents(one.month)
    assert done.checkpoint is not None
    wrong = {**fields, "statement": one.month.confirmed().id if fields["statement"] else None}
    if wrong["checkpoint"] == (AUDIT, 1):
        wrong["checkpoint"] = done.checkpoint
    made = replace(done, number=2, nonce=99, transaction="0x99", state=OPEN, block=None, **wrong)
    store, now = one.month.hub.store, one.month.hub.now()
    with pytest.raises(IntegrityError):
        store.run("test", lambda tx: LedgerStore(tx.session).add_intent(made, now))
    assert intents(one.month) == (done,)
