"""Mode count-then-rows: the number that this side counted, shown to its people, and what they decided on the rows.

The decision is a signed document. It goes to the hub, which keeps it and asks this node for its next step; the step
hands the decision to the session. What was decided stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body
from ecowire.stream import Message
from partner_node import sessions, store, times
from partner_node.arguments import text
from partner_node.errors import AlreadyDecided
from partner_node.match_errors import NothingToDecide
from partner_node.node import Node
from partner_node.tables import CountedRow
from privacy.errors import Failure, Kind

AGREE, REFUSE = "agree", "refuse"
KIND = "match-decision"


class DecisionUnknown(Failure):
    code = "DECISION_UNKNOWN"
    kind = Kind.INVALID
    en = "a decision on rows is {agree} or {refuse}"
    zh = "对行的决定为 {agree} 或 {refuse}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    count: int
    decision: str | None


def of_job(session: Session, job: str) -> Counted | None:
    """The number counted in a job, and its people's decision; None before it was counted."""
    row = session.get(CountedRow, job)
    return None if row is None else Counted(count=row.count, decision=row.decision)


def keep_count(session: Session, job: str, count: int) -> None:
    """Let people see the number, and decide. Once a job."""
    if session.get(CountedRow, job) is None:
        session.add(CountedRow(job=job, count=count))


def decide(node: Node, arguments: Mapping[str, Any]) -> Body:
    """A person's decision on the rows of a job that was counted; without `decision`, what there is to decide.

    Raises UnknownJob, AmbiguousJob, NothingToDecide, AlreadyDecided (the same decision again is fine), DecisionUnknown.
    """
    job = node.database.read(lambda session: store.proposal(session, text(arguments, "job"))).digest
    counted = node.database.read(lambda session: of_job(session, job))
    if counted is None:
        raise NothingToDecide(job=job[:16])
    if arguments.get("decision") is None:
        return {"job": job, "count": counted.count, "decision": counted.decision}
    decision, person, now = text(arguments, "decision"), text(arguments, "person"), times.to_text(node.clock())
    if decision not in (AGREE, REFUSE):
        raise DecisionUnknown(agree=AGREE, refuse=REFUSE)
    body: Body = {
        "job": job,
        "partner": node.settings.partner,
        "decision": decision,
        "count": counted.count,
        "person": person,
        "time": now,
    }
    signed = documents.sign(KIND, body, node.settings.partner, node.keys.signing)

    def apply(session: Session) -> None:
        row = session.get_one(CountedRow, job)
        if row.decision not in (None, decision):
            raise AlreadyDecided(job=job[:16], decision=row.decision)
        if row.decision is None:
            if sessions.step(session, job) is None:
                raise NothingToDecide(job=job[:16])
            row.decision, row.person, row.time = decision, person, now
            request = Message(id=f"{KIND}/{job}", kind="match.decision", head={"decision": signed.to_value()})
            store.enqueue(session, request, now)

    node.database.write("decide on rows", apply)
    return {"job": job, "count": counted.count, "decision": decision}
