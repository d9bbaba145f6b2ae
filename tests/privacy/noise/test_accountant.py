"""Epsilon against our own composition of the same curve, against the exact Gaussian, and with the extra taken away."""

import math
import sys

import pytest
from scipy import optimize, stats

from privacy.noise import AccountantMissing, Release, epsilon


def release(milli: int, count: int) -> Release:
    return Release(noise_multiplier_milli=milli, count=count)


def by_hand(rho: float, delta: float) -> float:
    """Canonne, Kamath and Steinke (2020), proposition 12, over a fine grid of orders."""
    orders = [1 + 1.02**k / 100 for k in range(1, 800)]
    return min(rho * a + math.log1p(-1 / a) - math.log(delta * a) / (a - 1) for a in orders)


def exact_gaussian(multiplier: float, delta: float) -> float:
    """Balle and Wang, ICML 2018: the least epsilon of one Gaussian release."""

    def excess(eps: float) -> float:
        low, high = 0.5 / multiplier - eps * multiplier, -0.5 / multiplier - eps * multiplier
        return float(stats.norm.cdf(low) - math.exp(eps) * stats.norm.cdf(high) - delta)

    return float(optimize.brentq(excess, 0, 50))


@pytest.mark.parametrize(("milli", "count"), [(1000, 1), (1000, 10), (5000, 100), (20_000, 37), (700, 3)])
def test_the_accountant_agrees_with_the_composition_by_hand(milli: int, count: int) -> None:
    rho = count / (2 * (milli / 1000) ** 2)
    spent = epsilon([release(milli, count)], -6)
    assert by_hand(rho, 1e-6) * 0.999 <= spent <= by_hand(rho, 1e-6) * 1.01


def test_no_release_costs_less_than_the_exact_gaussian() -> None:
    for milli in (600, 1000, 4000):
        exact = exact_gaussian(milli / 1000, 1e-5)
        assert exact < epsilon([release(milli, 1)], -5) < 1.35 * exact


def test_releases_add_up_in_any_order_and_any_grouping() -> None:
    together = epsilon([release(2000, 5), release(3000, 4)], -6)
    assert together == epsilon([release(3000, 1), release(2000, 5), release(3000, 3)], -6)
    assert together > epsilon([release(2000, 5)], -6) > 0
    assert epsilon([], -6) == 0 == epsilon([release(2000, 0)], -6)


def test_the_difference_of_a_sum_of_shares_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    charged = epsilon([release(1000, 50)], -6)
    monkeypatch.setattr("privacy.noise.accountant.DIVERGENCE_MAX", 0.0)
    free = epsilon([release(1000, 50)], -6)
    assert 0 < charged - free < 1e-6


def test_without_the_extra_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(AccountantMissing, match="privacy"):
        epsilon([release(1000, 1)], -6)


def test_the_accountant_is_loaded_only_when_asked() -> None:
    import subprocess

    check = "import sys, privacy.noise; sys.exit('dp_accounting' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, env={"PYTHONPATH": ".:proto", "PATH": ""})
