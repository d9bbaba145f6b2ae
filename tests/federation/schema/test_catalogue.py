"""The catalogue that is shipped, and what the parser refuses."""

import re
from importlib import resources

import pytest

from federation.schema import standard
from federation.schema.errors import CatalogueInvalid
from federation.schema.parse import parse
from federation.schema.values import CLASSES, NUMERIC, codes

TEXT = resources.files("federation.schema").joinpath(standard.FILE).read_text(encoding="utf-8")
# whoever changes a feature raises the version and adds its digest here; a published version never changes
DIGESTS = {1: "60fd9f4255dd5722fe00ebb15128ee04a370c280a025869c548fe96ef0967a2e"}
SMALL = """
version = 1
domains = [{ code = "banking", en = "Banking", zh = "银行" }]
windows = [{ code = "now", en = "now", zh = "当前" }]
currency_rules = [{ code = "day-end", en = "rate of the day", zh = "当日汇率" }]
purposes = [{ code = "joint-profile", en = "profile", zh = "画像" }]
[[features]]
name = "deposit_balance"
domain = "banking"
en = "All deposits"
zh = "存款"
kind = "money"
unit = "CNY"
currency = "day-end"
window = "now"
number = "decimal"
min = "0"
max = "1000"
bins = ["10", "100"]
typical = ["1", "500"]
transform = "log1p"
class = "C2"
purposes = ["joint-profile"]
aliases = ["deposits"]
"""
FLAG = """
[[features]]
name = "loan_open"
domain = "banking"
en = "Has a loan"
zh = "有贷款"
kind = "flag"
unit = "flag"
window = "now"
transform = "indicator"
class = "C2"
purposes = ["joint-profile"]
aliases = []
categories = [{ code = "0", en = "no", zh = "否" }, { code = "1", en = "yes", zh = "是" }]
"""


def test_the_catalogue_has_the_features_that_the_parties_have() -> None:
    catalogue = standard.load()
    assert 60 <= len(catalogue.features) <= 80
    by_domain = {domain: len(catalogue.of_domain(domain)) for domain in codes(catalogue.domains)}
    assert min(by_domain.values()) >= 9 and sum(by_domain.values()) == len(catalogue.features)
    assert all(by_domain[domain] >= 14 for domain in ("consumption", "banking", "insurance", "investment"))


def test_a_version_is_what_it_was() -> None:
    catalogue = standard.load()
    assert DIGESTS[catalogue.version] == catalogue.digest


def test_every_feature_is_described_in_both_languages_and_shareable() -> None:
    for feature in standard.load().features:
        assert re.search("[一-鿿]", feature.zh) and feature.en.isascii(), feature.name
        assert feature.class_ in CLASSES and feature.purposes, feature.name
        assert (feature.span is not None) == (feature.kind in NUMERIC), feature.name
        assert feature.name.isascii() and len(feature.name) <= 40


def test_no_alias_stands_for_two_features() -> None:
    names = [name for feature in standard.load().features for name in (feature.name, *feature.aliases)]
    assert sorted(names) == sorted(set(names))


def test_only_the_content_makes_the_digest() -> None:
    plain = parse(SMALL).digest
    assert parse("# a comment\n" + SMALL).digest == plain
    assert parse(SMALL.replace('"500"]', '"501"]')).digest != plain


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("version = 1", "version = 0", "whole number"),
        ("version = 1", "version = true", "whole number"),
        ("version = 1", "colour = 1\nversion = 1", "unknown key colour"),
        ('name = "deposit_balance"', 'name = "Deposit"', "a name is"),
        ('name = "deposit_balance"', 'name = "deposit"', "a name is"),
        ('domain = "banking"\n', 'domain = "sport"\n', "domain must be one of"),
        ('kind = "money"', 'kind = "price"', "kind must be one of"),
        ('unit = "CNY"\n', "", "unit is missing"),
        ('unit = "CNY"', 'unit = " "', "unit must be text"),
        ('currency = "day-end"\n', "", "currency is missing"),
        ('currency = "day-end"', 'currency = "any"', "currency must be one of"),
        ('window = "now"', 'window = "7d"', "window must be one of"),
        ('number = "decimal"', 'number = "real"', "number must be one of"),
        ('number = "decimal"', 'number = "integer"\n', "ok"),
        ('bins = ["10", "100"]', 'bins = ["100", "10"]', "must rise"),
        ('bins = ["10", "100"]', 'bins = ["10", "10"]', "twice"),
        ('bins = ["10", "100"]', 'bins = ["10", "1000"]', "must rise"),
        ('bins = ["10", "100"]', 'bins = ["10", "5000"]', "must rise"),
        ('bins = ["10", "100"]', "bins = []", "inner edges"),
        ('bins = ["10", "100"]', "bins = [10, 100]", "must be text"),
        ('bins = ["10", "100"]', 'bins = ["10", "1e2"]', "decimal numbers"),
        ('min = "0"', 'min = "-5"', "signed_log1p"),
        ('min = "0"', 'min = "nan"', "decimal numbers"),
        ('typical = ["1", "500"]', 'typical = ["1"]', "typical must be"),
        ('typical = ["1", "500"]', 'typical = ["1", "5000"]', "typical must be"),
        ('transform = "log1p"', 'transform = "sqrt"', "transform must be one of"),
        ('transform = "log1p"', 'transform = "indicator"', "indicator goes with"),
        ('class = "C2"', 'class = "C3"', "class must be one of C1, C2"),
        ('purposes = ["joint-profile"]', 'purposes = ["spam"]', "purposes"),
        ('purposes = ["joint-profile"]', "purposes = []", "purposes"),
        ('aliases = ["deposits"]', 'aliases = "deposits"', "list of texts"),
        ("[[features]]", "[features]", "tables"),
        ('code = "now"', 'code = "No w"', "is no code"),
        ("version = 1", "version == 1", "the file"),
    ],
)
def test_a_catalogue_that_is_none_is_refused_by_name(old: str, new: str, why: str) -> None:
    assert old in SMALL
    if why == "ok":
        assert parse(SMALL.replace(old, new)).features[0].span is not None
        return
    with pytest.raises(CatalogueInvalid, match=why):
        parse(SMALL.replace(old, new))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SMALL + SMALL[SMALL.index("[[features]]") :], "deposit_balance stands there twice"),
        (SMALL + FLAG.replace('"1", en', '"2", en'), "of a flag 0 and 1"),
        (SMALL + FLAG.replace('"indicator"', '"none"'), "indicator goes with"),
        (SMALL + FLAG + 'min = "0"\n', "unknown key min"),
        (SMALL.replace('"decimal"', '"integer"').replace('"10", "100"', '"10.5", "100"'), "must be whole"),
    ],
)
def test_features_that_do_not_fit_are_refused(text: str, why: str) -> None:
    with pytest.raises(CatalogueInvalid, match=why):
        parse(text)


def test_a_flag_is_taken() -> None:
    flag = parse(SMALL + FLAG).find("loan_open")
    assert flag is not None and codes(flag.categories) == ("0", "1")
