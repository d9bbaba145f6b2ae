"""CheckpointAnchor.vy: who anchors, what only grows, and what an anchored root proves."""

import pytest

from contracts import abi, anchor
from contracts.anchor import Checkpoint
from contracts.keys import ZERO_ADDRESS, Address
from contracts.settlement import ZERO
from privacy import merkle
from tests.contracts.rig import ACCOUNTS, KEYS, Rig, fresh, not_deployed, refused_by

ORIGIN, OTHER = anchor.origin_hash("ecohub/audit/test"), anchor.origin_hash("ecohub/chain/20261")
ROOT = b"\x01" * 32


class Anchored(Rig):
    """An anchor whose governor named the submitter for one log and the broker for another."""

    def __init__(self) -> None:
        super().__init__()
        self.contract: Address = self.create("CheckpointAnchor", anchor.constructor_data(ACCOUNTS["governor"]))
        for origin, role in ((ORIGIN, "submitter"), (OTHER, "broker")):
            self.call("governor", self.contract, anchor.set_submitter_data(origin, ACCOUNTS[role]))

    def anchor(self, size: int, root: bytes = ROOT, *, origin: bytes = ORIGIN, role: str = "submitter") -> None:
        data = anchor.anchor_data(origin, Checkpoint(size=size, root=root))
        (told,) = self.call(role, self.contract, data).events
        assert (told.name, dict(told.values)) == ("Anchored", {"origin": origin, "size": size, "root": root})

    def refused(self, role: str, data: bytes, reason: str) -> None:
        refused_by(self, role, self.contract, data, reason)

    def size(self, origin: bytes = ORIGIN) -> int:
        return abi.integer(self.ask(self.contract, abi.calldata("size(bytes32)", [origin])))

    def root(self, size: int, origin: bytes = ORIGIN) -> bytes:
        return self.ask(self.contract, abi.calldata("root(bytes32,uint256)", [origin, size]))


@pytest.fixture
def anchored() -> Anchored:
    return fresh(Anchored)


def call(size: int, root: bytes = ROOT, origin: bytes = ORIGIN) -> bytes:
    return anchor.anchor_data(origin, Checkpoint(size=size, root=root))


@pytest.mark.parametrize("role", [role for role in KEYS if role != "submitter"])
def test_only_the_logs_submitter_anchors(anchored: Anchored, role: str) -> None:
    anchored.refused(role, call(1), "not the submitter")
    anchored.anchor(1)


@pytest.mark.parametrize("role", [role for role in KEYS if role != "governor"])
def test_only_the_governor_names_submitters(anchored: Anchored, role: str) -> None:
    data = anchor.set_submitter_data(ORIGIN, ACCOUNTS["stranger"])
    anchored.refused(role, data, "not the governor")
    (told,) = anchored.call("governor", anchored.contract, data).events
    expected = {"origin": ORIGIN, "submitter": ACCOUNTS["stranger"]}
    assert (told.name, dict(told.values)) == ("SubmitterSet", expected)
    anchored.refused("submitter", call(1), "not the submitter")
    anchored.anchor(1, role="stranger")


def test_a_log_without_submitter_is_anchored_by_nobody(anchored: Anchored) -> None:
    unknown = anchor.origin_hash("unknown")
    for role in KEYS:
        anchored.refused(role, call(1, origin=unknown), "not the submitter")
    anchored.call("governor", anchored.contract, anchor.set_submitter_data(ORIGIN, ZERO_ADDRESS))
    anchored.refused("submitter", call(1), "not the submitter")


def test_a_size_only_grows(anchored: Anchored) -> None:
    anchored.refused("submitter", call(0), "size")
    anchored.anchor(5)
    for size in (5, 4, 0):
        anchored.refused("submitter", call(size, b"\x02" * 32), "size")
    anchored.anchor(6, b"\x02" * 32)
    assert (anchored.size(), anchored.root(5), anchored.root(6), anchored.root(7)) == (6, ROOT, b"\x02" * 32, ZERO)


def test_logs_grow_separately(anchored: Anchored) -> None:
    anchored.anchor(9)
    anchored.anchor(2, b"\x03" * 32, origin=OTHER, role="broker")
    anchored.refused("submitter", call(3, origin=OTHER), "not the submitter")
    assert (anchored.size(), anchored.size(OTHER), anchored.root(2, OTHER)) == (9, 2, b"\x03" * 32)


def test_the_largest_size_is_that_of_a_checkpoint(anchored: Anchored) -> None:
    anchored.refused("submitter", call(2**64), "size limit")
    anchored.anchor(2**64 - 1)
    anchored.refused("submitter", call(2**64), "size limit")


def test_a_root_and_an_origin_are_not_zero(anchored: Anchored) -> None:
    anchored.refused("submitter", call(1, ZERO), "root")
    anchored.refused("governor", anchor.set_submitter_data(ZERO, ACCOUNTS["submitter"]), "origin")


def test_an_anchor_has_a_governor(anchored: Anchored) -> None:
    not_deployed(anchored, "CheckpointAnchor", anchor.constructor_data(ZERO_ADDRESS), "governor")


def test_a_log_that_grew_extends_what_was_anchored_and_a_rewritten_one_does_not(anchored: Anchored) -> None:
    leaves = [merkle.leaf_hash(bytes([i])) for i in range(7)]
    anchored.anchor(4, merkle.root(leaves[:4]))
    first = Checkpoint(size=4, root=anchored.root(4))
    grown = Checkpoint(size=7, root=merkle.root(leaves))
    proof = merkle.consistency_proof(leaves, 4)
    anchor.check_extends(first, grown, proof)
    anchor.check_extends(first, first, [])
    rewritten = [merkle.leaf_hash(b"other"), *leaves[1:]]
    for shown, other in (
        (Checkpoint(size=7, root=merkle.root(rewritten)), merkle.consistency_proof(rewritten, 4)),
        (Checkpoint(size=4, root=merkle.root(rewritten[:4])), []),
        (Checkpoint(size=3, root=merkle.root(leaves[:3])), []),
        (grown, proof[:-1]),
    ):
        with pytest.raises(merkle.BadProof):
            anchor.check_extends(first, shown, other)
