"""Sums that open only as a whole, without a dealer: ring-LWE under keys that add up, verifiably Shamir-shared.

Construction, parameters, proof sketches and limits: docs/aggregation.md.
"""

from privacy.threshold.engine import Threshold, public_seed
from privacy.threshold.parameters import RLWE_2048_48, Bounds, ParameterSet, bounds

__all__ = ["RLWE_2048_48", "Bounds", "ParameterSet", "Threshold", "bounds", "public_seed"]
