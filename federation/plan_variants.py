"""Which sets of feature holders a run is trained with beside the label holder: its variants, compared on test clients.

    full         the label holder alone, which it trains at home, and all holders together
    partners     also the label holder with each holder alone
    coalitions   also with every other set of holders

Where a model can only be had by training it anew, every variant shows as much again of the holders in it, so the plan
names what people approve.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias, TypeVar

FULL, PARTNERS, COALITIONS = "full", "partners", "coalitions"
HOLDERS_MAX = 5  # with more, there are too many sets
CHOICES = (FULL, PARTNERS, COALITIONS)
Name = TypeVar("Name", bound=str)
Coalition: TypeAlias = tuple[str, ...]  # feature holders, in the plan's order


def coalitions(holders: Sequence[Name]) -> tuple[tuple[Name, ...], ...]:
    """Every subset of the holders, the empty one first, the whole last, each in the order given."""
    return tuple(one for size in range(len(holders) + 1) for one in combinations(holders, size))


def chosen(choice: str, holders: Sequence[Name]) -> tuple[tuple[Name, ...], ...]:
    """The variants of a choice: the label holder alone first, all holders last."""
    sizes = {FULL: {0, len(holders)}, PARTNERS: {0, 1, len(holders)}, COALITIONS: {*range(len(holders) + 1)}}
    return tuple(one for one in coalitions(holders) if len(one) in sizes[choice])


def complete(choice: str, holders: int) -> bool:
    """Whether a choice has every set of so many holders, as contribution needs it."""
    return len(chosen(choice, [str(place) for place in range(holders)])) == 1 << holders


def count_with(choice: str | None, holders: int) -> int:
    """How many variants of a choice each of so many holders is in; None is the full one."""
    return sum("0" in one for one in chosen(choice or FULL, [str(place) for place in range(holders)]))
