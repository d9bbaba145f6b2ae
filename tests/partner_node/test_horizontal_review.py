"""Before a person approves a horizontal plan: what stands in its way, what it costs, and what this node says of it."""

from pathlib import Path
from typing import Any

import pytest

from ecowire.documents import Body
from partner_node import budget
from privacy.aggregation import Slot
from privacy.ids import Digest
from tests.partner_node import alliance, horizontal
from tests.partner_node.alliance import TestNode

NOW = "2026-10-01T08:00:00+00:00"


@pytest.fixture
def banks(tmp_path: Path) -> list[TestNode]:
    return horizontal.make_banks(tmp_path)


@pytest.fixture
def guarded(tmp_path: Path) -> list[TestNode]:
    """Banks whose assets have a privacy budget."""
    return horizontal.make_banks(tmp_path, horizontal.BANKS[:3], budget=True)


def shown(nodes: list[TestNode], body: Body) -> Any:
    """What the first node's people see of a plan."""
    return nodes[0].command("job", job=alliance.propose(nodes, "train", body))


def spend(node: TestNode, rounds: int, multiplier_milli: int = 2_000, run: str = "cd") -> None:
    """Book noisy uploads of an earlier run."""
    for number in range(1, rounds + 1):
        slot = Slot(job=Digest(run * 32), round=number, attempt=0)
        booking = budget.Booking(slot=slot, asset="clients", multiplier_milli=multiplier_milli)
        node.parts.node.database.write("book", lambda session, booking=booking: budget.book(session, booking, NOW))


def test_a_plan_over_offered_columns_can_be_approved(banks: list[TestNode]) -> None:
    found = shown(banks, horizontal.plan_body(banks))
    assert found["blocked"] is None
    assert banks[0].command("approve", job=found["job"], person="privacy officer")["decision"] == "approve"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"purpose": "advertising"}, "PURPOSE_NOT_OFFERED"),
        ({"columns": [{"name": "SALARY", "kind": "number", "transform": "none"}]}, "COLUMN_NOT_OFFERED"),
        ({"label": {"column": "CHURNED", "classes": ["0", "1"]}}, "COLUMN_NOT_OFFERED"),
        ({"model": "tree"}, "PLAN_INVALID"),
        ({"colluders": 0}, "PLAN_INVALID"),
        ({"shape": "diagonal"}, "PLAN_INVALID"),
        ({"extra": 1}, "PLAN_INVALID"),
    ],
)
def test_what_stands_in_the_way_is_named(banks: list[TestNode], change: dict[str, Any], code: str) -> None:
    found = shown(banks, horizontal.plan_body(banks, **change))
    assert found["blocked"]["code"] == code
    assert found["discloses"] == []


@pytest.mark.parametrize(
    ("field", "value", "code"), [("asset", "staff", "ASSET_UNKNOWN"), ("id_column", "id", "PROPO")]
)
def test_another_asset_or_id_column_is_refused(banks: list[TestNode], field: str, value: str, code: str) -> None:
    body: Any = horizontal.plan_body(banks)
    body["parties"][0][field] = value
    assert shown(banks, body)["blocked"]["code"].startswith(code)


def test_a_label_of_class_c3_never_enters(banks: list[TestNode]) -> None:
    path = banks[0].folder / "node.toml"
    path.write_text(path.read_text().replace('"BOUGHT" = "C2"', '"BOUGHT" = "C3"'))
    banks[0] = banks[0].reopened()
    assert "C3" in shown(banks, horizontal.plan_body(banks))["blocked"]["en"]


def test_two_parties_need_noise(tmp_path: Path) -> None:
    two = horizontal.make_banks(tmp_path, horizontal.BANKS[:2], budget=True)
    assert shown(two, horizontal.plan_body(two))["blocked"]["code"] == "LOCAL_NOISE_REQUIRED"
    found = shown(two, horizontal.noisy(two))
    assert found["blocked"] is None
    assert any("TWO PARTIES" in sentence["en"] for sentence in found["discloses"])


# --- the budget


def test_noise_needs_a_budget_to_be_booked_on(banks: list[TestNode]) -> None:
    blocked = shown(banks, horizontal.noisy(banks))["blocked"]
    assert blocked["code"] == "BUDGET_NOT_SET"
    assert 'privacy_budget = {epsilon = "8", delta_log10 = -6}' in blocked["en"]


def test_a_budget_needs_noise(guarded: list[TestNode]) -> None:
    assert shown(guarded, horizontal.plan_body(guarded))["blocked"]["code"] == "BUDGET_NEEDS_NOISE"


def test_a_plan_is_refused_when_its_rounds_would_overspend(guarded: list[TestNode]) -> None:
    body = horizontal.noisy(guarded)
    assert shown(guarded, body)["blocked"] is None
    spend(guarded[0], 6)
    assert shown(guarded, body)["blocked"] is None, "2 more rounds still fit"
    spend(guarded[0], 1, run="ef")
    blocked = shown(guarded, body)["blocked"]
    assert blocked["code"] == "BUDGET_EXHAUSTED"
    for fact in ("epsilon 8 ", "10^-6", "2 more", "fewer rounds"):
        assert fact in blocked["en"]
    assert blocked["en"] != blocked["zh"]


def test_more_noise_still_fits(guarded: list[TestNode]) -> None:
    spend(guarded[0], 7)
    privacy = {"noise_multiplier_milli": 20_000, "row_clip_milli": 1_000, "delta_log10": -6}
    assert shown(guarded, horizontal.noisy(guarded))["blocked"]["code"] == "BUDGET_EXHAUSTED"
    assert shown(guarded, horizontal.noisy(guarded, privacy=privacy))["blocked"] is None


def test_the_ledger_outlives_restarts_and_other_runs_do_not_share_it(guarded: list[TestNode]) -> None:
    spend(guarded[0], 4)
    spend(guarded[0], 4)  # the same slots again are the same releases
    (line,) = guarded[0].reopened().command("budget")["assets"]
    assert (line["asset"], line["epsilon"], line["delta_log10"]) == ("clients", "8", -6)
    assert line["runs"] == [{"run": "cd" * 32, "multiplier_milli": 2_000, "updates": 4}]
    assert 3 < float(line["spent"]) < 8
    (other,) = guarded[1].command("budget")["assets"]
    assert (other["spent"], other["runs"]) == ("0.000", [])


def test_a_budget_that_was_taken_out_of_the_settings_stays_on_the_ledger(guarded: list[TestNode]) -> None:
    spend(guarded[0], 4)
    bare = horizontal.with_budget(guarded[0], "")
    (line,) = bare.command("budget")["assets"]
    assert (line["epsilon"], line["spent"], line["runs"][0]["updates"]) == (None, None, 4)


def test_spent_is_rounded_up() -> None:
    assert [budget.to_text(value) for value in (0.0, 1.0001, 2.5, 0.9999)] == ["0.000", "1.001", "2.500", "1.000"]


# --- what this node says


def said(nodes: list[TestNode], body: Body) -> tuple[str, str]:
    found = shown(nodes, body)
    assert found["blocked"] is None, found["blocked"]
    return tuple("\n".join(sentence[lang] for sentence in found["discloses"]) for lang in ("en", "zh"))  # type: ignore[return-value]


def test_the_disclosure_names_columns_bounds_and_who_learns_sums(banks: list[TestNode]) -> None:
    en, zh = said(banks, horizontal.plan_body(banks))
    for part in ("AGE, INCOME, REGION", "label BOUGHT", "20 or more", "2 rounds", "3 parties or more", "NO NOISE"):
        assert part in en
    assert "3 of 4 parties; nobody ever holds a key" in en
    assert "at most 1 other party works" in en
    assert "mean and variance" in en
    assert "own figures, signed" in en and "histogram" in en and "mean loss" in en
    assert "alone, needs two rounds with almost the same weights and one party's absence" in en
    assert "只需两轮几乎相同的参数及某一方缺席其中一轮" in zh
    for part in ("AGE, INCOME, REGION", "BOUGHT", "不加噪声", "3 方", "均值与方差"):
        assert part in zh


def test_noise_is_said_with_its_price(guarded: list[TestNode]) -> None:
    en, zh = said(guarded, horizontal.noisy(guarded))
    spent = budget.to_text(budget.epsilon((), -6, more=(2_000, 2)))
    assert f"2 rounds tell about one train row at most epsilon {spent} at delta 10^-6" in en
    assert f"ε={spent}" in zh
    assert "NO NOISE" not in en
    assert "exact mean" not in en
    assert "numbers of rows, signed, and nothing else of them" in en
    assert not [word for word in ("AUC", "histogram", "mean loss") if word in en]
    assert not [word for word in ("AUC", "直方图", "平均损失") if word in zh]
