"""Measures of a score against 0/1 labels, with bootstrap intervals that anyone can recompute from a digest.

Every variant is measured on the same resampled test rows, so the interval of an uplift is a paired one (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3: percentile interval).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CHUNK_CELLS_MAX = 500_000  # resamples are counted in blocks of this many cells, 4 MB
PERCENTILES = (2.5, 97.5)
BINS = 512  # of a histogram of scores
SCORE_MAX = 12.0  # log-odds: a chance of 6 in a million


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured figure with its 95 % percentile interval, in parts per million."""

    value_ppm: int
    low_ppm: int
    high_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """One variant on the test rows. Uplifts are against the base variant, on the same resampled rows."""

    auc: Estimate
    average_precision: Estimate
    log_loss_ppm: int
    auc_uplift: Estimate
    average_precision_uplift: Estimate


def auc(label: NDArray[np.bool_], score: Floats) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative), ties count half (mid-ranks)."""
    return float(_Ranked(label, score).measure(np.ones((len(label), 1)))[0, 0])


def average_precision(label: NDArray[np.bool_], score: Floats) -> float:
    """Sum over thresholds of (recall step) times precision; equal scores share one threshold."""
    return float(_Ranked(label, score).measure(np.ones((len(label), 1)))[1, 0])


def log_loss(label: NDArray[np.bool_], score: Floats) -> float:
    """Mean negative log likelihood of the labels under sigmoid(score), in nats; stable for large scores."""
    sign = np.where(label, 1.0, -1.0)
    return float(np.logaddexp(0.0, -sign * score).mean())


def resamples(rows: int, replicates: int, seed: bytes, first: int = 0) -> NDArray[np.int64]:
    """(rows, replicates): how often each row is drawn, with replacement, in replicates first, first + 1, …

    Row indices are ⌊u · rows / 2^32⌋ of 32-bit words of SHAKE-256(seed ‖ replicate), so that any implementation draws
    the same rows; the bias of that map is below rows / 2^32.
    """
    counts = np.empty((rows, replicates), np.int64)
    for column in range(replicates):
        words = hashlib.shake_256(seed + (first + column).to_bytes(4, "big")).digest(4 * rows)
        drawn = (np.frombuffer(words, ">u4").astype(np.uint64) * np.uint64(rows)) >> np.uint64(32)
        counts[:, column] = np.bincount(drawn.astype(np.int64), minlength=rows)
    return counts


def compare(
    label: NDArray[np.bool_], scores: Mapping[str, Floats], base: str, replicates: int, seed: bytes
) -> dict[str, Measures]:
    """Measures of every variant and their uplift over `base`, all on the same rows and the same resamples.

    label: (rows,); scores: (rows,) each. Replicates that drew one class only are left out of the intervals.
    """
    ranked = {name: _Ranked(label, score) for name, score in scores.items()}
    point = {name: r.measure(np.ones((len(label), 1)))[:, 0] for name, r in ranked.items()}
    drawn: dict[str, list[Floats]] = {name: [] for name in ranked}
    step = max(1, CHUNK_CELLS_MAX // len(label))
    for first in range(0, replicates, step):
        block = resamples(len(label), min(step, replicates - first), seed, first)
        positives = block[label].sum(axis=0)
        usable = block[:, (positives > 0) & (positives < len(label))].astype(np.float64)
        for name, r in ranked.items():
            drawn[name].append(r.measure(usable))
    spread = {name: np.concatenate(parts, axis=1) for name, parts in drawn.items()}
    result = {}
    for name in ranked:
        own = [_estimate(point[name][i], spread[name][i]) for i in range(2)]
        uplift = [_estimate(point[name][i] - point[base][i], (spread[name] - spread[base])[i]) for i in range(2)]
        result[name] = Measures(
            auc=own[0],
            average_precision=own[1],
            log_loss_ppm=_ppm(log_loss(label, scores[name])),
            auc_uplift=uplift[0],
            average_precision_uplift=uplift[1],
        )
    return result


def histogram(positive: NDArray[np.bool_], score: Floats) -> NDArray[np.int64]:
    """(2, BINS): how many negatives (row 0) and positives (row 1) have a score in each bin of log-odds.

    Bins are equal steps from -SCORE_MAX to SCORE_MAX; what lies beyond is in the first or last. Histograms of several
    parties add up, which is how a joint AUC is measured without a row leaving its party.
    """
    step = 2 * SCORE_MAX / BINS
    bins = np.clip(np.floor((score + SCORE_MAX) / step), 0, BINS - 1).astype(np.int64)
    return np.stack([np.bincount(bins[~positive], minlength=BINS), np.bincount(bins[positive], minlength=BINS)])


def histogram_auc(counts: NDArray[np.int64]) -> float:
    """The AUC of binned scores: pairs within one bin count half. NaN where a class has no rows.

    counts: (2, BINS) as `histogram` gives them. It differs from the exact AUC by at most half of the share of pairs
    that fall into one bin.
    """
    negative, positive = counts.astype(np.float64)
    pairs = float(negative.sum() * positive.sum())
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs else float("nan")


class _Ranked:
    """A score sorted once; each resample then costs two cumulative sums over its row counts."""

    def __init__(self, label: NDArray[np.bool_], score: Floats) -> None:
        if label.shape != score.shape or label.ndim != 1 or not np.isfinite(score).all():
            raise AssertionError("labels and scores are vectors of one length, all finite")
        self._order = np.argsort(score, kind="stable")
        ordered = score[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # one group per distinct score
        self._label = label[self._order].astype(np.float64)

    def measure(self, counts: Floats) -> Floats:
        """(2, replicates): AUC and average precision under row counts (rows, replicates)."""
        weights = counts[self._order]
        positive = np.add.reduceat(weights * self._label[:, None], self._starts, axis=0)
        everyone = np.add.reduceat(weights, self._starts, axis=0)
        below, up_to = np.cumsum(everyone - positive, axis=0), np.cumsum(positive, axis=0)
        total, negatives = up_to[-1], below[-1]
        wins = (positive * (below - (everyone - positive) / 2)).sum(axis=0)
        # from each distinct score upwards: positives found among all who are there
        found = total - up_to + positive
        there = found + negatives - below + (everyone - positive)
        precision = np.divide(found, there, out=np.zeros_like(found), where=there > 0)
        return np.stack([wins / (total * negatives), (positive * precision).sum(axis=0) / total])


def _estimate(value: float, drawn: Floats) -> Estimate:
    low, high = np.percentile(drawn, PERCENTILES)
    return Estimate(value_ppm=_ppm(value), low_ppm=_ppm(low), high_ppm=_ppm(high))


def _ppm(value: float) -> int:
    return round(float(value) * 1_000_000)
