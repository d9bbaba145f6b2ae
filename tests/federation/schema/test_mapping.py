"""Mapping files: what they say, and every way in which one is wrong, by its code and line."""

from fractions import Fraction

import pytest

from federation.schema.errors import MappingMalformed, MappingOtherCatalogue, MappingUnreadable
from federation.schema.mapping import BYTES_MAX, parse
from privacy import canonical
from tests.federation.schema.mappings import CATALOGUE, entry, read

GOOD = """# our columns
catalogue = 1
[columns]
DEPOSITS = "deposit_balance"
"消费 (分)" = {feature = "spend_total_12m", factor = "1/100", missing = ["-999", ""]}
'SEX' = {feature = "client_gender", categories = {"男" = "male", "女" = "female"}, missing = ["未知"]}
[columns.ASSETS]
feature = "invest_assets"
factor = 10000
unit_checked = true
"""


def test_a_file_says_what_stands_in_it() -> None:
    entries, findings = read(GOOD)
    assert findings == ()
    found = {entry.column: entry for entry in entries}
    assert [entry.line for entry in entries] == [4, 5, 6, 7]
    assert found["DEPOSITS"].feature.name == "deposit_balance" and found["DEPOSITS"].factor == 1
    assert found["消费 (分)"].factor == Fraction(1, 100) and found["消费 (分)"].missing == ("-999", "")
    assert found["SEX"].categories == (("男", "male"), ("女", "female"))
    assert found["ASSETS"].factor == 10_000 and found["ASSETS"].unit_checked
    assert canonical.decode(canonical.encode([entry.to_value() for entry in entries]))


@pytest.mark.parametrize(("text", "factor"), [('"0.01"', "1/100"), ('"1/7"', "1/7"), ('"10000"', "10000"), ("5", "5")])
def test_a_factor_is_exact(text: str, factor: str) -> None:
    assert entry(f'{{feature = "invest_assets", factor = {text}}}').factor == Fraction(factor)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('X = "deposit_balanc"', "MAPPING_FEATURE_UNKNOWN"),
        ('Y = "invest_cash"\nX = "invest_cash"', "MAPPING_FEATURE_TWICE"),
        ('X = {feature = "invest_cash", factor = 0.01}', "MAPPING_FACTOR_INVALID"),
        ('X = {feature = "invest_cash", factor = "0"}', "MAPPING_FACTOR_INVALID"),
        ('X = {feature = "invest_cash", factor = "-1"}', "MAPPING_FACTOR_INVALID"),
        ('X = {feature = "invest_cash", factor = "1/0"}', "MAPPING_FACTOR_INVALID"),
        ('X = {feature = "invest_cash", factor = "1e2"}', "MAPPING_FACTOR_INVALID"),
        ('X = {feature = "invest_cash", factor = true}', "MAPPING_FACTOR_INVALID"),
        ('X = {feature = "client_gender", categories = {M = "man"}}', "MAPPING_CATEGORIES_INVALID"),
        ('X = {feature = "client_gender", categories = {M = 1}}', "MAPPING_CATEGORIES_INVALID"),
        ('X = {feature = "client_gender", categories = ["M"]}', "MAPPING_CATEGORIES_INVALID"),
        ('X = {feature = "client_gender", factor = "2"}', "MAPPING_FILE_MALFORMED"),
        ('X = {feature = "invest_cash", categories = {M = "male"}}', "MAPPING_FILE_MALFORMED"),
        ('X = {feature = "invest_cash", colour = "red"}', "MAPPING_FILE_MALFORMED"),
        ('X = {feature = "invest_cash", missing = "N/A"}', "MAPPING_FILE_MALFORMED"),
        ('X = {feature = "invest_cash", missing = [-999]}', "MAPPING_FILE_MALFORMED"),
        ('X = {feature = "invest_cash", unit_checked = "yes"}', "MAPPING_FILE_MALFORMED"),
        ('X = {factor = "2"}', "MAPPING_FILE_MALFORMED"),
        ("X = 5", "MAPPING_FILE_MALFORMED"),
        ('"X\\u202e" = "invest_cash"', "MAPPING_FILE_MALFORMED"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_are_read(line: str, code: str) -> None:
    entries, (finding,) = read(f'catalogue = 1\n[columns]\nA = "deposit_balance"\n{line}\n')
    value = finding.to_value()
    assert isinstance(value, dict)
    assert (value["level"], value["code"]) == ("stop", code)
    last = 3 + len(line.splitlines())
    assert value["line"] == (0 if "u202e" in line else last)
    assert code == "MAPPING_FILE_MALFORMED" or ("column X" in str(value["en"]) and "列 X" in str(value["zh"]))
    assert entries[0].column == "A"


def test_a_misspelt_feature_is_answered_with_the_nearest() -> None:
    _, (finding,) = read('catalogue = 1\n[columns]\nX = "deposit_balanc"\n')
    assert "deposit_balance" in finding.failure.message("zh")


@pytest.mark.parametrize(
    ("data", "failure", "said"),
    [
        (b"catalogue = 1\ncatalogue = 1\n", MappingUnreadable, "line 2"),
        (b"\xff\xfe", MappingUnreadable, "utf-8"),
        (b"#" * (BYTES_MAX + 1), MappingUnreadable, "bytes"),
        (b"", MappingMalformed, "line 1"),
        (b"[columns]\n", MappingMalformed, "catalogue = 1"),
        (b'catalogue = "1"\n[columns]\n', MappingMalformed, "catalogue = 1"),
        (b"catalogue = 1\n", MappingMalformed, r"\[columns\]"),
        (b"catalogue = 1\ncolumns = 3\n", MappingMalformed, r"\[columns\]"),
        (b"catalogue = 1\n[column]\n", MappingMalformed, "unknown key column"),
        (b"\ncatalogue = 2\n[columns]\n", MappingOtherCatalogue, "line 2"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(data: bytes, failure: type[Exception], said: str) -> None:
    with pytest.raises(failure, match=said):
        parse(data, "mapping.toml", CATALOGUE)
