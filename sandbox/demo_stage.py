"""What every demo does around its steps: a new short folder, a running world, and nothing left behind."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from ecowire.outputs import OutputExists
from partner_node import local_client
from privacy.errors import Failure
from sandbox.demo_show import Screen
from sandbox.demo_story import Scene

Told = TypeVar("Told", bound=Scene)
COMMON = ("hub", "chain", "identities")  # with the nodes' folders: keys and databases


def new_folder(out: Path | None, nodes: Iterable[str]) -> Path:
    """A new or empty folder that is short enough for every node's socket. Raises SocketPathTooLong, OutputExists."""
    if out is None:
        return Path(tempfile.mkdtemp(prefix="ecohub-"))
    folder = out.resolve()
    for name in nodes:
        local_client.check_path(folder / name / "node.sock")  # an early word instead of a node that can't start
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise OutputExists(path=str(folder))
    return folder


def play(
    scene: Told, steps: Sequence[Callable[[Told], None]], screen: Screen, *, keep: bool, extra: Sequence[str] = ()
) -> None:
    """Every step in the scene's running world; it is stopped afterwards, and its keys and databases are removed.

    keep: leave them. A failed scene leaves them too. extra: further folders to remove. Raises what a step raises.
    """
    folder = scene.world.folder
    try:
        with scene.world:
            for step in steps:
                step(scene)
    except Failure:
        keep = True  # what went wrong must be findable
        click.echo(f"stopped; logs, keys and databases are kept in {folder}", err=True)
        raise
    finally:
        screen.close()
        if not keep:
            for name in (*COMMON, *scene.world.partners, *extra):
                shutil.rmtree(folder / name, ignore_errors=True)
