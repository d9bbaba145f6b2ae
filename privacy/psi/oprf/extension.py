"""Vector oblivious transfer extension of one bucket: the receiver's slots, encoded, under the sender's secret bits.

Ishai, Kilian, Nissim, Petrank (Crypto 2003) with a code (Kolesnikov and Kumaresan, Crypto 2013), as PaXoS uses it
(Pinkas, Rosulek, Trieu, Yanai, Eurocrypt 2020). Column j of the matrices R and T is a stream of the receiver's two
seeds; the receiver sends U = R ⊕ T ⊕ (codewords of its slots, one a row). The sender knows one stream of each column,
by its choice bit s[j], and makes Q from it and from U where s[j] = 1. Then for every row i

    Q[i] = R[i] ⊕ s ∧ C(slot i),

and as both sides of this are linear in the slots, also for every sum of rows. So the receiver gets R[…] for the words
that its slots sum to, and for any other word it lacks at least 128 bits of s (the code's distance).

Security here: both sides follow the protocol. U is as good as random without the seeds, so the sender learns nothing.
A receiver that sends a U which does not come from codewords learns bits of s when it sees what the sender answers;
`consistency` catches that. A sender cannot learn of the slots by deviating, but can make the receiver's rows wrong.

A (bucket, attempt) names the streams: for one set of seeds it must never be used for two different lists of slots, or
the sums of their codewords are open. `session` sees to it, across restarts too.
"""

from typing import Any, TypeAlias

import numpy as np

from privacy.psi.oprf import aes, bits
from privacy.psi.oprf.aes import SEED_BYTES, Stream
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.code import LinearCode
from privacy.psi.oprf.errors import ExtensionLength

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"


def message_bytes(code: LinearCode, rows: int) -> int:
    """The length of the receiver's message; rows: slots of a bucket, a multiple of bits.ROWS_ALIGNED."""
    return code.length * rows // 8


def extend_receiver(seeds: PairSeeds, code: LinearCode, bucket: int, attempt: int, slots: Bytes) -> tuple[bytes, Bytes]:
    """(message, R) of uint8[rows, code.word_bytes]; R: uint8[rows, code.codeword_bytes].

    rows: a multiple of bits.ROWS_ALIGNED. Equal arguments give equal results, so a lost message can be made again.
    """
    assert seeds.columns == code.length, "one pair of seeds for each column"
    stream = Stream(bucket=bucket, attempt=attempt)
    corrections = bits.to_columns(code.encode(slots))
    known = np.empty_like(corrections)
    zeros = np.zeros(len(slots) // 8, np.uint8)
    for column, start in enumerate(range(0, len(seeds.seeds), 2 * SEED_BYTES)):
        middle = start + SEED_BYTES
        aes.mask(seeds.seeds[start:middle], stream, zeros, known[column])
        corrections[column] ^= known[column]
        aes.mask(seeds.seeds[middle : middle + SEED_BYTES], stream, corrections[column], corrections[column])
    return corrections.tobytes(), bits.to_rows(known)


def extend_sender(seeds: ChosenSeeds, code: LinearCode, bucket: int, attempt: int, message: bytes, rows: int) -> Bytes:
    """Q: uint8[rows, code.codeword_bytes]. Raises ExtensionLength unless the message is that of so many rows."""
    assert seeds.columns == code.length, "one seed for each column"
    expected = message_bytes(code, rows)
    if len(message) != expected:
        raise ExtensionLength(bucket=bucket, got=len(message), expected=expected)
    columns = aes.expand(seeds.seeds, Stream(bucket=bucket, attempt=attempt), rows // 8)
    corrections = np.frombuffer(message, np.uint8).reshape(code.length, rows // 8)
    choices = np.unpackbits(np.frombuffer(seeds.choices, np.uint8), bitorder="little")
    columns ^= corrections & -choices[:, None]  # all columns alike, whatever the choices are
    return bits.to_rows(columns)


def sender_offsets(seeds: ChosenSeeds, code: LinearCode, words: Bytes) -> Bytes:
    """s ∧ C(word): what the sender's sum of rows and the receiver's differ by. uint8[n, word_bytes] -> [n, …]."""
    codewords = code.encode(words)
    codewords &= np.frombuffer(seeds.choices, np.uint8)
    return codewords
