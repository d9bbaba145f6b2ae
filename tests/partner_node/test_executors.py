"""Where the parts of a match are computed: here, in processes, on a real Dask cluster of two workers. All agree."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partner_node import executors
from partner_node.executors import Executor, ExecutorUnreachable, Processes
from privacy.psi import rows
from privacy.psi.oprf.state import RowsResult
from tests.support.entropy import SeededEntropy

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

LEFT = [b"acct:%06d" % n for n in range(3000)]
RIGHT = [b"acct:%06d" % n for n in range(1000, 4000)]


def identity(task: Any) -> Any:
    return task, os.getpid()


def end_once(task: Any) -> Any:
    """The first call ends its worker, as kill -9 does."""
    mark, value = task
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


@pytest.fixture
def processes() -> Iterator[Executor]:
    made = Processes(2)
    yield made
    made.close()


def matched(executor: Executor) -> tuple[RowsResult, RowsResult]:
    """Both sides' results of rows for both, in many buckets."""
    sides = {"left": LEFT, "right": RIGHT}
    sessions = {
        name: rows.create(
            id_type="phone",
            role="leader" if name == "left" else "follower",
            both=True,
            me=name,
            peer="right" if name == "left" else "left",
            ids=ids,
            counts={one: len(found) for one, found in sides.items()},
            context=b"digest of the job and of all commitments",
            minimum=1,
            entropy=SeededEntropy(name.encode()),
            parallel=4,
            bucket_keys=500,
            begin=executor.begin,
        )
        for name, ids in sides.items()
    }
    waiting = [(name, item) for name, session in sessions.items() for item in session.start()]
    while waiting or any(session.ready for session in sessions.values()):
        for sender, item in [waiting.pop(0) for _ in range(len(waiting))]:
            answered = sessions[item.recipient].receive(sender, item.message)
            waiting += [(item.recipient, answer) for answer in answered]
        waiting += [(name, item) for name, session in sessions.items() for item in session.work()]
    return sessions["left"].result(), sessions["right"].result()


def check(executor: Executor) -> None:
    left, right = matched(executor)
    assert left.rows.tolist() == [*range(1000, 3000)]
    assert right.rows.tolist() == [*range(0, 2000)]


def test_processes_find_what_there_is(processes: Executor) -> None:
    check(processes)


def test_results_come_in_the_order_of_the_tasks_from_other_processes(processes: Executor) -> None:
    found = list(processes.parts(identity, range(20)))
    assert [value for value, _ in found] == [*range(20)]
    assert os.getpid() not in {process for _, process in found}
    assert list(processes.parts(identity, [7])) == [(7, os.getpid())], "a single one is done here"


def test_a_worker_that_is_killed_costs_nothing_but_time(processes: Executor, tmp_path: Path) -> None:
    mark = str(tmp_path / "killed")
    assert list(processes.parts(end_once, [(mark, n) for n in range(8)])) == [*range(8)]
    assert Path(mark).exists()


def test_threads_take_what_releases_the_lock(processes: Executor) -> None:
    assert [value for value, _ in processes.threads(identity, range(5))] == [*range(5)]


@pytest.mark.parametrize("name", ["threads://somewhere", "processes:0", "processes:", "processes:1000", "processes:٤"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ExecutorUnreachable):
        executors.make(name)


def test_a_single_worker_is_the_node_itself() -> None:
    made = executors.make("processes:1")
    assert [pid for _, pid in made.parts(identity, range(3))] == [os.getpid()] * 3


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra dask")
    monkeypatch.setattr(executors, "DASK_SECONDS", 1)
    made = executors.make("dask://127.0.0.1:9")
    with pytest.raises(ExecutorUnreachable, match=r"dask://127\.0\.0\.1:9"):
        made.parts(identity, range(2))


def test_a_secret_that_outlives_its_job_goes_to_no_cluster() -> None:
    made = executors.make("dask://127.0.0.1:9")  # nobody is there: what went out would fail
    try:
        assert [pid for _, pid in made.local(identity, range(3))] == [os.getpid()] * 3
    finally:
        made.close()


@pytest.mark.filterwarnings("default")  # Dask's own
def test_a_dask_cluster_of_two_workers_finds_what_there_is() -> None:
    distributed = pytest.importorskip("distributed", reason="the extra dask")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        made = executors.make("dask://" + cluster.scheduler_address.removeprefix("tcp://"))
        try:
            check(made)
            workers = {process for _, process in made.parts(identity, range(20))}
            end = time.monotonic() + 10
            while len(workers) < 2 and time.monotonic() < end:
                workers |= {process for _, process in made.parts(identity, range(20))}
            assert len(workers) == 2 and os.getpid() not in workers
        finally:
            made.close()


POOL = """
import sys, time
from partner_node.executors import Processes
from tests.partner_node.test_executors import identity
if __name__ == "__main__":
    pool = Processes(2)
    print(*{process for _ in range(20) for _, process in pool.parts(identity, range(8))}, flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_node_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as node:
        assert node.stdout is not None
        workers = [int(process) for process in node.stdout.readline().split()]
        assert workers, "it has started"
        node.kill()
    end = time.monotonic() + 20
    while any(running(process) for process in workers):
        assert time.monotonic() < end, "workers outlived their node"
        time.sleep(0.05)


def running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
