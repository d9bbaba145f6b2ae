"""Points of clients by lots: earned, redeemed the oldest first, expired on their day; nothing is ever below zero."""

from collections.abc import Mapping
from datetime import datetime

from revenue_share.position import Lot


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
