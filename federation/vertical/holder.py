"""The feature holder: multiplies what others encrypted, gives moments, answers weights with rounded partial scores.

It learns exact moments of its own columns with the label and with the columns of those who encrypt for it, and its own
weights. It gives the label holder moments (small cells suppressed) and a counted number of score vectors.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation import features
from federation.errors import MomentsImplausible, ScoreBudgetExceeded, StepMalformed, WeightsRefused
from federation.features import Table
from federation.plan import FEATURE_HOLDER, TrainingPlan
from federation.plan_variants import Coalition
from federation.vertical import scores
from federation.vertical.assembly import exact_gram
from federation.vertical.messages import Content, Outgoing, Reader
from federation.vertical.part import model_part
from federation.vertical.party import ByPart
from federation.vertical.refinement import HolderRounds
from federation.vertical.results import Disclosed, HolderResult, columns_digest
from federation.vertical.steps import Step, Taken, needs, only
from federation.vertical.suppress import Levels, suppress
from federation.vertical.track import Track
from privacy.packing import Packed
from privacy.ring import Entropy


class FeatureHolder(HolderRounds):
    """One feature holder's session."""

    role: ClassVar[str] = FEATURE_HOLDER
    _STATE: ClassVar[tuple[str, ...]] = (*HolderRounds._STATE, "levels", "suppressed", "weights")

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy, *, spent_before: int = 0) -> None:
        """spent_before: score vectors this column set has disclosed to this label holder in earlier runs.

        Raises ScoreBudgetExceeded when this run would go over the plan's budget, and what `HolderRounds` raises.
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
            disclosed=disclosed(self._plan, self._me, self._used(self._me), self._test, self._tracks),
            spent=self._spent_before + self.shown,
        )

    def _role_steps(self) -> list[Step]:
        multiplied = tuple(f"multiplied {peer}" for peer in self._senders())
        opened = tuple(f"opened {peer}" for peer in self._receivers(self._me))
        asked = needs("weights", [self._plan.label_holder])
        moments = Step(name="moments", phase="moments", after=(*multiplied, *opened), act=self._moments)
        if not self._plan.rounds:
            return [moments, Step(name="scores", phase="weights", needs=asked, after=("moments",), act=self._scores)]
        ends = self._end_steps()
        return [
            moments,
            Step(name="weights", phase="weights", needs=asked, after=("moments",), act=self._begin_rounds),
            *(step for track in self._tracks for step in self._round_steps(track)),
            *ends,
            Step(name="scores", phase="scores", after=tuple(step.name for step in ends), act=self._end_rounds),
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
            names = self.names[peer], self.names[self._me]
            blocks[peer], count = suppress(columns, theirs, own, len(matrix), self._plan.cell_minimum, peer, names)
            self.suppressed += count
        return {
            "gram": exact_gram(matrix),
            "sums": matrix.sum(axis=0),
            "target": self.products[leader][part][0],
            "with_label_holder": blocks.pop(leader),
            "with_holders": blocks,
        }

    def _scores(self, taken: Taken) -> list[Outgoing]:
        """The scores of the weights that moments gave."""
        return self._give_scores(self._take_weights(taken))

    def _begin_rounds(self, taken: Taken) -> list[Outgoing]:
        announced = self._take_weights(taken)
        places = [self._place_of(track.holders) for track in self._tracks]
        return self._begin_tracks([self.weights[place] for place in places], announced)

    def _end_rounds(self, _: Taken) -> list[Outgoing]:
        """The scores of the refined weights."""
        weights = self.weights.copy()
        for track in self._tracks:
            weights[self._place_of(track.holders)] = track.weights
        self.weights = weights
        return self._give_scores(self._tracks[0].said)

    def _place_of(self, variant: Coalition) -> int:
        """Among the variants that this side is in."""
        return self._own_variants().index(variant)

    def _take_weights(self, taken: Taken) -> bytes:
        """Keep the own weights of every variant; the digest of what the label holder announced to all holders."""
        _, leader, reader = only(taken)
        shape = (self._plan.variants_with(self._me), len(self.names[self._me]))
        self.weights = np.array(reader.floats("weights", shape, scores.WEIGHT_MAX))
        digests = reader.digests("announced", set(self._plan.holders))
        if digests[self._me] != scores.weights_digest(self.weights):
            raise WeightsRefused(partner=leader, why="it announced other weights for this holder than it sent")
        return scores.announcement(digests)

    def _give_scores(self, bound: bytes) -> list[Outgoing]:
        """Rounded shares of the score: test rows for the smaller variants, every client for the full one.

        bound: what the masks of the full one are bound to.
        """
        values, step, leader = self._prepared.scaled, self._plan.score_step_log2, self._plan.label_holder
        shown = dict(zip(self._own_variants()[:-1], self.weights[:-1], strict=True))
        tested = {one: scores.rounded(values[self._test], w, step, leader) for one, w in shown.items()}
        small = [share for one, share in tested.items() if len(one) == 1]
        middle = [self._masked(share, self._end_of(one), one) for one, share in tested.items() if len(one) > 1]
        full, rows = scores.rounded(values, self.weights[-1], step, leader), int(self._test.sum())
        content: Content = {
            "small": np.array(small, dtype=np.int64).reshape(len(small), rows),
            "middle": np.array(middle, dtype=np.uint64).reshape(len(middle), rows),
            "full": self._masked(full, bound, self._plan.holders),
            "digest": scores.weights_digest(self.weights),
        }
        return self._send("scores", [leader], content)

    def _own_variants(self) -> list[Coalition]:
        return [one for one in self._plan.variants() if self._me in one]

    def _end_of(self, variant: Coalition) -> bytes:
        """What the masks of a variant's final scores are bound to: no round and no other variant has the same."""
        (track,) = [track for track in self._tracks if track.holders == variant]
        return scores.of_round(track.said, len(self._plan.refined) * self._plan.rounds + 1 + track.place)


def disclosed(
    plan: TrainingPlan, holder: str, names: Sequence[str], test: NDArray[np.bool_], tracks: Sequence[Track]
) -> tuple[Disclosed, ...]:
    """The score vectors one holder shows in this run: of every round, then in the order of the plan's variants.

    tracks: either side's, of the variants that were refined.
    """
    digest = columns_digest(holder, plan.party(holder).asset, names)
    full, tested = plan.variants()[-1], int(test.sum())

    def one(variant: Coalition, rows: int, number: int = 0) -> Disclosed:
        return Disclosed(
            holder=holder,
            columns_digest=digest,
            rows=rows,
            step_log2=plan.score_step_log2,
            variant=variant,
            masked=len(variant) > 1,
            round=number,
        )

    finals = [one(v, len(test) if v == full else tested) for v in plan.variants() if holder in v]
    shown = [
        one(track.holders, len(test) - tested, 1 + place)
        for track in tracks
        for place in range(len(track.points))
        if holder in track.holders
    ]
    return (*shown, *finals)
