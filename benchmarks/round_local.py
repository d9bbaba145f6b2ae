"""Fifty nodes in one process: a `LocalGrid` of ordinary Flower apps under the homomorphic strategy and its mod.

`python -m benchmarks.round_local RUNS` measures whole runs, keys, shares and their sealing included, and prints them
as a line of JSON. Each node has an engine, an identity and keys of its own, as it would have on a machine of its own.
"""

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from benchmarks.harness import Row, row, seconds
from benchmarks.peers import environment
from federation.grid import LocalGrid
from federation.horizontal.identity import KeyIdentity, KeyVerifier
from federation.horizontal.lanes import Update
from federation.horizontal.member import Member
from federation.horizontal.mod import homomorphic_app
from federation.horizontal.strategy import HomomorphicStrategy
from privacy.aggregation import Roster
from privacy.ids import Digest, PartnerId, parse_digest
from privacy.seal import SealingKey, SigningKey
from privacy.threshold import Threshold, public_seed

NODES, ROUNDS, SIZE = 50, 5, 10_000
STEP = 0.01  # what a node's training adds to every parameter, times its place
UPDATE = Update(clip=100.0, examples_max=1)


def rows(runs: int) -> list[Row]:
    root = environment.ROOT
    command = [sys.executable, "-P", "-m", "benchmarks.round_local", str(runs)]
    variables = environment.variables(root, root / "proto")
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    values = json.loads(done.stdout.splitlines()[-1])
    case = f"LocalGrid, {NODES} nodes, {ROUNDS} rounds"
    return [row(case, "EcoHub, one process", SIZE, values, metric="whole run", unit="s", parties=NODES)]


def run() -> float:
    """Seconds of one whole run; the last model must be the one that plain averages give."""
    roster = Roster(partners=tuple(PartnerId(f"party-{place:02}") for place in range(NODES)), colluders=1)
    job = parse_digest(os.urandom(32).hex())
    signing = {partner: SigningKey(os.urandom(32)) for partner in roster.partners}
    sealing = {partner: SealingKey(os.urandom(32)) for partner in roster.partners}
    verifying: dict[str, bytes] = {partner: key.public for partner, key in signing.items()}
    sealed_for: dict[str, bytes] = {partner: key.public for partner, key in sealing.items()}
    members = {
        p: Member(
            roster,
            _engine(roster, job),
            KeyIdentity(p, signing[p], sealing[p], verifying, sealed_for),
            {},
            job,
            os.urandom,
        )
        for p in roster.partners
    }
    grid = LocalGrid({p: _app(member, place) for place, (p, member) in enumerate(members.items())}, job)
    strategy = HomomorphicStrategy(
        FedAvg(fraction_evaluate=0.0), roster, _engine(roster, job), KeyVerifier(verifying), job, UPDATE,
        prepare_rounds=ROUNDS,
    )  # fmt: skip
    initial = ArrayRecord([np.zeros(SIZE, np.float32)])
    ended: list[ArrayRecord] = []
    spent = seconds(lambda: ended.append(strategy.start(grid, initial, num_rounds=ROUNDS).arrays))
    (model,) = ended[0].to_numpy_ndarrays()
    assert np.allclose(model, ROUNDS * STEP * (NODES - 1) / 2, atol=1e-4), "the model is the average of all nodes"
    return spent


def _engine(roster: Roster, job: Digest) -> Threshold:
    return Threshold(roster, public_seed(job))


def _app(member: Member, place: int) -> ClientApp:
    """A node whose training is one addition."""
    app = homomorphic_app(partial(_same, member), UPDATE)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        ((name, arrays),) = message.content.array_records.items()
        (weights,) = arrays.to_numpy_ndarrays()
        moved = ArrayRecord([weights + np.float32(STEP * place)])
        return Message(RecordDict({name: moved, "metrics": MetricRecord({"num-examples": 1})}), reply_to=message)

    return app


def _same(member: Member, message: Message, context: Context) -> Member:
    return member


if __name__ == "__main__":
    print(json.dumps([run() for _ in range(int(sys.argv[1]))]))
