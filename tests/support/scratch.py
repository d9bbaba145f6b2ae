"""Folders that live as long as the process: for what many tests copy and none changes."""

import atexit
import shutil
import tempfile
from pathlib import Path


def scratch(name: str) -> Path:
    """A new folder, removed at the process's end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
