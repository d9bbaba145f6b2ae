"""The feature holder: multiplies what others encrypted, gives moments, answers weights with rounded partial scores.

It learns exact moments of its own columns with the label and with the columns of those who encrypt for it, and its own
weights. It gives the label holder moments (small cells suppressed) and a counted number of score vectors.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation import features
from federation.errors import MomentsImplausible, ScoreBudgetExceeded, StepMalformed, WeightsRefused
from federation.features import Table
from federation.plan import FEATURE_HOLDER, TrainingPlan
from federation.vertical import scores
from federation.vertical.assembly import exact_gram
from federation.vertical.messages import Content, Outgoing, Reader
from federation.vertical.party import ByPart, Party
from federation.vertical.results import Disclosed, HolderResult, model_part
from federation.vertical.steps import Step, Taken, needs, only
from federation.vertical.suppress import Levels, suppress
from privacy import canonical
from privacy.packing import Packed
from privacy.ring import Entropy


class FeatureHolder(Party):
    """One feature holder's session."""

    role: ClassVar[str] = FEATURE_HOLDER
    _STATE: ClassVar[tuple[str, ...]] = (*Party._STATE, "levels", "suppressed", "weights")

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy, *, spent_before: int = 0) -> None:
        """spent_before: score vectors this column set has disclosed to this label holder in earlier runs.

        Raises ScoreBudgetExceeded when this run would go over the plan's budget, and what `Party` raises.
        """
        needed = plan.score_vectors(me)
        if spent_before < 0 or spent_before + needed > plan.score_budget:
            raise ScoreBudgetExceeded(needed=needed, spent=spent_before, budget=plan.score_budget)
        self._spent_before = spent_before
        self.levels: dict[str, ByPart] = {}  # by encryptor and part: rows of (column, low, high, rows with high)
        self.suppressed = 0
        self.weights: NDArray[np.float64] = np.zeros((0, 0))
        super().__init__(plan, me, table, entropy)

    def result(self) -> HolderResult:
        """Own weights, what was suppressed and what was disclosed. Only once `done`."""
        assert self.done, "the session is done"
        return HolderResult(
            run=self._run,
            partner=self._me,
            part=model_part(self._me, self._prepared, self.weights[-1]),
            weights_digest=scores.weights_digest(self.weights),
            reasons=dict(self._prepared.dropped),
            suppressed_cells=self.suppressed,
            disclosed=disclosed(self._plan, self._me, self.names[self._me], len(self._table.tokens), self._test),
            spent=self._spent_before + self._plan.score_vectors(self._me),
        )

    def _role_steps(self) -> list[Step]:
        multiplied = tuple(f"multiplied {peer}" for peer in self._senders())
        opened = tuple(f"opened {peer}" for peer in self._receivers(self._me))
        asked = needs("weights", [self._plan.label_holder])
        return [
            Step(name="moments", phase="moments", after=(*multiplied, *opened), act=self._moments),
            Step(name="scores", phase="weights", needs=asked, after=("moments",), act=self._scores),
        ]

    def _take_levels(self, sender: str, reader: Reader) -> None:
        """Keep the encryptor's statement on its 0/1 columns; in every part it must respect rarity (rule e)."""
        stated = reader.mapping("levels", set(self._parts))
        self.levels[sender] = {part: self._levels_of(sender, reader, stated[part], part) for part in self._parts}

    def _levels_of(self, sender: str, reader: Reader, value: Packed, part: str) -> NDArray[np.int64]:
        size = len(self._matrices[part])
        count = value.shape[0] if isinstance(value, np.ndarray) and value.ndim == 2 else 0
        rows = reader.integers_of(value, "levels", (count, 4), max(size, features.VALUE_MAX))
        columns, low, high, with_high = rows.T
        if not ((columns >= 0) & (columns < len(self.names[sender]))).all() or len(set(columns.tolist())) != count:
            raise StepMalformed(partner=sender, why="its levels")
        if not ((low < high) & (low >= -features.VALUE_MAX) & (high <= features.VALUE_MAX)).all():
            raise StepMalformed(partner=sender, why="its levels")
        if not (np.minimum(with_high, size - with_high) >= self._plan.rare_rows).all():
            raise MomentsImplausible(partner=sender, why=f"a 0/1 column is rarer than the plan allows ({part})")
        return rows

    def _moments(self, _: Taken) -> list[Outgoing]:
        """Second moments of every part, and the products with the small cells taken out."""
        parts: dict[str, Packed] = {part: self._moments_in(part) for part in self._parts}
        self.products, self.levels = {}, {}
        return self._send("moments", [self._plan.label_holder], {"parts": parts, "suppressed": self.suppressed})

    def _moments_in(self, part: str) -> Content:
        leader, matrix = self._plan.label_holder, self._matrices[part]
        own = features.binary_levels(matrix)
        blocks: dict[str, Packed] = {}
        for peer, products in self.products.items():
            # the label holder's first vector is the label
            columns = products[part][1:] if peer == leader else products[part]
            theirs: Levels = {int(row[0]): (int(row[1]), int(row[2]), int(row[3])) for row in self.levels[peer][part]}
            blocks[peer], count = suppress(columns, theirs, own, len(matrix), self._plan.cell_minimum, peer)
            self.suppressed += count
        return {
            "gram": exact_gram(matrix),
            "sums": matrix.sum(axis=0),
            "target": self.products[leader][part][0],
            "with_label_holder": blocks.pop(leader),
            "with_holders": blocks,
        }

    def _scores(self, taken: Taken) -> list[Outgoing]:
        """Rounded shares of the score: test rows for the smaller variants, every client for the full one."""
        _, leader, reader = only(taken)
        shape = (self._plan.score_vectors(self._me), len(self.names[self._me]))
        self.weights = np.array(reader.floats("weights", shape, scores.WEIGHT_MAX))
        digests = reader.digests("announced", set(self._plan.holders))
        if digests[self._me] != scores.weights_digest(self.weights):
            raise WeightsRefused(partner=leader, why="it announced other weights for this holder than it sent")
        values, step = self._prepared.scaled, self._plan.score_step_log2
        small = [scores.rounded(values[self._test], w, step, leader) for w in self.weights[:-1]]
        full = scores.rounded(values, self.weights[-1], step, leader).view(np.uint64)
        for sign, key in self._pair_keys():
            hidden = scores.mask(key, self._run, scores.announcement(digests), len(full))
            full = full + hidden if sign > 0 else full - hidden  # modulo 2^64
        rows = int(self._test.sum())
        content: Content = {"small": np.array(small, dtype=np.int64).reshape(len(small), rows), "full": full}
        return self._send("scores", [leader], content)

    def _pair_keys(self) -> list[tuple[int, bytes]]:
        """(sign, key) for every other holder; the two of a pair have opposite signs."""
        keys = []
        for peer in self._plan.holders:
            if peer == self._me:
                continue
            to, from_ = self.mask_halves[f"to {peer}"], self.mask_halves[f"from {peer}"]
            first = self._me < peer
            keys.append((1 if first else -1, scores.pair_key(*((to, from_) if first else (from_, to)))))
        return keys


def disclosed(
    plan: TrainingPlan, holder: str, names: list[str], rows: int, test: NDArray[np.bool_]
) -> tuple[Disclosed, ...]:
    """The score vectors one holder shows in this run, in the order of the plan's variants."""
    columns: list[canonical.Value] = [*sorted(names)]
    asset = plan.party(holder).asset
    digest = canonical.digest("ecohub/columns/v1", {"partner": holder, "asset": asset, "columns": columns}).hex()
    full = plan.variants()[-1]
    return tuple(
        Disclosed(
            holder=holder,
            columns_digest=digest,
            rows=rows if variant == full else int(test.sum()),
            step_log2=plan.score_step_log2,
            variant=variant,
            masked=variant == full and len(full) > 1,
        )
        for variant in plan.variants()
        if holder in variant
    )
