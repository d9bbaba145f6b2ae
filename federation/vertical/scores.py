"""Partial scores: rounded at the holder, and masked so that of several holders only the sum is shown.

The masks of a pair of holders cancel in the sum. Each is a stream under the pair's own key and the digest of what the
label holder announced to everybody: one that sends different announcements gets noise (design rule b). They protect
against the label holder alone; together with one of two holders it unmasks the other.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from federation.errors import ScoresImplausible, WeightsRefused
from privacy import canonical, packing
from privacy.canonical import Value
from privacy.packing import Packed

WEIGHT_MAX = 32.0  # log-odds a standard deviation; a larger weight would void the rounding of the scores
SCORE_MAX = 64.0  # log-odds a holder's share of one client's score may reach, likewise


def rounded(values: NDArray[np.float64], weights: NDArray[np.float64], step_log2: int, asker: str) -> NDArray[np.int64]:
    """Shares of the score in units of 2^step_log2: (rows,) of (rows, m) values and (m,) weights.

    Raises WeightsRefused where the weights would make a share so large that rounding hides nothing.
    """
    exact = values @ weights
    if float(np.abs(exact).max()) > SCORE_MAX:
        raise WeightsRefused(partner=asker, why=f"a client's share of the score would exceed {SCORE_MAX:g}")
    return np.rint(exact * 2.0**-step_log2).astype(np.int64)


def units_max(step_log2: int) -> int:
    """The largest rounded share."""
    return int(SCORE_MAX * 2.0**-step_log2)


def weights_digest(weights: NDArray[np.float64]) -> str:
    """Of the weights one holder gets for all variants: (variants, m) float64, as 64 hex digits."""
    shape: list[Value] = [int(n) for n in weights.shape]
    raw = np.ascontiguousarray(weights, dtype="<f8").tobytes()
    return canonical.digest_bytes("ecohub/weights/v1", canonical.encode(shape) + raw).hex()


def announcement(announced: Mapping[str, str]) -> bytes:
    """32 bytes over all holders' weights digests."""
    return canonical.digest("ecohub/announced-weights/v1", dict(announced))


def heard(before: bytes, content: Mapping[str, Packed]) -> bytes:
    """32 bytes over what the label holder said before and a message that it should have sent to all holders alike."""
    return canonical.digest_bytes("ecohub/heard/v1", before + packing.pack(dict(content)))


def of_round(heard: bytes, number: int) -> bytes:
    """What the masks of a round are bound to: no two rounds, and no round and the end, have the same."""
    return canonical.digest_bytes("ecohub/round-mask/v1", heard + number.to_bytes(2, "big"))


def pair_key(first_half: bytes, second_half: bytes) -> bytes:
    """The mask key of two holders from what each drew; first is the earlier partner id."""
    return canonical.digest_bytes("ecohub/mask-key/v1", first_half + second_half)


def mask(key: bytes, run: str, announced: bytes, rows: int) -> NDArray[np.uint64]:
    """One pair's mask: SHAKE-256(key ‖ run ‖ announcement) as little-endian 64-bit words."""
    stream = hashlib.shake_256(b"ecohub/mask/v1\x00" + key + bytes.fromhex(run) + announced).digest(8 * rows)
    return np.frombuffer(stream, "<u8").astype(np.uint64)


def unmasked(words: Sequence[NDArray[np.uint64]], step_log2: int, holders: Sequence[str]) -> NDArray[np.int64]:
    """(rows,): the sum of all holders' shares, modulo 2^64; the masks of each pair cancel in it.

    Raises ScoresImplausible where a sum is larger than shares can be: masks that were bound to different messages.
    """
    total: NDArray[np.int64] = np.add.reduce(words, dtype=np.uint64).view(np.int64)
    most = units_max(step_log2) * len(holders)
    if not ((total >= -most) & (total <= most)).all():
        raise ScoresImplausible(partner=", ".join(holders))
    return total
