"""OT extension: the relation of both sides' rows, on random and chosen words, and every message out of place."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.oprf import aes, code, extension
from privacy.psi.oprf.aes import Stream
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.code import Bytes, LinearCode
from privacy.psi.oprf.errors import ExtensionLength
from tests.support.entropy import SeededEntropy

BCH = code.bch()
CODES = pytest.mark.parametrize("chosen", [BCH, code.reed_solomon()], ids=["bch", "reed-solomon"])


def base_seeds(columns: int, name: bytes = b"seeds") -> tuple[PairSeeds, ChosenSeeds]:
    """What base transfers give, without them."""
    entropy = SeededEntropy(name)
    pairs, choices = entropy(32 * columns), entropy(columns // 8)
    picked = [pairs[32 * i + 16 * (choices[i // 8] >> i % 8 & 1) :][:16] for i in range(columns)]
    return PairSeeds(seeds=pairs), ChosenSeeds(seeds=b"".join(picked), choices=choices)


def words(count: int, chosen: LinearCode, seed: int = 1) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (count, chosen.word_bytes), dtype=np.uint8)


def run(chosen: LinearCode, slots: Bytes, bucket: int = 0, attempt: int = 0) -> tuple[bytes, Bytes, Bytes, ChosenSeeds]:
    pairs, picked = base_seeds(chosen.length)
    message, known = extension.extend_receiver(pairs, chosen, bucket, attempt, slots)
    held = extension.extend_sender(picked, chosen, bucket, attempt, message, len(slots))
    return message, known, held, picked


@CODES
@given(st.integers(1, 5), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_rows_differ_by_the_chosen_part_of_the_codeword(
    chosen: LinearCode, blocks: int, bucket: int, attempt: int
) -> None:
    slots = words(64 * blocks, chosen, bucket)
    _, known, held, picked = run(chosen, slots, bucket, attempt)
    secret = np.frombuffer(picked.choices, np.uint8)
    assert (held == known ^ (chosen.encode(slots) & secret)).all()
    assert (held == known ^ extension.sender_offsets(picked, chosen, slots)).all()


@CODES
def test_sums_of_rows_belong_to_sums_of_words(chosen: LinearCode) -> None:
    slots = words(128, chosen)
    _, known, held, picked = run(chosen, slots)
    members = np.random.default_rng(2).integers(0, 2, (40, 128)).astype(bool)
    for chosen_rows in members:
        word = np.bitwise_xor.reduce(slots[chosen_rows], axis=0, keepdims=True)
        own, others = (np.bitwise_xor.reduce(rows[chosen_rows], axis=0) for rows in (known, held))
        assert (others ^ extension.sender_offsets(picked, chosen, word)[0] == own).all()


@CODES
def test_another_word_differs_in_at_least_128_secret_positions(chosen: LinearCode) -> None:
    slots = words(64, chosen)
    _, known, held, picked = run(chosen, slots)
    wrong = slots.copy()
    wrong[:, 0] ^= 1
    everything = ChosenSeeds(seeds=picked.seeds, choices=b"\xff" * len(picked.choices))
    masks = extension.sender_offsets(everything, chosen, wrong ^ slots)
    assert np.bitwise_count(masks).sum(axis=1).min() >= 128
    assert (held ^ extension.sender_offsets(picked, chosen, wrong) != known).any(axis=1).all()


@CODES
def test_message_has_one_length_whatever_the_slots(chosen: LinearCode) -> None:
    pairs, _ = base_seeds(chosen.length)
    for slots in (words(192, chosen), np.zeros((192, chosen.word_bytes), np.uint8)):
        message, _ = extension.extend_receiver(pairs, chosen, 0, 0, slots)
        assert len(message) == extension.message_bytes(chosen, 192) == chosen.length * 24


def test_message_looks_random_for_equal_slots() -> None:
    """All slots equal: without the streams the columns would be constant."""
    message, *_ = run(BCH, np.full((6400, 8), 0xA5, np.uint8))
    ones = np.unpackbits(np.frombuffer(message, np.uint8).reshape(456, -1), axis=1).mean(axis=1)
    assert abs(ones - 0.5).max() < 6 * 0.5 / 6400**0.5  # six standard deviations


def test_matrices_follow_the_definition() -> None:
    """R[·, j] is the first seed's stream, U[·, j] the sum of both streams and of the codewords' bit j."""
    slots, stream = words(128, BCH), Stream(bucket=7, attempt=2)
    pairs, _ = base_seeds(BCH.length)
    message, known, *_ = run(BCH, slots, bucket=7, attempt=2)
    columns = np.unpackbits(BCH.encode(slots), axis=1, bitorder="little").T
    corrections = np.frombuffer(message, np.uint8).reshape(456, 16)
    for j in range(456):
        first, second = aes.expand(pairs.seeds[32 * j : 32 * j + 32], stream, 16)
        expected = first ^ second ^ np.packbits(columns[j], bitorder="little")
        assert (corrections[j] == expected).all()
        own = np.unpackbits(known, axis=1, bitorder="little")[:, j]
        assert (own == np.unpackbits(first, bitorder="little")).all()


def test_known_answer() -> None:
    """What travels is fixed: a change of it must change what parties agree on."""
    slots = np.frombuffer(SeededEntropy(b"slots")(1024), np.uint8).reshape(128, 8)
    message, known, held, _ = run(BCH, slots, bucket=7, attempt=2)
    digest = hashlib.sha256(message + known.tobytes() + held.tobytes()).hexdigest()
    assert digest == "b854ba107fa11e83caf3590f25f3e1e4059ae2ba0dba23c8efbfe1f9fcea2f0a"


def test_a_lost_message_can_be_made_again() -> None:
    slots = words(64, BCH)
    first, second = run(BCH, slots), run(BCH, slots)
    assert first[0] == second[0] and (first[1] == second[1]).all()


def test_buckets_and_attempts_share_no_stream() -> None:
    """With equal slots the messages' sum is the streams' sum: never zero in any column."""
    slots = words(128, BCH)
    messages = [
        np.frombuffer(run(BCH, slots, bucket, attempt)[0], np.uint8).reshape(456, -1)
        for bucket, attempt in [(0, 0), (0, 1), (1, 0), (1, 1), (256, 0)]
    ]
    for i, one in enumerate(messages):
        for other in messages[:i]:
            assert (one != other).any(axis=1).all()


@pytest.mark.parametrize(("bucket", "attempt"), [(1, 0), (0, 1)])
def test_a_message_of_another_bucket_or_attempt_fits_no_row(bucket: int, attempt: int) -> None:
    slots = words(128, BCH)
    pairs, picked = base_seeds(BCH.length)
    message, known = extension.extend_receiver(pairs, BCH, 0, 0, slots)
    held = extension.extend_sender(picked, BCH, bucket, attempt, message, 128)
    assert (held ^ extension.sender_offsets(picked, BCH, slots) != known).any(axis=1).all()


def test_seeds_of_another_job_fit_no_row() -> None:
    slots = words(128, BCH)
    pairs, _ = base_seeds(BCH.length)
    message, known = extension.extend_receiver(pairs, BCH, 0, 0, slots)
    _, others = base_seeds(BCH.length, b"another job")
    held = extension.extend_sender(others, BCH, 0, 0, message, 128)
    assert (held ^ extension.sender_offsets(others, BCH, slots) != known).any(axis=1).all()


@pytest.mark.parametrize("place", range(0, 456 * 16, 611))
def test_a_changed_byte_spoils_rows_or_nothing_but_never_makes_one_fit(place: int) -> None:
    """Where s[j] = 0 the sender does not use the column; where it is 1, exactly the changed bits' rows are off."""
    slots = words(128, BCH)
    pairs, picked = base_seeds(BCH.length)
    message, known = extension.extend_receiver(pairs, BCH, 0, 0, slots)
    changed = bytearray(message)
    changed[place] ^= 0x81
    held = extension.extend_sender(picked, BCH, 0, 0, bytes(changed), 128)
    off = np.flatnonzero((held ^ extension.sender_offsets(picked, BCH, slots) != known).any(axis=1))
    column, byte = divmod(place, 16)
    used = picked.choices[column // 8] >> column % 8 & 1
    assert off.tolist() == ([8 * byte, 8 * byte + 7] if used else [])


@pytest.mark.parametrize("change", [-57, -1, 1, 57])
def test_a_message_of_another_length_is_refused(change: int) -> None:
    pairs, picked = base_seeds(BCH.length)
    message, _ = extension.extend_receiver(pairs, BCH, 4, 0, words(128, BCH))
    message = message[:change] if change < 0 else message + bytes(change)
    with pytest.raises(ExtensionLength, match="bucket 4"):
        extension.extend_sender(picked, BCH, 4, 0, message, 128)


def test_seeds_of_another_code_are_a_defect() -> None:
    pairs, picked = base_seeds(464)
    with pytest.raises(AssertionError):
        extension.extend_receiver(pairs, BCH, 0, 0, words(64, BCH))
    with pytest.raises(AssertionError):
        extension.extend_sender(picked, BCH, 0, 0, bytes(456 * 8), 64)


def test_the_callers_slots_are_left_alone() -> None:
    slots = words(64, BCH)
    kept = slots.copy()
    run(BCH, slots)
    assert (slots == kept).all()
