"""Commands about the key epochs of mode cached for this node's people: what there is, and ending one."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node import match_epoch_store, times
from partner_node.arguments import optional_text, text
from partner_node.match_epoch_errors import EpochUnknown
from partner_node.match_epoch_store import PERSON, Epoch
from partner_node.node import Commands, Node


class EpochOffice:
    """`node`: whose epochs they are."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def commands(self) -> Commands:
        return {"matching.epochs": self.epochs, "matching.end_epoch": self.end}

    def epochs(self, _: Mapping[str, Any]) -> Body:
        """Every epoch that ever began here, open and ended."""
        return {"epochs": [_line(epoch) for epoch in self._node.database.read(match_epoch_store.listed)]}

    def end(self, arguments: Mapping[str, Any]) -> Body:
        """A person ends an open epoch with a partner: key or masks go, and a job that runs in it. It stays listed.

        asset: this side's, where more than one epoch has this number. Raises EpochUnknown, CommandInvalid.
        """
        partner, person, asset = (
            text(arguments, "partner"),
            text(arguments, "person"),
            optional_text(arguments, "asset"),
        )
        number, now = arguments.get("epoch"), times.to_text(self._node.clock())

        def apply(session: Session) -> Epoch:
            found = [
                epoch
                for epoch in match_epoch_store.listed(session)
                if epoch.ended is None and (epoch.place.peer, epoch.place.number) == (partner, number)
                if asset in (None, epoch.place.asset)
            ]
            if len(found) != 1:
                raise EpochUnknown(epoch=str(number)[:20], peer=partner)
            place = found[0].place
            match_epoch_store.end(session, place, PERSON, now, person)
            ended = match_epoch_store.find(session, place.line, place.number)
            assert ended is not None, "its record stays"
            return ended

        return _line(self._node.database.write("end epoch", apply))


def _line(epoch: Epoch) -> Body:
    return {
        "partner": epoch.place.peer,
        "asset": epoch.place.asset,
        "purpose": epoch.place.purpose,
        "epoch": epoch.place.number,
        "side": epoch.place.side,
        "state": "open" if epoch.ended is None else "ended",
        "used": epoch.spent,
        "left": epoch.terms.points_max - epoch.spent,
        "size": epoch.size,
        "since": epoch.since,
        "until": times.to_text(epoch.terms.ends),
        "job": epoch.job,
        "ended": epoch.ended,
        "why": epoch.why,
        "person": epoch.person,
    }
