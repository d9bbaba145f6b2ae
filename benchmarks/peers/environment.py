"""The peers' own virtual environment, made from requirements/bench.txt: pinned, hashed, apart from the product's."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-bench"
LOCK = ROOT / "requirements" / "bench.txt"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
QUIET_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


def python() -> Path:
    """The peers' interpreter; the environment is made where it is missing or its lock file has changed (a minute)."""
    stamp, wanted = FOLDER / "lock.sha256", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    interpreter = FOLDER / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the pinned peers into {FOLDER.name} (about a minute)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)  # noqa: S603 - our own entry, arguments as a list
        (FOLDER / ".gitignore").write_text("*\n")
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)  # noqa: S603 - our own entry, arguments as a list
        stamp.write_text(wanted)
    return interpreter


def variables(*paths: Path) -> dict[str, str]:
    """The environment of a worker: one arithmetic thread, no telemetry, `paths` and nothing else to import from."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, **ONE_THREAD, **QUIET_FLOWER, "PYTHONPATH": os.pathsep.join(map(str, paths))}
