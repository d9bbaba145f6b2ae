"""Two honest runs over the same clients, and what they tell together: small cells, rows, changed values, labels.

Every plan here keeps its own rules; what it would tell beside an earlier run is what its party's node refuses.
"""

import hmac
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecowire.documents import Body
from federation.errors import PartyFailed
from federation.features import Table
from federation.plan import TrainingPlan
from federation.vertical.assembly import SCALE
from partner_node import moment_values, moments, sessions
from partner_node.moment_errors import MomentsTellRows, RunsTogetherTell, SmallCellsFollow, ValuesChanged
from privacy.normalise import normalise
from tests.federation.alliance import Tables, body, pump, tokens
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestNode
from tests.partner_node.relay import DirectChannel
from tests.partner_node.test_training import CLIENTS, COLUMNS, plan_body, run, template, train

pytestmark = pytest.mark.slow_flow

__all__ = ["template"]
FOLDS = {"validation": {"folds": 2}, "minimum_rows": 100, "rare_rows": 40}
WHOLE = {"minimum_rows": 100, "rare_rows": 40}


@pytest.fixture
def aligned(template: tuple[Path, str], tmp_path: Path) -> tuple[list[TestNode], str]:
    folder, match = template
    clock, nodes = MovableClock(), []
    for name in COLUMNS:
        shutil.copytree(folder / name, tmp_path / name)
        nodes.append(alliance.open_node(name, tmp_path / name, clock, []))
    return nodes, match


def blocked(node: TestNode, job: str) -> Any:
    found = node.command("job", job=job)["blocked"]
    return found and found["code"]


# --- a small cell of a fold is the whole less the other folds


def with_a_small_cell() -> tuple[Tables, TrainingPlan, TrainingPlan, int]:
    """Two 0/1 columns that are both 1 for three clients of fold 1, for many elsewhere; plans without and with folds."""
    rows, draw = 900, np.random.default_rng(4)
    names = tokens(rows)
    columns = {"broker": ["owns"], "bank": ["late"]}
    whole = TrainingPlan.from_body(body(columns, bootstrap=100, **WHOLE))
    folds = TrainingPlan.from_body(body(columns, bootstrap=100, **FOLDS))
    first = folds.parts(names)["fold-1"]
    owns, late = draw.random(rows) < 0.5, draw.random(rows) < 0.4
    both = np.flatnonzero(first & owns & late)
    late[both[3:]] = False
    label = (draw.random(rows) < 0.3 + 0.3 * owns).astype(np.int64)
    tables = {
        "broker": Table(tokens=names, columns={"owns": owns.astype(np.int64)}, label=label),
        "bank": Table(tokens=names, columns={"late": late.astype(np.int64)}),
    }
    return tables, whole, folds, 3


def summed(broker: Any, part: str) -> float:
    """What the label holder works out: the sum of the bank's model values over the rows where its own column is 1."""
    moment, own = broker._moments_of(part), broker._matrices[part][:, 0] / SCALE
    low, high = own.min(), own.max()
    return float((moment.gram[0, 1] - low * moment.sums[1]) / (high - low))


def test_a_hidden_cell_follows_from_a_run_with_folds_and_one_without() -> None:
    """The attack: what fold 1 hides is the whole, exact, less fold 2, exact."""
    tables, whole, folds, truth = with_a_small_cell()
    at_once = pump(whole, tables)["broker"]
    by_fold = pump(folds, tables)["broker"]
    assert at_once.suppressed == 0 and by_fold.suppressed == 1  # type: ignore[union-attr]
    late, owns = (
        np.asarray(tables[name].columns[column]) == 1 for name, column in (("bank", "late"), ("broker", "owns"))
    )
    train = ~whole.test_mask(tables["bank"].tokens)
    first = folds.parts(tables["bank"].tokens)["fold-1"]

    def clients(found: float) -> int:
        """Of fold 1, by the bank's mean and deviation, which follow from the counts that moments show."""
        return round(found * late[train].std() + int((owns & first).sum()) * late[train].mean())

    assert clients(summed(by_fold, "fold-1")) != truth, "shown as if it held half the minimum"
    assert clients(summed(at_once, "train") - summed(by_fold, "fold-2")) == truth


@pytest.mark.parametrize("order", [(WHOLE, FOLDS), (FOLDS, WHOLE)], ids=["folds after", "folds before"])
def test_folds_of_the_same_clients_are_not_approved_after_a_run_without(
    aligned: tuple[list[TestNode], str], order: tuple[dict[str, Any], ...]
) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match, **order[0]))
    second = alliance.propose(nodes, "train", plan_body(nodes, match, **order[1]))
    assert [blocked(node, second) for node in nodes] == ["SMALL_CELLS_FOLLOW"] * 3
    with pytest.raises(SmallCellsFollow, match="add up"):
        nodes[1].command("approve", job=second, person="officer")


def test_without_the_rule_they_would_be(aligned: tuple[list[TestNode], str], monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match, **WHOLE))
    monkeypatch.setattr(moments, "_adds_up", lambda *_: False)
    run(nodes, plan_body(nodes, match, **FOLDS))


def test_two_splits_with_their_held_out_clients_add_up_and_without_them_not(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match, contribution=True, **WHOLE))
    other = {"split_salt": "33" * 16, **WHOLE}
    both = alliance.propose(nodes, "train", plan_body(nodes, match, contribution=True, **other))
    assert blocked(nodes[0], both) == "SMALL_CELLS_FOLLOW"
    one = alliance.propose(nodes, "train", plan_body(nodes, match, nonce="44" * 16, **other))
    assert [blocked(node, one) for node in nodes] == [None] * 3


# --- equations of several runs


def test_runs_over_other_splits_are_counted_together_until_the_quarter(
    aligned: tuple[list[TestNode], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two columns, sum and label of each split; with 60 rows for each equation two splits fit 700 clients."""
    nodes, match = aligned
    more = {"score_budget": 20}
    monkeypatch.setattr(moments, "ROWS_PER_COLUMN", 60)
    for number in range(2):
        run(nodes, plan_body(nodes, match, split_salt=f"{number:032x}", nonce=f"{number:032x}", **more))
    third = alliance.propose(nodes, "train", plan_body(nodes, match, split_salt="33" * 16, **more))
    with pytest.raises(MomentsTellRows) as caught:
        nodes[1].command("approve", job=third, person="officer")
    earlier = [job[:16] for job in nodes[1].parts.node.database.read(sessions.begun) if job != match]
    assert len(earlier) == 2 and all(job in str(caught.value) for job in earlier)
    with monkeypatch.context() as without:
        without.setattr(moments.equations, "within", lambda *_: True)
        assert [blocked(node, third) for node in nodes] == [None] * 3
    again = alliance.propose(nodes, "train", plan_body(nodes, match, split_salt=f"{1:032x}", nonce="55" * 16, **more))
    assert [blocked(node, again) for node in nodes] == [None] * 3, "the division of an earlier run tells nothing new"


def aligned_again(nodes: list[TestNode], match: str, name: str, keep: range) -> str:
    """What a malicious leader's further alignment leaves at the nodes: some of the train clients, the same tokens."""
    made = alliance.propose(nodes, "match", alliance.match_body(nodes, nonce=name * 16))
    plan = TrainingPlan.from_body(plan_body(nodes, match))
    for node in nodes:
        database = node.parts.node.database
        rows = database.read(lambda session: sessions.alignment(session, match))
        test = plan.test_mask([row.token for row in rows])
        train = np.flatnonzero(~test)[[place for place in keep if place < int((~test).sum())]]
        kept = [rows[place] for place in sorted([*train.tolist(), *np.flatnonzero(test).tolist()])]
        database.write("align", lambda session, kept=kept: sessions.keep_alignment(session, made, kept))
    return made


def test_what_three_sums_tell() -> None:
    """The attack on paper: A and t and B, less A, less B, is t."""
    label = np.random.default_rng(1).integers(0, 2, 601)
    assert label.sum() - label[:300].sum() - label[301:].sum() == label[300]


def test_three_runs_whose_sums_leave_one_client_are_not_all_approved(
    aligned: tuple[list[TestNode], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A, B, and both with one client more: no two of them differ by few."""
    nodes, match = aligned
    count = len(train_clients(nodes[0], match, plan_body(nodes, match)))
    first = aligned_again(nodes, match, "0a", range(count // 2))
    second = aligned_again(nodes, match, "0b", range(count // 2 + 1, count))
    for number, clients in enumerate((first, second)):
        run(nodes, plan_body(nodes, clients, nonce=f"{number + 1:032x}", score_budget=20, **WHOLE))
    third = alliance.propose(nodes, "train", plan_body(nodes, match, nonce="77" * 16, score_budget=20, **WHOLE))
    with pytest.raises(RunsTogetherTell, match="fewer than 40"):
        nodes[1].command("approve", job=third, person="officer")
    monkeypatch.setattr(moments.equations, "within", lambda *_: True)
    assert [blocked(node, third) for node in nodes] == [None] * 3


# --- values that changed


def train_clients(node: TestNode, match: str, body: Body) -> list[int]:
    """The numbers of the train clients, which are their places in the node's source."""
    rows = node.parts.node.database.read(lambda session: sessions.alignment(session, match))
    test = TrainingPlan.from_body(body).test_mask([row.token for row in rows])
    secret = node.parts.node.keys.consent
    ids = [normalise("resident_id", alliance.resident_id(number)) for number in range(CLIENTS)]
    number_of = {hmac.digest(secret, found, "sha256"): number for number, found in enumerate(ids)}
    return [number_of[row.row_key] for row, held in zip(rows, test, strict=True) if not held]


def rewrite(node: TestNode, column: int, clients: Sequence[int]) -> None:
    """Other values of a column of some clients in the node's source."""
    source = node.folder / "clients.csv"
    head, *rows = [line.split(",") for line in source.read_text().splitlines()]
    for place in clients:
        rows[place][column] = str(float(rows[place][column]) + 1.0)
    source.write_text("\n".join(",".join(line) for line in [head, *rows]) + "\n")


def test_what_the_difference_of_two_sums_tells() -> None:
    """The attack on paper: two sums of a column and its counts, and the one value that changed in between."""
    before = np.array([0, 1] * 150)
    after = before.copy()
    after[6] = 1
    assert after.sum() - before.sum() == after[6] - before[6] == 1


@pytest.mark.parametrize("count", [1, 49])
def test_a_run_after_few_train_clients_values_changed_is_not_approved(
    aligned: tuple[list[TestNode], str], count: int
) -> None:
    nodes, match = aligned
    first = plan_body(nodes, match)
    run(nodes, first)
    rewrite(nodes[1], 1, train_clients(nodes[1], match, first)[:count])
    second = alliance.propose(nodes, "train", plan_body(nodes, match, nonce="66" * 16))
    with pytest.raises(ValuesChanged, match=f"SAVING changed for {count} of .* 50 are needed"):
        nodes[1].command("approve", job=second, person="officer")
    assert blocked(nodes[1], second) == "VALUES_CHANGED_OF_FEW"
    assert blocked(nodes[0], second) is None, "the values of others are theirs to look at"


def test_values_of_held_out_clients_alone_are_in_no_moment(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    first = plan_body(nodes, match)
    run(nodes, first)
    held = set(range(CLIENTS)) - set(train_clients(nodes[1], match, first))
    rewrite(nodes[1], 1, sorted(held)[:5])
    second = alliance.propose(nodes, "train", plan_body(nodes, match, nonce="66" * 16))
    assert blocked(nodes[1], second) is None


def test_without_the_rule_a_run_after_one_change_is_approved(
    aligned: tuple[list[TestNode], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, match = aligned
    first = plan_body(nodes, match)
    run(nodes, first)
    rewrite(nodes[1], 1, train_clients(nodes[1], match, first)[:1])
    monkeypatch.setattr(moments, "_changed", lambda *_: None)
    monkeypatch.setattr(moments, "_check_column", lambda *_: None)
    run(nodes, plan_body(nodes, match, nonce="66" * 16))


def test_values_that_changed_of_many_are_said_to_who_approves(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match))
    rewrite(nodes[1], 1, range(300))
    second = plan_body(nodes, match, nonce="66" * 16)
    job = alliance.propose(nodes, "train", second)
    said = nodes[1].command("job", job=job)["discloses"]
    assert any("values of SAVING are others for" in one["en"] and "取值已改变" in one["zh"] for one in said)
    assert not any("INCOME are others" in one["en"] for one in said)
    run(nodes, second)


def test_values_that_change_between_approval_and_run_end_it_before_anything_is_told(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    run(nodes, plan_body(nodes, match))
    second = plan_body(nodes, match, nonce="66" * 16)
    approvals = alliance.approve(nodes, alliance.propose(nodes, "train", second))
    rewrite(nodes[1], 1, train_clients(nodes[1], match, second)[:12])
    with pytest.raises(PartyFailed, match="VALUES_CHANGED_OF_FEW"):
        train(nodes, second, DirectChannel(nodes, approvals))


def test_a_look_is_repeated_exactly_where_something_is_other_than_when_it_refused_nothing(
    aligned: tuple[list[TestNode], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, match = aligned
    looks: list[str] = []

    def counted(session: Any, plan: TrainingPlan, me: str, now: Any) -> list[moments.Change]:
        looks.append(me)
        return check(session, plan, me, now)

    check = moments.check
    monkeypatch.setattr(moments, "check", counted)
    run(nodes, plan_body(nodes, match, **WHOLE))
    second, folds = plan_body(nodes, match, nonce="66" * 16, **WHOLE), plan_body(nodes, match, **FOLDS)
    job = alliance.propose(nodes, "train", second)
    looks.clear()
    assert [blocked(node, job) for node in nodes] == [None] * 3
    approvals = alliance.approve(nodes, job)
    assert sorted(looks) == ["bank", "broker", "platform"], "of the job's page, the approval and the remarks one"
    refused = alliance.propose(nodes, "train", folds)
    assert [blocked(nodes[1], refused) for _ in range(2)] == ["SMALL_CELLS_FOLLOW"] * 2
    assert looks.count("bank") == 5, "what refuses is looked at each time: by the sentences and by the approval"
    train(nodes, second, DirectChannel(nodes, approvals))
    assert sorted(looks) == ["bank"] * 5 + ["broker", "platform"], "and none when it begins, or before it tells"


def test_a_run_that_another_has_told_before_since_the_approval_ends_before_anything_is_told(
    aligned: tuple[list[TestNode], str],
) -> None:
    nodes, match = aligned
    bodies = [plan_body(nodes, match, **rules) for rules in (WHOLE, FOLDS)]
    approvals = [alliance.approve(nodes, alliance.propose(nodes, "train", body)) for body in bodies]
    train(nodes, bodies[0], DirectChannel(nodes, approvals[0]))
    with pytest.raises(PartyFailed, match="SMALL_CELLS_FOLLOW"):
        train(nodes, bodies[1], DirectChannel(nodes, approvals[1]))


# --- the ledger itself


def test_what_a_run_tells_of_is_entered_with_its_first_message_about_it(
    aligned: tuple[list[TestNode], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it can't be entered nothing leaves: the run breaks, and no moments are anywhere."""
    nodes, match = aligned
    first = plan_body(nodes, match)
    with monkeypatch.context() as broken:
        broken.setattr(moment_values, "book", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
        with pytest.raises(OSError, match="disk is full"):
            run(nodes, first)
    told = [
        node.parts.node.database.read(lambda s: moments._before(s, TrainingPlan.from_body(first))) for node in nodes
    ]
    assert told == [[], [], []]
    second = plan_body(nodes, match, nonce="88" * 16)
    run(nodes, second)
    digest = TrainingPlan.from_body(second).digest
    kept = [set(node.parts.node.database.read(lambda s: moment_values.of_run(s, digest))) for node in nodes]
    assert kept == [{"AGE", "RISK", "Y"}, {"SAVING", "INCOME"}, {"SPEND", "TRAVEL"}]
    (line,) = nodes[1].command("quota")["moments"]
    assert line["run"] == digest and line["columns"] == ["INCOME", "SAVING"]
    tags = nodes[1].parts.node.database.read(
        lambda s: [moment_values.load(s, one) for one in moment_values.of_run(s, digest).values()]
    )
    assert all(len(found) == CLIENTS and (found > 0).all() for found in tags)


def test_no_value_stands_in_the_ledger(aligned: tuple[list[TestNode], str]) -> None:
    values = np.array([0.0, -0.0, 1.0, 1.0, np.nan, np.nan, 5e-324, 1e308])
    one, other = (moment_values.tags(values, moment_values.key_of(secret)) for secret in (b"a" * 32, b"b" * 32))
    assert one[0] == one[1] and one[2] == one[3] and one[4] == one[5]
    assert len(set(one.tolist())) == 5 and (one != other).sum() >= 4


def test_runs_of_trees_take_no_moments(aligned: tuple[list[TestNode], str]) -> None:
    nodes, match = aligned
    plan = TrainingPlan.from_body(plan_body(nodes, match))
    assert moments.columns_of(plan, "bank") == ("SAVING", "INCOME")
    assert moments.columns_of(replace(plan, positive="high"), "broker")[-1] == "Y=high"
