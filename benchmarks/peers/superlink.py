"""Stock Flower 1.41.0 on loopback: one SuperLink, SuperNodes, and `flwr run`, started here as Flower ships them.

Without TLS and node authentication. Each process has a home of its own; all end with their `Brood`.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.peers.brood import Brood
from benchmarks.peers.ports import free_ports

BIN = Path(sys.executable).parent
READY_SECONDS_MAX = 60.0
POLL_SECONDS = 0.1
Found = TypeVar("Found")


class FlowerFailed(RuntimeError):
    """Stock Flower did not do its part; the message holds the end of a log."""


def wait(look: Callable[[], Found | None], seconds: float, process: subprocess.Popen[bytes], log: Path) -> Found:
    """What `look` finds while a process runs. Raises FlowerFailed with the end of its log."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if (found := look()) is not None:
            return found
        time.sleep(POLL_SECONDS)
    raise FlowerFailed(f"not what was waited for: {log.read_text()[-2000:]}")


class SuperLink:
    """A SuperLink that listens, with one SuperNode for each `--node-config`. `more`: environment beside the usual."""

    def __init__(self, folder: Path, brood: Brood, nodes: Sequence[str], more: Mapping[str, str] | None = None) -> None:
        self._folder, self._more, self._log = folder, dict(more or {}), folder / "link.log"
        link, *ports = free_ports(len(nodes) + 1)
        self.address = f"127.0.0.1:{link}"
        serve = ["--insecure", "--host", "127.0.0.1", "--port", str(link), "--database", str(folder / "state.db")]
        self._process = brood.start([str(BIN / "flower-superlink"), *serve], self._home("link"), self._log)
        self._wait_listening()
        for place, (port, config) in enumerate(zip(ports, nodes, strict=True)):
            join = ["--insecure", "--superlink", self.address, "--node-config", config]
            own = ["--host", "127.0.0.1", "--port", str(port)]
            home, log = self._home(f"node-{place}"), folder / f"node-{place}.log"
            brood.start([str(BIN / "flower-supernode"), *join, *own], home, log)

    def submit(self, app: Path, config: str) -> None:
        """`flwr run` of a copy of an app's folder, as a person would. Raises FlowerFailed."""
        copied = self._folder / "app"
        shutil.copytree(app, copied, ignore=shutil.ignore_patterns("__pycache__"))
        variables = self._home("person")
        connection = f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{self.address}"\ninsecure = true\n'
        (Path(variables["FLWR_HOME"]) / "config.toml").write_text(connection)
        command = [str(BIN / "flwr"), "run", str(copied), "here", "--run-config", config, "--format", "json"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise FlowerFailed(f"flwr run: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def wait(self, look: Callable[[], Found | None], seconds: float) -> Found:
        """What `look` finds while the SuperLink runs. Raises FlowerFailed."""
        return wait(look, seconds, self._process, self._log)

    def _home(self, name: str) -> dict[str, str]:
        """Variables of one Flower process with a home of its own; Flower's own tools first on its path."""
        home = self._folder / f"home-{name}"
        home.mkdir()
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return {**kept, **self._more, "FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0", "PATH": path}

    def _wait_listening(self) -> None:
        def health() -> bool | None:
            try:
                with urllib.request.urlopen(f"http://{self.address}/health", timeout=1):
                    return True
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return None

        self.wait(health, READY_SECONDS_MAX)
