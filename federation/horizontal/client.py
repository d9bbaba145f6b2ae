"""A partner's installed Flower application: its own trainer behind the mod that lets only protected sums out."""

from collections.abc import Callable

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from federation.errors import FlowerContentMalformed
from federation.horizontal import flower, terms
from federation.horizontal.member import Member
from federation.horizontal.mod import EXAMPLES, homomorphic_app
from federation.horizontal.results import PartnerResult
from federation.horizontal.trainer import FINISH, STATISTICS, TRAINING, Task, Trainer
from federation.models import network
from federation.models.network import Parameters
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Scaling, unscaled
from privacy import canonical, packing
from privacy.aggregation import Entropy, Lanes
from privacy.canonical import Value

ARRAYS, CONFIG = "arrays", "config"
ROUND, SCALING, ROUNDS = "server-round", "scaling", "rounds"
RESULT = "result"


def make_client_app(
    plan: HorizontalPlan,
    trainer_of: Callable[[Task], Trainer],
    member: Member,
    entropy: Entropy,
    on_finished: Callable[[PartnerResult], Value],
) -> ClientApp:
    """The application of one run at one partner.

    trainer_of: called when rows are needed, not for the aggregation's own phases; it may refuse a task. on_finished:
    keeps what belongs to the partner and gives what the hub is told in clear, such as the signed record. entropy: for
    the noise, with privacy. Raises NoiseDoesNotFit; its calls raise FlowerContentMalformed and what `Member` raises.
    """
    value_bits = member.engine.value_bits
    noise = terms.noise_share(plan, value_bits, entropy)
    app = homomorphic_app(lambda _, __: member, terms.update_terms(plan, value_bits), noise)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        config, parameters, scaling = _read(plan, message.content, {ROUND})
        task = Task(kind=TRAINING, round=config[ROUND], scaling=pack_scaling(scaling))
        fitted = trainer_of(task).fit(config[ROUND], parameters, scaling)
        figures = MetricRecord({EXAMPLES: fitted.examples})
        if fitted.loss is not None:
            figures[terms.LOSS] = fitted.loss
        content = RecordDict({flower.UPDATE: array_record(plan, fitted.update), "metrics": figures})
        return Message(content, reply_to=message)

    @app.query(STATISTICS)
    def statistics(message: Message, context: Context) -> Message:
        return Message(_lanes(trainer_of(Task(kind=STATISTICS, round=0)).statistics()), reply_to=message)

    @app.query(FINISH)
    def finish(message: Message, context: Context) -> Message:
        config, parameters, scaling = _read(plan, message.content, {ROUND, ROUNDS})
        task = Task(kind=FINISH, round=config[ROUND], scaling=pack_scaling(scaling))
        result, lanes = trainer_of(task).finish(parameters, scaling, config[ROUNDS])
        told = canonical.encode(on_finished(result))
        content = _lanes(lanes)
        content[flower.CLEAR] = ConfigRecord({RESULT: told})
        return Message(content, reply_to=message)

    return app


def array_record(plan: HorizontalPlan, parameters: Parameters) -> ArrayRecord:
    """Parameters under their names."""
    pairs = zip(network.names(plan.layers), parameters, strict=True)
    return ArrayRecord({name: Array(np.ascontiguousarray(values)) for name, values in pairs})


def read_arrays(plan: HorizontalPlan, record: ArrayRecord) -> Parameters:
    """Parameters of the plan's names and shapes, float64 of at most WEIGHT_MAX. Raises FlowerContentMalformed."""
    if tuple(record) != network.names(plan.layers):
        raise FlowerContentMalformed(why="its arrays have other names than the plan's model")
    parameters = tuple(array.numpy() for array in record.values())
    for values, shape in zip(parameters, network.shapes(plan.layers), strict=True):
        if values.shape != shape or values.dtype != np.float64:
            raise FlowerContentMalformed(why="an array has another form than the plan's model")
        if not (np.abs(values) <= network.WEIGHT_MAX).all():  # what is not a number is not below it either
            raise FlowerContentMalformed(why=f"a weight beyond {network.WEIGHT_MAX:.0f}")
    return parameters


def pack_scaling(scaling: Scaling) -> bytes:
    return packing.pack({"means": scaling.means, "deviations": scaling.deviations})


def read_scaling(plan: HorizontalPlan, data: bytes) -> Scaling:
    """The scaling of the plan's inputs. Raises FlowerContentMalformed."""
    try:
        value = packing.unpack(data)
    except packing.NotPacked as failure:
        raise FlowerContentMalformed(why=failure.message()) from None
    found = [value.get(name) for name in ("means", "deviations")] if isinstance(value, dict) else []
    neutral = unscaled(plan.columns)
    arrays = [one for one in found if isinstance(one, np.ndarray) and one.dtype == np.float64]
    if len(arrays) != 2 or any(one.shape != neutral.means.shape for one in arrays):
        raise FlowerContentMalformed(why="a scaling of other inputs than the plan's")
    made = Scaling(means=arrays[0], deviations=arrays[1])
    if not made.plausible or (not plan.standardise and pack_scaling(made) != pack_scaling(neutral)):
        raise FlowerContentMalformed(why="a scaling that the plan does not allow")
    return made


def _read(plan: HorizontalPlan, content: RecordDict, names: set[str]) -> tuple[dict[str, int], Parameters, Scaling]:
    """(numbers of the configuration, weights, scaling) of a request."""
    config, arrays = content.get(CONFIG), content.get(ARRAYS)
    if not isinstance(config, ConfigRecord) or not isinstance(arrays, ArrayRecord) or set(content) != {CONFIG, ARRAYS}:
        raise FlowerContentMalformed(why="its records")
    scaling = config.get(SCALING)
    numbers = {name: value for name in names if type(value := config.get(name)) is int}
    if not isinstance(scaling, bytes) or set(numbers) != names:
        raise FlowerContentMalformed(why="its configuration")
    if any(not 1 <= value <= plan.finish_round for value in numbers.values()):
        raise FlowerContentMalformed(why="a round that the plan does not have")
    return numbers, read_arrays(plan, arrays), read_scaling(plan, scaling)


def _lanes(lanes: Lanes) -> RecordDict:
    return RecordDict({flower.LANES: ArrayRecord({flower.LANES: Array(lanes)})})
