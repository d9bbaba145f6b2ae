"""OT extension against a receiver that cheats: it proves that its matrix is made of codewords, or the sender stops.

Without the proof, a receiver that spoils the codeword of a row in one column learns the sender's secret bit of that
column from the tags (did the row's tag change?), and with all bits it can test any identifier. The proof is the check
of Orrù, Orsini, Scholl (Actively secure 1-out-of-N OT extension, CT-RSA 2017), which PaXoS uses for malicious
receivers (Pinkas, Rosulek, Trieu, Yanai, Eurocrypt 2020): 128 rows with random words are added; for each of 128 random
sums of the other rows, masked by one of these, the receiver shows its word w and its row r, and the sender accepts if
its own sum is r ⊕ s ∧ C(w) in all 128.

They let the sender choose the sums at random when the matrix is there. Here a hash of the matrix chooses them
(Fiat-Shamir, with SHAKE128 and SHA-256 as random oracles), which saves two messages.

What the check gives. Let E be the columns in which the proof's sums are no codewords. To pass, the receiver must know
s in E: it guesses right with probability 2^-|E|, and a wrong guess ends the job. Outside of E all rows are codewords,
unless the 128 sums span less than all rows do (both modulo the code): if these span D dimensions, a loss of r of them
has probability about 2^-(r·(128 - D + r)), and what is left must still be guessed, 2^-(D - r). So a receiver that
wants to pass so with probability 2^-40 has to try about 2^88 matrices. Bits in E help no further than their guess: the
distance left, 128 - |E|, and the price of E, 2^-|E|, make up 2^-128 together.

What it does not give. The argument above is ours and has not been reviewed; the theorem of the paper is for sums that
the sender chooses. A cheating SENDER is not caught by it. And a receiver may still hold other identifiers than it
committed to, or more of them: `identifiers_held` bounds how many.
"""

import hashlib
from math import log2
from typing import Any, TypeAlias

import numpy as np

from privacy.psi.oprf import extension
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.code import LinearCode
from privacy.psi.oprf.errors import ExtensionInconsistent, ExtensionLength

SUMS = 128
CONTEXT_BYTES = 32
_STEP = 1 << 15  # rows that are summed at once: they stay in the cache
_LABEL = b"ecohub/oprf-consistency/1"

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Words: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"


def mask_bytes(code: LinearCode) -> int:
    """How many random bytes `extend_receiver` takes."""
    return SUMS * code.word_bytes


def message_bytes(code: LinearCode, rows: int) -> int:
    """The length of the receiver's message: the matrix with SUMS more rows, then the proof."""
    return extension.message_bytes(code, rows + SUMS) + SUMS * (code.codeword_bytes + code.word_bytes)


def extend_receiver(
    seeds: PairSeeds, code: LinearCode, bucket: int, attempt: int, slots: Bytes, context: bytes, masks: bytes
) -> tuple[bytes, Bytes]:
    """(message, R) as `extension.extend_receiver`, with the proof.

    context: 32 bytes, a digest of the job and of the base transfers' messages. masks: mask_bytes(code) secret uniform
    bytes, for this bucket and attempt alone: they hide the slots in the proof.
    """
    assert len(masks) == mask_bytes(code), "one random word for each sum"
    words = np.frombuffer(masks, np.uint8).reshape(SUMS, code.word_bytes)
    matrix, known = extension.extend_receiver(seeds, code, bucket, attempt, np.concatenate([slots, words]))
    weights = _weights(context, bucket, attempt, matrix, len(slots))
    shown_rows = sums(weights, known[:-SUMS]) ^ known[-SUMS:]
    shown_words = sums(weights, slots) ^ words
    return matrix + shown_rows.tobytes() + shown_words.tobytes(), known[:-SUMS]


def extend_sender(
    seeds: ChosenSeeds, code: LinearCode, bucket: int, attempt: int, message: bytes, rows: int, context: bytes
) -> Bytes:
    """Q as `extension.extend_sender`, if the proof holds.

    Raises ExtensionLength; ExtensionInconsistent: then the job must end and its seeds may never be used again, for
    any bucket, since every accepted or refused guess tells the receiver something of s.
    """
    expected = message_bytes(code, rows)
    if len(message) != expected:
        raise ExtensionLength(bucket=bucket, got=len(message), expected=expected)
    size = extension.message_bytes(code, rows + SUMS)
    matrix, proof = message[:size], np.frombuffer(message, np.uint8, offset=size)
    held = extension.extend_sender(seeds, code, bucket, attempt, matrix, rows + SUMS)
    weights = _weights(context, bucket, attempt, matrix, rows)
    shown_rows = proof[: SUMS * code.codeword_bytes].reshape(SUMS, -1)
    shown_words = proof[SUMS * code.codeword_bytes :].reshape(SUMS, -1)
    found = sums(weights, held[:-SUMS]) ^ held[-SUMS:]
    if (found ^ shown_rows ^ extension.sender_offsets(seeds, code, shown_words)).any():
        raise ExtensionInconsistent(bucket=bucket)
    return held[:-SUMS]


def sums(weights: Bytes, rows: Bytes) -> Bytes:
    """SUMS sums of rows over GF(2): sum l takes row i if bit l of weights[i] is set. uint8[SUMS, row bytes].

    By the method of the four Russians: for each byte of the weights, rows with the same value are summed first.
    """
    width = rows.shape[1]
    found = np.zeros((SUMS, -(-width // 8)), np.uint64)
    for start in range(0, len(rows), _STEP):
        part = rows[start : start + _STEP]
        padded = np.zeros((len(part), 8 * found.shape[1]), np.uint8)
        padded[:, :width] = part
        for place, byte in enumerate(weights[start : start + _STEP].T):
            found[8 * place : 8 * place + 8] ^= _byte_sums(byte, padded.view(np.uint64))
    return found.view(np.uint8)[:, :width]


def _byte_sums(byte: Bytes, values: Words) -> Words:
    """Sum b takes row i if bit b of byte[i] is set: uint64[8, words]."""
    order = np.argsort(byte, kind="stable")
    counts = np.bincount(byte, minlength=256)
    present = np.flatnonzero(counts)
    alike = np.zeros((256, values.shape[1]), np.uint64)
    alike[present] = np.bitwise_xor.reduceat(values.take(order, axis=0), (np.cumsum(counts) - counts)[present], axis=0)
    numbers = np.arange(256)
    return np.stack([np.bitwise_xor.reduce(alike[numbers >> bit & 1 == 1], axis=0) for bit in range(8)])


def _weights(context: bytes, bucket: int, attempt: int, matrix: bytes, rows: int) -> Bytes:
    """Which rows each sum takes: 128 bits a row, from everything that the receiver has fixed before."""
    assert len(context) == CONTEXT_BYTES, "one length"
    place = b"".join(number.to_bytes(4, "big") for number in (bucket, attempt, rows))
    oracle = hashlib.shake_128(_LABEL + context + place + hashlib.sha256(matrix).digest())
    return np.frombuffer(oracle.digest(rows * SUMS // 8), np.uint8).reshape(rows, SUMS // 8)


def identifiers_held(rows: int, word_bits: int, candidates_log2: float, failure_log2: float = -128.0) -> int:
    """How many identifiers one bucket's message can hold at most, whatever a cheating receiver puts in its slots.

    An identifier is held if the slots sum to its hash value H1, word_bits bits of a random oracle. Of N candidates,
    some choice of the slots (2^(rows · word_bits) of them) holds n or more with probability at most
    2^(rows · word_bits) · C(N, n) · 2^(-word_bits · n), by the union over choices and subsets; C(N, n) ≤ (e·N/n)^n.
    The result is the least n at which this is 2^failure_log2; 2^-128 leaves room for a receiver that tries many salts.
    (PaXoS counts so the set that it extracts from a receiver's hash queries.)

    candidates_log2: 37 where identifiers are resident ids or mobile numbers of known format; 128 where the candidates
    cannot be listed, which takes words of more than 128 bits. Raises ValueError where the words are too short.
    """
    low, high = rows, rows << 10
    if _holds_log2(high, rows, word_bits, candidates_log2) > failure_log2:
        raise ValueError("words too short for so many candidates")
    while low < high:
        middle = (low + high) // 2
        if _holds_log2(middle, rows, word_bits, candidates_log2) <= failure_log2:
            high = middle
        else:
            low = middle + 1
    return high


def _holds_log2(number: int, rows: int, word_bits: int, candidates_log2: float) -> float:
    return rows * word_bits + number * (candidates_log2 + log2(np.e) - log2(number) - word_bits)
