"""Suggestions by the names of columns, coverage, and what is published."""

import tomllib
from typing import Any

import pytest

from federation.schema import coverage, offer
from federation.schema.errors import OfferInvalid
from federation.schema.suggest import suggest, toml
from tests.federation.schema.mappings import CATALOGUE, read

TYPES = {
    "client_id": "string",
    "Deposits": "double",
    "TotalSpendFen": "int64",
    "性别": "string",
    "年龄": "int64",
    "RISK_LEVEL": "string",
    "car_owner": "bool",
    "savings_rmb": "double",
    "job": "int64",
    "note": "string",
    "opened": "timestamp[us]",
}


def test_names_that_say_it_are_proposed_with_their_unit() -> None:
    found = {item.column: (item.feature.name, item.factor, item.exact) for item in suggest(TYPES, CATALOGUE)}
    assert found == {
        "Deposits": ("deposit_balance", None, True),
        "TotalSpendFen": ("spend_total_12m", "1/100", True),
        "性别": ("client_gender", None, True),
        "年龄": ("client_age", None, True),
        "RISK_LEVEL": ("invest_risk_level", None, True),
        "car_owner": ("client_car_owner", None, True),
    }


def test_part_of_a_name_is_marked_as_unsure() -> None:
    found = suggest({"cust_mortgage_amt": "double", "page_views": "int64"}, CATALOGUE)
    assert [(item.column, item.feature.name, item.exact) for item in found] == [
        ("cust_mortgage_amt", "loan_mortgage_balance", False)
    ]
    assert "UNSURE" in toml(found, ["cust_mortgage_amt"], CATALOGUE, "en")
    assert "不确定" in toml(found, ["cust_mortgage_amt"], CATALOGUE, "zh")


def test_a_feature_is_proposed_once() -> None:
    found = suggest({"salary": "double", "payroll": "double"}, CATALOGUE)
    assert [item.feature.name for item in found] == ["bank_salary_monthly"]


def test_what_is_proposed_is_a_mapping_file() -> None:
    text = toml(suggest(TYPES, CATALOGUE), list(TYPES), CATALOGUE, "en")
    entries, findings = read(text)
    assert not findings and len(entries) == 6
    assert '# "note" = ""' in text
    assert tomllib.loads(text)["catalogue"] == CATALOGUE.version


def test_coverage_counts_by_domain() -> None:
    parts = coverage.of(CATALOGUE, {"client_age", "invest_cash", "of_a_later_catalogue"})
    assert {part.domain.code: part.of_all for part in parts}["client"] == "1 / 9"
    assert sum(len(part.offered) for part in parts) == 2
    assert sum(len(part.offered) + len(part.missing) for part in parts) == len(CATALOGUE.features)


def asset() -> dict[str, Any]:
    columns = {"CASH": "C2", "AGE": "C2"}
    made = offer.make(1, CATALOGUE.digest, {"invest_cash": "CASH"}, columns, ["joint-profile"])
    return {"name": "clients", "columns": columns, "purposes": ["joint-profile"], offer.KEY: made}


def test_what_a_node_makes_the_hub_takes() -> None:
    offer.check(asset())
    offer.check({"name": "clients", "columns": {}})


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o.update(catalogue=0),
        lambda o: o.update(catalogue=True),
        lambda o: o.update(digest="ab"),
        lambda o: o.update(features=[]),
        lambda o: o.update(median=5),
        lambda o: o.pop("digest"),
        lambda o: o["features"].update(X={}),
        lambda o: o["features"].update(spend_total=5),
        lambda o: o["features"].update(**{"a_" + "b" * 70: o["features"]["invest_cash"]}),
        lambda o: o["features"]["invest_cash"].update(median="5"),
        lambda o: o["features"]["invest_cash"].update(column="SALARY"),
        lambda o: o["features"]["invest_cash"].update(column=None),
        lambda o: o["features"]["invest_cash"].update({"class": "C1"}),
        lambda o: o["features"]["invest_cash"].update({"class": "C3"}),
        lambda o: o["features"]["invest_cash"].update(purposes=["marketing"]),
        lambda o: o["features"]["invest_cash"].update(purposes=[]),
    ],
)
def test_an_offer_that_is_none_is_refused(change: Any) -> None:
    given = asset()
    change(given[offer.KEY])
    with pytest.raises(OfferInvalid):
        offer.check(given)


def test_an_offer_that_is_no_table_is_refused() -> None:
    with pytest.raises(OfferInvalid):
        offer.check({**asset(), offer.KEY: "all"})
