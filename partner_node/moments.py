"""What runs over some of the same clients tell together of this node's columns, looked at before each of them.

Every run that told anything is in the ledger: its plan, the clients of its alignment, and which values its columns had
(partner_node.moment_values; runs of earlier versions have no values there, and count where they ended well). Of a new
plan four things are asked, for each own column that an earlier run took, too: whether its values changed for few
clients only; whether sums and differences of all parts leave few clients; whether another party would have more
equations about it than a quarter of the clients they are about (federation.equations); and whether a part is a sum of
others, from which a small cell that it hides would follow.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sqlalchemy.orm import Session

from federation import equations
from federation.equations import Cells, Group
from federation.plan import LABEL_HOLDER, TrainingPlan
from federation.vertical.party import ROWS_PER_COLUMN
from partner_node import differencing, moment_values, store
from partner_node.differencing import Divisions, Integers
from partner_node.moment_errors import MomentsTellRows, RunsTogetherTell, SmallCellsFollow, ValuesChanged
from partner_node.moment_values import GONE, Tags

Form: TypeAlias = tuple[object, ...]
SUM, LABEL = "sum", "label"  # what a run tells of a column beside its moments with others' columns


class _Book(Divisions):
    """What the ledger holds, each read once: clients of an alignment, parts of a division, values by their digest."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.values: dict[bytes, Tags] = {}

    def tags(self, digest: bytes) -> Tags:
        if digest not in self.values:
            self.values[digest] = moment_values.load(self.session, digest)
        return self.values[digest]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run at this node."""

    plan: TrainingPlan
    book: _Book
    digests: Mapping[str, bytes]  # of the values of own columns; without one whose values are not known

    @property
    def name(self) -> str:
        return self.plan.digest[:16]

    @property
    def clients(self) -> Integers:
        return self.book.clients(self.plan.alignment)[1]

    @property
    def part(self) -> Integers:
        return self.book.part(self.plan)

    @property
    def parts(self) -> int:
        return int(self.part.max()) + 1

    def tags(self, column: str) -> Tags | None:
        return self.book.tags(self.digests[column]) if column in self.digests else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """Something that a column has moments with."""

    what: str
    forms: tuple[Form, ...]  # of another party's column, and of the own one; or of that alone
    count: int  # as often as it enters


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An own column of whose clients enough have other values than in an earlier run."""

    column: str
    run: str
    count: int


def check(session: Session, plan: TrainingPlan, me: str, now: Mapping[str, Tags]) -> list[Change]:
    """What changed since earlier runs, where the new one may be. now: tags of own columns, as far as they are known.

    Raises RunsTooAlike, BinsTooAlike, ValuesChanged, RunsTogetherTell, MomentsTellRows, SmallCellsFollow, each naming
    earlier runs.
    """
    book = _Book(session)
    differencing.check(book, plan, me)
    if plan.trees:
        return []
    own = _forms(plan, me)
    plans = [one for one in _before(session, plan) if own.keys() & _forms(one, me).keys()]
    if not plans:
        return []
    new, *before = _runs(book, [plan, *plans], now)
    changes: list[Change] = []
    seen: set[tuple[object, ...]] = set()
    for asset, column in own:
        runs = [run for run in before if (asset, column) in _forms(run.plan, me)]
        changes += [found for run in runs if (found := _changed(new, run, me, column)) is not None]
        if not runs:
            continue
        tags = _moved([*runs, new], column)
        # columns of the same runs in the same forms tell alike where their values stood still
        told = (column if tags else None, *((run.name, _forms(run.plan, me)[asset, column]) for run in (*runs, new)))
        if told not in seen:
            seen.add(told)
            _check_column(new, runs, me, (asset, column), tags)
    return changes


def basis(session: Session, plan: TrainingPlan, me: str, now: Mapping[str, Tags]) -> tuple[object, ...]:
    """All that `check` rests on, as values to compare: an alignment is the same for good.

    Of columns whose values no earlier run is known to have had it asks for none.
    """
    told, known = {one.digest for one in _before(session, plan)}, known_before(session, plan, me)
    before = [
        (one.digest, one.digest in told, moment_values.of_run(session, one.digest))
        for one in differencing.plans_before(session, plan)
    ]
    return plan.digest, before, {name: moment_values.digest_of(tags) for name, tags in now.items() if name in known}


def known_before(session: Session, plan: TrainingPlan, me: str) -> set[str]:
    """Own columns of which an earlier run's values are known."""
    if plan.trees:
        return set()
    known = {name for one in _before(session, plan) for name in moment_values.of_run(session, one.digest)}
    return known & {column for _, column in _forms(plan, me)}


def _before(session: Session, plan: TrainingPlan) -> list[TrainingPlan]:
    """Plans of earlier runs that took moments."""
    plans = [one for one in differencing.plans_before(session, plan) if not one.trees]
    return [one for one in plans if moment_values.of_run(session, one.digest) or store.result(session, one.digest)]


def columns_of(plan: TrainingPlan, me: str) -> tuple[str, ...]:
    """Own columns whose moments a run shows; the label of one class as column=class. None of trees."""
    return () if plan.trees else tuple(column for _, column in _forms(plan, me))


def _forms(plan: TrainingPlan, party: str) -> dict[tuple[str, str], Form]:
    """(asset, column) of what a party brings: the form it enters in. Empty for a plan that it has no part in."""
    part = next((one for one in plan.parties if one.partner == party), None)
    if part is None:
        return {}
    found: dict[tuple[str, str], Form] = {
        (part.asset, name): ("bins", plan.bins, plan.rare_rows) if name in part.binned else ("plain", plan.coding)
        for name in part.columns
    }
    if part.role == LABEL_HOLDER:
        found[part.asset, label_name(plan)] = (LABEL,)
    return found


def label_name(plan: TrainingPlan) -> str:
    return plan.label_column if plan.positive is None else f"{plan.label_column}={plan.positive}"


def _runs(book: _Book, plans: Sequence[TrainingPlan], now: Mapping[str, Tags]) -> list[Run]:
    """The new run and those before it; of earlier ones that tell the same, the first."""
    made: dict[tuple[object, ...], Run] = {}
    for plan in plans:
        new = plan is plans[0]
        known = {column: moment_values.digest_of(found) for column, found in now.items()} if new else None
        digests = moment_values.of_run(book.session, plan.digest) if known is None else known
        forms = tuple((partner, tuple(_forms(plan, partner).items())) for partner in plan.partners)
        told = (new, differencing.division(plan), forms, tuple(sorted(digests.items())))
        made.setdefault(told, Run(plan=plan, book=book, digests=digests))
    first = next(iter(made.values()))
    book.values.update((digest, now[column]) for column, digest in first.digests.items())
    return [*made.values()]


def _changed(new: Run, run: Run, me: str, column: str) -> Change | None:
    """Raises ValuesChanged where fewer than the minimum in one part have another value than in an earlier run."""
    if _stands_still([new, run], column):
        return None
    here, there = new.tags(column), run.tags(column)
    if here is None or there is None:
        return None
    part, earlier = new.book.side_by_side(new.plan, run.plan)
    here, there = (run.book.by_client(run.plan.alignment, found, GONE) for run, found in ((new, here), (run, there)))
    moved = (here != there) & (here != GONE) & (part >= 0) & (earlier >= 0)
    counts = np.bincount(part[moved], minlength=1) if _same_parts(new, run) else np.array([moved.sum()])
    shared = [_forms(new.plan, other).keys() & _forms(run.plan, other).keys() for other in _others(new, me)]
    minimum = max(new.plan.rare_rows, ROWS_PER_COLUMN * (max(map(len, shared)) + 2))
    if len(few := counts[(counts > 0) & (counts < minimum)]):
        raise ValuesChanged(run=run.name, column=column, count=int(few.min()), minimum=minimum)
    return Change(column=column, run=run.name, count=int(moved.sum())) if moved.any() else None


def _stands_still(runs: Sequence[Run], column: str) -> bool:
    """Whether a column has the same values in all of these runs, over the same clients."""
    return len({(run.plan.alignment, run.digests.get(column)) for run in runs}) == 1


def _same_parts(new: Run, run: Run) -> bool:
    return bool(np.array_equal(new.clients, run.clients) and np.array_equal(new.part, run.part))


def _others(run: Run, me: str) -> list[str]:
    return [partner for partner in run.plan.partners if partner != me]


def _check_column(
    new: Run, before: Sequence[Run], me: str, column: tuple[str, str], tags: Sequence[Tags] | None
) -> None:
    """Of one own column; tags: `_moved`. Raises RunsTogetherTell, MomentsTellRows, SmallCellsFollow."""
    runs = [*before, new]
    cells = equations.cells_of(_values(runs, tags))
    every = Group(count=1, parts=tuple(range(sum(run.parts for run in runs))))
    names = ", ".join(run.name for run in before)
    if len(before) > 1 and not equations.within(cells, [every], new.plan.rare_rows):
        raise RunsTogetherTell(runs=names, minimum=new.plan.rare_rows)
    for other in _others(new, me):
        known = _known(runs, me, other, column)
        if all(places == {len(before)} for places in known.values()):
            continue
        groups = _groups(runs, known)
        if not equations.within(cells, groups, ROWS_PER_COLUMN):
            raise MomentsTellRows(runs=names, partner=other, column=column[1])
        columns = {frozenset(places) for told, places in known.items() if len(told.forms) == 2}
        for places in columns:
            if len(before) in places and _adds_up(cells, runs, places):
                raise SmallCellsFollow(runs=", ".join(runs[place].name for place in sorted(places - {len(before)})))


def _moved(runs: Sequence[Run], column: str) -> list[Tags] | None:
    """Of every run (aligned,) its clients' tags; None where no client has another value in one run than in another.

    Values that are not known count as those of the other runs.
    """
    if _stands_still(runs, column):
        return None
    latest = np.full(1 + max(int(run.clients.max()) for run in runs), GONE, np.uint32)
    known = [run.tags(column) for run in runs]
    for run, own in zip(runs, known, strict=True):
        if own is not None:
            latest[run.clients] = own
    last = [latest[run.clients] for run in runs]
    tags = [of_last if own is None else own for own, of_last in zip(known, last, strict=True)]
    return None if all(map(np.array_equal, tags, last)) else tags


def _values(runs: Sequence[Run], tags: Sequence[Tags] | None) -> list[Integers]:
    """Of every run (values,) its part of each client's value; a client whose value changed has several."""
    if tags is None:
        return runs[0].book.side_by_side(*(run.plan for run in runs))
    codes = [
        (run.clients.astype(np.uint64) << np.uint64(32)) + own.astype(np.uint64)
        for run, own in zip(runs, tags, strict=True)
    ]
    values, places = np.unique(np.concatenate(codes), return_inverse=True)
    found, start = [], 0
    for run, code in zip(runs, codes, strict=True):
        part = np.full(len(values), -1, np.int64)
        part[places[start : start + len(code)]] = run.part
        found.append(part)
        start += len(code)
    return found


def _known(runs: Sequence[Run], me: str, other: str, column: tuple[str, str]) -> dict[_Told, set[int]]:
    """What another party has moments of the column with, and in which runs."""
    found: dict[_Told, set[int]] = defaultdict(set)
    for place, run in enumerate(runs):
        theirs, form = _forms(run.plan, other), _forms(run.plan, me)[column]
        for (asset, name), how in theirs.items():
            if how != (LABEL,):
                found[_Told(what=f"{asset}/{name}", forms=(how, form), count=_bins(how))].add(place)
        if theirs:
            label = f"{LABEL} {run.plan.label_holder}/{label_name(run.plan)}"
            for what in (SUM, label):
                found[_Told(what=what, forms=(form,), count=1)].add(place)
    return dict(found)


def _bins(form: Form) -> int:
    """Columns of the matrix that a column makes, at most."""
    return form[1] if form[0] == "bins" and isinstance(form[1], int) else 1


def _groups(runs: Sequence[Run], known: Mapping[_Told, set[int]]) -> list[Group]:
    """What was taken in the same runs together."""
    counts: dict[frozenset[int], int] = defaultdict(int)
    for told, places in known.items():
        counts[frozenset(places)] += told.count
    return [Group(count=count, parts=_parts(runs, places)) for places, count in counts.items()]


def _parts(runs: Sequence[Run], places: frozenset[int]) -> tuple[int, ...]:
    starts = np.cumsum([0, *(run.parts for run in runs)])
    return tuple(part for place in sorted(places) for part in range(int(starts[place]), int(starts[place + 1])))


def _adds_up(cells: Cells, runs: Sequence[Run], places: frozenset[int]) -> bool:
    """Whether a part of the new run, the last, is a sum of other parts with any factors, though none of them itself."""
    old = np.unique(cells.member[list(_parts(runs, places - {len(runs) - 1}))], axis=0)
    both = np.unique(np.vstack([old, cells.member[list(_parts(runs, frozenset({len(runs) - 1})))]]), axis=0)
    return equations.rank(both) - equations.rank(old) < len(both) - len(old)
