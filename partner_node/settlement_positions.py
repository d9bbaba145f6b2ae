"""The position that a statement must start from, as this node knows it by itself.

A position is what this node computed when it matched the statement before. One that was lost is computed again from the
reports that came with the statements; where those are gone too, the one disclosed counts, if it has the digest that the
statement before names as its closing one.
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node import store_settlement
from partner_node.store_settlement import StatementRecord
from privacy import canonical
from privacy.ids import parse_period
from revenue_share import statement
from revenue_share.drawing import after_version_1, draw_up
from revenue_share.errors import PositionInvalid
from revenue_share.position import Position
from revenue_share.referral import EventReport, ReferralReport
from revenue_share.statement import Statement
from revenue_share.terms import Terms


def opening(session: Session, terms: Terms, taken: Sequence[StatementRecord], disclosed: Body) -> Position | None:
    """The position after the statements that the chain has taken; None where this node can't know it.

    disclosed: the value that came with the next statement.
    """
    settled = [(statement.from_body(item.body), item) for item in taken if item.state != "VOID"]
    position: Position | None = Position.empty()
    for made, record in sorted(settled, key=lambda pair: pair[0].place.sequence):
        if made.step is None:
            position = after_version_1(made.currency, made.carried_forward_minor)
            continue
        stored = store_settlement.position(session, record.id)
        if stored is not None:
            position = Position.from_value(canonical.decode(stored))
        else:
            before, position = position, None
            if before is not None and before.digest == made.step.opening:
                position = _replayed(session, terms, made, before)
        if position is None:
            position = _disclosed(disclosed, made.step.closing)
    return position


def _replayed(session: Session, terms: Terms, made: Statement, before: Position) -> Position | None:
    """The closing position of a statement by this node's own computation, if its reports are still here."""
    assert made.step is not None
    versions = [found for digest in made.step.terms if (found := terms.version(digest)) is not None]
    if len(versions) != len(made.step.terms):
        return None
    referred = [ReferralReport.from_body(d.body) for d in store_settlement.reports(session, terms.digest, "referrals")]
    income = [EventReport.from_body(d.body) for d in store_settlement.reports(session, terms.digest, "events")]
    referrals = [referral for report in referred for referral in report.referrals]
    events = [event for report in income if report.period == made.period for event in report.events]
    drawn = draw_up(Terms.of(*versions), referrals, events, parse_period(made.period), before, version=made.version)
    return drawn.closing if drawn.closing.digest == made.step.closing else None


def _disclosed(value: Body, digest: str) -> Position | None:
    try:
        found = Position.from_value(value)
    except PositionInvalid:
        return None
    return found if found.digest == digest else None
