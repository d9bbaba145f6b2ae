"""Measures of a score against 0/1 labels, with bootstrap intervals that anyone can recompute from a digest.

Every variant is measured on the same resampled test rows, so the interval of an uplift is a paired one (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3: percentile interval). Survey weights stay with their
rows when these are resampled. A row of weight 3 counts as three rows of weight 1 in every measure; none depends on the
order of rows, for equal scores share what they stand for.
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
FIGURES = ("auc", "average_precision", "top_decile_precision", "log_loss", "brier")
LOSSES = ("log_loss", "brier")  # the last of them; lower is better
PPM = 1_000_000
TOP = 0.1  # the share of clients that a campaign would call first


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured figure with its 95 % percentile interval, in parts per million."""

    value_ppm: int
    low_ppm: int
    high_ppm: int

    @property
    def parts(self) -> tuple[float, float, float]:
        """(low, value, high) as fractions."""
        return self.low_ppm / PPM, self.value_ppm / PPM, self.high_ppm / PPM

    @property
    def excludes_zero(self) -> bool:
        return self.low_ppm > 0 or self.high_ppm < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """One variant on the test rows. Uplifts are against the base variant, on the same resampled rows.

    An uplift above 0 is always for the better: of log-loss and Brier score it is what they are lower. The figure of
    the top decile and its uplift may be None, where it would describe too few clients.
    """

    auc: Estimate
    average_precision: Estimate
    top_decile_precision: Estimate | None
    log_loss: Estimate  # nats a row
    brier: Estimate
    auc_uplift: Estimate
    average_precision_uplift: Estimate
    top_decile_precision_uplift: Estimate | None
    log_loss_uplift: Estimate
    brier_uplift: Estimate


def auc(label: NDArray[np.bool_], score: Floats, weights: Floats | None = None) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative), ties count half (mid-ranks)."""
    return _figure(0, label, score, weights)


def aucs(label: NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    """(replicates,): the AUC under each column of row weights (rows, replicates), both classes in each."""
    return np.asarray(_Ranked(label, score).measure(weights)[0])


def average_precision(label: NDArray[np.bool_], score: Floats, weights: Floats | None = None) -> float:
    """Sum over thresholds of (recall step) times precision; equal scores share one threshold."""
    return _figure(1, label, score, weights)


def top_decile_precision(label: NDArray[np.bool_], score: Floats, weights: Floats | None = None) -> float:
    """Share of positives in the tenth of all weight that has the highest scores.

    The group of equal scores on the edge counts in part, as if its rows were drawn into the tenth by lot.
    """
    return _figure(2, label, score, weights)


def log_loss(label: NDArray[np.bool_], log_odds: Floats, weights: Floats | None = None) -> float:
    """Mean negative log likelihood of the labels under sigmoid(log_odds), in nats; stable for large values."""
    return float(np.average(_log_losses(label, log_odds), weights=weights))


def brier(label: NDArray[np.bool_], log_odds: Floats, weights: Floats | None = None) -> float:
    """Mean squared distance of sigmoid(log_odds) from the label (Brier, Monthly Weather Review 78, 1950)."""
    return float(np.average(_squares(label, log_odds), weights=weights))


def sigmoid(log_odds: Floats) -> Floats:
    """Chances of log-odds; cannot overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))


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
    label: NDArray[np.bool_],
    scores: Mapping[str, Floats],
    base: str,
    replicates: int,
    seed: bytes,
    *,
    log_odds: Mapping[str, Floats] | None = None,
    base_log_odds: Mapping[str, Floats] | None = None,
    weights: Floats | None = None,
) -> dict[str, Measures]:
    """Measures of every variant and their uplift over `base`, all on the same rows and the same resamples.

    label: (rows,), both classes; scores: (rows,) each, for the measures of rank; log_odds: (rows,) each, calibrated,
    for the losses, the scores themselves by default; base_log_odds: the base's that a variant's losses are compared
    with, by variant, by default its own; weights: (rows,), at least 0, both classes above. Replicates that drew one
    class only are left out of the intervals.
    """
    calibrated = scores if log_odds is None else log_odds
    against = dict.fromkeys(scores, calibrated[base]) if base_log_odds is None else base_log_odds
    ready = {name: _Variant(label, score, calibrated[name], against[name]) for name, score in scores.items()}
    own = np.ones((len(label), 1)) if weights is None else weights[:, None]
    point = {name: variant.measure(own)[:, 0] for name, variant in ready.items()}
    drawn: dict[str, list[Floats]] = {name: [] for name in ready}
    step = max(1, CHUNK_CELLS_MAX // len(label))
    for first in range(0, replicates, step):
        block = resamples(len(label), min(step, replicates - first), seed, first) * own
        usable = np.ascontiguousarray(block[:, (block[label].sum(axis=0) > 0) & (block[~label].sum(axis=0) > 0)])
        for name, variant in ready.items():
            drawn[name].append(variant.measure(usable))
    spread = {name: np.concatenate(parts, axis=1) for name, parts in drawn.items()}
    return {name: _measures(point[name], spread[name], point[base], spread[base]) for name in ready}


def _measures(point: Floats, spread: Floats, base_point: Floats, base_spread: Floats) -> Measures:
    """point: (figures, then the base's losses); spread: the same by replicates; of the base only ranks are taken."""
    found = {}
    for row, name in enumerate(FIGURES):
        found[name] = estimate(point[row], spread[row])
        if name in LOSSES:
            beside = row + len(LOSSES)
            by, drawn = point[beside] - point[row], spread[beside] - spread[row]
        else:
            by, drawn = point[row] - base_point[row], spread[row] - base_spread[row]
        found[f"{name}_uplift"] = estimate(by, drawn)
    return Measures(**found)


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


def _figure(row: int, label: NDArray[np.bool_], score: Floats, weights: Floats | None) -> float:
    own = np.ones(len(label)) if weights is None else weights
    return float(_Ranked(label, score).measure(own[:, None])[row, 0])


class _Variant:
    """One variant's scores and losses; each resample then costs a few sums over its row weights."""

    def __init__(self, label: NDArray[np.bool_], score: Floats, log_odds: Floats, base_log_odds: Floats) -> None:
        self._ranked = _Ranked(label, score)
        both = (log_odds, base_log_odds)
        self._losses = np.stack([loss(label, odds) for odds in both for loss in (_log_losses, _squares)])

    def measure(self, weights: Floats) -> Floats:
        """(FIGURES, then the base's LOSSES; replicates) under row weights (rows, replicates)."""
        return np.vstack([self._ranked.measure(weights), self._losses @ weights / weights.sum(axis=0)])


class _Ranked:
    """A score sorted once; each resample then costs one cumulative sum over its row weights, and a few over those
    distinct scores that a positive has.
    """

    def __init__(self, label: NDArray[np.bool_], score: Floats) -> None:
        if label.shape != score.shape or label.ndim != 1 or not np.isfinite(score).all():
            raise AssertionError("labels and scores are vectors of one length, all finite")
        self._order = np.argsort(score, kind="stable")
        ordered, positive = score[self._order], label[self._order]
        begins = np.r_[True, ordered[1:] != ordered[:-1]]  # one group per distinct score
        self._starts = np.flatnonzero(begins) if not begins.all() else None
        self._positives = self._order[positive]
        group = (np.cumsum(begins) - 1)[positive]
        self._first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])  # of the positives of each such group
        self._group = group[self._first]

    def measure(self, weights: Floats) -> Floats:
        """(3, replicates): AUC, average precision, top-decile precision under row weights (rows, replicates)."""
        ordered = weights[self._order]
        groups = ordered if self._starts is None else np.add.reduceat(ordered, self._starts, axis=0)
        sums = np.cumsum(groups, axis=0)
        everyone, until, rows = groups[self._group], sums[self._group], sums[-1]
        positive = np.add.reduceat(weights[self._positives], self._first, axis=0)
        up_to = np.cumsum(positive, axis=0)
        total = up_to[-1]
        wins = (positive * (until - up_to - (everyone - positive) / 2)).sum(axis=0)
        # from each distinct score upwards: positives found among all who are there
        found, there = total - up_to + positive, rows - until + everyone
        precision = np.divide(found, there, out=np.zeros_like(found), where=there > 0)
        # of each group of equal scores, what still finds room in the top tenth
        tenth = TOP * rows
        taken = np.clip(tenth - (there - everyone), 0.0, everyone)
        part = np.divide(taken, everyone, out=np.zeros_like(taken), where=everyone > 0)
        return np.stack(
            [
                wins / (total * (rows - total)),
                (positive * precision).sum(axis=0) / total,
                (positive * part).sum(axis=0) / tenth,
            ]
        )


def _log_losses(label: NDArray[np.bool_], log_odds: Floats) -> Floats:
    return np.asarray(np.logaddexp(0.0, -np.where(label, 1.0, -1.0) * log_odds))


def _squares(label: NDArray[np.bool_], log_odds: Floats) -> Floats:
    return np.asarray((sigmoid(log_odds) - label) ** 2)


def estimate(value: float, drawn: Floats) -> Estimate:
    """A figure with its interval. drawn: (replicates,), the figure of each resample."""
    low, high = np.percentile(drawn, PERCENTILES)
    return Estimate(value_ppm=ppm(value), low_ppm=ppm(low), high_ppm=ppm(high))


def ppm(value: float) -> int:
    return round(float(value) * 1_000_000)
