"""One bucket as the functions that workers run: against sets, with failures forced, and what the tags look like."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.oprf import base_ot
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.bucket import TIES_MAX, Bucket, answer, prepare, shared
from privacy.psi.oprf.digests import WORDS, WORDS_LONG, digest_all
from privacy.psi.oprf.errors import BucketOverflow, ExtensionLength, StoreUnsolvable, TagsMalformed
from privacy.psi.oprf.options import OPTIONS, SEMI_HONEST, Option
from privacy.psi.oprf.parameters import Parameters, parameters
from tests.privacy.oprf.support import RECEIVER, SENDER, Pair, clients
from tests.support.entropy import SeededEntropy

SALT = bytes(range(32))
CONTEXT = b"one job, one pair of parties"
HISTORY = b"h" * 32


@lru_cache
def seeds_of(option: Option) -> tuple[PairSeeds, ChosenSeeds]:
    columns = option.code.length
    secret, offered = base_ot.offer(columns, SeededEntropy(b"receiver"))
    chosen, answered = base_ot.choose(offered, columns, CONTEXT, SeededEntropy(b"sender"))
    return base_ot.accept(secret, answered, CONTEXT), chosen


@pytest.fixture
def seeds() -> tuple[PairSeeds, ChosenSeeds]:
    return seeds_of(SEMI_HONEST)


def bucket(ids: list[bytes], sizes: Parameters, secret: int = 0, number: int = 0) -> Bucket:
    words = WORDS if sizes.option.word_bits <= 64 else WORDS_LONG
    return Bucket(
        sizes=sizes,
        salt=SALT,
        history=HISTORY,
        number=number,
        digests=digest_all(ids, SALT, words),
        secret=bytes([secret]) * 16,
    )


SIDES = st.lists(st.integers(0, 600), unique=True, max_size=400)


@settings(max_examples=60)
@given(st.sampled_from(list(OPTIONS)), SIDES, SIDES, st.integers(0, 1 << 20), st.integers(0, 3))
def test_shared_rows_equal_the_set_oracle(
    option: str, receiver: list[int], sender: list[int], number: int, first_attempt: int
) -> None:
    seeds = seeds_of(OPTIONS[option])
    sizes = parameters(len(receiver), len(sender), option=OPTIONS[option])
    made = prepare(bucket(clients(*receiver), sizes, 1, number), seeds[0], first_attempt)
    assert (made.attempt, len(made.matrix)) == (first_attempt, sizes.matrix_bytes)
    tags = answer(bucket(clients(*sender), sizes, 2, number), seeds[1], made.attempt, made.matrix)
    assert len(tags) == sizes.tags_bytes
    rows = shared(made.tags, tags)
    assert [receiver[row] for row in rows] == [value for value in receiver if value in set(sender)]


def test_a_bucket_that_is_not_full_is_padded(seeds: tuple[PairSeeds, ChosenSeeds]) -> None:
    sizes = replace(parameters(1000, 1000), sender_bucket=1200)
    made = prepare(bucket(clients(*range(10)), sizes, 1), seeds[0], 0)
    full = prepare(bucket(clients(*range(1000)), sizes, 1), seeds[0], 0)
    assert len(made.matrix) == len(full.matrix)
    tags = answer(bucket(clients(*range(5, 15)), sizes, 2), seeds[1], 0, made.matrix)
    assert len(tags) == 1200 * sizes.tag_bytes
    assert shared(made.tags, tags).tolist() == [5, 6, 7, 8, 9]


def test_tags_of_identifiers_that_are_not_shared_look_random(seeds: tuple[PairSeeds, ChosenSeeds]) -> None:
    """Every bit of the sender's tags is set about half the time, and no tag comes again in another bucket."""
    sizes = parameters(2000, 2000)
    made = prepare(bucket(clients(*range(2000)), sizes, 1), seeds[0], 0)
    lists = []
    for number in range(2):
        tags = answer(bucket(clients(*range(5000, 7000)), sizes, 2, number), seeds[1], 0, made.matrix)
        lists.append(np.frombuffer(tags, np.uint8).reshape(-1, sizes.tag_bytes))
    share = np.unpackbits(lists[0][:, 1:], axis=1).mean(axis=0)
    assert (abs(share - 0.5) < 0.06).all()  # five standard deviations of 2000 tosses
    assert not {tag.tobytes() for tag in lists[0]} & {tag.tobytes() for tag in lists[1]}


def test_a_store_that_cannot_be_solved_is_tried_again_and_then_given_up(
    seeds: tuple[PairSeeds, ChosenSeeds], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = parameters(50, 50)
    ids = clients(*range(50))
    place = Bucket.keys
    broken = {0, 1, 2}

    def keys(self: Bucket, attempt: int) -> object:
        placed = place(self, attempt)
        if attempt in broken:
            placed.sparse[1], placed.dense[1] = placed.sparse[0], placed.dense[0]
        return placed

    monkeypatch.setattr(Bucket, "keys", keys)
    made = prepare(bucket(ids, sizes, 1), seeds[0], 0)
    assert made.attempt == 3
    tags = answer(bucket(ids[10:], sizes, 2), seeds[1], made.attempt, made.matrix)
    assert shared(made.tags, tags).tolist() == list(range(10, 50))
    broken.add(3)
    with pytest.raises(StoreUnsolvable):
        prepare(bucket(ids, sizes, 1), seeds[0], 0)


def test_a_matrix_of_another_length_is_refused(seeds: tuple[PairSeeds, ChosenSeeds]) -> None:
    sizes = parameters(50, 50)
    with pytest.raises(ExtensionLength):
        answer(bucket(clients(1), sizes), seeds[1], 0, bytes(sizes.matrix_bytes - 1))


def test_too_many_identifiers_in_a_bucket_end_the_job() -> None:
    for name in (RECEIVER, SENDER):
        pair = Pair(clients(*range(40)), clients(*range(40)), {"bucket_keys": 20})
        session = pair.sessions[name]
        session.sizes = replace(session.sizes, receiver_bucket=10, sender_bucket=10)
        with pytest.raises(BucketOverflow):
            pair.run()


# -- the comparison of tags


def tag(first: int, last: int = 0) -> bytes:
    return first.to_bytes(8, "big") + last.to_bytes(2, "big")


def test_tags_with_equal_first_bytes_are_told_apart() -> None:
    received = b"".join([tag(1, 1), tag(5, 1), tag(5, 3), tag(5, 7), tag(9, 0)])
    own = np.frombuffer(b"".join([tag(5, 7), tag(5, 2), tag(9, 0), tag(5, 1), tag(9, 1), tag(0)]), np.uint8)
    assert shared(own.reshape(-1, 10), received).tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    "tags",
    [
        [tag(2), tag(1)],
        [tag(1), tag(1)],
        [tag(1, 2), tag(1, 1)],
        [tag(1, last) for last in range(TIES_MAX + 1)],
    ],
)
def test_tags_that_do_not_ascend_are_refused(tags: list[bytes]) -> None:
    own = np.frombuffer(tag(1), np.uint8).reshape(-1, 10)
    with pytest.raises(TagsMalformed):
        shared(own, b"".join(tags))


def test_no_tags_on_either_side() -> None:
    none = np.empty((0, 10), np.uint8)
    assert shared(none, b"").tolist() == []
    assert shared(none, tag(1)).tolist() == []
    assert shared(np.frombuffer(tag(1), np.uint8).reshape(-1, 10), b"").tolist() == []


@given(st.integers(8, 16), st.integers(0, 200), st.integers(0, 200), st.integers(0, 1 << 30))
def test_comparison_equals_the_set_oracle(size: int, own: int, received: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    pool = random.integers(0, 256, (150, size), dtype=np.uint8)
    mine = pool[random.integers(0, 150, own)]
    theirs = sorted({row.tobytes() for row in pool[random.integers(0, 150, received)]})
    expected = [i for i, row in enumerate(mine) if row.tobytes() in set(theirs)]
    assert shared(mine, b"".join(theirs)).tolist() == expected
