"""Roots that the hub anchored, against a hub that rewrites its log and gets every signature again, the nodes' too."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from contracts import anchor, artifacts, keys, settlement, transactions
from contracts.anchor import Checkpoint
from contracts.chain import Log
from contracts.keys import Address, raw_address
from ecowire import evidence
from privacy import canonical, merkle
from sandbox.chain import admission
from sandbox.examine import __main__ as examiner
from sandbox.examine.anchors import NAMED
from sandbox.examine.run import Report, examine
from tests.sandbox import small_alliance as small
from tests.sandbox.small_alliance import Books, MiniChain

RECORDS = 9  # of the settled month's log
OTHER_ROOT = b"\x13" * 32


@dataclass
class Anchors:
    """A settled month whose chain goes on with anchors; `bundle()` is what a hub of these books would hand over."""

    books: Books
    chain: MiniChain
    named: Address | None = None

    def deploy(self, submitter: keys.Key = small.SUBMITTER, governor: keys.Key = small.GOVERNOR) -> Address:
        code = artifacts.load(anchor.NAME).bytecode + anchor.constructor_data(governor.address)
        contract = self.chain.send(governor, None, code)
        assert contract is not None
        for log in ("audit", "chain"):
            self.chain.send(governor, contract, anchor.set_submitter_data(origin(log), submitter.address))
        return contract

    def put(
        self,
        contract: Address,
        size: int,
        *,
        log: str = "audit",
        root: bytes | None = None,
        by: keys.Key = small.SUBMITTER,
    ) -> None:
        hashes = self.books.leaf_hashes() if log == "audit" else self._blocks()
        made = Checkpoint(size=size, root=root or merkle.root(hashes[:size]))
        self.chain.send(by, contract, anchor.anchor_data(origin(log), made))

    def report(self, change: Callable[[Books], None] = lambda _: None) -> Report:
        """Examined after the books were changed and everybody signed them as they stand then."""
        change(self.books)
        self.books.blocks = self.chain.blocks()
        self._sign_again()
        entries = self.books.entries()
        if self.named:
            entries[NAMED] = canonical.encode({"address": self.named})
        data = evidence.write(entries, alliance=small.ALLIANCE, period=small.PERIOD)
        return examine(data, small.trust(self.books))

    def _blocks(self) -> list[bytes]:
        self.books.blocks = self.chain.blocks()
        return self.books.block_hashes()

    def _sign_again(self) -> None:
        books = self.books
        books.checkpoint_sizes, books.cosignatures = [min(4, len(books.leaves)), len(books.leaves)], []
        for party in (small.PAYER, small.REFERRER):
            for log, leaves in (("audit", books.leaf_hashes()), ("chain", books.block_hashes())):
                body: small.Object = {"log": log, "origin": f"ecohub/{small.ALLIANCE}/{log}", "size": len(leaves)}
                books.cosignatures.append(party.sign("cosignature", {**body, "root": merkle.root(leaves).hex()}))


def origin(log: str) -> bytes:
    return anchor.origin_hash(f"ecohub/{small.ALLIANCE}/{log}")


def going_on(books: Books) -> MiniChain:
    """The month's chain, to which more can be sent."""
    made = MiniChain()
    for block in books.blocks[1:]:
        listed, time = block["transactions"], block["timestamp"]
        assert isinstance(listed, list) and isinstance(time, int)
        raws = [bytes.fromhex(str(raw)[2:]) for raw in listed]
        admitted = [(raw, admission.admit(raw, made.genesis)) for raw in raws]
        assert made.ledger.seal(admitted, time) == [None] * len(raws)
        for found in map(transactions.decode, raws):
            made.nonces[found.sender] = found.nonce + 1
    assert made.blocks() == books.blocks
    return made


@pytest.fixture
def one() -> Anchors:
    books = small.settled_month()
    assert len(books.leaves) == RECORDS
    return Anchors(books=books, chain=going_on(books))


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def sentence(report: Report, code: str) -> str:
    (found,) = [finding for finding in report.findings if finding.code == code]
    return found.en


def rewrite(*places: int) -> Callable[[Books], None]:
    """Change leaves: their times, which nothing else in the bundle repeats."""

    def change(books: Books) -> None:
        for place in places:
            books.leaves[place]["time"] = "another"

    return change


def test_an_honest_log_holds_to_its_anchored_roots_and_the_last_one_is_told(one: Anchors) -> None:
    one.named = one.deploy()
    for size in (4, 7):
        one.put(one.named, size)
    report = one.report()
    assert report.findings == ()
    assert report.held["anchored roots"] == 2
    where = f"chain/blocks.jsonl record {len(one.books.blocks) - 1} transaction 0"
    root = merkle.root(one.books.leaf_hashes()[:7]).hex()
    told = {"size": 7, "records": RECORDS, "root": root, "contract": one.named, "where": where}
    assert report.to_value()["anchored"] == {"audit": told}


@pytest.mark.parametrize("place", range(RECORDS))
def test_a_leaf_changed_before_an_anchored_size_is_found_though_all_sign_again(one: Anchors, place: int) -> None:
    one.named = one.deploy()
    for size in (4, 7):
        one.put(one.named, size)
    report = one.report(rewrite(place))
    if place >= 7:  # what came after the last anchored size stands on the signatures alone
        assert report.findings == ()
        return
    assert codes(report) == {"ANCHOR_ROOT_DIFFERS"}
    size, first, last, count = (4, 0, 3, 2) if place < 4 else (7, 4, 6, 1)
    told = sentence(report, "ANCHOR_ROOT_DIFFERS")
    assert f"anchored at size {size} in {one.named}" in told
    assert f"a record from {first} to {last} was changed" in told and f"({count} anchored roots differ)" in told
    assert report.held.get("anchored roots", 0) == 2 - count


def test_a_leaf_put_in_or_taken_out_before_an_anchored_size_is_found(one: Anchors) -> None:
    one.named = one.deploy()
    one.put(one.named, 7)

    def take_out(books: Books) -> None:
        del books.leaves[6]

    assert "ANCHOR_ROOT_DIFFERS" in codes(one.report(take_out))


def test_a_log_shorter_than_an_anchored_size_is_found(one: Anchors) -> None:
    one.named = one.deploy()
    for size in (4, 8, RECORDS):
        one.put(one.named, size)

    for left, holds in ((RECORDS - 1, 2), (6, 1)):

        def cut(books: Books, left: int = left) -> None:
            del books.leaves[left:]

        report = one.report(cut)
        told = sentence(report, "ANCHOR_BEYOND_LOG")
        assert f"anchored {RECORDS} records of the audit log in {one.named}; the bundle has {left}" in told
        assert "ANCHOR_ROOT_DIFFERS" not in codes(report)
        assert report.held["anchored roots"] == holds


def test_sizes_that_shrink_from_one_anchor_to_the_next_are_found(one: Anchors) -> None:
    one.put(one.deploy(), 8)
    one.named = one.deploy()
    for size in (5, 6, 8, 9):
        one.put(one.named, size)
    report = one.report()
    assert [finding.code for finding in report.findings] == ["ANCHOR_SIZES_SHRINK"] * 2
    for size, finding in zip((5, 6), report.findings, strict=True):
        assert f"at size {size} after it had anchored 8" in finding.en


def test_a_hub_that_moves_to_another_anchor_or_names_none_hides_nothing(one: Anchors) -> None:
    one.put(one.deploy(), 7)
    for named in (None, one.deploy()):
        one.named = named
        report = one.report(rewrite(2))
        assert "ANCHOR_ROOT_DIFFERS" in codes(report)


def test_the_chains_own_log_is_compared_where_it_is_anchored(one: Anchors) -> None:
    one.named = one.deploy()
    blocks = len(one.chain.blocks())
    one.put(one.named, blocks, log="chain")
    report = one.report()
    assert codes(report) == {"LOG_NOT_ANCHORED"}  # the audit log
    assert report.anchored["chain"]["size"] == blocks
    assert report.anchored["chain"]["records"] == blocks + 1
    one.put(one.named, blocks + 1, log="chain", root=OTHER_ROOT)
    assert "ANCHOR_ROOT_DIFFERS" in codes(one.report())


def test_a_hub_that_names_an_anchor_and_never_anchored_is_told_of(one: Anchors) -> None:
    one.named = one.deploy()
    report = one.report()
    assert codes(report) == {"LOG_NOT_ANCHORED"} and report.clean
    assert one.named in sentence(report, "LOG_NOT_ANCHORED")
    assert report.anchored == {}


def test_without_an_anchor_nothing_is_said(one: Anchors) -> None:
    report = one.report()
    assert report.findings == () and report.to_value()["anchored"] == {}


def test_a_named_address_without_our_code_is_found(one: Anchors) -> None:
    for contract in (one.books.contract, small.PAYER.chain.address):
        one.named = contract
        report = one.report()
        assert codes(report) == {"ANCHOR_NOT_FOUND"} and contract in sentence(report, "ANCHOR_NOT_FOUND")


def test_what_another_account_anchors_is_told_and_is_no_error(one: Anchors) -> None:
    one.named = one.deploy()
    one.put(one.named, 7)
    mallory = small.PAYER.chain
    foreign = one.deploy(submitter=mallory, governor=mallory)
    one.put(foreign, 2, by=mallory)
    for size in (3, 100):
        one.put(foreign, size, root=OTHER_ROOT, by=mallory)
    report = one.report()
    assert codes(report) == {"ANCHOR_OF_OTHER"} and report.clean
    told = sentence(report, "ANCHOR_OF_OTHER")  # once for all of that account's
    assert f"{mallory.address}, which nothing shows to be the hub's, handed in 3 checkpoints" in told
    assert f"to {foreign}; the roots of 2 are not the bundle's" in told
    assert report.anchored["audit"]["contract"] == one.named


def test_the_account_of_the_named_anchor_is_the_hubs(one: Anchors) -> None:
    """Its governor named it; that it never handed in a statement makes no difference."""
    submitter = small.REFERRER.chain
    one.named = one.deploy(submitter=submitter)
    one.put(one.named, 7, by=submitter)
    assert codes(one.report(rewrite(2))) == {"ANCHOR_ROOT_DIFFERS"}


def test_an_event_of_other_code_is_no_anchor(one: Anchors) -> None:
    # LOG3 of word 3 with words 0, 1, 2 as topics: what the anchor logs, for the asking
    runtime = bytes.fromhex("6060355f526040356020355f3560205fa300")
    head = bytes.fromhex(f"60{len(runtime):02x}8060095f395ff3")
    contract = one.chain.send(small.SUBMITTER, None, head + runtime)
    assert contract is not None
    words = [anchor.ANCHORED, origin("audit"), (3).to_bytes(32, "big"), OTHER_ROOT]
    one.chain.send(small.SUBMITTER, contract, b"".join(words))
    report = one.report()
    assert report.findings == () and report.anchored == {}


def test_another_alliances_log_in_the_same_contract_is_its_own(one: Anchors) -> None:
    one.named, foreign = one.deploy(), anchor.origin_hash("ecohub/another-alliance/audit")
    named = anchor.set_submitter_data(foreign, small.SUBMITTER.address)
    one.chain.send(small.GOVERNOR, one.named, named)
    other = anchor.anchor_data(foreign, Checkpoint(size=50, root=OTHER_ROOT))
    one.chain.send(small.SUBMITTER, one.named, other)
    one.put(one.named, 7)
    report = one.report()
    assert report.findings == () and report.anchored["audit"]["size"] == 7


@pytest.mark.parametrize(
    "value", [{"address": "0x12"}, {"address": 1}, {}, {"address": "0x", "more": 1}, {"address": None}]
)
def test_a_malformed_name_of_an_anchor_is_found(one: Anchors, value: small.Object) -> None:
    one.report()
    entries = {**one.books.entries(), NAMED: canonical.encode(value)}
    data = evidence.write(entries, alliance=small.ALLIANCE, period=small.PERIOD)
    assert codes(examine(data, small.trust(one.books))) == {"RECORD_UNREADABLE"}


@pytest.mark.parametrize(("lang", "told"), [("en", "the first 7 of 9 records of the audit log"), ("zh", "链上锚定")])
def test_people_read_which_size_is_the_last_anchored_one(one: Anchors, lang: str, told: str) -> None:
    one.named = one.deploy()
    one.put(one.named, 7)
    report = one.report()
    shown = CliRunner().invoke(examiner.click.command()(lambda: examiner.show(report, lang)))
    assert told in shown.output and one.named in shown.output


def test_what_a_constructor_logged_before_our_code_stood_there_stops_nothing(one: Anchors) -> None:
    """Anybody can deploy our code by a constructor that first logs what our code never would."""
    ours = one.deploy()
    runtime = one.chain.ledger.state(one.chain.ledger.pending(2_000_000_000)).get_code(raw_address(ours))
    topics = ((3).to_bytes(32, "big"), origin("audit"), anchor.ANCHORED)
    log = b"".join(b"\x7f" + topic for topic in topics) + bytes.fromhex("60006000a3")  # LOG3 of no data
    size = len(runtime).to_bytes(2, "big").hex()
    at = (len(log) + 11).to_bytes(2, "big").hex()
    init = log + bytes.fromhex(f"61{size}8061{at}5f395ff3")
    made = one.chain.send(small.PAYER.chain, None, init + runtime)
    assert made is not None
    state = one.chain.ledger.state(one.chain.ledger.pending(2_000_000_000))
    assert state.get_code(raw_address(made)) == runtime
    assert one.report().findings == ()


def test_a_party_that_hands_in_a_statement_itself_is_not_taken_for_the_hub(one: Anchors) -> None:
    """Anybody may propose what both signed: roots that a party then puts into an anchor of its own accuse nobody."""
    party = small.REFERRER.chain
    before = one.books
    (last,) = (
        event["digest"]
        for row in one.chain.ledger.store.logs(0, 99, (raw_address(before.contract),), (), 99)
        for event in settlement.events(
            [
                Log(
                    address=before.contract,
                    topics=tuple(row.topics[i : i + 32] for i in range(0, len(row.topics), 32)),
                    data=row.data,
                )
            ],
            before.contract,
        )
        if event.name == "Proposed"
    )
    assert isinstance(last, bytes)
    made = settlement.Anchor(
        partner=bytes.fromhex(str(before.body["partner_commitment"])), sequence=2, period=202611, previous=last,
        root=OTHER_ROOT, lines=1, total=OTHER_ROOT, terms=OTHER_ROOT,
    )  # fmt: skip
    signed = [
        settlement.sign(made, small.CHAIN_ID, before.contract, p.chain.secret) for p in (small.PAYER, small.REFERRER)
    ]
    one.chain.send(party, before.contract, settlement.propose_data(made, *signed))
    foreign = one.deploy(submitter=party, governor=party)
    one.put(foreign, 3, root=OTHER_ROOT, by=party)
    found = codes(one.report())
    assert "ANCHOR_ROOT_DIFFERS" not in found and "ANCHOR_OF_OTHER" in found
