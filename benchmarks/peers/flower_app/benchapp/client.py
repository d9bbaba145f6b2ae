"""A client whose training is one addition."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """The global vector plus this node's place: the mean of all is then known."""
    (weights,) = message.content.array_records["arrays"].to_numpy_ndarrays()
    updated = weights + np.float32(context.node_config["place"])
    content = RecordDict({"arrays": ArrayRecord([updated]), "metrics": MetricRecord({"num-examples": 1})})
    return Message(content, reply_to=message)
