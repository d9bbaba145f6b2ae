"""What goes wrong at the opening: wrong answers found and named, everything else voids the round."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.aggregation import CiphertextMalformed, RoundVoid
from privacy.ids import PartnerId
from privacy.ring import Ints, Stream
from privacy.threshold import ParameterSet, bounds, dealing, field, opening, vectors
from privacy.threshold.lattice import binomial
from privacy.threshold.wire import HEADER_BYTES
from tests.privacy.threshold.support import SLOT, Aggregation, banks, engine, entropy, hide, random_lanes

COUNT = 60


def aggregation(
    partners: int, cohort: int | None = None, count: int = COUNT, colluders: int | None = None
) -> Aggregation:
    setup = engine(partners, colluders)
    members = banks(partners)[: cohort or partners]
    return Aggregation(setup, members, [random_lanes(setup, count, i) for i in range(len(members))])


def shifted(answer: bytes, by: np.ndarray) -> bytes:
    """An answer whose field elements are moved by small or large integers."""
    values = np.frombuffer(answer, "<u4", offset=HEADER_BYTES).astype(np.int64)
    return answer[:HEADER_BYTES] + ((values + by) % field.P).astype("<u4").tobytes()


def noise(label: int) -> np.ndarray:
    return np.random.default_rng(label).integers(0, field.P, 2048)


def opened(run: Aggregation, answers: dict[PartnerId, bytes]) -> tuple[PartnerId, ...]:
    result = run.engine.open(run.total(), run.count, len(run.cohort), answers)
    assert (result.lanes == run.expected).all()
    return result.wrong


def is_void(run: Aggregation, answers: dict[PartnerId, bytes], why: str, wrong: str = "not known") -> None:
    with pytest.raises(RoundVoid) as caught:
        run.engine.open(run.total(), run.count, len(run.cohort), answers)
    assert why in str(caught.value.facts["why"]) and caught.value.facts["wrong"] == wrong


def spoil(run: Aggregation, holders: Iterable[PartnerId]) -> dict[PartnerId, bytes]:
    answers = run.answers(run.engine.roster.partners)
    for i, holder in enumerate(holders):
        answers[holder] = shifted(answers[holder], noise(i))
    return answers


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_wrong_answers_are_named_and_the_sum_opens_without_them(data: st.DataObject) -> None:
    partners = data.draw(st.integers(6, 20))
    run = aggregation(partners, cohort=3, count=5)
    radius = (partners - run.engine.roster.threshold) // 2
    wrong = data.draw(st.lists(st.sampled_from(banks(partners)), min_size=1, max_size=radius, unique=True))
    assert opened(run, spoil(run, wrong)) == tuple(sorted(wrong, key=lambda p: run.engine.roster.place(p)))


@pytest.mark.parametrize("coordinate", [0, 1, 2047])
def test_one_changed_word_of_an_answer_is_found(coordinate: int) -> None:
    run = aggregation(6)
    answers = run.answers(banks(6))
    step = np.zeros(2048, np.int64)
    step[coordinate] = 1
    answers[banks(6)[4]] = shifted(answers[banks(6)[4]], step)
    assert opened(run, answers) == (banks(6)[4],)


def test_one_answer_beyond_the_threshold_detects_a_wrong_one_and_names_nobody() -> None:
    run = aggregation(4)
    for liar in banks(4):
        is_void(run, spoil(run, [liar]), "contradict")
    assert opened(run, run.answers(banks(4))) == ()


def under_another_key(run: Aggregation, cheat: PartnerId) -> np.ndarray:
    """Let it upload under a key that it did not deal; that key minus the dealt one (N,), modulo P."""
    setup = run.engine
    other = setup.deal(cheat, entropy("other"))
    run.uploads[cheat] = hide(setup, other.secret, random_lanes(setup, COUNT, run.cohort.index(cheat)), cheat)
    uploaded, dealt = (
        dealing.secret_polynomial(setup.parameters, one.secret[HEADER_BYTES:]) for one in (other, run.dealings[cheat])
    )
    return (uploaded - dealt) % field.P


def bend(answers: dict[PartnerId, bytes], holder: PartnerId, difference: np.ndarray, factor: int) -> None:
    """Add a multiple of the difference of two keys to a holder's answer."""
    by = [int(value) * factor % field.P for value in difference]
    answers[holder] = shifted(answers[holder], np.array(by))


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_one_cheat_can_not_have_an_honest_partner_of_its_choice_named(victim: int) -> None:
    """It uploads under another key and bends its answer so that the sum opens just where the victim is left out."""
    run = aggregation(4)
    cheat = banks(4)[3]
    difference, answers = under_another_key(run, cheat), run.answers(banks(4))
    rest = [place for place in (1, 2, 3, 4) if place != victim]
    weight = int(field.lagrange(rest, [0])[0][rest.index(4)])
    bend(answers, cheat, difference, pow(weight, -1, field.P))
    without = {partner: answer for partner, answer in answers.items() if partner != banks(4)[victim - 1]}
    assert opened(run, without) == ()
    is_void(run, answers, "contradict")


@pytest.mark.parametrize("victim", [1, 2, 3, 4, 5])
def test_two_cheats_can_not_have_an_honest_partner_named_where_the_sum_opens(victim: int) -> None:
    """n = 7, f = 2, t = 5: their answers and four honest ones lie on the polynomial of the other key."""
    run = aggregation(7, colluders=2)
    difference, answers = under_another_key(run, banks(7)[5]), run.answers(banks(7))
    roots = [place for place in range(1, 6) if place != victim]
    at_zero = math.prod(-root for root in roots)
    for place in (6, 7):
        factor = math.prod(place - root for root in roots) * pow(at_zero, -1, field.P)
        bend(answers, banks(7)[place - 1], difference, factor)
    assert opened(run, answers) == ()


@pytest.mark.parametrize("partners", [3, 4])
def test_with_just_enough_answers_a_wrong_one_voids_the_round(partners: int) -> None:
    run = aggregation(partners)
    holders = banks(partners)[: run.engine.roster.threshold]
    answers = {holder: answer for holder, answer in spoil(run, holders[:1]).items() if holder in holders}
    is_void(run, answers, "sum of the keys is out of range")


@pytest.mark.parametrize("count", [1, COUNT])
def test_a_key_sum_that_is_off_by_a_little_is_noticed(count: int) -> None:
    """All answers of a coalition agree on S + v with a small v, so neither decoding nor the range of S can tell."""
    run = aggregation(3, count=count)
    small = np.zeros(2048, np.int64)
    small[11] = 1
    answers = {holder: shifted(answer, small) for holder, answer in run.answers(banks(3)).items()}
    is_void(run, answers, "residual is out of range")
    even = np.zeros(2048, np.int64)
    even[[3, 700]] = 64  # a multiple of a power of two leaves fewer residuals out of range
    answers = {holder: shifted(answer, even) for holder, answer in run.answers(banks(3)).items()}
    is_void(run, answers, "residual is out of range")


def altered(total: bytes, coefficient: int, by: int) -> bytes:
    """A total whose coefficient is moved by an integer, modulo 2^48."""
    coefficients = (len(total) - HEADER_BYTES) // 6
    at = (HEADER_BYTES + 4 * coefficient, HEADER_BYTES + 4 * coefficients + 2 * coefficient)
    value = int.from_bytes(total[at[0] :][:4], "little") + (int.from_bytes(total[at[1] :][:2], "little") << 32)
    data, moved = bytearray(total), (value + by) % (1 << 48)
    data[at[0] : at[0] + 4] = (moved & 0xFFFFFFFF).to_bytes(4, "little")
    data[at[1] : at[1] + 2] = (moved >> 32).to_bytes(2, "little")
    return bytes(data)


@pytest.mark.parametrize("coefficient", [0, 10, 2047])
def test_a_residual_at_its_bound_opens_and_beyond_it_does_not(coefficient: int) -> None:
    """On both sides, in a check lane, in a lane and in the zeros behind: the errors are known here from the keys."""
    run = aggregation(3)
    errors = 0
    for dealing_ in run.dealings.values():
        stream = Stream(dealing_.secret[HEADER_BYTES:], "threshold error")
        errors += int(binomial(stream, run.engine.parameters, 1)[0, coefficient]) - 82
    answers, total, bound = run.answers(banks(3)), run.total(), 3 * 82
    for side in (-1, 1):
        edge = altered(total, coefficient, side * bound - errors)
        assert (run.engine.open(edge, COUNT, 3, answers).lanes == run.expected).all()
        with pytest.raises(RoundVoid, match="residual is out of range"):
            run.engine.open(altered(edge, coefficient, side), COUNT, 3, answers)


@pytest.mark.parametrize("coefficient", [0, 3, 4 + COUNT, 2047])
def test_a_zero_that_is_not_zero_voids_the_round(coefficient: int) -> None:
    run = aggregation(3)
    with pytest.raises(RoundVoid, match="not zero in the sum"):
        run.engine.open(altered(run.total(), coefficient, 1 << 16), COUNT, 3, run.answers(banks(3)))


def test_the_hub_itself_can_state_another_sum() -> None:
    """Not claimed: who holds the total can move a lane by whole steps. The sum is hidden from it, not bound to it."""
    run = aggregation(3)
    result = run.engine.open(altered(run.total(), 4, 5 << 16), COUNT, 3, run.answers(banks(3)))
    assert result.lanes[0] == run.expected[0] + 5


def test_what_a_combination_shows_is_verified_in_every_coordinate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A combination that hides the wrong answer changes nothing: the answers still contradict each other."""
    run = aggregation(6)
    answers = spoil(run, [banks(6)[5]])
    monkeypatch.setattr(opening, "wrong_places", lambda places, word, terms: ())
    is_void(run, answers, "contradict")


def test_an_update_under_another_key_voids_the_round() -> None:
    """The forged upload states its dealer, but was made with a key that was never dealt for this slot."""
    for count in (1, COUNT, 3000):
        run = aggregation(4, count=count)
        other = run.engine.deal(banks(4)[2], entropy("another slot"))
        run.uploads[banks(4)[2]] = hide(run.engine, other.secret, random_lanes(run.engine, count), banks(4)[2])
        is_void(run, run.answers(banks(4)), "update under another key")


def test_an_altered_or_missing_update_voids_the_round() -> None:
    run = aggregation(4)
    upload = run.uploads[banks(4)[0]]
    run.uploads[banks(4)[0]] = upload[:HEADER_BYTES] + entropy("junk")(len(upload) - HEADER_BYTES)
    is_void(run, run.answers(banks(4)), "residual")
    del run.uploads[banks(4)[0]]
    with pytest.raises(AssertionError):
        run.engine.open(run.total(), COUNT, 4, run.answers(banks(4)))


def test_answers_for_another_cohort_open_nothing_else() -> None:
    """Answers of four and a total of three: nothing opens, and the other way round."""
    run = aggregation(4)
    three = aggregation(4, cohort=3)
    is_void(three, run.answers(banks(4)), "state its cohort")  # of all of them the total may be what is wrong
    is_void(run, three.answers(banks(4)), "state its cohort")
    mixed = three.answers(banks(4)[:2]) | run.answers(banks(4)[2:])
    is_void(run, mixed, "2 answers of 3 needed", ", ".join(banks(4)[:2]))


def test_one_answer_for_another_cohort_or_place_is_set_aside_and_named() -> None:
    run, three = aggregation(4), aggregation(4, cohort=3)
    answers = run.answers(banks(4))
    assert opened(run, answers | {banks(4)[3]: three.answer(banks(4)[3])}) == (banks(4)[3],)
    assert opened(run, answers | {banks(4)[3]: run.answer(banks(4)[0])}) == (banks(4)[3],)
    assert opened(run, answers | {banks(4)[0]: run.answer(banks(4)[3])}) == (banks(4)[0],)


def test_too_few_answers_void_the_round() -> None:
    run = aggregation(5)
    is_void(run, run.answers(banks(5)[: run.engine.roster.threshold - 1]), "answers of 4 needed")
    is_void(run, {}, "0 answers")


def test_a_coalition_too_large_to_be_corrected_names_no_honest_partner() -> None:
    """Six of ten answer on the polynomial of another sum: decoding then points at the four honest ones.

    The residuals void the round, and nobody is named.
    """
    run = aggregation(10)
    answers = run.answers(banks(10))
    small = np.zeros(2048, np.int64)
    small[5] = 3
    terms = np.vstack([small, np.random.default_rng(1).integers(0, field.P, (run.engine.roster.threshold - 3, 2048))])
    moved = field.evaluate((terms % field.P).astype(np.uint64), range(1, 11)).astype(np.int64)
    for place in range(1, 9):
        answers[banks(10)[place - 1]] = shifted(answers[banks(10)[place - 1]], moved[place - 1])
    is_void(run, answers, "residual")


def test_a_dealt_key_that_is_no_small_polynomial_voids_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = engine(3)

    def wide(parameters: ParameterSet, seed: bytes) -> Ints:
        return np.full(2048, 3 * 82 + 1 + 2 * 82)

    honest = dealing.secret_polynomial
    run = Aggregation(setup, banks(3), [random_lanes(setup, 9, i) for i in range(3)])
    for module in (dealing, vectors):
        monkeypatch.setattr(module, "secret_polynomial", wide)
    run.dealings[banks(3)[1]] = setup.deal(banks(3)[1], entropy("wide"))
    run.uploads[banks(3)[1]] = hide(setup, run.dealings[banks(3)[1]].secret, random_lanes(setup, 9), banks(3)[1])
    for holder in banks(3):
        setup.accept(banks(3)[1], holder, run.dealings[banks(3)[1]].public, run.dealings[banks(3)[1]].shares[holder])
    monkeypatch.setattr(dealing, "secret_polynomial", honest)
    is_void(run, run.answers(banks(3)), "keys is out of range")


def test_a_lane_beyond_what_the_cohort_can_reach_voids_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update with lanes of 32 bits instead of 30: two partners cannot have sent so much."""
    run = aggregation(3, cohort=2)
    with monkeypatch.context() as patch:
        patch.setattr(vectors, "bounds", lambda parameters, parties, count: bounds(parameters, 2, count))
        lanes = np.full(COUNT, (1 << 31) - 1)
        run.uploads[banks(3)[0]] = hide(run.engine, run.dealings[banks(3)[0]].secret, lanes, banks(3)[0])
    with pytest.raises(RoundVoid, match="lane is out of range"):
        run.engine.open(run.total(), COUNT, 2, run.answers(banks(3)))


def test_a_total_of_another_length_or_job_is_malformed() -> None:
    run = aggregation(3)
    answers = run.answers(banks(3))
    for total, count in ((run.total(), COUNT + 1), (run.total()[:-1], COUNT), (run.uploads[banks(3)[0]], COUNT)):
        with pytest.raises(CiphertextMalformed):
            run.engine.open(total, count, 3, answers)


def test_the_sum_of_keys_opens_the_sum_and_no_single_update() -> None:
    run = aggregation(3)
    alone = run.engine.adder(COUNT, SLOT)
    alone.add(run.uploads[banks(3)[0]], banks(3)[0])
    single = bytearray(alone.total())
    single[8:16] = run.total()[8:16]  # the hub lies about whose vectors it added
    with pytest.raises(RoundVoid):
        run.engine.open(bytes(single), COUNT, 3, run.answers(banks(3)))
