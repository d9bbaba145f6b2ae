"""The peers' own virtual environment, made from lock files: pinned, hashed, apart from the product's."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-bench"
LOCK = ROOT / "requirements" / "bench.txt"
BARE_LOCK = ROOT / "requirements" / "bench-bare.txt"  # installed without what these packages ask for
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
QUIET_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


class PeersNotInstalled(RuntimeError):
    """A lock file could not be installed here, so nothing is measured rather than less than was asked."""


def python(*, bare: bool = False) -> Path:
    """The peers' interpreter; the environment is made where it is missing or its lock file has changed (a minute).

    bare: with the packages of BARE_LOCK too. Raises PeersNotInstalled.
    """
    interpreter = FOLDER / "bin" / "python"
    if not _stamped(LOCK):
        print(f"installing the pinned peers into {FOLDER.name} (about a minute)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)  # noqa: S603 - our own entry, arguments as a list
        (FOLDER / ".gitignore").write_text("*\n")
        _install(interpreter, LOCK)
    if bare and not _stamped(BARE_LOCK):
        _install(interpreter, BARE_LOCK, "--no-deps")
    return interpreter


def variables(*paths: Path) -> dict[str, str]:
    """The environment of a worker: one arithmetic thread, no telemetry, `paths` and nothing else to import from."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, **ONE_THREAD, **QUIET_FLOWER, "PYTHONPATH": os.pathsep.join(map(str, paths))}


def _install(interpreter: Path, lock: Path, *options: str) -> None:
    pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    made = subprocess.run([*pip, *options, "--require-hashes", "-r", str(lock)])  # noqa: S603 - our own entry, arguments as a list
    if made.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise PeersNotInstalled(f"pip could not install {lock.name} for Python {version}; what it said is above")
    _stamp(lock).write_text(_digest(lock))


def _stamped(lock: Path) -> bool:
    return _stamp(lock).exists() and _stamp(lock).read_text() == _digest(lock)


def _stamp(lock: Path) -> Path:
    return FOLDER / ("lock.sha256" if lock == LOCK else "bare.sha256")


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
