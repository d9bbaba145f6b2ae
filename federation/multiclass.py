"""One class for each client from the chances of each class against the rest, and how right it is on held-out clients.

Each run predicts one class by itself, so the calibrated chances of a client need not sum to one: they are divided by
their sum (Zadrozny and Elkan, KDD 2002, section 5), and the class is the one with the largest; of equal ones the first.
Cells of the table of given and true classes are shown under the rule of bands: a class given to enough test clients,
with enough of the true class and enough of the others among them. What is not shown must not follow from what is: the
clients of a true class are known from the runs' records and the sum of the diagonal from the accuracy, so none of these
lines may lack one cell alone (complementary suppression; Cox, JASA 75, 1980).

What the label holder's own columns give is joined in the same way and measured beside it on the same resampled rows, so
that the interval of the uplift is a paired one. Under survey weights every measure counts a row by its weight, groups
are judged by what they weigh, and cells are still clients.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from federation import bands, metrics
from federation.bands import Minimum
from federation.errors import LabelTooRare, TooFewRows
from federation.metrics import Estimate, Floats

BETTER = np.array([1.0, 1.0, -1.0])  # accuracy and AUC rise, a loss falls
CHANCE_MIN = 1e-12  # a chance that rounding made 0 still has a logarithm
Integers: TypeAlias = NDArray[np.int64]
Line: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows and columns of its cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The class of every client."""

    chances: Floats  # (rows, classes), each row sums to 1
    given: Integers  # (rows,): the place of the class among the classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One way to class the rows; or what one gains over another, where above 0 is for the better in each."""

    accuracy: Estimate
    macro_auc: Estimate  # mean over the classes of the AUC of each against the rest
    log_loss: Estimate  # nats a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """On test rows, all of which are truly of one of the classes. Beside them what a constant would reach."""

    rows: int
    joint: Measured
    alone: Measured | None  # by the label holder's own columns, where these chances are there
    uplift: Measured | None  # of the joint classes over those
    base_accuracy_ppm: int  # of giving everybody the test rows' most frequent class
    base_log_loss_ppm: int  # of giving everybody the classes' shares as chances
    cells: tuple[tuple[int | None, ...], ...]  # test rows by class given, then true class; None: not shown


def join(chances: Floats) -> Joined:
    """The class of each client. chances: (rows, classes) calibrated chances of each class against the rest."""
    floored = np.clip(chances, CHANCE_MIN, 1.0)
    return Joined(chances=floored / floored.sum(axis=1, keepdims=True), given=floored.argmax(axis=1).astype(np.int64))


def measure(
    joined: Joined,
    truth: Integers,
    minimum: Minimum,
    replicates: int,
    seed: bytes,
    *,
    alone: Joined | None = None,
    weights: Floats | None = None,
) -> Figures:
    """Figures of test rows with 95 % intervals over `replicates` resamples, each of which has every class.

    joined, alone: of the test rows, by all columns and by the label holder's; truth: (rows,) places of the true
    classes; weights: (rows,) survey weights, at least 0, any scale. Raises TooFewRows, LabelTooRare.
    """
    rows, classes = joined.chances.shape
    own = np.ones(rows) if weights is None else weights
    _check(truth, classes, own, minimum)
    ways = [joined, *([alone] if alone else [])]
    step = max(1, metrics.CHUNK_CELLS_MAX // rows)
    drawn = [np.zeros((len(ways), 3, 0))]
    for first in range(0, replicates, step):
        block = metrics.resamples(rows, min(step, replicates - first), seed, first) * own[:, None]
        present = [block[truth == place].sum(axis=0) > 0 for place in range(classes)]
        usable = np.ascontiguousarray(block[:, np.all(present, axis=0)], np.float64)
        drawn.append(np.stack([_figures(way, truth, usable) for way in ways]))
    point = np.stack([_figures(way, truth, own[:, None])[:, 0] for way in ways])
    spread = np.concatenate(drawn, axis=2)
    shares = np.bincount(truth, weights=own, minlength=classes) / own.sum()
    return Figures(
        rows=rows,
        joint=_measured(point[0], spread[0]),
        alone=_measured(point[1], spread[1]) if alone else None,
        uplift=_measured(BETTER * (point[0] - point[1]), BETTER[:, None] * (spread[0] - spread[1])) if alone else None,
        base_accuracy_ppm=metrics.ppm(shares.max()),
        base_log_loss_ppm=metrics.ppm(-(shares * np.log(shares)).sum()),
        cells=cells(joined.given, truth, classes, minimum, own),
    )


def _check(truth: Integers, classes: int, weights: Floats, minimum: Minimum) -> None:
    """Raises TooFewRows, LabelTooRare, by what the rows weigh."""
    if (count := int(bands.effective_rows(weights))) < minimum.rows:
        raise TooFewRows(count=count, what="test", minimum=minimum.rows)
    rarest = min(int(bands.effective_rows(weights[truth == place])) for place in range(classes))
    if rarest < minimum.of_each_class:
        raise LabelTooRare(count=rarest, what="test", minimum=minimum.of_each_class)


def _measured(point: Floats, spread: Floats) -> Measured:
    """point: (3,); spread: (3, replicates)."""
    accuracy, macro_auc, log_loss = (metrics.estimate(point[row], spread[row]) for row in range(3))
    return Measured(accuracy=accuracy, macro_auc=macro_auc, log_loss=log_loss)


def cells(
    given: Integers, truth: Integers, classes: int, minimum: Minimum, weights: Floats
) -> tuple[tuple[int | None, ...], ...]:
    """Test rows by class given and true class, None where a cell is not shown. given, truth, weights: (rows,)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (given, truth), 1)
    shown = np.zeros((classes, classes), bool)
    for one in range(classes):
        true, own = truth[given == one], weights[given == one]
        shown[one] = [minimum.met(true == other, own) for other in range(classes)]
    lines = _lines(classes)
    while alone := [line for line in lines if (~shown[line]).sum() == 1]:
        where = alone[0]
        smallest = np.where(shown[where], counts[where], counts.sum() + 1).argmin()
        shown[where[0][smallest], where[1][smallest]] = False
    return tuple(
        tuple(int(count) if seen else None for count, seen in zip(row, mask, strict=True))
        for row, mask in zip(counts, shown, strict=True)
    )


def _lines(classes: int) -> list[Line]:
    """The lines whose sums are known: the diagonal first, whose second hidden cell may serve a column too."""
    every = np.arange(classes)
    return [(every, every), *((every, np.full(classes, place)) for place in range(classes))]


def _figures(joined: Joined, truth: Integers, weights: Floats) -> Floats:
    """(3, replicates): accuracy, macro AUC and log loss under row weights (rows, replicates)."""
    everybody = weights.sum(axis=0)
    right = (joined.given == truth).astype(np.float64) @ weights / everybody
    losses = -np.log(joined.chances[np.arange(len(truth)), truth]) @ weights / everybody
    each = [metrics.aucs(truth == place, joined.chances[:, place], weights) for place in range(joined.chances.shape[1])]
    return np.stack([right, np.mean(each, axis=0), losses])
