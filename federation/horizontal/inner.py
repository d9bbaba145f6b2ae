"""The strategy inside: which ones can run on a sum, what they send, and their state between rounds."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedYogi

from federation.grid import FLOWER_RUN, FLOWER_SERVER, made_message
from federation.horizontal import flower
from federation.horizontal.errors import StrategyNotAveraging
from federation.records import metadata
from privacy.packing import Packed

AVERAGING = (FedAvg, FedAvgM, FedAdam, FedYogi, FedAdagrad)  # FedProx sends a setting and averages as FedAvg does
STATE = ("current_arrays", "m_t", "v_t", "momentum_vector")
NOBODY = 1  # the node that the inner strategy's messages and our one reply are said to belong to


class Inner:
    """An averaging strategy, seen through its public steps."""

    def __init__(self, strategy: FedAvg) -> None:
        name = type(strategy).__name__
        step = getattr(type(strategy), "aggregate_train", None)
        if not isinstance(strategy, FedAvg) or step not in [known.aggregate_train for known in AVERAGING]:
            raise StrategyNotAveraging(strategy=name, why="it needs each partner's update, not their average")
        if strategy.fraction_train != 1.0:
            raise StrategyNotAveraging(strategy=name, why="it samples nodes; set fraction_train=1.0")
        if strategy.fraction_evaluate != 0.0:
            raise StrategyNotAveraging(
                strategy=name,
                why="it asks each node for its own figures; set fraction_evaluate=0.0 and report them from training",
            )
        self.strategy = strategy

    def input(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord) -> RecordDict:
        """What the strategy would send to every node. Raises StrategyNotAveraging where that isn't one content."""
        grid = _Everybody(max(self.strategy.min_available_nodes, self.strategy.min_train_nodes, 1))
        contents = [m.content for m in self.strategy.configure_train(server_round, arrays, config, grid)]
        if not contents or any(content != contents[0] for content in contents[1:]):
            raise StrategyNotAveraging(strategy=type(self.strategy).__name__, why="it sends nodes different inputs")
        return contents[0]

    def step(
        self, server_round: int, arrays: ArrayRecord, examples: int, metrics: Mapping[str, float]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Its own step on the cohort's average, given as one node's reply."""
        figures = MetricRecord({self.strategy.weighted_by_key: examples, **metrics})
        content = RecordDict({self.strategy.arrayrecord_key: arrays, "metrics": figures})
        known = metadata(
            run=FLOWER_RUN, source=NOBODY, target=FLOWER_SERVER, message_id="sum", kind=flower.TRAIN, group=""
        )
        return self.strategy.aggregate_train(server_round, [made_message(known, content=content)])

    def state(self) -> dict[str, Packed]:
        """Momenta and the like, by name."""
        return {name: _packed(getattr(self.strategy, name)) for name in STATE if hasattr(self.strategy, name)}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            assert name in STATE and hasattr(self.strategy, name), "the state of the same strategy"
            setattr(self.strategy, name, _unpacked(value))


def _packed(value: Any) -> Packed:
    if value is None:
        return None
    if isinstance(value, ArrayRecord):
        return ["record", [[name, array.numpy()] for name, array in value.items()]]
    if isinstance(value, dict):
        return ["dict", [[name, np.asarray(array)] for name, array in value.items()]]
    assert isinstance(value, list), "Flower's strategies keep records, dicts and lists of arrays"
    return ["list", [np.asarray(array) for array in value]]


def _unpacked(value: Any) -> Any:
    if value is None:
        return None
    kind, items = value
    if kind == "list":
        return [np.array(array) for array in items]
    arrays = {name: np.array(array) for name, array in items}
    return ArrayRecord({name: Array(array) for name, array in arrays.items()}) if kind == "record" else arrays


class _Everybody(Grid):
    """Stands for enough nodes while an inner strategy makes its messages; nothing is sent."""

    def __init__(self, count: int) -> None:
        self._count = count

    def get_node_ids(self) -> Iterable[int]:
        return range(1, self._count + 1)

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError
