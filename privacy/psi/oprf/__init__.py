"""Matching by an oblivious pseudorandom function: a key-value store over OT extension (PaXoS), in buckets.

Pinkas, Rosulek, Trieu, Yanai: PSI from PaXoS: fast, malicious private set intersection, Eurocrypt 2020 (here in its
semi-honest form). `session` has the limits.
"""

from privacy.psi.oprf.factory import create, load
from privacy.psi.oprf.packed import PackedIdentifiers
from privacy.psi.oprf.session import Session
from privacy.psi.values import RowsResult

__all__ = ["PackedIdentifiers", "RowsResult", "Session", "create", "load"]
