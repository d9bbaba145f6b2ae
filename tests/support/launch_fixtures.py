"""The alliance that flows and hostile tests start from: set up once a session, stopped, copied for each use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance

_founded: dict[Path, Alliance | None] = {}


def founded(base: Path) -> Alliance:
    """A founded and enrolled alliance below a session's folder; its processes are stopped. Keep the folder short."""
    if base not in _founded:
        _founded[base] = None  # a failure is told once in full, and then only as such
        made = launch_alliance.found(base / "eco")
        made.stop_all()
        _founded[base] = made
    found = _founded[base]
    assert found is not None, "setting up the alliance failed before in this session: see the first error"
    return found


@contextmanager
def running(base: Path, folder: Path) -> Iterator[Alliance]:
    """A copy of the session's alliance with every process started; stopped at the end, whatever happens."""
    with launch_alliance.copy(founded(base), folder) as alliance:
        alliance.start()
        yield alliance
