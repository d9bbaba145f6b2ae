"""Alliances that are set up once in a run of the tests: all its workers share them, stopped, and copy them."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.world import World
from tests.support.launch_alliance import Alliance

KEPT = ("chain_port", "read_port", "hub_port", "enrol_port", "contract", "genesis")


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder of the whole run: a worker's own lies in it."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def once(folder: Path, found: Callable[[Path], Alliance], world: Callable[[Path], World]) -> Alliance:
    """The stopped alliance in a folder, which the first of all callers founds while others wait. Keep the folder short.

    found: sets it up there and leaves it running. world: the same one, in which nothing happens yet.
    """
    state = folder.with_suffix(".json")
    with alone(folder.with_suffix(".lock")):
        if not state.exists():
            state.write_text("null")  # a failure is told once in full, and then only as such
            made = found(folder)
            made.stop_all()
            state.write_text(json.dumps({name: getattr(made.world, name) for name in KEPT}))
        kept = json.loads(state.read_text())
    assert kept is not None, f"setting up {folder.name} failed before in this run: see the first error"
    again = Alliance(world(folder))
    for name, value in kept.items():
        setattr(again.world, name, value)
    return again


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """No other process is in here with the same file."""
    with file.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
