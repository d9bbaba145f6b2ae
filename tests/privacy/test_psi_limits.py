"""What parties that deviate gain by Diffie-Hellman matching, as docs/matching.md states it: nothing in the messages
shows these, so whoever relies on a mode has to know them. A test that fails here is a limit that fell, or grew.
"""

from typing import Any

import pytest
from nacl.bindings import crypto_core_ed25519_add

from privacy import packing, psi
from privacy.psi import elgamal, errors, factory, group
from privacy.psi.allparty import AlignAllLeader
from privacy.psi.count_then_rows import DECISION
from privacy.psi.discrete_log import discrete_log
from privacy.psi.session import split
from privacy.psi.values import Mode, Role
from tests.support.entropy import SeededEntropy
from tests.support.matching import CONTEXT, Alliance, clients, records_of, rewritten

SETS = {"broker": clients(1, 2, 3, 4, 5, 6, 7, 8, 91, 92), "bank": clients(8, 7, 6, 5, 4, 3, 2, 81, 82)}
ASKED = clients(2, 91, 3)  # of the broker: is it a client of the bank?


def mark(number: int) -> bytes:
    return group.draw_scalar(SeededEntropy(b"mark %d" % number))


def marked(party: psi.Session, asked: list[bytes], records: list[bytes]) -> list[bytes]:
    """A party's list in which the clients asked about stand under an exponent of their own each."""
    who: Any = party
    out = list(records)
    for place, row in enumerate(who._order(who.setup.peers[0])):
        if who._ids[row] in asked:
            point = group.multiply(mark(asked.index(who._ids[row])), who._hashed()[row])
            out[place] = point + out[place][group.POINT_BYTES :]
    return out


def phases(run: Alliance) -> dict[str, bytes]:
    """phase → the message of it, delivered or waiting; lists of one chunk."""
    sent = [item.message for item in run.delivered] + [item for queue in run.waiting.values() for item in queue]
    return {str(head["phase"]): item for item in sent if isinstance(head := packing.unpack(item), dict)}


def deliver(run: Alliance, until: str = "") -> None:
    """Deliver messages until one of a phase waits, or nothing moves."""
    while not until or until not in phases(run):
        if run.deliver_one() is None:
            return


def points(run: Alliance, phase: str, width: int = group.POINT_BYTES) -> list[bytes]:
    return split(records_of(phases(run)[phase]), width)


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_limit_a_side_that_marks_clients_learns_of_each_whether_it_is_shared(role: str) -> None:
    """In count-then-rows, with nobody's leave: the other side counts the rest, which is over the minimum."""
    asker, other = ("broker", "bank") if role == "leader" else ("bank", "broker")
    sets = SETS if role == "leader" else {"broker": SETS["bank"], "bank": SETS["broker"]}
    run = Alliance("count-then-rows", sets, minimum=3)
    deliver(run, f"{role}-masked")
    queue = run.waiting[asker, other]
    queue[0] = rewritten(queue[0], b"".join(marked(run.sessions[asker], ASKED, split(records_of(queue[0]), 32))))
    deliver(run)
    assert {session.phase for session in run.sessions.values()} == {DECISION}
    counting: Any = run.sessions[other]
    assert counting.counted() == 5, "two of seven are marked"
    theirs = points(run, "follower-masked" if role == "leader" else "leader-masked")
    back = set(points(run, f"{role}-doubled"))
    learnt = [any(group.multiply(mark(number), point) in back for point in theirs) for number in range(len(ASKED))]
    assert learnt == [True, False, True]


def test_limit_a_leader_that_adds_up_learns_values_by_name_and_several_at_once() -> None:
    """It marks two clients, finds their ciphertexts so, and has the follower open 1 · first + 256 · second."""
    values = [17, 23, 42, 99, 104, 111, 150, 151, 152]  # in the bank's order: 111 is of client 3, 150 of client 2
    run = Alliance("sum", SETS, minimum=3, value_side="bank", bits=8, values=values)
    queue = run.waiting["broker", "bank"]
    queue[0] = rewritten(queue[0], b"".join(marked(run.sessions["broker"], ASKED, split(records_of(queue[0]), 32))))
    deliver(run, "total")
    entries = points(run, "follower-masked", group.POINT_BYTES + elgamal.CIPHERTEXT_BYTES)
    back = set(points(run, "leader-doubled"))
    (first,), (second,) = (
        [entry[32:] for entry in entries if group.multiply(mark(number), entry[:32]) in back] for number in (0, 2)
    )
    weighted = [group.multiply(elgamal.small_scalar(256), half) for half in split(second, 32)]
    chosen = [elgamal.add(one, other) for one, other in zip(split(first, 32), weighted, strict=True)]
    queue[0] = rewritten(queue[0], b"".join(chosen))
    deliver(run, "opened-total")
    (opened,) = points(run, "opened-total")
    assert discrete_log(opened, 1 << 16) == 150 + 256 * 111
    assert run.sessions["bank"].done, "and it noticed nothing"


def test_limit_a_point_for_two_ids_tests_whether_both_are_there() -> None:
    """The sum of two points comes back under the follower's key, and so do its clients: is it a sum of two of them?"""
    guesses, clients_there = clients(1, 2, 3, 9, 8, 7), clients(1, 2, 3, 4, 5)
    domain = group.domain(CONTEXT)
    hashed = group.hash_all(guesses, domain)
    pairs = [bytes(crypto_core_ed25519_add(one, two)) for one, two in zip(hashed[::2], hashed[1::2], strict=True)]
    run = Alliance("count", {"broker": clients(1, 2, 3), "bank": clients_there})
    queue = run.waiting["broker", "bank"]
    entered = [group.multiply(mark(number), pair) for number, pair in enumerate(pairs)]
    queue[0] = rewritten(queue[0], b"".join(entered))
    run.deliver_one()
    theirs, back = points(run, "follower-masked"), points(run, "leader-doubled")
    sums = {group.multiply(mark(number), crypto_core_ed25519_add(one, two)): number for number in range(len(pairs))
            for one in theirs for two in theirs if one != two}  # fmt: skip
    assert {sums[point] for point in back if point in sums} == {0}, "three points told of six ids: 1 and 2 are there"


class _Asking(AlignAllLeader):
    """Names one of its own clients to one follower in the place of a common one."""

    asked = b""

    def _tell(self, tags: Any, tokens: Any, **options: Any) -> Any:
        ids = [self._ids[i] for i in self._order()]
        doubled = self._list("bank", self._masked_points(self.setup.me, "leader-doubled"))
        tag = self._outputs(doubled, ids)[ids.index(self.asked), 2:].tobytes()
        return super()._tell({**tags, "bank": [tag, *tags["bank"][1:]]}, tokens, **options)


@pytest.mark.parametrize("there", [True, False])
def test_limit_a_leader_of_all_can_ask_one_follower_about_one_client(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """The follower takes the row if it has the client, though not all have; it refuses the rows if it has not."""
    monkeypatch.setitem(factory._KINDS, (Mode.ALIGN_ALL, Role.LEADER), _Asking)
    asked = clients(50)
    monkeypatch.setattr(_Asking, "asked", asked[0])
    common = clients(1, 2, 3, 4)
    sets = {"broker": [*common, *asked], "bank": [*common, *(asked if there else clients(60))], "shop": common}
    run = Alliance("align-all", sets, minimum=3)
    if not there:
        with pytest.raises(errors.BadRows):
            run.run()
        return
    run.run()
    assert {len(run.aligned(name).rows) for name in sets} == {4}, "all parties report the same number"
    assert asked[0] in run.common("bank")
