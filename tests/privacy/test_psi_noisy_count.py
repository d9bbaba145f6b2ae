"""A count with noise against plain sets: the estimate, what its distribution is, what the messages show, crashes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from privacy import packing, psi
from privacy.errors import Failure
from privacy.noise import CountNoise
from privacy.psi import group
from privacy.psi.errors import BadSetup, CountDiffers
from privacy.psi.noisy_count import NoisyCountFollower, NoisyCountLeader
from tests.support.matching import Alliance, clients, records_of, rewritten

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

STRONG = CountNoise(epsilon_milli=1000, delta_log10=-4)
SMALL = CountNoise(epsilon_milli=3000, delta_log10=-4)  # a pool of six
SIDES = st.lists(st.integers(0, 15), unique=True, max_size=12)
PAIR = {"broker": clients(*range(40)), "insurer": clients(*range(25, 60))}
SHARED = 15


def prepared(
    noise: CountNoise = STRONG, seed: str = "", minimum: int = 0, sets: dict[str, list[bytes]] = PAIR
) -> Alliance:
    return Alliance("count", sets, minimum=minimum, noise=noise, seed=seed)


def drawn(run: Alliance) -> int:
    """The noise that the follower of a run not yet over draws."""
    follower = run.sessions["insurer"]
    assert isinstance(follower, NoisyCountFollower)
    return follower._noise.draw(follower._stream("noise")) - follower._noise.reach


def estimates(noise: CountNoise, runs: int, sets: dict[str, list[bytes]]) -> list[int]:
    found = [prepared(noise, f"run {number}", sets=sets).run().count().count for number in range(runs)]
    assert None not in found, "the minimum is 0, and no estimate is below it"
    return [count for count in found if count is not None]


@given(SIDES, SIDES, st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
def test_the_estimate_is_the_set_oracles_number_and_the_noise(
    leader: list[int], follower: list[int], chunk: int, minimum: int, seed: int
) -> None:
    sets = {"broker": clients(*leader), "insurer": clients(*follower)}
    run = Alliance("count", sets, minimum=minimum, points_per_message=chunk, noise=SMALL, seed=str(seed))
    figure = len(set(leader) & set(follower)) + drawn(run)
    run.run()
    enough = figure >= minimum
    outcome = psi.Outcome.SHARED if enough else psi.Outcome.BELOW_MINIMUM
    assert run.count() == psi.CountResult(outcome=outcome, count=figure if enough else None)
    assert run.sessions["insurer"].result() == psi.CountResult(outcome=psi.Outcome.NOT_ENTITLED, count=None)


def test_estimates_of_many_runs_have_the_distribution_of_the_noise() -> None:
    """Whole runs, each with a seed of its own: the shift comes off exactly, and nothing else is lost or added."""
    sets = {"broker": clients(1, 2, 3, 4, 5, 6, 7, 8), "insurer": clients(3, 4, 5, 6, 7, 8, 9)}
    counted = Counter(estimates(SMALL, 250, sets))
    assert set(counted) <= set(range(6 - SMALL.reach, 6 + SMALL.reach + 1))
    expected = np.array(SMALL.weights, float) / sum(SMALL.weights) * 250
    observed = np.array([counted[6 - SMALL.reach + place] for place in range(SMALL.dummies + 1)], float)
    common = expected >= 5
    observed = np.append(observed[common], observed[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-6


def test_the_minimum_is_compared_with_the_estimate() -> None:
    for seed in range(20):
        run = prepared(minimum=SHARED, seed=str(seed))
        noise = drawn(run)
        outcome = run.run().count().outcome
        assert outcome is (psi.Outcome.SHARED if noise >= 0 else psi.Outcome.BELOW_MINIMUM)


# -- what the messages show


def test_lengths_say_nothing_of_overlap_and_noise() -> None:
    lengths, noises = set(), set()
    for seed, shift in enumerate([0, 20, 39, 40, 13, 5]):
        sets = {"broker": clients(*range(40)), "insurer": clients(*range(shift, shift + 40))}
        run = Alliance("count", sets, points_per_message=16, noise=STRONG, seed=str(seed))
        noises.add(drawn(run))
        run.run()
        lengths.add(tuple((item.sender, len(item.message)) for item in run.delivered))
    assert len(lengths) == 1 and len(noises) > 1


def points(run: Alliance, number: int) -> list[bytes]:
    data = records_of(run.delivered[number].message)
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def test_both_lists_are_longer_by_the_pool_and_repeat_no_point() -> None:
    run = prepared().run()
    for number, owner in enumerate(("broker", "insurer", "broker")):
        found = points(run, number)
        assert len(found) == len(set(found)) == len(PAIR[owner]) + STRONG.dummies


def test_dummies_stand_anywhere_and_under_the_senders_key() -> None:
    """Nothing that the leader can compute from the pool is in what it gets; the dummies' places differ by run."""
    places = []
    for seed in range(3):
        run = prepared(seed=str(seed))
        leader, follower = run.sessions["broker"], run.sessions["insurer"]
        assert isinstance(leader, NoisyCountLeader) and isinstance(follower, NoisyCountFollower)
        pool, own, theirs = leader._pool(), leader._key("insurer"), follower._key("broker")
        entered = STRONG.reach + drawn(run)
        run.run()
        masked, doubled = points(run, 1), points(run, 2)
        known = {*pool, *group.multiply_all(own, pool)}
        assert not known & {*masked, *doubled}
        under_key = group.multiply_all(theirs, pool)
        places.append([masked.index(point) for point in under_key if point in masked])
        assert len(places[-1]) == entered
    assert len({tuple(found[:3]) for found in places}) == 3


def test_no_identifier_can_be_a_dummy() -> None:
    """Dummies are hashed under another tag: ids that are written like them match nothing."""
    ids = [i.to_bytes(4, "big") for i in range(STRONG.dummies)]
    run = prepared(sets={"broker": ids, "insurer": ids[5:]})
    noise = drawn(run)
    assert run.run().count().count == len(ids) - 5 + noise
    leader = prepared().sessions["broker"]
    assert isinstance(leader, NoisyCountLeader)
    tag = group.domain(leader.setup.context)
    assert not set(leader._pool()) & {group.hash_to_group(item, tag) for item in ids}


def test_two_jobs_have_other_dummies() -> None:
    first, second = prepared().sessions["broker"], Alliance("count", PAIR, noise=STRONG, context=b"x" * 32)
    other = second.sessions["broker"]
    assert isinstance(first, NoisyCountLeader) and isinstance(other, NoisyCountLeader)
    assert not set(first._pool()) & set(other._pool())


def test_limit_a_leader_that_leaves_the_dummies_out_has_the_exact_number() -> None:
    """docs/matching.md says so (a count with noise): the noise holds against a leader that follows the protocol."""

    class Cheat(NoisyCountLeader):
        def _hashed(self) -> list[bytes]:
            others = [b"nobody %d" % i for i in range(self._noise.dummies)]
            tag = group.domain(self.setup.context)
            return group.hash_all([*self._ids, *others], tag)

        def _figure(self, matches: int) -> int:
            return matches

    for seed in range(5):
        run = prepared(seed=str(seed))
        honest = run.sessions["broker"]
        run.waiting.clear()
        assert isinstance(honest, NoisyCountLeader)
        run.sessions["broker"] = Cheat(honest.setup, honest._seed, PAIR["broker"], type(honest.state)(), map)
        run.post("broker", run.sessions["broker"].start())
        assert run.run().count().count == SHARED


# -- both agree, or nothing is answered


@pytest.mark.parametrize("other", [None, SMALL])
def test_a_side_with_other_noise_is_refused(other: CountNoise | None) -> None:
    run = prepared()
    follower = Alliance("count", PAIR, noise=other).sessions["insurer"]
    (opening,) = run.waiting["broker", "insurer"]
    with pytest.raises(CountDiffers):
        follower.receive("broker", opening)


@pytest.mark.parametrize("mode", ["align", "count-then-rows", "align-hidden"])
def test_other_modes_take_no_noise(mode: str) -> None:
    with pytest.raises(BadSetup):
        Alliance(mode, PAIR, noise=STRONG)


def test_damage_and_fewer_points_are_refused_and_the_true_message_still_works() -> None:
    run = prepared(SMALL)
    while any(run.waiting.values()):
        link = next(link for link, queue in run.waiting.items() if queue)
        (sender, recipient), message = link, run.waiting[link][0]
        session = run.sessions[recipient]
        before = session.dump()
        damaged = [bytes([*message[:at], message[at] ^ 1, *message[at + 1 :]]) for at in range(0, len(message), 7)]
        records = records_of(message)
        for wrong in [*damaged, rewritten(message, records[:-32]), rewritten(message, records[32:] + records[32:64])]:
            with pytest.raises(Failure):
                session.receive(sender, wrong)
        assert session.dump() == before
        run.deliver_one()
    assert run.sessions["broker"].transcript("insurer") == run.sessions["insurer"].transcript("broker")


# -- crashes


def test_a_restart_draws_no_second_noise() -> None:
    plain = Alliance("count", PAIR, points_per_message=9, noise=STRONG).run()
    crashed = Alliance("count", PAIR, points_per_message=9, noise=STRONG)
    while crashed.deliver_one():
        crashed.restart("broker")
        crashed.restart("insurer")
    assert crashed.delivered == plain.delivered
    assert crashed.count() == plain.count()
    assert crashed.sessions["broker"].setup.noise == STRONG


def test_a_follower_that_is_done_has_forgotten_its_noise() -> None:
    run = prepared()
    seed = run.sessions["insurer"]._seed
    run.run()
    follower = run.sessions["insurer"]
    assert follower._seed == b"" and seed not in follower.dump()
    again = psi.load(follower.dump(), ())
    assert again._seed == b""


def test_a_dump_from_before_there_was_noise_goes_on() -> None:
    run = Alliance("count", PAIR)
    value = packing.unpack(run.sessions["insurer"].dump())
    assert isinstance(value, dict) and isinstance(value["setup"], dict)
    setup = {name: item for name, item in value["setup"].items() if name != "noise"}
    run.sessions["insurer"] = psi.load(packing.pack({**value, "setup": setup}), PAIR["insurer"])
    assert run.run().count().count == SHARED
