"""A proposal is shown whole: every field of it, whatever its kind, with a meaning in the person's language."""

from collections.abc import Iterator
from typing import Any

import pytest

from federation.plan import TrainingPlan
from federation.plan_horizontal import HorizontalPlan
from hub import cli_plan, drafts
from hub.cli_common import Cli
from tests.hub.alliance import START
from tests.hub.horizontal import BANKS, directory, plan_body
from tests.support.entropy import SeededEntropy

KEYS = {"signing": "ab" * 32, "sealing": "cd" * 32, "chain": "0x" + "00" * 20}


def cli(lang: str = "en") -> Cli:
    return Cli(config=None, as_json=False, lang=lang)


def with_keys(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "parties": [{**party, **KEYS} for party in body["parties"]]}


def horizontal() -> dict[str, Any]:
    """A plan with everything that a plan can have."""
    columns = [
        {"name": "AGE", "centre_milli": 45_001, "spread_milli": 12_002},
        {"name": "MONEY", "levels": ["low", "mid [x]", "high"]},
    ]
    more: dict[str, Any] = {
        "columns": columns,
        "strategy": {"name": "fedprox", "proximal_micro": 10_003},
        "training": {"rounds": 7, "hidden": [16, 9]},
        "early_stop": {"patience": 6, "tolerance_ppm": 1_004},
        "personalise": {"steps": 11, "rate_micro": 250_005},
        "title": "Who holds funds",
        "colluders": 1,
    }
    return with_keys(plan_body(*BANKS, **more))


def vertical() -> dict[str, Any]:
    parties = [{"partner": BANKS[0], "columns": ["AGE"]}, {"partner": BANKS[1], "columns": ["MONEY"]}]
    label = {"partner": BANKS[0], "column": "Y"}
    given = {"alignment": "ab" * 32, "purpose": "joint-profile", "label": label, "parties": parties}
    return with_keys(drafts.train(given, directory(*BANKS[:2]), START, SeededEntropy(b"draft")))


def match() -> dict[str, Any]:
    given = {"purpose": "joint-profile", "parties": [{"partner": name} for name in BANKS[:2]]}
    return with_keys(drafts.match(given, directory(*BANKS[:2]), START, SeededEntropy(b"draft")))


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of every scalar in a body."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, where)
    else:
        yield where, value if isinstance(value, str) else str(value)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("make", [horizontal, vertical, match])
def test_nothing_of_a_proposal_is_left_out(make: Any, lang: str) -> None:
    body = make()
    rows = cli_plan.rows(cli(lang), body)
    shown = "\n".join(" ".join(row) for row in rows)
    rest = {name: value for name, value in body.items() if name not in cli_plan.ELSEWHERE}
    assert len(list(leaves(rest))) >= 8
    for name, text in leaves(rest):
        assert name in shown and text in shown, name
    assert [name for name, _, meaning in rows if not meaning] == []


def test_the_bodies_are_plans() -> None:
    assert HorizontalPlan.from_body(horizontal()).early_stop is not None
    assert TrainingPlan.from_body(vertical()).partners


def test_the_parties_are_shown_with_assets_columns_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    cli_plan.show(cli(), vertical())
    shown = capsys.readouterr().out
    flat = "".join(shown.split())
    assert all(text in flat for text in ("bank-a", "bank-b", "AGE", "MONEY", "ab" * 4, "cd" * 4))
    cli_plan.show(cli("zh"), vertical())
    flat = "".join(capsys.readouterr().out.split())
    assert all(text in flat for text in ("标签方", "特征方", "字段", "含义"))


def test_protection_that_is_not_there_is_a_line_of_its_own() -> None:
    body = horizontal()
    for name in cli_plan.OPTIONAL:
        body.pop(name, None)
    rows = {name: value for name, value, _ in cli_plan.rows(cli("zh"), body)}
    assert {rows[name] for name in cli_plan.OPTIONAL} == {"无"}


def test_a_field_that_is_not_known_here_is_shown_all_the_same() -> None:
    body = {**match(), "later": {"secret": 1}}
    body["parties"][0]["extra"] = "y"
    rows = {name: value for name, value, _ in cli_plan.rows(cli(), body)}
    assert rows["later"] == "secret 1" and rows["parties.bank-a"] == "extra y"
