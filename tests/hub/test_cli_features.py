"""`ecohub data features`: who offers which standard feature; lists published before there was a catalogue are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.schema import coverage, offer, standard
from hub import cli_data, cli_features, person_files
from tests.hub.streams import ServedHub, publish, served_hub
from tests.hub.test_cli import run

CATALOGUE = standard.load()
COLUMNS = {"CASH": "C2", "LATER": "C2"}
FEATURES = {"invest_cash": "CASH", "invest_of_a_later_catalogue": "LATER"}


def asset(*, mapped: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"name": "clients", "columns": COLUMNS, "rows": "100-499", "purposes": ["joint-profile"]}
    if mapped:
        made[offer.KEY] = offer.make(2, CATALOGUE.digest, FEATURES, COLUMNS, ["joint-profile"])
    return made


def listed() -> list[dict[str, Any]]:
    """Three partners: one maps, one published in the old form, one has published nothing."""
    bodies = {"broker": asset(mapped=True), "insurer": asset(mapped=False), "bank": None}
    return [
        {"partner": name, "assets": {"body": {"assets": [body]}} if body else None} for name, body in bodies.items()
    ]


def test_what_partners_offer_is_read_from_what_they_signed() -> None:
    found = list(cli_features.every(listed()))
    assert [(item.feature, item.partner, item.column, item.class_, item.catalogue) for item in found] == [
        ("invest_cash", "broker", "CASH", "C2", 2),
        ("invest_of_a_later_catalogue", "broker", "LATER", "C2", 2),
    ]
    document = cli_features.report(CATALOGUE, found, coverage.of(CATALOGUE, {item.feature for item in found}))
    assert document["unknown"] == ["invest_of_a_later_catalogue"]
    assert [item["feature"] for item in document["offered"]] == ["invest_cash"]  # type: ignore[index,union-attr,call-overload]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(tmp_path_factory.mktemp("hub"), "broker", "insurer") as made:
        for who in made.parties.values():
            publish(made, who, asset(mapped=who.id == "broker"))
        yield made


@pytest.fixture(scope="module")
def person(hub: ServedHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = hub.person("dana", "data")
    folder = tmp_path_factory.mktemp("dana") / "dana"
    return person_files.write_person(folder, made.hub, made.authority, made.key, made.certificate)


@pytest.mark.slow_flow
def test_the_data_team_sees_coverage_and_gaps(person: Path) -> None:
    found = run(cli_data.data, person, "features")
    investment = found["coverage"][-1]
    assert (investment["domain"], investment["offered"]) == ("investment", ["invest_cash"])
    assert len(investment["missing"]) == investment["features"] - 1
    assert found["offered"][0]["purposes"] == ["joint-profile"] and found["catalogue"] == 1
    assert run(cli_data.data, person, "features", "--partner", "insurer")["offered"] == []
    (banking,) = run(cli_data.data, person, "features", "--domain", "banking")["coverage"]
    assert banking["offered"] == []
    shown = run(cli_data.data, person, "features", "--lang", "zh", as_json=False)
    assert all(word in shown for word in ("投资", "1 / 20", "无人提供", "CASH"))
    folded = run(cli_data.data, person, "partners", as_json=False)
    assert "2standardfeatures" in "".join(character for character in folded if character.isalnum())
