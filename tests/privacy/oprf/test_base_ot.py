"""Base transfers: an independent oracle on the curve's integers, every hostile point, and messages out of place."""

import hashlib

import pytest

from privacy import canonical
from privacy.psi import group
from privacy.psi.errors import BadPoint
from privacy.psi.oprf import base_ot
from privacy.psi.oprf.errors import BaseTransferLength
from tests.privacy.test_psi_group import HOSTILE
from tests.support import edwards
from tests.support.entropy import SeededEntropy

COLUMNS = 16
CONTEXT = b"a job between two partners"


def both(context: bytes = CONTEXT) -> tuple[base_ot.PairSeeds, base_ot.ChosenSeeds, bytes, bytes, bytes]:
    secret, offered = base_ot.offer(COLUMNS, SeededEntropy(b"offer"))
    chosen, answer = base_ot.choose(offered, COLUMNS, context, SeededEntropy(b"choose"))
    return base_ot.accept(secret, answer, context), chosen, secret, offered, answer


PAIRS, CHOSEN, SECRET, OFFERED, ANSWER = both()


def bits(chosen: base_ot.ChosenSeeds) -> list[int]:
    return [chosen.choices[i // 8] >> i % 8 & 1 for i in range(chosen.columns)]


def seed(pairs: base_ot.PairSeeds, column: int, choice: int) -> bytes:
    return pairs.seeds[32 * column + 16 * choice :][:16]


def decode(point: bytes) -> edwards.Point:
    """The curve point of a canonical encoding."""
    value = int.from_bytes(point, "little")
    found = edwards.from_y(value % 2**255, value >> 255)
    assert found is not None, "on the curve"
    return found


def fitting(pairs: base_ot.PairSeeds, chosen: base_ot.ChosenSeeds) -> list[list[bool]]:
    """For each column: is the chosen seed the first, the second of the pair?"""
    held = [chosen.seeds[16 * i : 16 * i + 16] for i in range(chosen.columns)]
    return [[seed(pairs, i, choice) == held[i] for choice in (0, 1)] for i in range(chosen.columns)]


def test_the_chosen_seed_is_the_one_of_the_choice_and_only_that() -> None:
    assert fitting(PAIRS, CHOSEN) == [[choice == 0, choice == 1] for choice in bits(CHOSEN)]
    assert {0, 1} == set(bits(CHOSEN)), "both choices are tested"
    assert len({seed(PAIRS, i, x) for i in range(COLUMNS) for x in (0, 1)}) == 2 * COLUMNS


def test_seeds_follow_the_protocol_on_the_curve() -> None:
    """The offering side again, with the integers of `edwards`: a·(R[x] + H(i, x, R[1 - x]))."""
    context = canonical.digest_bytes("ecohub/oprf-base-ot/1", CONTEXT)
    for column in range(3):
        scalar = int.from_bytes(SECRET[32 * column : 32 * column + 32], "little")
        pair = ANSWER[64 * column : 64 * column + 64]
        assert OFFERED[32 * column : 32 * column + 32] == edwards.encode(edwards.multiply(scalar, edwards.BASE))
        for choice in (0, 1):
            place = column.to_bytes(4, "big") + bytes([choice])
            own, other = pair[32 * choice :][:32], pair[32 * (1 - choice) :][:32]
            blind = decode(group.hash_to_group(place + other, group.domain(context)))
            shared = edwards.encode(edwards.multiply(scalar, edwards.add(decode(own), blind)))
            data = context + hashlib.sha256(OFFERED + ANSWER).digest() + place + shared
            assert seed(PAIRS, column, choice) == canonical.digest_bytes("ecohub/oprf-seed/2", data)[:16]


def test_known_answer() -> None:
    """Fixed entropy gives fixed messages: a change of the protocol must change its labels too."""
    joined = PAIRS.seeds + CHOSEN.seeds + CHOSEN.choices + OFFERED + ANSWER
    assert hashlib.sha256(joined).hexdigest() == "abb0d1e592c0009fe204c643544017c5adc6683c2884533624ca4467979051b5"


@pytest.mark.parametrize("column", [0, COLUMNS - 1])
def test_an_offer_answered_twice_gives_no_seed_twice(column: int) -> None:
    """Also where the two answers differ in one column only: a restored party must not use a stream again."""
    at = 64 * column
    other = ANSWER[:at] + ANSWER[at + 32 : at + 64] + ANSWER[at : at + 32] + ANSWER[at + 64 :]
    seeds = [base_ot.accept(SECRET, answer, CONTEXT) for answer in (ANSWER, other)]
    assert len({seed(pairs, i, x) for pairs in seeds for i in range(COLUMNS) for x in (0, 1)}) == 4 * COLUMNS


def test_answers_hide_the_choice() -> None:
    """Every point of the answer is a valid element, and both places look alike: no coordinate tells the choice."""
    halves = [[ANSWER[64 * i + 32 * x :][:32] for i in range(COLUMNS)] for x in (0, 1)]
    for points in halves:
        for point in points:
            group.check(point)
    assert len(set(halves[0] + halves[1])) == 2 * COLUMNS


def test_lengths_depend_on_the_number_of_columns_only() -> None:
    assert len(OFFERED) == base_ot.offer_bytes(COLUMNS) == 512
    assert len(ANSWER) == base_ot.answer_bytes(COLUMNS) == 1024


@pytest.mark.parametrize("column", [0, COLUMNS - 1])
@pytest.mark.parametrize("name", [name for name, point in HOSTILE.items() if len(point) == 32])
def test_hostile_points_of_the_offer_are_refused(name: str, column: int) -> None:
    hostile = OFFERED[: 32 * column] + HOSTILE[name] + OFFERED[32 * column + 32 :]
    with pytest.raises(BadPoint):
        base_ot.choose(hostile, COLUMNS, CONTEXT, SeededEntropy(b"choose"))


@pytest.mark.parametrize("place", [0, 1, 2 * COLUMNS - 1])
@pytest.mark.parametrize("name", [name for name, point in HOSTILE.items() if len(point) == 32])
def test_hostile_points_of_the_answer_are_refused(name: str, place: int) -> None:
    hostile = ANSWER[: 32 * place] + HOSTILE[name] + ANSWER[32 * place + 32 :]
    with pytest.raises(BadPoint):
        base_ot.accept(SECRET, hostile, CONTEXT)


@pytest.mark.parametrize("length", [0, 31, 511, 513, 1024])
def test_an_offer_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BaseTransferLength):
        base_ot.choose((OFFERED * 2)[:length], COLUMNS, CONTEXT, SeededEntropy(b"choose"))


@pytest.mark.parametrize("length", [0, 512, 1023, 1025, 2048])
def test_an_answer_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BaseTransferLength):
        base_ot.accept(SECRET, (ANSWER * 2)[:length], CONTEXT)


def test_a_point_that_cancels_its_blinding_is_refused() -> None:
    """R[0] = -H(0, 0, R[1]) would make the first seed known to everybody: a·identity."""
    context = canonical.digest_bytes("ecohub/oprf-base-ot/1", CONTEXT)
    other = ANSWER[32:64]
    negative = edwards.encode(edwards.negate(decode(group.hash_to_group(bytes(5) + other, group.domain(context)))))
    with pytest.raises(BadPoint):
        base_ot.accept(SECRET, negative + ANSWER[32:], CONTEXT)


@pytest.mark.parametrize("place", range(0, 1024, 97))
def test_any_changed_byte_of_the_answer_is_refused_or_spoils_both_seeds_of_its_column_only(place: int) -> None:
    changed = bytearray(ANSWER)
    changed[place] ^= 1
    try:
        pairs = base_ot.accept(SECRET, bytes(changed), CONTEXT)
    except BadPoint:
        return
    column = place // 64
    assert fitting(pairs, CHOSEN)[column] == [False, False]
    assert [x for i, x in enumerate(fitting(pairs, CHOSEN)) if i != column] == [
        x for i, x in enumerate(fitting(PAIRS, CHOSEN)) if i != column
    ]


def test_columns_in_another_order_fit_nothing() -> None:
    swapped = ANSWER[64:128] + ANSWER[:64] + ANSWER[128:]
    assert fitting(base_ot.accept(SECRET, swapped, CONTEXT), CHOSEN)[:2] == [[False, False]] * 2


def test_a_repeated_column_gives_other_seeds_even_under_the_same_scalar() -> None:
    """What goes wrong where the place is not hashed (McQuoid, Rosulek, Roy 2021): equal answers, equal seeds."""
    secret, answer = SECRET[:32] * 2, ANSWER[:64] * 2
    pairs = base_ot.accept(secret, answer, CONTEXT)
    assert len({seed(pairs, i, x) for i in (0, 1) for x in (0, 1)}) == 4


def test_another_job_fits_nothing() -> None:
    assert not any(map(any, fitting(base_ot.accept(SECRET, ANSWER, CONTEXT + b"!"), CHOSEN)))


def test_another_offer_fits_nothing() -> None:
    secret, _ = base_ot.offer(COLUMNS, SeededEntropy(b"another offer"))
    assert not any(map(any, fitting(base_ot.accept(secret, ANSWER, CONTEXT), CHOSEN)))


def test_fresh_entropy_gives_fresh_everything() -> None:
    _, offered = base_ot.offer(COLUMNS, SeededEntropy(b"other"))
    chosen, answer = base_ot.choose(OFFERED, COLUMNS, CONTEXT, SeededEntropy(b"other"))
    assert offered != OFFERED and answer != ANSWER and chosen.choices != CHOSEN.choices


def test_seeds_do_not_show_in_a_log() -> None:
    assert PAIRS.seeds.hex()[:16] not in repr(PAIRS) and repr(PAIRS) == "PairSeeds()"
    assert repr(CHOSEN) == "ChosenSeeds()"
