"""One bucket of mode labels: against plain dicts, with damage, forced failures, and what the store shows."""

from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.errors import BadIdentifiers
from privacy.psi.oprf import base_ot, okvs
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.bucket import Bucket, Bytes, Words, prepare
from privacy.psi.oprf.digests import WORDS, WORDS_LONG, digest_all
from privacy.psi.oprf.errors import ExtensionLength, LabelsMalformed, StoreUnsolvable
from privacy.psi.oprf.labels import LabelBucket, answer_labels, read_labels
from privacy.psi.oprf.labels_parameters import LABEL_BYTES_MAX, LabelParameters, label_parameters
from privacy.psi.oprf.options import OPTIONS, SEMI_HONEST, Option
from tests.privacy.oprf.labels_support import labels_for
from tests.privacy.oprf.support import clients
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


def bucket(ids: list[bytes], sizes: LabelParameters, own: list[bytes] | None = None, secret: int = 0) -> LabelBucket:
    """own: the labels of a sender's."""
    words = WORDS if sizes.option.word_bits <= 64 else WORDS_LONG
    return LabelBucket(
        sizes=sizes,
        salt=SALT,
        history=HISTORY,
        number=3,
        digests=digest_all(ids, SALT, words),
        secret=bytes([secret]) * 16,
        labels=labels_for(own or [], sizes.label_bytes),
    )


class Exchange:
    """A receiver's and a sender's bucket up to the sender's payload."""

    def __init__(
        self, mine: list[bytes], theirs: dict[bytes, bytes], sizes: LabelParameters | None = None, attempt: int = 0
    ) -> None:
        self.sizes = sizes or label_parameters(len(mine), len(theirs), 5, option=SEMI_HONEST)
        self.ids = mine
        self.pair, self.chosen = seeds_of(self.sizes.option)
        self.receiver = bucket(mine, self.sizes, secret=1)
        self.sender = bucket(list(theirs), self.sizes, list(theirs.values()), secret=2)
        self.made = prepare(self.receiver, self.pair, attempt)
        self.payload = self.answered(self.sender)

    def answered(self, sender: LabelBucket) -> bytes:
        return answer_labels(sender, self.chosen, self.made.attempt, self.made.matrix)

    def read(self, payload: bytes | None = None) -> dict[bytes, bytes]:
        rows, found = read_labels(self.receiver, self.made.tags, self.payload if payload is None else payload)
        assert rows.tolist() == sorted(set(rows.tolist()))
        return {self.ids[row]: label.tobytes() for row, label in zip(rows, found, strict=True)}

    def slots(self, payload: bytes | None = None) -> Bytes:
        data = self.payload if payload is None else payload
        return np.frombuffer(data, np.uint8, offset=4).reshape(-1, self.sizes.value_bytes)


def common(mine: list[bytes], theirs: dict[bytes, bytes], size: int) -> dict[bytes, bytes]:
    return {item: theirs[item].ljust(size, b"\x00") for item in mine if item in theirs}


SIDES = st.lists(st.integers(0, 600), unique=True, max_size=400)


@settings(max_examples=40)
@given(st.sampled_from(list(OPTIONS)), SIDES, SIDES, st.integers(1, LABEL_BYTES_MAX), st.integers(0, 3), st.randoms())
def test_labels_equal_the_dict_oracle(
    option: str, receiver: list[int], sender: list[int], size: int, attempt: int, random: Any
) -> None:
    mine, theirs = clients(*receiver), {item: random.randbytes(size) for item in clients(*sender)}
    sizes = label_parameters(len(mine), len(theirs), size, option=OPTIONS[option])
    exchange = Exchange(mine, theirs, sizes, attempt)
    assert len(exchange.payload) == sizes.tags_bytes
    assert exchange.read() == common(mine, theirs, size)


def test_equal_labels_and_labels_of_zeros_are_labels() -> None:
    mine = clients(*range(50))
    for label in (b"\x00" * 5, b"\xff" * 5):
        theirs = dict.fromkeys(clients(*range(25, 75)), label)
        assert Exchange(mine, theirs).read() == common(mine, theirs, 5)


def test_a_bucket_that_is_not_full_looks_like_a_full_one() -> None:
    sizes = replace(label_parameters(900, 900, 5, option=SEMI_HONEST), sender_bucket=900)
    mine = clients(*range(900))
    theirs = {item: item[-5:] for item in clients(*range(5))}
    few, none, full = (
        Exchange(mine, held, sizes) for held in (theirs, {}, {item: item[-5:] for item in clients(*range(900, 1800))})
    )
    assert len(few.payload) == len(none.payload) == len(full.payload)
    assert few.read() == theirs
    assert none.read() == full.read() == {}
    for one in (few, none, full):
        counts = np.bincount(one.slots().ravel(), minlength=256)
        expected = one.slots().size / 256
        assert (
            150 < ((counts - expected) ** 2 / expected).sum() < 370
        )  # chi-square, 255 degrees: mean 255, deviation 23


def test_the_store_shows_neither_labels_nor_tags() -> None:
    """Another pad for each job, bucket and attempt: equal labels of equal clients share no value."""
    ids = clients(*range(40))
    theirs = dict.fromkeys(ids, b"same!")
    first, again = Exchange(ids, theirs), Exchange(ids, theirs, attempt=1)
    assert first.read() == again.read()
    assert b"same!" not in first.payload
    looked = [okvs.look_up(one.slots(), one.receiver.places(0), one.sizes.label_shape) for one in (first, again)]
    assert len({row.tobytes() for rows in looked for row in rows}) == 80
    assert not (first.made.tags == again.made.tags).all(axis=1).any()


# -- authenticity


def test_every_changed_byte_makes_identifiers_vanish_and_never_another_label() -> None:
    """As their author could change them: no digest and no signature is in the way here."""
    mine = clients(*range(30))
    theirs = {item: b"L" + item[-4:] for item in clients(*range(10, 60))}
    sizes = label_parameters(30, 50, 5, option=SEMI_HONEST)
    exchange, expected = Exchange(mine, theirs, sizes), common(mine, theirs, 5)
    assert exchange.read() == expected
    vanished = 0
    for position in range(len(exchange.payload)):
        changed = bytearray(exchange.payload)
        changed[position] ^= 1 << position % 8
        try:
            found = exchange.read(bytes(changed))
        except LabelsMalformed:
            assert position < 4
            continue
        assert found.items() <= expected.items()
        vanished += len(found) < len(expected)
    assert vanished > sizes.tags_bytes // 3  # about as many slots as hold a shared client's value


def test_a_flipped_bit_of_a_label_is_caught_by_the_check() -> None:
    """The pad alone would let it through: the check's bytes are untouched, the label reads otherwise."""
    mine = clients(*range(30))
    exchange = Exchange(mine, dict.fromkeys(mine, b"A\x00\x00\x00\x00"))
    slots = exchange.slots().copy()
    slots[: exchange.sizes.label_column_slots, exchange.sizes.check_bytes] ^= 0x03  # A would become B for everybody
    assert exchange.read(exchange.payload[:4] + slots.tobytes()) == {}


def test_a_store_of_another_kind_reads_as_nothing() -> None:
    mine = clients(*range(300))
    exchange = Exchange(mine, dict.fromkeys(mine, b"A"))
    for value in (0x00, 0xFF, 0x55):
        assert exchange.read(exchange.payload[:4] + bytes([value]) * (len(exchange.payload) - 4)) == {}
    random = np.random.default_rng(5).bytes(len(exchange.payload) - 4)
    assert exchange.read(exchange.payload[:4] + random) == {}


def test_who_is_not_shared_passes_the_check_as_rarely_as_the_bound_says() -> None:
    """With a check of one byte, one of 256; with the 8 or more of every job, 2^-45 together."""
    mine, theirs = clients(*range(20_000)), dict.fromkeys(clients(*range(50_000, 51_000)), b"A")
    sizes = replace(label_parameters(20_000, 1000, 5, option=SEMI_HONEST), check_bytes=1)
    found = Exchange(mine, theirs, sizes).read()
    assert abs(len(found) - 20_000 / 256) < 5 * (20_000 / 256) ** 0.5


@pytest.mark.parametrize("number", [4, 5, 1 << 31, (1 << 32) - 1])
def test_numbers_of_attempts_that_no_sender_makes_are_refused(number: int) -> None:
    mine = clients(*range(10))
    exchange = Exchange(mine, dict.fromkeys(mine, b"A"))
    with pytest.raises(LabelsMalformed):
        exchange.read(number.to_bytes(4, "big") + exchange.payload[4:])
    for other in (1, 2, 3):  # valid numbers of other places
        assert exchange.read(other.to_bytes(4, "big") + exchange.payload[4:]) == {}


# -- known answers and domains


def test_tags_and_checks_are_blake2b_of_exactly_the_stated_bytes() -> None:
    sizes = label_parameters(3, 3, 64)
    one = bucket(clients(1, 2, 3), sizes)
    rows = np.random.default_rng(1).integers(0, 256, (3, 57), dtype=np.uint8)
    tags = one.tags(7, rows)
    assert tags.shape == (3, 80)
    for tag, digest, row in zip(tags, one.digests, rows, strict=True):
        blocks = [
            blake2b(one._derived(f"ecohub/oprf-label-tags-{i}/1", 7) + digest.tobytes() + row.tobytes()).digest()
            for i in range(2)
        ]
        assert tag.tobytes() == (blocks[0] + blocks[1])[:80]
    keys, texts = tags[:, :16], rows[:, :5]
    context = one._derived("ecohub/oprf-label-check/1", 0)
    for check, key, text in zip(one.checks(keys, texts), keys, texts, strict=True):
        assert check.tobytes() == blake2b(context + key.tobytes() + text.tobytes()).digest()[: sizes.check_bytes]


def test_no_bytes_are_shared_with_tags_of_rows() -> None:
    sizes = label_parameters(50, 50, 5)
    one = bucket(clients(*range(50)), sizes)
    rows = np.zeros((50, 57), np.uint8)
    assert not (one.tags(0, rows)[:, :8] == Bucket.tags(one, 0, rows)[:, :8]).all(axis=1).any()
    assert not np.array_equal(one.places(0).sparse, one.keys(0).sparse)


# -- forced failures


def test_a_store_that_cannot_be_solved_is_tried_under_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = clients(*range(100))
    theirs = {item: item[-5:] for item in clients(*range(50, 150))}
    exchange = Exchange(mine, theirs)
    solve, calls = okvs.solve, 0

    def twice_unsolvable(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return solve(*arguments) if calls > 2 else None

    monkeypatch.setattr(okvs, "solve", twice_unsolvable)
    payload = exchange.answered(exchange.sender)
    assert payload[:4] == (2).to_bytes(4, "big")
    assert exchange.read(payload) == exchange.read() == common(mine, theirs, 5)
    assert not (exchange.slots(payload) == exchange.slots()).all(axis=1).any()


def test_no_solution_at_all_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = clients(*range(10))
    exchange = Exchange(mine, dict.fromkeys(mine, b"A"))
    monkeypatch.setattr(okvs, "solve", lambda *_: None)
    with pytest.raises(StoreUnsolvable):
        exchange.answered(exchange.sender)


def test_an_identifier_that_stands_twice_is_found() -> None:
    sizes = label_parameters(3, 3, 5, option=SEMI_HONEST)
    exchange = Exchange(clients(1, 2, 3), dict.fromkeys(clients(1, 2, 3), b"A"), sizes)
    with pytest.raises(BadIdentifiers):
        exchange.answered(bucket(clients(1, 1, 2), sizes, [b"A", b"B", b"C"]))


def test_a_matrix_of_another_length_is_refused() -> None:
    mine = clients(*range(10))
    exchange = Exchange(mine, dict.fromkeys(mine, b"A"))
    for matrix in (b"", exchange.made.matrix[:-1], exchange.made.matrix + b"\x00"):
        with pytest.raises(ExtensionLength):
            answer_labels(exchange.sender, exchange.chosen, 0, matrix)


# -- a sender that is restored


def test_the_same_matrix_gets_the_same_store_and_another_one_nothing_alike() -> None:
    """With the same random free slots, the difference of two stores would be zero there, and tell who is in them."""
    mine = clients(*range(100))
    theirs = {item: item[-5:] for item in clients(*range(50, 150))}
    exchange, other = Exchange(mine, theirs), Exchange(clients(*range(100, 200)), theirs)
    assert exchange.answered(exchange.sender) == exchange.payload
    assert not (exchange.slots() == other.slots()).all(axis=1).any()


def test_free_slots_that_were_the_same_twice_would_tell_who_is_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack that the last test is about, with its guard taken out."""

    def fixed(self: LabelBucket, values: Bytes, attempt: int, words: int) -> Words:
        slots = self.sizes.label_shape.slots
        return self.random(attempt, 8 * slots * words).view(np.uint64).reshape(slots, words)

    monkeypatch.setattr(LabelBucket, "filler", fixed)
    theirs = {item: item[-5:] for item in clients(*range(50, 150))}
    stores = [Exchange(clients(*ids), theirs).slots() for ids in (range(100), range(100, 200))]
    free = (stores[0] == stores[1]).all(axis=1)
    assert free.sum() == len(free) - 100
