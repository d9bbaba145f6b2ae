"""Explanations at the label holder's node: one client's score by own points, and what each column matters in all.

Own columns are read for the one client under a grant for the labels of the run, which the desk records; a client whose
consent has ended is not explained. Of other sides there is the joint remainder of the score, which this node has; which
of their columns made it is for their owners to say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any, TypeVar

import numpy as np

from ecowire.documents import Body
from federation import counterfactual, explain
from federation.bins import Bins
from federation.counterfactual import BinLever, Counterfactual, Lever
from federation.explain import Explanation
from federation.features import Columns
from federation.plan import TrainingPlan, read
from federation.scale import UNITS, Scale
from federation.vertical.part import ModelPart
from federation.vertical.trees.model import TreePart
from partner_node import explain_basis, explain_trees, labels_run, sessions, store
from partner_node.arguments import text
from partner_node.consent import ConsentDesk
from partner_node.errors import ClientNotInRun, CommandInvalid
from partner_node.explain_basis import Basis
from partner_node.explain_errors import (
    ColumnNotActionable,
    ExplanationMissing,
    ExplanationUnreadable,
    OwnValuesChanged,
)
from partner_node.labels_run import Run
from partner_node.node import Commands, Node
from partner_node.result_files import ResultFiles
from partner_node.store import Proposal
from partner_node.vault import Vault
from privacy.normalise import normalise

MICRO, PPM = 1_000_000, 1_000_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scorecard:
    """A finished run at its label holder, with what its explanations need."""

    run: Run
    plan: TrainingPlan
    part: ModelPart | TreePart
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """A column that people say can be changed, with bounds where they gave any."""

    column: str
    up: bool
    down: bool
    least: float | None
    most: float | None


class Explanations:
    """The commands of one node."""

    def __init__(self, node: Node, desk: ConsentDesk, vault: Vault, results: ResultFiles) -> None:
        self._node = node
        self._desk = desk
        self._vault = vault
        self._results = results

    def commands(self) -> Commands:
        return {"explain": self.explain, "importance": self.importance}

    def explain(self, arguments: Mapping[str, Any]) -> Body:
        """One client's score; with `target_ppm`, what would bring its chance there within the `actionable` columns.

        Raises UnknownJob, NotLabelHolder, LabelMatrixMissing, LabelMatrixExpired, ExplanationMissing, ClientNotInRun,
        OwnValuesChanged, ColumnNotActionable, BoundsInvalid, and what desk and vault raise: consent is checked now.
        """
        target, wishes = _target(arguments), _wishes(arguments)
        card = self._scorecard(text(arguments, "job"))
        place, key = self._place(card, text(arguments, "client"))
        now, asset = self._node.clock(), card.run.asset.name
        grant = self._desk.label_grant(
            card.run.job, asset=asset, columns=card.part.columns, until=card.run.until, now=now
        )
        columns = self._vault.features(grant, [key], now)
        answer = _by_trees if isinstance(card.part, TreePart) else _by_points
        made, changed = answer(card, place, columns, target, _own(card, wishes))
        found: Body = {
            "job": card.run.job,
            "model": card.run.model,
            "others": [*card.plan.holders],
            **_explanation(made),
        }
        if changed is not None:
            found["counterfactual"] = _counterfactual(changed)
        return found

    def importance(self, arguments: Mapping[str, Any]) -> Body:
        """Shares of the score's variance at the label holder; at a feature holder the weights of its own columns.

        Of trees: shares of the gain and mean sizes of points; at a feature holder how many splits each column has.
        Raises UnknownJob, ExplanationMissing, ExplanationUnreadable, ModelPartUnreadable.
        """
        name = text(arguments, "job")
        proposal = self._node.database.read(lambda session: store.proposal(session, name))
        plan = _plan(proposal)
        part = self._part(proposal, plan)
        basis = self._basis(proposal) if plan.label_holder == self._node.settings.partner else None
        if isinstance(part, ModelPart):
            own = {column: _strength(part, column) for column in part.columns}
        else:
            own = {name: round(size * MICRO) for name, size in explain_trees.strengths(part, basis).items()}
        found: Body = {"job": proposal.digest, "model": plan.model, "strengths_micro": {**own}}
        if basis is not None:
            shares = basis.importance
            found |= {"parties_ppm": {**shares.parties}, "own_ppm": {**shares.own}}
        return found

    def _scorecard(self, name: str) -> _Scorecard:
        run = labels_run.find(self._node, name, self._results.place)
        proposal = self._node.database.read(lambda session: store.proposal(session, run.job))
        plan = _plan(proposal)
        part, basis = self._part(proposal, plan), self._basis(proposal)
        if basis.model != run.model:
            raise ExplanationUnreadable(file=explain_basis.file_name(run.job), why="it is of another model")
        return _Scorecard(run=run, plan=plan, part=part, basis=basis)

    def _part(self, proposal: Proposal, plan: TrainingPlan) -> ModelPart | TreePart:
        file = f"model-{proposal.digest[:16]}.bin"
        if plan.trees:
            return self._file(file, proposal, TreePart.decode)
        return self._file(file, proposal, ModelPart.decode)

    def _basis(self, proposal: Proposal) -> Basis:
        file = explain_basis.file_name(proposal.digest)
        return self._file(file, proposal, lambda data: explain_basis.decode(data, file))

    def _file(self, name: str, proposal: Proposal, decode: Callable[[bytes], T]) -> T:
        self._results.place()
        try:
            data = (self._node.settings.results / name).read_bytes()
        except OSError:
            raise ExplanationMissing(job=proposal.digest[:16], file=name) from None
        return decode(data)

    def _place(self, card: _Scorecard, client: str) -> tuple[int, bytes]:
        """Where a client stands in the run's order, and its row key. Raises IdRejected, ClientNotInRun."""
        (key,) = self._desk.gate.row_keys([normalise(card.run.asset.id_type, client)])
        rows = self._node.database.read(lambda session: sessions.alignment(session, card.plan.alignment))
        for place, row in enumerate(rows):
            if row.row_key == key:
                return place, key
        raise ClientNotInRun(job=card.run.job[:16])


def _by_points(
    card: _Scorecard, place: int, columns: Columns, target: float | None, wishes: list[_Wish]
) -> tuple[Explanation, Counterfactual | None]:
    """Of a scorecard. Raises OwnValuesChanged, BoundsInvalid."""
    part, score = card.part, card.run.matrix.scores[place]
    assert isinstance(part, ModelPart), "the model is a scorecard"
    points = part.points(columns, 1)[0]
    _check_unchanged(card, score - float(points.sum()) - part.intercept)
    made = explain.explain(part.names, points, part.intercept, score, card.basis.line)
    if target is None:
        return made, None
    levers = [_lever(card, part, wish, float(columns[wish.column][0])) for wish in wishes]
    return made, counterfactual.find(score, card.basis.line, target, levers)


def _by_trees(
    card: _Scorecard, place: int, columns: Columns, target: float | None, wishes: list[_Wish]
) -> tuple[Explanation, Counterfactual | None]:
    """Raises ExplanationUnreadable, OwnValuesChanged, BoundsInvalid."""
    part, score = card.part, card.run.matrix.scores[place]
    assert isinstance(part, TreePart), "the model is trees"
    file = explain_basis.file_name(card.run.job)
    way = explain_trees.way(part, card.basis, place, columns, card.run.job[:16], file)
    made = explain.explain(part.columns, way.points, way.ways.base, score, card.basis.line)
    if target is None:
        return made, None
    now = {wish.column: float(columns[wish.column][0]) for wish in wishes}
    levers = [
        explain_trees.lever(name, card.basis.ranges[name], now[name], *_bounds(card, wish, now[name]))
        for name, wish in ((wish.column, wish) for wish in wishes)
    ]
    return made, explain_trees.changed(way, card.basis, target, levers)


def _plan(proposal: Proposal) -> TrainingPlan:
    plan = read(proposal.body) if proposal.kind == "train" else None
    if not isinstance(plan, TrainingPlan):
        raise ExplanationMissing(job=proposal.digest[:16], file="-")
    return plan


def _check_unchanged(card: _Scorecard, remainder: float) -> None:
    """The others' shares are whole steps: what is left of the score is one, or own values are others than then."""
    steps = remainder * 2.0**-card.plan.score_step_log2
    if not isclose(steps, round(steps), abs_tol=1e-6):
        raise OwnValuesChanged(job=card.run.job[:16])


def _explanation(made: Explanation) -> Body:
    """In millionths of a log-odds; base, points and remainder sum to the whole exactly."""
    points = [(one, round(one.log_odds * MICRO)) for one in made.points]
    base, whole = round(made.base * MICRO), round(made.log_odds * MICRO)
    return {
        "chance_ppm": round(made.chance * PPM),
        "log_odds_micro": whole,
        "base_micro": base,
        "points": [
            {"column": one.column, "micro": micro, "chance_ppm": round(one.chance * PPM)} for one, micro in points
        ],
        "remainder_micro": whole - base - sum(micro for _, micro in points),
        "reasons": [dict(zip(("en", "zh"), one.sentence(), strict=True)) for one in made.points[: explain.REASONS]],
    }


def _counterfactual(found: Counterfactual) -> Body:
    return {
        "target_ppm": round(found.target * PPM),
        "reached": found.reached,
        "chance_ppm": round(found.chance * PPM),
        "changes": [{"column": one.column, "now": repr(one.now), "then": repr(one.then)} for one in found.changes],
    }


def _target(arguments: Mapping[str, Any]) -> float | None:
    value = arguments.get("target_ppm")
    if value is None:
        return None
    if type(value) is not int or not 0 < value < PPM:
        raise CommandInvalid(command="explain", what="target_ppm, from 1 to 999999")
    return value / PPM


def _wishes(arguments: Mapping[str, Any]) -> list[_Wish]:
    """COLUMN, COLUMN+ (only up), COLUMN- (only down), each also with =LEAST..MOST. Raises CommandInvalid."""
    listed = arguments.get("actionable") or []
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise CommandInvalid(command="explain", what="actionable")
    if bool(listed) != (arguments.get("target_ppm") is not None):
        raise CommandInvalid(command="explain", what="actionable columns with a target, and a target with them")
    wishes = [_wish(one) for one in listed]
    if len({wish.column for wish in wishes}) != len(wishes):  # its change would be counted twice
        raise CommandInvalid(command="explain", what="actionable: each column once")
    return wishes


def _wish(said: str) -> _Wish:
    name, equals, bounds = said.partition("=")
    least, dots, most = bounds.partition("..")
    try:
        low, high = (float(least) if least else None, float(most) if most else None)
    except ValueError:
        low, dots = None, ""
    if equals and not dots:
        raise CommandInvalid(command="explain", what=f"actionable {said[:80]}: NAME=LEAST..MOST is expected")
    sign = name[-1:] if name[-1:] in ("+", "-") else ""
    return _Wish(column=name.removesuffix(sign), up=sign != "-", down=sign != "+", least=low, most=high)


def _own(card: _Scorecard, wishes: list[_Wish]) -> list[_Wish]:
    """Raises ColumnNotActionable for a column that is not one of this side's in the model."""
    for wish in wishes:
        theirs = [one.partner for one in card.plan.parties if wish.column in one.columns]
        if wish.column not in card.part.columns:
            elsewhere = ", ".join(name for name in theirs if name != card.plan.label_holder)
            why = f"ask its owner, {elsewhere}" if elsewhere else "the model does not use it"
            raise ColumnNotActionable(column=wish.column[:80], why=why)
    return wishes


def _bounds(card: _Scorecard, wish: _Wish, now: float) -> tuple[float, float]:
    """Within what people said, else within what the run's clients show; one way only where they said so."""
    shown = card.basis.ranges[wish.column]
    least = shown.least if wish.least is None else wish.least
    most = shown.most if wish.most is None else wish.most
    return least if wish.down else max(least, now), most if wish.up else min(most, now)


def _lever(card: _Scorecard, part: ModelPart, wish: _Wish, now: float) -> Lever | BinLever:
    coding, whole = part.codings[wish.column], card.basis.ranges[wish.column].whole
    weights = part.weights[[name == wish.column for name in part.names]]
    least, most = _bounds(card, wish, now)
    if isinstance(coding, Bins):
        return BinLever(column=wish.column, weights=weights, bins=coding, now=now, whole=whole, least=least, most=most)
    weight = float(weights[0])
    return Lever(column=wish.column, weight=weight, scale=coding, now=now, whole=whole, least=least, most=most)


def _strength(part: ModelPart, column: str) -> int:
    """Millionths of raw log-odds: of one standard deviation, or between the farthest bins of a binned column."""
    weights = part.weights[[name == column for name in part.names]]
    coding = part.codings[column]
    if isinstance(coding, Scale):
        return round(float(weights[0]) * MICRO)
    one_of_each = np.append(coding.edges, [np.inf, np.nan])  # a value of every bin
    spread = coding.units(one_of_each) / UNITS @ weights
    return round(float(spread.max() - spread.min()) * MICRO)
