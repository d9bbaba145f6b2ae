"""A seeded synthetic alliance in the layout of `sandbox.party_files`. No row stands for a person.

Each household is drawn from eight correlated latent factors; every column of every party hangs on some of them
(`sandbox.synthetic_columns`), so the parties' columns depend on each other and on the label, and a joint model sees
more than the broker alone. Calibration (logistic, 5-fold, tests/sandbox/test_synthetic.py): AUC of `y_direct` about
0.84 with the broker's columns, about 0.87 with the partners'. All figures are chosen, none copied from data.
"""

import math
from pathlib import Path
from typing import TypeAlias

import click
import numpy as np

from sandbox import party_files, report
from sandbox.synthetic_columns import BANK, BROKER, FACTORS, INSURER, PLATFORM, Column

HOUSEHOLDS = 4595
SEED = 20261121
YEAR = 2026
ID_SALT = "ecohub/synthetic-id/v1"
ORIGIN = "synthetic: seeded random households, drawn by ecohub; no person stands behind any row"
AGE_CLASSES = (35, 45, 55, 65, 75)
# lower triangle of the factors' correlation: who earns more tends to know more and to own more
CORRELATION = {
    ("edu", "inc"): 0.45, ("age", "wea"): 0.35, ("edu", "wea"): 0.40, ("inc", "wea"): 0.60, ("edu", "risk"): 0.40,
    ("inc", "risk"): 0.35, ("wea", "risk"): 0.45, ("age", "digital"): -0.45, ("edu", "digital"): 0.30,
    ("inc", "family"): 0.25, ("wea", "care"): 0.30, ("risk", "digital"): 0.15,
}  # fmt: skip
# the label's own weights; what is left of the unit variance is chance
LABEL = {"wea": 0.34, "risk": 0.30, "edu": 0.28, "inc": 0.12, "age": 0.10}
Y_DIRECT_SHARE = 0.38
Y_LARGE_SHARE = 0.24

Array: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"


@click.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="folder to write")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=SEED, show_default=True)
@click.option(
    "--households", type=click.IntRange(100, 200_000), default=HOUSEHOLDS, show_default=True, help="how many to draw"
)
@click.option("--json", "as_json", is_flag=True, help="print counts as one JSON document")
def synthetic(out: Path, seed: int, households: int, as_json: bool) -> None:
    """Write a seeded synthetic alliance: party files for `ecohub demo --data`."""
    party_files.check_new(out)
    counts = generate(out, seed=seed, households=households)
    report.echo_counts(ORIGIN, out, counts, as_json)


def generate(folder: Path, *, seed: int = SEED, households: int = HOUSEHOLDS) -> dict[str, int]:
    """Write a synthetic alliance; counts per party and overlap. The same seed gives the same bytes."""
    return party_files.write(folder, draw(seed, households), year=YEAR, origin=f"{ORIGIN} (seed {seed})")


def draw(seed: int, count: int) -> list[party_files.Household]:
    """The households of a seed, each with a value for every column of every party and the labels."""
    rng = np.random.default_rng(seed)
    factors = _factors(rng, count)
    age = np.clip(np.rint(53 + 17 * factors["age"]), 18, 95)
    text: dict[str, list[str]] = {"AGE": [str(int(value)) for value in age]}
    for table in (BROKER, BANK, PLATFORM, INSURER):
        for name, column in table.items():
            text[name] = _column(rng, factors, column, count)
    score = _score(rng, factors, LABEL, count)
    text["y_direct"] = _flags(score, Y_DIRECT_SHARE)
    text["y_direct100k"] = _flags(score, Y_LARGE_SHARE)
    weights = np.exp(8.3 - 1.1 * factors["wea"] + 0.4 * rng.standard_normal(count))  # the wealthy are over-sampled
    text["WGT"] = [f"{value:.6f}" for value in weights]
    classes = np.searchsorted(AGE_CLASSES, age, side="right") + 1
    text["bank_node"] = [party_files.bank_node(int(c), int(e)) for c, e in zip(classes, text["EDCL"], strict=True)]
    ids = party_files.client_ids([f"{seed}/{i}" for i in range(count)], [int(a) for a in age], YEAR, ID_SALT)
    return [
        party_files.Household(client_id=client, values={name: column[i] for name, column in text.items()})
        for i, client in enumerate(ids)
    ]


def _factors(rng: np.random.Generator, count: int) -> dict[str, Array]:
    matrix = np.eye(len(FACTORS))
    for (a, b), value in CORRELATION.items():
        i, j = FACTORS.index(a), FACTORS.index(b)
        matrix[i, j] = matrix[j, i] = value
    drawn = rng.standard_normal((count, len(FACTORS))) @ np.linalg.cholesky(matrix).T
    return {name: drawn[:, i] for i, name in enumerate(FACTORS)}


def _score(rng: np.random.Generator, factors: dict[str, Array], loadings: dict[str, float], count: int) -> Array:
    """A standard score of the factors with the loadings given, filled up with chance to unit variance."""
    common = sum((weight * factors[name] for name, weight in loadings.items()), np.zeros(count))
    explained = _variance(loadings)
    assert explained < 1, "loadings explain more than everything"
    score: Array = common + math.sqrt(1 - explained) * rng.standard_normal(count)
    return score


def _variance(loadings: dict[str, float]) -> float:
    total = 0.0
    for a, x in loadings.items():
        for b, y in loadings.items():
            total += x * y * (1.0 if a == b else CORRELATION.get((a, b), CORRELATION.get((b, a), 0.0)))
    return total


def _column(rng: np.random.Generator, factors: dict[str, Array], column: Column, count: int) -> list[str]:
    score = _score(rng, factors, dict(column.loadings), count)
    match column.kind:
        case "flag":
            return _flags(score, column.p)
        case "level":
            cuts = _quantiles(np.cumsum(column.shares)[:-1])
            return [str(column.first + int(level)) for level in np.searchsorted(cuts, score)]
        case "count":
            drawn = rng.poisson(column.p * np.exp(0.5 * score - 0.125))
            return [str(min(int(value), column.most)) for value in drawn]
        case "money":
            return _money(rng, column, score, count)
    raise AssertionError(f"unknown kind of column {column.kind}")


def _money(rng: np.random.Generator, column: Column, score: Array, count: int) -> list[str]:
    # whether there is any is decided by a noisier look at the score that also sets how much
    has = _quantile(1 - column.p) < 0.8 * score + 0.6 * rng.standard_normal(count)
    amount = column.median * np.exp(column.spread * score)
    digits = np.power(10.0, np.maximum(np.floor(np.log10(amount)) - 2, 0))
    rounded = np.rint(amount / digits) * digits
    negative = rng.random(count) < (0.08 if column.signed else 0.0)
    signed = np.where(negative, -rounded, rounded)
    if column.cents:
        return [f"{value * 1.0625:.2f}" if some else "0" for value, some in zip(signed, has, strict=True)]
    return [str(int(value)) if some else "0" for value, some in zip(signed, has, strict=True)]


def _flags(score: Array, share: float) -> list[str]:
    return [str(int(value)) for value in score > _quantile(1 - share)]


def _quantiles(shares: Array) -> list[float]:
    return [_quantile(float(share)) for share in shares]


def _quantile(share: float) -> float:
    """The standard normal quantile, by bisection on the error function: no statistics package needed."""
    low, high = -9.0, 9.0
    for _ in range(60):
        middle = (low + high) / 2
        if 0.5 * (1 + math.erf(middle / math.sqrt(2))) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
