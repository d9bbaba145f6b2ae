"""Two trainings over nearly the same clients: their moments differ by the few clients that are in one of them only.

The label holder of both could subtract: the count of a 0/1 column in one run less the count in the other is the value
of the one client that joined or left, and a feature holder reads that client's label likewise. Moments are of parts of
the rows (folds, held-out rows), and sums of parts are known with them. So every union of parts of a new run must equal
a union of parts of an earlier run exactly, or differ from all of them by at least the plan's `rare_rows` clients. That
is all that two runs can tell: whatever is added and subtracted with other factors is such a difference at each level.
Sums and differences of three and more runs: `partner_node.moments`.

Over the same clients a column must be cut into bins in the same way: of five bins and of six the sums of the lowest
differ by the clients between two edges.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from federation.plan import LABEL_HOLDER, PlanParty, TrainingPlan, read
from partner_node import sessions, store
from partner_node.errors import UnknownJob
from partner_node.training_errors import BinsTooAlike, RunsTooAlike

T = TypeVar("T", bound=np.integer[Any])
Integers: TypeAlias = NDArray[np.int64]


class Divisions:
    """Which client is in which part of a run: each alignment is read once, each division drawn once."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._numbers: dict[bytes, int] = {}  # by the keyed hash (Gate.row_keys), which is the same in every alignment
        self._aligned: dict[str, tuple[list[str], Integers]] = {}
        self._parts: dict[tuple[object, ...], Integers] = {}

    def clients(self, alignment: str) -> tuple[list[str], Integers]:
        """Tokens and numbers of the aligned clients; a client has one number in all alignments."""
        if alignment not in self._aligned:
            rows = sessions.alignment(self.session, alignment)
            numbers = [self._numbers.setdefault(row.row_key, len(self._numbers)) for row in rows]
            self._aligned[alignment] = [row.token for row in rows], np.array(numbers, np.int64)
        return self._aligned[alignment]

    def part(self, plan: TrainingPlan) -> Integers:
        """(aligned,): the part each client is in, −1 in none."""
        drawn = division(plan)
        if drawn not in self._parts:
            tokens, _ = self.clients(plan.alignment)
            made = np.full(len(tokens), -1, np.int64)
            for number, mask in enumerate(plan.parts(tokens).values()):
                made[mask] = number
            self._parts[drawn] = made
        return self._parts[drawn]

    def side_by_side(self, *plans: TrainingPlan) -> list[Integers]:
        """Of every plan (clients,) the part that each client of any of them is in, −1 in none."""
        parts = [self.part(plan) for plan in plans]
        return [self.by_client(plan.alignment, part, -1) for plan, part in zip(plans, parts, strict=True)]

    def by_client(self, alignment: str, values: NDArray[T], missing: int) -> NDArray[T]:
        """(clients,) of values of an alignment, by the numbers of all clients known so far; others have `missing`."""
        made = np.full(len(self._numbers), missing, values.dtype)
        made[self.clients(alignment)[1]] = values
        return made


def check(divisions: Divisions, plan: TrainingPlan, me: str) -> None:
    """Raises RunsTooAlike, naming an earlier run over some of the same columns whose clients differ by too few.

    Raises BinsTooAlike for columns that an earlier run over the same clients took in other bins.
    """
    known = {division(plan): {0}}
    for earlier in plans_before(divisions.session, plan):
        if not _columns(plan, me) & _columns(earlier, me):
            continue
        if (theirs := division(earlier)) not in known:
            known[theirs] = distances(*divisions.side_by_side(plan, earlier))
        apart = known[theirs]
        if 0 < (near := min(apart - {0}, default=plan.rare_rows)) < plan.rare_rows:
            raise RunsTooAlike(run=earlier.digest[:16], count=near, minimum=plan.rare_rows)
        if 0 in apart and (columns := _cut_otherwise(plan, earlier, me)):
            raise BinsTooAlike(run=earlier.digest[:16], columns=", ".join(columns))


def plans_before(session: Session, plan: TrainingPlan) -> Iterator[TrainingPlan]:
    """The vertical plans of all other runs that began here, also of those that broke."""
    for job in sessions.begun(session):
        try:
            proposal = store.proposal(session, job)
        except UnknownJob:
            continue
        earlier = read(proposal.body) if proposal.kind == "train" and proposal.digest != plan.digest else None
        if isinstance(earlier, TrainingPlan):
            yield earlier


def distances(own: Integers, theirs: Integers) -> set[int]:
    """By how many clients each union of own parts differs from the nearest union of theirs; 0 where they are equal.

    The nearest one is found part by part: theirs is in it where more than half of its clients are in the own union.
    own, theirs: (clients,) the part each client is in, −1 in none.
    """
    here, there = (1 + int(parts.max(initial=-1)) for parts in (own, theirs))
    shared = np.zeros((here + 1, there + 1), np.int64)  # clients by own part and theirs; last: in no part of the run
    np.add.at(shared, (own, theirs), 1)
    unions = np.arange(1, 1 << here)[:, None] >> np.arange(here) & 1
    inside = unions @ shared[:here]
    outside = shared.sum(axis=0) - inside
    apart = inside[:, there] + np.minimum(inside, outside)[:, :there].sum(axis=1)
    return set(apart.tolist())


def division(plan: TrainingPlan) -> tuple[object, ...]:
    """All that decides which client is in which part: equal ones need no look at the clients."""
    return plan.alignment, plan.split_salt, plan.test_ppm, plan.train_parts, plan.held_moments


def _columns(plan: TrainingPlan, me: str) -> frozenset[tuple[str, str]]:
    """(asset, column) of everything this node brings; empty for a plan that it has no part in."""
    part: PlanParty | None = next((party for party in plan.parties if party.partner == me), None)
    if part is None:
        return frozenset()
    label = (plan.label_column,) if part.role == LABEL_HOLDER else ()
    return frozenset((part.asset, name) for name in (*part.columns, *label))


def _cut_otherwise(plan: TrainingPlan, earlier: TrainingPlan, me: str) -> list[str]:
    """Own columns that both runs take as bins, in different ways."""
    new, old = _cuts(plan, me), _cuts(earlier, me)
    return [name for name, cut in new.items() if old.get(name, cut) != cut]


def _cuts(plan: TrainingPlan, me: str) -> dict[str, tuple[object, ...]]:
    """What the edges of an own column follow from beside the train rows; of columns whose bins others learn sums of."""
    part = next(party for party in plan.parties if party.partner == me)
    if not plan.trees:
        return dict.fromkeys(part.binned, (part.asset, plan.bins, plan.rare_rows))
    if part.role == LABEL_HOLDER:
        return {}
    # trees take fewer bins where there are many columns
    return dict.fromkeys(part.columns, (part.asset, plan.bins, plan.rare_rows, part.columns))
