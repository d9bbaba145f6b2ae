"""The catalogue of findings: both languages, the same facts in both, and no code that no check can give."""

import re
import string
from pathlib import Path

import pytest

from sandbox.examine import findings

CHECKS = Path(findings.__file__).parent


def facts(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("code", findings.CATALOGUE)
def test_both_languages_tell_what_is_known(code: str) -> None:
    severity, english, chinese = findings.CATALOGUE[code]
    assert severity in (findings.ERROR, findings.WARNING)
    assert facts(chinese) <= facts(english)
    assert not chinese.isascii()
    made = findings.finding(code, "here", **dict.fromkeys(facts(english), "x"))
    assert "{" not in made.en + made.zh


def test_every_code_is_given_by_some_check() -> None:
    source = "".join(path.read_text() for path in CHECKS.glob("*.py") if path.name != "findings.py")
    given = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', source))
    assert set(findings.CATALOGUE) <= given


def test_a_finding_stands_on_the_sheet_once() -> None:
    sheet = findings.Sheet()
    for _ in range(2):
        sheet.add("NOT_LOGGED", "here", kind="card", digest="ab")
    assert [found.code for found in sheet.findings] == ["NOT_LOGGED"]
