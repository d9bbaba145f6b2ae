"""Moments by parts of the rows: exact in each, together those of the whole, and every rule holds in each part."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from federation import features
from federation.errors import LabelTooRare, MomentsImplausible, TooFewRows
from federation.models import moments
from federation.models.moments import Moments
from federation.plan import HELD, TrainingPlan
from federation.plan_models import Validation
from federation.vertical import LabelHolder, Table, open_session
from tests.federation.alliance import Tables, Tamper, body, pump, synthetic, tokens
from tests.federation.test_refusals import altered, in_part
from tests.support.entropy import SeededEntropy

pytestmark = pytest.mark.slow_flow  # whole runs with many links: they run with the flows

ROWS = 3600
TABLES, COLUMNS = synthetic(ROWS)
FOLDS = 3
WHOLE = replace(TrainingPlan.from_body(body(COLUMNS)), cell_minimum=2)  # no cell of the seeded data is smaller
PLAN = replace(WHOLE, validation=Validation(folds=FOLDS), contribution=True)
PARTS = PLAN.parts(TABLES["broker"].tokens)
LABEL = np.asarray(TABLES["broker"].label) == 1


def leader(tamper: Tamper | None = None, restart: bool = False) -> LabelHolder:
    made = pump(PLAN, TABLES, tamper=tamper, restart=restart)["broker"]
    assert isinstance(made, LabelHolder)
    return made


@pytest.fixture(scope="module")
def label_holder() -> LabelHolder:
    return leader()


def pooled(part: str) -> Moments:
    """The part's moments as one party with all columns would take them."""
    train = ~PLAN.test_mask(TABLES["broker"].tokens)
    made = {
        partner: features.prepare(TABLES[partner].columns, PLAN.party(partner).columns, train, PLAN.rare_rows, PARTS)
        for partner in (PLAN.label_holder, *PLAN.holders)
    }
    values = np.hstack([one.scaled for one in made.values()])
    owners = tuple(partner for partner, one in made.items() for _ in one.names)
    return moments.from_data(values[PARTS[part]], LABEL[PARTS[part]], owners)


def same(found: Moments, expected: Moments) -> bool:
    """To the last bit: both are exact sums of multiples of 2^-16."""
    names = ("gram", "sums", "target")
    arrays = all((getattr(found, name) == getattr(expected, name)).all() for name in names)
    return arrays and (found.rows, found.owners, found.target_sum) == (
        expected.rows,
        expected.owners,
        expected.target_sum,
    )


def test_the_parts_are_the_folds_and_the_held_out_rows() -> None:
    assert list(PARTS) == ["fold-1", "fold-2", "fold-3", HELD]
    assert (np.sum(list(PARTS.values()), axis=0) == 1).all()
    assert (PARTS[HELD] == PLAN.test_mask(TABLES["broker"].tokens)).all()
    assert list(WHOLE.parts(tokens(9))) == ["train"]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_folds_are_even_and_do_not_depend_on_the_split(count: int) -> None:
    from federation.plan import folds, split

    names = tokens(20_000)
    fold, test = folds(names, b"s" * 16, count), split(names, b"s" * 16, 300_000)
    for number in range(count):
        chosen = fold == number
        assert abs(chosen.mean() - 1 / count) < 5 * np.sqrt((1 / count) * (1 - 1 / count) / 20_000)
        assert abs(test[chosen].mean() - 0.3) < 5 * np.sqrt(0.21 / chosen.sum())
    assert (fold != folds(names, b"t" * 16, count)).any()


def test_moments_of_every_part_are_those_of_pooled_data(label_holder: LabelHolder) -> None:
    assert label_holder.suppressed == 0
    for part in PARTS:
        assert same(label_holder._moments_of(part), pooled(part)), part


def test_the_folds_together_are_the_train_rows(label_holder: LabelHolder) -> None:
    folds = moments.together([label_holder._moments_of(part) for part in PLAN.train_parts])
    whole = leader_without_folds()
    assert same(folds, whole._moments_of("train"))
    assert np.abs(label_holder.solved - whole.solved).max() < 1e-12
    assert label_holder.result().record()["variants"] == whole.result().record()["variants"]


def leader_without_folds() -> LabelHolder:
    made = pump(WHOLE, TABLES)["broker"]
    assert isinstance(made, LabelHolder)
    return made


def test_a_run_with_parts_has_as_many_messages_as_one_without() -> None:
    seen: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for plan in (PLAN, WHOLE):
        told = seen[plan.contribution]
        pump(plan, TABLES, tamper=lambda sender, out, told=told: (told.append((sender, out.recipient)), out)[1])  # type: ignore[misc]
    assert seen[True] == seen[False]


def test_a_run_with_parts_goes_on_after_restarts(label_holder: LabelHolder) -> None:
    again = leader(restart=True)
    assert again.result().record() == label_holder.result().record()
    assert all(same(again._moments_of(part), label_holder._moments_of(part)) for part in PARTS)


def test_an_off_by_one_anywhere_in_the_training_is_within_one_bound() -> None:
    """Each link alone may not use up what is allowed for the sum over encryptors and parts."""
    session = open_session(PLAN, "broker", TABLES["broker"], SeededEntropy(b"x"))
    session.names |= {holder: list(COLUMNS[holder]) for holder in PLAN.holders}
    links = [session._link(peer, part)[0] for peer in ("broker", "bank") for part in PARTS]
    assert len(links) == 8
    assert sum(2.0**one.failure_log2 for one in links) <= 2.0**-40
    assert {one.links for one in links} == {8}


def test_every_part_has_a_link_of_its_own() -> None:
    """Rule f: neither public polynomials nor messages of one part fit another."""
    parties = pump(PLAN, TABLES)
    links = [parties["platform"]._link("broker", part) for part in PARTS]
    assert len({seed for _, seed, _ in links}) == len({context for _, _, context in links}) == len(PARTS)
    assert links == [parties["broker"]._link("broker", part) for part in PARTS]


# --- the rules, in every part -----------------------------------------------------------------------------------------


def changed(partner: str, column: str, values: np.ndarray) -> Tables:
    table = TABLES[partner]
    return {**TABLES, partner: replace(table, columns={**table.columns, column: values})}


@pytest.mark.parametrize("part", PARTS)
def test_a_column_that_is_rare_in_one_part_only_is_left_out(part: str) -> None:
    """The attack: its moment in that part, which the label holder learns, would be a statement on 49 clients."""
    flag = (np.arange(ROWS) % 2).astype(float)
    flag[PARTS[part]] = 0
    flag[np.flatnonzero(PARTS[part])[:49]] = 1
    parties = pump(PLAN, changed("bank", "flag", flag))
    reason = parties["bank"].result().reasons["flag"]
    assert reason == f"sets only 49 {part} rows apart, 50 are needed"
    assert len(parties["broker"]._moments_of(part).sums) == 3 * 6 - 1


def test_a_near_copy_in_one_part_only_is_left_out() -> None:
    """Two columns that differ in 49 clients of one fold: the difference of their moments would tell of these alone."""
    copy = np.array(TABLES["bank"].columns["score"])
    copy[~PARTS["fold-2"]] += np.random.default_rng(3).normal(size=ROWS)[~PARTS["fold-2"]]
    copy[np.flatnonzero(PARTS["fold-2"])[:49]] += 1.0
    made = open_session(PLAN, "bank", changed("bank", "visits", copy)["bank"], SeededEntropy(b"x"))
    assert made._prepared.dropped["visits"] == "differs from score in only 49 fold-2 rows, 50 are needed"


@pytest.mark.parametrize("part", PARTS)
def test_a_label_that_is_rare_in_one_part_only_is_refused(part: str) -> None:
    label = np.asarray(TABLES["broker"].label).copy()
    label[PARTS[part]] = 0
    label[np.flatnonzero(PARTS[part])[:49]] = 1
    with pytest.raises(LabelTooRare, match="49"):
        open_session(PLAN, "broker", replace(TABLES["broker"], label=label), SeededEntropy(b"x"))


@pytest.mark.parametrize("part", ["fold-2", HELD])
def test_an_encryptor_that_states_a_rare_column_in_one_part_is_refused(part: str) -> None:
    def lie(stated: np.ndarray) -> np.ndarray:
        rare = stated.copy()
        rare[0, 3] = PLAN.rare_rows - 1
        return rare

    with pytest.raises(MomentsImplausible, match=part):
        leader(altered("vectors", "bank", in_part(lie, "levels", part)))


def test_a_part_that_is_too_small_is_refused() -> None:
    plan = replace(PLAN, validation=Validation(folds=10))
    small = {
        partner: Table(tokens=table.tokens[:1200], columns={n: c[:1200] for n, c in table.columns.items()})
        for partner, table in TABLES.items()
    }
    counts = [int(mask.sum()) for mask in plan.parts(small["bank"].tokens).values()]
    assert min(counts) < plan.part_rows == 100
    with pytest.raises(TooFewRows, match="fold-") as caught:
        open_session(plan, "bank", small["bank"], SeededEntropy(b"x"))
    assert caught.value.facts["count"] in counts


@pytest.mark.parametrize(
    ("minimum_rows", "rare_rows", "needed"), [(100, 20, 100), (200, 50, 100), (900, 50, 450), (400, 190, 380)]
)
def test_the_least_rows_of_a_part_leave_room_for_a_column_on_both_sides(
    minimum_rows: int, rare_rows: int, needed: int
) -> None:
    plan = TrainingPlan.from_body(body(COLUMNS, minimum_rows=minimum_rows, rare_rows=rare_rows))
    assert plan.part_rows == needed


@pytest.mark.parametrize("part", PARTS)
def test_small_cells_are_suppressed_in_every_part(part: str) -> None:
    """Columns of two parties that share four or seven clients of a part give one moment; twelve are not few."""
    crosses = [cross_moment(shared, part) for shared in (4, 7, 12)]
    assert crosses[0] == crosses[1] < crosses[2]


@cache
def cross_moments(shared: int) -> LabelHolder:
    tables = {
        **changed("bank", "flag", pattern(shared)),
        "platform": changed("platform", "flag", pattern(0))["platform"],
    }
    made = pump(replace(PLAN, cell_minimum=10), tables)["broker"]
    assert isinstance(made, LabelHolder)
    return made


def cross_moment(shared: int, part: str) -> float:
    made = cross_moments(shared)
    flags = [made._layout.at(partner)[made.names[partner].index("flag")] for partner in ("bank", "platform")]
    return float(made._moments_of(part).gram[flags[0], flags[1]])


def pattern(both: int) -> np.ndarray:
    """0/1 with 60 ones in every part; columns of 0 and of `both` share that many rows of each."""
    column = np.zeros(ROWS)
    for mask in PARTS.values():
        first = 60 - both if both else 0
        column[np.flatnonzero(mask)[first : first + 60]] = 1
    return column
