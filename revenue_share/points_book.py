"""Points of clients by lots: earned, redeemed the oldest first, expired on their day; nothing is ever below zero.

`Moves` is what a period does to all of them together: what its statement says and the journal books.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from privacy import canonical
from revenue_share.position import Lot


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """The points of one agreement over a period; whole points, none below zero.

    `brought_forward`: open before, and in the journal; `opened`: open before, of statements that booked none: they are
    booked with this one; `carried_forward`: open after, which is the liability that the journal then holds.
    """

    brought_forward: int
    opened: int
    earned: int
    redeemed: int
    taken_back: int
    expired: int
    carried_forward: int

    @property
    def hold(self) -> bool:
        """Whether what is open after is what was open before and what came and went, and nothing is below zero."""
        came = self.brought_forward + self.opened + self.earned
        gone = self.redeemed + self.taken_back + self.expired
        return came - gone == self.carried_forward and min(getattr(self, name) for name in self.__slots__) >= 0

    def to_value(self) -> dict[str, canonical.Value]:
        """The value that stands in a statement's body."""
        return {name: getattr(self, name) for name in self.__slots__}


def held(lots: Mapping[str, Iterable[Lot]]) -> int:
    """The points of all clients."""
    return sum(lot.left for own in lots.values() for lot in own)


class PointsBook:
    """The lots of every client under every rule, by "rule/token"."""

    def __init__(self, opening: Mapping[str, tuple[Lot, ...]]) -> None:
        self._lots = {name: list(lots) for name, lots in opening.items()}

    def names(self) -> tuple[str, ...]:
        """Who holds points, in one order."""
        return tuple(sorted(self._lots))

    def earn(self, name: str, event: str, points: int, expires: datetime) -> None:
        """One more lot."""
        if points:
            lots = self._lots.setdefault(name, [])
            lots.append(Lot(event=event, expires=expires, left=points))
            lots.sort(key=lambda lot: (lot.expires, lot.event))

    def expire(self, name: str, until: datetime) -> list[Lot]:
        """Take out the lots that expire at or before an instant."""
        lots = self._lots.get(name, [])
        over = [lot for lot in lots if lot.expires <= until]
        self._lots[name] = [lot for lot in lots if lot.expires > until]
        return over

    def redeem(self, name: str, points: int) -> bool:
        """Take points of the lots that expire first. Nothing where there are fewer."""
        lots = self._lots.get(name, [])
        if sum(lot.left for lot in lots) < points:
            return False
        kept = []
        for lot in lots:
            taken = min(lot.left, points)
            points -= taken
            if lot.left > taken:
                kept.append(Lot(event=lot.event, expires=lot.expires, left=lot.left - taken))
        self._lots[name] = kept
        return True

    def take_back(self, name: str, event: str) -> int:
        """Take out what is left of the lot that an event earned; the points taken."""
        lots = self._lots.get(name, [])
        self._lots[name] = [lot for lot in lots if lot.event != event]
        return sum(lot.left for lot in lots if lot.event == event)

    def closing(self) -> dict[str, tuple[Lot, ...]]:
        """The lots that are left."""
        return {name: tuple(lots) for name, lots in self._lots.items() if lots}
