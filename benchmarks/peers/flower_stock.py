"""`python -m benchmarks.peers.flower_stock SIZE ROUNDS NODES`: stock Flower 1.41.0 on loopback, started and ended here.

One SuperLink, as many SuperNodes, an app that adds a vector (`flower_app`), all as Flower ships them: a ServerApp
process for the run, a fresh ClientApp process for every message. Without TLS and node authentication, which is to its
advantage. Prints the seconds of each round after the first as a line of JSON.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.peers.brood import Brood
from benchmarks.peers.ports import free_ports

BIN = Path(sys.executable).parent
APP = Path(__file__).parent / "flower_app"
READY_SECONDS_MAX = 60.0
ROUND_SECONDS_MAX = 120.0
POLL_SECONDS = 0.1


class FlowerFailed(RuntimeError):
    """Stock Flower did not do its part; the message holds the end of a log."""


def main() -> int:
    size, rounds, nodes = (int(argument) for argument in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as name, Brood() as brood:
        ends = _run(Path(name), brood, size, rounds + 1, nodes)
    print(json.dumps([after - before for before, after in itertools.pairwise(ends[1:])]))
    return 0


def _run(folder: Path, brood: Brood, size: int, rounds: int, nodes: int) -> list[float]:
    """The moments at which the start and each round ended."""
    link, *node_ports = free_ports(nodes + 1)
    address = f"127.0.0.1:{link}"
    home = _home(folder, "link")
    serve = ["--insecure", "--host", "127.0.0.1", "--port", str(link), "--database", str(folder / "state.db")]
    superlink = brood.start([str(BIN / "flower-superlink"), *serve], home, folder / "link.log")
    _wait_listening(f"http://{address}/health", superlink, folder / "link.log")
    for place, port in enumerate(node_ports):
        join = ["--insecure", "--superlink", address, "--node-config", f"place={place}"]
        own = ["--host", "127.0.0.1", "--port", str(port)]
        brood.start(
            [str(BIN / "flower-supernode"), *join, *own], _home(folder, f"node-{place}"), folder / f"node-{place}.log"
        )
    shutil.copytree(APP, folder / "app")
    out = folder / "rounds"
    _submit(folder, address, f"size={size} rounds={rounds} nodes={nodes} out='{out}'")
    return _ends(out, rounds, superlink, folder / "link.log")


def _submit(folder: Path, address: str, config: str) -> None:
    """`flwr run`, as a person would."""
    variables = _home(folder, "person")
    connection = f'[superlink]\ndefault = "bench"\n[superlink.bench]\naddress = "{address}"\ninsecure = true\n'
    (Path(variables["FLWR_HOME"]) / "config.toml").write_text(connection)
    command = [str(BIN / "flwr"), "run", str(folder / "app"), "bench", "--run-config", config, "--format", "json"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise FlowerFailed(f"flwr run: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _home(folder: Path, name: str) -> dict[str, str]:
    """Variables of one Flower process with a home of its own; Flower's own tools first on its path."""
    home = folder / f"home-{name}"
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**kept, "FLWR_HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def _wait_listening(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - loopback, our own address
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(POLL_SECONDS)
    raise FlowerFailed(f"the SuperLink does not listen: {log.read_text()[-2000:]}")


def _ends(out: Path, rounds: int, process: subprocess.Popen[bytes], log: Path) -> list[float]:
    """Waits until the app has written its last round."""
    end, lines = time.monotonic() + READY_SECONDS_MAX + rounds * ROUND_SECONDS_MAX, [""]
    while time.monotonic() < end and process.poll() is None:
        lines = out.read_text().splitlines() if out.exists() else []
        if len(lines) > rounds:
            return [float(line.split()[1]) for line in lines]
        time.sleep(POLL_SECONDS)
    raise FlowerFailed(f"{len(lines)} of {rounds} rounds ended: {log.read_text()[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
