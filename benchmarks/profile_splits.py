"""One split of one case of `make bench NAME=profile`: the joint model through the sessions, and its pooled peers.

The sessions are the product's own, encrypted products and all, with messages handed over in one process. Peers get the
same clients, the same train and test rows and all parties' columns in one place, which no party of an alliance has.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from federation import metrics
from federation.metrics import Floats
from federation.models import moments
from federation.plan import TrainingPlan
from federation.scale import BY_MEDIAN
from federation.vertical import LabelResult
from tests.federation import campaign, refined, trees_peer
from tests.federation.alliance import Tables, body, households, prepared, pump
from tests.support.shared_data import ROOT

MOMENTS, BINNED, LOGISTIC, TREES = "moments", "bins", "logistic", "trees"
COMPARED = "trees-partners"  # shallower: with each partner alone beside all, these clients have sums for no more
SAME, LIGHTGBM = "the same model", "LightGBM"
REGRESSION, RAW = "scikit-learn, model values", "scikit-learn, raw columns"  # two ways to prepare what it is fitted on
REGRESSION_STEPS = 3000
ROUNDS, PLATEAU_PPM = 6, 1000
DEPTHS = {"trees": 20, "depth": 4, "rate_milli": 100, "leaf_rows": 20}
WHOLE = {"sample_ppm": 1_000_000, "columns_ppm": 1_000_000, "patience": 0}
VALUES_PLAIN_MAX = 8  # of model `bins`: a column of more values enters as bins
PLANS: dict[str, dict[str, Any]] = {
    MOMENTS: {"coding": BY_MEDIAN},
    BINNED: {"coding": BY_MEDIAN, "bins": 5},
    LOGISTIC: {"coding": BY_MEDIAN, "model": LOGISTIC, "logistic": {"rounds": ROUNDS, "plateau_ppm": PLATEAU_PPM}},
    TREES: {"model": TREES, "bins": 32, "trees": DEPTHS | WHOLE},
    COMPARED: {
        "model": TREES,
        "bins": 32,
        "trees": DEPTHS | WHOLE | {"depth": 3, "rate_milli": 200, "variants": "partners"},
    },
}
Peer = Callable[[TrainingPlan, Tables], Floats]  # scores of all rows by a model of the train rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Parties' tables and a plan but for its split; peers: what its pooled rows are fitted by."""

    name: str
    model: str
    tables: Tables = field(repr=False)
    plan: Callable[[str], TrainingPlan] = field(repr=False)  # by the salt of the split
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """AUC on the test clients of one split. joint: by the feature holders whose columns count, all of them last."""

    joint: Mapping[tuple[str, ...], float]
    pooled: Mapping[str, float]


def measured(case: Case, number: int) -> Split:
    """Train and measure on split `number`."""
    plan = case.plan(bytes([number] * 16).hex())
    result = pump(plan, case.tables)[plan.label_holder].result()
    assert isinstance(result, LabelResult)
    test, label = result.matrix.test, np.asarray(case.tables[plan.label_holder].label) == 1
    return Split(
        joint={variant.holders: variant.measures.auc.value_ppm / 1e6 for variant in result.variants},
        pooled={name: metrics.auc(label[test], PEERS[name](plan, case.tables)[test]) for name in case.peers},
    )


def _values(plan: TrainingPlan, tables: Tables) -> list[Floats]:
    """Every party's model values, the label holder's first."""
    return [one.scaled for one in prepared(plan, tables).values()]


def same(plan: TrainingPlan, tables: Tables) -> Floats:
    """The plan's own model on pooled rows: no cell suppressed, no score rounded."""
    parts, label = _values(plan, tables), np.asarray(tables[plan.label_holder].label) == 1
    train, ridge = ~plan.test_mask(tables[plan.label_holder].tokens), plan.ridge_milli / 1000
    values = np.hstack(parts)
    if plan.logistic is None:
        owners = tuple(str(place) for place, part in enumerate(parts) for _ in range(part.shape[1]))
        solved = moments.solve(moments.from_data(values[train], label[train], owners), set(owners), ridge)
        return np.asarray(values @ solved.weights)
    rounds, plateau = plan.logistic.rounds, plan.logistic.plateau_ppm
    kept, _, _ = refined.pooled(
        [part[train] for part in parts],
        label[train],
        ridge=ridge,
        rounds=rounds,
        plateau_ppm=plateau,
        calibrated=plan.logistic.calibrated,
    )
    return np.asarray(values @ np.concatenate([kept[0][1:], *kept[1:]]))


def regression(plan: TrainingPlan, tables: Tables) -> Floats:
    """Logistic regression on the model values of all parties: amounts as logarithms in their unit, clipped."""
    return _fitted(plan, tables, np.hstack(_values(plan, tables)))


def raw_regression(plan: TrainingPlan, tables: Tables) -> Floats:
    """Logistic regression on all columns as they are, those too rare for the protocol among them."""
    columns = [tables[party.partner].columns[name] for party in plan.parties for name in party.columns]
    return _fitted(plan, tables, np.column_stack(columns))


def _fitted(plan: TrainingPlan, tables: Tables, values: Floats) -> Floats:
    """scikit-learn's, C = 1, on standardised columns."""
    table = tables[plan.label_holder]
    label, train = np.asarray(table.label) == 1, ~plan.test_mask(table.tokens)
    scaled = StandardScaler().fit(values[train]).transform(values)
    fitted = LogisticRegression(C=1.0, max_iter=REGRESSION_STEPS).fit(scaled[train], label[train])
    return np.asarray(fitted.decision_function(scaled))


PEERS: dict[str, Peer] = {SAME: same, REGRESSION: regression, RAW: raw_regression, LIGHTGBM: trees_peer.pooled}


def household_cases(models: Sequence[str]) -> list[Case]:
    """Both labels, the broker's four thin columns or all of its questionnaire, over the clients all three have."""
    folder = ROOT / "scf2022"
    thin = json.loads((folder / "parties.json").read_text())["broker_thin"]
    cases = []
    for label in ("y_direct", "y_direct100k"):
        tables, columns = households(folder, label)
        for what, own in (("thin", thin), ("KYC", columns["broker"])):
            for model in models:
                chosen = {**columns, "broker": own}
                cases.append(
                    Case(
                        name=f"{label}, {what} ({len(own)})",
                        model=model,
                        tables=tables,
                        plan=_planner(chosen, tables, model),
                        peers=(LIGHTGBM,) if model in (TREES, COMPARED) else (SAME, REGRESSION, RAW),
                    )
                )
    return cases


def _planner(columns: Mapping[str, list[str]], tables: Tables, model: str) -> Callable[[str], TrainingPlan]:
    def plan(salt: str) -> TrainingPlan:
        made = body(columns, bootstrap=100, split_salt=salt, **PLANS[model])
        for party in made["parties"] if model == BINNED else []:
            values = tables[party["partner"]].columns
            party["binned"] = [n for n in party["columns"] if len(np.unique(values[n])) > VALUES_PLAIN_MAX]
        return TrainingPlan.from_body(made)

    return plan


def campaign_cases() -> list[Case]:
    """Few raw columns a holder: rounds inside the default cap, and by the owners' larger approval."""
    tables, columns, binned = campaign.read(ROOT / "uci_bank_marketing")

    def planner(rounds: int, beyond: bool, calibrated: bool = False) -> Callable[[str], TrainingPlan]:
        def plan(salt: str) -> TrainingPlan:
            changes = {"bootstrap": 100, "coding": BY_MEDIAN, "split_salt": salt}
            options = {"rounds": rounds, "beyond_cap": beyond, "calibrated": calibrated}
            return campaign.plan_of(columns, binned, changes=changes, **options)

        return plan

    capped, begun, approved = planner(2, False), planner(2, False, True), planner(ROUNDS, True)
    names = (
        ("bank campaign, 2 rounds, within the cap", capped),
        ("bank campaign, 2 rounds, within the cap, calibrated start", begun),
        ("bank campaign, 6 rounds, by larger approval", approved),
    )
    return [Case(name=name, model=LOGISTIC, tables=tables, plan=plan, peers=(SAME, REGRESSION)) for name, plan in names]
