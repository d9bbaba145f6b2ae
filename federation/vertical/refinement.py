"""Refinement by logistic rounds (model 1b): the steps of both roles between the moments' weights and the final scores.

    holder → label holder    shares:N            rounded scores of the train rows at its weights, masked between holders
    label holder → holders   residual:N          Enc(y − σ(total score)) over every train part, and the pace of the step
    holder → label holder    residual-reply:N    padded products with its columns
    label holder → holder    residual-opened:N   what they decrypted to: the holder checks it, steps, and shows again
    label holder → holders   refined             no further round: which round's weights are kept

Every round shows the label holder one more score vector: the plan caps the rounds, and the lifetime budget counts them.
Masks are bound to everything the label holder said before, so that one which sends different residuals to different
holders is left with noise (design rule b).
"""

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.errors import StepMalformed, StepUnexpected, WeightsRefused
from federation.features import Table
from federation.metrics import Floats
from federation.models import refine
from federation.models.refine import Block, Integers, Pace, Position
from federation.plan import TrainingPlan
from federation.vertical import scores
from federation.vertical.assembly import SCALE, exact_gram
from federation.vertical.messages import Outgoing, Reader, in_round
from federation.vertical.party import Party
from federation.vertical.results import Refinement
from federation.vertical.steps import Step, Taken, needs, only
from privacy.packing import Packed
from privacy.ring import Entropy


class Rounds(Party):
    """What both roles keep: where their own weights stand, and where they stood in every round so far."""

    _STATE: ClassVar[tuple[str, ...]] = (*Party._STATE, "ridge_milli", "points", "behind", "momentum")

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        self.ridge_milli = plan.ridge_milli  # the penalty; with validation one of its path, as the label holder says
        self.points: Floats = np.zeros((0, 0))  # (rounds, own weights): what each round was scored at
        self.behind: Floats = np.zeros(0)  # (own weights,): the newest without momentum
        self.momentum = 0  # steps since it began
        super().__init__(plan, me, table, entropy)

    def _round_steps(self) -> list[Step]:
        """In the table's order; none where the plan has no rounds."""
        raise NotImplementedError

    def _begin(self, weights: Floats) -> None:
        self.points, self.behind, self.momentum = np.array([weights]), weights, 0

    def _step(self, pull: Floats, pace: Pace) -> None:
        """From the newest point to the next; pull: (own weights,), Xᵀ(y − σ(score)) there."""
        at = Position(point=self.points[-1], weights=self.behind, steps=self.momentum)
        made = Block(self._gram, self._penalty).step(at, pull, pace)
        self.points = np.vstack([self.points, made.point])
        self.behind, self.momentum = made.weights, made.steps

    @cached_property
    def _gram(self) -> Floats:
        """(own weights, own weights): of the values that they weigh, over the train rows."""
        return np.asarray(sum(exact_gram(self._matrices[part]) for part in self._plan.train_parts) / SCALE**2)

    @property
    def _penalty(self) -> Floats:
        """(own weights,): the ridge penalty of each."""
        return np.full(len(self._prepared.names), self.ridge_milli / 1000)

    def _at_train(self, part: str) -> NDArray[np.bool_]:
        """(train rows,): which of them a part has."""
        return np.asarray(self._parts[part][self._train])

    def _rounds_data(self, reader: Reader) -> list[tuple[str, bytes]]:
        """A message of every train part's link."""
        parts = self._plan.train_parts
        found = reader.datas("data", set(parts))
        return [(part, found[part]) for part in parts]

    def _skip_rounds(self, beside: str = "") -> None:
        """What is left of the rounds will not happen; beside: the step that says so."""
        names = [step.name for step in self._round_steps() if step.name != beside]
        self._skip([name for name in names if not self._agenda.fired(name)])


class HolderRounds(Rounds):
    """The rounds at a feature holder."""

    _STATE: ClassVar[tuple[str, ...]] = (*Rounds._STATE, "said", "pace")

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        """Raises RoundsBeyondCap where too few of its columns are usable, and what `Party` raises."""
        self.said = b""  # digest of all that the label holder said since it announced weights
        self.pace: list[int] = []  # (divisor, anew) of the step whose residual is being multiplied
        super().__init__(plan, me, table, entropy)
        if plan.logistic:
            unusable = set(self._prepared.dropped)
            plan.logistic.check(me, sum(column not in unusable for column in plan.party(me).columns))

    @property
    def shown(self) -> int:
        """Score vectors that were shown so far: one a round, and with the last message one of each variant."""
        return len(self.points) + (self._plan.variants_with(self._me) if self.done else 0)

    def _round_steps(self) -> list[Step]:
        steps, before, leader = [], "weights", self._plan.label_holder
        for number in range(1, self._plan.rounds):
            asked, opened = in_round("residual", number), in_round("residual-opened", number)
            phase = f"round {number}"
            steps += [
                Step(name=asked, phase=phase, needs=((asked, leader),), after=(before,), act=self._multiply_residual),
                Step(name=opened, phase=phase, needs=((opened, leader),), after=(asked,), act=self._pulled),
            ]
            before = opened
        return steps

    def _first_round(self, weights: Floats, announced: bytes) -> list[Outgoing]:
        self.said = announced
        self._begin(weights)
        return self._show()

    def _multiply_residual(self, taken: Taken) -> list[Outgoing]:
        kind, leader, reader = only(taken)
        parties = len(self._line)
        divisor, anew = reader.count("divisor", parties), reader.count("anew", 1)
        ridge = reader.count("ridge_milli", max(self._plan.ridges))
        if divisor not in (1, parties) or ridge not in self._plan.ridges:
            raise StepMalformed(partner=leader, why="its pace")
        self.ridge_milli = ridge
        self.said, self.pace = scores.heard(self.said, reader.content), [divisor, anew]
        links = self._multipliers[leader]
        answers: dict[str, Packed] = {part: links[part].multiply(data) for part, data in self._rounds_data(reader)}
        return self._send(in_round("residual-reply", _number(kind)), [leader], {"data": answers})

    def _pulled(self, taken: Taken) -> list[Outgoing]:
        """The checked products of the residual (rule d), a step, and the scores at the next point."""
        _, leader, reader = only(taken)
        links = self._multipliers[leader]
        products = [links[part].open(data) for part, data in self._rounds_data(reader)]
        if any(len(product) != 1 for product in products):
            raise StepMalformed(partner=leader, why="more than one residual")
        divisor, anew = self.pace
        pull = np.sum(products, axis=0)[0] / (SCALE * refine.RESIDUAL_ONE)
        self._step(pull, Pace(divisor=divisor, anew=bool(anew)))
        return self._show()

    def _show(self) -> list[Outgoing]:
        """Rounded shares of the train rows' scores at the newest point, one more score vector."""
        leader, point, number = self._plan.label_holder, self.points[-1], len(self.points)
        if float(np.abs(point).max()) > scores.WEIGHT_MAX:
            raise WeightsRefused(partner=leader, why=f"its residuals move a weight beyond {scores.WEIGHT_MAX:g}")
        share = np.zeros(self._rows, np.int64)
        for part in self._plan.train_parts:
            values = self._matrices[part] / SCALE
            share[self._at_train(part)] = scores.rounded(values, point, self._plan.score_step_log2, leader)
        masked = self._masked(share, scores.of_round(self.said, number))
        return self._send(in_round("shares", number), [leader], {"shares": masked})

    def _refined(self, reader: Reader) -> tuple[Floats, bytes]:
        """The weights that are kept and what their final scores' masks are bound to; no round follows."""
        if reader.count("rounds", self._plan.rounds) != len(self.points) or self._open_residual():
            raise StepUnexpected(partner=reader.sender, step="refined")
        kept = reader.count("kept", len(self.points))
        if kept < 1:
            raise StepMalformed(partner=reader.sender, why="its kept")
        self.said = scores.heard(self.said, reader.content)
        self._skip_rounds()
        return self.points[kept - 1], self.said

    def _open_residual(self) -> bool:
        """Whether the last residual was multiplied and its products have not come back."""
        number = len(self.points)
        return number < self._plan.rounds and self._agenda.fired(in_round("residual", number))

    def _masked(self, share: Integers, bound: bytes) -> NDArray[np.uint64]:
        """A share of which the other holders' masks leave only the sum of all; modulo 2^64."""
        words = share.view(np.uint64)
        for sign, key in self._pair_keys():
            hidden = scores.mask(key, self._run, bound, len(words))
            words = words + hidden if sign > 0 else words - hidden
        return words

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


class LabelRounds(Rounds):
    """The rounds at the label holder. Its last weight is the intercept."""

    _STATE: ClassVar[tuple[str, ...]] = (*Rounds._STATE, "losses", "divisor", "ended")
    _label: NDArray[np.bool_]  # (rows,): the subclass sets it

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        self.losses: Floats = np.zeros(0)  # (rounds,): train log-loss
        self.divisor = 1
        self.ended = ""  # why the rounds ended; empty before
        super().__init__(plan, me, table, entropy)

    @property
    def refinement(self) -> Refinement | None:
        """How the rounds went; None where the plan has none. Only once they have ended."""
        if not self._plan.logistic:
            return None
        return Refinement(
            losses_ppm=tuple(round(float(loss) * 1_000_000) for loss in self.losses),
            kept=refine.best(self.losses.tolist()),
            ended=self.ended,
            divided=self.divisor > 1,
        )

    @property
    def _kept(self) -> Floats:
        """(own weights,) that are kept."""
        return np.asarray(self.points[refine.best(self.losses.tolist()) - 1])

    def _round_steps(self) -> list[Step]:
        holders = self._plan.holders
        steps, before = list[Step](), tuple[str, ...](("weights",))
        for number in range(1, self._plan.rounds + 1):
            name = phase = f"round {number}"
            shown = needs(in_round("shares", number), holders)
            steps.append(Step(name=name, phase=phase, needs=shown, after=before, act=self._round))
            if number < self._plan.rounds:
                before = tuple(f"{name} opened {holder}" for holder in holders)
                for opened, holder in zip(before, holders, strict=True):
                    reply = ((in_round("residual-reply", number), holder),)
                    steps.append(Step(name=opened, phase=phase, needs=reply, after=(name,), act=self._open_products))
        return steps

    def _round(self, taken: Taken) -> list[Outgoing]:
        """Measure the train rows at everybody's newest point; then one more step, or the end of the rounds."""
        options, label = self._plan.logistic, self._label[self._train]
        assert options is not None, "only plans with rounds have these steps"
        score = self._train_score(list(taken.values()))
        self.losses = np.append(self.losses, refine.log_loss(label, score))
        parties = len(self._line)
        pace = refine.judge(self.losses.tolist(), self.divisor, parties, options.plateau_ppm, options.rounds)
        number = len(self.losses)
        if isinstance(pace, str):
            self.ended = pace
            self._skip_rounds(beside=f"round {number}")
            kept = refine.best(self.losses.tolist())
            return self._send("refined", self._plan.holders, {"rounds": number, "kept": kept})
        self.divisor = pace.divisor
        residual, data = refine.residual(label, score), dict[str, Packed]()
        pull = np.zeros(len(self._prepared.names), np.int64)
        for part in self._plan.train_parts:
            own = residual[self._at_train(part)]
            data[part] = self._encryptors[part].encrypt(own[None, :])
            pull += own @ self._matrices[part]
        total = np.append(pull / SCALE, residual.sum()) / refine.RESIDUAL_ONE
        self._step(total, pace)
        content: dict[str, Packed] = {
            "data": data,
            "divisor": pace.divisor,
            "anew": int(pace.anew),
            "ridge_milli": self.ridge_milli,
        }
        return self._send(in_round("residual", number), self._plan.holders, content)

    def _train_score(self, given: Sequence[Reader]) -> Floats:
        """(train rows,): the own part and the sum of the holders' shares."""
        words = [reader.words("shares", (self._rows,)) for reader in given]
        total = scores.unmasked(words, self._plan.score_step_log2, self._plan.holders)
        *weights, intercept = self.points[-1]
        own = np.zeros(self._rows)
        for part in self._plan.train_parts:
            own[self._at_train(part)] = self._matrices[part] / SCALE @ np.array(weights) + intercept
        return own + total * 2.0**self._plan.score_step_log2

    def _open_products(self, taken: Taken) -> list[Outgoing]:
        kind, holder, reader = only(taken)
        answers: dict[str, Packed] = {
            part: self._encryptors[part].decrypt(holder, data) for part, data in self._rounds_data(reader)
        }
        return self._send(in_round("residual-opened", _number(kind)), [holder], {"data": answers})

    @cached_property
    def _gram(self) -> Floats:
        parts = [self._matrices[part] for part in self._plan.train_parts]
        sums = np.sum([part.sum(axis=0) for part in parts], axis=0) / SCALE
        own = sum(exact_gram(part) for part in parts) / SCALE**2
        return np.block([[own, sums[:, None]], [sums[None, :], np.array([[float(self._rows)]])]])

    @property
    def _penalty(self) -> Floats:
        return np.append(super()._penalty, 0.0)


def _number(kind: str) -> int:
    """The round of a numbered message."""
    return int(kind.partition(":")[2])
