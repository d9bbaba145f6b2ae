"""The table of joint training's rules in docs/threat-model.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TITLE = "### Rules of joint training"
FILES = re.compile(r"([A-Z]) `(tests/\S+\.py)`")
NAMED = re.compile(r"([A-Z]) ((?:`[\w…]+`(?:, )?)+)")  # a file's letter, then what its tests' names begin or end with
RULES = "abcdefgh"


def section() -> str:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    return page.split(TITLE)[1].split("\n## ")[0]


def test_every_rule_is_there() -> None:
    lines = [line for line in section().splitlines() if re.match(r"\| [a-h]: ", line)]
    assert {line[2] for line in lines} == set(RULES)
    assert len(lines) > len(RULES)


def test_every_named_test_exists() -> None:
    files = {letter: (ROOT / path).read_text(encoding="utf-8") for letter, path in FILES.findall(section())}
    named = [
        (letter, name)
        for line in section().splitlines()
        if line.startswith("| ")
        for letter, names in NAMED.findall(line)
        for name in re.findall(r"`([\w…]+)`", names)
    ]
    assert len(named) > 2 * len(RULES)
    for letter, name in named:
        wanted = re.compile(rf"^def test_\w*{name.replace('…', chr(92) + 'w*')}\w*\(", re.MULTILINE)
        assert wanted.search(files[letter]), f"{letter} {name}"
