"""Commands about matching's guards for this node's people: what is spent, alarms and refusals, clearing an alarm."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node import match_book, store, times
from partner_node.arguments import text
from partner_node.match_guard import month_of
from partner_node.match_guard_errors import NoAlarm
from partner_node.match_rules import Limits
from partner_node.node import Commands, Node


class MatchOffice:
    """`node`: the settings' [matching] limits and the database they are held against."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def commands(self) -> Commands:
        return {"matching.quota": self.quota, "matching.records": self.records, "matching.clear": self.clear}

    def quota(self, _: Mapping[str, Any]) -> Body:
        """Partner by partner what its matches used this month and ever, against the limits of node.toml."""
        month = month_of(self._node.clock())

        def listed(session: Session) -> Body:
            settings = self._node.settings
            named = {*store.peers(session), *match_book.partners(session), *settings.matching.partners}
            known = sorted(named - {settings.partner})
            return {"month": month, "partners": [self._line(session, partner, month) for partner in known]}

        return self._node.database.read(listed)

    def records(self, _: Mapping[str, Any]) -> Body:
        """Every match as it was booked, every alarm, and every match that this node ended or did not begin, and why."""

        def listed(session: Session) -> Body:
            return {
                "matches": [{**line} for line in match_book.entries(session)],
                "alarms": [asdict(alarm) for alarm in match_book.alarms(session)],
                "refusals": [{**line} for line in match_book.refusals(session)],
            }

        return self._node.database.read(listed)

    def clear(self, arguments: Mapping[str, Any]) -> Body:
        """A person clears the alarms against a partner, for a reason that is kept. Raises NoAlarm, CommandInvalid."""
        partner, person, reason = (text(arguments, name) for name in ("partner", "person", "reason"))
        now = times.to_text(self._node.clock())

        def apply(session: Session) -> int:
            count = match_book.clear(session, partner, person=person, reason=reason, now=now)
            if not count:
                raise NoAlarm(peer=partner)
            return count

        count = self._node.database.write("clear alarms", apply)
        return {"partner": partner, "cleared": count, "person": person, "reason": reason, "time": now}

    def _line(self, session: Session, partner: str, month: str) -> Body:
        limits: Limits = self._node.settings.matching.of(partner)
        used = match_book.usage(session, partner, month)
        return {
            "partner": partner,
            "jobs": {"used": used.jobs, "limit": limits.jobs_per_month},
            "peer_identifiers": {"used": used.slots, "limit": limits.peer_identifiers_per_month},
            "peer_identifiers_ever": {"used": used.ever, "limit": limits.peer_identifiers_ever},
            "own_distinct": [
                {"asset": asset, "used": count, "limit": limits.own_distinct_percent * largest // 100}
                for asset, (count, largest) in match_book.distinct(session, partner).items()
            ],
            "peer_clients": limits.peer_clients,
            "minimum": limits.minimum,
            "alarm": match_book.standing(session, partner),
        }
