"""Where the parts of a match are computed: processes of this node, or a Dask cluster of its own.

A part (one bucket) is a pure function of what it is given, so it may be computed anywhere and again. What it is given
is secret: digests of one bucket's ids under the job's salt, and the job's seeds of base transfers. A cluster must be
this node's own, inside its house, with TLS. Results come back in the order of the tasks; one task is done here.

Setting `[matching] executor` of node.toml: "processes" (as many workers as cores), "processes:4" (so many; with one the
node computes itself), "dask+tls://host:port" (certificates by Dask's own settings, `distributed.comm.tls`), or
"dask://host:port" for a cluster on this machine.
"""

import logging
import multiprocessing
import os
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from privacy.errors import Failure, Kind
from privacy.psi.oprf.ahead import Begin, Begun

log = logging.getLogger(__name__)
PROCESSES = "processes"
DASK = {"dask://": "tcp://", "dask+tls://": "tls://"}
DASK_SECONDS = 30  # to reach a cluster
Work = Callable[[Any], Any]


class ExecutorUnreachable(Failure):
    code = "EXECUTOR_UNREACHABLE"
    kind = Kind.UNAVAILABLE
    en = "the executor {address} of [matching] in node.toml can't be used: {why}"
    zh = "node.toml 中 [matching] 的执行器 {address} 不可用：{why}"


class Executor(Protocol):
    """`parts` runs pure functions of picklable values; `threads` runs functions that release the interpreter lock.

    `local` is `parts` on this machine, whatever is configured: for a secret that lives longer than its job.
    `begin` begins one part, as `parts` would run it, and does not wait.
    """

    def begin(self, function: Work, task: Any) -> Begun: ...

    def parts(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]: ...
    def local(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]: ...
    def threads(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]: ...
    def close(self) -> None: ...


def make(name: str) -> Executor:
    """The executor of a setting. Nothing is started before it is needed. Raises ExecutorUnreachable for another name.

    A name of a Dask cluster needs the extra `dask`.
    """
    if count := re.fullmatch(rf"{PROCESSES}(?::([1-9][0-9]{{0,2}}))?", name, re.ASCII):
        return Processes(int(count[1] or os.cpu_count() or 1))
    for prefix, scheme in DASK.items():
        if name.startswith(prefix):
            return Dask(name, scheme + name.removeprefix(prefix))
    raise ExecutorUnreachable(
        address=name[:80], why=f"{PROCESSES}, {PROCESSES}:4, dask+tls://host:port or dask://host:port is expected"
    )


class _Local:
    """Threads of this process."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: ThreadPoolExecutor | None = None

    def threads(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]:
        return self._started_threads().map(function, tasks)

    def local(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]:
        return self.threads(function, tasks)

    def _started_threads(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="match")
        return self._threads

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


class Processes(_Local):
    """A pool of processes that starts with the first work for more than one of them, and ends with this one."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._pool: ProcessPoolExecutor | None = None

    def parts(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]:
        """All results. A pool whose worker died is started anew, once: the parts are pure functions."""
        listed = list(tasks)
        if min(len(listed), self._workers) < 2:
            return [function(task) for task in listed]
        return _results(self.begin, function, listed)

    def local(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]:
        return self.parts(function, tasks)

    def begin(self, function: Work, task: Any) -> Begun:
        """One part; a single worker is a thread of the node itself."""
        if self._workers < 2:
            return self._started_threads().submit(function, task)
        return _Aside(lambda: self._submitted(function, task))

    def close(self) -> None:
        super().close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _submitted(self, function: Work, task: Any) -> Begun:
        try:
            return self._started().submit(function, task)
        except BrokenProcessPool:
            self._pool = None
            return self._started().submit(function, task)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # this process has threads: a fork of it could hang on a lock that one of them held
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_end_with_parent)
        return self._pool


class _Aside:
    """A part in a worker process, computed again, once, where that has died."""

    def __init__(self, submit: Callable[[], Begun]) -> None:
        self._submit = submit
        self._first = submit()

    def result(self) -> Any:
        try:
            return self._first.result()
        except BrokenProcessPool:
            log.warning("a worker process died; its part is computed again")
            return self._submit().result()


class Dask(_Local):
    """Workers of a Dask cluster. The client connects with the first work and stays."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__(os.cpu_count() or 1)
        self._name, self._address = name, address
        self._client: Any = None

    def parts(self, function: Work, tasks: Iterable[Any]) -> Iterable[Any]:
        """All results. Raises ExecutorUnreachable."""
        listed = list(tasks)
        if len(listed) < 2:
            return [function(task) for task in listed]
        return _results(self.begin, function, listed)

    def begin(self, function: Work, task: Any) -> Begun:
        """One part. Raises ExecutorUnreachable, here or when its result is asked for."""
        # pure=False: Dask would keep results by their inputs' digests, and these are secrets used once
        client = self._connected()
        return _Distant(self._name, lambda: client.submit(function, task, pure=False))

    def close(self) -> None:
        super().close()
        if self._client is not None:
            self._client.close()

    def _connected(self) -> Any:
        if self._client is None:
            try:
                from distributed import Client
            except ImportError:
                why = "the extra `dask` is not installed (pip install ecohub[dask])"
                raise ExecutorUnreachable(address=self._name, why=why) from None
            try:
                self._client = Client(self._address, timeout=DASK_SECONDS, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                raise ExecutorUnreachable(address=self._name, why=type(error).__name__) from None
        return self._client


class _Distant:
    """A part in a cluster, whose failures are named."""

    def __init__(self, name: str, submit: Callable[[], Begun]) -> None:
        self._name = name
        self._begun: Begun = self._named(submit)

    def result(self) -> Any:
        return self._named(self._begun.result)

    def _named(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except (OSError, TimeoutError) as error:
            raise ExecutorUnreachable(address=self._name, why=type(error).__name__) from None


def _results(begin: Begin, function: Work, tasks: list[Any]) -> list[Any]:
    """All are begun before the first is waited for."""
    return [begun.result() for begun in [begin(function, task) for task in tasks]]


def _end_with_parent() -> None:
    """A worker whose node was killed must not wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker of a pool has one"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
