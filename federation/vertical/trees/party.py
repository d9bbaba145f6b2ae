"""What both roles share where trees are grown: the seed of any vertical run, and the links from L to each holder.

L encrypts derivatives under keys of their own for each holder, and where a holder has more bins than one key may answer
for, its columns are divided over up to three links with keys of their own. Rings are kept at DEGREE_MAX: a larger one
answers for more columns, and its hint is twice as long for each of them. Hints are made once; a level of all nodes is
one message.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from federation.errors import SumsTellRows
from federation.features import Integers
from federation.plan import TrainingPlan
from federation.plan_fields import PARTNERS_MAX
from federation.plan_models import TREE_DEPTH_MAX, TREES_MAX, Trees
from federation.plan_variants import Coalition
from federation.vertical.messages import Reader
from federation.vertical.party import Party
from federation.vertical.trees.derivatives import Packing
from privacy import canonical, linear
from privacy.canonical import Value
from privacy.linear.errors import ParametersImpossible
from privacy.linear.parameters import COLUMNS_MAX
from privacy.packing import Packed

LINKS_MAX = 3  # of one holder
DEGREE_MAX = 8192
SUMS_PER_VECTOR = 2  # of first and of second derivatives
VARIANTS_MAX = 16  # of one holder: half of all sets of five
ROWS_PER_SUM = 4  # train rows for every sum of one bin: equations that tell who is in it, beside what routes tell


class TreeParty(Party):
    """Base of TreeLabelHolder and TreeHolder.

    Ensembles are grown one after the other, the full one first: a variant can then take nothing away from it. Trees are
    numbered through all of them from 0, levels through all trees from 1.
    """

    @property
    def _trees(self) -> Trees:
        assert self._plan.trees is not None, "the plan's model is trees"
        return self._plan.trees

    @property
    def _ensembles(self) -> tuple[Coalition, ...]:
        """The variants that are grown with feature holders, in the order of growing."""
        return self._plan.variants()[:0:-1]

    @property
    def _levels(self) -> int:
        """Levels of all trees: each is a round of messages, numbered from 1."""
        return len(self._ensembles) * self._trees.trees * self._trees.depth

    def _check_rows(self, holder: str) -> None:
        """Raises SumsTellRows where a holder is asked for so many sums that a bin's rows follow (rule of sums)."""
        if self._rows < (needed := SUMS_PER_VECTOR * ROWS_PER_SUM * vectors_of(self._plan, holder)):
            raise SumsTellRows(
                count=self._rows,
                minimum=needed,
                partner=holder,
                trees=self._trees.trees,
                depth=self._trees.depth,
                variants=self._plan.variants_with(holder),
            )

    def _first_of(self, tree: int) -> int:
        """The number of a tree's first level."""
        return tree * self._trees.depth + 1

    def _tree_of(self, number: int) -> int:
        """The tree of a level."""
        return (number - 1) // self._trees.depth

    def _grown_with(self, tree: int) -> Coalition:
        """The holders of the ensemble that a tree is of."""
        return self._ensembles[tree // self._trees.trees]

    def _phase_of(self, number: int) -> str:
        """What is shown of a run under way."""
        tree, holders = self._tree_of(number), self._grown_with(self._tree_of(number))
        said = f"tree {tree % self._trees.trees + 1}"
        return said if holders == self._plan.holders else f"{said} with {', '.join(holders)}"

    def _link_of(self, holder: str, place: int, columns: int) -> tuple[linear.Parameters, bytes, bytes]:
        """(parameters, seed, context) of one link; nothing of one link fits another."""
        packing = Packing.of(self._rows)
        links = LINKS_MAX * len(self._plan.holders)
        agreed = linear.parameters(self._rows, columns, 1, packing.largest, vectors_of(self._plan, holder), links=links)
        whose: dict[str, Value] = {"holder": holder, "link": place}
        seed = canonical.digest_bytes("ecohub/tree-link/v1", self.joint + canonical.encode(whose))
        context = canonical.encode({"run": self._plan.digest, "order": self._order, **whose})
        return agreed, seed, context


def vectors_of(plan: TrainingPlan, holder: str) -> int:
    """Encrypted vectors that a holder multiplies in a training at most: of two siblings only one is asked for."""
    assert plan.trees is not None, "the plan's model is trees"
    return plan.trees.trees * plan.variants_with(holder) << (plan.trees.depth - 1)


def room(rows: int) -> int:
    """Matrix columns a holder's links have room for, whatever the plan: bins of two runs over the same rows are alike.

    Raises PlanInvalid, ParametersImpossible: too many rows.
    """
    return LINKS_MAX * _link_columns(rows)


def widths(rows: int, columns: int) -> tuple[int, ...]:
    """How many matrix columns each link has: as few links as needed, about the same on each."""
    links = -(-columns // _link_columns(rows))
    return tuple(columns // links + (place < columns % links) for place in range(links))


@cache
def _link_columns(rows: int) -> int:
    """The most columns one link answers for. Raises ParametersImpossible where not even one is possible."""
    largest = Packing.of(rows).largest
    vectors = TREES_MAX * VARIANTS_MAX << (TREE_DEPTH_MAX - 1)

    def fits(columns: int) -> bool:
        try:
            made = linear.parameters(rows, columns, 1, largest, vectors, links=LINKS_MAX * PARTNERS_MAX)
            return made.degree <= DEGREE_MAX
        except ParametersImpossible:
            return False

    found = next((columns for columns in range(COLUMNS_MAX, 0, -1) if fits(columns)), 0)
    if not found:
        raise ParametersImpossible(why=f"no ring of degree {DEGREE_MAX} holds derivatives of {rows} rows")
    return found


def length_of(reader: Reader, name: str) -> int:
    """Of a one-dimensional array; 0 for anything else, which the reader then refuses."""
    value = reader.content[name]
    return len(value) if isinstance(value, np.ndarray) and value.ndim == 1 else 0


def parts_of(reader: Reader, links: int) -> list[bytes]:
    """A message of every link, in order."""
    names = [str(place) for place in range(links)]
    found = reader.datas("data", set(names))
    return [found[name] for name in names]


def by_link(messages: Sequence[bytes]) -> dict[str, Packed]:
    return {str(place): message for place, message in enumerate(messages)}


def indicators(codes: Integers, counts: Integers) -> Integers:
    """(rows, bins less one of each column, then 1 for every row): which bin each row is in; the last follows."""
    parts = [codes[:, [column]] == np.arange(count - 1) for column, count in enumerate(counts.tolist())]
    return np.hstack([*parts, np.ones((len(codes), 1), bool)]).astype(np.int64)


def all_bins(sums: Integers, counts: Integers) -> Integers:
    """(bins of all columns,): sums of every bin from those of `indicators`."""
    made, start = [], 0
    for count in counts.tolist():
        own = sums[start : start + count - 1]
        made.append(np.append(own, sums[-1] - own.sum()))
        start += count - 1
    return np.concatenate(made)
