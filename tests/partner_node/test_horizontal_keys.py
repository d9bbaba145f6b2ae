"""Members over the node's own keys and database: what is committed survives, what is not never was, no key opens twice.

Without Flower: each call of a member is a request, and `commit` is the transaction that a reply waits for.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from federation.horizontal import keys, wire
from federation.horizontal.errors import KeySpent, SlotStale
from federation.horizontal.member import Member
from federation.plan_horizontal import HorizontalPlan
from partner_node.identity import NodeIdentity
from partner_node.round_keys import RoundKeys
from privacy import seal
from privacy.aggregation import Engine, Slot
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from tests.partner_node import horizontal
from tests.partner_node.alliance import TestNode

GIVEN = wire.Input(digest=Digest("aa" * 32), content=Digest("ab" * 32), body=Digest("bb" * 32))
LANES = 300
SECRET_HEADER_BYTES = 32  # alike in all keys of a run


@dataclass
class Bench:
    """Four banks with one approved plan, and one request at a time."""

    nodes: dict[PartnerId, TestNode]
    plan: HorizontalPlan
    engine: Engine
    body: dict[str, object]

    @property
    def slot(self) -> Slot:
        return Slot(job=self.plan.digest, round=1, attempt=0)

    def keys(self, name: str) -> RoundKeys:
        return RoundKeys(self.nodes[PartnerId(name)].parts.node.database, self.plan.digest)

    def member(self, name: str, store: RoundKeys, entropy: bytes | None = None) -> Member:
        node = self.nodes[PartnerId(name)].parts.node
        identity = NodeIdentity(node, self.body)
        return Member(self.plan.roster, self.engine, identity, store, self.plan.digest, node.entropy)

    def commit(self, name: str, store: RoundKeys) -> None:
        self.nodes[PartnerId(name)].parts.node.database.write("reply", store.flush)

    def restart(self, name: str) -> None:
        self.nodes[PartnerId(name)] = self.nodes[PartnerId(name)].reopened()

    def deal(self, names: list[str]) -> dict[PartnerId, wire.Dealt]:
        dealt = {}
        for name in self.plan.partners:
            store = self.keys(name)
            dealt[name] = self.member(name, store).deal(names)
            self.commit(name, store)
        return dealt

    def hold(self, dealt: dict[PartnerId, wire.Dealt]) -> None:
        for name in self.plan.partners:
            store = self.keys(name)
            assert self.member(name, store).hold(self.dealings(name, dealt)) == ()
            self.commit(name, store)

    def dealings(self, holder: PartnerId, dealt: dict[PartnerId, wire.Dealt]) -> list[wire.Dealing]:
        others = [name for name in dealt if name != holder]
        return [
            wire.Dealing(dealer=name, publics=dealt[name].publics, sealed=dealt[name].sealed[holder]) for name in others
        ]

    def upload(self, name: str, value: int, slot: Slot | None = None) -> wire.Upload:
        store = self.keys(name)
        member = self.member(name, store)
        member.take(slot or self.slot, GIVEN)
        made = member.upload(slot or self.slot, np.full(LANES, value, np.int64))
        self.commit(name, store)
        return made

    def prepared(self) -> dict[PartnerId, wire.Upload]:
        self.hold(self.deal(["1.0", "2.0"]))
        return {name: self.upload(name, place + 1) for place, name in enumerate(self.plan.partners)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    nodes = horizontal.make_banks(tmp_path)
    body = horizontal.plan_body(nodes)
    plan = HorizontalPlan.from_body(body)
    return Bench({PartnerId(n.partner): n for n in nodes}, plan, plan.new_engine(), body)  # type: ignore[arg-type]


def files(node: TestNode) -> bytes:
    folder = node.parts.node.settings.folder
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.name.startswith("node.db"))


def test_a_sum_over_nodes_that_restart_before_every_request(bench: Bench) -> None:
    for name in bench.plan.partners:
        bench.restart(name)
    dealt = bench.deal(["1.0"])
    for name in bench.plan.partners:
        bench.restart(name)
    bench.hold(dealt)
    uploads = {}
    for place, name in enumerate(bench.plan.partners):
        bench.restart(name)
        uploads[name] = bench.upload(name, place + 1)
    adder = bench.engine.adder(LANES, bench.slot)
    for name, upload in uploads.items():
        adder.add(upload.ciphertext, name)
    answers = {}
    for name in bench.plan.partners[:3]:
        bench.restart(name)
        store = bench.keys(name)
        headers = [upload.header for upload in uploads.values()]
        answers[name] = bench.member(name, store).answer(bench.slot, headers).answer
        bench.commit(name, store)
    opened = bench.engine.open(adder.total(), LANES, 4, answers)
    assert opened.lanes.tolist() == [1 + 2 + 3 + 4] * LANES


def test_a_crash_before_the_commit_leaves_nothing_and_fresh_keys_take_its_place(bench: Bench) -> None:
    store = bench.keys("bank-a")
    lost = bench.member("bank-a", store).deal(["1.0"])
    bench.restart("bank-a")  # the transaction never was
    assert dict(bench.keys("bank-a")) == {}
    again = bench.keys("bank-a")
    made = bench.member("bank-a", again).deal(["1.0"])
    assert made.publics != lost.publics
    bench.commit("bank-a", again)
    bench.restart("bank-a")
    assert "own/1.0" in bench.keys("bank-a")


def test_a_crash_before_an_answers_commit_leaves_every_share(bench: Bench) -> None:
    uploads = bench.prepared()
    headers = [upload.header for upload in uploads.values()]
    before = dict(bench.keys("bank-b"))
    first = bench.member("bank-b", bench.keys("bank-b")).answer(bench.slot, headers)
    bench.restart("bank-b")
    assert dict(bench.keys("bank-b")) == before
    store = bench.keys("bank-b")
    assert bench.member("bank-b", store).answer(bench.slot, headers).answer == first.answer
    bench.commit("bank-b", store)
    bench.restart("bank-b")
    with pytest.raises(KeySpent):
        bench.member("bank-b", bench.keys("bank-b")).answer(bench.slot, headers)


def test_no_second_cohort_and_no_second_upload_across_restarts(bench: Bench) -> None:
    uploads = bench.prepared()
    headers = [upload.header for upload in uploads.values()]
    store = bench.keys("bank-b")
    bench.member("bank-b", store).answer(bench.slot, headers)
    bench.commit("bank-b", store)
    bench.restart("bank-b")
    with pytest.raises(KeySpent):
        bench.member("bank-b", bench.keys("bank-b")).answer(bench.slot, headers[:3])
    with pytest.raises(KeySpent):
        bench.upload("bank-b", 9)
    late = Slot(job=bench.plan.digest, round=0, attempt=0)
    with pytest.raises(SlotStale):
        bench.upload("bank-b", 9, late)


def test_answered_shares_and_uploaded_keys_are_nowhere_in_the_nodes_files(bench: Bench) -> None:
    bench.hold(bench.deal(["1.0", "2.0"]))
    store = bench.keys("bank-b")
    kept = {name: bytes(value) for name, value in store.items()}
    secrets = {name: value[keys.DIGEST_BYTES + SECRET_HEADER_BYTES :] for name, value in kept.items()}
    spent = {keys.own("1.0"), *(keys.share("1.0", dealer) for dealer in bench.plan.partners)}
    assert spent < set(secrets)
    found = files(bench.nodes[PartnerId("bank-b")])
    assert all(secret[-24:] in found for secret in secrets.values()), "what is not spent is on disk"
    uploads = {name: bench.upload(name, 1) for name in bench.plan.partners}
    after_upload = files(bench.nodes[PartnerId("bank-b")])
    assert secrets[keys.own("1.0")] not in after_upload
    store = bench.keys("bank-b")
    bench.member("bank-b", store).answer(bench.slot, [upload.header for upload in uploads.values()])
    bench.commit("bank-b", store)
    found = files(bench.nodes[PartnerId("bank-b")])
    for name, secret in secrets.items():
        pieces = [secret[i : i + 16] for i in range(0, len(secret) - 15, 100)]
        assert any(piece in found for piece in pieces) == (name not in spent), name


def test_a_share_for_another_holder_job_or_key_is_refused(bench: Bench) -> None:
    dealt = bench.deal(["1.0"])
    for_c = dealt[PartnerId("bank-a")].sealed[PartnerId("bank-c")]
    dealing = wire.Dealing(dealer=PartnerId("bank-a"), publics=dealt[PartnerId("bank-a")].publics, sealed=for_c)
    (complaint,) = bench.member("bank-b", bench.keys("bank-b")).hold([dealing])
    assert complaint.code == "BAD_SIGNATURE"


# --- the identity itself


def test_the_identity_trusts_the_approved_plans_keys_only(bench: Bench) -> None:
    nodes = list(bench.nodes.values())
    own, peer = (NodeIdentity(node.parts.node, bench.body) for node in nodes[:2])
    header = {"kind": "test"}
    sealed = own.seal("bank-b", b"plain share", header)
    assert peer.open("bank-a", sealed, header) == b"plain share"
    assert ("envelope/share", b"plain share") in nodes[0].seen
    for sender, content, head in [
        ("bank-c", sealed, header),
        ("bank-a", sealed, {"kind": "other"}),
        ("bank-a", sealed[:-1] + bytes([sealed[-1] ^ 1]), header),
        ("bank-a", bytes([sealed[0] ^ 1]) + sealed[1:], header),
        ("bank-a", b"", header),
        ("stranger", sealed, header),
    ]:
        with pytest.raises(Failure):
            peer.open(sender, content, head)
    with pytest.raises(seal.CannotOpen):
        NodeIdentity(nodes[2].parts.node, bench.body).open("bank-a", sealed, header)


def test_no_bare_digest_is_signed_as_a_message(bench: Bench) -> None:
    identity = NodeIdentity(bench.nodes[PartnerId("bank-a")].parts.node, bench.body)
    with pytest.raises(AssertionError):
        identity.sign(bytes(32))
