"""What `count-then-rows` and `sum` share: the count that the follower takes back, damage, hostile peers, crashes."""

from itertools import pairwise

import pytest

from privacy import psi
from privacy.errors import Failure
from privacy.psi import elgamal, errors, group
from privacy.psi.counted import Counting, commitment, opening_of, order_of
from privacy.psi.wire import Listing
from tests.privacy.test_psi_group import HOSTILE
from tests.support.counting import (
    KINDS,
    PAIR,
    ROWS,
    SUM_OF_FOLLOWER,
    SUM_OF_LEADER,
    decide,
    finish,
    paused,
    prepared,
    rows,
    step,
    total,
)
from tests.support.damage import assert_refused, flipped
from tests.support.entropy import SeededEntropy
from tests.support.matching import CONTEXT, Alliance, clients, records_of, refuse, rewritten, waiting

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

# how many messages a run of each kind has, with the lists in one chunk
MESSAGES = {ROWS: 8, SUM_OF_LEADER: 8, SUM_OF_FOLLOWER: 9}
STEPS = [(kind, number) for kind in KINDS for number in range(MESSAGES[kind])]
SHARED = set(clients(3, 4, 5))


def right(run: Alliance) -> None:
    """The run of PAIR ended with what plain sets say."""
    if run.mode == ROWS:
        assert [PAIR["broker"][row] for row in rows(run, "broker").rows] == clients(3, 4, 5)
        assert rows(run, "broker").count == rows(run, "bank").count == 3
    else:
        assert total(run, "broker").total == sum(run.values[run.sets[run.value_side].index(item)] for item in SHARED)
        assert total(run, "broker").count == total(run, "bank").count == 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_messages(kind: str) -> None:
    run = finish(prepared(kind))
    assert len(run.delivered) == MESSAGES[kind]
    right(run)


@pytest.mark.parametrize(("kind", "number"), STEPS)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(kind: str, number: int) -> None:
    run = paused(kind, number)
    sender, recipient, message = waiting(run)
    assert_refused(run.sessions[recipient], sender, message, flipped(message))
    right(finish(run))


@pytest.mark.parametrize(("kind", "number"), STEPS)
def test_other_chunks_than_the_next_are_refused(kind: str, number: int) -> None:
    """Repeated, early, reflected, of another job, of another mode, in another's name: refused, and nothing changes."""
    run = paused(kind, number)
    sender, recipient, message = waiting(run)
    for item in run.delivered:
        if item.recipient == recipient:
            refuse(run, Failure, item.message)
    for early in list(run.waiting[sender, recipient])[1:]:
        refuse(run, errors.WrongPhase, early)
    own = [item.message for item in run.delivered if item.sender == recipient]
    for reflected in own:
        refuse(run, errors.WrongRole, reflected)
    refuse(run, errors.ForeignMessage, rewritten(message, changes={"context": "00" * 32}))
    refuse(run, errors.ForeignMessage, rewritten(message, changes={"mode": "count"}))
    refuse(run, errors.ForeignMessage, rewritten(message, changes={"recipient": "platform"}))
    refuse(run, errors.CountDiffers, rewritten(message, changes={"count": 7}))
    refuse(run, errors.MissingChunk, rewritten(message, changes={"chunk": 1}))
    with pytest.raises(errors.ForeignMessage):
        run.sessions[recipient].receive("platform", message)
    right(finish(run))


@pytest.mark.parametrize("kind", KINDS)
def test_dropped_and_swapped_chunks(kind: str) -> None:
    run = paused(kind, 0, chunk=2)
    seen = 0
    while any(run.waiting.values()) or decide(run):
        sender, recipient, _ = waiting(run)
        queue = list(run.waiting[sender, recipient])
        for first, second in pairwise(queue):
            assert first != second
            with pytest.raises((errors.MissingChunk, errors.WrongPhase)):
                run.sessions[recipient].receive(sender, second)
            seen += 1
            break
        run.deliver_one()
    assert seen > 5
    right(run)


def places(run: Alliance) -> list[int]:
    """Where the points of the waiting message's first record begin."""
    phase, width = phase_of(run), len(records_of(waiting(run)[2]))
    if "decision" in phase or "commitment" in phase or "opening" in phase:
        return []
    return [0, 32, 64] if phase.endswith("masked") and width % 96 == 0 else [0, 32][: 2 if phase == "total" else 1]


def phase_of(run: Alliance) -> str:
    recipient = waiting(run)[1]
    return run.sessions[recipient].phase


@pytest.mark.parametrize(("kind", "number"), STEPS)
def test_every_hostile_point_is_refused(kind: str, number: int) -> None:
    run = paused(kind, number)
    records = records_of(waiting(run)[2])
    for place in places(run):
        for name, point in HOSTILE.items():
            forged = rewritten(waiting(run)[2], records[:place] + point + records[place + 32 :])
            error = refuse(run, Failure, forged)
            if len(point) == 32:
                assert isinstance(error, errors.BadPoint), name
    right(finish(run))


@pytest.mark.parametrize("kind", KINDS)
def test_repeated_points_are_refused(kind: str) -> None:
    tried = 0
    for number in range(MESSAGES[kind]):
        run = paused(kind, number)
        records = records_of(waiting(run)[2])
        count = run.sessions[waiting(run)[1]].setup.counts
        if phase_of(run).split("-")[-1] in ("masked", "doubled") and len(records) > 64:
            width = len(records) // count["broker" if phase_of(run).startswith("leader") else "bank"]
            again = records[:32] + records[-width + 32 :] if width > 32 else records[:32]
            refuse(run, errors.RepeatedPoint, rewritten(waiting(run)[2], records[:-width] + again))
            tried += 1
    assert tried == 4


# -- the minimum


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("minimum", [4, 5])
def test_below_the_minimum_the_leader_holds_nothing_to_count(kind: str, minimum: int) -> None:
    """Not only is no figure shown: the figure can't be had from all that the leader's node ever received."""
    run = finish(prepared(kind, minimum=minimum))
    for name in PAIR:
        result = run.sessions[name].result()
        assert result.outcome is psi.Outcome.BELOW_MINIMUM
        assert getattr(result, "count", 0) is None
        assert getattr(result, "total", None) is None
        assert len(getattr(result, "rows", ())) == 0
    enough = finish(prepared(kind, minimum=3))
    lists = [sent(each, "leader-doubled") for each in (run, enough)]
    assert not set(lists[0]) & set(lists[1])
    group.check_all(lists[0])
    own_key = prepared(kind).sessions["broker"]._key("bank")  # type: ignore[attr-defined]
    for each, shared in ((run, 0), (enough, 3)):
        doubled = group.multiply_all(own_key, [item[:32] for item in sent(each, "follower-masked")])
        assert len(set(doubled) & set(sent(each, "leader-doubled"))) == shared
    (commitment_,), (opening,) = sent(run, "follower-commitment"), sent(run, "follower-opening")
    assert commitment(CONTEXT, opening, lists[0]) != commitment_


def sent(run: Alliance, phase: str) -> list[bytes]:
    """The records of a list, as it travelled."""
    (width,) = {listing.record_bytes for listing in every_list(run) if listing.phase == phase}
    data = b"".join(records_of(item.message) for item in run.delivered if f'"{phase}"'.encode() in item.message)
    assert data
    return [data[i : i + width] for i in range(0, len(data), width)]


def every_list(run: Alliance) -> list[Listing]:
    return [listing for session in run.sessions.values() for listing in session._listings(session.setup.peers[0])]


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_say_nothing_of_the_overlap_nor_of_decisions(kind: str) -> None:
    seen = set()
    decisions = [{"broker": a, "bank": b} for a in ("agree", "refuse") for b in ("agree", "refuse")]
    for shift, minimum in [(0, 1), (7, 1), (19, 1), (20, 0), (0, 21), (13, 8)]:
        sets = {"broker": clients(*range(20)), "bank": clients(*range(shift, shift + 20))}
        for decided in decisions if kind == ROWS and shift == 7 else decisions[:1]:
            run = finish(prepared(kind, sets, minimum=minimum, chunk=8, seed=str(shift)), decided)
            seen.add(tuple((item.sender, len(item.message)) for item in run.delivered))
    assert len(seen) == 1


# -- peers that deviate


@pytest.mark.parametrize("kind", KINDS)
def test_a_follower_that_copies_the_leaders_list_gains_no_match(kind: str) -> None:
    """It gets { H(y)^ab } before it sends { H(x)^ab }: sent back, every client of the leader's would look shared."""
    sets = {"broker": clients(1, 2, 3, 4), "bank": clients(11, 12, 13, 14)}
    run = prepared(kind, sets)
    while phase_of(run) != "leader-doubled":
        assert step(run)
    sender, recipient, message = waiting(run)
    copied = sent(run, "follower-doubled")
    run.waiting[sender, recipient][0] = rewritten(message, b"".join(copied))
    while phase_of(run) != "follower-opening":
        assert step(run)
    assert step(run)
    leader = run.sessions["broker"]
    assert isinstance(leader, Counting)
    assert leader._counted() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_leader_that_copies_the_followers_list_gains_no_match(kind: str) -> None:
    run = prepared(kind, {"broker": clients(1, 2, 3, 4), "bank": clients(11, 12, 13, 14)}, minimum=1)
    while phase_of(run) != "follower-doubled":
        assert step(run)
    sender, recipient, message = waiting(run)
    run.waiting[sender, recipient][0] = rewritten(message, b"".join(p[:32] for p in sent(run, "follower-masked")))
    finish(run)
    assert {session.result().outcome for session in run.sessions.values()} == {psi.Outcome.BELOW_MINIMUM}


def test_limit_a_leader_that_repeats_a_client_lifts_the_count_only_by_a_guess() -> None:
    """It knows one shared client and enters it under four exponents. To be counted four times it must say which point
    of the follower's shuffled list that client's is: of four guesses one is right, so on average it counts once.
    """
    sets = {"broker": clients(1, 91, 92, 93), "bank": clients(1, 2, 3, 4)}
    exponents = [group.draw_scalar(SeededEntropy(b"exponent %d" % i)) for i in range(4)]
    known = group.hash_to_group(sets["broker"][0], group.domain(CONTEXT))
    counts = []
    for guess in range(4):
        run = prepared(ROWS, sets)
        entered = [group.multiply(exponent, known) for exponent in exponents]
        run.waiting["broker", "bank"][0] = rewritten(waiting(run)[2], b"".join(entered))
        while phase_of(run) != "follower-doubled":
            assert step(run)
        point = sent(run, "follower-masked")[guess]
        answered = [group.multiply(exponent, point) for exponent in exponents]
        run.waiting["broker", "bank"][0] = rewritten(waiting(run)[2], b"".join(answered))
        assert step(run)
        bank = run.sessions["bank"]
        assert isinstance(bank, Counting)
        counts.append(bank._counted())
    assert sorted(counts) == [0, 0, 0, 4]  # type: ignore[type-var]


@pytest.mark.parametrize("kind", KINDS)
def test_an_opening_that_does_not_fit_is_as_below_the_minimum(kind: str) -> None:
    run = prepared(kind)
    while phase_of(run) != "follower-opening":
        assert step(run)
    sender, recipient, message = waiting(run)
    run.waiting[sender, recipient][0] = rewritten(message, bytes(32))
    assert step(run)
    leader = run.sessions["broker"]
    assert isinstance(leader, Counting)
    assert leader._counted() is None
    assert leader.phase != "decision"


def test_a_commitment_binds_points_their_order_job_and_key() -> None:
    points = elgamal.random_points(4, prepared(ROWS).sessions["bank"]._stream("points"))
    opening = opening_of(b"k" * 32)
    made = {
        commitment(CONTEXT, opening, points),
        commitment(CONTEXT, opening, points[::-1]),
        commitment(CONTEXT, opening, points[:3]),
        commitment(CONTEXT + b"2", opening, points),
        commitment(CONTEXT, opening_of(b"j" * 32), points),
    }
    assert len(made) == 5
    assert sorted(order_of(b"k" * 32, 9).tolist()) == list(range(9))
    assert order_of(b"k" * 32, 9).tolist() != order_of(b"j" * 32, 9).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_can_tell_which_by_the_order(kind: str) -> None:
    """Both lists come back in another order than they were sent in."""
    sets = {"broker": clients(*range(50)), "bank": clients(*range(50))}
    run = finish(prepared(kind, sets))
    fresh = prepared(kind, sets)
    for owner, other, masked, doubled in (
        ("broker", "bank", "leader-masked", "leader-doubled"),
        ("bank", "broker", "follower-masked", "follower-doubled"),
    ):
        key = fresh.sessions[other]._key(owner)  # type: ignore[attr-defined]
        in_order = group.multiply_all(key, [item[:32] for item in sent(run, masked)])
        assert set(sent(run, doubled)) == set(in_order)
        assert sent(run, doubled) != in_order


# -- crashes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("minimum", [0, 4])
def test_restart_after_every_message_changes_no_byte(kind: str, minimum: int) -> None:
    plain = finish(prepared(kind, minimum=minimum, chunk=3))
    crashed = prepared(kind, minimum=minimum, chunk=3)
    for name in PAIR:
        crashed.restart(name)
    while step(crashed):
        for name in PAIR:
            crashed.restart(name)
    assert crashed.delivered == plain.delivered
    for name, peer in (("broker", "bank"), ("bank", "broker")):
        assert crashed.sessions[name].done
        assert repr(crashed.sessions[name].result()) == repr(plain.sessions[name].result())
        assert crashed.sessions[name].transcript(peer) == plain.sessions["bank"].transcript("broker")


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_lost_before_its_commit_is_repeated_byte_for_byte(kind: str) -> None:
    run = prepared(kind, chunk=3)
    while any(run.waiting.values()) or decide(run):
        kept = {name: session.dump() for name, session in run.sessions.items()}
        queues = {link: len(queue) for link, queue in run.waiting.items()}
        delivered = run.deliver_one()
        assert delivered is not None
        name = delivered.recipient
        again = psi.load(kept[name], PAIR[name], values=run.values_of(name))
        answers = again.receive(delivered.sender, delivered.message)
        new = list(run.waiting.get((name, delivered.sender), []))
        assert [item.message for item in answers] == new[queues.get((name, delivered.sender), 0) :]
        assert again.dump() == run.sessions[name].dump()


@pytest.mark.parametrize("kind", KINDS)
def test_finished_dump_holds_no_key_no_list_and_needs_no_data(kind: str) -> None:
    run = prepared(kind)
    seeds = {name: session._seed for name, session in run.sessions.items()}
    finish(run)
    for name, session in run.sessions.items():
        state = session.dump()
        assert len(seeds[name]) == 32
        assert seeds[name] not in state
        assert (session._seed, session._ids, session._values) == (b"", (), ())
        assert not any(point[:32] in state for point in sent(run, "leader-masked") + sent(run, "follower-masked"))
        assert repr(psi.load(state, []).result()) == repr(session.result())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sets",
    [
        {"broker": [], "bank": []},
        {"broker": clients(1), "bank": []},
        {"broker": [], "bank": clients(1)},
        {"broker": clients(1), "bank": clients(1)},
        {"broker": [b"acct:%d" % i + b"1" * 250 for i in range(3)], "bank": [b"acct:2" + b"1" * 250]},
    ],
)
def test_empty_single_and_longest(kind: str, sets: dict[str, list[bytes]]) -> None:
    if kind == ROWS:
        run = Alliance(ROWS, sets)
    else:
        side = "broker" if kind == SUM_OF_LEADER else "bank"
        run = Alliance("sum", sets, value_side=side, bits=3, values=[7] * len(sets[side]))
    finish(run)
    shared = [item for item in sets["broker"] if item in sets["bank"]]
    if kind == ROWS:
        assert [sets["broker"][row] for row in rows(run, "broker").rows] == shared
        assert rows(run, "broker").count == len(shared)
    else:
        assert (total(run, "broker").count, total(run, "broker").total) == (len(shared), 7 * len(shared))
