"""Mode rows by Diffie-Hellman against plain sets, crashes, and messages that are damaged, hostile or out of place.

What is detectable: a byte changed on the way, by the digest in every message (in a job by the seal of envelopes too);
of what a party itself writes otherwise: points that are none, a point twice, other counts, another header, and places
that no list has. A valid point in the place of the true one is not: it loses a client and never adds one. Nor is
another order of what comes back: the limits at the end.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import packing, psi
from privacy.errors import Failure
from privacy.psi import errors, group
from tests.privacy.test_psi_group import HOSTILE
from tests.support.damage import assert_refused, flipped
from tests.support.matching import Alliance, clients, records_of, refuse, rewritten, waiting

SIDES = st.lists(st.integers(0, 15), unique=True, max_size=12)
PAIR = {"broker": clients(1, 2, 3, 4, 5), "bank": clients(3, 4, 5, 6)}
SHARED = set(clients(3, 4, 5))
STRANGER = group.hash_to_group(b"a point nobody masked", group.domain(b"elsewhere elsewhere"))
BOTH = pytest.mark.parametrize("both", [False, True], ids=["one side", "both"])
# 0 leader-masked, 1 follower-masked, 2 leader-doubled, with both 3 rows
STEPS = [(False, 0), (False, 1), (False, 2), (True, 0), (True, 1), (True, 2), (True, 3)]


def made(both: bool, sets: dict[str, list[bytes]] | None = None, minimum: int = 0, chunk: int = 8192) -> Alliance:
    return Alliance("rows", sets or PAIR, minimum=minimum, points_per_message=chunk, both=both)


def paused(both: bool, before: int, chunk: int = 8192) -> Alliance:
    """A run whose next message to deliver is number `before`."""
    run = made(both, chunk=chunk)
    for _ in range(before):
        assert run.deliver_one()
    return run


def result(run: Alliance, name: str) -> psi.RowsResult:
    found = run.sessions[name].result()
    assert isinstance(found, psi.RowsResult)
    assert found.rows.dtype == np.int64
    return found


def found(run: Alliance, name: str) -> set[bytes]:
    rows = result(run, name).rows.tolist()
    assert rows == sorted(set(rows)), "ascending, each once"
    return {run.sets[name][row] for row in rows}


# -- against plain sets


@given(SIDES, SIDES, st.integers(1, 5), st.integers(0, 4), st.booleans())
def test_rows_equal_the_set_oracle(
    leader: list[int], follower: list[int], chunk: int, minimum: int, both: bool
) -> None:
    run = made(both, {"broker": clients(*leader), "bank": clients(*follower)}, minimum, chunk).run()
    shared = set(clients(*leader)) & set(clients(*follower))
    enough = len(shared) >= minimum
    outcome = psi.Outcome.SHARED if enough else psi.Outcome.BELOW_MINIMUM
    assert (result(run, "broker").outcome, found(run, "broker")) == (outcome, shared if enough else set())
    if both:
        assert (result(run, "bank").outcome, found(run, "bank")) == (outcome, shared if enough else set())
    else:
        assert (result(run, "bank").outcome, found(run, "bank")) == (psi.Outcome.NOT_ENTITLED, set())
    assert run.sessions["broker"].transcript("bank") == run.sessions["bank"].transcript("broker")


@BOTH
@pytest.mark.parametrize(
    "sets",
    [
        {"broker": [], "bank": []},
        {"broker": [], "bank": clients(1)},
        {"broker": clients(1), "bank": []},
        {"broker": clients(1), "bank": clients(1)},
        {"broker": clients(1), "bank": clients(2)},
        {"broker": [b"x" * 256, b"x"], "bank": [b"x" * 255, b"x" * 256]},
        {"broker": [b"\x00", b"\x00\x00"], "bank": [b"\x00\x00"]},
        {"broker": clients(*range(40)), "bank": clients(7)},
    ],
    ids=lambda sets: f"{len(sets['broker'])} and {len(sets['bank'])}",
)
def test_small_unequal_and_long_sets(sets: dict[str, list[bytes]], both: bool) -> None:
    run = made(both, sets).run()
    shared = set(sets["broker"]) & set(sets["bank"])
    assert found(run, "broker") == shared
    assert found(run, "bank") == (shared if both else set())


@pytest.mark.parametrize(
    ("ids", "committed"),
    [(clients(1, 1), 2), ([b""], 1), ([b"x" * 257], 1), (clients(1, 2, 3), 1)],
    ids=["twice", "empty", "long", "more"],
)
@pytest.mark.parametrize("party", ["broker", "bank"])
def test_identifiers_that_no_session_takes(ids: list[bytes], committed: int, party: str) -> None:
    session = made(True).sessions[party]
    with pytest.raises(errors.BadIdentifiers):
        psi.create(
            mode="rows",
            role=session.setup.role.value,
            me=party,
            peers=session.setup.peers,
            ids=ids,
            counts={**session.setup.counts, party: committed},
            context=bytes(32),
            minimum=1,
            entropy=bytes,
        )


@BOTH
def test_lengths_say_nothing_of_the_overlap(both: bool) -> None:
    lengths = set()
    for shift, minimum in [(0, 1), (20, 1), (39, 1), (40, 1), (0, 41), (13, 0)]:
        sets = {"broker": clients(*range(40)), "bank": clients(*range(shift, shift + 40))}
        run = made(both, sets, minimum, 16).run()
        lengths.add(tuple((item.sender, len(item.message)) for item in run.delivered))
    assert len(lengths) == 1


def test_places_are_told_in_no_order_of_the_leader_and_below_the_minimum_none_is() -> None:
    sets = {"broker": clients(*range(60)), "bank": clients(*range(90, 20, -1))}
    (message,) = [item.message for item in made(True, sets).run().delivered if item.sender == "broker"][1:]
    rows = split(records_of(message))
    told = [int.from_bytes(row, "big") for row in rows[1:40]]
    assert told == sorted(set(told)) and rows[40:] == [bytes(8)] * (len(rows) - 40)
    (message,) = [item.message for item in made(True, sets, 40).run().delivered if item.sender == "broker"][1:]
    assert set(split(records_of(message))[1:]) == {bytes(8)}


def split(records: bytes) -> list[bytes]:
    return [records[i : i + 8] for i in range(0, len(records), 8)]


def test_one_sided_the_follower_hears_nothing_but_the_leaders_list() -> None:
    run = made(False).run()
    assert [item.sender for item in run.delivered] == ["broker", "bank", "bank"]
    told = made(True).run().delivered[-1].message
    with pytest.raises(errors.WrongPhase):
        run.sessions["bank"].receive("broker", told)


def test_every_job_has_fresh_keys() -> None:
    first, second = (Alliance("rows", PAIR, seed=seed).run() for seed in ("1", "2"))
    points = [
        {m[i : i + 32] for d in run.delivered for m in [records_of(d.message)] for i in range(0, len(m), 32)}
        for run in (first, second)
    ]
    assert not points[0] & points[1]


# -- crashes


@BOTH
def test_restart_after_every_message_changes_no_byte(both: bool) -> None:
    sets = {"broker": clients(*range(12)), "bank": clients(*range(4, 20))}
    plain, crashed = made(both, sets, chunk=5).run(), made(both, sets, chunk=5)
    for name in sets:
        crashed.restart(name)
    while crashed.deliver_one():
        for name in sets:
            crashed.restart(name)
    assert crashed.delivered == plain.delivered
    for name, peer in (("broker", "bank"), ("bank", "broker")):
        assert crashed.sessions[name].phase == "done"
        assert repr(crashed.sessions[name].result()) == repr(plain.sessions[name].result())
        assert crashed.sessions[name].transcript(peer) == plain.sessions[name].transcript(peer)


@BOTH
def test_a_step_lost_before_its_commit_is_repeated_byte_for_byte(both: bool) -> None:
    run = made(both, chunk=2)
    while any(run.waiting.values()):
        kept = {name: session.dump() for name, session in run.sessions.items()}
        sent = {link: len(queue) for link, queue in run.waiting.items()}
        step = run.deliver_one()
        assert step is not None
        again = psi.load(kept[step.recipient], run.sets[step.recipient])
        answers = again.receive(step.sender, step.message)
        link = (step.recipient, step.sender)
        assert [item.message for item in answers] == list(run.waiting.get(link, []))[sent.get(link, 0) :]
        assert again.dump() == run.sessions[step.recipient].dump()


@BOTH
def test_a_finished_dump_holds_no_key_and_no_list(both: bool) -> None:
    run = made(both)
    seeds = {name: session._seed for name, session in run.sessions.items()}
    run.run()
    for name, seed in seeds.items():
        dump = run.sessions[name].dump()
        assert len(seed) == 32 and seed not in dump
        for item in run.delivered:
            assert records_of(item.message)[:32] not in dump
        assert repr(psi.load(dump, []).result()) == repr(result(run, name))
        assert (run.sessions[name]._seed, run.sessions[name]._ids, run.sessions[name].state.taken) == (b"", (), {})


def test_load_refuses_other_identifiers_and_reads_what_knew_no_both() -> None:
    dump = made(True).sessions["bank"].dump()
    with pytest.raises(errors.IdentifiersChanged):
        psi.load(dump, clients(3, 4, 6, 5))
    old = packing.unpack(Alliance("align", PAIR).sessions["bank"].dump())
    assert isinstance(old, dict) and isinstance(old["setup"], dict)
    assert old["setup"].pop("both") is False
    assert psi.load(packing.pack(old), PAIR["bank"]).phase == "leader-masked"


# -- damaged and hostile messages


@pytest.mark.parametrize(("both", "step"), STEPS)
def test_every_damaged_byte_is_refused_and_the_true_message_still_works(both: bool, step: int) -> None:
    run = paused(both, step)
    sender, recipient, message = waiting(run)
    assert_refused(run.sessions[recipient], sender, message, flipped(message))
    run.run()
    assert found(run, "broker") == SHARED
    assert found(run, "bank") == (SHARED if both else set())


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_point_in_a_well_formed_message(name: str, step: int) -> None:
    run = paused(True, step)
    message = waiting(run)[2]
    error = refuse(run, Failure, rewritten(message, HOSTILE[name] + records_of(message)[32:]))
    if len(HOSTILE[name]) == 32:
        assert isinstance(error, errors.BadPoint)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_repeated_points_are_refused(step: int) -> None:
    run = paused(True, step)
    message = waiting(run)[2]
    records = records_of(message)
    refuse(run, errors.RepeatedPoint, rewritten(message, records[:32] + records[:-32]))


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"mode": "align"}, errors.ForeignMessage),
        ({"context": "00" * 32}, errors.ForeignMessage),
        ({"role": "leader"}, errors.WrongRole),
        ({"phase": "rows"}, errors.WrongPhase),
        ({"phase": "leader-doubled"}, errors.WrongPhase),
        ({"count": 5}, errors.CountDiffers),
        ({"chunk": 1}, errors.MissingChunk),
    ],
    ids=str,
)
def test_a_header_that_lies_is_refused(changes: dict[str, object], failure: type[Failure]) -> None:
    run = paused(True, 1)
    refuse(run, failure, rewritten(waiting(run)[2], changes=changes))


def test_two_leaders_two_followers_and_reflected_messages() -> None:
    leader, turned = made(True).sessions["broker"], made(True, {name: PAIR[name] for name in ("bank", "broker")})
    (own,), (rival,) = leader.start(), turned.sessions["bank"].start()
    for message in (own, rival):
        with pytest.raises(errors.WrongRole):
            leader.receive("bank", message.message)
    followers = [made(True).sessions["bank"], turned.sessions["broker"]]
    assert [follower.start() for follower in followers] == [[], []], "nobody begins"
    run = paused(True, 1)
    with pytest.raises(errors.WrongRole):  # the other follower's answer
        followers[1].receive("bank", waiting(run)[2])


@given(st.integers(0, 2), st.integers(0, 3), st.booleans())
def test_a_swapped_valid_point_can_lose_a_row_and_never_add_one(step: int, place: int, both: bool) -> None:
    run = paused(both, step)
    sender, recipient, message = waiting(run)
    records = records_of(message)
    run.waiting[sender, recipient][0] = rewritten(
        message, records[: 32 * place] + STRANGER + records[32 * place + 32 :]
    )
    run.run()
    assert found(run, "broker") <= SHARED and len(found(run, "broker")) >= 2
    assert found(run, "bank") == (found(run, "broker") if both else set())


def test_reflecting_the_leaders_points_gains_no_match() -> None:
    run = made(False, {"broker": clients(1, 2, 3, 4), "bank": clients(11, 12, 13, 14)})
    assert run.deliver_one()
    copied, queue = records_of(run.delivered[0].message), run.waiting["bank", "broker"]
    queue[0], queue[1] = rewritten(queue[0], copied), rewritten(queue[1], copied)
    assert found(run.run(), "broker") == set()


Edit = Callable[[list[bytes]], Sequence[bytes]]
ROWS: dict[str, Edit] = {
    "unknown status": lambda r: [b"\x00\x00\x00\x02" + r[0][4:], *r[1:]],
    "longer than the list": lambda r: [r[0][:7] + b"\x09", *r[1:]],
    "row in the padding": lambda r: [r[0][:7] + b"\x02", *r[1:]],
    "below the minimum with rows": lambda r: [b"\x00\x00\x00\x01" + r[0][4:], *r[1:]],
    "fewer than the minimum": lambda r: [r[0][:7] + b"\x01", r[1], *[bytes(8)] * 3],
    "place out of range": lambda r: [*r[:3], b"\x00" * 7 + b"\x04", *r[4:]],
    "place beyond any array": lambda r: [*r[:3], b"\xff" * 8, *r[4:]],
    "place repeated": lambda r: [*r[:2], r[1], *r[3:]],
    "places descend": lambda r: [r[0], r[2], r[1], *r[3:]],
}


@pytest.mark.parametrize("name", ROWS)
def test_malformed_rows_are_refused(name: str) -> None:
    run = made(True, minimum=2)
    while run.sessions["broker"].phase != "done":
        run.deliver_one()
    message = waiting(run)[2]
    rows = split(records_of(message))
    assert len(rows) == 5, "head, three rows and one of padding"
    refuse(run, errors.BadRows, rewritten(message, b"".join(ROWS[name](rows))))


# -- what software that deviates can do unseen


def test_limit_a_follower_that_returns_points_in_another_order_puts_others_in_the_shared_ones_place() -> None:
    run = paused(False, 1)
    queue = run.waiting["bank", "broker"]
    doubled = records_of(queue[1])
    queue[1] = rewritten(queue[1], doubled[32:] + doubled[:32])
    run.run()
    assert len(found(run, "broker")) == 3 and found(run, "broker") != SHARED


def test_limit_a_leader_can_keep_its_result_to_itself() -> None:
    run = made(True, minimum=2)
    while run.sessions["broker"].phase != "done":
        run.deliver_one()
    queue = run.waiting["broker", "bank"]
    queue[0] = rewritten(queue[0], b"\x00\x00\x00\x01" + bytes(len(records_of(queue[0])) - 4))
    run.run()
    assert found(run, "broker") == SHARED
    assert result(run, "bank").outcome is psi.Outcome.BELOW_MINIMUM
