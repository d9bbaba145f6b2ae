"""What releases cost together: Rényi composition by `dp-accounting` (extra `privacy`), loaded when first asked.

A release is one opened sum with noise of `noise_multiplier` times the sensitivity of one replaced row. For the sum of
n discrete Gaussian shares Kairouz, Liu and Steinke (ICML 2021, proposition 14) show a Rényi divergence of order alpha
of at most alpha/2 (1/noise_multiplier + tau sqrt(d))^2, tau = 10 sum_{k<n} exp(-2 pi^2 sigma^2 k/(k+1)): that of a
continuous Gaussian with a little less noise. `privacy.noise.shares` asserts tau sqrt(d) <= 2^-40; here it is charged.

Counts with noise are (epsilon, delta) statements of their own, added to that of all sums together by basic composition:
epsilons and deltas add up (Dwork and Roth 2014, theorem 3.16), also where sums and counts take turns and each is chosen
after what the others told (Vadhan and Zhang, "Concurrent Composition Theorems for Differential Privacy", STOC 2023).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy.errors import Failure, Kind
from privacy.noise.counts import CountNoise

DIVERGENCE_MAX = 2.0**-40  # tau sqrt(d): what the sum of shares may differ from one discrete Gaussian
MILLI = 1000


class AccountantMissing(Failure):
    code = "ACCOUNTANT_MISSING"
    kind = Kind.UNAVAILABLE
    en = "plans with noise need the accountant: install the extra, pip install 'ecohub[privacy]', and try again"
    zh = "带噪声的计划需要隐私预算核算组件：请安装附加包 pip install 'ecohub[privacy]' 后重试"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """`count` opened sums of one noise multiplier (in thousandths): standard deviation over sensitivity."""

    noise_multiplier_milli: int
    count: int

    def __post_init__(self) -> None:
        assert self.noise_multiplier_milli > 0 and self.count >= 0, "a release has noise"


def epsilon(releases: Iterable[Release], delta_log10: int) -> float:
    """The epsilon of all releases together at delta = 10^delta_log10, for one replaced row of the data they share.

    The sensitivity of a replaced row is in the noise already (`lane_sensitivity`), so the accountant sees plain
    Gaussian releases of sensitivity 1. Raises AccountantMissing where the extra is not installed.
    """
    assert -30 <= delta_log10 <= -1, "delta is a small probability"
    return _epsilon(releases, 10.0**delta_log10)


def total(releases: Sequence[Release], counts: Sequence[CountNoise], delta_log10: int) -> float:
    """The epsilon of all sums and counts together at delta = 10^delta_log10; infinite where the counts' deltas leave
    nothing of it for the sums, or are more than it.

    Raises AccountantMissing where there are sums and the extra is not installed.
    """
    left = Fraction(10) ** delta_log10 - sum(Fraction(10) ** noise.delta_log10 for noise in counts)
    own = float(Fraction(sum(noise.epsilon_milli for noise in counts), MILLI))
    if left < 0 or (releases and not left):
        return math.inf
    if not releases:
        return own
    return own + (_epsilon(releases, float(left) * (1 - 2.0**-50)) if counts else epsilon(releases, delta_log10))


def _epsilon(releases: Iterable[Release], delta: float) -> float:
    try:
        from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
        from dp_accounting.rdp import RdpAccountant
    except ImportError:
        raise AccountantMissing from None
    counts: dict[int, int] = {}
    for release in releases:
        counts[release.noise_multiplier_milli] = counts.get(release.noise_multiplier_milli, 0) + release.count
    accountant = RdpAccountant()
    for milli, count in sorted(counts.items()):  # one order: the sum of floats is the same wherever it is made
        if count:
            accountant.compose(SelfComposedDpEvent(GaussianDpEvent(1 / (MILLI / milli + DIVERGENCE_MAX)), count))
    spent = float(accountant.get_epsilon(delta))
    assert not math.isnan(spent), "the accountant gives a number"
    return spent
