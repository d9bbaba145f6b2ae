"""The check against a cheating receiver: what it could steal without, how it is caught, what a lucky guess gives."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.oprf import aes, bits, code, consistency, extension, oracle
from privacy.psi.oprf.aes import Stream
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.code import Bytes, LinearCode
from privacy.psi.oprf.errors import ExtensionInconsistent, ExtensionLength
from tests.privacy.oprf.test_extension import base_seeds, words
from tests.support.entropy import SeededEntropy

BCH = code.bch()
CODES = pytest.mark.parametrize("chosen", [BCH, code.reed_solomon()], ids=["bch", "reed-solomon"])
CONTEXT = bytes(range(32))
ROWS = 512  # a cheating receiver below asks for one secret bit a row
STREAM = Stream(bucket=0, attempt=0)


def masks(chosen: LinearCode, name: bytes = b"masks") -> bytes:
    return SeededEntropy(name)(consistency.mask_bytes(chosen))


def honest(chosen: LinearCode, rows: int = 128, name: bytes = b"masks") -> tuple[bytes, Bytes, ChosenSeeds]:
    pairs, picked = base_seeds(chosen.length)
    message, known = consistency.extend_receiver(pairs, chosen, 0, 0, words(rows, chosen), CONTEXT, masks(chosen, name))
    return message, known, picked


def accept(chosen: LinearCode, picked: ChosenSeeds, message: bytes, rows: int) -> Bytes:
    return consistency.extend_sender(picked, chosen, 0, 0, message, rows, CONTEXT)


def cheated(pairs: PairSeeds, slots: Bytes, deviations: Bytes, guess: Bytes) -> bytes:
    """A receiver that adds `deviations` (bits, row by row) to its codewords, and makes the proof that is accepted if
    the sender's bits where it deviates are those of `guess`."""
    spoilt = np.concatenate([deviations, np.zeros((consistency.SUMS, 456), np.uint8)])
    all_slots = np.concatenate([slots, np.frombuffer(masks(BCH), np.uint8).reshape(-1, 8)])
    known = aes.expand(
        b"".join(pairs.seeds[i : i + 16] for i in range(0, len(pairs.seeds), 32)), STREAM, len(all_slots) // 8
    )
    matrix, _ = extension.extend_receiver(pairs, BCH, 0, 0, all_slots)
    columns = np.frombuffer(matrix, np.uint8).reshape(456, -1) ^ np.packbits(spoilt.T, axis=1, bitorder="little")
    matrix = columns.tobytes()
    weights = consistency._weights(CONTEXT, 0, 0, matrix, len(slots))
    rows = bits.to_rows(known)
    shown = consistency.sums(weights, rows[: len(slots)]) ^ rows[len(slots) :]
    guessed = np.packbits(deviations & guess, axis=1, bitorder="little")
    shown ^= consistency.sums(weights, guessed)
    shown_words = consistency.sums(weights, slots) ^ all_slots[len(slots) :]
    return matrix + shown.tobytes() + shown_words.tobytes()


def secret_bits(picked: ChosenSeeds) -> Bytes:
    return np.unpackbits(np.frombuffer(picked.choices, np.uint8), bitorder="little")


def one_column_a_row() -> Bytes:
    deviations = np.zeros((ROWS, 456), np.uint8)
    deviations[np.arange(456), np.arange(456)] = 1
    return deviations


# -- an honest receiver


@CODES
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_an_honest_receiver_is_accepted_and_rows_are_those_without_the_check(
    chosen: LinearCode, blocks: int, seed: int
) -> None:
    pairs, picked = base_seeds(chosen.length)
    slots = words(64 * blocks, chosen, seed)
    message, known = consistency.extend_receiver(pairs, chosen, 5, 2, slots, CONTEXT, masks(chosen))
    held = consistency.extend_sender(picked, chosen, 5, 2, message, len(slots), CONTEXT)
    assert held.shape == known.shape == (len(slots), chosen.codeword_bytes)
    assert (held == known ^ extension.sender_offsets(picked, chosen, slots)).all()
    assert len(message) == consistency.message_bytes(chosen, len(slots))


@given(st.integers(0, 300), st.integers(1, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_sums_are_the_product_of_bit_matrices(rows: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
    matrix = rng.integers(0, 256, (rows, width), dtype=np.uint8)
    left, right = (np.unpackbits(x, axis=1, bitorder="little").astype(np.int64) for x in (weights, matrix))
    expected = np.packbits((left.T @ right % 2).astype(np.uint8), axis=1, bitorder="little")
    assert (consistency.sums(weights, matrix) == expected).all()


def test_sums_of_several_steps() -> None:
    rng = np.random.default_rng(6)
    weights, matrix = (rng.integers(0, 256, (consistency._STEP + 700, n), dtype=np.uint8) for n in (16, 9))
    halves = [consistency.sums(weights[part], matrix[part]) for part in (slice(0, 500), slice(500, None))]
    assert (consistency.sums(weights, matrix) == halves[0] ^ halves[1]).all()


def test_known_answer() -> None:
    """What travels is fixed, and what chooses the sums: a change must change what parties agree on."""
    pairs, _ = base_seeds(BCH.length)
    slots = np.frombuffer(SeededEntropy(b"slots")(1024), np.uint8).reshape(128, 8)
    message, _ = consistency.extend_receiver(pairs, BCH, 7, 2, slots, CONTEXT, masks(BCH))
    digest = hashlib.sha256(message).hexdigest()
    assert digest == "512c1cdb3ed695ec08222476ac5fba0843e0de87809882848819d310baba698b"


def test_the_sums_follow_from_everything_that_is_fixed_before() -> None:
    same = consistency._weights(CONTEXT, 1, 2, b"matrix", 64).tobytes()
    others = [(bytes(32), 1, 2, b"matrix", 64), (CONTEXT, 0, 2, b"matrix", 64), (CONTEXT, 1, 0, b"matrix", 64)]
    others += [(CONTEXT, 2, 1, b"matrix", 64), (CONTEXT, 1, 2, b"matriX", 64), (CONTEXT, 1, 2, b"matrix", 128)]
    assert len({same} | {consistency._weights(*each).tobytes()[:1024] for each in others}) == 7


def test_the_proof_shows_masked_words_only() -> None:
    """The same slots under other masks: every shown word differs, and by the masks alone where nothing else may."""
    chosen_words = []
    for name in (b"masks", b"other"):
        message, _, _ = honest(BCH, name=name)
        chosen_words.append(np.frombuffer(message, np.uint8)[-128 * 8 :].reshape(128, 8))
    assert (chosen_words[0] != chosen_words[1]).any(axis=1).all()
    ones = np.unpackbits(np.concatenate(chosen_words)).mean()
    assert abs(ones - 0.5) < 6 * 0.5 / (2 * 128 * 64) ** 0.5


# -- a cheating receiver


def test_without_the_check_a_cheating_receiver_reads_the_senders_secret_from_the_tags() -> None:
    """The attack that the check is for: row j deviates in column j, and the tag of row j tells s[j]."""
    pairs, picked = base_seeds(BCH.length)
    slots, deviations = words(ROWS, BCH), one_column_a_row()
    message, known = extension.extend_receiver(pairs, BCH, 0, 0, slots)
    columns = np.frombuffer(message, np.uint8).reshape(456, -1)
    spoilt = (columns ^ np.packbits(deviations.T, axis=1, bitorder="little")).tobytes()
    held = extension.extend_sender(picked, BCH, 0, 0, spoilt, ROWS)
    digests = np.zeros((ROWS, 32), np.uint8)  # the receiver knows which identifier each row belongs to
    answered = oracle.tags(CONTEXT, digests, held ^ extension.sender_offsets(picked, BCH, slots), 11)
    unchanged = oracle.tags(CONTEXT, digests, known, 11)
    stolen = (answered != unchanged).any(axis=1)[:456]
    assert (stolen == secret_bits(picked)).all()


def test_with_the_check_that_receiver_is_caught() -> None:
    pairs, picked = base_seeds(BCH.length)
    slots, deviations = words(ROWS, BCH), one_column_a_row()
    for guess in (np.zeros(456, np.uint8), np.ones(456, np.uint8), 1 - secret_bits(picked)):
        with pytest.raises(ExtensionInconsistent):
            accept(BCH, picked, cheated(pairs, slots, deviations, guess), ROWS)


@pytest.mark.parametrize("column", [0, 1, 200, 455])
def test_a_deviation_in_one_column_passes_with_the_right_guess_of_its_bit_only(column: int) -> None:
    """The price of each bit: half the tries end the job (the module says what remains of the distance)."""
    pairs, picked = base_seeds(BCH.length)
    slots, deviations = words(ROWS, BCH), np.zeros((ROWS, 456), np.uint8)
    deviations[[3, 100, 101], column] = 1
    right = secret_bits(picked)
    accept(BCH, picked, cheated(pairs, slots, deviations, right), ROWS)
    wrong = right.copy()
    wrong[column] ^= 1
    with pytest.raises(ExtensionInconsistent):
        accept(BCH, picked, cheated(pairs, slots, deviations, wrong), ROWS)


def test_guessing_twenty_bits_fails_when_one_is_wrong() -> None:
    pairs, picked = base_seeds(BCH.length)
    slots, deviations = words(ROWS, BCH), np.zeros((ROWS, 456), np.uint8)
    deviations[np.arange(20), np.arange(20)] = 1
    accept(BCH, picked, cheated(pairs, slots, deviations, secret_bits(picked)), ROWS)
    for column in range(20):
        guess = secret_bits(picked)
        guess[column] ^= 1
        with pytest.raises(ExtensionInconsistent):
            accept(BCH, picked, cheated(pairs, slots, deviations, guess), ROWS)


def test_random_rows_instead_of_codewords_are_caught() -> None:
    pairs, picked = base_seeds(BCH.length)
    deviations = np.random.default_rng(8).integers(0, 2, (ROWS, 456), dtype=np.uint8)
    for guess in (np.zeros(456, np.uint8), np.ones(456, np.uint8)):
        with pytest.raises(ExtensionInconsistent):
            accept(BCH, picked, cheated(pairs, words(ROWS, BCH), deviations, guess), ROWS)


# -- messages that are changed or out of place


@CODES
def test_any_changed_byte_is_refused(chosen: LinearCode) -> None:
    """In the matrix too: the hash of it chooses other sums, so that even a column the sender does not use counts."""
    message, _, picked = honest(chosen)
    places = [*range(0, len(message), 331), *range(len(message) - 300, len(message), 7)]
    for place in places:
        changed = bytearray(message)
        changed[place] ^= 0x10
        try:
            accept(chosen, picked, bytes(changed), 128)
        except ExtensionInconsistent:
            continue
        raise AssertionError(f"byte {place} was changed and accepted")


@pytest.mark.parametrize(("bucket", "attempt", "context"), [(1, 0, CONTEXT), (0, 1, CONTEXT), (0, 0, bytes(32))])
def test_a_message_of_another_bucket_attempt_or_job_is_refused(bucket: int, attempt: int, context: bytes) -> None:
    message, _, picked = honest(BCH)
    with pytest.raises(ExtensionInconsistent, match=f"bucket {bucket} "):
        consistency.extend_sender(picked, BCH, bucket, attempt, message, 128, context)


def test_seeds_of_another_job_are_refused() -> None:
    message, _, _ = honest(BCH)
    _, others = base_seeds(BCH.length, b"another job")
    with pytest.raises(ExtensionInconsistent):
        accept(BCH, others, message, 128)


@pytest.mark.parametrize("change", [-1, 1, 65])
def test_a_message_of_another_length_is_refused(change: int) -> None:
    message, _, picked = honest(BCH)
    with pytest.raises(ExtensionLength):
        accept(BCH, picked, message[:change] if change < 0 else message + bytes(change), 128)


def test_a_message_without_proof_is_refused() -> None:
    pairs, picked = base_seeds(BCH.length)
    message, _ = extension.extend_receiver(pairs, BCH, 0, 0, words(256, BCH))
    with pytest.raises(ExtensionLength):
        accept(BCH, picked, message, 128)


def test_masks_of_another_length_are_a_defect() -> None:
    pairs, _ = base_seeds(BCH.length)
    with pytest.raises(AssertionError):
        consistency.extend_receiver(pairs, BCH, 0, 0, words(64, BCH), CONTEXT, bytes(8))


# -- how many identifiers a cheating receiver can hold


def test_the_bound_is_the_least_that_satisfies_the_union() -> None:
    for rows, word_bits, candidates in ((1000, 64, 37.0), (90_000, 64, 37.0), (90_000, 136, 128.0)):
        found = consistency.identifiers_held(rows, word_bits, candidates)
        logs = [consistency._holds_log2(n, rows, word_bits, candidates) for n in (found - 1, found)]
        assert logs[0] > -128 >= logs[1]


def test_known_bounds() -> None:
    """For 2^16 identifiers in 1.3 · 2^16 slots: listed candidates leave less than 2, unlisted ones 7 times as many."""
    rows = 85_196
    assert 1.95 < consistency.identifiers_held(rows, 64, 37) / 2**16 < 1.97
    assert 6.9 < consistency.identifiers_held(rows, 136, 128) / 2**16 < 7.0
    assert consistency.identifiers_held(rows, 64, 37) >= rows, "every slot may hold one"


def test_short_words_do_not_bound_unlisted_candidates() -> None:
    with pytest.raises(ValueError, match="too short"):
        consistency.identifiers_held(85_196, 64, 128)


def test_the_bound_holds_in_a_small_world() -> None:
    """Words of 8 bits, 2 slots, 64 candidates: the best of all 2^16 stores, by trying them all, a hundred times."""
    rng, most = np.random.default_rng(9), 0
    stores = np.arange(1 << 16)
    low, high = stores & 255, stores >> 8
    for _ in range(100):
        values, rows = rng.integers(0, 256, 64), rng.integers(1, 4, 64)
        holds = sum(
            ((low if row & 1 else 0) ^ (high if row & 2 else 0)) == value
            for value, row in zip(values, rows, strict=True)
        )
        most = max(most, int(np.max(holds)))
    assert 3 <= most < consistency.identifiers_held(2, 8, 6.0, failure_log2=-20.0)
