"""A run at its label holder, against which a client's score is set: model, calibration, every client's own place."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from federation import metrics
from federation.calibration import Calibration
from federation.release import model_name
from federation.vertical import single
from partner_node import labels_run, releases, sessions
from partner_node.grants import Gate
from partner_node.labels_errors import LabelMatrixUnreadable, NotLabelHolder
from partner_node.node import Node
from partner_node.releases_errors import ModelNotReleased
from partner_node.score_errors import ModelServesOthers
from partner_node.score_run import KEPT, ScoredRun, ScoredRuns
from partner_node.settings import Asset
from partner_node.store_scores import Score
from privacy.ids import ClientToken

SAME = 1e-9  # log-odds: sums of the same shares differ by less, and steps of another share by more


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A client of the run, with what its label matrix says."""

    token: ClientToken
    score: float
    chance: float
    decile: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run by which this node's people may have clients scored."""

    run: ScoredRun
    asset: Asset
    model: str
    line: Calibration
    places: Mapping[bytes, Place] = field(repr=False)  # by row key
    ranked: NDArray[np.float64] = field(repr=False)  # all scores of the matrix, rising

    def score(self, client: bytes, log_odds: float, consent_until: str) -> Score:
        """A client's score beside that of the matrix: where no share has changed, it is the same to the last bit."""
        known = self.places[client]
        if isclose(log_odds, known.score, rel_tol=0.0, abs_tol=SAME):
            return Score(
                score=known.score,
                chance=known.chance,
                decile=known.decile,
                changed=False,
                consent_until=consent_until,
            )
        return Score(
            score=log_odds,
            chance=float(metrics.sigmoid(self.line.log_odds(np.array([log_odds])))[0]),
            decile=single.decile(log_odds, self.ranked),
            changed=True,
            consent_until=consent_until,
        )


class Standings:
    """The runs asked for lately. `place` writes result files that still wait."""

    def __init__(self, node: Node, runs: ScoredRuns, gate: Gate, place: Callable[[], int]) -> None:
        self._node = node
        self._runs = runs
        self._place = place
        self._known: OrderedDict[str, Standing] = OrderedDict()
        self.gate = gate

    def get(self, name: str) -> Standing:
        """The run of a job's digest, or of its first 8 digits.

        Raises what `ScoredRuns.get` raises, NotLabelHolder, LabelMatrixMissing, LabelMatrixUnreadable, AssetUnknown.
        """
        run = self._runs.get(name)
        if run.plan.label_holder != self._node.settings.partner:
            raise NotLabelHolder(job=run.job[:16])
        if (known := self._known.get(run.job)) is not None:
            return known
        made = self._known[run.job] = self._read(run)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return made

    def _read(self, run: ScoredRun) -> Standing:
        found = labels_run.find(self._node, run.job, self._place)
        rows = self._node.database.read(lambda session: sessions.alignment(session, run.plan.alignment))
        matrix = found.matrix
        if len(rows) != len(matrix.scores):
            raise LabelMatrixUnreadable(file=str(run.result.file), why="other clients than the alignment's")
        return Standing(
            run=run,
            asset=found.asset,
            model=found.model,
            line=_line(run),
            places={
                row.row_key: Place(
                    token=row.token,
                    score=matrix.scores[place],
                    chance=matrix.chances[place],
                    decile=matrix.deciles[place],
                )
                for place, row in enumerate(rows)
            },
            ranked=single.ranked(matrix.scores),
        )


def check_served(session: Session, run: ScoredRun, client: bytes) -> None:
    """Raises what `releases.reach` raises, and ModelServesOthers where another release serves this client."""
    reach, name = releases.reach(session, run.job), model_name(run.proposal.body)
    if reach is None:
        raise ModelNotReleased(name=name, job=run.job[:16])
    if not reach.serves(client):
        raise ModelServesOthers(job=run.job[:16], name=name)


def _line(run: ScoredRun) -> Calibration:
    """The calibration of the full scorecard, as this node signed it."""
    record: Any = run.result.document.body["record"]
    line = record["variants"][-1]["calibration"]
    return Calibration(
        method=line["method"],
        slope=line["slope_ppm"] / 1_000_000,
        offset=line["offset_ppm"] / 1_000_000,
        rows=line["train_rows"],
    )
