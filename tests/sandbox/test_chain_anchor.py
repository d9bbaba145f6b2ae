"""The commands of the anchor contract, over a real socket, with notes as the hub signs them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.keys import ZERO_ADDRESS, parse_address
from ecowire import checkpoints
from privacy import seal
from tests.sandbox.chain_desk import Desk
from tests.support.sandbox_chain import KEYS, Local, local

ORIGIN = "ecohub/audit/test"
LOG = seal.SigningKey(b"\x05" * 32)


class Anchors(Desk):
    """An anchor contract that the governor deployed, with the submitter named for one log."""

    group = ("anchor",)

    def __init__(self, served: Local, folder: Path) -> None:
        super().__init__(served, folder)
        self.contract = parse_address(self.done("deploy", by="governor")["anchor"])
        self.done("submitter", *self.log(), "--account", KEYS["submitter"].address, by="governor")

    def log(self) -> tuple[str, ...]:
        return ("--anchor", self.contract, "--origin", ORIGIN)

    def file(self, *sizes: int, root: bytes = b"\x01" * 32) -> str:
        """A file as `ecohub hub checkpoint --json` writes it."""
        made = [checkpoints.Checkpoint(origin=ORIGIN, size=size, root=root) for size in sizes]
        path = self.folder / "checkpoints.json"
        path.write_text(json.dumps({"checkpoints": [{"note": checkpoints.sign(one, LOG)} for one in made]}))
        return str(path)

    def put(self, file: str) -> list[dict]:
        found = self.done("put", "--anchor", self.contract, file, by="submitter")["anchored"]
        assert isinstance(found, list)
        return found


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Anchors]:
    with local() as served:
        yield Anchors(served, tmp_path)


def test_checkpoints_of_the_hub_are_anchored_and_shown(one: Anchors) -> None:
    assert [made["size"] for made in one.put(one.file(4, 9))] == [4, 9]
    shown = one.done("show", *one.log())
    assert shown == {"origin": ORIGIN, "size": 9, "root": "01" * 32, "submitter": KEYS["submitter"].address}
    assert one.done("show", *one.log(), "--size", "4")["size"] == 4
    assert one.failure("show", *one.log(), "--size", "5") == "TRANSACTION_UNKNOWN"


def test_what_is_anchored_is_left_and_another_root_is_refused(one: Anchors) -> None:
    one.put(one.file(4))
    head = one.served.chain.head()
    assert [made["transaction"] for made in one.put(one.file(4))] == [None]
    assert one.failure("put", "--anchor", one.contract, one.file(4, root=b"\x02" * 32), by="submitter") == (
        "CHECKPOINT_ANCHOR_REFUSED"
    )
    assert one.failure("put", "--anchor", one.contract, one.file(3), by="submitter") == "CHECKPOINT_ANCHOR_REFUSED"
    assert one.served.chain.head() == head


def test_only_the_named_account_anchors(one: Anchors) -> None:
    assert one.failure("put", "--anchor", one.contract, one.file(4), by="governor") == "CHAIN_CALLER_NOT_ENTITLED"
    named = (*one.log(), "--account", KEYS["broker"].address)
    assert one.failure("submitter", *named, by="submitter") == "CHAIN_CALLER_NOT_ENTITLED"
    one.done("submitter", *one.log(), "--account", ZERO_ADDRESS, by="governor")
    assert one.failure("put", "--anchor", one.contract, one.file(4), by="submitter") == "CHAIN_CALLER_NOT_ENTITLED"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"checkpoints": [{"note": "x"}]}', '{"checkpoints": [{}]}', "[" * 9_000]
)
def test_a_file_that_is_none_of_the_hubs_is_refused(one: Anchors, text: str) -> None:
    path = one.folder / "other.json"
    path.write_text(text)
    assert one.failure("put", "--anchor", one.contract, str(path), by="submitter") == "MALFORMED_MESSAGE"
    assert one.failure("put", "--anchor", one.contract, str(one.folder / "none"), by="submitter") == "MALFORMED_MESSAGE"


def test_another_contract_is_no_anchor(one: Anchors) -> None:
    contract = one.served.deploy_settlement()
    assert one.failure("show", "--anchor", contract, "--origin", ORIGIN) == "CONTRACT_CODE_DIFFERS"
