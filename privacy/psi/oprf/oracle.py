"""H2: from sums of rows to tags, the random oracle that hides the sender's rows from the receiver.

PaXoS takes H2(x, row) as a random oracle (Pinkas, Rosulek, Trieu, Yanai, Eurocrypt 2020). So does this: BLAKE2b-512
(RFC 7693) of context ‖ digest of x ‖ row, all of fixed lengths, cut to the tag's length. It is one call of a C function
for each identifier, 0.3 s a million. Constructions on AES with a fixed key (Guo, Katz, Wang, Yu, IEEE S&P 2020) would
save most of that, but take 128 bits at once where a row has 456, and their security falls with the number of rows.
"""

import struct
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np

CONTEXT_BYTES = 32

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"


def tags(context: bytes, digests: Bytes, rows: Bytes, size: int) -> Bytes:
    """H2 of each identifier: uint8[n, size].

    context: 32 bytes, another for each (job, bucket, attempt); digests: uint8[n, d] of the identifiers;
    rows: uint8[n, w], the receiver's R[…] or the sender's Q[…] ⊕ offset; size: 1 … 64.
    """
    assert len(context) == CONTEXT_BYTES and len(digests) == len(rows) and 1 <= size <= 64, "fixed lengths"
    prefix = np.broadcast_to(np.frombuffer(context, np.uint8), (len(rows), CONTEXT_BYTES))
    inputs = np.concatenate([prefix, digests, rows], axis=1)
    joined = b"".join([blake2b(each).digest() for (each,) in struct.iter_unpack(f"{inputs.shape[1]}s", inputs.data)])
    return np.ascontiguousarray(np.frombuffer(joined, np.uint8).reshape(-1, 64)[:, :size])
