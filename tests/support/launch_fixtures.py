"""The alliance that flows and hostile tests start from: set up once a run, stopped, copied for each use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.world import World
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance
from tests.support.launch_once import once


def founded(base: Path) -> Alliance:
    """A founded and enrolled alliance below a run's folder; its processes are stopped."""
    return once(base / "eco", launch_alliance.found, _world)


def _world(folder: Path) -> World:
    listed = launch_alliance.partners(launch_alliance.sources(folder / "data"))
    return World(folder, listed, entropy=os.urandom)


@contextmanager
def running(base: Path, folder: Path) -> Iterator[Alliance]:
    """A copy of the run's alliance with every process started; stopped at the end, whatever happens."""
    with launch_alliance.copy(founded(base), folder) as alliance:
        alliance.start()
        yield alliance
