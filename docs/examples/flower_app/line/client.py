"""A bank's part: --node-config 'partner="bank-a" folder="/its/own/folder"'; keys.json and rows.csv are in there."""

import json
from os import urandom  # noqa: TID251 - a whole program draws from the system
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict

from line.group import GROUP
from privacy.seal import SealingKey, SigningKey


def own_keys(context: Context) -> tuple[SigningKey, SealingKey]:
    seeds = json.loads(Path(str(context.node_config["folder"]), "keys.json").read_text())
    return SigningKey(bytes.fromhex(seeds["signing"])), SealingKey(bytes.fromhex(seeds["sealing"]))


app = GROUP.client(lambda context: str(context.node_config["partner"]), own_keys, urandom)


@app.train()
def train(message: Message, context: Context) -> Message:
    rows = np.loadtxt(Path(str(context.node_config["folder"]), "rows.csv"), delimiter=",")
    x, y = rows[:, :-1], rows[:, -1]
    w = message.content["arrays"]["w"].numpy()
    figures = MetricRecord({"num-examples": len(y), "loss": float(np.mean((x @ w - y) ** 2))})
    arrays = ArrayRecord({"w": Array(w - 0.2 * x.T @ (x @ w - y) / len(y))})
    return Message(RecordDict({"arrays": arrays, "metrics": figures}), reply_to=message)
