"""One family of models: a feed-forward net. Without a hidden layer it is (multinomial) logistic regression.

Float64 throughout, rectified hidden units, log loss; two classes have one output (log-odds of the second class), more
have one output each (softmax). Everything is a function of its arguments: the start values and the order of batches
come from a seed, through Philox (Salmon et al., SC 2011), so that any party recomputes the same numbers.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Classes: TypeAlias = NDArray[np.int64]  # (rows,): the class index of each row
Parameters: TypeAlias = tuple[Floats, ...]  # weights (below, above) and bias (above,) of each layer in turn

WEIGHT_MAX = 2.0**20  # of a weight that is taken from outside: with inputs of `tabular` nothing below overflows


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A local training: `steps` gradient steps of `batch` rows (0 = all). proximal: pull to the start, as in FedProx
    (Li et al., MLSys 2020)."""

    steps: int
    batch: int
    rate: float
    l2: float = 0.0
    proximal: float = 0.0


def names(layers: Sequence[int]) -> tuple[str, ...]:
    """The parameters' names in order. layers: sizes from inputs to outputs."""
    return tuple(f"layer{i}.{part}" for i in range(len(layers) - 1) for part in ("weights", "bias"))


def shapes(layers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The parameters' shapes in order."""
    pairs = pairwise(layers)
    return tuple(shape for below, above in pairs for shape in ((below, above), (above,)))


def initial(layers: Sequence[int], seed: bytes) -> Parameters:
    """Start values: zeros where no layer is hidden (the loss is convex), else He et al. (ICCV 2015) from the seed."""
    if len(layers) == 2:
        return tuple(np.zeros(shape) for shape in shapes(layers))
    draw = _generator(seed)
    made = []
    for shape in shapes(layers):
        scale = np.sqrt(2.0 / shape[0])
        made.append(draw.standard_normal(shape) * scale if len(shape) == 2 else np.zeros(shape))
    return tuple(made)


def scores(parameters: Parameters, values: Floats) -> Floats:
    """(rows, outputs): log-odds of the second class, or unnormalised log chances of every class."""
    return _forward(parameters, values)[-1]


def chances(parameters: Parameters, values: Floats) -> Floats:
    """(rows, classes): each row's chances, their sum 1."""
    return _chances(scores(parameters, values))


def row_losses(parameters: Parameters, values: Floats, classes: Classes) -> Floats:
    """(rows,): minus the log chance of each row's class, in nats; stable for large scores."""
    out = scores(parameters, values)
    if out.shape[1] == 1:
        sign = np.where(classes == 1, 1.0, -1.0)
        return np.logaddexp(0.0, -sign * out[:, 0])
    log_sums: Floats = np.logaddexp.reduce(out, axis=1)
    return log_sums - out[np.arange(len(out)), classes]


def loss(parameters: Parameters, values: Floats, classes: Classes) -> float:
    """Mean log loss in nats."""
    return float(row_losses(parameters, values, classes).mean())


def gradient(parameters: Parameters, values: Floats, classes: Classes) -> Parameters:
    """Of the mean log loss, without any penalty."""
    layers = _forward(parameters, values)
    return _sums(_deltas(parameters, layers, classes), layers, len(values))


def clipped_gradient(parameters: Parameters, values: Floats, classes: Classes, limit: float) -> Parameters:
    """Mean of the rows' gradients, each cut to the L2 norm `limit` over all parameters (Abadi et al., CCS 2016).

    A row's gradient in a layer is the outer product of its error and its inputs, so its norm is known without making
    it (Goodfellow, 2015): only the errors are scaled.
    """
    layers = _forward(parameters, values)
    deltas = _deltas(parameters, layers, classes)
    squares = np.zeros(len(values))
    for delta, below in zip(deltas, layers, strict=False):
        squares += (delta**2).sum(axis=1) * ((below**2).sum(axis=1) + 1.0)  # + 1: the bias's input
    scale = limit / np.maximum(np.sqrt(squares), limit)
    return _sums([delta * scale[:, None] for delta in deltas], layers, len(values))


def fit_local(parameters: Parameters, values: Floats, classes: Classes, work: Work, seed: bytes) -> Parameters:
    """Gradient descent from `parameters`. l2 is ½·l2·‖weights‖² (biases free); seed orders the batches."""
    own, start = tuple(one.copy() for one in parameters), parameters
    for rows in _batches(len(values), work, seed):
        slopes = gradient(own, values[rows], classes[rows])
        for one, slope, first in zip(own, slopes, start, strict=True):
            pull = work.proximal * (one - first)
            if one.ndim == 2:
                pull += work.l2 * one
            one -= work.rate * (slope + pull)
    return own


def private_update(parameters: Parameters, values: Floats, classes: Classes, work: Work, limit: float) -> Parameters:
    """What one step over all rows moves the parameters by, every row's gradient cut to `limit`; noise comes later.

    Computed by itself, never as a difference of weights: beside a large weight float64 would round a row's share to
    far more than `limit`, and the noise is made for that (Mironov, CCS 2012, shows how rounding undoes noise).
    """
    slopes = clipped_gradient(parameters, values, classes, limit)
    penalties = [work.l2 * one if one.ndim == 2 else np.zeros_like(one) for one in parameters]
    return tuple(-work.rate * (slope + penalty) for slope, penalty in zip(slopes, penalties, strict=True))


def _batches(rows: int, work: Work, seed: bytes) -> Iterator[slice | NDArray[np.int64]]:
    """The rows of each step: all, or the next ones of a shuffled pass over all."""
    if work.batch == 0 or work.batch >= rows:
        yield from [slice(None)] * work.steps
        return
    draw = _generator(seed)
    order, at = draw.permutation(rows), 0
    for _ in range(work.steps):
        if at + work.batch > rows:
            order, at = draw.permutation(rows), 0
        yield order[at : at + work.batch]
        at += work.batch


def _forward(parameters: Parameters, values: Floats) -> list[Floats]:
    """The values of every layer, inputs first, outputs last."""
    layers = [values]
    for index in range(0, len(parameters), 2):
        above = layers[-1] @ parameters[index] + parameters[index + 1]
        layers.append(above if index + 2 == len(parameters) else np.maximum(above, 0.0))
    return layers


def _deltas(parameters: Parameters, layers: list[Floats], classes: Classes) -> list[Floats]:
    """The slope of every row's own loss by the values each layer adds up, first layer first."""
    out = layers[-1]
    if out.shape[1] == 1:
        delta = _chances(out)[:, 1:] - (classes == 1)[:, None]
    else:
        delta = _chances(out)
        delta[np.arange(len(out)), classes] -= 1.0
    found = [delta]
    for index in range(len(layers) - 2, 0, -1):
        found.append((found[-1] @ parameters[2 * index].T) * (layers[index] > 0.0))
    return found[::-1]


def _sums(deltas: list[Floats], layers: list[Floats], rows: int) -> Parameters:
    made = []
    for delta, below in zip(deltas, layers, strict=False):
        made += [below.T @ delta / rows, delta.sum(axis=0) / rows]
    return tuple(made)


def _chances(out: Floats) -> Floats:
    if out.shape[1] == 1:
        second = 0.5 * (1.0 + np.tanh(0.5 * out[:, 0]))  # a sigmoid that cannot overflow
        return np.column_stack([1.0 - second, second])
    powers: Floats = np.exp(out - out.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _generator(seed: bytes) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(seed).digest()[:16], "big")))
