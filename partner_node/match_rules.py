"""What a node lets happen in matching: the table [matching] of node.toml, and exceptions for single partners.

Each number bounds an attack that no single job shows (docs/matching.md, section on guards). The defaults suit partners
of up to two million clients that match a few times a month: at 4 million guesses a month it takes more than a century
to go through the 2^33 mobile numbers, and the lifetime's 40 million end it after half a percent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

COUNT_MOST = 10**12
OVERLAP = "overlap_percent"
PARTNER = "partner"  # [matching.partner.bank-a]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits towards one partner. Months are calendar months in UTC."""

    minimum: int = 50  # shared clients below which a job must show nothing; sets may not differ by fewer
    jobs_per_month: int = 10
    peer_clients: int = 2_000_000  # distinct ids that the partner may commit to in one job
    peer_identifiers_per_month: int = 4_000_000  # ids that its jobs let it test here in a month …
    peer_identifiers_ever: int = 40_000_000  # … and as long as this node's database lives
    own_distinct_percent: int = 200  # distinct own ids ever entered towards it, by the largest set of one job
    overlap_percent: tuple[int, int] = (1, 95)  # of the smaller set; a share outside raises an alarm
    consecutive: int = 100  # own ids in a row whose numbers rise in equal steps


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRules:
    """The limits of a node: for partners that have none of their own, and for those that have."""

    default: Limits = Limits()
    partners: Mapping[str, Limits] = field(default_factory=dict, hash=False)

    def of(self, partner: str) -> Limits:
        return self.partners.get(partner, self.default)


def parse(table: Mapping[str, Any], fail: Callable[[str], Exception]) -> MatchRules:
    """The rules of a [matching] table. Raises what `fail` makes of a sentence that names the key."""
    own = {name: value for name, value in table.items() if name != PARTNER}
    default = _limits(Limits(), own, "matching.", fail)
    listed = table.get(PARTNER, {})
    if not isinstance(listed, dict) or not all(isinstance(value, dict) for value in listed.values()):
        raise fail("[matching.partner] holds a table for each partner's id, such as [matching.partner.bank-a]")
    return MatchRules(
        default=default,
        partners={name: _limits(default, value, f"matching.{PARTNER}.{name}.", fail) for name, value in listed.items()},
    )


def _limits(base: Limits, table: Mapping[str, Any], prefix: str, fail: Callable[[str], Exception]) -> Limits:
    """`base` with what a table says otherwise."""
    known = {item.name for item in fields(Limits)}
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise fail(f"unknown key {prefix}{name}")
        found[name] = _percents(value, prefix, fail) if name == OVERLAP else _count(value, prefix + name, fail)
    return replace(base, **found)


def _count(value: object, key: str, fail: Callable[[str], Exception]) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= COUNT_MOST:
        raise fail(f"{key} must be a whole number from 1 to {COUNT_MOST}")
    return value


def _percents(value: object, prefix: str, fail: Callable[[str], Exception]) -> tuple[int, int]:
    match value:
        case [int(least), int(most)] if type(least) is type(most) is int and 0 <= least <= most <= 100:
            return least, most
    raise fail(f"{prefix}{OVERLAP} must be two whole numbers of percent, such as [1, 95]; [0, 100] raises no alarm")
