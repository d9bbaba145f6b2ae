"""Four banks learn one line with Flower's FedAvg; the server opens sums of updates, never one. Run it as it is."""

from os import urandom  # noqa: TID251 - a whole program draws from the system

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from federation.grid import FLOWER_RUN, LocalGrid
from federation.horizontal.group import Group, PartnerKeys
from federation.horizontal.lanes import Update
from privacy.seal import SealingKey, SigningKey

BANKS = ("bank-a", "bank-b", "bank-c", "bank-d")
KEYS = {bank: (SigningKey(urandom(32)), SealingKey(urandom(32))) for bank in BANKS}
PUBLIC = {bank: PartnerKeys(signing=one.public, sealing=two.public) for bank, (one, two) in KEYS.items()}
GROUP = Group(name="line-1", partners=PUBLIC, update=Update(clip=2.0, examples_max=1000, metrics={"loss": 100.0}))


def client(bank: str, seed: int) -> ClientApp:
    app = GROUP.client(lambda _: bank, lambda _: KEYS[bank], urandom)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(200 + 50 * seed, 3))
    y = x @ [1.0, -2.0, 0.5] + draw.normal(scale=0.1, size=len(x))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        w = message.content["arrays"]["w"].numpy()
        figures = MetricRecord({"num-examples": len(y), "loss": float(np.mean((x @ w - y) ** 2))})
        arrays = ArrayRecord({"w": Array(w - 0.2 * x.T @ (x @ w - y) / len(y))})
        return Message(RecordDict({"arrays": arrays, "metrics": figures}), reply_to=message)

    return app


grid = LocalGrid({bank: client(bank, seed) for seed, bank in enumerate(BANKS)}, GROUP.job(FLOWER_RUN))
strategy = GROUP.strategy(FedAvg(fraction_evaluate=0.0), FLOWER_RUN)
result = strategy.start(grid, ArrayRecord({"w": Array(np.zeros(3))}), num_rounds=10)
print(*(f"round {n:2}  loss {m['loss']:.4f}" for n, m in result.train_metrics_clientapp.items()), sep="\n")
