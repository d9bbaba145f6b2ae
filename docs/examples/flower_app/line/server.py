"""The server's part: Flower's FedAvg over sums. It knows nodes by number, so it asks each for its bank's name."""

import json
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from federation.horizontal.presence import AskedNames
from line.group import GROUP

SECONDS = 60.0  # a SuperNode polls, and starts a process for each message
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    strategy = GROUP.strategy(
        FedAvg(fraction_evaluate=0.0),
        context.run_id,
        names=AskedNames(SECONDS),
        patience_seconds=SECONDS,
        deadline_seconds=SECONDS,
    )
    start, rounds = ArrayRecord({"w": Array(np.zeros(3))}), int(context.run_config["rounds"])
    result = strategy.start(grid, start, num_rounds=rounds, timeout=SECONDS)
    losses = [float(found["loss"]) for found in result.train_metrics_clientapp.values()]
    model = {"w": result.arrays["w"].numpy().tolist(), "losses": losses}
    Path(str(context.run_config["out"])).write_text(json.dumps(model))
