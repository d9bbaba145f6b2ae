"""What a plan says about its updates, computed alike by every partner and by the hub: fixed point, figures, noise."""

import math
from collections.abc import Mapping

from federation.horizontal.lanes import Noise, Update
from federation.plan_horizontal import HorizontalPlan
from privacy import noise
from privacy.aggregation import Entropy, Lanes
from privacy.noise import NoisePlan

LOSS = "loss"
LOSS_MAX = 16.0  # nats a partner's mean loss counts at most: the untrained model of e^16 classes
MICRO = 1_000_000


def update_terms(plan: HorizontalPlan, value_bits: int) -> Update:
    """The lanes of an update. value_bits: of the plan's engine. Raises NoiseDoesNotFit."""
    if plan.privacy is None:
        metrics: Mapping[str, float] = {LOSS: LOSS_MAX}
        return Update(clip=plan.clip, examples_max=plan.examples_max, metrics=metrics)
    found = noise_plan(plan, value_bits)
    return Update(
        clip=plan.clip,
        examples_max=plan.examples_max,
        bound=found.codec.bound,
        noise_norm=found.noise_norm(plan.parameters, len(plan.partners)),
    )


def noise_plan(plan: HorizontalPlan, value_bits: int) -> NoisePlan:
    """Fixed point and noise of a plan with privacy. Raises NoiseDoesNotFit.

    A row moves its partner's weighted update by the rate times its clipped gradient over examples_max: the mean over n
    rows has the weight n / examples_max. Cutting the update to its norm moves no two updates further apart.
    A dealer who works with the hub reads single uploads, so under its key each partner's own noise has to suffice.
    """
    assert plan.privacy is not None
    rate = plan.training.rate_micro / MICRO
    return noise.design(
        row_clip=rate * plan.privacy.row_clip_milli / 1_000 / plan.examples_max,
        limit=plan.clip,
        count=plan.parameters,
        value_bits=value_bits,
        noise_multiplier_milli=plan.privacy.noise_multiplier_milli,
        honest=1 if plan.engine.dealer is not None else noise.honest_minimum(plan.roster),
    )


def noise_share(plan: HorizontalPlan, value_bits: int, entropy: Entropy) -> Noise | None:
    """What draws this partner's share of the noise, None without privacy. Raises NoiseDoesNotFit."""
    if plan.privacy is None:
        return None
    variance = noise_plan(plan, value_bits).variance

    def draw(count: int) -> Lanes:
        return noise.discrete_gaussian(variance, count, entropy)

    return draw


def loss_micro(loss: float | None) -> int | None:
    return None if loss is None or not math.isfinite(loss) else round(loss * MICRO)
