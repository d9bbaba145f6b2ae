"""Refinement by logistic rounds (model 1b): the steps of both roles between the moments' weights and the final scores.

    holder → label holder    shares:N            rounded scores of the train rows at its weights, masked between holders
    label holder → holders   residual:N          Enc(y − σ(total score)) over every train part, and the pace of the step
    holder → label holder    residual-reply:N    padded products with its columns
    label holder → holder    residual-opened:N   what they decrypted to: the holder checks it, steps, and shows again
    label holder → holders   refined:P           no further round of variant P: which round's weights are kept

Every round shows the label holder one more score vector: the plan caps the rounds, and the lifetime budget counts them.
Masks are bound to everything the label holder said before, so that one which sends different residuals to different
holders is left with noise (design rule b).

Where the plan approves it, the label holder with each holder, or with every set of them, is refined as well: each
variant on a track of its own, with its own rounds, masks and end, beside each other. Rounds are numbered through all
tracks: round n of track p is p · rounds + n.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.errors import StepMalformed, StepUnexpected, WeightsRefused
from federation.features import Table
from federation.metrics import Floats
from federation.models import refine
from federation.models.refine import Block, Integers, Pace
from federation.plan import TrainingPlan
from federation.vertical import scores
from federation.vertical.assembly import SCALE, exact_gram
from federation.vertical.messages import Outgoing, Reader, in_round
from federation.vertical.party import Party
from federation.vertical.results import Refinement
from federation.vertical.steps import Step, Taken, needs, only
from federation.vertical.track import Track
from privacy.packing import Packed
from privacy.ring import Entropy


class Rounds(Party):
    """What both roles keep: of every refined variant that this side is in, where its own weights stand and stood."""

    _STATE: ClassVar[tuple[str, ...]] = (*Party._STATE, "ridge_milli")

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        self.ridge_milli = plan.ridge_milli  # the penalty; with validation one of its path, as the label holder says
        self._tracks = [
            Track(place=place, holders=holders)
            for place, holders in enumerate(plan.refined)
            if me in (plan.label_holder, *holders)
        ]
        super().__init__(plan, me, table, entropy)

    @property
    def points(self) -> Floats:
        """(rounds, own weights): what each round of the full variant was scored at."""
        return self._tracks[0].points if self._tracks else np.zeros((0, 0))

    def _round_steps(self, track: Track) -> list[Step]:
        """In the table's order."""
        raise NotImplementedError

    def _number(self, track: Track, round_: int) -> int:
        """Of a round of a track, from 1 each."""
        return track.place * self._plan.rounds + round_

    @cached_property
    def _gram(self) -> Floats:
        """(own weights, own weights): of the values that they weigh, over the train rows."""
        return np.asarray(sum(exact_gram(self._matrices[part]) for part in self._plan.train_parts) / SCALE**2)

    @property
    def _penalty(self) -> Floats:
        """(own weights,): the ridge penalty of each."""
        return np.full(len(self._prepared.names), self.ridge_milli / 1000)

    @property
    def _block(self) -> Block:
        return Block(self._gram, self._penalty)

    def _at_train(self, part: str) -> NDArray[np.bool_]:
        """(train rows,): which of them a part has."""
        return np.asarray(self._parts[part][self._train])

    def _rounds_data(self, reader: Reader) -> list[tuple[str, bytes]]:
        """A message of every train part's link."""
        parts = self._plan.train_parts
        found = reader.datas("data", set(parts))
        return [(part, found[part]) for part in parts]

    def _skip_rounds(self, track: Track, beside: str = "") -> None:
        """What is left of a track's rounds will not happen; beside: the step that says so."""
        names = [step.name for step in self._round_steps(track) if step.name != beside]
        self._skip([name for name in names if not self._agenda.fired(name)])

    def _phase(self, track: Track, round_: int) -> str:
        said = f"round {round_}"
        return said if track.holders == self._plan.holders else f"{said} with {', '.join(track.holders)}"

    def _dump_parts(self) -> dict[str, Packed]:
        tracks: list[Packed] = [track.pack() for track in self._tracks]
        return {**super()._dump_parts(), "tracks": tracks}

    def _restore_parts(self, parts: dict[str, Any], pieces: Any) -> None:
        super()._restore_parts(parts, pieces)
        for place, stored in enumerate(parts["tracks"]):
            self._tracks[place] = Track.unpack(stored)


class HolderRounds(Rounds):
    """The rounds at a feature holder."""

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        """Raises RoundsBeyondCap where too few of its columns are usable, and what `Party` raises."""
        super().__init__(plan, me, table, entropy)
        if plan.logistic:
            unusable = set(self._prepared.dropped)
            usable = sum(column not in unusable for column in plan.party(me).columns)
            plan.logistic.check(me, usable, len(self._tracks))

    @property
    def shown(self) -> int:
        """Score vectors that were shown so far: one a round, and with the last message one of each variant."""
        rounds = sum(len(track.points) for track in self._tracks)
        return rounds + (self._plan.variants_with(self._me) if self.done else 0)

    def _round_steps(self, track: Track) -> list[Step]:
        """All but the end, which is a step of its own."""
        steps, before, leader = [], "weights", self._plan.label_holder
        for round_ in range(1, self._plan.rounds):
            number = self._number(track, round_)
            asked, opened = in_round("residual", number), in_round("residual-opened", number)
            phase = self._phase(track, round_)
            multiply, pulled = partial(self._multiply_residual, track.place), partial(self._pulled, track.place)
            steps += [
                Step(name=asked, phase=phase, needs=((asked, leader),), after=(before,), act=multiply),
                Step(name=opened, phase=phase, needs=((opened, leader),), after=(asked,), act=pulled),
            ]
            before = opened
        return steps

    def _end_steps(self) -> list[Step]:
        """The end of every own track."""
        leader = [self._plan.label_holder]
        return [
            Step(
                name=in_round("refined", track.place + 1),
                phase="scores",
                needs=needs(in_round("refined", track.place + 1), leader),
                after=("weights",),
                act=partial(self._refined, track.place),
            )
            for track in self._tracks
        ]

    def _track(self, place: int) -> Track:
        return next(track for track in self._tracks if track.place == place)

    def _begin_tracks(self, weights: Sequence[Floats], announced: bytes) -> list[Outgoing]:
        """The first round of every own track. weights: by track, as moments gave them."""
        out = []
        for track, start in zip(self._tracks, weights, strict=True):
            track.said = announced
            track.begin(start)
            out += self._show(track)
        return out

    def _multiply_residual(self, place: int, taken: Taken) -> list[Outgoing]:
        _, leader, reader = only(taken)
        track, parties = self._track(place), 1 + len(self._track(place).holders)
        divisor, anew = reader.count("divisor", parties), reader.count("anew", 1)
        ridge = reader.count("ridge_milli", max(self._plan.ridges))
        if divisor not in (1, parties) or ridge not in self._plan.ridges:
            raise StepMalformed(partner=leader, why="its pace")
        self.ridge_milli = ridge
        track.said, track.pace = scores.heard(track.said, reader.content), [divisor, anew]
        links = self._multipliers[leader]
        answers: dict[str, Packed] = {part: links[part].multiply(data) for part, data in self._rounds_data(reader)}
        number = self._number(track, len(track.points))
        return self._send(in_round("residual-reply", number), [leader], {"data": answers})

    def _pulled(self, place: int, taken: Taken) -> list[Outgoing]:
        """The checked products of the residual (rule d), a step, and the scores at the next point."""
        _, leader, reader = only(taken)
        links, track = self._multipliers[leader], self._track(place)
        products = [links[part].open(data) for part, data in self._rounds_data(reader)]
        if any(len(product) != 1 for product in products):
            raise StepMalformed(partner=leader, why="more than one residual")
        divisor, anew = track.pace
        pull = np.sum(products, axis=0)[0] / (SCALE * refine.RESIDUAL_ONE)
        track.step(self._block, pull, Pace(divisor=divisor, anew=bool(anew)))
        return self._show(track)

    def _show(self, track: Track) -> list[Outgoing]:
        """Rounded shares of the train rows' scores at the newest point, one more score vector."""
        leader, point, number = self._plan.label_holder, track.points[-1], self._number(track, len(track.points))
        if float(np.abs(point).max()) > scores.WEIGHT_MAX:
            raise WeightsRefused(partner=leader, why=f"its residuals move a weight beyond {scores.WEIGHT_MAX:g}")
        share = np.zeros(self._rows, np.int64)
        for part in self._plan.train_parts:
            values = self._matrices[part] / SCALE
            share[self._at_train(part)] = scores.rounded(values, point, self._plan.score_step_log2, leader)
        masked = self._masked(share, scores.of_round(track.said, number), track.holders)
        return self._send(in_round("shares", number), [leader], {"shares": masked})

    def _refined(self, place: int, taken: Taken) -> list[Outgoing]:
        """Which round's weights stay; no round of this track follows."""
        _, leader, reader = only(taken)
        track = self._track(place)
        if reader.count("rounds", self._plan.rounds) != len(track.points) or self._open_residual(track):
            raise StepUnexpected(partner=leader, step="refined")
        kept = reader.count("kept", len(track.points))
        if kept < 1:
            raise StepMalformed(partner=leader, why="its kept")
        track.kept, track.said = kept, scores.heard(track.said, reader.content)
        self._skip_rounds(track)
        return []

    def _open_residual(self, track: Track) -> bool:
        """Whether the last residual was multiplied and its products have not come back."""
        round_ = len(track.points)
        return round_ < self._plan.rounds and self._agenda.fired(in_round("residual", self._number(track, round_)))

    def _masked(self, share: Integers, bound: bytes, holders: Sequence[str]) -> NDArray[np.uint64]:
        """A share of which the masks of these holders, this one among them, leave only their sum; modulo 2^64."""
        words = share.view(np.uint64)
        for sign, key in self._pair_keys(holders):
            hidden = scores.mask(key, self._run, bound, len(words))
            words = words + hidden if sign > 0 else words - hidden
        return words

    def _pair_keys(self, holders: Sequence[str]) -> list[tuple[int, bytes]]:
        """(sign, key) for every other one of these holders; the two of a pair have opposite signs."""
        keys = []
        for peer in holders:
            if peer == self._me:
                continue
            to, from_ = self.mask_halves[f"to {peer}"], self.mask_halves[f"from {peer}"]
            first = self._me < peer
            keys.append((1 if first else -1, scores.pair_key(*((to, from_) if first else (from_, to)))))
        return keys


class LabelRounds(Rounds):
    """The rounds at the label holder. The last weight of every point is the intercept."""

    _label: NDArray[np.bool_]  # (rows,): the subclass sets it

    @property
    def refinement(self) -> Refinement | None:
        """How the rounds of the full variant went; None where the plan has none. Only once they have ended."""
        return self._tracks[0].refinement() if self._tracks else None

    def _round_steps(self, track: Track) -> list[Step]:
        steps, before = list[Step](), tuple[str, ...](("weights",))
        for round_ in range(1, self._plan.rounds + 1):
            number, phase = self._number(track, round_), self._phase(track, round_)
            name, shown = f"round {number}", needs(in_round("shares", number), track.holders)
            act = partial(self._round, track.place)
            steps.append(Step(name=name, phase=phase, needs=shown, after=before, act=act))
            if round_ < self._plan.rounds:
                before = tuple(f"{name} opened {holder}" for holder in track.holders)
                for opened, holder in zip(before, track.holders, strict=True):
                    reply = ((in_round("residual-reply", number), holder),)
                    steps.append(Step(name=opened, phase=phase, needs=reply, after=(name,), act=self._open_products))
        return steps

    def _round(self, place: int, taken: Taken) -> list[Outgoing]:
        """Measure the train rows at everybody's newest point; then one more step, or the end of the track."""
        options, label, track = self._plan.logistic, self._label[self._train], self._tracks[place]
        assert options is not None, "only plans with rounds have these steps"
        score = self._train_score(track, list(taken.values()))
        track.losses = np.append(track.losses, refine.log_loss(label, score))
        parties, losses = 1 + len(track.holders), track.losses.tolist()
        if refine.best(losses) == len(losses):
            track.train = score
        pace = refine.judge(losses, track.divisor, parties, options.plateau_ppm, options.rounds)
        if isinstance(pace, str):
            track.ended, track.kept = pace, refine.best(losses)
            self._skip_rounds(track, beside=f"round {self._number(track, len(losses))}")
            said: dict[str, Packed] = {"rounds": len(losses), "kept": track.kept}
            return self._send(in_round("refined", place + 1), track.holders, said)
        track.divisor = pace.divisor
        return self._residual(track, score, pace)

    def _residual(self, track: Track, score: Floats, pace: Pace) -> list[Outgoing]:
        """Encrypt what the score leaves of the label, and take the own step."""
        residual, data = refine.residual(self._label[self._train], score), dict[str, Packed]()
        pull = np.zeros(len(self._prepared.names), np.int64)
        for part in self._plan.train_parts:
            own = residual[self._at_train(part)]
            data[part] = self._encryptors[part].encrypt(own[None, :])
            pull += own @ self._matrices[part]
        number = self._number(track, len(track.losses))
        track.step(self._block, np.append(pull / SCALE, residual.sum()) / refine.RESIDUAL_ONE, pace)
        content: dict[str, Packed] = {
            "data": data,
            "divisor": pace.divisor,
            "anew": int(pace.anew),
            "ridge_milli": self.ridge_milli,
        }
        return self._send(in_round("residual", number), track.holders, content)

    def _train_score(self, track: Track, given: Sequence[Reader]) -> Floats:
        """(train rows,): the own part and the sum of the holders' shares."""
        words = [reader.words("shares", (self._rows,)) for reader in given]
        total = scores.unmasked(words, self._plan.score_step_log2, track.holders)
        *weights, intercept = track.points[-1]
        own = np.zeros(self._rows)
        for part in self._plan.train_parts:
            own[self._at_train(part)] = self._matrices[part] / SCALE @ np.array(weights) + intercept
        return own + total * 2.0**self._plan.score_step_log2

    def _open_products(self, taken: Taken) -> list[Outgoing]:
        kind, holder, reader = only(taken)
        answers: dict[str, Packed] = {
            part: self._encryptors[part].decrypt(holder, data) for part, data in self._rounds_data(reader)
        }
        number = int(kind.partition(":")[2])
        return self._send(in_round("residual-opened", number), [holder], {"data": answers})

    @cached_property
    def _gram(self) -> Floats:
        parts = [self._matrices[part] for part in self._plan.train_parts]
        sums = np.sum([part.sum(axis=0) for part in parts], axis=0) / SCALE
        own = sum(exact_gram(part) for part in parts) / SCALE**2
        return np.block([[own, sums[:, None]], [sums[None, :], np.array([[float(self._rows)]])]])

    @property
    def _penalty(self) -> Floats:
        return np.append(super()._penalty, 0.0)
