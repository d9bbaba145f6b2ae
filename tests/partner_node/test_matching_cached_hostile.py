"""Mode cached against a peer or a hub that deviates: foreign epochs, more points, other list pieces, altered bytes.

Whatever comes, the node answers with a named failure, its epoch stays as it was booked, and no client is found that is
not shared.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecowire.documents import Body
from ecowire.stream import FAILURE
from partner_node import match_commit
from privacy.psi import group
from privacy.psi.cached import sender
from privacy.psi.cached.session import Session
from tests.partner_node import alliance
from tests.partner_node.epochs import BANK, BROKER, EPOCH, Pair, Refused, Relay, small_messages
from tests.support.entropy import SeededEntropy

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows


@pytest.fixture(autouse=True)
def _small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    small_messages(monkeypatch)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path, BROKER, BANK)


def said(monkeypatch: pytest.MonkeyPatch, partner: str, **changes: Any) -> None:
    """This partner's software commits to something else about the epoch."""
    right = match_commit.sign

    def sign(node: Any, proposal: Any, count: int, root: bytes, epoch: Body | None = None) -> Any:
        mine = node.settings.partner == partner
        return right(node, proposal, count, root, {**(epoch or {}), **changes} if mine else epoch)

    monkeypatch.setattr(match_commit, "sign", sign)


def refused(pair: Pair, **changes: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        pair.run(**changes)
    return caught.value.partner, caught.value.code


# --- what is said of the epoch


OTHER_KEY = group.multiply(group.draw_scalar(SeededEntropy(b"k")), group.hash_to_group(b"x", b"tag")).hex()


@pytest.mark.parametrize(
    ("partner", "changes", "code"),
    [
        ("bank", {"public": OTHER_KEY}, "MATCH_EPOCH_TERMS_DIFFER"),
        ("bank", {"public": "00" * 32}, "PSI_BAD_POINT"),
        ("bank", {"public": "zz"}, "COMMITMENTS_DIFFER"),
        ("bank", {"public": None}, "COMMITMENTS_DIFFER"),
        ("bank", {"lists": 2}, "PSI_EPOCH_DIFFERS"),
        ("bank", {"lists": 9}, "COMMITMENTS_DIFFER"),
        ("bank", {"lists": 0}, "COMMITMENTS_DIFFER"),
        ("bank", {"lists": True}, "COMMITMENTS_DIFFER"),
        ("broker", {"held": 0}, "PSI_EPOCH_DIFFERS"),
        ("broker", {"held": 99}, "COMMITMENTS_DIFFER"),
        ("broker", {"held": -1}, "COMMITMENTS_DIFFER"),
        ("broker", {"held": "4"}, "COMMITMENTS_DIFFER"),
    ],
    ids=str,
)
def test_another_word_on_the_epoch_ends_the_job(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, partner: str, changes: dict[str, Any], code: str
) -> None:
    """In a second job, where both sides hold something already."""
    pair.run()
    before = {name: pair.epochs(name)[0].spent for name in pair.nodes}
    with monkeypatch.context() as other:
        said(other, partner, **changes)
        assert refused(pair)[1] == code
    assert pair.shared() == set(range(20, 40)), "the epoch goes on with who is honest"
    assert all(pair.epochs(name)[0].spent >= before[name] + 40 for name in pair.nodes)


def test_a_commitment_that_says_nothing_of_the_epoch(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    right = match_commit.sign
    monkeypatch.setattr(match_commit, "sign", lambda *given: right(*given[:4]))
    assert refused(pair)[1] == "COMMITMENTS_DIFFER"


@pytest.mark.parametrize("count", [0, -5, True, "180"])
def test_a_commitment_to_no_clients_ends_the_job_before_anything_is_asked(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, count: Any
) -> None:
    """The list comes all the same: a share of no clients is none, and the leader could not book how its job ended."""
    right = match_commit.sign

    def sign(node: Any, proposal: Any, true: int, root: bytes, epoch: Body | None = None) -> Any:
        return right(node, proposal, count if node.settings.partner == "bank" else true, root, epoch)

    monkeypatch.setattr(match_commit, "sign", sign)
    assert refused(pair) == ("broker", "COMMITMENTS_DIFFER")
    assert not pair.epochs("broker")


def test_a_key_of_another_epoch_in_the_first_job_finds_nothing_and_is_unproven(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(monkeypatch, "bank", public=OTHER_KEY)
    assert refused(pair) in {("bank", "MATCH_EPOCH_TERMS_DIFFER"), ("broker", "PSI_FOREIGN_MESSAGE")}


# --- what the messages say


def test_a_sender_that_evaluates_one_message_with_another_key_is_caught(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would mark clients by it: who of them is found says whose they are."""
    right, calls = sender.function.evaluate, []

    def evaluate(key: bytes, points: Any, *rest: Any) -> list[bytes]:
        calls.append(1)
        other = group.draw_scalar(SeededEntropy(b"other"))
        return right(other if len(calls) == 2 else key, points, *rest)

    monkeypatch.setattr(sender.function, "evaluate", evaluate)
    assert refused(pair) == ("broker", "PSI_EVALUATION_UNPROVEN")
    assert pair.nodes["broker"].command("matching.records")["refusals"][0]["code"] == "PSI_EVALUATION_UNPROVEN"


def tampered(pair: Pair, monkeypatch: pytest.MonkeyPatch, me: str, phase: str, change: Callable[[bytes], bytes]) -> str:
    """The code that ends a job in which this partner's messages of a phase have other payloads, well formed."""
    right = Session._send

    def send(self: Session, part: Any, answered: bytes, payload: bytes) -> Any:
        if self.me == me and part.phase == phase:
            payload = change(payload)
            part = replace(part, length=len(payload))
        return right(self, part, answered, payload)

    monkeypatch.setattr(Session, "_send", send)
    return refused(pair)[1]


@pytest.mark.parametrize(
    ("me", "phase", "change", "code"),
    [
        ("broker", "points", lambda data: data + data[:32], "PSI_MALFORMED_MESSAGE"),
        ("broker", "points", lambda data: data[32:], "PSI_MALFORMED_MESSAGE"),
        ("broker", "points", lambda data: bytes(32) + data[32:], "PSI_BAD_POINT"),
        ("bank", "evaluations", lambda data: data[32:64] + data[:32] + data[64:], "PSI_EVALUATION_UNPROVEN"),
        ("bank", "evaluations", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "PSI_EVALUATION_UNPROVEN"),
        ("bank", "masks", lambda data: data[12:] + data[:12], "PSI_TAGS_MALFORMED"),
        ("bank", "masks", lambda data: data[12:], "PSI_MALFORMED_MESSAGE"),
        ("bank", "masks", lambda data: data + data[-12:], "PSI_MALFORMED_MESSAGE"),
    ],
    ids=["more", "fewer", "no point", "swapped", "altered", "out of order", "a mask less", "a mask more"],
)
def test_messages_of_another_form_or_content_end_the_job(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, me: str, phase: str, change: Callable[[bytes], bytes], code: str
) -> None:
    with monkeypatch.context() as other:
        assert tampered(pair, other, me, phase, change) == code
    assert pair.shared() == set(range(20, 40)), "the epoch is whole: what was taken before stays, what was not is sent"


def test_more_points_than_were_committed_are_not_evaluated(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader's software asks about more clients than it booked: the message has no place for them."""
    code = tampered(pair, monkeypatch, "broker", "points", lambda data: data * 2)
    assert code == "PSI_MALFORMED_MESSAGE"
    assert pair.epochs("bank")[0].spent == 0, "nothing left, and nothing was booked"


def test_the_wrong_piece_of_a_list_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second message of masks in the place of the first."""
    right = sender.Sender._masks
    monkeypatch.setattr(sender.Sender, "_masks", lambda self, number: right(self, (number + 1) % 4))
    found = pair.shared()
    assert found == set(range(20, 40)), "of one list every piece is as good: what is looked up is all of them"


# --- the hub


def test_a_job_cannot_be_run_twice(pair: Pair) -> None:
    relay = pair.run()
    again = relay.request("bank", [])
    reply = relay.nodes["bank"].ask(again.__class__(id="again", kind=again.kind, head={**again.head, "sequence": 0}))
    assert (reply.kind, reply.head["code"]) == (FAILURE, "JOB_OVER")
    assert pair.epochs("bank")[0].spent == 40


def test_an_envelope_of_an_earlier_job_of_the_epoch_is_refused(pair: Pair) -> None:
    first = pair.start()
    first.step("broker")
    kept = [*first.boxes["bank"]]
    pair.finish(first)
    second = pair.start()
    second.step("broker")
    second.boxes["bank"].clear()
    second.boxes["bank"].extend(kept)
    with pytest.raises(Refused) as caught:
        pair.finish(second)
    assert caught.value.partner == "bank"
    assert pair.shared() == set(range(20, 40))


def test_a_step_that_was_lost_before_its_commit_books_once(pair: Pair) -> None:
    """kill -9 between the work and the commit, again and again: points are counted once, and the list is whole."""
    relay = pair.start()
    for turn in range(14):
        name = ("broker", "bank")[turn % 2]
        node = relay.nodes[name]
        lost = node.parts.handlers["match.step"](relay.request(name, [*relay.boxes[name]]))
        assert lost.failure is None
        relay.nodes[name] = node.reopened()
        relay.step(name)
    pair.finish(relay)
    assert {pair.epochs(name)[0].spent for name in pair.nodes} == {40}
    assert relay.results["broker"]["body"]["count"] == 20
    assert pair.masks("broker") == 4


def test_a_delivery_that_broke_goes_on_in_the_next_job(pair: Pair) -> None:
    relay = pair.start()
    while not pair.epochs("broker") or pair.masks("broker") < 2:
        for name in ("broker", "bank"):
            relay.step(name)
    pair.end(relay.job)
    second: Relay = pair.run()
    assert second.results["broker"]["body"]["count"] == 20
    assert second.bytes < relay.bytes + 12 * EPOCH["slots"], "two of four messages were there already"
    assert pair.masks("broker") == 4


# --- against plain sets


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_the_nodes_find_what_plain_sets_share(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Random lists, clients who come to either side, jobs in one epoch; nobody leaves."""
    draw = random.Random(seed)
    everybody = range(120)
    bank = set(draw.sample(everybody, draw.randint(1, 60)))
    rules = dict.fromkeys(("broker", "bank"), f"{alliance.OPEN}\nown_distinct_percent = 100000")
    pair = Pair(tmp_path_factory.mktemp("sets"), sorted(draw.sample(everybody, 10)), sorted(bank), rules)
    for _ in range(3):
        broker = set(draw.sample(everybody, draw.randint(1, 40)))
        pair.enter("broker", sorted(broker))
        bank |= set(draw.sample(everybody, draw.randint(0, 8)))
        pair.enter("bank", sorted(bank))
        assert pair.shared(restart=draw.random() < 0.3, additions_max=4, slots=128) == broker & bank
    for node in pair.nodes.values():
        node.parts.node.database.close()
