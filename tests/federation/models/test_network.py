"""The network's gradients are those of its loss, its per-row clipping is exact, and its training repeats."""

from collections.abc import Sequence

import numpy as np
import pytest

from federation.models import logistic, network
from federation.models.network import Classes, Floats, Parameters, Work

LAYERS = [(4, 1), (4, 3), (4, 5, 1), (4, 6, 5, 3)]


def data(layers: Sequence[int], rows: int = 40, seed: int = 3) -> tuple[Parameters, Floats, Classes]:
    draw = np.random.default_rng(seed)
    parameters = tuple(draw.normal(size=shape) * 0.7 for shape in network.shapes(layers))
    classes = draw.integers(0, max(2, layers[-1]), rows)
    return parameters, draw.normal(size=(rows, layers[0])), classes


@pytest.mark.parametrize("layers", LAYERS)
def test_the_gradient_is_the_slope_of_the_loss(layers: tuple[int, ...]) -> None:
    parameters, values, classes = data(layers)
    slopes = network.gradient(parameters, values, classes)
    for at, slope in enumerate(slopes):
        for index in np.ndindex(*slope.shape):
            losses = []
            for step in (1e-6, -1e-6):
                moved = [one.copy() for one in parameters]
                moved[at][index] += step
                losses.append(network.loss(tuple(moved), values, classes))
            assert slope[index] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("limit", [0.05, 1.0, 1e9])
def test_rows_are_clipped_one_by_one(layers: tuple[int, ...], limit: float) -> None:
    parameters, values, classes = data(layers)
    total = [np.zeros_like(one) for one in parameters]
    for row in range(len(values)):
        slopes = network.gradient(parameters, values[row : row + 1], classes[row : row + 1])
        norm = np.sqrt(sum(float((slope**2).sum()) for slope in slopes))
        for sum_, slope in zip(total, slopes, strict=True):
            sum_ += slope * min(1.0, limit / norm)
    found = network.clipped_gradient(parameters, values, classes, limit)
    for one, sum_ in zip(found, total, strict=True):
        np.testing.assert_allclose(one, sum_ / len(values), atol=1e-12)


def test_replacing_one_row_moves_a_private_update_by_no_more_than_twice_the_limit() -> None:
    parameters, values, classes = data((4, 5, 1))
    work = Work(steps=1, batch=0, rate=0.5, l2=0.1)
    before = network.private_update(parameters, values, classes, work, 0.3)
    values[7] *= 1e6
    after = network.private_update(parameters, values, classes, work, 0.3)
    moved = np.sqrt(sum(float(((a - b) ** 2).sum()) for a, b in zip(after, before, strict=True)))
    assert 0 < moved <= 2 * 0.5 * 0.3 / len(values)


@pytest.mark.parametrize("layers", LAYERS)
def test_chances_are_chances_even_of_huge_scores(layers: tuple[int, ...]) -> None:
    parameters, values, classes = data(layers)
    for scale in (1.0, 1e6):
        chances = network.chances(parameters, values * scale)
        assert chances.shape == (40, max(2, layers[-1]))
        np.testing.assert_allclose(chances.sum(axis=1), 1.0)
        assert np.isfinite(network.row_losses(parameters, values * scale, classes)).all()


def test_without_a_hidden_layer_it_is_logistic_regression() -> None:
    draw = np.random.default_rng(1)
    values = draw.normal(size=(500, 3))
    classes = (values @ [1.0, -2.0, 0.5] + draw.logistic(size=500) > 0.3).astype(np.int64)
    peer = logistic.fit(values, classes == 1, 500.0)
    work = Work(steps=2_000, batch=0, rate=1.0, l2=1 / 500 / 500)
    weights, bias = network.fit_local(network.initial((3, 1), b""), values, classes, work, b"seed")
    np.testing.assert_allclose(weights[:, 0], peer.weights, atol=1e-6)
    assert bias[0] == pytest.approx(peer.intercept, abs=1e-6)


def test_two_outputs_are_the_same_model_as_one() -> None:
    parameters, values, classes = data((4, 1))
    pair = (np.column_stack([np.zeros(4), parameters[0][:, 0]]), np.array([0.0, parameters[1][0]]))
    np.testing.assert_allclose(network.chances(pair, values), network.chances(parameters, values))
    assert network.loss(pair, values, classes) == pytest.approx(network.loss(parameters, values, classes))


def test_a_hidden_layer_learns_what_a_line_cannot() -> None:
    draw = np.random.default_rng(2)
    values = draw.normal(size=(400, 2))
    classes = (values[:, 0] * values[:, 1] > 0).astype(np.int64)
    work = Work(steps=600, batch=64, rate=0.3)
    line = network.fit_local(network.initial((2, 1), b""), values, classes, work, b"s")
    net = network.fit_local(network.initial((2, 16, 1), b"start"), values, classes, work, b"s")
    assert network.loss(net, values, classes) < 0.3 < 0.6 < network.loss(line, values, classes)


def test_training_repeats_bit_for_bit_and_follows_its_seed() -> None:
    start = network.initial((4, 5, 1), b"start")
    _, values, classes = data((4, 5, 1))
    work = Work(steps=30, batch=16, rate=0.1, l2=0.01)
    first = network.fit_local(start, values, classes, work, b"one")
    again = network.fit_local(network.initial((4, 5, 1), b"start"), values, classes, work, b"one")
    other = network.fit_local(start, values, classes, work, b"two")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(start[0], network.initial((4, 5, 1), b"other")[0])


def test_every_row_of_a_pass_is_used_once() -> None:
    work = Work(steps=6, batch=10, rate=0.1)
    seen = list(network._batches(30, work, b"seed"))
    assert sorted(np.concatenate(seen[:3])) == list(range(30)) == sorted(np.concatenate(seen[3:]))  # type: ignore[arg-type]
    assert list(network._batches(10, work, b"seed")) == [slice(None)] * 6


def test_a_proximal_term_keeps_weights_near_their_start() -> None:
    parameters, values, classes = data((4, 1))
    moved = []
    for pull in (0.0, 5.0):
        made = network.fit_local(parameters, values, classes, Work(steps=50, batch=0, rate=0.1, proximal=pull), b"s")
        moved.append(np.linalg.norm(made[0] - parameters[0]))
    assert moved[1] < 0.5 * moved[0]
