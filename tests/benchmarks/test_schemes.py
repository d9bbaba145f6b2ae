"""What the benchmark measures is the sum it says: schemes open it, a wrong one is noticed, scaling is by parameters."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import aggregation, aggregation_engines
from benchmarks.aggregation_report import find, targets
from benchmarks.harness import Row
from benchmarks.peers import PHASES, environment, masks, plain
from benchmarks.peers.scheme import measure
from benchmarks.workers import Worker, WorkerFailed, started

COUNT, PARTIES = 300, 4


@pytest.mark.parametrize("make", [plain.scheme, masks.scheme])
def test_two_rounds_of_a_peer_open_the_weighted_sum(make: type) -> None:
    scheme = make(COUNT, PARTIES)
    scheme.setup()
    for _ in range(2):
        figures = measure(scheme, PARTIES)
        assert figures["error"] <= scheme.tolerance and figures["upload"] == 4 * COUNT


def test_our_engine_opens_the_weighted_sum() -> None:
    scheme = aggregation_engines.threshold(COUNT, 3)
    scheme.setup()
    for _ in range(2):
        figures = measure(scheme, 3)
        assert figures["answered"] > 0 and figures["error"] <= scheme.tolerance
    assert figures["received"] > figures["dealt"] > 0


@pytest.mark.slow_flow
def test_the_engine_with_a_dealer_opens_the_weighted_sum() -> None:
    scheme = aggregation_engines.paillier(COUNT, 3)  # two safe primes of 1,536 bits: seconds, with bad luck a minute
    scheme.setup()
    figures = measure(scheme, 3)
    assert scheme.count == aggregation_engines.PAILLIER_SAMPLE
    assert figures["answered"] > figures["upload"] > 0 and figures["dealt"] == 0


def test_a_masked_upload_shows_nothing_of_its_values() -> None:
    scheme = masks.scheme(COUNT, PARTIES)
    scheme.setup()
    quantised = scheme.quantise(0, np.zeros(COUNT, np.float32), 1.0)
    assert len(set(quantised.tolist())) == 1
    assert len(set(scheme.encrypt(0, quantised).tolist())) == COUNT


def test_a_scheme_that_loses_an_upload_is_noticed() -> None:
    class Forgetful(plain.Plain):
        def add(self, upload: bytes) -> None:
            if self._sum is None:
                super().add(upload)

    with pytest.raises(AssertionError, match="the opened sum is off"):
        measure(Forgetful(COUNT), PARTIES)


def test_a_worker_measures_in_a_process_of_its_own_and_ends() -> None:
    variables = environment.variables(environment.ROOT)

    def make(entry: str) -> Worker:
        return Worker(Path(sys.executable), entry, COUNT, PARTIES, variables)

    with started([lambda: make("benchmarks.peers.plain:scheme")]) as (worker,):
        assert worker.ready()["count"] == COUNT
        figures = worker.round()
        assert figures["upload"] == 4 * COUNT and figures["peak"] >= figures["empty"] > 0
    with pytest.raises(WorkerFailed), started([lambda: make("benchmarks.peers.plain:nothing")]) as (broken,):
        broken.round()


def rounds_of(**changed: float) -> list[dict[str, float]]:
    names = (*PHASES, "dealt", "received", "upload", "handed", "answered", "peak")
    return [{**dict.fromkeys(names, 1.0), **changed}]


def rows_of(name: str, count: int, **changed: float) -> list[Row]:
    engine = next(engine for engine in aggregation.ENGINES if engine.name == name)
    return aggregation._rows(engine, 1_000_000, 3, {"setup": 2.0, "count": count}, rounds_of(**changed))


def test_a_sampled_engine_is_scaled_by_parameters_and_says_so() -> None:
    rows = rows_of("phe naive", 100, upload=76_800)
    assert all("scaled from 100" in r.case for r in rows)
    found = {r.metric: r.median for r in rows}
    assert found["encrypt"] == 10_000.0 and found["upload path"] == 30_000.0
    assert found["prepare"] == 1.0 and found["setup, once a job"] == 2.0 and found["upload a parameter"] == 768.0


def test_a_holder_that_answers_over_the_sum_is_handed_the_cohort() -> None:
    rows = rows_of("paillier", 1_000_000, upload=8_000_000)
    assert {r.metric: r.median for r in rows}["bytes down"] == 1 + 3 * 8_000_000 + 4_000_000


def test_targets_are_judged_for_a_million_parameters_only() -> None:
    ours, peer = rows_of("threshold", 1_000_000, upload=6e6, encrypt=0.1), rows_of("TenSEAL CKKS", 1_000_000)
    judged = {t.what.split(": ")[1]: t for t in targets([*ours, *peer])}
    assert judged["upload a parameter"].met and not judged["upload path"].met
    assert judged["TenSEAL / upload path"].figure == pytest.approx(3 / 2.1)
    smaller = [r for r in ours if find(ours, "threshold", 10_000, 3, r.metric)]
    assert targets(smaller) == []
