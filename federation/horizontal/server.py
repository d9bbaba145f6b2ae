"""The hub's Flower application of a horizontal run: statistics, rounds of protected sums, the finish.

Flower's own loop can't be resumed, so the rounds are driven here by the strategy's public steps, with a checkpoint
after each. Executed again after a crash the run goes on from its newest checkpoint; within the round it makes the same
requests and decisions, so it finds what was answered and decided before and ends with the same weights, bit for bit.
The hub reads sums alone: no partner's update, weight, loss or count.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import ConfigRecord, Context, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedYogi

from federation import tabular
from federation.errors import StatisticsImplausible
from federation.horizontal import client, results, terms
from federation.horizontal.checkpoint import Checkpoint, RoundFacts
from federation.horizontal.coordinator import Decide, Event
from federation.horizontal.flower import QUERY
from federation.horizontal.identity import Verifier
from federation.horizontal.results import RunResult
from federation.horizontal.strategy import HomomorphicStrategy, Sum
from federation.horizontal.trainer import FINISH, STATISTICS, plan_seed
from federation.models import network
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Statistics
from privacy import canonical
from privacy.aggregation import Engine
from privacy.canonical import Value

MICRO = 1_000_000
MOMENTUM = 0.9  # of "fedavgm"
TOLD_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a run needs of the hub. verifier: the partners' signing keys of the approved plan.

    load, save: the newest checkpoint (`encode`, `decode`; its last history entry is the round's facts); decide: the
    first value under a name, durably; on_event: every phase with each partner's state; clock: monotonic seconds, for
    reports only. resumes: how often people resumed the run after it paused; each gives a round its attempts anew.
    patience_seconds: how long a slot waits for enough connected partners.
    """

    verifier: Verifier
    load: Callable[[], Checkpoint | None]
    save: Callable[[Checkpoint], None]
    decide: Decide
    on_event: Callable[[Event], None]
    on_finished: Callable[[RunResult], None]
    clock: Callable[[], float]
    resumes: int = 0
    patience_seconds: float = 20.0


def make_server_app(plan: HorizontalPlan, engine: Engine, ports: Ports) -> ServerApp:
    """The hub's side of one run; engine: `plan.new_engine()`.

    Its call raises QuorumMissing or RoundVoid when a round has used up its attempts (the run can be resumed later),
    StatisticsImplausible and NoiseDoesNotFit (it can't); otherwise on_finished gets the result.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        run = _Run(plan, engine, ports, grid)
        state = run.begin()
        while state.round < plan.training.rounds and not state.stopped:
            state = run.round(state)
        ports.on_finished(run.finish(state))

    return app


def inner_strategy(plan: HorizontalPlan) -> FedAvg:
    """Flower's own strategy that steps on the cohort's average."""
    chosen, rate = plan.strategy, plan.strategy.server_rate_micro / MICRO
    made: dict[str, Callable[[], FedAvg]] = {
        "fedavg": lambda: FedAvg(fraction_evaluate=0.0),
        "fedprox": lambda: FedProx(fraction_evaluate=0.0, proximal_mu=chosen.proximal_micro / MICRO),
        "fedavgm": lambda: FedAvgM(fraction_evaluate=0.0, server_learning_rate=rate, server_momentum=MOMENTUM),
        "fedadam": lambda: FedAdam(fraction_evaluate=0.0, eta=rate),
        "fedyogi": lambda: FedYogi(fraction_evaluate=0.0, eta=rate),
        "fedadagrad": lambda: FedAdagrad(fraction_evaluate=0.0, eta=rate),
    }
    return made[chosen.name]()


class _Run:
    """One execution of a run: its strategy and its grid."""

    def __init__(self, plan: HorizontalPlan, engine: Engine, ports: Ports, grid: Grid) -> None:
        self._plan, self._engine, self._ports, self._grid = plan, engine, ports, grid
        self._attempts = 0  # at the slot that is under way
        self._strategy = HomomorphicStrategy(
            inner_strategy(plan),
            plan.roster,
            engine,
            ports.verifier,
            plan.digest,
            terms.update_terms(plan, engine.value_bits),
            attempts=plan.attempts * (1 + ports.resumes),
            prepare_rounds=plan.prepare_rounds,
            last_round=plan.finish_round,
            deadline_seconds=float(plan.deadline_seconds),
            patience_seconds=ports.patience_seconds,
            decide=ports.decide,
            on_event=self._on_event,
        )

    def begin(self) -> Checkpoint:
        """The newest checkpoint, or the state before the first round."""
        state = self._ports.load()
        if state is not None:
            self._strategy.restore(state.protocol)
            return state
        state = Checkpoint(
            round=0,
            statistics=self._statistics(),
            parameters=network.initial(self._plan.layers, plan_seed(self._plan)),
            protocol=self._strategy.state(),
        )
        self._ports.save(state)
        return state

    def round(self, state: Checkpoint) -> Checkpoint:
        """One more round, kept before anything else is asked."""
        number, started = state.round + 1, self._ports.clock()
        config = ConfigRecord({client.SCALING: client.pack_scaling(state.statistics.scaling)})
        arrays = client.array_record(self._plan, state.parameters)
        moved, _ = self._strategy.train_round(self._grid, number, arrays, config)
        average, opened = self._strategy.last_average, self._strategy.last_sum
        assert average is not None and opened is not None, "train_round sets both"
        facts = RoundFacts(
            round=number,
            cohort=tuple(opened.cohort),
            attempts=self._attempts,
            examples=average.examples,
            loss_micro=terms.loss_micro(average.metrics.get(terms.LOSS)),
            clipped=average.clipped,
            shortened=average.shortened,
            milliseconds=round((self._ports.clock() - started) * 1_000),
        )
        parameters = client.read_arrays(self._plan, moved)
        after = state.after(facts, parameters, self._strategy.state(), self._plan.early_stop)
        self._ports.save(after)
        return after

    def finish(self, state: Checkpoint) -> RunResult:
        """The final weights out, the global figures in as a sum, each partner's own word beside it."""
        plan, scaling = self._plan, state.statistics.scaling
        config = ConfigRecord(
            {
                client.ROUND: plan.finish_round,
                client.ROUNDS: state.round,
                client.SCALING: client.pack_scaling(scaling),
            }
        )
        content = RecordDict({client.ARRAYS: client.array_record(plan, state.parameters), client.CONFIG: config})
        count = results.figure_lanes_count(plan)
        opened = self._strategy.sum_over(self._grid, plan.finish_round, QUERY + FINISH, content, count)
        return RunResult(
            plan=plan,
            model=results.plan_model(plan, scaling, state.parameters),
            state=state,
            figures=results.read_figure_lanes(opened.lanes, len(plan.classes)),
            told={partner: _told(opened, partner) for partner in opened.cohort},
        )

    def _statistics(self) -> Statistics:
        plan = self._plan
        if not plan.standardise:
            return Statistics(rows=(), scaling=tabular.unscaled(plan.columns))
        count = tabular.statistics_lanes(plan.columns, len(plan.classes))
        opened = self._strategy.sum_over(self._grid, 0, QUERY + STATISTICS, RecordDict({}), count)
        cohort = len(opened.cohort)
        found = tabular.read_statistics(plan.columns, len(plan.classes), opened.lanes, cohort)
        rows = sum(found.rows)
        if not cohort * plan.minimum_rows <= rows <= cohort * plan.examples_max or not found.scaling.plausible:
            raise StatisticsImplausible(rows=rows, cohort=cohort)
        return found

    def _on_event(self, event: Event) -> None:
        self._attempts = event.attempt + 1
        self._ports.on_event(event)


def _told(opened: Sum, partner: str) -> Value:
    """A partner's word in clear, None where it said nothing that can be read."""
    record = {str(name): record for name, record in opened.clear.items()}.get(partner)
    raw = None if record is None else record.get(client.RESULT)
    if not isinstance(raw, bytes) or len(raw) > TOLD_BYTES_MAX:
        return None
    try:
        return canonical.decode(raw)
    except canonical.NotCanonical:
        return None
