"""Drafts of horizontal plans: short files become whole, valid plans; what a person must say is asked for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from federation.errors import LocalNoiseRequired
from federation.plan_horizontal import HorizontalPlan
from hub import drafts, drafts_horizontal
from hub.drafts import Directory, DraftIncomplete
from hub.records import Head
from tests.hub.alliance import START
from tests.hub.horizontal import BANKS, directory
from tests.support.entropy import SeededEntropy

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "docs/examples/plans").glob("*.toml"))
PAGE = (ROOT / "docs/data-team.md").read_text(encoding="utf-8")
GIVEN: dict[str, Any] = {
    "shape": "horizontal",
    "purpose": "p",
    "parties": [{"partner": name} for name in BANKS],
    "label": "Y",
    "columns": ["AGE"],
}


def draft(given: dict[str, Any] | None = None, seed: bytes = b"s", **changes: Any) -> Head:
    whole = {**GIVEN, **(given or {}), **changes}
    return drafts_horizontal.train(whole, directory(*BANKS, columns=asked_for(whole)), START, SeededEntropy(seed))


def asked_for(given: dict[str, Any]) -> dict[str, str]:
    """Columns and label of a file, as a partner that has them all publishes them."""
    label, listed = given.get("label"), given.get("columns")
    named = [*(listed if isinstance(listed, list) else []), label]
    names = [item.get("name", item.get("column")) if isinstance(item, dict) else item for item in named]
    return {"AGE": "C1", **{name: "C2" for name in names if isinstance(name, str)}}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"columns": ["AGEX"]}, "bank-a offers no column AGEX; it offers AGE$"),
        ({"columns": ["SECRET"]}, "bank-a offers no column SECRET"),
        ({"label": "nolabel"}, "bank-a offers no column nolabel"),
        ({"purpose": "marketing"}, "bank-a offers clients for joint-profile, not marketing"),
        ({"label": {"column": "Y", "classes": 3}}, "label.classes lists"),
        ({"colluders": "1"}, "colluders is a whole number"),
        ({"privacy": {"noise_multiplier_milli": "x"}}, "noise_multiplier_milli is a whole number"),
    ],
)
def test_what_no_bank_could_approve_is_not_proposed(changes: dict[str, Any], why: str) -> None:
    columns = {"AGE": "C1", "Y": "C2", "SECRET": "C3"}
    offered = directory(*BANKS, columns=columns, purposes=["joint-profile"])
    given = {**GIVEN, "purpose": "joint-profile", **changes}
    with pytest.raises(DraftIncomplete, match=why):
        drafts_horizontal.train(given, offered, START, SeededEntropy(b"s"))


def plan(**changes: Any) -> HorizontalPlan:
    """The plan as the hub completes and checks it."""
    body: Any = draft(**changes)
    keys = {"signing": "00" * 32, "sealing": "00" * 32, "chain": "0x" + "00" * 20}
    return HorizontalPlan.from_body({**body, "parties": [{**party, **keys} for party in body["parties"]]})


def test_five_fields_are_a_plan() -> None:
    made = plan()
    assert (made.model, made.partners, made.colluders, made.standardise) == ("logistic", BANKS, 1, True)
    assert made.examples_max == 499  # the upper end of the band that they publish
    assert (made.parties[0].asset, made.parties[0].id_column) == ("clients", "client_id")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_plans(file: Path) -> None:
    given = drafts.plain(tomllib.loads(file.read_text(encoding="utf-8")))
    assert drafts_horizontal.is_horizontal(given)
    HorizontalPlan.from_body(draft(given))


def test_the_page_shows_a_plan() -> None:
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
    (given,) = [block for block in blocks if block.get("shape") == "horizontal"]
    made = HorizontalPlan.from_body(draft(drafts.plain(given)))
    assert [column.inputs for column in made.columns] == [1, 1, 3]


@pytest.mark.parametrize("name", [*drafts_horizontal.DEFAULTS, "strategy", "standardise", "engine", "examples_max"])
def test_the_page_names_what_has_a_default(name: str) -> None:
    assert f"`{name}`" in PAGE or name in ("kind", "version", "shape")


@pytest.mark.parametrize("name", ["fedavg", *drafts_horizontal.STRATEGIES])
def test_every_strategy_has_defaults_by_its_name_alone(name: str) -> None:
    assert plan(strategy=name).strategy.name == name


def test_what_is_given_stands_over_the_defaults() -> None:
    made = plan(
        model="mlp",
        training={"hidden": [8], "rounds": 7},
        engine={"name": "paillier", "dealer": "bank-b"},
        split={"test_ppm": 200_000},
        label={"column": "Y", "classes": ["a", "b", "c"]},
        personalise={"steps": 3, "rate_micro": 5},
    )
    assert (made.training.hidden, made.training.rounds, made.training.steps) == ((8,), 7, 5)
    assert (made.engine.dealer, made.engine.bits) == ("bank-b", drafts_horizontal.PAILLIER_BITS)
    assert (made.split.test_ppm, made.split.validation_ppm) == (200_000, 100_000)
    assert made.personalise is not None and made.personalise.steps == 3


def test_an_empty_table_leaves_the_fine_tuning_out_as_the_guide_says() -> None:
    assert plan().personalise is not None
    assert plan(personalise={}).personalise is None
    guide = Path(__file__).parents[2] / "docs" / "data-team.md"
    assert "`personalise = {}` leaves it out" in guide.read_text(encoding="utf-8")


def test_the_model_follows_from_classes_and_layers() -> None:
    assert plan(label={"column": "Y", "classes": ["a", "b", "c"]}).model == "multinomial"
    assert plan(training={"hidden": [4]}).model == "mlp"


def test_noise_means_one_step_and_no_standardisation() -> None:
    made = plan(privacy={"noise_multiplier_milli": 1500}, parties=[{"partner": name} for name in BANKS[:2]])
    assert (made.training.steps, made.standardise, made.colluders) == (1, False, 0)
    assert made.privacy is not None and made.privacy.delta_log10 == -6


def test_two_partners_without_noise_are_no_plan() -> None:
    with pytest.raises(LocalNoiseRequired):
        plan(parties=[{"partner": name} for name in BANKS[:2]])


def test_salt_and_nonce_are_drawn_and_can_be_given_again() -> None:
    first, other = draft(), draft(seed=b"t")
    assert (first["nonce"], first["split"]) != (other["nonce"], other["split"])
    assert draft(drafts.given_again(first, GIVEN), seed=b"t") == first
    own = drafts.given_again(first, {**GIVEN, "split": {"salt": "ab" * 16}})
    assert own["split"] == {"salt": "ab" * 16}
    assert drafts.given_again(first, {"split": "wrong"})["split"] == "wrong"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"label": {}}, "label"),
    ({"label": 7}, "label"),
    ({"columns": []}, "columns"),
    ({"columns": "AGE"}, "columns"),
    ({"columns": [7]}, "a column is"),
    ({"parties": [{"partner": "bank-a"}]}, "at least two"),
    ({"parties": [{"partner": "bank-a"}, {"partner": "nobody"}]}, "no partner nobody"),
    ({"strategy": 5}, "strategy and engine"),
    ({"engine": {"dealer": "bank-a"}}, "strategy and engine"),
    ({"training": 5}, "[training]"),
    ({"split": []}, "[split]"),
    ({"privacy": 3}, "[privacy]"),
    ({"purpose": ""}, "purpose"),
]


@pytest.mark.parametrize(("given", "why"), BAD)
def test_what_can_not_be_drafted_is_named(given: dict[str, Any], why: str) -> None:
    with pytest.raises(DraftIncomplete) as caught:
        draft(given)
    assert why in caught.value.message()


def test_who_learns_what_is_said_in_both_languages() -> None:
    engine = {"name": "paillier", "dealer": "bank-c"}
    noisy = draft(
        parties=[{"partner": name} for name in BANKS[:2]], privacy={"noise_multiplier_milli": 1100}, engine=engine
    )
    text = " ".join(map(str, noisy["disclosure"]))  # type: ignore[arg-type]
    for words in ("bank-c deals the key", "密钥由 bank-c 分发", "shows each the other's update", "仅两方", "1.1 times"):
        assert words in text
    assert not [word for word in ("AUC", "histogram", "losses", "直方图", "损失") if word in text]
    plain: Any = draft()["disclosure"]
    assert len(plain) == 8 and sum(any("一" <= sign <= "鿿" for sign in line) for line in plain) == 4
    assert "at least 3 partners" in plain[0] and "至少 3 方" in plain[4]
    assert "two rounds and one partner's absence" in plain[3] and "某一方缺席其中一轮" in plain[7]


def test_without_published_bands_the_weight_is_the_default() -> None:
    assets = [{"name": "clients", "id_column": "client_id", "columns": {"AGE": "C1", "Y": "C2"}}]
    unbanded = Directory([{"partner": name, "assets": {"body": {"assets": assets}}} for name in BANKS])
    body = drafts_horizontal.train(GIVEN, unbanded, START, SeededEntropy(b"n"))
    assert body["examples_max"] == drafts_horizontal.EXAMPLES_MAX
