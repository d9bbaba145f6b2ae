"""Differential privacy of sums: noise that partners add in shares, and what a number of such sums costs in all.

Every node adds discrete Gaussian noise to its lanes before it protects them, so that the noise of the honest nodes of
the smallest cohort suffices (Kairouz, Liu and Steinke, ICML 2021); nobody sees a sum with less. Two data sets are
adjacent when one client's row is replaced by another. `design` fixes the fixed point and the noise of a plan's
vector, `discrete_gaussian` draws a node's share of it, `epsilon` adds up releases (extra `privacy`). `CountNoise` is
the noise of one number of shared clients (`privacy.psi.noisy_count`), `total` what counts and sums cost together.
"""

from privacy.noise.accountant import AccountantMissing, Release, epsilon, total
from privacy.noise.counts import CountNoise, CountNoiseInvalid
from privacy.noise.gaussian import discrete_gaussian
from privacy.noise.shares import NoiseDoesNotFit, NoisePlan, design, honest_minimum, lane_sensitivity, share_variance

__all__ = [
    "AccountantMissing",
    "CountNoise",
    "CountNoiseInvalid",
    "NoiseDoesNotFit",
    "NoisePlan",
    "Release",
    "design",
    "discrete_gaussian",
    "epsilon",
    "honest_minimum",
    "lane_sensitivity",
    "share_variance",
    "total",
]
