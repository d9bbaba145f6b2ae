"""The alliance that flows and hostile tests start from: set up once a session, stopped, copied for each use."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance


@cache
def founded(base: Path) -> Alliance:
    """A founded and enrolled alliance below a session's folder; its processes are stopped. Keep the folder short."""
    made = launch_alliance.found(base / "eco")
    made.stop_all()
    return made


@contextmanager
def running(base: Path, folder: Path) -> Iterator[Alliance]:
    """A copy of the session's alliance with every process started; stopped at the end, whatever happens."""
    with launch_alliance.copy(founded(base), folder) as alliance:
        alliance.start()
        yield alliance
