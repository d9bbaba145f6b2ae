"""Boosted trees against those who deviate: what can't be read, what a party refuses, which tables fail."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation.errors import (
    ColumnInfinite,
    ColumnNotNumeric,
    DerivativesImplausible,
    LabelNotBinary,
    LabelTooRare,
    NoUsableColumns,
    PlanInvalid,
    ScoreBudgetExceeded,
    SessionUnreadable,
    SplitRefused,
    StepMalformed,
    StepUnexpected,
    SumsTellRows,
    TooFewRows,
    TooManyColumns,
)
from federation.plan import TrainingPlan
from federation.vertical import Outgoing, open_session
from federation.vertical.messages import decode, encode
from federation.vertical.trees import bins as binning
from federation.vertical.trees.boosting import Boosting
from federation.vertical.trees.derivatives import SECOND_MAX, Packing
from federation.vertical.trees.histograms import Histograms
from federation.vertical.trees.model import TreePart
from federation.vertical.trees.party import LINKS_MAX, TreeParty
from privacy import packing
from privacy.errors import Failure
from tests.federation.alliance import Tamper, pump, synthetic
from tests.federation.test_vertical_trees import tree_body
from tests.support.entropy import SeededEntropy

ALL_TABLES, ALL_COLUMNS = synthetic(900)
PAIR = ("broker", "bank")
TABLES = {name: ALL_TABLES[name] for name in PAIR}
COLUMNS = {name: ALL_COLUMNS[name] for name in PAIR}
PLAN = TrainingPlan.from_body(
    tree_body(COLUMNS, bootstrap=100, rare_rows=30, bins=8, trees={"trees": 2, "depth": 3, "leaf_rows": 30})
)
Content = dict[str, Any]


def altered(kind: str, sender: str, change: Callable[[Content], Content]) -> Tamper:
    """Replace the content of one sender's first message of a kind, whatever its round."""
    done: list[str] = []

    def tamper(found: str, out: Outgoing) -> Outgoing:
        is_kind, content = decode(found, PLAN.digest, out.message)
        if done or (is_kind.partition(":")[0], found) != (kind, sender):
            return out
        done.append(is_kind)
        return Outgoing(recipient=out.recipient, message=encode(PLAN.digest, is_kind, change(dict(content))))

    return tamper


def seen(kind: str) -> tuple[list[Content], Tamper]:
    """A list that fills with the contents of a kind."""
    found: list[Content] = []

    def look(sender: str, out: Outgoing) -> Outgoing:
        is_kind, content = decode(sender, PLAN.digest, out.message)
        if is_kind.partition(":")[0] == kind:
            found.append(dict(content))
        return out

    return found, look


def setting(**fields: Any) -> Callable[[Content], Content]:
    return lambda content: content | fields


# --- a label holder that deviates -------------------------------------------------------------------------------------

VICTIM = int(np.flatnonzero(~PLAN.test_mask(TABLES["broker"].tokens))[7])


def only_the_victim(self: Boosting, nodes: Any) -> np.ndarray:
    vectors = np.zeros((len(nodes), len(self.fitted)), dtype=np.int64)
    vectors[:, VICTIM] = self.packing.pack(np.array(1), np.array(SECOND_MAX))
    return vectors


def shown_of_one_client(monkeypatch: pytest.MonkeyPatch) -> Content:
    """What the bank shows a label holder that encrypts a single client's derivatives."""
    monkeypatch.setattr(Boosting, "vectors", only_the_victim)
    histograms, look = seen("histograms")
    with suppress(Failure):
        pump(PLAN, TABLES, tamper=look)
    return histograms[0]


def test_a_vector_of_a_single_client_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_of_one_client(monkeypatch)
    assert not shown["counts"].any() and not len(shown["first"])


def test_without_the_rule_it_reads_the_clients_bin_of_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Histograms, "_ends", lambda self, seconds, allowed: np.ones(len(allowed), bool))
    shown = shown_of_one_client(monkeypatch)
    train = ~PLAN.test_mask(TABLES["bank"].tokens)
    own = binning.form(TABLES["bank"].columns, PLAN.party("bank").columns, train, 8, 30, 1 << 20)
    starts = np.cumsum(shown["counts"][0]) - shown["counts"][0]
    assert (np.flatnonzero(shown["second"]) - starts == own.codes[VICTIM]).all()


def test_clients_are_routed_only_where_the_sums_were_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over everybody, then the question where a few go: the bank counts its own rows of the node."""

    def few(content: Content) -> Content:
        bits = np.unpackbits(content["rows"], axis=1)
        bits[np.cumsum(bits, axis=1) > 20] = 0
        return content | {"rows": np.packbits(bits, axis=1)}

    with pytest.raises(DerivativesImplausible, match="need more rows"):
        pump(PLAN, TABLES, tamper=altered("splits", "broker", few))
    monkeypatch.setattr(Histograms, "check_rows", lambda self, node, rows: None)
    routes, look = seen("routes")
    both = altered("splits", "broker", few)
    with suppress(Failure):
        pump(PLAN, TABLES, tamper=lambda sender, out: look(sender, both(sender, out)))
    assert 8 * len(routes[0]["left"]) <= 2 * 20 + 8  # the way of twenty clients of each node


def test_first_derivatives_beyond_what_rows_can_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many clients' bins in the digits of one number: each by another power of two."""

    def powers(self: Boosting, nodes: Any) -> np.ndarray:
        vectors = np.zeros((len(nodes), len(self.fitted)), dtype=np.int64)
        train = np.flatnonzero(self.fitted)
        vectors[:, train] = self.packing.pack(np.array(self.packing.first_max), np.array(0))
        return vectors

    monkeypatch.setattr(Boosting, "vectors", powers)
    with pytest.raises(DerivativesImplausible, match="first derivatives"):
        pump(PLAN, TABLES)


@pytest.mark.parametrize(
    ("kind", "change", "failure"),
    [
        ("splits", lambda c: c | {"bounds": c["bounds"] + 50}, SplitRefused),
        ("splits", lambda c: c | {"columns": c["columns"] + 99}, SplitRefused),
        ("splits", lambda c: c | {"nodes": c["nodes"] + 20}, SplitRefused),
        ("splits", lambda c: c | {"rows": c["rows"] | 255}, StepMalformed),
        ("splits", lambda c: c | {"rows": c["rows"][:-1]}, StepMalformed),
        ("gradients", setting(nodes=np.array([2])), StepMalformed),
        ("gradients", setting(nodes=np.array([1, 1])), StepMalformed),
        ("gradients", setting(nodes="1"), StepMalformed),
        ("gradients", setting(nodes=np.array(1)), StepMalformed),
        ("splits", setting(nodes=np.array(1)), StepMalformed),
        ("gradients", setting(data={}), StepMalformed),
        ("grown", setting(trees=3), StepMalformed),
    ],
    ids=["an unshown cut", "no such column", "another node", "bits past the rows", "a bitmap less",
         "a node before the root", "a node twice", "nodes as text", "nodes without length",
         "split nodes without length", "no link", "more trees than planned"],
)  # fmt: skip
def test_a_holder_refuses(kind: str, change: Callable[[Content], Content], failure: type[Failure]) -> None:
    with pytest.raises(failure, match="broker"):
        pump(PLAN, TABLES, tamper=altered(kind, "broker", change))


def open_splits() -> list[int]:
    """The nodes of the first splits that the bank is asked for."""
    found, look = seen("splits")
    pump(PLAN, TABLES, tamper=look)
    return list(found[0]["nodes"])


def test_two_nodes_with_a_client_in_both_are_refused() -> None:
    def twice(content: Content) -> Content:
        return content | {"rows": content["rows"] | content["rows"][0]}

    assert len(open_splits()) > 1
    with pytest.raises(SplitRefused, match="twice"):
        pump(PLAN, TABLES, tamper=altered("splits", "broker", twice))


def test_a_level_is_asked_once_and_products_of_one_fit_no_other() -> None:
    """The first level's encrypted vectors again as the second's: the same keys would be read twice."""
    first: list[Content] = []

    def again(sender: str, out: Outgoing) -> Outgoing:
        kind, content = decode(sender, PLAN.digest, out.message)
        if kind.startswith("gradients:"):
            first.append(dict(content))
            if len(first) == 2:
                changed = {**content, "data": first[0]["data"]}
                return Outgoing(recipient=out.recipient, message=encode(PLAN.digest, kind, changed))
        return out

    with pytest.raises(Failure, match="sequence 1 after 1"):
        pump(PLAN, TABLES, tamper=again)


def test_a_level_that_was_left_out_is_not_asked_later() -> None:
    """From the first level to the fourth, then back to the second."""
    session = open_session(PLAN, "bank", TABLES["bank"], SeededEntropy(b"bank"))
    session._skip(["multiply 2", "show 2", "route 2"])
    late = encode(PLAN.digest, "gradients:2", {"data": {}, "nodes": np.array([1])})
    with pytest.raises(StepUnexpected, match="gradients:2"):
        session.receive("broker", late)


# --- what is shown ----------------------------------------------------------------------------------------------------


def level(rare_rows: int, seed: int) -> tuple[Histograms, np.ndarray, np.ndarray, np.ndarray]:
    """(histograms after a split by a stranger's column, codes, rows of the left child, starts of columns)."""
    draw = np.random.default_rng(seed)
    counts = np.array([6, 2, 9])
    codes = np.column_stack([draw.integers(0, count, 700) for count in counts])
    left = draw.random(700) < np.where(codes[:, 0] > 2, 0.9, 0.25)  # it leans on the first column
    units = Packing.of(700)
    entries = units.pack(draw.integers(-255, 256, 700), np.full(700, SECOND_MAX))
    starts = np.cumsum(counts) - counts
    flat = codes + starts

    def sums(rows: np.ndarray) -> np.ndarray:
        return np.array([entries[rows][(flat[rows] == place).any(axis=1)].sum() for place in range(17)])

    made = Histograms("broker", counts, np.bincount(flat.ravel(), minlength=17), units, rare_rows)
    made.root(0, sums(np.ones(700, bool)), np.ones(3, bool))
    made.children({2: sums(left)}, {})
    return made, codes, left, starts


def smallest_difference(made: Histograms, codes: np.ndarray, left: np.ndarray, starts: np.ndarray) -> int:
    """The fewest rows that sums of a group are known of, in either child, by what was shown of both."""
    fewest = len(codes)
    for column, start in enumerate(starts.tolist()):
        stop = start + int(codes[:, column].max()) + 1
        ends = np.flatnonzero(made.nodes[2].ends[start:stop] | made.nodes[3].ends[start:stop])
        group = np.searchsorted(ends, codes[:, column])
        for rows in (left, ~left):
            if len(ends) > 1:
                fewest = min(fewest, int(np.bincount(group[rows], minlength=len(ends)).min()))
    return fewest


def test_no_difference_of_shown_groups_has_fewer_rows_than_the_rule() -> None:
    found = [smallest_difference(*level(40, seed)) for seed in range(20)]
    assert min(found) >= 40 and min(found) < 120  # groups were shown, and as fine as the rule allows


def test_without_the_rule_on_siblings_a_difference_has_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Histograms._ends
    monkeypatch.setattr(
        Histograms, "_ends", lambda self, seconds, allowed: original(self, [max(seconds, key=np.sum)], allowed)
    )
    assert min(smallest_difference(*level(40, seed)) for seed in range(20)) < 40


def test_children_of_an_own_cut_with_rows_on_its_other_side_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the column that split them siblings may show other groups: parent less child would then be few rows."""
    draw = np.random.default_rng(4)
    code = np.repeat(np.arange(6), 100)
    units = Packing.of(600)
    entries = units.pack(draw.integers(-255, 256, 600), np.full(600, SECOND_MAX))

    def grown(left: np.ndarray) -> Histograms:
        made = Histograms("broker", np.array([6]), np.full(6, 100), units, 40)
        made.root(0, np.array([entries[code == b].sum() for b in range(6)]), np.ones(1, bool))
        made.children({2: np.array([entries[left & (code == b)].sum() for b in range(6)])}, {1: (0, 2)})
        return made

    honest = grown(code <= 2)
    assert [len(honest.shown(node).first) for node in (2, 3)] == [3, 3]
    all_but_one = np.arange(600) != 250  # everybody goes left, but for one client
    with pytest.raises(DerivativesImplausible, match="other side"):
        grown(all_but_one)
    monkeypatch.setattr(Histograms, "_check_side", lambda *_, **__: None)
    made = grown(all_but_one)
    alone = 100 * SECOND_MAX - made.nodes[2].second  # parent less child
    assert made.nodes[2].ends.all() and np.flatnonzero(alone).tolist() == [250 // 100]  # this client's bin, read


def test_all_links_of_all_holders_share_one_bound_on_an_off_by_one() -> None:
    tables, columns = synthetic(900)
    plan = TrainingPlan.from_body(tree_body(columns))
    session = open_session(plan, "broker", tables["broker"], SeededEntropy(b"x"))
    assert isinstance(session, TreeParty)
    made = [session._link_of(holder, place, 190)[0] for holder in plan.holders for place in range(LINKS_MAX)]
    assert sum(2.0**one.failure_log2 for one in made) <= 2.0**-40
    assert {one.links for one in made} == {len(made)}


def solved(sums: int, rows: int) -> float:
    """The share of rows whose bin comes out right by least squares, from so many sums of known derivatives."""
    draw = np.random.default_rng(sums)
    inside = draw.random(rows) < 0.3
    known = draw.integers(-255, 256, (sums, rows)).astype(float)
    found, *_ = np.linalg.lstsq(known, known @ inside, rcond=None)
    return float(((found > 0.5) == inside).mean())


def test_sums_stay_too_few_to_solve_for_who_is_in_a_bin() -> None:
    """Rule of sums: four train rows for every sum. With one for each the bin of every client is read."""
    assert solved(200, 200) == 1.0
    assert solved(50, 200) < 0.85  # of which seven in ten are right without any sum
    options = {"trees": 50, "depth": 4}  # 400 vectors, 800 sums: 3,200 train rows
    plan = TrainingPlan.from_body(tree_body(COLUMNS, trees=options))
    for partner in PAIR:
        with pytest.raises(SumsTellRows, match="3200"):
            open_session(plan, partner, TABLES[partner], SeededEntropy(b"x"))


def test_near_copies_of_a_column_are_cut_once() -> None:
    draw = np.random.default_rng(3)
    value = draw.random(600)
    twin = value.copy()
    twin[:5] = 1 - twin[:5]
    columns = {"value": value, "twin": twin, "other": draw.random(600)}
    made = binning.form(columns, list(columns), np.ones(600, bool), 6, 30, 1000)
    assert made.names == ("value", "other")
    assert made.dropped == {"twin": "cuts the train rows like other columns"}


def test_bins_shrink_until_the_encryption_has_room() -> None:
    columns = {f"c{place}": np.random.default_rng(place).random(2000) for place in range(10)}
    made = binning.form(columns, list(columns), np.ones(2000, bool), 32, 30, 95)
    assert made.limit == 10 and made.counts.tolist() == [10] * 10
    with pytest.raises(TooManyColumns):
        binning.form(columns, list(columns), np.ones(2000, bool), 32, 30, 9)


# --- a feature holder that deviates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "change", "failure"),
    [
        ("histograms", lambda c: c | {"first": c["first"] + 1}, DerivativesImplausible),
        ("histograms", lambda c: c | {"second": np.roll(c["second"], 1) * 0}, DerivativesImplausible),
        ("histograms", lambda c: c | {"counts": np.minimum(c["counts"], 1)}, StepMalformed),
        ("histograms", lambda c: c | {"counts": -c["counts"]}, StepMalformed),
        ("histograms", lambda c: c | {"first": c["first"][:-1]}, StepMalformed),
        ("routes", lambda c: c | {"left": c["left"][:-1]}, StepMalformed),
        ("routes", lambda c: c | {"left": c["left"].astype(bool)}, StepMalformed),
        ("tree-hint", setting(widths=np.array([0])), StepMalformed),
        ("tree-hint", setting(widths=np.ones(17, dtype=np.int64)), StepMalformed),
        ("tree-part", setting(digest="zz"), StepMalformed),
    ],
    ids=["sums of another node", "no second derivatives", "one group", "negative counts", "a sum less", "bits less",
         "bits as booleans", "a link without columns", "too many links", "no digest"],
)  # fmt: skip
def test_the_label_holder_refuses(kind: str, change: Callable[[Content], Content], failure: type[Failure]) -> None:
    with pytest.raises(failure, match="bank"):
        pump(PLAN, TABLES, tamper=altered(kind, "bank", change))


@pytest.mark.slow_flow
def test_an_altered_byte_of_any_message_ends_the_run() -> None:
    kinds: set[str] = set()
    seen_by_kind: list[str] = []
    pump(PLAN, TABLES, tamper=lambda s, o: (seen_by_kind.append(decode(s, PLAN.digest, o.message)[0]), o)[1])
    kinds = {kind.partition(":")[0] for kind in seen_by_kind}
    assert {"gradients", "gradients-reply", "gradients-opened", "histograms", "splits", "routes", "grown"} < kinds
    for kind in sorted(kinds):

        def flip(sender: str, out: Outgoing, kind: str = kind) -> Outgoing:
            if decode(sender, PLAN.digest, out.message)[0].partition(":")[0] != kind:
                return out
            data = bytearray(out.message)
            data[len(data) // 2] ^= 1
            return Outgoing(recipient=out.recipient, message=bytes(data))

        with pytest.raises(Failure):
            pump(PLAN, TABLES, tamper=flip)


# --- plans and tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("depth", {"trees": {"depth": 5}}),
        ("trees", {"trees": {"trees": 51}}),
        ("leaf_rows", {"trees": {"leaf_rows": 19}}),
        ("bins", {"bins": 33}),
        ("trees", {"validation": {"folds": 5}}),
    ],
    ids=["too deep", "too many trees", "leaves of few rows", "too many bins", "with folds"],
)
def test_a_plan_keeps_its_bounds(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(PlanInvalid) as caught:
        TrainingPlan.from_body(tree_body(COLUMNS, **changes))
    assert caught.value.facts["field"] == field


def test_a_spent_score_budget_is_refused() -> None:
    with pytest.raises(ScoreBudgetExceeded):
        open_session(PLAN, "bank", TABLES["bank"], SeededEntropy(b"x"), spent_before=99)


def with_column(values: Any, partner: str = "bank") -> Any:
    return replace(TABLES[partner], columns={**TABLES[partner].columns, "flag": values})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full(900, 7.0), "constant on the train rows"),
        (np.full(900, np.nan), "missing on all train rows"),
        (np.arange(900) < 12, "no two bins of 30 train rows"),
    ],
    ids=["constant", "all missing", "few clients apart"],
)
def test_a_column_without_two_bins_is_left_out(values: Any, reason: str) -> None:
    parties = pump(PLAN, {**TABLES, "bank": with_column(values)})
    assert parties["bank"].result().reasons == {"flag": reason}  # type: ignore[union-attr]
    assert parties["broker"].result().record()["dropped"] == {"broker": [], "bank": ["flag"]}


@pytest.mark.parametrize(
    ("values", "failure"),
    [(np.full(900, np.inf), ColumnInfinite), (np.full(900, "a"), ColumnNotNumeric)],
    ids=["infinite", "text"],
)
def test_a_column_that_holds_no_numbers_is_refused(values: Any, failure: type[Failure]) -> None:
    with pytest.raises(failure):
        open_session(PLAN, "bank", with_column(values), SeededEntropy(b"x"))


def test_huge_values_are_cut_like_others() -> None:
    values = np.where(np.arange(900) % 2 == 0, 1.7e308, -1.7e308)
    made = binning.form({"flag": values}, ["flag"], np.ones(900, bool), 8, 30, 100)
    assert made.edges[0].tolist() == [0.0]
    assert (made.codes[:, 0] == (np.arange(900) % 2 == 0)).all()


@pytest.mark.parametrize(
    ("label", "failure"),
    [(np.zeros(900), LabelTooRare), (np.arange(900) % 3, LabelNotBinary)],
    ids=["one class", "three classes"],
)
def test_a_label_that_cannot_be_learned_is_refused(label: Any, failure: type[Failure]) -> None:
    with pytest.raises(failure):
        open_session(PLAN, "broker", replace(TABLES["broker"], label=label), SeededEntropy(b"x"))


def test_all_columns_unusable_and_too_few_rows_are_refused() -> None:
    empty = replace(TABLES["bank"], columns={name: np.zeros(900) for name in COLUMNS["bank"]})
    with pytest.raises(NoUsableColumns):
        open_session(PLAN, "bank", empty, SeededEntropy(b"x"))
    short = replace(
        TABLES["bank"],
        tokens=TABLES["bank"].tokens[:200],
        columns={name: column[:200] for name, column in TABLES["bank"].columns.items()},
    )
    with pytest.raises(TooFewRows):
        open_session(PLAN, "bank", short, SeededEntropy(b"x"))


def test_a_part_of_a_model_is_read_back_strictly() -> None:
    part = pump(PLAN, TABLES)["bank"].result().part
    assert isinstance(part, TreePart)
    assert TreePart.decode(part.encode()).digest == part.digest
    value: Any = packing.unpack(part.encode())
    for change in (
        {"format": "other"},
        {"cuts": value["cuts"][::-1].copy()},
        {"cuts": value["cuts"] + 1000},
        {"edges": value["edges"][:-1]},
        {"edges": value["edges"] * np.nan},
        {"base": np.array([np.inf])},
        {"columns": [1, 2]},
    ):
        with pytest.raises(SessionUnreadable):
            TreePart.decode(packing.pack({**value, **change}))
    with pytest.raises(SessionUnreadable):
        TreePart.decode(part.encode()[:-1])
