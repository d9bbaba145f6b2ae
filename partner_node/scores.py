"""Scores of single clients at one node: what its people ask as a label holder, what it answers as a feature holder."""

from collections.abc import Callable

from partner_node.grants import Gate
from partner_node.node import Commands, Handlers, Node
from partner_node.result_files import ResultFiles
from partner_node.score_asks import ScoreAsks
from partner_node.score_rows import ScoreRows
from partner_node.score_run import ScoredRuns
from partner_node.score_shares import ScoreShares
from partner_node.score_standing import Standings


class Scores:
    """Both sides, over the same runs and the same reading of the own data. `wake` lets the worker send."""

    def __init__(self, node: Node, gate: Gate, rows: ScoreRows, results: ResultFiles, wake: Callable[[], None]) -> None:
        runs = ScoredRuns(node, results.place)
        self._asks = ScoreAsks(node, Standings(node, runs, gate, results.place), rows, wake)
        self._shares = ScoreShares(node, runs, rows)

    def handlers(self) -> Handlers:
        return {**self._asks.handlers(), **self._shares.handlers()}

    def commands(self) -> Commands:
        return self._asks.commands()
