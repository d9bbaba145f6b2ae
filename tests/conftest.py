"""Tests reach only loopback: any other address is an error, so no test depends on a network."""

import gc
import os
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# as in the nodes' processes: threads of two numeric libraries waiting for each other on busy cores cost tenfold
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

_LOOPBACK = ("127.", "::1", "localhost")
_connect = socket.socket.connect


def _only_loopback(self: socket.socket, address: Any) -> None:
    if self.family != socket.AF_UNIX and not str(address[0]).startswith(_LOOPBACK):
        raise AssertionError(f"a test reached for {address}")
    _connect(self, address)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, as one that is begun last leaves the other worker idle: those that say so in their mark, those
    that start processes, those of many tests."""
    seconds, flows, tests = Counter[Path](), set[Path](), Counter[Path]()
    for item in items:
        tests[item.path] += 1
        if item.get_closest_marker("flow"):
            flows.add(item.path)
        if slow := item.get_closest_marker("slow_flow"):
            seconds[item.path] += slow.kwargs.get("seconds", 0)
    items.sort(key=lambda item: (-seconds[item.path], item.path not in flows, -tests[item.path]))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Modules and collected tests stay to the end: the garbage collector need not walk through them at each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _only_loopback)
