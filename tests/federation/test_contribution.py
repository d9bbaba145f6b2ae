"""Contributions: Shapley's axioms, weights that anybody computes again, moments against the rows they are of."""

import copy
from collections.abc import Callable
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import contribution, features
from federation import contribution_words as words
from federation.contribution import Contribution, Part
from federation.errors import ContributionInvalid
from federation.models import moments
from federation.models.moments import Moments
from federation.plan import TrainingPlan, split
from federation.plan_variants import coalitions
from revenue_share.money import Money
from revenue_share.money import split as split_money
from tests.federation.alliance import Tables, body, households, synthetic
from tests.support.shared_data import data_folder

HOLDERS = ("bank", "insurer", "platform", "shop", "telecom")
KEY = bytes(range(32))
GAINS = st.integers(-(10**6), 10**6)


@st.composite
def games(draw: st.DrawFn) -> tuple[tuple[str, ...], dict[tuple[str, ...], Fraction]]:
    holders = HOLDERS[: draw(st.integers(1, len(HOLDERS)))]
    gains = {one: Fraction(draw(GAINS) if one else 0) for one in coalitions(holders)}
    return holders, gains


@given(games())
def test_it_is_the_mean_marginal_gain_over_all_orders_of_joining(
    game: tuple[tuple[str, ...], dict[tuple[str, ...], Fraction]],
) -> None:
    holders, gains = game
    total = dict.fromkeys(holders, Fraction(0))
    orders = list(permutations(holders))
    for order in orders:
        for place, name in enumerate(order):
            before = tuple(one for one in holders if one in order[:place])
            after = tuple(one for one in holders if one in order[: place + 1])
            total[name] += gains[after] - gains[before]
    found = contribution.shapley(holders, gains)
    assert found == {name: value / len(orders) for name, value in total.items()}
    assert sum(found.values()) == gains[holders]  # efficiency


@given(st.integers(2, 5), st.data())
def test_holders_that_add_the_same_get_the_same(count: int, data: st.DataObject) -> None:
    holders = HOLDERS[:count]
    swap = {holders[0]: holders[1], holders[1]: holders[0]}
    gains: dict[tuple[str, ...], Fraction] = {}
    for one in coalitions(holders):
        twin = tuple(name for name in holders if name in {swap.get(member, member) for member in one})
        gains[one] = gains.get(twin, Fraction(data.draw(GAINS)) if one else Fraction(0))
    found = contribution.shapley(holders, gains)
    assert found[holders[0]] == found[holders[1]]


@given(st.integers(2, 5), st.data())
def test_a_holder_that_adds_nothing_to_any_coalition_gets_nothing(count: int, data: st.DataObject) -> None:
    holders, null = HOLDERS[:count], HOLDERS[count - 1]
    others = {one: Fraction(data.draw(GAINS) if one else 0) for one in coalitions(holders[:-1])}
    gains = {one: others[tuple(name for name in one if name != null)] for one in coalitions(holders)}
    assert contribution.shapley(holders, gains)[null] == 0


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=5))
def test_weights_are_the_published_rule_by_which_money_is_split(values: list[int]) -> None:
    named = {name: Fraction(value) for name, value in zip(HOLDERS, values, strict=False)}
    found = contribution.weights(named, KEY)
    if max(values) <= 0:
        assert found is None
        return
    positive = {name: max(int(value), 0) for name, value in named.items()}
    money = split_money(Money(currency="CNY", minor=1_000_000), positive, KEY)
    assert found == {name: part.minor for name, part in money.items()}
    assert sum(found.values()) == 1_000_000
    assert all(weight == 0 for name, weight in found.items() if named[name] <= 0)


def test_ties_are_broken_by_the_key_and_not_by_the_name() -> None:
    equal = dict.fromkeys(HOLDERS[:3], Fraction(1))
    keys = [bytes([number]) * 32 for number in range(16)]
    made = [contribution.weights(equal, key) for key in keys]
    assert {max(one, key=one.__getitem__) for one in made if one} == set(HOLDERS[:3])
    reordered = dict.fromkeys(reversed(HOLDERS[:3]), Fraction(1))
    assert [contribution.weights(reordered, key) for key in keys] == made


def test_the_error_is_that_of_the_chances_of_the_held_out_rows() -> None:
    """By moments alone, against the rows themselves: solve, fit the line on train rows, square on held-out rows."""
    draw = np.random.default_rng(7)
    values = draw.normal(size=(900, 5)) @ (np.eye(5) + 0.4 * draw.normal(size=(5, 5))) + 0.3
    label = draw.random(900) < 1 / (1 + np.exp(-values[:, 0] + values[:, 3]))
    owners = ("broker", "broker", "bank", "bank", "platform")
    train, held = (moments.from_data(values[rows], label[rows], owners) for rows in (slice(600), slice(600, None)))
    for parties in ({"broker"}, {"broker", "bank"}, {"broker", "platform"}, set(owners)):
        score = values @ moments.solve(train, parties, 2.0).weights
        slope, offset = np.polyfit(score[:600], label[:600].astype(float), 1)
        expected = np.mean((label[600:] - slope * score[600:] - offset) ** 2)
        assert contribution.held_out_error(train, held, parties, 2.0) == pytest.approx(expected, abs=1e-12)


def test_columns_that_tell_nothing_leave_the_share_of_positives() -> None:
    values = np.tile([[1.0], [-1.0]], (50, 1))
    label = np.repeat([True, False], 50)
    train = moments.from_data(values, label, ("broker",))
    assert contribution.held_out_error(train, train, {"broker"}, 1.0) == pytest.approx(0.25)


def pooled_parts(tables: Tables, plan: TrainingPlan, folds: int, salt: bytes) -> tuple[list[Moments], Moments]:
    """Moments of the folds and of the test part, of pooled rows that are prepared as the parties would."""
    tokens = tables["broker"].tokens
    test = split(tokens, salt, plan.test_ppm)
    fold = np.array([int(token[:8], 16) % folds for token in tokens])
    line = (plan.label_holder, *plan.holders)
    ready = {p: features.prepare(tables[p].columns, plan.party(p).columns, ~test, plan.rare_rows) for p in line}
    values = np.hstack([ready[p].scaled for p in line])
    owners = tuple(p for p in line for _ in ready[p].names)
    assert tables["broker"].label is not None
    label = tables["broker"].label == 1
    made = [
        moments.from_data(values[rows], label[rows], owners) for rows in (~test & (fold == f) for f in range(folds))
    ]
    return made, moments.from_data(values[test], label[test], owners)


def measured(tables: Tables, plan: TrainingPlan, folds: int, salt: bytes = b"\x11" * 16) -> Contribution:
    parts = contribution.measure(
        *pooled_parts(tables, plan, folds, salt), plan.label_holder, plan.holders, plan.ridge_milli / 1000
    )
    return Contribution(label_holder="broker", holders=plan.holders, parts=parts, key=KEY)


@pytest.fixture(scope="module")
def seeded() -> Contribution:
    tables, columns = synthetic()
    return measured(tables, TrainingPlan.from_body(body(columns)), 4)


def test_every_client_is_held_out_once(seeded: Contribution) -> None:
    assert [part.name for part in seeded.parts] == ["held", "fold-1", "fold-2", "fold-3", "fold-4"]
    assert seeded.rows == 2000
    gain = sum(part.rows * (part.errors_ppm[()] - part.errors_ppm[seeded.holders]) for part in seeded.parts)
    assert sum(seeded.shapley.values()) == Fraction(gain, 2000) == seeded.gains[seeded.holders]


def test_both_holders_of_hidden_causes_add_something(seeded: Contribution) -> None:
    assert seeded.weights_ppm is not None
    assert sum(seeded.weights_ppm.values()) == 1_000_000
    for name, (least, most) in seeded.spread().items():
        assert least < seeded.shapley[name] < most
        assert seeded.shapley[name] > 1_000, name


def test_without_folds_only_the_test_part_is_held_out() -> None:
    tables, columns = synthetic(1500)
    made = measured(tables, TrainingPlan.from_body(body(columns)), 1)
    assert [part.name for part in made.parts] == ["held"]
    assert contribution.read(made.to_value(), KEY) == made


def test_a_record_is_computed_again_exactly(seeded: Contribution) -> None:
    assert contribution.read(seeded.to_value(), KEY) == seeded


def test_nobody_who_adds_anything_leaves_no_weights() -> None:
    errors = {(): 100, ("bank",): 100, ("platform",): 130, ("bank", "platform"): 120}
    part = Part(name="held", rows=500, errors_ppm=errors)
    made = Contribution(label_holder="broker", holders=("bank", "platform"), parts=(part,), key=KEY)
    assert made.shapley == {"bank": 5, "platform": -25}
    assert made.weights_ppm == {"bank": 1_000_000, "platform": 0}
    worse = Contribution(
        label_holder="broker",
        holders=("bank", "platform"),
        parts=(Part(name="held", rows=500, errors_ppm={**errors, ("bank",): 110}),),
        key=KEY,
    )
    assert worse.shapley == {"bank": 0, "platform": -20}
    assert worse.weights_ppm is None
    assert contribution.read(worse.to_value(), KEY) == worse


def _change(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return change


ALTERED: dict[str, Callable[[Any], None]] = {
    "one error": _change("parts", 0, "errors_ppm", 1, "ppm", to=1),
    "an error that is a fraction": _change("parts", 0, "errors_ppm", 1, "ppm", to=0.5),
    "an error without bounds": _change("parts", 0, "errors_ppm", 0, "ppm", to=10**9),
    "a weight": _change("weights_ppm", "bank", to=1_000_000),
    "no weights": _change("weights_ppm", to=None),
    "a value": _change("shapley_ppm", "bank", to=5),
    "the denominator": _change("shapley_denominator", to=1),
    "rows of a part": _change("parts", 1, "rows", to=1),
    "no rows": _change("parts", 1, "rows", to=0),
    "a part's name": _change("parts", 1, "part", to="fold-9"),
    "no parts": _change("parts", to=[]),
    "no holders": _change("holders", to=[]),
    "a holder twice": _change("holders", to=["bank", "bank"]),
    "too many holders": _change("holders", to=[f"p{number}" for number in range(60)]),
    "other coalitions": _change("parts", 0, "errors_ppm", 1, "holders", to=["shop"]),
    "the label holder among the holders": _change("label_holder", to="bank"),
    "the method": _change("method", to="by eye"),
    "another version": _change("version", to=2),
    "a version that is a truth value": _change("version", to=True),
    "a weight that is no whole number": _change("weights_ppm", "bank", to=0.5),
    "a field more": _change("bonus", to=1),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_record_is_refused(seeded: Contribution, what: str) -> None:
    value: Any = copy.deepcopy(seeded.to_value())
    ALTERED[what](value)
    with pytest.raises(ContributionInvalid):
        contribution.read(value, KEY)


@pytest.mark.parametrize("value", [None, [], "x", {}, {"holders": 3}, {"holders": ["bank"], "parts": [1]}])
def test_what_is_no_record_is_refused(value: object) -> None:
    with pytest.raises(ContributionInvalid):
        contribution.read(value, KEY)


@pytest.mark.real_data
@pytest.mark.parametrize("label", ["y_direct", "y_direct100k"])
def test_real_households(label: str) -> None:
    """Bank and platform both add to the broker, on ten splits; with folds the split says less than the partners."""
    tables, columns = households(data_folder("scf2022"), label)
    plan = TrainingPlan.from_body(body(columns))
    salts = [number.to_bytes(16, "big") for number in range(10)]
    folded = [measured(tables, plan, 5, salt) for salt in salts]
    alone = [measured(tables, plan, 1, salt) for salt in salts]
    for made in folded:
        assert all(2_000 < value < 30_000 for value in made.shapley.values())  # of an error near 150,000
        assert made.weights_ppm is not None and 400_000 < made.weights_ppm["bank"] < 750_000

    def deviation(found: list[Contribution]) -> float:
        return float(np.std([(one.weights_ppm or {})["bank"] for one in found]))

    assert deviation(folded) < deviation(alone) / 2


@pytest.mark.parametrize(
    ("lang", "worse", "none"), [("en", "makes it worse", "fixed key"), ("zh", "使误差变大", "固定比例")]
)
def test_people_read_that_somebody_adds_nothing(lang: str, worse: str, none: str) -> None:
    errors = {(): 100, ("bank",): 90, ("platform",): 130, ("bank", "platform"): 120}
    for better in (90, 140):
        part = Part(name="held", rows=500, errors_ppm={**errors, ("bank",): better, ("bank", "platform"): better + 30})
        made = Contribution(label_holder="broker", holders=("bank", "platform"), parts=(part,), key=KEY)
        weights = [line[-1] for line in words.holders(made, lang)]
        notes = " ".join(note[lang == "zh"] for note in words.notes(made, {"model": "moments"}))
        assert worse in weights[1]
        assert (made.weights_ppm is None) == (none in notes) == weights[0].startswith("-")
        assert words.coalitions(made)[0] == ("broker", "0.000100", "+0.000000")


def test_what_was_measured_on_another_model_is_said() -> None:
    part = Part(name="held", rows=500, errors_ppm={(): 100, ("bank",): 90})
    made = Contribution(label_holder="broker", holders=("bank",), parts=(part,), key=KEY)
    assert made.weights_ppm == {"bank": 1_000_000}
    said = [en for en, _ in words.notes(made, {"model": "logistic"})]
    assert any("not on the model logistic itself" in en for en in said)
