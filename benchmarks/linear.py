"""`make bench NAME=linear`: X^T r by the hint-once product and by per-element Paillier (phe, 3072 bits), in turn.

The peer at full size takes hours, so its figure is measured on 40 rows and 4 columns and scaled by operation counts;
its case says so. Sizes: the demo's training, and 30,000 rows of 60 columns.
"""

import os

import numpy as np

from benchmarks import paillier
from benchmarks.harness import Row, in_turn, publish, row, seconds
from benchmarks.paillier import Paillier
from privacy.linear import Encryptor, Multiplier, joint_seed, parameters

RUNS = 5
CASES = [(1600, 54), (30_000, 60)]
CONTEXT = b"benchmark"


def run() -> None:
    rows: list[Row] = []
    peer = Paillier()
    for n, columns in CASES:
        rows += _case(n, columns, peer)
    publish("linear", rows)


def _case(n: int, columns: int, peer: Paillier) -> list[Row]:
    generator = np.random.default_rng(1)
    matrix = np.clip(np.rint(generator.standard_normal((n, columns)) * 256), -2047, 2047).astype(np.int64)
    vector = generator.integers(-2047, 2048, (1, n))
    chosen = parameters(n, columns, 2047, 2047, RUNS + 2)
    seed = joint_seed([os.urandom(32), os.urandom(32)])
    setup: list[float] = []
    made: list[tuple[Multiplier, Encryptor]] = []

    def prepare() -> None:
        holder = Multiplier(chosen, seed, "holder", matrix, CONTEXT, os.urandom)
        label = Encryptor(chosen, seed, CONTEXT, os.urandom)
        label.take_hint("holder", holder.hint())
        opened = label.decrypt("holder", holder.multiply(label.zero_test()))
        label.verify_zero("holder", holder.prove(opened))
        made.append((holder, label))

    setup.append(seconds(prepare))
    holder, label = made[-1]
    size = [0]

    def product() -> None:
        message = label.encrypt(vector)
        size[0] = len(message)
        result = holder.open(label.decrypt("holder", holder.multiply(message)))
        assert np.array_equal(result[0], matrix.T @ vector[0])

    ours, theirs = in_turn(RUNS, lambda: seconds(product), lambda: peer.costs(matrix, vector[0]).product(n, columns))
    scaled = f"{n:,} x {columns}, {paillier.SAMPLE}"
    case = f"{n:,} x {columns}"
    return [
        row(case, "linear", n, setup, metric="setup with hint and zero test", unit="s"),
        row(case, "linear", n, ours, metric="one product", unit="s"),
        row(case, "linear", n, [size[0]], metric="bytes up", unit="B"),
        row(scaled, paillier.NAME, n, theirs, metric="one product", unit="s"),
        row(scaled, "ratio", n, [b / a for a, b in zip(ours, theirs, strict=True)], metric="phe / linear", unit="x"),
    ]
