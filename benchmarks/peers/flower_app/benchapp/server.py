"""Stock FedAvg; the moment at which each round ends is appended to a file."""

import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Rounds of train only. Raises AssertionError where the mean is not what the nodes sent."""
    config = context.run_config
    out, nodes, size = Path(str(config["out"])), int(config["nodes"]), int(config["size"])
    expected = (nodes - 1) / 2  # nodes add their places 0 … n - 1

    def ended(server_round: int, arrays: ArrayRecord) -> None:
        (mean,) = arrays.to_numpy_ndarrays()
        assert mean.shape == (size,) and np.allclose(mean, server_round * expected), "the round's mean"
        with out.open("a") as file:
            file.write(f"{server_round} {time.monotonic()}\n")

    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes)
    initial = ArrayRecord([np.zeros(size, np.float32)])
    strategy.start(grid=grid, initial_arrays=initial, num_rounds=int(config["rounds"]), evaluate_fn=ended)
