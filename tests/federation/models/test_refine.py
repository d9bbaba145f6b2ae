"""Rounds of logistic regression: towards the optimum, never past a rise, ended where they gain nothing."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from federation import features, metrics
from federation.models import logistic, refine
from federation.models.refine import PLATEAU, ROUNDS, Block, Pace, Position, begin, judge, residual
from federation.plan import TrainingPlan
from tests.federation.alliance import body, households
from tests.federation.refined import pooled
from tests.support.shared_data import data_folder

SPLITS = 20


def blocks(seed: int = 12, rows: int = 3000) -> tuple[list[np.ndarray], np.ndarray]:
    """Three parties whose columns share causes."""
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=(rows, 4))
    parts = [hidden @ draw.normal(size=(4, m)) + draw.normal(size=(rows, m)) for m in (3, 6, 5)]
    parts = [(part - part.mean(axis=0)) / part.std(axis=0) for part in parts]
    return parts, draw.random(rows) < 1 / (1 + np.exp(-2 * hidden[:, 0] + hidden[:, 1] + 0.7))


def test_many_rounds_reach_logistic_regression() -> None:
    parts, label = blocks()
    weights, losses, _ = pooled(parts, label, rounds=400, plateau_ppm=0)
    peer = logistic.fit(np.hstack(parts), label, 1.0)
    assert weights[0][0] == pytest.approx(peer.intercept, abs=2e-3)
    assert np.concatenate([weights[0][1:], *weights[1:]]) == pytest.approx(peer.weights, abs=2e-3)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_few_rounds_take_most_of_what_there_is_to_gain(seed: int) -> None:
    parts, label = blocks(seed)
    _, losses, why = pooled(parts, label, rounds=6, plateau_ppm=0)
    peer = logistic.fit(np.hstack(parts), label, 1.0)
    best = refine.log_loss(label, peer.scores(np.hstack(parts)))
    assert why == ROUNDS and len(losses) == 6
    assert losses[-1] - best < 0.1 * (losses[0] - best)


def test_a_plateau_ends_the_rounds() -> None:
    parts, label = blocks()
    _, losses, why = pooled(parts, label, rounds=15, plateau_ppm=3000)
    assert why == PLATEAU and len(losses) < 15
    falls = -np.diff(losses) / losses[:-1]
    assert falls[-1] < 0.003 <= falls[:-1].min()


def test_undivided_steps_that_diverge_are_divided_once_the_loss_rises() -> None:
    """Three parties with nearly the same column and a weak label: three undivided steps overshoot threefold."""
    rows, draw = 4000, np.random.default_rng(12)
    common = draw.normal(size=rows)
    parts = [(common + 0.05 * draw.normal(size=rows))[:, None] for _ in range(3)]
    label = draw.random(rows) < 0.5 + 0.05 * np.tanh(common)
    start = [np.array([0.0, 0.4]), np.array([0.4]), np.array([0.4])]
    weights, losses, _ = pooled(parts, label, rounds=15, plateau_ppm=0, start=start)
    rises = np.flatnonzero(np.diff(losses) > 0)
    assert len(rises) > 0 and rises[0] <= 2
    assert losses[-1] < losses[0] and np.diff(losses[rises[0] + 1 :]).max() < 1e-3
    undivided = [judge([2.0, 3.0], 1, parties, 0, 15) for parties in (2, 3, 6)]
    assert undivided == [Pace(divisor=parties, anew=True) for parties in (2, 3, 6)]
    score = np.hstack(parts) @ np.concatenate([weights[0][1:], *weights[1:]])
    assert refine.log_loss(label, score) < 0.7


JUDGED = {
    "the first round": ([0.7], 1, Pace(divisor=1, anew=False)),
    "a fall": ([0.7, 0.6], 1, Pace(divisor=1, anew=False)),
    "a fall below the plateau": ([0.7, 0.69999], 1, PLATEAU),
    "a rise": ([0.7, 0.71], 1, Pace(divisor=3, anew=True)),
    "a rise of divided steps": ([0.7, 0.71, 0.72], 3, PLATEAU),
    "a fall of divided steps": ([0.7, 0.71, 0.6], 3, Pace(divisor=3, anew=False)),
    "the last round": ([0.7, 0.6, 0.5, 0.4], 1, ROUNDS),
    "a rise in the last round": ([0.7, 0.6, 0.5, 0.6], 1, ROUNDS),
    "a plateau in the last round": ([0.7, 0.6, 0.5, 0.5], 1, PLATEAU),
}


@pytest.mark.parametrize("case", JUDGED)
def test_each_round_is_judged_by_the_train_losses(case: str) -> None:
    losses, divisor, expected = JUDGED[case]
    assert judge(losses, divisor, 3, 100, 4) == expected


def test_the_round_with_the_least_loss_is_kept() -> None:
    assert refine.best([0.7, 0.5, 0.6]) == 2
    assert refine.best([0.7, 0.5, 0.5]) == 2


def test_one_party_alone_steps_as_newton_with_the_bound() -> None:
    parts, label = blocks()
    values = parts[0]
    block = Block(values.T @ values, np.full(3, 2.0))
    at = begin(np.array([0.3, -0.2, 0.1]))
    pull = values.T @ (label - metrics.sigmoid(values @ at.point))
    made = block.step(at, pull, Pace(divisor=2, anew=False))
    expected = at.point + np.linalg.solve(values.T @ values / 4 + 2 * np.eye(3), pull - 2 * at.point) / 2
    assert made.weights == pytest.approx(expected, abs=1e-12)
    assert (made.point == made.weights).all() and made.steps == 1
    again = block.step(made, pull, Pace(divisor=1, anew=False))
    assert again.point == pytest.approx(again.weights + (again.weights - made.weights) * 0.2817535, abs=1e-6)
    restarted = block.step(again, pull, Pace(divisor=1, anew=True))
    assert (restarted.point == restarted.weights).all() and restarted.steps == 1
    assert isinstance(restarted, Position)


def test_a_residual_is_an_integer_within_the_bound_of_values() -> None:
    score = np.array([-900.0, -1.0, 0.0, 1.0, 900.0])
    for label in (np.zeros(5, bool), np.ones(5, bool)):
        found = residual(label, score)
        assert np.abs(found).max() == refine.RESIDUAL_ONE == features.VALUE_MAX
        assert found / refine.RESIDUAL_ONE == pytest.approx(label - metrics.sigmoid(score), abs=0.5 / 2047)


# --- the households of the survey, 20 splits -----------------------------------------------------------------------


def split(thin: bool, label: str) -> Iterator[tuple[list[np.ndarray], np.ndarray, np.ndarray, list[np.ndarray]]]:
    """Prepared values by party, the label, the test rows, and the unprepared columns, of every split."""
    folder = data_folder("scf2022")
    tables, columns = households(folder, label)
    if thin:
        columns = columns | {"broker": json.loads((folder / "parties.json").read_text())["broker_thin"]}
    raw = [np.column_stack([tables[partner].columns[name] for name in names]) for partner, names in columns.items()]
    assert tables["broker"].label is not None
    for number in range(SPLITS):
        plan = TrainingPlan.from_body(body(columns, split_salt=f"{number:032x}"))
        test = plan.test_mask(tables["broker"].tokens)
        parts = [
            features.prepare(tables[partner].columns, names, ~test, plan.rare_rows).scaled
            for partner, names in columns.items()
        ]
        yield parts, tables["broker"].label == 1, test, raw


def held_out_auc(
    weights: list[np.ndarray], parts: list[np.ndarray], label: np.ndarray, test: np.ndarray, step: float
) -> float:
    own = parts[0][test] @ weights[0][1:]
    shares = [part[test] @ one for part, one in zip(parts[1:], weights[1:], strict=True)]
    return metrics.auc(label[test], own + sum(np.rint(share / step) * step if step else share for share in shares))


@pytest.mark.real_data
@pytest.mark.parametrize("log2", [-4, -5])
@pytest.mark.parametrize("thin", [True, False], ids=["thin", "questionnaire"])
@pytest.mark.parametrize("label", ["y_direct", "y_direct100k"])
def test_six_rounds_equal_the_same_rounds_on_exact_scores_and_are_not_below_the_pooled_peer(
    label: str, thin: bool, log2: int
) -> None:
    exact, peer = [], []
    for parts, truth, test, raw in split(thin, label):
        train = [part[~test] for part in parts]
        ours, _, _ = pooled(train, truth[~test], step=2.0**log2)
        same, _, _ = pooled(train, truth[~test])
        found = held_out_auc(ours, parts, truth, test, 2.0**log2)
        exact.append(found - held_out_auc(same, parts, truth, test, 0.0))
        values = [np.where(np.abs(one).max(0) > 100, np.sign(one) * np.log1p(np.abs(one)), one) for one in raw]
        scaled = StandardScaler().fit(np.hstack(values)[~test]).transform(np.hstack(values))
        fitted = LogisticRegression(C=1.0, max_iter=2000).fit(scaled[~test], truth[~test])
        peer.append(found - metrics.auc(truth[test], fitted.decision_function(scaled[test])))
    assert abs(float(np.mean(exact))) <= 0.001
    assert float(np.mean(peer)) >= -0.002
