"""What went wrong at the partners of a horizontal run, kept for the people who follow it.

A healthy round writes nothing of this. What is news of a partner is written at once; the same again goes with the run's
next requests or checkpoint, so a partner that refuses in every round costs its run one transaction.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from ecowire import status
from federation.horizontal.errors import PartnerRefused
from federation.plan_horizontal import HorizontalPlan
from hub.records import Trouble
from hub.services import Services
from hub.store import Transaction
from privacy.errors import Failure, Kind
from privacy.ids import Digest
from privacy.printable import printable

if TYPE_CHECKING:
    from federation.horizontal.coordinator import Event

SETTLED = ("asked", "ok")  # a partner's state in an event; another one is what went wrong there
ANSWER = "answer"  # where a node looks at the cohort: what it refuses there, another attempt may not ask for
LASTING = (Kind.INVALID, Kind.REFUSED, Kind.NOT_FOUND)  # people's hands alone change such a refusal
CODE_CHARACTERS_MAX = 80
TEXT_CHARACTERS_MAX = 400


class NoAnswer(Failure):
    code = "NO_ANSWER"
    kind = Kind.UNAVAILABLE
    en = "its node was asked and did not answer in time"
    zh = "其节点收到请求后未在期限内应答"


class PartnersRefuse(Failure):
    """A run that can't begin: no resumption helps where too few nodes take the plan."""

    code = "PARTNERS_REFUSE"
    kind = Kind.CONFLICT
    en = (
        "the plan needs {needed} of its {count} partners and these nodes refuse it: {refusals}; no round was finished. "
        "Have it mended there, or change the plan, and propose it anew"
    )
    zh = (
        "方案需要 {count} 方中的 {needed} 方参与，而以下节点拒绝：{refusals}；尚无任何一轮完成。"
        "请在相应节点修正或修改方案后重新提案"
    )


class Troubles:
    """What one run was told of its partners: the newest of each round and partner."""

    def __init__(self, services: Services, job: Digest) -> None:
        self._services = services
        self._job = job
        found = services.store.read("run.troubles", lambda tx: tx.runs.troubles(job))
        self._known = {(one.round, one.partner): one for one in found}
        self._codes = {one.partner: one.code for one in found}  # the newest of each partner
        self._waiting: dict[tuple[int, str], Trouble] = {}
        self._refusing: dict[str, str] = {}  # partner -> code: its newest word in this execution, a refusal that lasts

    def take(self, event: "Event") -> tuple[Trouble, ...]:
        """What an event says went wrong. An event in which all is well does nothing in the database."""
        made = tuple(_trouble(event, partner, state) for partner, state in event.states.items() if state not in SETTLED)
        for partner, state in event.states.items():
            if state != "asked":
                self._refusing.pop(partner, None)
        self._refusing |= {one.partner: one.code for one in made if _lasts(one, event.failures.get(one.partner))}
        new = [one for one in made if self._known.get((one.round, one.partner)) != one]
        news = any(self._codes.get(one.partner) != one.code for one in new)
        for one in new:
            self._known[one.round, one.partner] = self._waiting[one.round, one.partner] = one
            self._codes[one.partner] = one.code
        if news:
            self.flush()
        return made

    def write(self, tx: Transaction, now: datetime) -> None:
        """Keep what is not kept yet. Written again where the transaction is tried again."""
        for one in self._waiting.values():
            tx.runs.keep_trouble(self._job, one, now)

    def written(self) -> None:
        """The transaction that wrote them is committed."""
        self._waiting.clear()

    def flush(self) -> None:
        """Keep what is not kept yet, where there is such a thing, in a transaction of its own."""
        if self._waiting:
            now = self._services.clock()
            self._services.store.run("run.troubles", lambda tx: self.write(tx, now))
            self.written()

    def never(self, plan: HorizontalPlan) -> PartnersRefuse | None:
        """Why a run that misses partners can't begin at all; None where one that is away or unwell may come back, and
        where a round is finished: then the plan can work, and what changed at a node can be mended there.
        """
        roster = plan.roster
        needed = max(roster.minimum, roster.threshold)
        left = [name for name in plan.partners if name not in self._refusing]
        if len(left) >= needed and plan.engine.dealer not in self._refusing:
            return None
        if self._services.store.read("run.rounds", lambda tx: tx.runs.rounds(self._job)):
            return None
        told = ", ".join(f"{name}: {code}" for name, code in sorted(self._refusing.items()))
        return PartnersRefuse(needed=needed, count=len(plan.partners), refusals=told)


def _trouble(event: "Event", partner: str, state: str) -> Trouble:
    failure = event.failures.get(partner) or NoAnswer()
    head = status.to_head(failure)
    if isinstance(failure, PartnerRefused):
        head = {name: failure.facts[f"party_{name}"] for name in head}
    said = {name: printable(str(text))[:TEXT_CHARACTERS_MAX] for name, text in head.items()}
    said["code"] = said["code"][:CODE_CHARACTERS_MAX]
    return Trouble(round=event.round, attempt=event.attempt, phase=event.phase, partner=partner, failure={**said})


def _lasts(trouble: Trouble, failure: Failure | None) -> bool:
    """Whether the node itself said no to the plan or its own rows, and would say so again."""
    by_node = isinstance(failure, PartnerRefused) and trouble.phase != ANSWER
    return by_node and trouble.failure["kind"] in {kind.value for kind in LASTING}
