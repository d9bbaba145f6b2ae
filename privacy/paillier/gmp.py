"""The one door to GMP: gmpy2 comes with the extra `paillier`, and its absence is said when an engine is made."""

from typing import Any, TypeAlias

from privacy.errors import Failure, Kind

try:
    import gmpy2 as _gmpy2
except ImportError:
    _gmpy2 = None

gmpy2: Any = _gmpy2

Mpz: TypeAlias = Any  # gmpy2.mpz: an int of GMP


class PaillierMissing(Failure):
    code = "PAILLIER_MISSING"
    kind = Kind.UNAVAILABLE
    en = "this plan's engine needs an extra: install it, pip install 'ecohub[paillier]', and try again"
    zh = "该计划所用的加密引擎需要附加包：请安装 pip install 'ecohub[paillier]' 后重试"


def require() -> None:
    """Raises PaillierMissing where gmpy2 is not installed."""
    if gmpy2 is None:
        raise PaillierMissing
